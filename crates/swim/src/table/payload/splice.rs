//! One key of a payload set, the others left as they are.

use rmp::encode as msgpack;

use crate::wire::msgpack::{Head, NotMsgpack, Reader};

/// A payload with one key set to a value in MessagePack, or removed.
///
/// An array becomes a map, as a Lua table would. The key is a text, and equal to no other type.
pub fn with_key(payload: &[u8], key: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    let (mut pairs, mut count) = others(payload, key).expect("payloads are well formed");
    if let Some(value) = value {
        write_text(&mut pairs, key);
        pairs.extend_from_slice(value);
        count += 1;
    }
    if count == 0 {
        return EMPTY.to_vec();
    }
    let mut result = Vec::with_capacity(pairs.len() + 5);
    msgpack::write_map_len(&mut result, count).expect(INFALLIBLE);
    result.append(&mut pairs);
    result
}

/// A payload that has nothing in it: an empty array, as peers encode it.
pub const EMPTY: &[u8] = &[0x90];

const INFALLIBLE: &str = "a Vec takes every byte";

/// All pairs but that of `key`, and how many they are.
fn others(payload: &[u8], key: &[u8]) -> Result<(Vec<u8>, u32), NotMsgpack> {
    let mut reader = Reader::new(payload);
    let (mut pairs, mut count) = (Vec::with_capacity(payload.len() + 64), 0);
    let head = reader.head()?;
    let (Head::Map(length) | Head::Array(length)) = head else {
        return Err(NotMsgpack);
    };
    for index in 1..=length as u64 {
        let before = pairs.len();
        let is_key = if let Head::Map(_) = head {
            let name = reader.value()?;
            pairs.extend_from_slice(name);
            Reader::new(name).head()? == Head::Text(key)
        } else {
            msgpack::write_uint(&mut pairs, index).expect(INFALLIBLE);
            false
        };
        pairs.extend_from_slice(reader.value()?);
        if is_key {
            pairs.truncate(before);
        } else {
            count += 1;
        }
    }
    Ok((pairs, count))
}

fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    msgpack::write_str_len(out, length).expect(INFALLIBLE);
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A payload, a key, its new value, and what the payload is then.
    type Row = (
        &'static [u8],
        &'static str,
        Option<&'static [u8]>,
        &'static [u8],
    );

    #[test]
    fn a_key_is_set_added_or_removed_and_the_others_stay() {
        let rows: [Row; 7] = [
            (b"\x90", "a", Some(b"\x01"), b"\x81\xa1a\x01"),
            (b"\x81\xa1a\x01", "a", Some(b"\xa1x"), b"\x81\xa1a\xa1x"),
            (
                b"\x81\xa1a\x01",
                "b",
                Some(b"\xc0"),
                b"\x82\xa1a\x01\xa1b\xc0",
            ),
            (
                b"\x82\xa1a\x92\x01\x02\xa1b\x07",
                "a",
                None,
                b"\x81\xa1b\x07",
            ),
            (b"\x81\xa1a\x01", "a", None, b"\x90"),
            (b"\x81\xa1a\x01", "b", None, b"\x81\xa1a\x01"),
            (
                b"\x81\x01\xa1a",
                "1",
                Some(b"\x02"),
                b"\x82\x01\xa1a\xa11\x02",
            ),
        ];
        for (payload, key, value, expected) in rows {
            assert_eq!(
                with_key(payload, key.as_bytes(), value),
                expected,
                "{payload:x?} {key}"
            );
        }
    }

    #[test]
    fn an_array_becomes_a_map() {
        let map = with_key(b"\x92\xa1x\xa1y", b"k", Some(b"\xc3"));
        assert_eq!(map, b"\x83\x01\xa1x\x02\xa1y\xa1k\xc3");
    }
}
