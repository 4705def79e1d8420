//! Knowing all members from the start.

use crate::identity::uri::Uri;
use crate::table::claim::Claim;
use crate::table::history::Occasion;
use crate::table::member::Dialect;
use crate::table::members::Members;
use crate::table::payload::Payload;
use crate::table::reason::Reason;
use crate::time::Now;

/// What is known of a member.
#[derive(Clone, Debug)]
pub struct Preloaded {
    /// Its identity.
    pub uri: Uri,
    /// What it was heard to be.
    pub claim: Claim,
    /// Its payload.
    pub payload: Option<Payload>,
    /// Whether it is a native peer, and not a peer on membership 2.x.
    pub is_native: bool,
}

impl Members {
    /// Takes up what is known of others, as if all of them had known it for long: none is told.
    ///
    /// For simulations and benches, where 10,000 members are not to meet one by one.
    pub fn preload(&mut self, memories: impl Iterator<Item = Preloaded> + Clone, now: Now) {
        let occasion = Occasion {
            now,
            reason: &Reason::Added,
        };
        self.reserve(memories.clone().count());
        for memory in memories.clone() {
            let Preloaded {
                uri,
                claim,
                payload,
                ..
            } = memory;
            self.put(&uri, claim, payload, now.wall, &occasion);
        }
        let digest = Some(self.digest().total());
        for Preloaded { uri, is_native, .. } in memories {
            let dialect = if is_native {
                Dialect::Native { digest }
            } else {
                Dialect::Legacy
            };
            self.set_dialect(&uri, dialect);
            if let Some(member) = self.table.get_mut(&uri) {
                member.reads_short = is_native;
            }
        }
    }
}
