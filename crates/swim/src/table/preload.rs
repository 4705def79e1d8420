//! Knowing everybody from the start.

use crate::identity::uri::Uri;
use crate::table::claim::Claim;
use crate::table::member::Dialect;
use crate::table::members::Members;
use crate::table::payload::Payload;
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
    /// Whether it is one of ours, and not a peer of the Lua rock.
    pub ours: bool,
}

impl Members {
    /// Takes up what is known of others, as if all of them had known it for long: nobody is told.
    ///
    /// For simulations and benches, where 10,000 members are not to meet one by one.
    pub fn preload(&mut self, memories: impl Iterator<Item = Preloaded> + Clone, now: Now) {
        self.reserve(memories.clone().count());
        for memory in memories.clone() {
            let Preloaded {
                uri,
                claim,
                payload,
                ..
            } = memory;
            self.put(&uri, claim, payload, now.wall);
        }
        let digest = Some(self.digest().total());
        for Preloaded { uri, ours, .. } in memories {
            let dialect = if ours {
                Dialect::Ours { digest }
            } else {
                Dialect::Rock
            };
            self.set_dialect(&uri, dialect);
        }
    }
}
