//! Changes of members with their reasons, as an instance tells them to the tool of an operator.
//!
//! `[reached, lost, [[version, time, uri, old status, old incarnation, status, incarnation, payload changed, why,
//! reason], …]]`. The time is in µs since 1970; a status of 0 is that of a member that is not in the table. Reasons are
//! texts, so that the tool can show those of later versions.

use rmp::encode as msgpack;

use super::encode::infallible;
use super::trailer::{array, is_true, text, unsigned};
use crate::identity::uri::Uri;
use crate::table::claim::{Claim, Incarnation, Status};
use crate::table::history::{Change, Excerpt};
use crate::time::Micros;
use crate::wire::Extension;
use crate::wire::msgpack::{Head, Reader};

/// How long the text of a reason may be: nine relays with the URIs of a usual network. Longer ones are cut off, so that
/// each change fits into a datagram.
const REASON_SIZE_MAX: usize = 400;

/// What is around the changes: two arrays, a number and a flag.
const FRAME_SIZE: usize = 1 + 9 + 1 + 5;

/// Some of the history of an instance.
#[derive(Debug, PartialEq, Eq)]
pub struct ToldHistory {
    /// How far it reaches: what to ask with the next time.
    pub reached: u64,
    /// Some changes that belong here are missing.
    pub lost: bool,
    /// The changes, the oldest first.
    pub changes: Vec<ToldChange>,
}

/// A change, as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldChange {
    /// The version that the table of the instance has because of it.
    pub number: u64,
    /// When the instance noticed it, by its wall clock.
    pub time: Micros,
    /// The member.
    pub uri: Uri,
    /// What was held of it, if it was known.
    pub before: Option<Claim>,
    /// What is held of it, if it is known.
    pub after: Option<Claim>,
    /// It was known, and its payload is another.
    pub has_new_payload: bool,
    /// A word for the reason.
    pub why: String,
    /// The reason, for people.
    pub reason: String,
}

/// The first of these changes that fit into so many bytes.
pub(crate) fn encode_history(excerpt: &Excerpt, capacity: usize) -> Vec<u8> {
    let (mut reached, mut lost) = (excerpt.reached, excerpt.lost);
    let (mut told, mut count) = (Vec::new(), 0);
    let mut last = None;
    for change in &excerpt.changes {
        let before = told.len();
        write_change(&mut told, change);
        if FRAME_SIZE + told.len() > capacity {
            told.truncate(before);
            // One that fits into no datagram is left out: the reader is to get beyond it.
            reached = last.unwrap_or(change.number);
            lost |= last.is_none();
            break;
        }
        last = Some(change.number);
        count += 1;
    }
    let mut out = Vec::with_capacity(FRAME_SIZE + told.len());
    infallible(msgpack::write_array_len(&mut out, 3));
    infallible(msgpack::write_uint(&mut out, reached));
    infallible(msgpack::write_bool(&mut out, lost));
    infallible(msgpack::write_array_len(&mut out, count));
    out.append(&mut told);
    out
}

fn write_change(out: &mut Vec<u8>, change: &Change) {
    infallible(msgpack::write_array_len(out, 10));
    infallible(msgpack::write_uint(out, change.number));
    infallible(msgpack::write_uint(out, change.at.wall.0));
    infallible(msgpack::write_str(out, &change.uri));
    for claim in [change.before, change.after] {
        let (status, incarnation) = match claim {
            Some(claim) => (claim.status.number(), claim.incarnation.get()),
            None => (0, 0),
        };
        infallible(msgpack::write_uint(out, status.into()));
        infallible(msgpack::write_uint(out, incarnation));
    }
    infallible(msgpack::write_bool(out, change.has_new_payload));
    infallible(msgpack::write_str(out, change.reason.name()));
    let reason = change.reason.to_string();
    infallible(msgpack::write_str(out, cut(&reason)));
}

/// The text, or the beginning of it.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(REASON_SIZE_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A question for changes.
pub(super) fn history_since(value: &[u8]) -> Option<Extension> {
    let since = match Reader::new(value).head() {
        Ok(Head::Nil) => None,
        _ => Some(unsigned(value)?),
    };
    Some(Extension::HistorySince(since))
}

/// Reads what an instance has told; `None` if it makes no sense.
pub fn decode_history(bytes: &[u8]) -> Option<ToldHistory> {
    let [reached, lost, told] = array(bytes)?;
    let mut reader = Reader::new(told);
    let Ok(Head::Array(count)) = reader.head() else {
        return None;
    };
    let mut changes = Vec::new();
    for _ in 0..count {
        changes.push(change(reader.value().ok()?)?);
    }
    Some(ToldHistory {
        reached: unsigned(reached)?,
        lost: is_true(lost),
        changes,
    })
}

fn change(value: &[u8]) -> Option<ToldChange> {
    let [
        number,
        time,
        uri,
        old_status,
        old_incarnation,
        status,
        incarnation,
        has_new_payload,
        why,
        reason,
    ] = array(value)?;
    Some(ToldChange {
        number: unsigned(number)?,
        time: Micros(unsigned(time)?),
        uri: Uri::from_wire(core::str::from_utf8(text(uri)?).ok()?)?,
        before: claim(old_status, old_incarnation)?,
        after: claim(status, incarnation)?,
        has_new_payload: is_true(has_new_payload),
        why: owned(why)?,
        reason: owned(reason)?,
    })
}

/// A claim, or that there is none.
fn claim(status: &[u8], incarnation: &[u8]) -> Option<Option<Claim>> {
    let status = unsigned(status)?;
    if status == 0 {
        return Some(None);
    }
    Some(Some(Claim {
        incarnation: Incarnation::from_wire(unsigned(incarnation)?)?,
        status: Status::from_number(status)?,
    }))
}

fn owned(value: &[u8]) -> Option<String> {
    let text = core::str::from_utf8(text(value)?).ok()?;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::reason::Reason;
    use crate::time::Now;

    fn excerpt(host: &str, count: u64) -> Excerpt {
        let uri = |port: u16| Uri::new(host, port).expect("a URI");
        let relays: Vec<Uri> = (2..20).map(uri).collect();
        let mut changes = Vec::new();
        for number in 1..=count {
            let claim = Claim::alive(Incarnation::FIRST);
            changes.push(Change {
                number,
                at: Now {
                    wall: Micros(1_795_372_926_000_000),
                    ..Now::default()
                },
                uri: uri(1),
                before: Some(claim),
                after: (number % 2 == 0).then(|| claim.with(Status::Suspect)),
                has_new_payload: number % 2 == 0,
                reason: Reason::probe_failed(&relays),
            });
        }
        Excerpt {
            reached: count + 5,
            lost: false,
            changes,
        }
    }

    #[test]
    fn what_is_told_in_several_datagrams_is_all_that_there_is_and_in_order() {
        let excerpt = excerpt("a", 20);
        let (mut told, mut reached) = (Vec::new(), 0);
        for _datagram in 0..20 {
            let left: Vec<Change> = excerpt
                .changes
                .iter()
                .filter(|change| change.number > reached)
                .cloned()
                .collect();
            let rest = Excerpt {
                changes: left,
                ..excerpt
            };
            let bytes = encode_history(&rest, 1200);
            assert!(bytes.len() <= 1200);
            let part = decode_history(&bytes).expect("it is understood");
            assert!(!part.lost && part.reached > reached);
            told.extend(part.changes);
            reached = part.reached;
            if reached == excerpt.reached {
                break;
            }
        }
        assert_eq!((told.len(), reached), (20, 25));
        for (told, change) in told.iter().zip(&excerpt.changes) {
            assert_eq!((told.before, told.after), (change.before, change.after));
            assert_eq!(told.has_new_payload, change.has_new_payload);
            assert_eq!((&told.uri, told.time), (&change.uri, change.at.wall));
            assert_eq!(told.why, "probe_failed");
            assert_eq!(told.reason, change.reason.to_string());
        }
    }

    #[test]
    fn the_longest_change_fits_into_a_datagram_and_one_that_does_not_is_lost() {
        let excerpt = excerpt(&"h".repeat(249), 2);
        let part = decode_history(&encode_history(&excerpt, 1200)).expect("it is understood");
        assert_eq!((part.changes.len(), part.reached, part.lost), (1, 1, false));
        assert_eq!(part.changes[0].reason.len(), REASON_SIZE_MAX);
        let part = decode_history(&encode_history(&excerpt, 100)).expect("it is understood");
        assert_eq!((part.changes.len(), part.reached, part.lost), (0, 1, true));
    }

    #[test]
    fn what_was_cut_off_or_damaged_makes_no_sense_and_no_harm() {
        let bytes = encode_history(&excerpt("a", 3), 1200);
        for length in 0..bytes.len() {
            assert_eq!(decode_history(&bytes[..length]), None);
        }
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 0xff;
            let _whatever = decode_history(&damaged);
        }
        let endless = b"\x93\x01\xc2\xdd\xff\xff\xff\xff";
        assert_eq!(decode_history(endless), None);
    }
}
