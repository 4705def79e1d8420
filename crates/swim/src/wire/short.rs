//! The short form, in which native members speak to each other.
//!
//! Two idle members that agree would spend two thirds of their bytes on names. What is left out here follows from
//! what both know: the sender of an ACK from its cookie, all other names from a *pair id*, and the label of the group
//! too.
//!
//! | bytes | part | in |
//! |---|---|---|
//! | 1 | the bits `01`, what else there is, and the type | all |
//! | 4 | pair id, see [`pair_id`] | PING, LEAVE |
//! | 8 | cookie | PING |
//! | 6 | when it was sent, in units of 16 µs: enough until the year 2112 | PING |
//! | 6 | the low bits of the cookie, by which the asker knows the question | ACK |
//! | 6 | the low bits of when it was answered, in µs | ACK |
//! | | an array of records: events without a `ttl` | where there are any |
//! | 8 | digest | where the trailer would have it |
//! | | the rest of the trailer | where there is any |
//!
//! Numbers are big-endian. The first byte is a small integer in MessagePack, so peers on membership 2.x do not take
//! a datagram like this for a message, and none of theirs looks like it. Unless it is authenticated a
//! [checksum](super::checksummed) of four bytes follows.

use xxhash_rust::xxh3::xxh3_64;

use super::decode::{decode, list};
use super::{Body, DropReason, Event, Message, PingData, Trailer};
use crate::identity::uri::Uri;
use crate::time::Micros;
use crate::wire::msgpack::Reader;

/// The highest bits of the first byte.
const MARK: u8 = 0b0100_0000;
const MARK_MASK: u8 = 0b1100_0000;

/// There is a digest.
const DIGEST: u8 = 0b0000_1000;
/// There are statements.
const STATEMENTS: u8 = 0b0001_0000;
/// There is a trailer.
const TRAILER: u8 = 0b0010_0000;
/// The type.
const TYPE_MASK: u8 = 0b0000_0111;

/// A trailer with nothing in it.
const NO_TRAILER: &[u8] = &[0x80];

/// How many bits of a cookie come back.
const COOKIE_BITS: u32 = 48;

/// How many bits of a time come back.
const TIME_BITS: u32 = 48;

/// A PING tells its time in units of so many bits of a µs.
const SENT_SHIFT: u32 = 4;

/// What a message in the short form is, and what belongs to its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortHead {
    /// "Are you there?"
    Ping {
        /// Who asks whom.
        pair: u32,
        /// What the answer repeats.
        cookie: u64,
        /// When it was asked, by the clock of the sender, in µs; the last four bits are lost.
        sent: u64,
    },
    /// "Yes."
    Ack {
        /// The low bits of the cookie of the PING.
        cookie: u64,
        /// The low bits of when it was answered, by the clock of the sender, in µs.
        answered: u64,
    },
    /// Events, and nothing to do but to hear them.
    Leave {
        /// Who speaks to whom.
        pair: u32,
    },
}

/// A message in the short form, as far as it is understood by itself.
#[derive(Clone, Debug)]
pub struct Short<'a> {
    /// What it is.
    pub head: ShortHead,
    events: Vec<Event<'a>>,
    skipped: usize,
    trailer: Trailer,
}

/// What the names in a message in the short form are.
#[derive(Clone, Debug)]
pub struct Names {
    /// The sender.
    pub sender: Uri,
    /// The recipient.
    pub recipient: Uri,
    /// Of an ACK, when the question was asked.
    pub asked: Option<u64>,
    /// Of an ACK, the whole cookie of the question.
    pub cookie: Option<u64>,
}

/// Says who speaks to whom, in which group: to be taken apart by the recipient, who knows its own part.
///
/// `sender` is the hash of the URI of the sender, by which tables have their buckets.
pub fn pair_id(sender: u64, recipient: &str, label: &[u8]) -> u32 {
    // A URI has no zero byte.
    let recipient = xxh3_64(&[recipient.as_bytes(), &[0], label].concat());
    (sender ^ recipient.rotate_left(32)) as u32
}

/// The low bits of a cookie, as they come back.
pub const fn cookie_echo(cookie: u64) -> u64 {
    cookie & low(COOKIE_BITS)
}

const fn low(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// Whether a message is in the short form, by its first byte.
pub const fn is_short(plain: &[u8]) -> bool {
    matches!(plain.first(), Some(first) if *first & MARK_MASK == MARK)
}

impl ShortHead {
    /// Its bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match *self {
            Self::Ping { pair, cookie, sent } => {
                out.push(MARK);
                out.extend(pair.to_be_bytes());
                out.extend(cookie.to_be_bytes());
                out.extend(&(sent >> SENT_SHIFT).to_be_bytes()[2..]);
            }
            Self::Ack { cookie, answered } => {
                out.push(MARK | 1);
                out.extend(&cookie.to_be_bytes()[2..]);
                out.extend(&answered.to_be_bytes()[2..]);
            }
            Self::Leave { pair } => {
                out.push(MARK | 2);
                out.extend(pair.to_be_bytes());
            }
        }
        out
    }
}

/// Says in the first byte of `message` that it has statements.
pub(super) fn mark_statements(message: &mut [u8]) {
    message[0] |= STATEMENTS;
}

/// Says in the first byte of `message` what `trailer` has, and returns the bytes of that. The group needs no label:
/// the pair id has it.
pub(super) fn encode_trailer(message: &mut [u8], trailer: &Trailer) -> Vec<u8> {
    let mut out = Vec::new();
    message[0] &= !(DIGEST | TRAILER);
    if let Some(digest) = trailer.digest {
        message[0] |= DIGEST;
        out.extend(digest.to_be_bytes());
    }
    let rest = Trailer {
        digest: None,
        label: Vec::new(),
        reads_short: false,
        ..trailer.clone()
    }
    .encode();
    if rest != NO_TRAILER {
        message[0] |= TRAILER;
        out.extend(rest);
    }
    out
}

/// Takes a message in the short form apart, without its checksum.
pub fn decode_short(plain: &[u8]) -> Result<Short<'_>, DropReason> {
    let (first, mut rest) = plain.split_first().ok_or(DropReason::NotMsgpack)?;
    if first & MARK_MASK != MARK {
        return Err(DropReason::NotAMessage);
    }
    let rest = &mut rest;
    let head = match first & TYPE_MASK {
        0 => ShortHead::Ping {
            pair: number::<4>(rest)? as u32,
            cookie: number::<8>(rest)?,
            sent: number::<6>(rest)? << SENT_SHIFT,
        },
        1 => ShortHead::Ack {
            cookie: number::<6>(rest)?,
            answered: number::<6>(rest)?,
        },
        2 => ShortHead::Leave {
            pair: number::<4>(rest)? as u32,
        },
        _ => return Err(DropReason::Type),
    };
    let (mut events, mut skipped) = (Vec::new(), 0);
    if first & STATEMENTS != 0 {
        let mut reader = Reader::new(rest);
        let value = reader.value()?;
        *rest = reader.rest();
        events = list(value, &mut skipped).ok_or(DropReason::Data)?;
    }
    let digest = if first & DIGEST != 0 {
        Some(number::<8>(rest)?)
    } else {
        None
    };
    let mut trailer = Trailer::default();
    if first & TRAILER != 0 {
        (trailer, *rest) = Trailer::decode(rest).ok_or(DropReason::Corrupt)?;
    }
    if !rest.is_empty() {
        return Err(DropReason::Corrupt);
    }
    // Who speaks like this understands it.
    (trailer.digest, trailer.reads_short) = (digest, true);
    Ok(Short {
        head,
        events,
        skipped,
        trailer,
    })
}

/// The number in the next bytes.
fn number<const SIZE: usize>(rest: &mut &[u8]) -> Result<u64, DropReason> {
    let (bytes, behind) = rest
        .split_first_chunk::<SIZE>()
        .ok_or(DropReason::NotMsgpack)?;
    *rest = behind;
    Ok(bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// Takes a message in either form apart, as one who knows who speaks to whom.
pub fn decode_named<'a>(plain: &'a [u8], names: &'a Names) -> Result<Message<'a>, DropReason> {
    if !is_short(plain) {
        return decode(plain);
    }
    Ok(decode_short(plain)?.named(names, b"", Micros::default()))
}

impl Names {
    /// Those of a message of `sender` to `recipient`.
    pub const fn between(sender: Uri, recipient: Uri) -> Self {
        Self {
            sender,
            recipient,
            asked: None,
            cookie: None,
        }
    }
}

impl<'a> Short<'a> {
    /// The message, with its names. `label` is that of the group, which the pair id has confirmed.
    pub fn named(self, names: &'a Names, label: &[u8], now: Micros) -> Message<'a> {
        let Names {
            sender,
            recipient,
            asked,
            cookie,
        } = names;
        let body = match self.head {
            ShortHead::Ping { cookie, sent, .. } => Body::Ping(PingData {
                ts: Some(sent),
                src: Some(sender),
                dst: Some(recipient),
                cookie: Some(cookie),
                is_short: true,
                ..PingData::default()
            }),
            ShortHead::Ack { answered, .. } => Body::Ack(PingData {
                ts: *asked,
                ats: Some(nearest(answered, now) as f64),
                src: Some(recipient),
                dst: Some(sender),
                cookie: *cookie,
                is_short: true,
                ..PingData::default()
            }),
            ShortHead::Leave { .. } => Body::Leave,
        };
        Message {
            sender: sender.into(),
            body,
            events: self.events,
            skipped: self.skipped,
            trailer: Some(Trailer {
                label: label.to_vec(),
                ..self.trailer
            }),
        }
    }
}

/// The time with these low bits that is nearest to `now`. The clocks of two members are not years apart.
const fn nearest(bits: u64, now: Micros) -> u64 {
    let span = 1 << TIME_BITS;
    let ahead = bits.wrapping_sub(now.0) & low(TIME_BITS);
    if ahead < span / 2 {
        now.0.wrapping_add(ahead)
    } else {
        now.0.wrapping_add(ahead).wrapping_sub(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::claim::{Claim, Incarnation};
    use crate::table::digest::hash_of;
    use crate::wire::{MessageBuilder, Statement, checked_short, checksummed};

    const LABEL: &[u8] = b"";
    const COOKIE: u64 = 0x8123_4567_89ab_cdef;
    const SENT: u64 = 1_790_000_000_123_456;

    fn uri(text: &str) -> Uri {
        Uri::from_wire(text).unwrap()
    }

    fn names() -> Names {
        Names {
            asked: Some(SENT),
            cookie: Some(COOKIE),
            ..Names::between(uri("a:1"), uri("b:1"))
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn pair() -> u32 {
        pair_id(hash_of("a:1"), "b:1", LABEL)
    }

    /// One of each type, with and without what may be left out.
    fn examples() -> Vec<(&'static str, Vec<u8>)> {
        let (digest, plain) = (Some(0x0102_0304_0506_0708), Trailer::default());
        let showing = Trailer {
            digest,
            ..Trailer::default()
        };
        let full = Trailer {
            padding: 2,
            label: b"is left out".to_vec(),
            ..showing.clone()
        };
        let ping = ShortHead::Ping {
            pair: pair(),
            cookie: COOKIE,
            sent: SENT,
        };
        let ack = ShortHead::Ack {
            cookie: cookie_echo(COOKIE),
            answered: SENT,
        };
        let leave = ShortHead::Leave { pair: pair() };
        let mut examples = Vec::new();
        for (name, head, trailer, has_event) in [
            ("PING", ping, &showing, false),
            ("ACK", ack, &plain, false),
            ("ACK with a digest", ack, &showing, false),
            ("LEAVE with an event", leave, &showing, true),
            ("PING with an event and a trailer", ping, &full, true),
        ] {
            let mut draft = MessageBuilder::short(head, 1000).trailed_by(trailer);
            if has_event {
                let told = Statement {
                    uri: &uri("c:1"),
                    claim: Claim::alive(Incarnation::FIRST),
                    payload: None,
                    reads_short: true,
                };
                assert!(draft.event_of(&told, 7));
            }
            examples.push((name, checksummed(draft.finish().unwrap())));
        }
        examples
    }

    #[test]
    fn every_type_looks_as_it_is_recorded() {
        let recorded = include_str!("../../../../test/vectors/short.jsonl");
        let mut made = String::new();
        for (name, datagram) in examples() {
            made += &format!(
                "{{\"name\": \"{name}\", \"hex\": \"{}\"}}\n",
                hex(&datagram)
            );
        }
        assert_eq!(made, recorded);
    }

    #[test]
    fn what_is_left_out_is_found_again() {
        let names = names();
        for (name, datagram) in examples() {
            let plain = checked_short(&datagram).unwrap();
            let short = decode_short(plain).unwrap();
            if let ShortHead::Ping { pair, .. } | ShortHead::Leave { pair } = short.head {
                let sender = pair ^ pair_id(0, "b:1", LABEL);
                assert_eq!(sender, hash_of("a:1") as u32, "{name}");
                assert_ne!(pair, pair_id(hash_of("a:1"), "c:1", LABEL), "for another");
                assert_ne!(
                    pair,
                    pair_id(hash_of("a:1"), "b:1", b"x"),
                    "of another group"
                );
            }
            let message = short.named(&names, LABEL, Micros(SENT + 5_000_000));
            assert_eq!(message.sender.as_str(), "a:1");
            match &message.body {
                Body::Ping(ping) => {
                    assert_eq!((ping.src, ping.dst), (Some("a:1"), Some("b:1")));
                    assert_eq!(ping.cookie, Some(COOKIE));
                    assert_eq!(ping.ts, Some(SENT / 16 * 16));
                }
                Body::Ack(ack) => {
                    assert_eq!((ack.src, ack.dst), (Some("b:1"), Some("a:1")));
                    assert_eq!((ack.ts, ack.cookie), (Some(SENT), Some(COOKIE)));
                    assert_eq!(ack.ats, Some(SENT as f64));
                }
                _ => {}
            }
            for event in &message.events {
                assert_eq!((event.uri.as_str(), event.reads_short), ("c:1", true));
            }
            assert_eq!(!message.events.is_empty(), name.contains("event"));
        }
    }

    #[test]
    fn a_flipped_bit_or_a_missing_byte_shows() {
        for (name, datagram) in examples() {
            for bit in 0..8 * datagram.len() {
                let mut flipped = datagram.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(checked_short(&flipped), None, "{name}: {bit}");
                assert!(decode(&flipped).is_err(), "{name}: {bit}");
            }
            for size in 0..datagram.len() {
                assert_eq!(checked_short(&datagram[..size]), None, "{name}: {size}");
            }
        }
    }

    #[test]
    fn a_time_is_the_one_that_is_nearest() {
        let year = 365 * 24 * 3600 * 1_000_000_u64;
        for time in [SENT - year, SENT, SENT + year] {
            assert_eq!(nearest(time & low(TIME_BITS), Micros(SENT)), time);
        }
    }
}
