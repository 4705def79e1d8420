//! What native peers tell each other, behind what peers on membership 2.x read.
//!
//! A second MessagePack value follows the message: a map with small integers for keys. Peers on
//! membership 2.x decode the first value and never look further, so it is invisible to them. Unknown
//! keys are skipped, so a later version can add some. The sender of a trailer is a native peer.
//!
//! | key | value | meaning |
//! |---|---|---|
//! | 1 | uint | the digest of its table |
//! | 2 | `[ts, dst]` | NACK: the port of `dst` is closed, as the relay sees it too |
//! | 3 | bin | compare: the sums of its buckets, 4 bytes each, big-endian |
//! | 4 | `[count, bin, last]` | these buckets differ, by their bits; the records here are of them |
//! | 5 | uint | the id of a key: what is sealed with it may be sent to the local node |
//! | 6 | bin | the label of its group |
//! | 7 | uint | why it announces itself as suspect: 1, its application hangs; 2, its address does not lead to it |
//! | 8 | true | the records here are of members that it has forgotten |
//! | 9 | `[id, index, count, bin]` | a piece of the message with this id: the one at `index`, of `count` |
//! | 10 | bin | padding: the datagram is to be as large as one that may not arrive |
//! | 11 | `[[uri, one, other], …]` | two processes use these URIs: one at one address, another at the other |
//! | 12 | true | it reads the short form |
//! | 20 | `[dst, incarnation]` | confirm: it gets no answer of `dst`, which is suspect at this incarnation |
//! | 21 | bin | the ids of the keys that it accepts, 4 bytes each; it sends with the first |
//! | 22 | true | the recipient is asked to tell its keys |
//! | 30 | uint or nil | the changes after this version of the table are asked for; nil: the version alone |
//! | 31 | bin | changes of its table, with their reasons: see `history` |

use rmp::encode as msgpack;

use super::duplicate::{Duplicate, duplicates, write_duplicates};
use super::encode::infallible;
use super::history::history_since;
use super::key_ids::{key_id, key_ids, write_key_ids};
use crate::detector::self_check::SelfSuspicion;
use crate::identity::uri::Uri;
use crate::security::seal::keyring::KeyId;
use crate::table::claim::Incarnation;
use crate::wire::buckets::{Buckets, is_bucket_count};
use crate::wire::msgpack::{Head, Reader};

/// What a native peer says to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trailer {
    /// The digest of the sender's table.
    pub digest: Option<u64>,
    /// What else there is to it.
    pub note: Option<Extension>,
    /// By the id of its key, that the sender also takes what is authenticated.
    pub offers: Option<KeyId>,
    /// The label of the sender's group; empty if it has none.
    pub label: Vec<u8>,
    /// Why the sender announces itself as suspect, if it does.
    pub self_suspicion: Option<SelfSuspicion>,
    /// The records here are of members that the sender has forgotten: tombstones.
    pub forgotten: bool,
    /// How many bytes of padding there are.
    pub padding: usize,
    /// URIs that two processes use, [`DUPLICATES_MAX`](super::DUPLICATES_MAX) at most.
    pub duplicates: Vec<Duplicate>,
    /// The sender reads the short form.
    pub reads_short: bool,
    /// The keys that the sender accepts, [`KEYS_MAX`](crate::security::seal::keyring::KEYS_MAX) at most; it sends with the first. Empty if it does not
    /// tell.
    pub keys: Vec<KeyId>,
    /// The recipient is asked to tell its keys.
    pub asks_keys: bool,
}

/// What only native peers understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// To the question asked at `ts` about `dst`: its port is closed, as the relay sees it too.
    Nack {
        /// When the question was asked.
        ts: u64,
        /// The member that it is about.
        dst: Uri,
    },
    /// "These are the sums of my buckets; what about yours?"
    Compare(Vec<u32>),
    /// "Our tables differ in these buckets, of which the records here are."
    Differ {
        /// Which buckets differ.
        buckets: Buckets,
        /// Whether no more records are coming for now.
        last: bool,
    },
    /// A piece of a message that is too large for the path.
    Piece(Piece),
    /// "I get no answer either."
    Confirm {
        /// The suspect.
        dst: Uri,
        /// At which incarnation.
        incarnation: Incarnation,
    },
    /// "What has changed in your table after this version, and why?" Without a version: "Which one do you have?"
    HistorySince(Option<u64>),
    /// The answer, to be read by [`decode_history`](super::decode_history).
    History(Vec<u8>),
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// By chance: all pieces of the message have the same.
    pub id: u32,
    /// Which one it is, from 0.
    pub index: u8,
    /// How many there are.
    pub count: u8,
    /// The bytes of the message.
    pub bytes: Vec<u8>,
}

impl Trailer {
    /// Its MessagePack.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16);
        let keys = u32::from(self.digest.is_some())
            + u32::from(self.note.is_some())
            + u32::from(self.offers.is_some())
            + u32::from(!self.label.is_empty())
            + u32::from(self.self_suspicion.is_some())
            + u32::from(self.forgotten)
            + u32::from(self.padding > 0)
            + u32::from(!self.duplicates.is_empty())
            + u32::from(self.reads_short)
            + u32::from(!self.keys.is_empty())
            + u32::from(self.asks_keys);
        infallible(msgpack::write_map_len(&mut out, keys));
        if let Some(digest) = self.digest {
            key(&mut out, 1);
            infallible(msgpack::write_u64(&mut out, digest));
        }
        if let Some(note) = &self.note {
            note.encode(&mut out);
        }
        if let Some(KeyId(id)) = self.offers {
            key(&mut out, 5);
            infallible(msgpack::write_u32(&mut out, u32::from_be_bytes(id)));
        }
        if !self.label.is_empty() {
            key(&mut out, 6);
            infallible(msgpack::write_bin(&mut out, &self.label));
        }
        if let Some(why) = self.self_suspicion {
            key(&mut out, 7);
            uint(
                &mut out,
                match why {
                    SelfSuspicion::Stalled => 1,
                    SelfSuspicion::Unreachable => 2,
                },
            );
        }
        if self.forgotten {
            key(&mut out, 8);
            infallible(msgpack::write_bool(&mut out, true));
        }
        if self.padding > 0 {
            key(&mut out, 10);
            infallible(msgpack::write_bin(&mut out, &vec![0; self.padding]));
        }
        if !self.duplicates.is_empty() {
            key(&mut out, 11);
            write_duplicates(&mut out, &self.duplicates);
        }
        if self.reads_short {
            key(&mut out, 12);
            infallible(msgpack::write_bool(&mut out, true));
        }
        if !self.keys.is_empty() {
            key(&mut out, 21);
            write_key_ids(&mut out, &self.keys);
        }
        if self.asks_keys {
            key(&mut out, 22);
            infallible(msgpack::write_bool(&mut out, true));
        }
        out
    }

    /// The same, but for the keys.
    pub fn without_keys(&self) -> Self {
        Self {
            keys: Vec::new(),
            ..self.clone()
        }
    }

    /// The trailer at the start of `rest`, and what is behind it; `None` if there is none.
    pub fn decode(rest: &[u8]) -> Option<(Self, &[u8])> {
        let mut reader = Reader::new(rest);
        let Ok(Head::Map(keys)) = reader.head() else {
            return None;
        };
        let mut trailer = Self::default();
        for _ in 0..keys {
            let (key, value) = (reader.value().ok()?, reader.value().ok()?);
            // A key of another type was damaged: no version has such.
            match unsigned(key)? {
                1 => trailer.digest = unsigned(value),
                2 => trailer.note = nack(value),
                3 => trailer.note = compare(value),
                4 => trailer.note = differ(value),
                5 => trailer.offers = key_id(value),
                6 => trailer.label = text(value)?.to_vec(),
                7 => trailer.self_suspicion = self_suspicion(value),
                8 => trailer.forgotten = is_true(value),
                9 => trailer.note = piece(value),
                10 => trailer.padding = text(value)?.len(),
                11 => trailer.duplicates = duplicates(value),
                12 => trailer.reads_short = is_true(value),
                20 => trailer.note = confirm(value),
                21 => trailer.keys = key_ids(value),
                22 => trailer.asks_keys = is_true(value),
                30 => trailer.note = history_since(value),
                31 => trailer.note = Some(Extension::History(text(value)?.to_vec())),
                _unknown => {}
            }
        }
        Some((trailer, reader.rest()))
    }
}

impl Extension {
    /// Its key and its value.
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nack { ts, dst } => {
                key(out, 2);
                infallible(msgpack::write_array_len(out, 2));
                infallible(msgpack::write_u64(out, *ts));
                infallible(msgpack::write_str(out, dst));
            }
            Self::Compare(sums) => {
                key(out, 3);
                let mut bytes = Vec::with_capacity(4 * sums.len());
                for sum in sums {
                    bytes.extend(sum.to_be_bytes());
                }
                infallible(msgpack::write_bin(out, &bytes));
            }
            Self::Differ { buckets, last } => {
                key(out, 4);
                infallible(msgpack::write_array_len(out, 3));
                uint(out, buckets.count() as u64);
                infallible(msgpack::write_bin(out, &buckets.bits));
                infallible(msgpack::write_bool(out, *last));
            }
            Self::Piece(piece) => {
                key(out, 9);
                infallible(msgpack::write_array_len(out, 4));
                uint(out, piece.id.into());
                uint(out, piece.index.into());
                uint(out, piece.count.into());
                infallible(msgpack::write_bin(out, &piece.bytes));
            }
            Self::Confirm { dst, incarnation } => {
                key(out, 20);
                infallible(msgpack::write_array_len(out, 2));
                infallible(msgpack::write_str(out, dst));
                uint(out, incarnation.get());
            }
            Self::HistorySince(since) => {
                key(out, 30);
                match since {
                    Some(since) => uint(out, *since),
                    None => infallible(msgpack::write_nil(out)),
                }
            }
            Self::History(bytes) => {
                key(out, 31);
                infallible(msgpack::write_bin(out, bytes));
            }
        }
    }
}

fn key(out: &mut Vec<u8>, key: u8) {
    uint(out, key.into());
}

fn uint(out: &mut Vec<u8>, value: u64) {
    infallible(msgpack::write_uint(out, value));
}

pub(super) fn unsigned(value: &[u8]) -> Option<u64> {
    match Reader::new(value).head() {
        Ok(Head::Number(number)) => number.unsigned(),
        _ => None,
    }
}

pub(super) fn text(value: &[u8]) -> Option<&[u8]> {
    match Reader::new(value).head() {
        Ok(Head::Text(text)) => Some(text),
        _ => None,
    }
}

fn self_suspicion(value: &[u8]) -> Option<SelfSuspicion> {
    match unsigned(value)? {
        1 => Some(SelfSuspicion::Stalled),
        2 => Some(SelfSuspicion::Unreachable),
        _ => None,
    }
}

pub(super) fn is_true(value: &[u8]) -> bool {
    Reader::new(value).head() == Ok(Head::Bool(true))
}

fn nack(value: &[u8]) -> Option<Extension> {
    let [ts, dst] = array(value)?;
    let Ok(Head::Text(dst)) = Reader::new(dst).head() else {
        return None;
    };
    Some(Extension::Nack {
        ts: unsigned(ts)?,
        dst: Uri::from_wire(core::str::from_utf8(dst).ok()?)?,
    })
}

fn confirm(value: &[u8]) -> Option<Extension> {
    let [dst, incarnation] = array(value)?;
    Some(Extension::Confirm {
        dst: Uri::from_wire(core::str::from_utf8(text(dst)?).ok()?)?,
        incarnation: Incarnation::from_wire(unsigned(incarnation)?)?,
    })
}

fn compare(value: &[u8]) -> Option<Extension> {
    let Ok(Head::Text(bytes)) = Reader::new(value).head() else {
        return None;
    };
    let (sums, []) = bytes.as_chunks::<4>() else {
        return None;
    };
    let sums: Vec<u32> = sums.iter().map(|sum| u32::from_be_bytes(*sum)).collect();
    if !is_bucket_count(sums.len()) {
        return None;
    }
    Some(Extension::Compare(sums))
}

fn differ(value: &[u8]) -> Option<Extension> {
    let [count, bits, last] = array(value)?;
    let Ok(Head::Text(bits)) = Reader::new(bits).head() else {
        return None;
    };
    let count = usize::try_from(unsigned(count)?).ok()?;
    if !is_bucket_count(count) || bits.len() * 8 != count {
        return None;
    }
    Some(Extension::Differ {
        buckets: Buckets {
            bits: bits.to_vec(),
        },
        last: is_true(last),
    })
}

fn piece(value: &[u8]) -> Option<Extension> {
    let [id, index, count, bytes] = array(value)?;
    let Ok(Head::Text(bytes)) = Reader::new(bytes).head() else {
        return None;
    };
    let piece = Piece {
        id: u32::try_from(unsigned(id)?).ok()?,
        index: u8::try_from(unsigned(index)?).ok()?,
        count: u8::try_from(unsigned(count)?).ok()?,
        bytes: bytes.to_vec(),
    };
    (piece.index < piece.count).then_some(Extension::Piece(piece))
}

pub(super) fn array<const N: usize>(value: &[u8]) -> Option<[&[u8]; N]> {
    let mut reader = Reader::new(value);
    if reader.head() != Ok(Head::Array(N)) {
        return None;
    }
    let mut items = [&[][..]; N];
    for item in &mut items {
        *item = reader.value().ok()?;
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::DUPLICATES_MAX;

    fn decoded(bytes: &[u8]) -> Option<Trailer> {
        let (trailer, rest) = Trailer::decode(bytes)?;
        rest.is_empty().then_some(trailer)
    }

    #[test]
    fn what_one_of_ours_says_the_other_understands() {
        let sums: Vec<u32> = (0..16).collect();
        let other: Vec<u32> = (0..16)
            .map(|sum| if sum % 5 == 0 { 99 } else { sum })
            .collect();
        let buckets = Buckets::differing(&sums, &other).unwrap();
        assert_eq!(buckets.iter().collect::<Vec<_>>(), [0, 5, 10, 15]);
        let dst = Uri::from_wire("a:1").unwrap();
        for note in [
            None,
            Some(Extension::Confirm {
                dst: dst.clone(),
                incarnation: Incarnation::FIRST.next(),
            }),
            Some(Extension::Nack { ts: 7, dst }),
            Some(Extension::Compare(sums)),
            Some(Extension::HistorySince(Some(7))),
            Some(Extension::HistorySince(None)),
            Some(Extension::History(b"some of it".to_vec())),
            Some(Extension::Differ {
                buckets,
                last: true,
            }),
            Some(Extension::Piece(Piece {
                id: u32::MAX,
                index: 1,
                count: 2,
                bytes: b"half of it".to_vec(),
            })),
        ] {
            let trailer = Trailer {
                digest: Some(u64::MAX),
                note,
                offers: Some(KeyId([0xff, 0, 1, 2])),
                label: b"a label".to_vec(),
                self_suspicion: Some(SelfSuspicion::Unreachable),
                forgotten: true,
                padding: 300,
                duplicates: vec![
                    Duplicate {
                        uri: Uri::from_wire("a:1").unwrap(),
                        one: Some("10.0.0.1:3301".parse().unwrap()),
                        other: Some("[fe80::1]:3301".parse().unwrap()),
                    },
                    Duplicate {
                        uri: Uri::from_wire("b:1").unwrap(),
                        one: None,
                        other: None,
                    },
                ],
                reads_short: true,
                keys: vec![KeyId([0xff, 0, 1, 2]), KeyId([7; 4])],
                asks_keys: true,
            };
            assert_eq!(decoded(&trailer.encode()), Some(trailer));
        }
        let least = Trailer::default();
        assert_eq!(decoded(&least.encode()), Some(least));
    }

    #[test]
    fn what_is_not_ours_is_no_trailer_and_what_is_new_is_skipped() {
        for rest in [&b""[..], b"\x90", b"\xc0", b"\x81\xa1x\x01", b"\x81\x00"] {
            assert_eq!(decoded(rest), None, "{rest:x?}");
        }
        let later = b"\x84\x00\x02\x01\x05\x7f\x91\xc0\x02\x01";
        let trailer = decoded(later).unwrap();
        assert_eq!((trailer.digest, trailer.note), (Some(5), None));
    }

    #[test]
    fn a_piece_that_is_none_of_its_message_is_refused() {
        for (index, count) in [(0, 0), (2, 2), (9, 3)] {
            let note = Some(Extension::Piece(Piece {
                id: 1,
                index,
                count,
                bytes: vec![7; 9],
            }));
            let trailer = Trailer {
                note,
                ..Trailer::default()
            };
            assert_eq!(decoded(&trailer.encode()).unwrap().note, None);
        }
    }

    #[test]
    fn of_the_duplicates_that_a_peer_tells_of_the_first_few_that_make_sense_are_heard() {
        let duplicate = |port| Duplicate {
            uri: Uri::new("a", port).unwrap(),
            one: None,
            other: Some("10.0.0.1:3301".parse().unwrap()),
        };
        let mut trailer = Trailer {
            duplicates: (1..=9).map(duplicate).collect(),
            ..Trailer::default()
        };
        let heard = decoded(&trailer.encode()).unwrap();
        trailer.duplicates.truncate(DUPLICATES_MAX);
        assert_eq!(heard, trailer);
        // Not an array; not a URI; not an address; and one that is what it should be.
        let garbled = b"\x81\x0b\x94\x01\x93\xa1x\xc0\xc0\x93\xa3a:1\xa1x\xc0\x93\xa3a:1\xc0\xc0";
        assert_eq!(decoded(garbled).unwrap().duplicates.len(), 1);
        assert_eq!(decoded(b"\x81\x0b\x07").unwrap().duplicates, []);
    }

    #[test]
    fn bucket_counts_that_would_cost_us_are_refused() {
        for count in [0, 4, 7, 12, 512] {
            let note = Some(Extension::Compare(vec![1; count]));
            let trailer = Trailer {
                note,
                ..Trailer::default()
            };
            assert_eq!(decoded(&trailer.encode()).unwrap().note, None, "{count}");
        }
    }

    #[test]
    fn each_reason_of_a_self_suspicion_is_told_and_none_is_invented() {
        for why in [SelfSuspicion::Stalled, SelfSuspicion::Unreachable] {
            let trailer = Trailer {
                self_suspicion: Some(why),
                ..Trailer::default()
            };
            assert_eq!(decoded(&trailer.encode()), Some(trailer));
        }
        assert_eq!(self_suspicion(b"\x03"), None);
    }
}
