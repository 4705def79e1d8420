//! What a member says of itself: opaque bytes.

use core::fmt;
use std::sync::Arc;

use super::msgpack::{Head, NESTING_MAX, NotMsgpack, Reader, meaning};

/// One MessagePack map or array, kept and passed on byte for byte.
///
/// Lua encodes and decodes it with Tarantool's own `msgpack`, so every type of Tarantool survives.
#[derive(Clone)]
pub struct Payload {
    bytes: Arc<[u8]>,
    meaning: u64,
}

impl Payload {
    /// Admits a map or array that is well formed, nested at most [`NESTING_MAX`] deep, and alone.
    pub fn new(bytes: &[u8]) -> Result<Self, NotMsgpack> {
        let mut reader = Reader::new(bytes);
        let value = reader.value()?;
        if value.len() != bytes.len() || !is_table(bytes) {
            return Err(NotMsgpack);
        }
        Ok(Self {
            bytes: bytes.into(),
            meaning: meaning(bytes)?,
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
    pub const fn meaning(&self) -> u64 {
        self.meaning
    }

    /// Whether a peer's encoding of a payload means the same as this one.
    pub fn means(&self, bytes: &[u8]) -> bool {
        *self.bytes == *bytes || meaning(bytes) == Ok(self.meaning)
    }
}

/// Equal when Lua would call them equal, however they are encoded.
impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.meaning == other.meaning
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
    fn only_a_single_table_is_a_payload() {
        for good in [&b"\x90"[..], b"\x80", b"\x81\xa1a\x01", b"\x91\xc0"] {
            assert_eq!(Payload::new(good).unwrap().bytes(), good);
        }
        for bad in [
            &b""[..],
            b"\xc0",
            b"\x01",
            b"\xa1a",
            b"\x90\x90",
            b"\x81\xa1a",
        ] {
            assert_eq!(Payload::new(bad).unwrap_err(), NotMsgpack, "{bad:x?}");
        }
    }
}
