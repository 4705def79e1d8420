//! Address validation, and the limit on what is sent to addresses that are not validated (RFC 9000, §8).
//!
//! The sender of a datagram names itself, and with that the address that answers go to. Answers are
//! larger than questions, so without a limit every member would be a reflector: an attacker could have
//! much sent to a victim, unseen. An address is *validated* when its member has answered a question of
//! the local node with the cookie of that question ([`crate::security::cookie`]), and a datagram is
//! trusted to come from that member only if its source is that address.
//!
//! Because of any other datagram
//!
//! - at most [`FACTOR`] times its bytes are sent to its sender, headers included, and nothing to others;
//! - a request that takes more (a table, a ping on behalf of the sender, an ACK with a large payload)
//!   is set aside, the sender is pinged, and the request is served when it has answered;
//! - all of it together comes out of one token bucket, as do pushes of news to members whose addresses are
//!   not validated. Only the pings of the local node's own rounds and users do not depend on it, and no
//!   news rides on them.
//!
//! A datagram that is authenticated has passed a challenge, which is an address validation itself.

use core::net::SocketAddr;
use core::time::Duration;

use crate::hashing::{HashKey, KeyedMap};
use crate::identity::uri::Uri;
use crate::table::members::Members;
use crate::time::{Micros, Now};

/// How many times the bytes of a datagram are sent in answer, at most.
pub const FACTOR: usize = 3;

/// The headers of IPv4 (20) and UDP (8), in bytes: they count for what is received and what is sent.
pub const HEADERS_SIZE: usize = 28;

/// How many bytes a second are sent to addresses that are not validated: as many as one telephone with a
/// camera sends. It answers some thousand pings.
const BYTES_PER_SECOND: u64 = 256 << 10;

/// How many bytes may be sent at once after a quiet time: a thousand members that join through the local
/// node at the same time are told enough to go on by themselves.
const BURST: u64 = 1 << 20;

/// How long it takes to earn as much as may be spent at once.
const BURST_TIME: Duration = Duration::from_micros(BURST * 1_000_000 / BYTES_PER_SECOND);

/// How many senders may wait for their address to be validated: a thousand may join at once. Beyond it
/// one of them is forgotten, and asks again. Their requests take 1.5 MiB.
const WAITING_MAX: usize = 1024;

/// How long a request waits. Later its sender has asked again.
const WAITING_TIME_MAX: Duration = Duration::from_secs(1);

/// How long a sender has to answer before it is pinged again for its next request.
const PING_PAUSE: Duration = Duration::from_millis(50);

/// What a datagram is sent because of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The local node itself: its timers, its users, or an authenticated datagram.
    Own,
    /// A member at a validated address, or news from others.
    Others {
        /// The sender of the datagram at hand, if it has just shown to be where it says.
        validated: Option<Uri>,
    },
    /// A datagram from an address that is not validated.
    Unvalidated {
        /// Its sender.
        sender: Uri,
        /// How many bytes may still be sent to it.
        left: usize,
    },
}

/// A sender that was pinged because of a datagram of its own.
#[derive(Debug)]
struct Waiting {
    pinged: Micros,
    is_newcomer: bool,
    request: Option<Request>,
}

#[derive(Debug)]
struct Request {
    source: SocketAddr,
    plain: Vec<u8>,
    since: Micros,
}

/// What is to be done now that the address of a sender is validated.
#[derive(Debug)]
pub struct Validated {
    /// It has just come into the table.
    pub is_newcomer: bool,
    /// The message with its last request that was not served yet.
    pub request: Option<Vec<u8>>,
}

/// The token bucket, and the senders that wait for their address to be validated.
#[derive(Debug)]
pub struct Amplification {
    /// Each byte takes its time to be earned; up to here the time is spent.
    spent_until: Micros,
    waiting: KeyedMap<Uri, Waiting>,
    /// Where to make room next, when there is none.
    hand: usize,
}

impl Amplification {
    /// Nothing was received or sent.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            spent_until: Micros::default(),
            waiting: KeyedMap::with_hasher(hash_key.clone()),
            hand: 0,
        }
    }

    /// Whether there are no more than there may be; for audits.
    pub fn is_bounded(&self) -> bool {
        self.waiting.len() <= WAITING_MAX
    }

    /// Forgets the senders that wait.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    fn is_exhausted(&self, now: Now) -> bool {
        self.spent_until.since(now.monotonic) >= BURST_TIME
    }

    fn spend(&mut self, bytes: usize, now: Now) {
        let time = (bytes as u64 * 1_000_000).div_ceil(BYTES_PER_SECOND);
        self.spent_until = self.spent_until.max(now.monotonic) + Duration::from_micros(time);
    }

    /// Sets a request aside, in place of an older one of the same sender.
    pub fn set_aside(&mut self, sender: &Uri, source: SocketAddr, plain: &[u8], now: Now) {
        let request = Request {
            source,
            plain: plain.to_vec(),
            since: now.monotonic,
        };
        if let Some(waiting) = self.waiting.get_mut(sender) {
            waiting.request = Some(request);
        }
    }

    /// Whether `sender` is to be pinged now. It waits from now on, if it did not before.
    pub fn begin_to_wait(&mut self, sender: &Uri, is_newcomer: bool, now: Now) -> bool {
        if let Some(waiting) = self.waiting.get_mut(sender) {
            waiting.is_newcomer |= is_newcomer;
            // The ping before it may have been lost, and then nothing else would come in time.
            let is_first_request = !is_newcomer && waiting.request.is_none();
            let is_due = is_first_request || now.monotonic.since(waiting.pinged) >= PING_PAUSE;
            if is_due {
                waiting.pinged = now.monotonic;
            }
            return is_due;
        }
        if self.waiting.len() == WAITING_MAX {
            // In turn, and not the oldest: a flood of new names is to cost no walk over all of them.
            let hand = self.hand % WAITING_MAX;
            self.hand = self.hand.wrapping_add(1);
            self.waiting.swap_remove_index(hand);
        }
        let waiting = Waiting {
            pinged: now.monotonic,
            is_newcomer,
            request: None,
        };
        self.waiting.insert(sender.clone(), waiting);
        true
    }

    /// `sender` has shown to be at `source`. Returns what is to be done now, if it was waiting.
    pub fn end_waiting(&mut self, sender: &Uri, source: SocketAddr, now: Now) -> Option<Validated> {
        let Waiting {
            is_newcomer,
            request,
            ..
        } = self.waiting.swap_remove(sender)?;
        let mut validated = Validated {
            is_newcomer,
            request: None,
        };
        // A request from elsewhere may have been made by another in the name of the sender.
        if let Some(request) = request
            && now.monotonic.since(request.since) < WAITING_TIME_MAX
            && request.source == source
        {
            validated.request = Some(request.plain);
        }
        Some(validated)
    }
}

/// The members, and which of them is the local node.
#[derive(Clone, Copy, Debug)]
pub struct Peers<'a> {
    /// The URI of the local node.
    pub me: Option<&'a Uri>,
    /// The table.
    pub members: &'a Members,
}

impl Peers<'_> {
    /// Whether a datagram in the name of `sender` from `source` is its own, as far as can be told.
    fn is_validated_at(&self, sender: &Uri, source: SocketAddr) -> bool {
        // In the local node's own name: then the answers come here, from wherever it was sent.
        self.me == Some(sender) || self.members.validated_at(sender) == Some(source)
    }
}

impl Cause {
    /// Of what is sent because of a datagram of `sender`, to which `left` bytes may be sent for that
    /// unless its address is validated.
    pub fn datagram(sender: &Uri, source: SocketAddr, left: usize, peers: Peers<'_>) -> Self {
        if peers.is_validated_at(sender, source) {
            Self::Others { validated: None }
        } else {
            Self::Unvalidated {
                sender: sender.clone(),
                left,
            }
        }
    }

    /// Whether it is a datagram from an address that is not validated.
    pub const fn is_limited(&self) -> bool {
        matches!(self, Self::Unvalidated { .. })
    }

    /// How many bytes may still be sent to the sender of that datagram.
    pub const fn left(&self) -> usize {
        match self {
            Self::Unvalidated { left, .. } => *left,
            Self::Own | Self::Others { .. } => 0,
        }
    }

    /// `sender`, whose datagram this is, has just shown to be where it says.
    pub fn validate(&mut self, sender: &Uri) {
        // What is authenticated is not limited, and is not to become so by what it answers.
        if *self != Self::Own {
            *self = Self::Others {
                validated: Some(sender.clone()),
            };
        }
    }

    /// Whether news rides on a PING or ACK to `to`. Unknown recipients would use up what members are to
    /// be told, and a ping of the local node's own is to cost an address that is not validated no more
    /// than it must.
    pub fn may_be_told_news(&self, to: &Uri, peers: Peers<'_>) -> bool {
        let is_own = *self == Self::Own;
        peers.members.get(to).is_some() && (self.is_validated(to, peers) || !is_own)
    }

    /// Whether a live member has shown to be at the address of `to`.
    fn is_validated(&self, to: &Uri, peers: Peers<'_>) -> bool {
        if peers.me == Some(to) {
            return true;
        }
        if let Self::Others { validated } = self
            && validated.as_ref() == Some(to)
        {
            return true;
        }
        peers.members.validated_at(to).is_some()
    }
}

impl Amplification {
    /// How many bytes a datagram to `to` may have now; `None` if there is no limit but its usual size.
    pub fn bytes_left(&self, cause: &Cause, to: &Uri, peers: Peers<'_>, now: Now) -> Option<usize> {
        // What the local node sends to itself is reflected to no other.
        if peers.me == Some(to) {
            return None;
        }
        match cause {
            Cause::Own => None,
            Cause::Unvalidated { sender, left } if sender == to => {
                let left = if self.is_exhausted(now) { 0 } else { *left };
                Some(left.saturating_sub(HEADERS_SIZE))
            }
            Cause::Unvalidated { .. } => Some(0),
            Cause::Others { .. } if cause.is_validated(to, peers) => None,
            Cause::Others { .. } if self.is_exhausted(now) => Some(0),
            Cause::Others { .. } => None,
        }
    }

    /// Counts what is sent to `to`.
    pub fn spend_on(
        &mut self,
        cause: &mut Cause,
        to: &Uri,
        bytes: usize,
        peers: Peers<'_>,
        now: Now,
    ) {
        let bytes = bytes + HEADERS_SIZE;
        if let Cause::Unvalidated { sender, left } = cause
            && sender == to
        {
            *left = left.saturating_sub(bytes);
        }
        if *cause != Cause::Own && !cause.is_validated(to, peers) {
            self.spend(bytes, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::table::claim::{Claim, Incarnation};
    use crate::table::history::Occasion;
    use crate::table::reason::Reason;

    const SOURCE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3301);
    const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3302);

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a URI")
    }

    fn at(seconds: u64) -> Now {
        Now {
            monotonic: Micros(seconds * 1_000_000),
            ..Now::default()
        }
    }

    /// Takes all there is for addresses that are not validated.
    fn exhaust(limit: &mut Amplification, others: &mut Cause, peers: Peers<'_>, now: Now) {
        let burst = usize::try_from(BURST).expect("it fits");
        limit.spend_on(others, &uri(1), burst, peers, now);
    }

    #[test]
    fn what_is_sent_to_an_unvalidated_sender_leaves_less_and_others_get_nothing() {
        let members = Members::new(&HashKey::derive(&[1; 32]));
        let peers = Peers {
            me: None,
            members: &members,
        };
        let mut limit = Amplification::new(&HashKey::derive(&[1; 32]));
        let left = |limit: &Amplification, cause: &Cause, port| {
            limit.bytes_left(cause, &uri(port), peers, at(0))
        };
        let mut cause = Cause::datagram(&uri(1), SOURCE, 300, peers);
        assert!(cause.is_limited());
        assert_eq!(left(&limit, &cause, 1), Some(300 - HEADERS_SIZE));
        assert_eq!(left(&limit, &cause, 2), Some(0));
        limit.spend_on(&mut cause, &uri(1), 100, peers, at(0));
        assert_eq!(cause.left(), 200 - HEADERS_SIZE);
        limit.spend_on(&mut cause, &uri(1), 500, peers, at(0));
        assert_eq!(left(&limit, &cause, 1), Some(0));
        assert_eq!(left(&limit, &Cause::Own, 1), None);
    }

    #[test]
    fn all_unvalidated_addresses_share_one_bucket_which_fills_again() {
        let members = Members::new(&HashKey::derive(&[1; 32]));
        let peers = Peers {
            me: None,
            members: &members,
        };
        let mut limit = Amplification::new(&HashKey::derive(&[1; 32]));
        let mut others = Cause::Others { validated: None };
        assert_eq!(limit.bytes_left(&others, &uri(1), peers, at(100)), None);
        exhaust(&mut limit, &mut others, peers, at(100));
        assert_eq!(limit.bytes_left(&others, &uri(2), peers, at(100)), Some(0));
        let datagram = Cause::datagram(&uri(3), SOURCE, 300, peers);
        let left = |now| limit.bytes_left(&datagram, &uri(3), peers, now);
        assert_eq!(left(at(100)), Some(0));
        assert_eq!(left(at(101)), Some(300 - HEADERS_SIZE));
    }

    #[test]
    fn a_validated_member_is_limited_only_when_a_datagram_comes_from_elsewhere() {
        let mut members = Members::new(&HashKey::derive(&[1; 32]));
        let claim = Claim::alive(Incarnation::FIRST);
        let occasion = Occasion {
            now: at(0),
            reason: &Reason::Announced,
        };
        members.put(&uri(1), claim, None, Micros(0), &occasion);
        members.set_validated(&uri(1), SOURCE);
        let peers = Peers {
            me: None,
            members: &members,
        };
        let limit = Amplification::new(&HashKey::derive(&[1; 32]));
        let left = |cause: &Cause| limit.bytes_left(cause, &uri(1), peers, at(0));
        let own = Cause::datagram(&uri(1), SOURCE, 300, peers);
        assert!(!own.is_limited());
        assert_eq!(left(&own), None);
        assert!(own.may_be_told_news(&uri(1), peers));
        assert!(!own.may_be_told_news(&uri(2), peers), "it is no member");
        let forged = Cause::datagram(&uri(1), ELSEWHERE, 300, peers);
        assert!(forged.is_limited());
        assert_eq!(left(&forged), Some(300 - HEADERS_SIZE));
    }

    #[test]
    fn a_sender_that_has_just_answered_is_limited_no_more_though_it_is_no_member() {
        let members = Members::new(&HashKey::derive(&[1; 32]));
        let peers = Peers {
            me: None,
            members: &members,
        };
        let mut limit = Amplification::new(&HashKey::derive(&[1; 32]));
        let mut others = Cause::Others { validated: None };
        exhaust(&mut limit, &mut others, peers, at(0));
        let mut cause = Cause::datagram(&uri(1), SOURCE, 300, peers);
        assert_eq!(limit.bytes_left(&cause, &uri(1), peers, at(0)), Some(0));
        cause.validate(&uri(1));
        assert!(!cause.is_limited());
        assert_eq!(limit.bytes_left(&cause, &uri(1), peers, at(0)), None);
        let mut own = Cause::Own;
        own.validate(&uri(1));
        assert_eq!(own, Cause::Own);
    }

    #[test]
    fn a_newcomer_whose_ping_was_lost_is_pinged_for_its_first_request_and_not_for_the_next() {
        let mut limit = Amplification::new(&HashKey::derive(&[1; 32]));
        assert!(limit.begin_to_wait(&uri(1), true, at(1)));
        assert!(limit.begin_to_wait(&uri(1), false, at(1)), "its first");
        limit.set_aside(&uri(1), SOURCE, b"first", at(1));
        assert!(!limit.begin_to_wait(&uri(1), false, at(1)), "its next");
    }

    #[test]
    fn a_request_waits_for_its_sender_to_answer_from_where_it_came_and_not_for_long() {
        let mut limit = Amplification::new(&HashKey::derive(&[1; 32]));
        let is_due = limit.begin_to_wait(&uri(1), false, at(1));
        assert!(is_due, "it is to be pinged");
        limit.set_aside(&uri(1), SOURCE, b"request", at(1));
        assert!(!limit.begin_to_wait(&uri(1), true, at(1)), "once");
        let validated = limit.end_waiting(&uri(1), SOURCE, at(1));
        let validated = validated.expect("it waited");
        assert!(validated.is_newcomer);
        assert_eq!(validated.request.as_deref(), Some(&b"request"[..]));
        let again = limit.end_waiting(&uri(1), SOURCE, at(1));
        assert!(again.is_none(), "it waits no more");
        for (source, seconds) in [(ELSEWHERE, 1), (SOURCE, 2)] {
            let _ = limit.begin_to_wait(&uri(1), false, at(1));
            limit.set_aside(&uri(1), SOURCE, b"request", at(1));
            let validated = limit.end_waiting(&uri(1), source, at(seconds));
            let validated = validated.expect("it waited");
            assert!(validated.request.is_none(), "{source} {seconds}");
        }
    }
}
