//! Which members the application allows.

use super::uri::Uri;
use crate::hashing::{HashKey, KeyedSet};
use crate::table::claim::Status;

/// Allow-list: other members are kept only while they are alive. Empty: no restriction.
#[derive(Debug)]
pub struct AllowList(KeyedSet<Uri>);

impl AllowList {
    /// Allows these members, and no others; all, if there are none.
    pub fn new(allowed: impl IntoIterator<Item = Uri>, hash_key: &HashKey) -> Self {
        let mut list = KeyedSet::with_hasher(hash_key.clone());
        list.extend(allowed);
        Self(list)
    }

    /// Whether a member is kept only while it is alive.
    pub fn restricts(&self, uri: &str) -> bool {
        !self.0.is_empty() && !self.0.contains(uri)
    }

    /// Whether a member of this status is not to be kept.
    pub fn excludes(&self, uri: &str, status: Status) -> bool {
        let keeps_only_allowed = matches!(status, Status::Suspect | Status::Dead | Status::Left);
        keeps_only_allowed && self.restricts(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_than_the_allowed_are_kept_only_while_they_are_alive() {
        let (listed, other) = ("a:1", "b:1");
        let uri = Uri::from_wire(listed).expect("a URI");
        let hash_key = HashKey::derive(&[1; 32]);
        let list = AllowList::new([uri], &hash_key);
        let unrestricted = AllowList::new([], &hash_key);
        for status in Status::ALL {
            assert!(!list.excludes(listed, status));
            assert!(!unrestricted.excludes(other, status));
            let is_kept = matches!(status, Status::Alive | Status::NonDecryptable);
            assert_eq!(list.excludes(other, status), !is_kept, "{status}");
        }
    }
}
