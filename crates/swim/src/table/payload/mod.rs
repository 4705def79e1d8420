//! What a member says of itself: bytes that are passed on as they are, once they are known to be
//! harmless.

mod check;
mod extension;
pub mod splice;

use core::fmt;
use std::sync::Arc;

use crate::wire::msgpack::{Head, NESTING_MAX, Reader, semantic_hash};
pub use check::{Flaw, TABLES_MAX, Unfit, VALUES_MAX, check};

/// One MessagePack map or array that is [harmless](check()), kept and passed on byte for byte.
///
/// Lua encodes and decodes it with Tarantool's own `msgpack`, so each type that is let in survives.
#[derive(Clone)]
pub struct Payload {
    bytes: Arc<[u8]>,
    semantic_hash: u64,
}

impl Payload {
    /// Admits a map or array that is harmless, and alone. There is no other way to make one.
    pub fn new(bytes: &[u8]) -> Result<Self, Flaw> {
        check(bytes)?;
        Ok(Self {
            bytes: bytes.into(),
            semantic_hash: semantic_hash(bytes).expect("checked"),
        })
    }

    /// The payload of a member that has set none: an empty array, as peers encode it.
    pub fn empty() -> Self {
        Self::new(&[0x90]).expect("an empty array is a payload")
    }

    /// The MessagePack itself.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A hash of what it means to Lua, the same for every encoding of it.
    pub const fn semantic_hash(&self) -> u64 {
        self.semantic_hash
    }

    /// Whether a peer's encoding of a payload means the same as this one.
    pub fn means(&self, bytes: &[u8]) -> bool {
        *self.bytes == *bytes || semantic_hash(bytes) == Ok(self.semantic_hash)
    }

    /// The meaning of a peer's encoding of a payload, if it has another meaning than this one.
    pub fn differs(&self, bytes: &[u8]) -> Option<u64> {
        if *self.bytes == *bytes {
            return None;
        }
        match semantic_hash(bytes) {
            Ok(other) if other != self.semantic_hash => Some(other),
            _ => None,
        }
    }
}

/// Equal when Lua would call them equal, however they are encoded.
impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.semantic_hash == other.semantic_hash
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.bytes.len())
    }
}

/// Whether a value is a map or an array: what peers take for a payload.
pub fn is_table(value: &[u8]) -> bool {
    matches!(Reader::new(value).head(), Ok(Head::Map(_) | Head::Array(_)))
}

const _: () = assert!(NESTING_MAX < 100, "each level takes a stack frame");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_encodings_of_one_payload_mean_the_same() {
        let payload = Payload::new(b"\x91\x01").expect("a payload");
        let (longer, other) = (b"\x91\xcc\x01", b"\x91\x02");
        assert!(payload.means(payload.bytes()) && payload.means(longer) && !payload.means(other));
        assert_eq!(payload.differs(payload.bytes()), None);
        assert_eq!(payload.differs(longer), None);
        let meant = Payload::new(other).expect("a payload").semantic_hash();
        assert_eq!(payload.differs(other), Some(meant));
        assert!(!payload.means(b""), "no MessagePack means nothing");
    }
}
