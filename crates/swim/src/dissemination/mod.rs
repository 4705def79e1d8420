//! How news travels.
//!
//! | file | subject |
//! |---|---|
//! | [`hearsay`] | which events a sender is believed |
//! | `rumors`, `gossip` | what to pass on, to which members, how often (§4.1) |
//! | `digest_sync` | anti-entropy between native members: compare hashes, repair differences |
//! | `merges` | newcomers that bring others along |
//! | `pieces` | messages that are too large for the path to a member, put together again |
//! | `legacy_sync` | anti-entropy with members that run membership 2.x: whole tables |

pub mod digest_sync;
pub mod gossip;
pub mod hearsay;
pub mod legacy_sync;
pub mod merges;
pub mod pieces;
pub mod rumors;

use digest_sync::Repair;
use merges::Merges;
use pieces::Reassembly;

/// The state of anti-entropy.
#[derive(Debug, Default)]
pub(crate) struct AntiEntropy {
    pub digest: Repair,
    /// Whether a request for the table of a peer is under way.
    pub awaits_table: bool,
    pub merges: Merges,
    pub reassembly: Reassembly,
}
