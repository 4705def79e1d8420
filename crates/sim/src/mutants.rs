//! Planted bugs, to test that the rules and the convergence find them.

use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Status};
use swim::wire::{Body, MessageBuilder, MessageType, decode};

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
        let kind = decode(datagram).map(|message| message.body.kind());
        match self {
            Self::Inflates => vec![inflated(datagram).unwrap_or(as_it_is)],
            Self::Swells => vec![[as_it_is, vec![0; 9000]].concat()],
            Self::Repeats => vec![as_it_is; 30],
            Self::Mute if kind == Ok(MessageType::Ack) => Vec::new(),
            Self::Unhearing | Self::Mute => vec![as_it_is],
        }
    }

    /// Whether the victim handles this datagram at all.
    pub(super) fn handles(self, victim: &str, datagram: &[u8]) -> bool {
        let Ok(message) = decode(datagram) else {
            return true;
        };
        let records = match &message.body {
            Body::SyncReq(records) | Body::SyncAck(records) => &records[..],
            Body::Ping(_) | Body::Ack(_) | Body::Leave => &[],
        };
        let mut statements = message.events.iter().chain(records);
        let accuses = statements
            .any(|event| event.uri.as_str() == victim && event.claim.status != Status::Alive);
        self != Self::Unhearing || !accuses
    }
}

/// Returns a LEAVE with the same events, but higher incarnations of other members.
fn inflated(datagram: &[u8]) -> Option<Vec<u8>> {
    let message = decode(datagram).ok()?;
    let sender = Uri::from_wire(&message.sender)?;
    let mut draft = MessageBuilder::leave(&sender, datagram.len());
    for event in message
        .events
        .iter()
        .filter(|event| event.uri != message.sender)
    {
        let uri = Uri::from_wire(&event.uri)?;
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
    (!draft.is_empty() && matches!(message.body, Body::Leave)).then(|| draft.finish())?
}
