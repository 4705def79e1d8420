//! What callers of the protocol can do wrong.

use core::fmt;

use crate::config::BadOption;
use crate::table::payload::Flaw;

/// Why a command was not carried out: what the caller did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It needs an identity.
    NotInitialized,
    /// The payload is not one that others would take.
    PayloadUnfit(Flaw),
    /// The payload leaves no room in a datagram for what must go with it; both in bytes.
    PayloadTooLarge {
        /// Its size in MessagePack.
        size: usize,
        /// The largest that fits.
        limit: usize,
    },
    /// There is no incarnation left to tell of a change with.
    Exhausted,
    /// The option cannot be that.
    Option(BadOption),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInitialized => write!(f, "membership is not initialized"),
            Self::PayloadUnfit(flaw) => write!(f, "the payload, or something in it, {}", flaw.why),
            Self::PayloadTooLarge { size, limit } => {
                write!(
                    f,
                    "payload is too large: {size} bytes encoded, at most {limit} fit a datagram"
                )
            }
            Self::Exhausted => write!(
                f,
                "incarnations are used up: restart, or go on under another URI"
            ),
            Self::Option(bad) => bad.fmt(f),
        }
    }
}
