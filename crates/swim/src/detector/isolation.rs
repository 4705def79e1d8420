//! Whether the local node receives anything. If it receives nothing at all, the fault is probably its own
//! (a firewall that lets nothing in), and it must not accuse a member each period.

use crate::identity::uri::Uri;
use crate::time::Micros;

/// After how many failed probes in a row, without any datagram received, the local node takes itself to
/// be isolated. One may have met a dead member in a period in which no other pinged: with many members
/// that happens once in e times.
const SILENT_PROBES_MAX: u32 = 2;

/// After how many failed probes in a row it is the local node of which nothing gets out, as long as it
/// receives datagrams. They must have been of different members, all of which do not die at once.
const UNANSWERED_PROBES_MIN: u32 = 3;

/// However many members there are, failed probes of so many of them in a row do.
const UNANSWERED_MEMBERS_ENOUGH: usize = 8;

/// What was received lately.
#[derive(Debug, Default)]
pub struct Isolation {
    last: Option<Micros>,
    /// When a datagram came last that could not be decoded, or is of another group.
    undecodable: Option<Micros>,
    /// Failed probes in a row, while nothing was received.
    silent_probes: u32,
    /// Failed probes of others in a row.
    unanswered_probes: u32,
    /// The members that these were of, each once: of a small group one member may have been probed each time.
    unanswered: Vec<Uri>,
}

/// What a failed probe shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing new of the local node.
    Nothing,
    /// No datagrams are received.
    NothingReceived,
    /// Datagrams are received, and none can be decoded.
    NothingDecoded,
    /// Datagrams are received, and no member answers.
    NothingAnswered,
}

impl Isolation {
    /// A datagram came from another member.
    pub fn heard(&mut self, now: Micros) {
        self.last = Some(now);
        self.silent_probes = 0;
    }

    /// A datagram came that could not be decoded, or is of another group.
    pub fn heard_undecodable(&mut self, now: Micros) {
        self.undecodable = Some(now);
    }

    /// Another member has answered a ping.
    pub fn answered(&mut self) {
        self.unanswered_probes = 0;
        self.unanswered.clear();
    }

    /// Whether a datagram came from another member since then.
    pub fn has_heard_since(&self, began: Micros) -> bool {
        self.last >= Some(began)
    }

    /// Whether no datagrams are received.
    pub const fn is_isolated(&self) -> bool {
        self.silent_probes >= SILENT_PROBES_MAX
    }

    /// Whether datagrams come that cannot be decoded, and no others do.
    pub fn is_undecodable(&self) -> bool {
        self.is_isolated() && self.undecodable > self.last
    }

    /// Whether `others` members are there, their datagrams come, and none of them answers.
    pub fn is_unanswered(&self, others: usize) -> bool {
        let are_enough = self.unanswered_probes >= UNANSWERED_PROBES_MIN
            && self.unanswered.len() >= others.min(UNANSWERED_MEMBERS_ENOUGH);
        others > 1 && !self.is_isolated() && are_enough
    }

    /// A probe of `uri` that began at `began` has failed: of one of `others` members. Says what that shows of the
    /// local node, once.
    pub fn note_failed_probe(&mut self, uri: &Uri, began: Micros, others: usize) -> Finding {
        let was_unanswered = self.is_unanswered(others);
        self.unanswered_probes = self.unanswered_probes.saturating_add(1);
        if self.unanswered.len() < UNANSWERED_MEMBERS_ENOUGH && !self.unanswered.contains(uri) {
            self.unanswered.push(uri.clone());
        }
        // Something was received since then: so it is the member that does not answer, or none does.
        if let Some(last) = self.last
            && last >= began
        {
            return if self.is_unanswered(others) && !was_unanswered {
                Finding::NothingAnswered
            } else {
                Finding::Nothing
            };
        }
        self.silent_probes += 1;
        if self.silent_probes != SILENT_PROBES_MAX {
            Finding::Nothing
        } else if self.is_undecodable() {
            Finding::NothingDecoded
        } else {
            Finding::NothingReceived
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A probe has failed that began then: of another member than the last one, of four.
    fn fail(isolation: &mut Isolation, began: u64) -> Finding {
        let uri = Uri::new("member", 1 + u16::try_from(began % 4).unwrap()).unwrap();
        isolation.note_failed_probe(&uri, Micros(began), 4)
    }

    #[test]
    fn two_failed_probes_in_silence_make_it_isolated_and_one_datagram_ends_it() {
        let mut isolation = Isolation::default();
        assert_eq!(fail(&mut isolation, 10), Finding::Nothing);
        assert!(!isolation.is_isolated());
        assert_eq!(fail(&mut isolation, 20), Finding::NothingReceived);
        assert!(isolation.is_isolated() && !isolation.is_undecodable());
        assert_eq!(
            fail(&mut isolation, 30),
            Finding::Nothing,
            "it is told once"
        );
        isolation.heard(Micros(40));
        assert!(!isolation.is_isolated());
    }

    #[test]
    fn a_datagram_since_the_probe_began_means_that_something_is_received() {
        let mut isolation = Isolation::default();
        for began in [10, 20] {
            isolation.heard(Micros(began));
            assert_eq!(fail(&mut isolation, began), Finding::Nothing);
        }
        assert!(!isolation.is_isolated());
    }

    #[test]
    fn datagrams_that_cannot_be_decoded_are_another_matter_than_none() {
        let mut isolation = Isolation::default();
        isolation.heard(Micros(1));
        isolation.heard_undecodable(Micros(5));
        let _first = fail(&mut isolation, 10);
        assert_eq!(fail(&mut isolation, 20), Finding::NothingDecoded);
        assert!(isolation.is_undecodable());
        isolation.heard(Micros(30));
        assert!(!isolation.is_undecodable());
    }

    #[test]
    fn when_datagrams_come_and_no_member_answers_nothing_of_it_gets_out() {
        let mut isolation = Isolation::default();
        let fail = |isolation: &mut Isolation, began: u64| {
            isolation.heard(Micros(began));
            fail(isolation, began)
        };
        for began in [1, 5, 2, 3] {
            assert_eq!(fail(&mut isolation, began), Finding::Nothing, "{began}");
        }
        assert_eq!(fail(&mut isolation, 4), Finding::NothingAnswered);
        assert_eq!(fail(&mut isolation, 5), Finding::Nothing, "it is told once");
        assert!(isolation.is_unanswered(4));
        isolation.answered();
        assert!(!isolation.is_unanswered(4));
    }
}
