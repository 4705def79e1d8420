//! The protocol that runs on a machine.

use crate::foca::Foca;
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
    /// The protocol of this module.
    Native(Box<Swim>),
    /// The model of membership 2.x.
    Legacy(Box<Legacy>),
    /// The crate `foca`.
    Foca(Box<Foca>),
}

/// Which implementation runs on a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Implementation {
    /// This module.
    #[default]
    Native,
    /// Membership 2.x, of which there is a model here.
    Legacy,
    /// The crate `foca`.
    Foca,
}

impl Engine {
    /// The protocol of this module, if it is that.
    pub fn swim(&self) -> Option<&Swim> {
        match self {
            Self::Native(swim) => Some(swim),
            Self::Legacy(_) | Self::Foca(_) => None,
        }
    }

    /// The same, to be changed.
    pub fn swim_mut(&mut self) -> Option<&mut Swim> {
        match self {
            Self::Native(swim) => Some(swim),
            Self::Legacy(_) | Self::Foca(_) => None,
        }
    }

    /// A datagram came from the machine `from`, whose URI is `source`.
    pub fn handle_datagram(&mut self, datagram: &[u8], from: Id, source: &Uri, now: Now) {
        match self {
            Self::Native(swim) => {
                use DropReason::{NotAMessage, NotMsgpack, Undecryptable};
                let handled = swim.handle_datagram(datagram, from.address(), now);
                if let Err(Undecryptable | NotMsgpack | NotAMessage) = handled {
                    swim.handle_undecodable(source, now);
                }
            }
            Self::Legacy(legacy) => legacy.handle_datagram(datagram, source, now),
            Self::Foca(foca) => foca.handle_datagram(datagram, now),
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        match self {
            Self::Native(swim) => swim.handle_timeout(now),
            Self::Legacy(legacy) => legacy.handle_timeout(now),
            Self::Foca(foca) => foca.handle_timeout(now),
        }
    }

    /// A name did not resolve.
    pub fn handle_unsent(&mut self, uri: &Uri, now: Now) {
        match self {
            Self::Native(swim) => swim.handle_unsent(uri),
            Self::Legacy(legacy) => legacy.handle_unsent(uri, now),
            Self::Foca(_) => {}
        }
    }

    /// The port of `uri` is closed.
    pub fn handle_refused(&mut self, uri: &Uri, now: Now) {
        match self {
            Self::Native(swim) => swim.handle_refused(uri, now),
            // Neither asks its socket for errors.
            Self::Legacy(_) | Self::Foca(_) => {}
        }
    }

    /// The next datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        match self {
            Self::Native(swim) => swim.poll_transmit(),
            Self::Legacy(legacy) => legacy.poll_transmit(),
            Self::Foca(foca) => foca.poll_transmit(),
        }
    }

    /// The next event for the log.
    pub fn poll_report(&mut self) -> Option<LogEvent> {
        match self {
            Self::Native(swim) => swim.poll_report(),
            Self::Legacy(legacy) => legacy.poll_report(),
            Self::Foca(foca) => foca.poll_report(),
        }
    }

    /// When to call [`Engine::handle_timeout`], by the monotonic clock.
    pub fn next_deadline(&self) -> Option<Micros> {
        match self {
            Self::Native(swim) => swim.next_deadline(),
            Self::Legacy(legacy) => legacy.next_deadline(),
            Self::Foca(foca) => foca.next_deadline(),
        }
    }

    /// How many members it holds alive, itself included.
    pub fn alive(&self) -> usize {
        match self {
            Self::Native(swim) => swim.members().count(Status::Alive),
            Self::Legacy(legacy) => legacy.alive(),
            Self::Foca(foca) => foca.alive(),
        }
    }

    /// Joins as `uri`.
    pub fn init(&mut self, uri: Uri, now: Now) {
        match self {
            Self::Native(swim) => swim.init(uri, now),
            Self::Legacy(legacy) => legacy.init(uri, now),
            Self::Foca(foca) => foca.init(uri, now),
        }
    }

    /// Leaves the group.
    pub fn leave(&mut self, now: Now) {
        match self {
            Self::Native(swim) => drop(swim.leave(now)),
            Self::Legacy(legacy) => legacy.leave(),
            Self::Foca(foca) => foca.leave(now),
        }
    }

    /// Adds a member.
    pub fn add_member(&mut self, uri: Uri, now: Now) {
        match self {
            Self::Native(swim) => swim.add_member(uri, now),
            Self::Legacy(legacy) => legacy.add_member(&uri, now),
            Self::Foca(foca) => foca.add_member(&uri, now),
        }
    }

    /// Replaces the payload.
    pub fn set_payload(&mut self, bytes: &[u8], now: Now) {
        match self {
            Self::Native(swim) => swim.set_payload(bytes, now).expect("the payload fits"),
            Self::Legacy(legacy) => {
                legacy.set_payload(Payload::new(bytes).expect("a payload"), now)
            }
            Self::Foca(foca) => foca.set_payload(bytes, now),
        }
    }

    /// Adds members to the table without gossip about them.
    pub fn preload(&mut self, members: impl Iterator<Item = Preloaded> + Clone, now: Now) {
        match self {
            Self::Native(swim) => swim.recall(members, now),
            Self::Legacy(legacy) => legacy.preload(members, now),
            Self::Foca(foca) => foca.preload(members, now),
        }
    }

    /// Its own URI, if it takes part.
    pub fn myself(&self) -> Option<&Uri> {
        match self {
            Self::Native(swim) => swim.myself(),
            Self::Legacy(legacy) => legacy.myself(),
            Self::Foca(foca) => foca.myself(),
        }
    }

    /// The claim that it holds about `uri`, and the payload if it knows the one of this incarnation.
    pub fn view(&self, uri: &str) -> Option<(Claim, Option<&Payload>)> {
        match self {
            Self::Native(swim) => {
                let member = swim.member(uri)?;
                Some((member.claim, member.current_payload()))
            }
            Self::Legacy(legacy) => legacy.view(uri),
            Self::Foca(foca) => foca.view(uri),
        }
    }

    /// The payload of `uri` that it shows to users, which may be an older one.
    pub fn shown_payload(&self, uri: &str) -> Option<&Payload> {
        match self {
            Self::Native(swim) => swim.member(uri)?.payload.as_ref(),
            Self::Legacy(legacy) => legacy.view(uri)?.1,
            Self::Foca(foca) => foca.view(uri)?.1,
        }
    }

    /// The URIs in its table, in no particular order.
    pub fn known(&self) -> Vec<&Uri> {
        match self {
            Self::Native(swim) => swim.members().from(0).map(|member| &member.uri).collect(),
            Self::Legacy(legacy) => legacy.known().collect(),
            Self::Foca(foca) => foca.known().collect(),
        }
    }
}
