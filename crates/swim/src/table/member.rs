//! What is known of one member.

use core::net::SocketAddr;

use crate::detector::probe_history::ProbeHistory;
use crate::detector::rhythm::Rhythm;
use crate::detector::rtt::RoundTrip;
use crate::detector::self_check::{Announced, SelfSuspicion};
use crate::identity::sightings::Seen;
use crate::identity::uri::Uri;
use crate::security::acquaintance::Acquaintance;
use crate::security::seal::keyring::KeyId;
use crate::security::seal::peer_keys::PeerKeys;
use crate::table::claim::{Claim, Incarnation, Status};
use crate::table::payload::Payload;
use crate::time::Micros;
use crate::wire::Event;

/// What is known of one member.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its identity.
    pub uri: Uri,
    /// The strongest claim about it that was heard.
    pub claim: Claim,
    /// The last payload that was heard: what users see.
    pub payload: Option<Payload>,
    /// The incarnation at which `payload` was heard. Rumors without a payload get ahead of it, and
    /// until it is heard at the present incarnation, it may be out of date.
    pub payload_of: Incarnation,
    /// Local wall clock time of the last change of `claim`.
    pub since: Micros,
    /// Its wall clock minus the local one in µs, as its last ACK showed.
    pub clock_delta: Option<f64>,
    /// How long its answers take.
    pub round_trip: Option<RoundTrip>,
    /// What probes of it have come to.
    pub evidence: ProbeHistory,
    /// How often it is probed, once it has been probed while it was unreachable.
    pub rhythm: Option<Box<Rhythm>>,
    /// What its datagrams show it to be.
    pub dialect: Dialect,
    /// It has ever answered a question of the local node itself, not through a relay.
    pub has_answered: bool,
    /// From where it has answered a question of the local node with its cookie, in this life of its own.
    pub validated: Option<SocketAddr>,
    /// Up to which incarnation of the local node it is known to know what the local node says of itself.
    pub knows_my: Option<Incarnation>,
    /// It reads the short form, as it says itself, or another that has it from the member.
    pub reads_short: bool,
    /// By which kind of sender it is known, as long as it has not answered itself.
    pub acquaintance: Acquaintance,
    /// Why it announces itself as suspect, as of the last time that it did.
    pub self_suspicion: Option<SelfSuspicion>,
    /// The log said that it is gone, and has not said yet that it is back.
    pub is_logged_gone: bool,
    /// With which key it seals what it sends, if it authenticates it or offers to.
    pub seals_with: Option<KeyId>,
    /// Which keys it accepts, and which it uses.
    pub keys: PeerKeys,
    /// Its last PING, by which it shows when another process has its URI.
    pub last_ping: Option<Seen>,
}

/// What a member's datagrams show it to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// It has not told us anything itself.
    #[default]
    Unknown,
    /// A peer on membership 2.x.
    Legacy,
    /// A native member.
    Native {
        /// The digest of its table, as of its last datagram.
        digest: Option<u64>,
    },
}

impl Member {
    /// A member of which nothing but a claim is known.
    pub fn new(uri: Uri, claim: Claim, since: Micros) -> Self {
        Self {
            uri,
            claim,
            payload: None,
            payload_of: claim.incarnation,
            since,
            clock_delta: None,
            round_trip: None,
            evidence: ProbeHistory::default(),
            rhythm: None,
            dialect: Dialect::Unknown,
            has_answered: false,
            validated: None,
            knows_my: None,
            reads_short: false,
            acquaintance: Acquaintance::default(),
            self_suspicion: None,
            is_logged_gone: false,
            seals_with: None,
            keys: PeerKeys::default(),
            last_ping: None,
        }
    }

    /// Whether its last datagram was a native peer.
    pub const fn is_native(&self) -> bool {
        matches!(self.dialect, Dialect::Native { .. })
    }

    /// Whether it has said itself, at its present incarnation, that it is suspect; and why, if it told.
    pub const fn self_suspicion(&self) -> Option<Announced> {
        if self.evidence.is_doubted(self.claim.incarnation) {
            Some(Announced {
                why: self.self_suspicion,
            })
        } else {
            None
        }
    }

    /// Whether it may be spoken to in the short form. An instance of membership 2.x that has taken the place of a
    /// native one would not understand it: it has another incarnation, or shows by its own datagrams what it is.
    pub fn takes_short(&self) -> bool {
        self.reads_short && self.claim.status == Status::Alive && self.dialect != Dialect::Legacy
    }

    /// The payload, if it is known to be that of the present incarnation: only then may others be
    /// told of it.
    pub fn current_payload(&self) -> Option<&Payload> {
        if self.payload_of != self.claim.incarnation {
            return None;
        }
        self.payload.as_ref()
    }
}

/// The payload that was sent; not copied when it is the one that is `known`.
pub(crate) fn admit(sent: Option<&[u8]>, known: Option<&Payload>) -> Option<Payload> {
    let sent = sent?;
    match known {
        Some(known) if known.bytes() == sent => Some(known.clone()),
        // One that is not harmless counts as none: the claim that came with it is believed all the same.
        _ => Payload::new(sent).ok(),
    }
}

/// The payload of an event that is no news otherwise, if it is to be taken all the same.
pub(crate) fn better_payload(event: &Event<'_>, member: &Member) -> Option<Payload> {
    if event.claim.incarnation != member.claim.incarnation {
        return None;
    }
    let Some(known) = member.current_payload() else {
        return admit(event.payload, member.payload.as_ref());
    };
    // Two of them: in another life it has counted up to the same incarnation. If it is there, it will
    // contradict; if it is gone, all shall at least remember the same.
    if member.claim.status <= Status::Suspect {
        return None;
    }
    let sent = admit(event.payload, Some(known))?;
    (sent.semantic_hash() > known.semantic_hash()).then_some(sent)
}
