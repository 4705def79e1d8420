//! How news travels.
//!
//! | file | subject |
//! |---|---|
//! | `apply` | what an event changes in the table; refutation (§4.2) |
//! | [`hearsay`] | which events a sender is believed |
//! | `rumors`, `gossip` | what to pass on, to whom, how often (§4.1) |
//! | `digest_sync` | anti-entropy between native members: compare hashes, repair differences |
//! | `legacy_sync` | anti-entropy with members that run membership 2.x: whole tables |

pub mod apply;
pub mod digest_sync;
pub mod gossip;
pub mod hearsay;
pub mod legacy_sync;
pub mod rumors;
