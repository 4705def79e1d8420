//! Knowing everybody from the start.

use super::Swim;
use super::claim::Claim;
use super::payload::Payload;
use super::time::Now;
use super::uri::Uri;

impl Swim {
    /// Takes up what is known of others, as if all of them had known it for long: nobody is told.
    ///
    /// For simulations and benches, where 10,000 members are not to meet one by one.
    pub fn recall(
        &mut self,
        members: impl IntoIterator<Item = (Uri, Claim, Option<Payload>)>,
        now: Now,
    ) {
        for (uri, claim, payload) in members {
            self.members.put(&uri, claim, payload, now.wall);
        }
        self.rumors.clear();
    }
}
