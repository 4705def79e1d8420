//! The member table.
//!
//! | file | subject |
//! |---|---|
//! | [`claim`] | which of two claims about a member wins (§4.2) |
//! | [`payload`] | what a member publishes about itself |
//! | [`member`], [`members`], `notes` | the table, and what is observed of each member |
//! | `changelog`, `changes` | what has changed since a reader last asked |
//! | [`history`], [`reason`] | every change in order, and why |
//! | `digest` | hashes of the table, to compare it with that of a peer |
//! | `tombstones`, `forgetting`, `expiry_queue` | forgetting members that are gone, and knowing them again |
//! | `rounds`, `probe_order` | in which order members are probed (§4.3) |
//! | `index`, `chains` | places in the table, and lists that are linked by them |
//! | [`preload`] | filling a table at once, for tests and benches |

pub mod chains;
pub mod changelog;
pub mod changes;
pub mod claim;
pub mod digest;
mod expiry_queue;
mod forgetting;
pub mod history;
pub mod index;
pub mod member;
pub mod members;
mod notes;
pub mod payload;
pub mod preload;
mod probe_order;
pub mod reason;
mod rounds;
mod tombstones;
