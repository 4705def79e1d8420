//! Just enough MessagePack to take a peer's datagram apart without copying it.
//!
//! Peers are Lua programs: they put integers into doubles, text into `bin`, and whatever a user
//! set into payloads, which must pass through byte for byte. So this reads heads, skips values and
//! hands out slices, where a serde model would convert. Encoding is left to the crate `rmp`.

use rmp::Marker;
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

/// How deep a payload may nest. To look for its meaning recurses, and a single hostile datagram could
/// hold 65,000 levels.
pub const NESTING_MAX: usize = 32;

/// Not MessagePack: cut short, of a reserved type, or nested too deep to look into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not MessagePack")]
pub struct NotMsgpack;

/// A number as it stood on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Any integer; what does not fit `u64` or `i64` cannot be on the wire.
    Integer(i128),
    /// `float 32` or `float 64`.
    Float(f64),
}

impl Number {
    /// The integer it stands for, also when a peer has put it into a double.
    pub fn integer(self) -> Option<i128> {
        match self {
            Self::Integer(integer) => Some(integer),
            // Every double of this size that has no fraction is exactly an i128.
            Self::Float(float) if float.fract() == 0.0 && float.abs() < 1e30 => Some(float as i128),
            Self::Float(_) => None,
        }
    }

    /// The same if it is not negative and fits.
    pub fn unsigned(self) -> Option<u64> {
        self.integer()?.try_into().ok()
    }

    /// The nearest double.
    pub fn float(self) -> f64 {
        match self {
            Self::Integer(integer) => match i64::try_from(integer) {
                // Nearly all are as small, and a processor has an instruction for them.
                Ok(small) => small as f64,
                Err(_) => integer as f64,
            },
            Self::Float(float) => float,
        }
    }
}

/// The first bytes of a value: a whole scalar, or the announcement of what follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Head<'a> {
    /// Lua's `nil`, or `box.NULL`.
    Nil,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(Number),
    /// `str` or `bin`: Lua knows no difference.
    Text(&'a [u8]),
    /// So many values follow.
    Array(usize),
    /// So many pairs of values follow.
    Map(usize),
    /// An extension (decimal, uuid, …): its type and bytes.
    Extension(i8, &'a [u8]),
}

/// Reads value after value from a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads one head: the values that an array or map announces are yet to be read.
    pub fn head(&mut self) -> Result<Head<'a>, NotMsgpack> {
        let [marker, rest @ ..] = self.rest else {
            return Err(NotMsgpack);
        };
        self.rest = rest;
        Ok(match Marker::from_u8(*marker) {
            Marker::Null => Head::Nil,
            Marker::True => Head::Bool(true),
            Marker::False => Head::Bool(false),
            Marker::FixPos(value) => integer(value),
            Marker::FixNeg(value) => integer(value),
            Marker::U8 => integer(u8::from_be_bytes(self.take_array()?)),
            Marker::U16 => integer(u16::from_be_bytes(self.take_array()?)),
            Marker::U32 => integer(u32::from_be_bytes(self.take_array()?)),
            Marker::U64 => integer(u64::from_be_bytes(self.take_array()?)),
            Marker::I8 => integer(i8::from_be_bytes(self.take_array()?)),
            Marker::I16 => integer(i16::from_be_bytes(self.take_array()?)),
            Marker::I32 => integer(i32::from_be_bytes(self.take_array()?)),
            Marker::I64 => integer(i64::from_be_bytes(self.take_array()?)),
            Marker::F32 => float(f32::from_be_bytes(self.take_array()?).into()),
            Marker::F64 => float(f64::from_be_bytes(self.take_array()?)),
            Marker::FixStr(length) => Head::Text(self.take(length.into())?),
            Marker::Str8 | Marker::Bin8 => Head::Text(self.take_counted::<1>()?),
            Marker::Str16 | Marker::Bin16 => Head::Text(self.take_counted::<2>()?),
            Marker::Str32 | Marker::Bin32 => Head::Text(self.take_counted::<4>()?),
            Marker::FixArray(length) => Head::Array(length.into()),
            Marker::Array16 => Head::Array(self.count::<2>()?),
            Marker::Array32 => Head::Array(self.count::<4>()?),
            Marker::FixMap(length) => Head::Map(length.into()),
            Marker::Map16 => Head::Map(self.count::<2>()?),
            Marker::Map32 => Head::Map(self.count::<4>()?),
            Marker::FixExt1 => self.extension(1)?,
            Marker::FixExt2 => self.extension(2)?,
            Marker::FixExt4 => self.extension(4)?,
            Marker::FixExt8 => self.extension(8)?,
            Marker::FixExt16 => self.extension(16)?,
            Marker::Ext8 => self.counted_extension::<1>()?,
            Marker::Ext16 => self.counted_extension::<2>()?,
            Marker::Ext32 => self.counted_extension::<4>()?,
            Marker::Reserved => return Err(NotMsgpack),
        })
    }

    /// Skips one value with all that it holds, however deep, and returns its bytes.
    pub fn value(&mut self) -> Result<&'a [u8], NotMsgpack> {
        let before = self.rest;
        let mut values: usize = 1;
        // A hostile count ends with the bytes: every value takes at least one.
        while values > 0 {
            let [marker, ..] = self.rest else {
                return Err(NotMsgpack);
            };
            values -= 1;
            match small(*marker) {
                Some((size, inside)) => {
                    self.take(size)?;
                    values = values.saturating_add(inside);
                }
                None => values = values.saturating_add(self.skip_head()?),
            }
        }
        Ok(&before[..before.len() - self.rest.len()])
    }

    /// Skips one head, and returns how many values it announces.
    fn skip_head(&mut self) -> Result<usize, NotMsgpack> {
        Ok(match self.head()? {
            Head::Array(values) => values,
            Head::Map(pairs) => pairs.saturating_mul(2),
            _scalar => 0,
        })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], NotMsgpack> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(NotMsgpack)?;
        self.rest = rest;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], NotMsgpack> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(NotMsgpack)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn count<const N: usize>(&mut self) -> Result<usize, NotMsgpack> {
        let mut count = 0;
        for digit in self.take_array::<N>()? {
            count = count << 8 | usize::from(digit);
        }
        Ok(count)
    }

    fn take_counted<const N: usize>(&mut self) -> Result<&'a [u8], NotMsgpack> {
        let length = self.count::<N>()?;
        self.take(length)
    }

    fn extension(&mut self, length: usize) -> Result<Head<'a>, NotMsgpack> {
        let [kind] = self.take_array()?;
        Ok(Head::Extension(kind.cast_signed(), self.take(length)?))
    }

    fn counted_extension<const N: usize>(&mut self) -> Result<Head<'a>, NotMsgpack> {
        let length = self.count::<N>()?;
        self.extension(length)
    }
}

/// How many bytes such a head takes with its scalar, and how many values it announces, where the
/// marker alone tells: most of a datagram is made of these, and skipped more than once.
const fn small(marker: u8) -> Option<(usize, usize)> {
    let low = marker as usize;
    match marker {
        // Integers, nil, booleans.
        0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Some((1, 0)),
        // Maps, arrays, strings.
        0x80..=0x8f => Some((1, 2 * (low & 0x0f))),
        0x90..=0x9f => Some((1, low & 0x0f)),
        0xa0..=0xbf => Some((1 + (low & 0x1f), 0)),
        // uint 8 to 64.
        0xcc..=0xcf => Some((1 + (1 << (low & 0x03)), 0)),
        _ => None,
    }
}

fn integer<'a>(value: impl Into<i128>) -> Head<'a> {
    Head::Number(Number::Integer(value.into()))
}

fn float<'a>(value: f64) -> Head<'a> {
    Head::Number(Number::Float(value))
}

/// A hash of what a value means to Lua, whatever its encoding.
///
/// A peer on membership 2.x decodes a payload into tables and encodes it anew: map keys come out in
/// another order, integers in another width, arrays as maps. All of these hash alike.
pub fn semantic_hash(bytes: &[u8]) -> Result<u64, NotMsgpack> {
    meaning_of_next(&mut Reader::new(bytes), NESTING_MAX)
}

fn meaning_of_next(reader: &mut Reader<'_>, depth: usize) -> Result<u64, NotMsgpack> {
    let deeper = || depth.checked_sub(1).ok_or(NotMsgpack);
    match reader.head()? {
        Head::Nil => Ok(mix(Tag::Nil as u64, 0)),
        Head::Bool(value) => Ok(mix(Tag::Bool as u64, value.into())),
        Head::Number(number) => Ok(meaning_of_number(number)),
        Head::Text(text) => Ok(mix(Tag::Text as u64, xxh3_64(text))),
        Head::Extension(kind, bytes) => {
            let kind = u64::from(kind.cast_unsigned()) << 8 | Tag::Extension as u64;
            Ok(mix(kind, xxh3_64(bytes)))
        }
        // A sum, since the order of pairs means nothing.
        Head::Map(pairs) => {
            let depth = deeper()?;
            let mut sum = 0_u64;
            for _ in 0..pairs {
                let key = meaning_of_next(reader, depth)?;
                sum = sum.wrapping_add(mix(key, meaning_of_next(reader, depth)?));
            }
            Ok(sum)
        }
        // To Lua an array is a table with the keys 1, 2, 3, …
        Head::Array(values) => {
            let depth = deeper()?;
            let mut sum = 0_u64;
            for index in 1..=values {
                let key = meaning_of_number(Number::Integer(index as i128));
                sum = sum.wrapping_add(mix(key, meaning_of_next(reader, depth)?));
            }
            Ok(sum)
        }
    }
}

/// What kind of value it is, to Lua.
#[derive(Clone, Copy)]
enum Tag {
    Nil = 1,
    Bool,
    Text,
    Extension,
    Positive,
    Negative,
    Nan,
    Float,
    Large,
}

fn meaning_of_number(number: Number) -> u64 {
    let Some(integer) = number.integer() else {
        let float = number.float();
        return if float.is_nan() {
            mix(Tag::Nan as u64, 0)
        } else {
            mix(Tag::Float as u64, float.to_bits())
        };
    };
    match (u64::try_from(integer), i64::try_from(integer)) {
        (Ok(positive), _) => mix(Tag::Positive as u64, positive),
        (_, Ok(negative)) => mix(Tag::Negative as u64, negative.cast_unsigned()),
        // A float that has no fraction and is beyond all integers.
        _ => mix(Tag::Large as u64, number.float().to_bits()),
    }
}

/// A hash of two numbers, in that order. As good as one of bytes, at a fraction of the price: a payload
/// may be made of a thousand nils.
pub fn mix(one: u64, other: u64) -> u64 {
    // Two rounds of the finalizer of SplitMix64 (Steele, Lea, Flood, 2014), a permutation each.
    let finalize = |mut bits: u64| {
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    };
    let golden = 0x9e37_79b9_7f4a_7c15;
    finalize(finalize(one.wrapping_add(golden)).wrapping_add(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_skipped_whole() {
        let two = b"\x82\xa1a\x93\x01\x02\xc0\xa1b\xd4\x01\x00\xc3";
        let mut reader = Reader::new(two);
        assert_eq!(reader.value(), Ok(&two[..two.len() - 1]));
        assert_eq!(reader.head(), Ok(Head::Bool(true)));
        assert_eq!(reader.head(), Err(NotMsgpack));
    }

    #[test]
    fn what_is_skipped_at_a_glance_is_what_would_be_read() {
        for marker in 0..=u8::MAX {
            let Some((size, inside)) = small(marker) else {
                continue;
            };
            let bytes = [&[marker][..], &[0; 40]].concat();
            let mut reader = Reader::new(&bytes);
            let announced = reader.skip_head().unwrap();
            let read = bytes.len() - reader.rest().len();
            assert_eq!((size, inside), (read, announced), "{marker:#x}");
        }
    }

    #[test]
    fn hostile_counts_and_depths_end_with_the_bytes() {
        for bytes in [
            &b"\xdf\xff\xff\xff\xff"[..],
            b"\xc6\xff\xff\xff\xffx",
            b"\xdd\xff\xff\xff\xff\xc0",
            b"\xc1",
        ] {
            assert_eq!(Reader::new(bytes).value(), Err(NotMsgpack), "{bytes:x?}");
            assert_eq!(semantic_hash(bytes), Err(NotMsgpack), "{bytes:x?}");
        }
        let deep = |levels| [vec![0x91; levels], vec![0xc0]].concat();
        assert_eq!(
            Reader::new(&deep(60_000)).value().map(<[u8]>::len),
            Ok(60_001)
        );
        assert!(semantic_hash(&deep(NESTING_MAX)).is_ok());
        assert_eq!(semantic_hash(&deep(NESTING_MAX + 1)), Err(NotMsgpack));
        assert_eq!(semantic_hash(&deep(60_000)), Err(NotMsgpack));
    }

    #[test]
    fn integers_are_found_in_every_encoding() {
        for seven in [
            &b"\x07"[..],
            b"\xcc\x07",
            b"\xcd\x00\x07",
            b"\xd0\x07",
            b"\xca\x40\xe0\x00\x00",
        ] {
            let Ok(Head::Number(number)) = Reader::new(seven).head() else {
                panic!("{seven:x?}")
            };
            assert_eq!(number.unsigned(), Some(7), "{seven:x?}");
        }
        for none in [
            Number::Float(2.5),
            Number::Float(f64::NAN),
            Number::Float(f64::NEG_INFINITY),
            Number::Integer(-1),
        ] {
            assert_eq!(none.unsigned(), None, "{none:?}");
        }
    }

    #[test]
    fn meaning_is_what_lua_would_call_equal() {
        let same: [(&[u8], &[u8]); 6] = [
            (b"\x90", b"\x80"),
            (b"\x82\xa1a\x01\xa1b\x02", b"\x82\xa1b\x02\xa1a\x01"),
            (b"\x92\xa1a\xa1b", b"\x82\x02\xa1b\x01\xa1a"),
            (
                b"\x81\xa1a\x07",
                b"\xde\x00\x01\xc4\x01a\xcb\x40\x1c\x00\x00\x00\x00\x00\x00",
            ),
            (
                b"\x81\xa1a\xff",
                b"\x81\xa1a\xd3\xff\xff\xff\xff\xff\xff\xff\xff",
            ),
            (
                b"\x81\xa1a\xca\x3f\x00\x00\x00",
                b"\x81\xa1a\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00",
            ),
        ];
        for (one, other) in same {
            assert_eq!(
                semantic_hash(one).unwrap(),
                semantic_hash(other).unwrap(),
                "{one:x?} {other:x?}"
            );
        }
        let different: [(&[u8], &[u8]); 5] = [
            (b"\x81\xa1a\x01", b"\x81\xa1a\x02"),
            (b"\x81\xa1a\x01", b"\x81\xa1a\xa11"),
            (b"\x81\xa1a\xa1b", b"\x81\xa1b\xa1a"),
            (b"\x92\x01\x02", b"\x92\x02\x01"),
            (b"\x81\xa1a\xc2", b"\x81\xa1a\xc0"),
        ];
        for (one, other) in different {
            assert_ne!(
                semantic_hash(one).unwrap(),
                semantic_hash(other).unwrap(),
                "{one:x?} {other:x?}"
            );
        }
    }
}
