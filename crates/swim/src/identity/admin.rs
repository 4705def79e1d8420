//! Which members the application allows.

use super::uri::Uri;
use crate::hashing::{HashKey, KeyedSet};
use crate::table::claim::Status;

/// Allow-list: other members are kept only while they are alive; or, if it is strict, not taken in at all. Empty: no
/// restriction.
#[derive(Debug)]
pub struct AllowList {
    uris: KeyedSet<Uri>,
    is_strict: bool,
}

impl AllowList {
    /// Allows these members, and no others; all, if there are none.
    pub fn new(
        allowed: impl IntoIterator<Item = Uri>,
        is_strict: bool,
        hash_key: &HashKey,
    ) -> Self {
        let mut uris = KeyedSet::with_hasher(hash_key.clone());
        uris.extend(allowed);
        Self { uris, is_strict }
    }

    /// Whether a member is kept only while it is alive.
    pub fn restricts(&self, uri: &str) -> bool {
        !self.uris.is_empty() && !self.uris.contains(uri)
    }

    /// Whether a member is not taken in, though it is alive.
    pub fn refuses(&self, uri: &str) -> bool {
        self.is_strict && self.restricts(uri)
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
        let list = AllowList::new([uri], false, &hash_key);
        let unrestricted = AllowList::new([], true, &hash_key);
        for status in Status::ALL {
            assert!(!list.excludes(listed, status));
            assert!(!unrestricted.excludes(other, status));
            let is_kept = matches!(status, Status::Alive | Status::NonDecryptable);
            assert_eq!(list.excludes(other, status), !is_kept, "{status}");
        }
    }

    #[test]
    fn a_strict_list_takes_in_no_others() {
        let uri = Uri::from_wire("a:1").expect("a URI");
        let hash_key = HashKey::derive(&[1; 32]);
        let list = AllowList::new([uri.clone()], true, &hash_key);
        assert!(!list.refuses("a:1") && list.refuses("b:1"));
        assert!(!AllowList::new([uri], false, &hash_key).refuses("b:1"));
        assert!(!AllowList::new([], true, &hash_key).refuses("b:1"));
    }
}
