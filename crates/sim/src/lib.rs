//! A group of many members in one process, in virtual time: the same seed gives the same history
//! on every machine.
//!
//! ```text
//!            ┌ Host: clocks, socket buffer, up or paused or down ┐
//!  World ──► │         Engine: a Swim, or a Lua rock             │ ──► Network: the fate of a datagram
//!            └───────────────────────────────────────────────────┘
//! ```
//!
//! | file | what it plays |
//! |---|---|
//! | [`world`] | time, and who acts next |
//! | `faults` | what is done to machines, and by their users |
//! | [`host`], [`engine`] | one machine, and the protocol that runs on it |
//! | `view`, `convergence` | who sees what, whether all agree, and by when they must |
//! | [`legacy`] | how the Lua rock behaves |
//! | [`observer`], [`experiment`] | what is measured, and what is tried |
//! | `invariants` | what must be so at every moment |
//! | [`mutants`] | mistakes made on purpose, to see that the checks find them |
//! | [`network`] | latency, loss, bursts, duplicates, disorder, damage, cuts, partitions |
//! | [`swarm`] | worlds that nobody has thought of |
//! | `outputs` | what an engine has to say, on its way |
//! | `queue` | what happens when; ties are broken by the order in which things were decided |
//! | [`history`] | all that has happened, as a hash and for people to read |
//!
//! Nothing in here reads a clock, the environment, or a random number that does not follow from the
//! seed; nothing depends on the order of a hash table, nor on functions whose last bit differs from
//! one machine to the next (`ln`, `exp`).

#![forbid(unsafe_code)]

mod convergence;
pub mod engine;
pub mod experiment;
mod faults;
pub mod history;
pub mod host;
mod invariants;
pub mod legacy;
pub mod mutants;
pub mod network;
pub mod observer;
mod outputs;
mod queue;
pub mod swarm;
mod view;
pub mod world;

pub use engine::Implementation;
pub use faults::payload;
pub use host::{Id, State};
pub use network::Weather;
pub use world::World;
