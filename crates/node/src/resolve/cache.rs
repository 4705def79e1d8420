//! A map of limited size, which forgets what is not used.

use core::borrow::Borrow;
use core::hash::Hash;

use indexmap::{Equivalent, IndexMap};

/// Holds a limited number of entries. A new one replaces one that was not used lately, at constant cost:
/// the clock algorithm, also called "second chance".
#[derive(Debug)]
pub struct Cache<K, V> {
    /// With the hasher of `std`, SipHash with keys from the system: unknown senders choose the keys, and the
    /// table is too large for a weaker one.
    entries: IndexMap<K, Slot<V>>,
    limit: usize,
    /// The entry that is next to be replaced if it was not used: the hand of the clock.
    hand: usize,
}

#[derive(Debug)]
struct Slot<V> {
    value: V,
    used: bool,
}

impl<K: Hash + Eq, V: Default> Cache<K, V> {
    /// How many entries in a row get a second chance, before one is replaced although it was used.
    const CHANCES: usize = 64;

    /// Makes an empty cache for `limit` entries, which must not be 0.
    pub fn new(limit: usize) -> Self {
        assert!(limit > 0, "an entry must fit");
        Self {
            entries: IndexMap::new(),
            limit,
            hand: 0,
        }
    }

    /// Returns the entry of `key`, without marking it as used.
    pub fn peek<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<&V> {
        Some(&self.entries.get(key)?.value)
    }

    /// Returns the entry of `key`, and makes one if there is none.
    pub fn entry<Q>(&mut self, key: &Q) -> &mut V
    where
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        let index = match self.entries.get_index_of(key) {
            Some(index) => index,
            None => {
                self.make_room();
                let slot = Slot {
                    value: V::default(),
                    used: false,
                };
                self.entries.insert_full(key.to_owned(), slot).0
            }
        };
        let slot = &mut self.entries[index];
        slot.used = true;
        &mut slot.value
    }

    /// Returns the entry of `key` to be changed, without marking it as used.
    pub fn get_mut<Q: Hash + Equivalent<K> + ?Sized>(&mut self, key: &Q) -> Option<&mut V> {
        Some(&mut self.entries.get_mut(key)?.value)
    }

    /// All entries.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut().map(|slot| &mut slot.value)
    }

    fn make_room(&mut self) {
        if self.entries.len() < self.limit {
            return;
        }
        for _ in 0..Self::CHANCES {
            self.hand = (self.hand + 1) % self.entries.len();
            if !core::mem::take(&mut self.entries[self.hand].used) {
                break;
            }
        }
        self.entries.swap_remove_index(self.hand);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_and_an_entry_that_is_used_stays() {
        let mut cache: Cache<String, u32> = Cache::new(10);
        *cache.entry("mine") = 42;
        for number in 0..1000 {
            *cache.entry(&*number.to_string()) = number;
            *cache.entry("mine") += 0;
            assert!(cache.entries.len() <= 10);
        }
        assert_eq!(cache.peek("mine"), Some(&42));
        assert_eq!(cache.peek("999"), Some(&999), "the newest");
        assert_eq!(cache.peek("0"), None);
    }

    #[test]
    fn an_entry_is_replaced_even_if_all_are_in_use() {
        let mut cache: Cache<u32, u32> = Cache::new(1000);
        (0..1000).for_each(|key| *cache.entry(&key) = key);
        *cache.entry(&1000) = 1000;
        assert_eq!(
            (cache.peek(&1000), cache.entries.len()),
            (Some(&1000), 1000)
        );
    }
}
