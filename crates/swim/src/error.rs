//! What callers of the protocol can do wrong.

use thiserror::Error;

use crate::config::BadOption;
use crate::table::payload::Flaw;

/// Why a command was not carried out: what the caller did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// It needs an identity.
    #[error("membership is not initialized")]
    NotInitialized,
    /// The payload is not one that others would take.
    #[error("the payload, or something in it, {}", .0.why)]
    PayloadUnfit(Flaw),
    /// The payload leaves no room in a datagram for what must go with it; both in bytes.
    #[error("payload is too large: {size} bytes encoded, at most {limit} fit a datagram")]
    PayloadTooLarge {
        /// Its size in MessagePack.
        size: usize,
        /// The largest that fits.
        limit: usize,
    },
    /// There is no incarnation left to tell of a change with.
    #[error("incarnations are used up: restart, or go on under another URI")]
    Exhausted,
    /// The host of the member is an address elsewhere.
    #[error("its address is in none of ALLOWED_NETWORKS")]
    Elsewhere,
    /// The member is a stranger, and only those on the list are taken in.
    #[error("it is not on the strict list of set_allowed_members")]
    NotAllowed,
    /// The option cannot be that.
    #[error(transparent)]
    Option(#[from] BadOption),
}
