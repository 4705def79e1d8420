//! How news travels (§4.1): on board of every PING and ACK, and pushed while it is fresh.

use core::time::Duration;

use crate::identity::uri::Uri;
use crate::table::payload::Payload;

/// How many members are pushed to at a time. The epidemic reaches all of N in ln N / ln(1 + 3)
/// intervals and a few more for the last ones.
pub const FANOUT: usize = 3;

/// How long fresh news waits for company.
pub const COALESCING: Duration = Duration::from_millis(10);

/// What is said of sender and recipient in a PING or ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// What the recipient is not known to know.
    News,
    /// All of it.
    All,
    /// What the recipient is not known to know, and news, as far as it fits into a datagram that passes
    /// everywhere.
    Little,
}

/// How large an event can be, in bytes: its head, status, incarnation and ttl take up to 20.
pub fn event_size(uri: &Uri, payload: &Payload) -> usize {
    20 + uri.len() + payload.bytes().len()
}
