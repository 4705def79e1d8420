//! The extensions of MessagePack that Tarantool knows, and which bodies of them every version of it
//! reads to the end and no further, and prints.
//!
//! Versions differ in what they check themselves: 2.6 takes a decimal of any length, 2.11 a time zone
//! that does not exist. A body has to be right by the strictest of them.

use crate::wire::msgpack::{Head, Number, Reader};

/// Numbers of extensions, as in `src/lib/core/mp_extension_types.h` of Tarantool.
mod kind {
    pub const DECIMAL: i8 = 1;
    pub const UUID: i8 = 2;
    pub const ERROR: i8 = 3;
    pub const DATETIME: i8 = 4;
    pub const COMPRESSION: i8 = 5;
    pub const INTERVAL: i8 = 6;
    pub const TUPLE: i8 = 7;
    pub const ARROW: i8 = 8;
}

/// What is known of the body of an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Every Tarantool that knows the extension reads it, and gets a plain struct.
    Harmless,
    /// Some Tarantool does not read it, or not safely.
    Harmful,
    /// The extension is not one of those that are looked into.
    Unknown,
}

/// What a Lua programmer calls such a value.
pub const fn name(kind: i8) -> &'static str {
    match kind {
        kind::DECIMAL => "decimal",
        kind::UUID => "uuid",
        kind::ERROR => "error",
        kind::DATETIME => "datetime",
        kind::COMPRESSION => "compressed data",
        kind::INTERVAL => "interval",
        kind::TUPLE => "tuple",
        kind::ARROW => "arrow",
        _ => "an unknown extension",
    }
}

/// Looks into the body of an extension.
pub fn check(kind: i8, body: &[u8]) -> Body {
    let harmless = match kind {
        kind::DECIMAL => is_decimal(body),
        kind::UUID => is_uuid(body),
        kind::DATETIME => is_datetime(body),
        kind::INTERVAL => is_interval(body),
        _ => return Body::Unknown,
    };
    if harmless {
        Body::Harmless
    } else {
        Body::Harmful
    }
}

/// How many digits a decimal may have, on either side of the point. From 3.5 on Tarantool has twice as
/// many.
const DIGITS_MAX: usize = 38;

/// `scale, digits…`: an integer in MessagePack, and two digits a byte, of which the last half is the sign.
///
/// 2.6 neither looks how long the number is nor whether there is one.
fn is_decimal(body: &[u8]) -> bool {
    let mut reader = Reader::new(body);
    let Ok(Head::Number(Number::Integer(scale))) = reader.head() else {
        return false;
    };
    let Some((last, digits)) = reader.rest().split_last() else {
        return false;
    };
    if digits.len() > DIGITS_MAX / 2 {
        return false;
    }
    let mut halves = Vec::with_capacity(2 * digits.len() + 1);
    for byte in digits {
        halves.extend([byte >> 4, byte & 0x0f]);
    }
    halves.push(last >> 4);
    let mut significant = 0;
    for digit in halves {
        if digit > 9 {
            return false;
        }
        // Leading zeros do not count.
        if digit > 0 || significant > 0 {
            significant += 1;
        }
    }
    if last & 0x0f < 10 {
        return false;
    }
    let most = DIGITS_MAX as i128;
    // Zeros before the point count as digits where the scale is negative.
    significant <= DIGITS_MAX
        && (1 - most..=most).contains(&scale)
        && significant as i128 - scale.min(0) <= most
}

/// 16 bytes. Of the three first bits of the ninth, which tell the variant, 2.6 knows but some.
fn is_uuid(body: &[u8]) -> bool {
    let Ok(bytes) = <[u8; 16]>::try_from(body) else {
        return false;
    };
    bytes[8] & 0xe0 != 0xe0
}

/// The years -9999 to 9999. Tarantool counts some further, but has no room to print them with the
/// name of a time zone.
const EPOCH_MIN: i64 = -377_705_203_200;
const EPOCH_MAX: i64 = 253_402_300_799;

const NANOSECONDS_PER_SECOND: i32 = 1_000_000_000;

/// From UTC-12 to UTC+14, in minutes.
const TZOFFSET_MIN: i16 = -12 * 60;
const TZOFFSET_MAX: i16 = 14 * 60;

/// `seconds`, and nothing or `nanoseconds, tzoffset, tzindex`, little-endian.
fn is_datetime(body: &[u8]) -> bool {
    let Some((seconds, tail)) = body.split_first_chunk() else {
        return false;
    };
    let seconds = i64::from_le_bytes(*seconds);
    if !(EPOCH_MIN..=EPOCH_MAX).contains(&seconds) {
        return false;
    }
    match *tail {
        [] => true,
        [n0, n1, n2, n3, offset0, offset1, index0, index1] => {
            let nanoseconds = i32::from_le_bytes([n0, n1, n2, n3]);
            let offset = i16::from_le_bytes([offset0, offset1]);
            let index = i16::from_le_bytes([index0, index1]);
            (0..NANOSECONDS_PER_SECOND).contains(&nanoseconds)
                && (TZOFFSET_MIN..=TZOFFSET_MAX).contains(&offset)
                && is_time_zone(index)
        }
        _ => false,
    }
}

/// The indices of time zones that have a name, a bit each, lowest first: those of
/// `src/lib/tzcode/timezones.h` that are no aliases, the same from 2.10.0 to 3.8.0. Tarantool
/// follows the null pointer that it has for the name of others.
const TIME_ZONES: [u64; 16] = [
    0x0101_0101_03ff_fffe,
    0x0101_0101_0101_0101,
    0x1f0f_3f07_ff3f_01ff,
    0x7f07_ff07_010f_ffff,
    0xff03_07ff_1f01_ff01,
    0x7f03_03ff_03ff_ff01,
    0x0f1f_0707_0707_070f,
    0x0303_031f_0101_7f07,
    0x0101_0303_1f0f_077f,
    0x0101_0101_0101_ff01,
    0xffff_ffff_0101_0301,
    u64::MAX,
    u64::MAX,
    u64::MAX,
    u64::MAX,
    0x000f_ffff_ffff_ffff,
];

/// Whether it is the index of a time zone that has a name, or says that there is none.
fn is_time_zone(index: i16) -> bool {
    let Ok(index) = usize::try_from(index) else {
        return false;
    };
    let Some(bits) = TIME_ZONES.get(index / 64) else {
        return false;
    };
    index == 0 || bits >> (index % 64) & 1 == 1
}

/// Of an interval: year, month, week, day, hour, minute, second, nanosecond, adjust.
const FIELDS: usize = 9;
const ADJUST: usize = FIELDS - 1;

/// `adjust` is none, last or excess.
const ADJUST_MAX: i128 = 2;

/// `count`, and so many pairs of a field's number and an integer in MessagePack.
///
/// 2.10 looks neither where the body ends nor what it reads, and up to 2.11 all are of 32 bits.
fn is_interval(body: &[u8]) -> bool {
    let Some((count, mut rest)) = body.split_first() else {
        return false;
    };
    let mut seen = [false; FIELDS];
    for _ in 0..*count {
        let Some((field, value)) = rest.split_first() else {
            return false;
        };
        let mut reader = Reader::new(value);
        let Ok(Head::Number(Number::Integer(value))) = reader.head() else {
            return false;
        };
        rest = reader.rest();
        let range = match usize::from(*field) {
            ADJUST => 0..=ADJUST_MAX,
            _ => i128::from(i32::MIN)..=i128::from(i32::MAX),
        };
        let Some(seen) = seen.get_mut(usize::from(*field)) else {
            return false;
        };
        if core::mem::replace(seen, true) || !range.contains(&value) {
            return false;
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_checked(kind: i8, harmless: &[&[u8]], malformed: &[&[u8]]) {
        for body in harmless {
            assert_eq!(check(kind, body), Body::Harmless, "{body:x?}");
        }
        for body in malformed {
            assert_eq!(check(kind, body), Body::Harmful, "{body:x?}");
        }
    }

    #[test]
    fn only_extensions_whose_bodies_are_known_are_looked_into() {
        for unknown in [0, 3, 5, 7, 8, 42, -1, i8::MIN] {
            assert_eq!(check(unknown, b"\x00"), Body::Unknown, "{unknown}");
        }
    }

    #[test]
    fn a_decimal_has_a_sign_and_at_most_38_digits() {
        let digits = |bytes: usize| [vec![0; 1], vec![0x99; bytes], vec![0x9c]].concat();
        let zeros = [vec![0, 0x09], vec![0x99; 18], vec![0x9c]].concat();
        assert_checked(
            kind::DECIMAL,
            &[
                b"\x00\x0c",
                b"\x02\x12\x3d",
                b"\x26\x1c",
                b"\xd0\xdb\x1c",
                b"\xd0\x05\x1c",
                &digits(18),
                &zeros,
            ],
            &[
                b"",
                b"\x00",
                b"\x00\x1a\x1c",
                b"\x00\x11",
                b"\x27\x1c",
                b"\xd0\xda\x1c",
                b"\xd0\xda\x0c",
                b"\xcf\x00\x00\x00\x01\x00\x00\x00\x00\x1c",
                b"\xc0\x1c",
                b"\xca\x00\x00\x00\x00\x1c",
                &digits(19),
                &digits(500),
            ],
        );
    }

    #[test]
    fn a_uuid_has_16_bytes_and_a_variant() {
        let of = |ninth| [&[1; 8][..], &[ninth], &[1; 7]].concat();
        assert_checked(
            kind::UUID,
            &[&of(0), &of(0x80), &of(0xdf)],
            &[&of(0xe0), &of(0xff), &[1; 15], &[1; 17], b""],
        );
    }

    #[test]
    fn a_datetime_is_in_range_and_its_time_zone_exists() {
        let at = |seconds: i64| seconds.to_le_bytes();
        let with = |nanoseconds: i32, offset: i16, index: i16| {
            let (offset, index) = (offset.to_le_bytes(), index.to_le_bytes());
            [&at(0)[..], &nanoseconds.to_le_bytes(), &offset, &index].concat()
        };
        assert_checked(
            kind::DATETIME,
            &[
                &at(EPOCH_MIN),
                &at(EPOCH_MAX),
                &with(0, 0, 0),
                &with(NANOSECONDS_PER_SECOND - 1, TZOFFSET_MIN, 1),
                &with(0, TZOFFSET_MAX, 947),
                &with(0, 180, 1011),
            ],
            &[
                b"",
                &at(EPOCH_MIN - 1),
                &at(EPOCH_MAX + 1),
                &at(0)[..7],
                &with(0, 0, 0)[..15],
                &[with(0, 0, 0), vec![0]].concat(),
                &with(NANOSECONDS_PER_SECOND, 0, 0),
                &with(-1, 0, 0),
                &with(0, TZOFFSET_MIN - 1, 0),
                &with(0, TZOFFSET_MAX + 1, 0),
                &with(0, 0, 30),
                &with(0, 0, -1),
                &with(0, 0, 1012),
                &with(0, 0, 1024),
                &with(0, 0, i16::MAX),
            ],
        );
        let named = (1..=i16::MAX).filter(|index| is_time_zone(*index));
        assert_eq!(named.count(), 630, "as many as timezones.h has");
    }

    #[test]
    fn an_interval_has_each_field_once_and_ends_with_the_last() {
        assert_checked(
            kind::INTERVAL,
            &[
                b"\x00",
                b"\x01\x00\x07",
                b"\x02\x06\xd2\x80\x00\x00\x00\x08\x02",
                b"\x01\x03\xd0\x05",
            ],
            &[
                b"",
                b"\x01",
                b"\x01\x00",
                b"\xff\x00\x01",
                b"\x00\x00",
                b"\x01\x09\x01",
                b"\x01\xcc\x03\x01",
                b"\x02\x01\x01\x01\x01",
                b"\x01\x08\x03",
                b"\x01\x08\xff",
                b"\x01\x06\xce\x80\x00\x00\x00",
                b"\x01\x06\xca\x00\x00\x00\x00",
                b"\x01\x06\xc0",
            ],
        );
    }
}
