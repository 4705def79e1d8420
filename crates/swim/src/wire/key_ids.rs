//! Ids of keys, as they stand in a trailer.

use rmp::encode as msgpack;

use super::encode::infallible;
use super::trailer::{text, unsigned};
use crate::security::seal::keyring::{KEYS_MAX, KeyId};

/// Writes the ids, 4 bytes each.
pub(super) fn write_key_ids(out: &mut Vec<u8>, keys: &[KeyId]) {
    let ids: Vec<u8> = keys.iter().flat_map(|id| id.0).collect();
    infallible(msgpack::write_bin(out, &ids));
}

pub(super) fn key_id(value: &[u8]) -> Option<KeyId> {
    let id = u32::try_from(unsigned(value)?).ok()?;
    Some(KeyId(id.to_be_bytes()))
}

/// None, if there are more than a member can have: it would be believed to accept any key.
pub(super) fn key_ids(value: &[u8]) -> Vec<KeyId> {
    let (ids, rest) = match text(value) {
        Some(bytes) => bytes.as_chunks(),
        None => return Vec::new(),
    };
    if ids.len() > KEYS_MAX || !rest.is_empty() {
        return Vec::new();
    }
    ids.iter().map(|id| KeyId(*id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ids_that_no_member_has_are_refused() {
        let told = |ids: &[u8]| {
            let mut value = Vec::new();
            infallible(msgpack::write_bin(&mut value, ids));
            key_ids(&value).len()
        };
        assert_eq!(told(&[1; 4]), 1);
        assert_eq!(told(&[1; 4 * KEYS_MAX]), KEYS_MAX);
        for size in [0, 3, 5, 4 * KEYS_MAX + 4] {
            assert_eq!(told(&vec![1; size]), 0, "{size} bytes");
        }
    }
}
