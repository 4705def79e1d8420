//! Which keys a member accepts, as far as it has shown or told that, and which it is sent.
//!
//! While a group changes its key, some members accept one that others do not have yet. What is sent to a
//! member is encrypted with a key that it is known to accept: so none is cut off that misses a step, as
//! long as the others still accept its key.

use super::keyring::{KeyId, Keyring};

/// What is known of the keys of a member.
#[derive(Clone, Debug, Default)]
pub struct PeerKeys {
    /// The one that its last datagram was encrypted with.
    last: Option<KeyId>,
    /// Those that it accepts, the one that it uses first, as its last datagram told. A member with one key
    /// need not tell: its datagrams show it.
    told: Box<[KeyId]>,
}

impl PeerKeys {
    /// Notes what a datagram of the member shows: the key that it was encrypted with, and those that it
    /// told of.
    pub fn note(&mut self, last: Option<KeyId>, told: &[KeyId]) {
        self.last = last;
        if *self.told != *told {
            self.told = told.into();
        }
    }

    /// The key that its last datagram was encrypted with.
    pub const fn last(&self) -> Option<KeyId> {
        self.last
    }

    /// The key that it sends with. That of its last datagram may be another: an answer has the key of its
    /// question.
    pub fn uses(&self) -> Option<KeyId> {
        self.told.first().copied().or(self.last)
    }

    /// Whether it is known to accept this key.
    pub fn accepts(&self, key: KeyId) -> bool {
        self.last == Some(key) || self.told.contains(&key)
    }

    /// Of the local `keys`, the first that the member is known to accept.
    pub fn choose(&self, keys: &Keyring) -> Option<KeyId> {
        let mut ids = keys.ids();
        ids.find(|id| self.accepts(*id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(texts: &[&[u8]]) -> Keyring {
        let mut keys = Keyring::default();
        keys.set(texts.iter().copied()).expect("they fit");
        keys
    }

    #[test]
    fn the_key_to_send_with_is_the_first_that_the_member_accepts() {
        let keys = keyring(&[b"new", b"old"]);
        let [new, old, other] = [&b"new"[..], b"old", b"other"].map(|text| {
            let id = keyring(&[text]).ids().next();
            id.expect("there is one")
        });
        for (last, told, chosen) in [
            (None, &[][..], None),
            (Some(other), &[], None),
            (Some(old), &[], Some(old)),
            (Some(new), &[], Some(new)),
            (Some(old), &[old, new], Some(new)),
            (Some(old), &[old, other], Some(old)),
        ] {
            let mut peer = PeerKeys::default();
            peer.note(last, told);
            assert_eq!(peer.choose(&keys), chosen, "{peer:?}");
        }
    }

    #[test]
    fn what_a_member_told_before_does_not_count() {
        let ids: Vec<KeyId> = keyring(&[b"one", b"two"]).ids().collect();
        let mut peer = PeerKeys::default();
        peer.note(Some(ids[1]), &ids);
        assert_eq!(peer.uses(), Some(ids[0]), "it has answered with the other");
        assert!(peer.accepts(ids[0]));
        peer.note(Some(ids[1]), &[]);
        assert_eq!(peer.uses(), Some(ids[1]));
        assert!(!peer.accepts(ids[0]));
    }
}
