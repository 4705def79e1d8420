//! A datagram in the making, which never grows over its limit.

use rmp::encode as msgpack;

use super::short::{encode_trailer, mark_statements};
use super::{ShortHead, Trailer};
use crate::identity::uri::Uri;
use crate::table::claim::Claim;
use crate::table::member::Member;
use crate::table::payload::Payload;
use crate::time::Micros;
use crate::wire::msgpack::{Head, Reader};

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// "Are you there?"
    Ping,
    /// "Yes."
    Ack,
    /// "This is what I know; what do you?"
    SyncReq,
    /// "This is what you did not know."
    SyncAck,
    /// Events, and nothing to do but to hear them.
    Leave,
}

impl MessageType {
    /// All of them, for counting.
    pub const ALL: [Self; 5] = [
        Self::Ping,
        Self::Ack,
        Self::SyncReq,
        Self::SyncAck,
        Self::Leave,
    ];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ping => "PING",
            Self::Ack => "ACK",
            Self::SyncReq => "SYNC_REQ",
            Self::SyncAck => "SYNC_ACK",
            Self::Leave => "LEAVE",
        }
    }
}

/// A datagram in the making: statements are added while they fit.
#[derive(Debug)]
pub struct MessageBuilder {
    head: Vec<u8>,
    items: Vec<u8>,
    count: u32,
    tail: &'static [u8],
    trailer: Vec<u8>,
    limit: usize,
    /// How large one statement may make the message that alone is too large for `limit`.
    limit_of_one: usize,
    is_short: bool,
}

/// What is said of one member.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// The member.
    pub uri: &'a Uri,
    /// What is claimed of it.
    pub claim: Claim,
    /// Its payload, if it is to be told.
    pub payload: Option<&'a Payload>,
    /// Whether it has said that it reads the short form.
    pub reads_short: bool,
}

/// How much room is made for statements at once, in bytes: as much as a datagram has by default.
const ITEMS_SIZE_USUAL: usize = 1472;

/// `[]`: the events of a sync.
const NO_EVENTS: &[u8] = &[0x90];

/// `nil`: the data of a LEAVE.
const NO_DATA: &[u8] = &[0xc0];

impl MessageBuilder {
    /// A message whose statements are events: PING and ACK with their `data`.
    pub fn with_data(kind: MessageType, sender: &Uri, data: &[u8], limit: usize) -> Self {
        let mut draft = Self::new(kind, sender, &[], limit);
        draft.head.extend_from_slice(data);
        draft
    }

    /// A message that consists of events.
    pub fn leave(sender: &Uri, limit: usize) -> Self {
        Self::with_data(MessageType::Leave, sender, NO_DATA, limit)
    }

    /// A message whose statements are the records of a table.
    pub fn sync(kind: MessageType, sender: &Uri, limit: usize) -> Self {
        Self::new(kind, sender, NO_EVENTS, limit)
    }

    fn new(kind: MessageType, sender: &Uri, tail: &'static [u8], limit: usize) -> Self {
        let mut head = Vec::with_capacity(256);
        infallible(msgpack::write_array_len(&mut head, 4));
        infallible(msgpack::write_str(&mut head, sender));
        infallible(msgpack::write_str(&mut head, kind.name()));
        Self {
            head,
            items: Vec::new(),
            count: 0,
            tail,
            trailer: Vec::new(),
            limit,
            limit_of_one: limit,
            is_short: false,
        }
    }

    /// A message in the short form, whose statements are events.
    pub fn short(head: ShortHead, limit: usize) -> Self {
        Self {
            head: head.encode(),
            items: Vec::new(),
            count: 0,
            tail: &[],
            trailer: Vec::new(),
            limit,
            limit_of_one: limit,
            is_short: true,
        }
    }

    /// Puts a trailer behind the message, in place of any that was there.
    #[must_use]
    pub fn trailed_by(mut self, trailer: &Trailer) -> Self {
        self.trailer = if self.is_short {
            encode_trailer(&mut self.head, trailer)
        } else {
            trailer.encode()
        };
        self
    }

    /// Lets a statement that fits no message of the usual limit make this one as large as `limit`: it is
    /// to be sent in pieces.
    #[must_use]
    pub fn stretched_to(mut self, limit: usize) -> Self {
        self.limit_of_one = self.limit.max(limit);
        self
    }

    /// Keeps the message within `limit` from now on, or within its present size if that is more.
    #[must_use]
    pub fn limited_to(mut self, limit: usize) -> Self {
        self.limit = self.limit.min(limit.max(self.size()));
        self.limit_of_one = self.limit;
        self
    }

    /// Adds an event if it fits into the message, however large it makes it, and says whether it did.
    #[must_use]
    pub fn essential_event(&mut self, told: &Statement<'_>, ttl: u32) -> bool {
        let usual = core::mem::replace(&mut self.limit, self.limit_of_one);
        let fits = self.event_of(told, ttl);
        self.limit = usual;
        fits
    }

    /// Adds an event if it fits, and says whether it did.
    #[must_use]
    pub fn event(&mut self, uri: &Uri, claim: Claim, payload: Option<&Payload>, ttl: u32) -> bool {
        self.item(&Statement::new(uri, claim, payload), Some(ttl))
    }

    /// The same.
    #[must_use]
    pub fn event_of(&mut self, told: &Statement<'_>, ttl: u32) -> bool {
        self.item(told, Some(ttl))
    }

    /// Adds a record if it fits, and says whether it did.
    #[must_use]
    pub fn record(&mut self, uri: &Uri, claim: Claim, payload: Option<&Payload>) -> bool {
        self.item(&Statement::new(uri, claim, payload), None)
    }

    /// The same.
    #[must_use]
    pub fn record_of(&mut self, told: &Statement<'_>) -> bool {
        self.item(told, None)
    }

    fn item(&mut self, told: &Statement<'_>, ttl: Option<u32>) -> bool {
        let Statement {
            uri,
            claim,
            payload,
            reads_short,
        } = *told;
        // Only peers on membership 2.x look at it.
        let ttl = if self.is_short { None } else { ttl };
        let before = self.items.len();
        // Many messages have no statement at all, so room is made with the first.
        if before == 0 {
            self.items.reserve(self.limit.min(ITEMS_SIZE_USUAL));
        }
        let out = &mut self.items;
        infallible(msgpack::write_array_len(
            out,
            4 + u32::from(ttl.is_some()) + u32::from(reads_short),
        ));
        infallible(msgpack::write_str(out, uri));
        infallible(msgpack::write_uint(out, claim.status.number().into()));
        infallible(msgpack::write_uint(out, claim.incarnation.get()));
        out.extend_from_slice(match payload {
            Some(payload) => payload.bytes(),
            None => NO_DATA,
        });
        if let Some(ttl) = ttl {
            infallible(msgpack::write_uint(out, ttl.into()));
        }
        if reads_short {
            out.extend_from_slice(TRUE);
        }
        self.count += 1;
        let alone = self.items.len() - before + self.size_of_frame();
        let limit = if alone > self.limit {
            self.limit_of_one
        } else {
            self.limit
        };
        let fits = self.size() <= limit;
        if !fits {
            self.items.truncate(before);
            self.count -= 1;
        }
        fits
    }

    /// Whether nothing has been added.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes are left: less than an event takes means that it is full.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.size())
    }

    fn size(&self) -> usize {
        self.size_of_frame() - array_head_size(1) + array_head_size(self.count) + self.items.len()
    }

    /// What a message has around its statement, if that is one.
    fn size_of_frame(&self) -> usize {
        self.head.len() + array_head_size(1) + self.tail.len() + self.trailer.len()
    }

    /// The datagram, unless it is over the limit even without any statement.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        if self.size() > self.limit.max(self.limit_of_one) {
            return None;
        }
        self.head.reserve_exact(self.size() - self.head.len());
        if self.is_short && self.count > 0 {
            mark_statements(&mut self.head);
        }
        if !self.is_short || self.count > 0 {
            infallible(msgpack::write_array_len(&mut self.head, self.count));
        }
        self.head.extend_from_slice(&self.items);
        self.head.extend_from_slice(self.tail);
        self.head.extend_from_slice(&self.trailer);
        Some(self.head)
    }
}

impl<'a> Statement<'a> {
    /// One that says nothing of forms.
    const fn new(uri: &'a Uri, claim: Claim, payload: Option<&'a Payload>) -> Self {
        Self {
            uri,
            claim,
            payload,
            reads_short: false,
        }
    }

    /// All that may be told of a member.
    pub fn of(member: &'a Member) -> Self {
        Self {
            uri: &member.uri,
            claim: member.claim,
            payload: member.current_payload(),
            reads_short: member.reads_short,
        }
    }
}

const fn array_head_size(count: u32) -> usize {
    match count {
        0..=15 => 1,
        16..=0xffff => 3,
        _ => 5,
    }
}

/// The data of a PING: which member asks for which, when, and what else an answer has to repeat.
pub fn ping_data(ts: u64, src: &Uri, dst: &Uri, cookie: Option<u64>) -> Vec<u8> {
    ping_map(0, ts, src, dst, cookie)
}

/// The data of a PING that asks for a fresh reading of the clock of `dst`.
pub fn clock_ping_data(ts: u64, src: &Uri, dst: &Uri, cookie: Option<u64>) -> Vec<u8> {
    let mut data = ping_map(1, ts, src, dst, cookie);
    data.extend_from_slice(CLK);
    data.extend_from_slice(TRUE);
    data
}

/// The map of a PING, which announces so many more pairs.
fn ping_map(more: u32, ts: u64, src: &Uri, dst: &Uri, cookie: Option<u64>) -> Vec<u8> {
    let mut data = Vec::with_capacity(48 + src.len() + dst.len());
    let pairs = 3 + u32::from(cookie.is_some()) + more;
    infallible(msgpack::write_map_len(&mut data, pairs));
    infallible(msgpack::write_str(&mut data, "ts"));
    infallible(msgpack::write_u64(&mut data, ts));
    infallible(msgpack::write_str(&mut data, "src"));
    infallible(msgpack::write_str(&mut data, src));
    infallible(msgpack::write_str(&mut data, "dst"));
    infallible(msgpack::write_str(&mut data, dst));
    if let Some(cookie) = cookie {
        infallible(msgpack::write_str(&mut data, "c"));
        infallible(msgpack::write_u64(&mut data, cookie));
    }
    data
}

/// The data of an ACK: that of the PING, with every key the asker put there, and the time. A wish for
/// a fresh reading is fulfilled by that: it would only take room from the payload.
pub fn ack_data(ping: &[u8], answered: Micros) -> Vec<u8> {
    let mut reader = Reader::new(ping);
    let Ok(Head::Map(count)) = reader.head() else {
        unreachable!("a decoded PING holds a map")
    };
    let mut pairs = Vec::with_capacity(ping.len());
    let mut kept = 0;
    for _ in 0..count {
        let (Ok(key), Ok(value)) = (reader.value(), reader.value()) else {
            break;
        };
        if key != ATS && key != CLK {
            pairs.extend_from_slice(key);
            pairs.extend_from_slice(value);
            kept += 1;
        }
    }
    let mut data = Vec::with_capacity(pairs.len() + 24);
    infallible(msgpack::write_map_len(&mut data, kept + 1));
    data.extend_from_slice(&pairs);
    data.extend_from_slice(ATS);
    infallible(msgpack::write_u64(&mut data, answered.0));
    data
}

/// The string "ats" in MessagePack.
const ATS: &[u8] = b"\xa3ats";

/// The string "clk" in MessagePack.
const CLK: &[u8] = b"\xa3clk";

/// What it is set to.
pub(super) const TRUE: &[u8] = b"\xc3";

/// Writing to memory cannot fail.
pub(super) fn infallible<T, E: core::fmt::Debug>(written: Result<T, E>) {
    written.expect("memory can be written to");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::claim::{Incarnation, Status};

    fn uri(text: &str) -> Uri {
        Uri::from_wire(text).unwrap()
    }

    /// "Growth by equal 11-byte events: 14, 15, 16, 17 events take 169, 180, 193, 204 bytes."
    #[test]
    fn the_sixteenth_event_costs_two_bytes_more() {
        let size = |events| {
            let mut draft = MessageBuilder::leave(&uri("a:1"), 2000);
            for _ in 0..events {
                assert!(draft.event(&uri("b:432"), Claim::alive(Incarnation::FIRST), None, 1));
            }
            draft.finish().unwrap().len()
        };
        let event = 11;
        assert_eq!(size(15) - size(14), event);
        assert_eq!(size(16) - size(15), event + 2);
        assert_eq!(size(17) - size(16), event);
    }

    #[test]
    fn a_statement_that_does_not_fit_leaves_the_draft_as_it_was() {
        let mut draft = MessageBuilder::leave(&uri("a:1"), 31);
        let claim = Claim {
            incarnation: Incarnation::FIRST,
            status: Status::Dead,
        };
        assert!(draft.event(&uri("b:1"), claim, None, 0));
        assert!(!draft.event(&uri("a-longer-name:1"), claim, None, 0));
        assert!(
            draft.event(&uri("c:1"), claim, None, 0),
            "a smaller one still goes in"
        );
        let datagram = draft.finish().unwrap();
        assert!(datagram.len() <= 31);
        assert_eq!(crate::wire::decode(&datagram).unwrap().events.len(), 2);
        assert!(MessageBuilder::leave(&uri("a:1"), 5).finish().is_none());
    }

    #[test]
    fn an_ack_keeps_every_key_of_the_ping() {
        let ping = b"\x84\xa2ts\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xa5extra\x91\xc0\xa3ats\x01\xa3dst\xa3b:1";
        let ack = ack_data(ping, Micros(7));
        let expected = b"\x84\xa2ts\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xa5extra\x91\xc0\xa3dst\xa3b:1\xa3ats\xcf\x00\x00\x00\x00\x00\x00\x00\x07";
        assert_eq!(ack, expected);
    }
}
