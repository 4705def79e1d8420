//! Questions to an instance, and what reads the answers.

use swim::identity::uri::Uri;
use swim::time::{Micros, Now};
use swim::wire::Message;

use crate::error::QueryError;

/// What to ask an instance.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Its table, as peers that run membership 2.x do.
    Table,
    /// The members in those buckets whose sums differ from these. Only native peers understand it.
    Differing(Vec<u32>),
    /// What has changed after this version of its table, and why; `None` for the number of the last version. Only native
    /// peers understand it, and not all of them answer.
    History(Option<u64>),
    /// An answer to a ping.
    Ping {
        /// The time in µs, by which the answer is known.
        ts: u64,
        /// The name that the instance has for itself.
        dst: Uri,
        /// Whether the answer is to tell the keys that the instance accepts.
        asks_keys: bool,
    },
}

/// One question to an instance: decides what to send, and reads the answers. It has no socket and no
/// clock.
pub trait Query {
    /// Returns what is to be sent now.
    fn poll_request(&mut self, now: Now) -> Option<Request>;
    /// An answer came.
    fn handle_message(&mut self, message: &Message<'_>, now: Now);
    /// The request could not be sent, or the answer could not be decoded.
    fn handle_error(&mut self, error: QueryError);
    /// When to call [`Query::poll_request`] again; `None` when the query is over.
    fn deadline(&self) -> Option<Micros>;
}
