//! Why something of a member has changed in the table.

use core::fmt;
use std::sync::Arc;

use crate::identity::uri::Uri;
use crate::table::claim::Status;

/// Why a member is new, has changed, or is gone.
///
/// "It" in what is written of a reason is the member that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It did not answer a probe of the local node.
    ProbeFailed {
        /// The members that were asked to ping it, in vain: the first [`RELAYS_MAX`] of them.
        relays: Arc<[Uri]>,
    },
    /// It is the local node, and its own URI does not lead to it.
    SelfUnreachable {
        /// The members that were asked to ping it, in vain: the first [`RELAYS_MAX`] of them.
        relays: Arc<[Uri]>,
    },
    /// It is the local node, and the application behind it does not respond.
    Stalled,
    /// It is the local node, and the application behind it responds again.
    Resumed,
    /// It was suspect, and did not refute that in time.
    TimedOut,
    /// The same, and the time was shorter since others got no answer either.
    Confirmed {
        /// The members that got no answer.
        by: Arc<[Uri]>,
    },
    /// A datagram of another member said so.
    Told {
        /// The sender of the datagram.
        by: Uri,
    },
    /// A datagram of its own said so.
    Announced,
    /// A datagram of its own said that it leaves; or it is the local node, and has left.
    Left,
    /// It was forgotten, and has sent a datagram.
    Heard,
    /// It has answered a ping.
    Answered,
    /// What comes from its address cannot be decoded.
    Undecodable,
    /// It is the local node, and contradicts what was said of it.
    Refuted {
        /// What was said.
        said: Status,
        /// The sender that said so, if it was not the application.
        by: Option<Uri>,
    },
    /// It is the local node, and another process uses its URI, which explains why that does not lead to it.
    Doubled,
    /// It is the local node, which takes part from now on.
    Initialized,
    /// It was the local node, which has another URI now.
    Moved,
    /// It is the local node, which has another payload.
    PayloadSet,
    /// The application has added it.
    Added,
    /// The application has made up an event.
    Generated,
    /// The application has marked it as left.
    Marked,
    /// The application has removed it.
    Removed,
    /// It is not in the allow-list.
    NotAllowed,
    /// Its address is in none of the networks that are allowed.
    Elsewhere,
    /// It was gone for as long as members that are gone are remembered.
    Reaped,
    /// The table was full, and it was missed least.
    Displaced,
}

/// How many of the members that were asked to ping another are remembered: those of ten tries. Each costs as much as a
/// change of its own.
pub const RELAYS_MAX: usize = 32;

/// How many of them are named in a sentence.
const NAMED_MAX: usize = 9;

impl Reason {
    /// A probe has failed, for which these members were asked to ping.
    pub fn probe_failed(relays: &[Uri]) -> Self {
        let relays = first_relays(relays);
        Self::ProbeFailed { relays }
    }

    /// The local node gets no answer of itself, for which these members were asked to ping it.
    pub fn self_unreachable(relays: &[Uri]) -> Self {
        let relays = first_relays(relays);
        Self::SelfUnreachable { relays }
    }

    /// A word for it, for programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ProbeFailed { .. } => "probe_failed",
            Self::SelfUnreachable { .. } => "self_unreachable",
            Self::Stalled => "stalled",
            Self::Resumed => "resumed",
            Self::TimedOut => "timed_out",
            Self::Confirmed { .. } => "confirmed",
            Self::Told { .. } => "told",
            Self::Announced => "announced",
            Self::Left => "left",
            Self::Heard => "heard",
            Self::Answered => "answered",
            Self::Undecodable => "undecodable",
            Self::Refuted { .. } => "refuted",
            Self::Doubled => "doubled",
            Self::Initialized => "initialized",
            Self::Moved => "moved",
            Self::PayloadSet => "payload_set",
            Self::Added => "added",
            Self::Generated => "generated",
            Self::Marked => "marked",
            Self::Removed => "removed",
            Self::NotAllowed => "not_allowed",
            Self::Elsewhere => "elsewhere",
            Self::Reaped => "reaped",
            Self::Displaced => "displaced",
        }
    }

    /// The sender on whose word it rests.
    pub const fn by(&self) -> Option<&Uri> {
        match self {
            Self::Told { by } => Some(by),
            Self::Refuted { by, .. } => by.as_ref(),
            _ => None,
        }
    }

    /// The members that were asked to ping it, in vain.
    pub fn relays(&self) -> Option<&[Uri]> {
        match self {
            Self::ProbeFailed { relays } | Self::SelfUnreachable { relays } => Some(relays),
            _ => None,
        }
    }

    /// The members that confirmed a suspicion.
    pub fn confirmed_by(&self) -> Option<&[Uri]> {
        match self {
            Self::Confirmed { by } => Some(by),
            _ => None,
        }
    }

    /// The members that it names.
    pub(super) fn named(&self) -> impl Iterator<Item = &Uri> {
        let several = self.relays().or_else(|| self.confirmed_by());
        self.by().into_iter().chain(several.into_iter().flatten())
    }
}

fn first_relays(relays: &[Uri]) -> Arc<[Uri]> {
    relays[..relays.len().min(RELAYS_MAX)].into()
}

/// `a:1`, `a:1 and b:2`, `a:1, b:2 and 7 others`.
struct Names<'a>(&'a [Uri]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = &self.0[..self.0.len().min(NAMED_MAX)];
        let others = self.0.len() - named.len();
        for (index, uri) in named.iter().enumerate() {
            let is_last = others == 0 && index + 1 == named.len();
            match (index, is_last) {
                (0, _) => write!(f, "{uri}")?,
                (_, true) => write!(f, " and {uri}")?,
                (_, false) => write!(f, ", {uri}")?,
            }
        }
        match others {
            0 => Ok(()),
            others => write!(f, " and {others} others"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProbeFailed { relays } if relays.is_empty() => {
                f.write_str("it did not answer this instance, and there was no other member to ask")
            }
            Self::ProbeFailed { relays } => {
                let relays = Names(relays);
                write!(
                    f,
                    "it did not answer this instance, nor {relays} in its place"
                )
            }
            Self::SelfUnreachable { .. } => f.write_str("its own URI does not lead to it"),
            Self::Stalled => f.write_str("its Tarantool thread does not respond"),
            Self::Resumed => f.write_str("its Tarantool thread responds again"),
            Self::TimedOut => f.write_str("it did not refute the suspicion in time"),
            Self::Confirmed { by } => {
                let by = Names(by);
                write!(
                    f,
                    "it did not refute the suspicion in the shorter time that it had, for {by} got no answer"
                )
            }
            Self::Told { by } => write!(f, "{by} said so"),
            Self::Announced => f.write_str("it said so itself"),
            Self::Left => f.write_str("it called leave"),
            Self::Heard => f.write_str("it was forgotten, and has sent a datagram"),
            Self::Answered => f.write_str("it has answered a ping"),
            Self::Undecodable => f.write_str("what comes from its address cannot be decoded"),
            Self::Refuted { said, by } => {
                match by {
                    Some(by) => write!(f, "it contradicts {by}, which said that it is {said}")?,
                    None => write!(f, "it contradicts that it is {said}")?,
                }
                match said {
                    Status::Alive => f.write_str(" in another life"),
                    _ => Ok(()),
                }
            }
            Self::Doubled => f.write_str("another process uses its URI"),
            Self::Initialized => f.write_str("it called init"),
            Self::Moved => f.write_str("this instance called init with another URI"),
            Self::PayloadSet => f.write_str("it called set_payload"),
            Self::Added => f.write_str("add_member was called here"),
            Self::Generated => f.write_str("events.generate was called here"),
            Self::Marked => f.write_str("mark_left was called here"),
            Self::Removed => f.write_str("remove_member was called here"),
            Self::NotAllowed => f.write_str("set_allowed_members does not allow it"),
            Self::Elsewhere => f.write_str("its address is in none of ALLOWED_NETWORKS"),
            Self::Reaped => f.write_str("it was gone for REAP_TIMEOUT_SECONDS"),
            Self::Displaced => f.write_str("the table was full, and another took its place"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a URI")
    }

    #[test]
    fn a_failed_probe_names_the_members_that_were_asked_as_far_as_anyone_wants_to_read_them() {
        let rows = [
            (2..2, ", and there was no other member to ask"),
            (2..3, ", nor a:2 in its place"),
            (2..5, ", nor a:2, a:3 and a:4 in its place"),
            (
                1..15,
                ", nor a:1, a:2, a:3, a:4, a:5, a:6, a:7, a:8, a:9 and 5 others in its place",
            ),
        ];
        for (ports, rest) in rows {
            let relays: Vec<Uri> = ports.map(uri).collect();
            let reason = Reason::probe_failed(&relays);
            let text = reason.to_string();
            assert_eq!(text, format!("it did not answer this instance{rest}"));
            assert_eq!(reason.named().count(), relays.len());
        }
    }

    #[test]
    fn a_refutation_names_what_was_said_and_the_member_that_has_said_it() {
        let refuted = |said, by| Reason::Refuted { said, by }.to_string();
        assert_eq!(
            refuted(Status::Suspect, Some(uri(2))),
            "it contradicts a:2, which said that it is suspect"
        );
        assert_eq!(
            refuted(Status::Alive, Some(uri(2))),
            "it contradicts a:2, which said that it is alive in another life"
        );
        assert_eq!(
            refuted(Status::Dead, None),
            "it contradicts that it is dead"
        );
    }
}
