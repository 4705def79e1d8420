//! The protocol that runs on a machine.

use crate::host::Id;
use crate::legacy::Legacy;
use swim::Swim;
use swim::Transmit;
use swim::identity::uri::Uri;
use swim::log_event::LogEvent;
use swim::table::claim::{Claim, Status};
use swim::table::payload::Payload;
use swim::table::preload::Preloaded;
use swim::time::{Micros, Now};
use swim::wire::DropReason;

/// The protocol that runs on a machine.
pub enum Engine {
    /// Ours.
    Swim(Box<Swim>),
    /// The Lua rock's.
    Legacy(Box<Legacy>),
}

/// Which implementation runs on a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Implementation {
    /// Ours.
    #[default]
    Ours,
    /// That of the Lua rock, or rather a model of it.
    Legacy,
}

impl Engine {
    /// Ours, if it is.
    pub fn swim(&self) -> Option<&Swim> {
        match self {
            Self::Swim(swim) => Some(swim),
            Self::Legacy(_) => None,
        }
    }

    /// Ours, if it is.
    pub fn swim_mut(&mut self) -> Option<&mut Swim> {
        match self {
            Self::Swim(swim) => Some(swim),
            Self::Legacy(_) => None,
        }
    }

    /// A datagram came from the machine `from`, which is to be reached as `source`.
    pub fn handle_datagram(&mut self, datagram: &[u8], from: Id, source: &Uri, now: Now) {
        match self {
            Self::Swim(swim) => {
                let gibberish = |why: &DropReason| {
                    use DropReason::{NotAMessage, NotMsgpack, Undecryptable};
                    matches!(why, Undecryptable | NotMsgpack | NotAMessage)
                };
                if swim
                    .handle_datagram(datagram, from.address(), now)
                    .is_err_and(|why| gibberish(&why))
                {
                    swim.handle_undecodable(source, now);
                }
            }
            Self::Legacy(rock) => rock.handle_datagram(datagram, source, now),
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        match self {
            Self::Swim(swim) => swim.handle_timeout(now),
            Self::Legacy(rock) => rock.handle_timeout(now),
        }
    }

    /// A name did not resolve.
    pub fn handle_unsent(&mut self, uri: &Uri, now: Now) {
        match self {
            Self::Swim(swim) => swim.handle_unsent(uri),
            Self::Legacy(rock) => rock.handle_unsent(uri, now),
        }
    }

    /// Nobody listens at the address of `uri`.
    pub fn handle_refused(&mut self, uri: &Uri, now: Now) {
        match self {
            Self::Swim(swim) => swim.handle_refused(uri, now),
            // It never asks its socket for errors.
            Self::Legacy(_) => {}
        }
    }

    /// The next datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        match self {
            Self::Swim(swim) => swim.poll_transmit(),
            Self::Legacy(rock) => rock.poll_transmit(),
        }
    }

    /// The next line for the log.
    pub fn poll_report(&mut self) -> Option<LogEvent> {
        match self {
            Self::Swim(swim) => swim.poll_report(),
            Self::Legacy(rock) => rock.poll_report(),
        }
    }

    /// When it wants to be woken, by the monotonic clock.
    pub fn next_deadline(&self) -> Option<Micros> {
        match self {
            Self::Swim(swim) => swim.next_deadline(),
            Self::Legacy(rock) => rock.next_deadline(),
        }
    }

    /// How many members it holds to be alive, itself included.
    pub fn alive(&self) -> usize {
        match self {
            Self::Swim(swim) => swim.members().count(Status::Alive),
            Self::Legacy(rock) => rock.alive(),
        }
    }

    /// Takes part as `uri`.
    pub fn init(&mut self, uri: Uri, now: Now) {
        match self {
            Self::Swim(swim) => swim.init(uri, now),
            Self::Legacy(rock) => rock.init(uri, now),
        }
    }

    /// Says good-bye.
    pub fn leave(&mut self) {
        match self {
            Self::Swim(swim) => drop(swim.leave()),
            Self::Legacy(rock) => rock.leave(),
        }
    }

    /// Adds a member.
    pub fn add_member(&mut self, uri: Uri, now: Now) {
        match self {
            Self::Swim(swim) => swim.add_member(uri, now),
            Self::Legacy(rock) => rock.add_member(&uri, now),
        }
    }

    /// Replaces the payload.
    pub fn set_payload(&mut self, bytes: &[u8], now: Now) {
        match self {
            Self::Swim(swim) => swim.set_payload(bytes, now).expect("the payload fits"),
            Self::Legacy(rock) => rock.set_payload(Payload::new(bytes).expect("a payload"), now),
        }
    }

    /// Takes up what is known of others, and tells nobody.
    pub fn recall(&mut self, memories: impl Iterator<Item = Preloaded> + Clone, now: Now) {
        match self {
            Self::Swim(swim) => swim.recall(memories, now),
            Self::Legacy(rock) => rock.recall(memories, now),
        }
    }

    /// Its own URI, if it takes part.
    pub fn myself(&self) -> Option<&Uri> {
        match self {
            Self::Swim(swim) => swim.myself(),
            Self::Legacy(rock) => rock.myself(),
        }
    }

    /// What it holds of `uri`, and the payload if it knows that of this incarnation.
    pub fn view(&self, uri: &str) -> Option<(Claim, Option<&Payload>)> {
        match self {
            Self::Swim(swim) => {
                let member = swim.member(uri)?;
                Some((member.claim, member.current_payload()))
            }
            Self::Legacy(rock) => rock.view(uri),
        }
    }

    /// The payload of `uri` that it shows its users, up to date or not.
    pub fn shown_payload(&self, uri: &str) -> Option<&Payload> {
        match self {
            Self::Swim(swim) => swim.member(uri)?.payload.as_ref(),
            Self::Legacy(rock) => rock.view(uri)?.1,
        }
    }

    /// Everybody it has heard of, in no order that means anything.
    pub fn known(&self) -> Vec<&Uri> {
        match self {
            Self::Swim(swim) => swim.members().from(0).map(|member| &member.uri).collect(),
            Self::Legacy(rock) => rock.known().collect(),
        }
    }
}
