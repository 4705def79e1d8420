//! Planted bugs, to test that the rules and the convergence find them.

use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Status};
use swim::wire::{
    Body, DropReason, Message, MessageBuilder, MessageType, Names, checked_short, decode,
    decode_named,
};

/// A bug in the implementation on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// It raises the incarnations of others in what it spreads.
    Inflates,
    /// It ignores `MAX_PACKET_SIZE`.
    Swells,
    /// It spreads rumors without end.
    Repeats,
    /// It ignores rumors about itself.
    Unhearing,
    /// It sends no ACK.
    Mute,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Inflates,
        Self::Swells,
        Self::Repeats,
        Self::Unhearing,
        Self::Mute,
    ];

    /// Returns what the victim sends in place of `datagram`.
    pub(super) fn corrupt(self, datagram: &[u8]) -> Vec<Vec<u8>> {
        let as_it_is = datagram.to_vec();
        let names = unnamed();
        let is_ack = match either(datagram, &names) {
            Ok(message) => message.body.kind() == MessageType::Ack,
            Err(_) => false,
        };
        match self {
            Self::Inflates => vec![inflated(datagram).unwrap_or(as_it_is)],
            Self::Swells => vec![[as_it_is, vec![0; 9000]].concat()],
            Self::Repeats => vec![as_it_is; 30],
            Self::Mute if is_ack => Vec::new(),
            Self::Unhearing | Self::Mute => vec![as_it_is],
        }
    }

    /// Whether the victim handles this datagram at all.
    pub(super) fn handles(self, victim: &str, datagram: &[u8]) -> bool {
        let names = unnamed();
        let Ok(message) = either(datagram, &names) else {
            return true;
        };
        let records = match &message.body {
            Body::SyncReq(records) | Body::SyncAck(records) => &records[..],
            Body::Ping(_) | Body::Ack(_) | Body::Leave => &[],
        };
        if self != Self::Unhearing {
            return true;
        }
        for event in message.events.iter().chain(records) {
            if event.uri.as_str() == victim && event.claim.status != Status::Alive {
                return false;
            }
        }
        true
    }
}

/// The names in what is in the short form are not needed.
fn unnamed() -> Names {
    let uri = |text| Uri::from_wire(text).expect("a URI");
    Names::between(uri("sender:1"), uri("recipient:1"))
}

fn either<'a>(datagram: &'a [u8], names: &'a Names) -> Result<Message<'a>, DropReason> {
    decode_named(checked_short(datagram).unwrap_or(datagram), names)
}

/// Returns a LEAVE with the same events, but higher incarnations of other members.
fn inflated(datagram: &[u8]) -> Option<Vec<u8>> {
    let message = decode(datagram).ok()?;
    if !matches!(message.body, Body::Leave) {
        return None;
    }
    let mut draft = MessageBuilder::leave(&message.sender.to_uri(), datagram.len());
    for event in &message.events {
        if event.uri == message.sender {
            continue;
        }
        let uri = event.uri.to_uri();
        let incarnation = event.claim.incarnation.next();
        let _fits = draft.event(
            &uri,
            Claim {
                incarnation,
                ..event.claim
            },
            None,
            1,
        );
    }
    if draft.is_empty() {
        return None;
    }
    draft.finish()
}
