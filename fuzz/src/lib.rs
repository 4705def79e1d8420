//! What the protocol's core is to withstand, whatever bytes decide: for cargo-fuzz, and for
//! `fuzz/tests/invented.rs`, which needs no nightly compiler.
//!
//! | target | what the bytes are |
//! |---|---|
//! | [`decode`] | a datagram that nobody has encrypted |
//! | [`open`] | keys, a cipher, and a datagram |
//! | [`life`] | what becomes of two members: datagrams, commands, time |
//! | [`cost`] | a datagram, or how to make a large one, for a member with full tables |
//!
//! Each panics if what it says does not hold. [`seeds`] is what to begin with.

pub mod cost;
pub mod decode;
pub mod life;
pub mod open;
pub mod seeds;

/// Takes bytes, and panics if something is not as it must be.
pub type Target = fn(&[u8]);

/// All of them.
pub const TARGETS: [(&str, Target); 4] = [
    ("decode", decode::target),
    ("open", open::target),
    ("life", life::target),
    ("cost", cost::target),
];
