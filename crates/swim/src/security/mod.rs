//! Which datagrams are believed, and how much is sent because of them.
//!
//! | file | subject |
//! |---|---|
//! | [`seal`] | encryption: keys, ciphers, packets |
//! | [`session`] | replay protection, and challenges that prove freshness |
//! | `authentication` | whether a datagram is of this group, fresh, and meant for this member |
//! | `amplification`, `cookie`, `secret` | address validation, and the limit before it (RFC 9000, section 8) |
//! | [`acquaintance`] | on whose word a member is known, and so how much its name may cost |

pub mod acquaintance;
pub mod amplification;
pub mod authentication;
pub mod cookie;
pub mod seal;
mod secret;
pub mod session;
