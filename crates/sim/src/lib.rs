//! A group of many members in one process, in virtual time. The same seed gives the same trace on
//! every machine.
//!
//! ```text
//!            ┌ Host: clocks, socket buffer, up or paused or down ┐
//!  World ──► │   Engine: native, membership 2.x, or foca         │ ──► Network: the fate of a datagram
//!            └───────────────────────────────────────────────────┘
//! ```
//!
//! | file | what it has |
//! |---|---|
//! | [`world`] | time, and the order of events |
//! | `queue` | the events to come; ties are broken by the order in which they were added |
//! | [`host`], [`engine`] | a machine, and the protocol that runs on it |
//! | [`network`] | latency, loss, bursts, duplicates, disorder, damage, cuts, partitions |
//! | `faults` | crashes, pauses, restarts, and what users do |
//! | `outputs` | carries out what an engine wants: datagrams, log events, timers |
//! | [`legacy`] | a model of membership 2.x |
//! | `foca` | the crate `foca`, to compare with |
//! | `view`, `convergence` | what each member sees; whether all agree, and how long that may take |
//! | `invariants` | rules that hold at every moment |
//! | [`mutants`] | planted bugs, to test that the rules and the convergence find them |
//! | [`trace`] | all events, as a hash and as text |
//! | [`swarm`] | random worlds with random faults |
//! | [`observer`], [`experiment`] | measurements, and scenarios to measure in |
//!
//! Nothing here reads a clock, the environment, or a random number that does not follow from the seed.
//! Nothing depends on the order of a hash table, nor on functions whose last bit differs from one machine
//! to the next (`ln`, `exp`).

#![forbid(unsafe_code)]

mod convergence;
pub mod engine;
pub mod experiment;
mod faults;
mod foca;
pub mod host;
mod invariants;
pub mod legacy;
pub mod mutants;
pub mod network;
pub mod observer;
mod outputs;
mod queue;
pub mod swarm;
pub mod trace;
mod view;
pub mod world;

pub use engine::Implementation;
pub use faults::payload;
pub use host::{Id, State};
pub use network::Weather;
pub use world::World;
