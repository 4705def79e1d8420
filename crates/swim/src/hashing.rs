//! Tables whose keys other members choose.
//!
//! A sender that could tell which URIs meet in one place of a hash table would send such, until each look
//! into the table goes through all of them. So the hash depends on numbers that follow from the seed of the
//! instance and never leave it. They are not drawn from the stream that decides about all else, so
//! that the hash changes nothing else that an instance does.

use core::fmt;
use core::hash::{BuildHasher, Hasher};

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use hkdf::Hkdf;
use indexmap::{IndexMap, IndexSet};
use sha2::Sha256;

/// A map that is hashed with the key of the instance. Its order is that of insertion.
pub type KeyedMap<K, V> = IndexMap<K, V, HashKey>;

/// A set that is hashed with the key of the instance. Its order is that of insertion.
pub type KeyedSet<K> = IndexSet<K, HashKey>;

/// What the key is derived with, besides the seed: other uses of a seed are to have other numbers.
const PURPOSE: &[u8] = b"hash tables";

/// What only the local node knows of its hash.
// Twice as fast as SipHash, the hash of the standard library, or faster: each datagram looks up many URIs.
#[derive(Clone)]
pub struct HashKey {
    start: u64,
    // Drawn as well. The hash multiplies one half of the bytes, changed by `start`, with the other, changed
    // by this: if that were a constant of the library, one factor would be the sender's choice.
    factors: SharedSeed,
}

impl HashKey {
    /// The key of an instance with this seed.
    pub fn derive(seed: &[u8; 32]) -> Self {
        let derivation = Hkdf::<Sha256>::from_prk(seed).expect("a seed is as long as a hash");
        let mut numbers = [[0; 8]; 2];
        derivation
            .expand(PURPOSE, numbers.as_flattened_mut())
            .expect("HKDF yields as much as 255 hashes");
        let [start, factors] = numbers.map(u64::from_be_bytes);
        Self {
            start,
            factors: SharedSeed::from_u64(factors),
        }
    }
}

/// Shows that there is a key, never which.
impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey")
    }
}

impl BuildHasher for HashKey {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher {
            state: self.start,
            factors: self.factors.clone(),
        }
    }
}

/// The hash of a value in the making.
// With a copy of the factors: that of the library borrows them, which the trait does not provide for unless
// they live as long as the process.
pub struct KeyedHasher {
    state: u64,
    factors: SharedSeed,
}

impl Hasher for KeyedHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut hasher = FoldHasher::with_seed(self.state, &self.factors);
        hasher.write(bytes);
        self.state = hasher.finish();
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::uri::Uri;

    fn hashes(key: &HashKey) -> Vec<u64> {
        let mut hashes = Vec::new();
        for host in ["a", "a.example.org", "a-long-name.of-a-host.example.org"] {
            let uri = Uri::new(host, 3301).expect("a URI");
            hashes.push(key.hash_one(&uri));
            assert_eq!(
                key.hash_one(&*uri),
                key.hash_one(&uri),
                "it is looked up by its text"
            );
        }
        hashes
    }

    #[test]
    fn the_seed_and_nothing_else_decides_about_the_hash() {
        let one = hashes(&HashKey::derive(&[1; 32]));
        let again = hashes(&HashKey::derive(&[1; 32]));
        let other = hashes(&HashKey::derive(&[2; 32]));
        assert_eq!(one, again);
        for (one, other) in one.iter().zip(&other) {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn both_numbers_of_a_key_decide_about_the_hash() {
        let key = HashKey::derive(&[1; 32]);
        let other = HashKey::derive(&[2; 32]);
        let mixed = HashKey {
            start: key.start,
            factors: other.factors.clone(),
        };
        for (one, mixed) in hashes(&key).iter().zip(&hashes(&mixed)) {
            assert_ne!(one, mixed);
        }
        for (other, mixed) in hashes(&other).iter().zip(&hashes(&mixed)) {
            assert_ne!(other, mixed);
        }
    }
}
