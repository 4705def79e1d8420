//! What this member is: its URI, its payload, and what it was before.

use super::uri::Uri;
use crate::config::Config;
use crate::security::authentication::label_size;
use crate::security::seal::Seal;
use crate::table::claim::{Claim, Incarnation, Status};
use crate::table::payload::Payload;
use crate::wire::Event;

/// How often a peer that shows another payload at the local node's incarnation is contradicted. Should
/// a peer be unable to repeat the payload as it is, the two would go on for ever.
const CONTRADICTIONS_MAX: u32 = 8;

/// An ACK without URIs and payload: heads, type, `ts`, `ats`, `src`, `dst`, two events with their
/// incarnations in nine bytes, and the trailer with a digest. It says twice that the local node reads the short form.
const ACK_SIZE: usize =
    1 + 4 + 1 + (3 + 9) + (4 + 9) + 4 + 4 + 1 + 2 * (1 + 1 + 9 + 5) + 1 + 11 + 2;

/// Sender, `src`, `dst`, and the subjects of two events.
const URIS_PER_ACK: usize = 5;

/// The identity of the local node.
#[derive(Debug)]
pub struct Identity {
    /// None before [`crate::Swim::init`] and after [`crate::Swim::leave`].
    pub uri: Option<Uri>,
    /// The table of a peer was like the local one since the local node has this URI: the group knows it by that.
    pub is_known: bool,
    /// Outlives leaving.
    pub payload: Payload,
    /// The identity that left last: when it returns, its incarnations go on where they stopped.
    pub former: Option<(Uri, Incarnation)>,
    /// Whether the application behind it runs.
    pub application: Application,
    disputed: Dispute,
}

/// Whether the application behind the local node is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Application {
    /// As far as is known.
    #[default]
    Running,
    /// It is not, and the local node has said so. To refute that takes more than this incarnation.
    Stalled(Incarnation),
}

/// The payload that was last contradicted and the own one at that time, by their hashes; how often.
#[derive(Debug, Default)]
struct Dispute {
    payloads: (u64, u64),
    times: u32,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            uri: None,
            is_known: false,
            payload: Payload::empty(),
            former: None,
            application: Application::Running,
            disputed: Dispute::default(),
        }
    }
}

impl Identity {
    /// Whether `uri` is that of the local node.
    pub fn is(&self, uri: &str) -> bool {
        self.uri.as_deref() == Some(uri)
    }

    /// The incarnation to become `uri` with: none that it, or the `old` identity, has used for something
    /// else. `known` is what the table holds of `uri`.
    pub fn first_incarnation(
        &mut self,
        uri: &Uri,
        known: Option<Claim>,
        old: Option<Claim>,
    ) -> Incarnation {
        let mut first = Incarnation::FIRST;
        if let Some(known) = known {
            first = first.max(match known.status {
                Status::Alive => known.incarnation,
                _contradicted => known.incarnation.next(),
            });
        }
        if let Some((former, incarnation)) = self.former.take()
            && former == *uri
        {
            first = first.max(incarnation.next());
        }
        if let Some(old) = old {
            first = first.max(old.incarnation);
        }
        first
    }

    /// What an event says of the local node, whose claim is `own`, if that is wrong and would be
    /// believed.
    pub fn contradicted_by(&mut self, event: &Event<'_>, own: Claim) -> Option<Claim> {
        let Claim {
            incarnation,
            status,
        } = event.claim;
        if incarnation < own.incarnation {
            return None;
        }
        if let Application::Stalled(rumored) = &mut self.application {
            *rumored = incarnation.max(*rumored);
            return None;
        }
        let is_same = status == Status::Alive && incarnation == own.incarnation;
        if is_same && !self.conflicts_with_own_payload(event) {
            return None;
        }
        Some(event.claim)
    }

    /// Whether an event shows, at the own incarnation, another payload: the local node was here before,
    /// counted up to the same number, and died too quickly for a peer to notice.
    fn conflicts_with_own_payload(&mut self, event: &Event<'_>) -> bool {
        let Some(said) = event.payload else {
            return false;
        };
        let Some(other) = self.payload.differs(said) else {
            return false;
        };
        // More than once, for different peers may remember it at different incarnations.
        let payloads = (other, self.payload.semantic_hash());
        if self.disputed.payloads != payloads {
            self.disputed = Dispute { payloads, times: 0 };
        }
        let times = self.disputed.times;
        self.disputed.times = times.saturating_add(1);
        times < CONTRADICTIONS_MAX
    }
}

/// How large the payload of a member may be, in bytes: it travels in PINGs and ACKs, behind what they say
/// of sender, recipient and question. Others are taken to have URIs as long as its own.
pub fn payload_limit(uri: Option<&Uri>, config: &Config) -> usize {
    let uri = match uri {
        Some(uri) => uri.len(),
        None => 0,
    };
    // A key may be set any time, and the payload must fit then too.
    let sealed = Seal::capacity_at_worst(config.max_packet_size);
    sealed.saturating_sub(ACK_SIZE + URIS_PER_ACK * (uri + 2) + label_size(&config.group_label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a URI")
    }

    fn claim(incarnation: u64, status: Status) -> Claim {
        let incarnation = Incarnation::from_wire(incarnation).expect("admissible");
        Claim::alive(incarnation).with(status)
    }

    fn contradicted(identity: &mut Identity, said: Claim, own: Claim) -> Option<Claim> {
        let uri = uri(1);
        identity.contradicted_by(&Event::local(&uri, said), own)
    }

    #[test]
    fn no_incarnation_is_used_for_two_lives() {
        let mut identity = Identity::default();
        let first = |identity: &mut Identity, known, old| {
            identity.first_incarnation(&uri(1), known, old).get()
        };
        assert_eq!(first(&mut identity, None, None), 1);
        let alive = Some(claim(5, Status::Alive));
        assert_eq!(first(&mut identity, alive, None), 5);
        let dead = Some(claim(5, Status::Dead));
        assert_eq!(first(&mut identity, dead, None), 6);
        let old = Some(claim(9, Status::Alive));
        assert_eq!(first(&mut identity, dead, old), 9);
        identity.former = Some((uri(1), claim(7, Status::Alive).incarnation));
        assert_eq!(first(&mut identity, dead, None), 8);
        identity.former = Some((uri(2), claim(7, Status::Alive).incarnation));
        assert_eq!(first(&mut identity, dead, None), 6, "it had another URI");
    }

    #[test]
    fn only_what_would_be_believed_is_contradicted() {
        let mut identity = Identity::default();
        let own = claim(3, Status::Alive);
        for (said, is_wrong) in [
            (claim(2, Status::Dead), false),
            (claim(3, Status::Alive), false),
            (claim(3, Status::Suspect), true),
            (claim(4, Status::Alive), true),
        ] {
            let wrong = contradicted(&mut identity, said, own);
            assert_eq!(wrong, is_wrong.then_some(said), "{said:?}");
        }
    }

    #[test]
    fn a_stalled_node_contradicts_nothing_and_remembers_what_it_has_to_beat() {
        let mut identity = Identity::default();
        let own = claim(3, Status::Suspect);
        identity.application = Application::Stalled(own.incarnation);
        for (said, beaten) in [(5, 5), (4, 5), (6, 6)] {
            let said = claim(said, Status::Suspect);
            assert_eq!(contradicted(&mut identity, said, own), None);
            let beaten = claim(beaten, Status::Suspect).incarnation;
            assert_eq!(identity.application, Application::Stalled(beaten));
        }
    }

    #[test]
    fn another_payload_at_the_own_incarnation_is_contradicted_a_few_times() {
        let (mut identity, uri) = (Identity::default(), uri(1));
        let own = claim(3, Status::Alive);
        let shows = |payload: &'static [u8]| Event {
            payload: Some(payload),
            ..Event::local(&uri, own)
        };
        for _ in 0..CONTRADICTIONS_MAX {
            assert!(identity.contradicted_by(&shows(b"\x91\x01"), own).is_some());
        }
        assert!(identity.contradicted_by(&shows(b"\x91\x01"), own).is_none());
        assert!(identity.contradicted_by(&shows(b"\x91\x02"), own).is_some());
        let same = identity.contradicted_by(&shows(b"\x90"), own);
        assert!(same.is_none(), "it is the own one");
    }
}
