//! `membership` for Tarantool: a mesh of instances that discover and watch one another.
//!
//! ```text
//! Lua callers ─► lua/membership.lua ─► membership.core (src/lua.rs, mlua) ─► src/node/ ─► src/swim/
//!                      ▲                                                       │
//!                      └──── one fiber, woken through a file descriptor ◄──────┘
//! ```
//!
//! - [`swim`] is the protocol: pure, deterministic, testable in virtual time.
//! - [`sim`] runs many of them in one process and in virtual time.
//! - [`node`] is the machine around it: a thread, a lock, a socket, a resolver, two clocks.
//! - `lua` (feature `module`) hands Lua's arguments in and results out.
//! - `src/bin/membershipctl` (feature `ctl`) is a program that asks instances from outside.
//!
//! Each knows of the one below it and of nothing else.

#[cfg(feature = "module")]
mod lua;
pub mod node;
pub mod sim;
pub mod swim;
