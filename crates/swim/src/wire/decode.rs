//! Bytes into a [`Message`]: lenient about what peers do, strict about what would poison a table.

use core::str;

use super::{CHECKSUM_SIZE, DropReason, MessageType, TRUE, Trailer, checked};
use crate::identity::uri::{Uri, UriRef};
use crate::table::claim::{Claim, Incarnation, Status};
use crate::table::payload::is_table;
use crate::wire::msgpack::{Head, Number, Reader};

/// A datagram, taken apart but not copied.
#[derive(Debug)]
pub struct Message<'a> {
    /// Where to answer to.
    pub sender: UriRef<'a>,
    /// What the sender wants.
    pub body: Body<'a>,
    /// What it tells on the way.
    pub events: Vec<Event<'a>>,
    /// How many events or records made no sense and were skipped.
    pub skipped: usize,
    /// What only a native peer would say.
    pub trailer: Option<Trailer>,
}

/// What the sender wants.
#[derive(Debug)]
pub enum Body<'a> {
    /// "Are you there?", or "is `dst` there?"
    Ping(PingData<'a>),
    /// "Yes", or "`dst` says yes".
    Ack(PingData<'a>),
    /// "This is what I know; what do you?"
    SyncReq(Vec<Event<'a>>),
    /// "This is what you did not know."
    SyncAck(Vec<Event<'a>>),
    /// Nothing: the events are all there is to it.
    Leave,
}

/// One statement about one member: an event, or a record of a sync.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    /// The member that it is about.
    pub uri: UriRef<'a>,
    /// What is said.
    pub claim: Claim,
    /// The member's payload, a map or array, when the teller knows it.
    pub payload: Option<&'a [u8]>,
    /// How often the teller wants it repeated. May be negative, and was `-inf` in the first datagram
    /// of every peer on membership 2.x; native members count for themselves, so it is not read.
    pub ttl: f64,
    /// The teller knows that the member reads the short form.
    pub reads_short: bool,
}

impl<'a> Event<'a> {
    /// An event that the local node makes up, without a payload.
    pub fn local(uri: &'a Uri, claim: Claim) -> Self {
        Self {
            uri: uri.into(),
            claim,
            payload: None,
            ttl: 0.0,
            reads_short: false,
        }
    }
}

/// The data of a PING and its ACK, which comes back as it was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct PingData<'a> {
    /// The whole map.
    pub raw: &'a [u8],
    /// When the question was asked, by the clock of `src`, in µs.
    pub ts: Option<u64>,
    /// When it was answered, by the clock of `dst`, in µs.
    pub ats: Option<f64>,
    /// The member that asked.
    pub src: Option<&'a str>,
    /// The member that is asked for.
    pub dst: Option<&'a str>,
    /// What an answer has to repeat: see `cookie`. Peers on membership 2.x ask without one.
    pub cookie: Option<u64>,
    /// The answer is to show the clock of the application as it is by then.
    pub wants_clock: bool,
    /// It came in the short form, and is answered in it.
    pub is_short: bool,
}

impl Body<'_> {
    /// The type of the message.
    pub const fn kind(&self) -> MessageType {
        match self {
            Self::Ping(_) => MessageType::Ping,
            Self::Ack(_) => MessageType::Ack,
            Self::SyncReq(_) => MessageType::SyncReq,
            Self::SyncAck(_) => MessageType::SyncAck,
            Self::Leave => MessageType::Leave,
        }
    }
}

/// Takes a decrypted datagram apart, with or without its checksum.
///
/// What is not understood in an event or record costs that one only, not the datagram: one garbled
/// record must not keep a member from answering a ping. What is behind the message is a trailer or
/// damaged: peers on membership 2.x put nothing there.
pub fn decode(datagram: &[u8]) -> Result<Message<'_>, DropReason> {
    let (message, rest) = decode_first(datagram)?;
    if rest.is_empty() {
        return Ok(message);
    }
    let (trailer, rest) = Trailer::decode(rest).ok_or(DropReason::Corrupt)?;
    let is_whole = match rest.len() {
        0 => true,
        CHECKSUM_SIZE => checked(datagram)?.is_some(),
        _ => false,
    };
    if !is_whole {
        return Err(DropReason::Corrupt);
    }
    Ok(Message {
        trailer: Some(trailer),
        ..message
    })
}

/// Takes the message at the start of a datagram apart, and returns what is behind it. Peers on
/// membership 2.x never look at that.
pub fn decode_first(datagram: &[u8]) -> Result<(Message<'_>, &[u8]), DropReason> {
    let mut reader = Reader::new(datagram);
    let Head::Array(4) = reader.head()? else {
        return Err(DropReason::NotAMessage);
    };
    let [sender, kind, data, events] = [
        reader.value()?,
        reader.value()?,
        reader.value()?,
        reader.value()?,
    ];
    let mut skipped = 0;
    let sender = identity(sender).ok_or(DropReason::Sender)?;
    let body = match text(kind) {
        Some("PING") => match echo(data) {
            // Without either there is no member to answer, or nothing to say.
            Some(ping) if ping.dst.is_some() && ping.src.is_some() => Body::Ping(ping),
            _ => return Err(DropReason::Data),
        },
        Some("ACK") => match echo(data) {
            Some(ack) if ack.src.is_some() => Body::Ack(ack),
            _ => return Err(DropReason::Data),
        },
        Some("SYNC_REQ") => Body::SyncReq(list(data, &mut skipped).ok_or(DropReason::Data)?),
        Some("SYNC_ACK") => Body::SyncAck(list(data, &mut skipped).ok_or(DropReason::Data)?),
        Some("LEAVE") => Body::Leave,
        _ => return Err(DropReason::Type),
    };
    // What a message asks for is answered even if its events are garbled as a whole.
    let events = list(events, &mut skipped).unwrap_or_default();
    let message = Message {
        sender,
        body,
        events,
        skipped,
        trailer: None,
    };
    Ok((message, reader.rest()))
}

pub(super) fn list<'a>(value: &'a [u8], skipped: &mut usize) -> Option<Vec<Event<'a>>> {
    let mut reader = Reader::new(value);
    // An empty Lua table may also have been encoded as an empty map.
    let (Ok(Head::Array(count)) | Ok(Head::Map(count @ 0))) = reader.head() else {
        return None;
    };
    // By the bytes that are there: the count may promise four billion.
    let mut events = Vec::with_capacity(count.min(value.len() / EVENT_SIZE_MIN));
    for _ in 0..count {
        let mut behind = reader.clone();
        match event(&mut reader) {
            Some(event) => events.push(event),
            None => {
                *skipped += 1;
                // Wherever it went wrong, the next one begins behind this one.
                behind.value().ok()?;
                reader = behind;
            }
        }
    }
    Some(events)
}

/// `["a:1", 1]` in MessagePack.
const EVENT_SIZE_MIN: usize = 6;

/// Reads an event whole; if it is garbled, some of it.
fn event<'a>(reader: &mut Reader<'a>) -> Option<Event<'a>> {
    let Ok(Head::Array(length @ 2..)) = reader.head() else {
        return None;
    };
    let uri = next_identity(reader)?;
    let status = Status::from_number(next_number(reader)?.unsigned()?)?;
    let incarnation = match length {
        2 => Incarnation::FIRST,
        _ => Incarnation::from_wire(next_number(reader)?.unsigned()?)?,
    };
    let claim = Claim {
        incarnation,
        status,
    };
    let mut payload = None;
    if length > 3 {
        let value = reader.value().ok()?;
        if is_table(value) {
            payload = Some(value);
        }
    }
    let (mut ttl, mut reads_short) = (0.0, false);
    for index in 4..length {
        let value = reader.value().ok()?;
        // A record has no `ttl` in front of it.
        reads_short |= index <= 5 && value == TRUE;
        if index == 4
            && let Some(number) = number(value)
        {
            ttl = number.float();
        }
    }
    Some(Event {
        uri,
        claim,
        payload,
        ttl,
        reads_short,
    })
}

fn echo(raw: &[u8]) -> Option<PingData<'_>> {
    let mut reader = Reader::new(raw);
    let Ok(Head::Map(pairs)) = reader.head() else {
        return None;
    };
    let mut echo = PingData {
        raw,
        ..PingData::default()
    };
    for _ in 0..pairs {
        let (key, value) = (reader.value().ok()?, reader.value().ok()?);
        match text(key) {
            Some("ts") => echo.ts = unsigned(value),
            Some("ats") => echo.ats = number(value).map(Number::float),
            // What is no URI is as good as missing: there is no member to answer.
            Some("src") => echo.src = identity(value).map(UriRef::as_str),
            Some("dst") => echo.dst = identity(value).map(UriRef::as_str),
            Some("c") => echo.cookie = unsigned(value),
            Some("clk") => echo.wants_clock = value == TRUE,
            _ => {}
        }
    }
    Some(echo)
}

fn text(value: &[u8]) -> Option<&str> {
    next_text(&mut Reader::new(value))
}

fn identity(value: &[u8]) -> Option<UriRef<'_>> {
    next_identity(&mut Reader::new(value))
}

fn number(value: &[u8]) -> Option<Number> {
    next_number(&mut Reader::new(value))
}

fn unsigned(value: &[u8]) -> Option<u64> {
    number(value)?.unsigned()
}

fn next_text<'a>(reader: &mut Reader<'a>) -> Option<&'a str> {
    let Ok(Head::Text(bytes)) = reader.head() else {
        return None;
    };
    str::from_utf8(bytes).ok()
}

fn next_identity<'a>(reader: &mut Reader<'a>) -> Option<UriRef<'a>> {
    UriRef::from_wire(next_text(reader)?)
}

fn next_number(reader: &mut Reader<'_>) -> Option<Number> {
    let Ok(Head::Number(number)) = reader.head() else {
        return None;
    };
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::checksummed;

    #[test]
    fn a_garbled_event_costs_itself_only() {
        let datagram = [
            &b"\x94\xa3a:1\xa5LEAVE\xc0\x97"[..],
            b"\x95\xa3b:1\x01\x05\xc0\x00",                             // fine
            b"\x95\x05\x01\x05\xc0\x00",                                // uri 5
            b"\x95\xa3c:1\x09\x05\xc0\x00",                             // status 9
            b"\x95\xa3d:1\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc0\x00", // incarnation 2^64 - 1
            b"\xc0",                                                    // no event at all
            b"\x92\xa3e:1\x03",                                         // short: incarnation 1
            b"\x96\xa3f:1\x01\xcb\x40\x1c\x00\x00\x00\x00\x00\x00\xa1x\xcb\xff\xf0\x00\x00\x00\x00\x00\x00\xc3",
        ]
        .concat();
        let message = decode(&datagram).unwrap();
        let seen: Vec<_> = message
            .events
            .iter()
            .map(|e| (e.uri.as_str(), e.claim.incarnation.get(), e.payload))
            .collect();
        assert_eq!(seen, [("b:1", 5, None), ("e:1", 1, None), ("f:1", 7, None)]);
        assert_eq!(message.skipped, 4);
        assert_eq!(message.events[2].ttl, f64::NEG_INFINITY);
    }

    #[test]
    fn what_is_behind_a_message_is_a_trailer_or_damage() {
        let message = &b"\x94\xa3a:1\xa5LEAVE\xc0\x90"[..];
        let with = |behind: &[u8]| [message, behind].concat();
        let trailed = with(b"\x81\x01\x05");
        let whole = checksummed(trailed.clone());
        for datagram in [&trailed, &whole] {
            let digest = decode(datagram).unwrap().trailer.unwrap().digest;
            assert_eq!(digest, Some(5));
        }
        assert_eq!(decode(message).unwrap().trailer, None, "an old peer's");
        for behind in [&b"\x90"[..], b"\x00", b"\x81\x01", b"\x80\x80", &whole] {
            assert_eq!(decode(&with(behind)).unwrap_err(), DropReason::Corrupt);
        }
    }

    #[test]
    fn each_way_to_be_malformed_has_its_name() {
        let rows: [(&[u8], DropReason); 10] = [
            (b"", DropReason::NotMsgpack),
            (b"\x94\xa3a:1\xa4PING", DropReason::NotMsgpack),
            (b"\x93\xa3a:1\xa4PING\x80", DropReason::NotAMessage),
            (b"\x01", DropReason::NotAMessage),
            (b"\x94\x05\xa4PING\x80\x90", DropReason::Sender),
            (b"\x94\xa3a:1\xa4PONG\x80\x90", DropReason::Type),
            (b"\x94\xa3a:1\xa4PING\xc0\x90", DropReason::Data),
            (
                b"\x94\xa3a:1\xa4PING\x81\xa3dst\xa3b:1\x90",
                DropReason::Data,
            ),
            (b"\x94\xa3a:1\xa3ACK\x80\x90", DropReason::Data),
            (b"\x94\xa3a:1\xa8SYNC_REQ\xc0\x90", DropReason::Data),
        ];
        for (datagram, reason) in rows {
            assert_eq!(decode(datagram).unwrap_err(), reason, "{datagram:x?}");
        }
    }
}
