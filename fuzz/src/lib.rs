//! Fuzz targets for the protocol: for cargo-fuzz, and for `fuzz/tests/invented.rs`, which needs no nightly
//! compiler.
//!
//! | file | the bytes are |
//! |---|---|
//! | [`decode`] | a datagram that is not encrypted |
//! | [`open`] | keys, a cipher, and a datagram |
//! | [`life`] | the history of two members: datagrams, commands, time |
//! | [`cost`] | a datagram, or how to make a large one, for a member with full tables |
//! | [`seeds`] | inputs to begin with |
//!
//! Each target panics if its property does not hold.

pub mod cost;
pub mod decode;
pub mod life;
pub mod open;
pub mod seeds;

/// Takes bytes, and panics if its property does not hold.
pub type Target = fn(&[u8]);

/// All targets.
pub const TARGETS: [(&str, Target); 4] = [
    ("decode", decode::target),
    ("open", open::target),
    ("life", life::target),
    ("cost", cost::target),
];
