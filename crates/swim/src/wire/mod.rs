//! The datagrams of the group, as every peer since membership 2.x has spoken them.
//!
//! ```text
//! [ sender : str, type : str, data, events : [ [ uri, status, incarnation, payload, ttl ], … ] ]
//! ```
//!
//! | type | data |
//! |---|---|
//! | `PING` | `{ts, src, dst}`: when, by which member and of which the question was first asked |
//! | `ACK` | the map of the PING with all its keys, and `ats`: when it was answered |
//! | `SYNC_REQ`, `SYNC_ACK` | `[ [ uri, status, incarnation, payload ], … ]` |
//! | `LEAVE` | nil: the events are all there is to it |
//!
//! Behind the message native peers put a [`Trailer`], which those of membership 2.x do not look at, and
//! behind that a [checksum](checksummed) if the datagram is not authenticated.
//!
//! | file | subject |
//! |---|---|
//! | `msgpack` | reading MessagePack without copying it |
//! | `decode`, `encode` | from bytes to a [`Message`], and back |
//! | `drop_reason` | why a datagram is not taken in |
//! | `short` | the short form between native members |
//! | `buckets` | which parts of two tables differ |
//! | `key_ids` | ids of keys, as they are told |
//! | `duplicate` | URIs that two processes use, as they are told of |
//! | `history` | changes with their reasons, as they are told to the tool of an operator |
//! | `trailer` | what native members add behind the message |
//! | `checksum` | what all of them add behind that, unless the datagram is authenticated |
//! | `vectors` | recorded datagrams of membership 2.x, for tests |
//!
//! [`decode()`] takes what peers are known to send; [`MessageBuilder`] sends what they are known to take.

mod buckets;
mod checksum;
mod decode;
mod drop_reason;
mod duplicate;
mod encode;
mod history;
mod key_ids;
pub mod msgpack;
mod short;
mod trailer;

pub use buckets::Buckets;
pub use checksum::{CHECKSUM_SIZE, checked, checked_short, checksummed};
pub use decode::{Body, Event, Message, PingData, decode, decode_first};
pub use drop_reason::DropReason;
pub use duplicate::{DUPLICATES_MAX, Duplicate};
use encode::TRUE;
pub use encode::{MessageBuilder, MessageType, Statement, ack_data, clock_ping_data, ping_data};
pub(crate) use history::encode_history;
pub use history::{ToldChange, ToldHistory, decode_history};
pub use short::{
    Names, Short, ShortHead, cookie_echo, decode_named, decode_short, is_short, pair_id,
};
pub use trailer::{Extension, Piece, Trailer};

/// The largest UDP datagram there is; a receive buffer of this size truncates nothing.
pub const DATAGRAM_SIZE_MAX: usize = 65_535;

#[cfg(test)]
mod vectors;
