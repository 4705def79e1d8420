//! Lists of members that are linked by place: adding, removing and moving a member take a constant
//! number of steps, whatever the length of the list.

use crate::table::index::MemberIndex;

/// Numbered lists over the places of one table. A place is in one list at most, with a value.
#[derive(Debug)]
pub struct Chains<T> {
    /// By place.
    links: Vec<Link<T>>,
    /// By number of the list. Missing ones are empty.
    ends: Vec<Ends>,
}

#[derive(Clone, Copy, Debug)]
struct Link<T> {
    value: T,
    /// The neighbours: [`NONE`] at the ends, [`UNLISTED`] if the place is in no list.
    before: MemberIndex,
    after: MemberIndex,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    first: MemberIndex,
    last: MemberIndex,
}

/// What is beyond the end of a list. Half the size of an `Option<MemberIndex>`.
const NONE: MemberIndex = MemberIndex::MAX;

/// The neighbour of a place that is in no list.
const UNLISTED: MemberIndex = MemberIndex::MAX - 1;

const EMPTY: Ends = Ends {
    first: NONE,
    last: NONE,
};

impl<T> Default for Chains<T> {
    fn default() -> Self {
        Self {
            links: Vec::new(),
            ends: Vec::new(),
        }
    }
}

impl<T: Copy + Default> Chains<T> {
    /// What is at a place that is in no list.
    fn unused() -> Link<T> {
        Link {
            value: T::default(),
            before: UNLISTED,
            after: UNLISTED,
        }
    }

    /// The value of a place, if it is in a list.
    pub fn get(&self, place: MemberIndex) -> Option<T> {
        Some(self.link(place)?.value)
    }

    /// How many lists there may be: those beyond are empty.
    pub fn lists(&self) -> usize {
        self.ends.len()
    }

    /// The first place of a list.
    pub fn first(&self, list: usize) -> Option<MemberIndex> {
        let first = self.ends.get(list)?.first;
        (first != NONE).then_some(first)
    }

    /// The places of a list, from the first one on.
    pub fn forwards(&self, list: usize) -> impl Iterator<Item = MemberIndex> {
        core::iter::successors(self.first(list), |place| {
            let after = self.link(*place)?.after;
            (after != NONE).then_some(after)
        })
    }

    /// The places of a list and their values, from the last one on.
    pub fn backwards(&self, list: usize) -> impl Iterator<Item = (MemberIndex, T)> {
        let mut next = match self.ends.get(list) {
            Some(ends) => ends.last,
            None => NONE,
        };
        core::iter::from_fn(move || {
            let place = next;
            let link = self.link(place)?;
            next = link.before;
            Some((place, link.value))
        })
    }

    /// The places of a list, whose values rise, and these values: from the first value above `floor` on.
    pub fn above(&self, list: usize, floor: T) -> impl Iterator<Item = (MemberIndex, T)>
    where
        T: PartialOrd,
    {
        let mut next = NONE;
        for (place, value) in self.backwards(list) {
            if value <= floor {
                break;
            }
            next = place;
        }
        core::iter::from_fn(move || {
            let place = next;
            let link = self.link(place)?;
            next = link.after;
            Some((place, link.value))
        })
    }

    /// Adds a place, which is in no list, before all others.
    pub fn push_first(&mut self, list: usize, place: MemberIndex, value: T) {
        let after = self.ends_of(list).first;
        let before = NONE;
        self.insert(
            list,
            place,
            Link {
                value,
                before,
                after,
            },
        );
    }

    /// Adds a place, which is in no list, behind all others.
    pub fn push_last(&mut self, list: usize, place: MemberIndex, value: T) {
        let before = self.ends_of(list).last;
        let after = NONE;
        self.insert(
            list,
            place,
            Link {
                value,
                before,
                after,
            },
        );
    }

    /// Removes a place from the list that it is in; `None` if it is in none.
    pub fn remove(&mut self, list: usize, place: MemberIndex) -> Option<T> {
        let link = self.unlink(place)?;
        *self.after(list, link.before) = link.after;
        *self.before(list, link.after) = link.before;
        Some(link.value)
    }

    /// The member at place `from` of the table has moved to place `to`, which is in no list.
    pub fn rename(&mut self, list: usize, from: MemberIndex, to: MemberIndex) {
        if let Some(link) = self.unlink(from) {
            self.insert(list, to, link);
        }
    }

    fn link(&self, place: MemberIndex) -> Option<&Link<T>> {
        match self.links.get(place as usize) {
            Some(link) if link.before != UNLISTED => Some(link),
            _ => None,
        }
    }

    fn unlink(&mut self, place: MemberIndex) -> Option<Link<T>> {
        let link = *self.link(place)?;
        self.links[place as usize] = Self::unused();
        Some(link)
    }

    fn ends_of(&mut self, list: usize) -> &mut Ends {
        if list >= self.ends.len() {
            self.ends.resize(list + 1, EMPTY);
        }
        &mut self.ends[list]
    }

    fn insert(&mut self, list: usize, place: MemberIndex, link: Link<T>) {
        if place as usize >= self.links.len() {
            self.links.resize(place as usize + 1, Self::unused());
        }
        self.links[place as usize] = link;
        *self.after(list, link.before) = place;
        *self.before(list, link.after) = place;
    }

    /// What says which place comes behind `place`.
    fn after(&mut self, list: usize, place: MemberIndex) -> &mut MemberIndex {
        if place == NONE {
            &mut self.ends_of(list).first
        } else {
            &mut self.links[place as usize].after
        }
    }

    /// What says which place comes before `place`.
    fn before(&mut self, list: usize, place: MemberIndex) -> &mut MemberIndex {
        if place == NONE {
            &mut self.ends_of(list).last
        } else {
            &mut self.links[place as usize].before
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    fn backwards(chains: &Chains<u32>, list: usize) -> Vec<MemberIndex> {
        chains.backwards(list).map(|(place, _)| place).collect()
    }

    #[test]
    fn lists_are_what_vectors_would_be() {
        let (mut chains, mut lists) = (Chains::default(), [Vec::new(), Vec::new()]);
        let mut rng = StdRng::seed_from_u64(1);
        for step in 0..20_000_u32 {
            let (list, place) = (rng.random_range(0..2), rng.random_range(0..10));
            let other = rng.random_range(0..10);
            let is_in = |place: MemberIndex| lists.iter().position(|list| list.contains(&place));
            match (is_in(place), is_in(other)) {
                (None, _) if rng.random() => {
                    chains.push_first(list, place, step);
                    lists[list].insert(0, place);
                }
                (None, _) => {
                    chains.push_last(list, place, step);
                    lists[list].push(place);
                }
                (Some(list), None) if rng.random() => {
                    let value = chains.get(place);
                    chains.rename(list, place, other);
                    assert_eq!((chains.get(place), chains.get(other)), (None, value));
                    let position = lists[list].iter().position(|known| *known == place);
                    lists[list][position.unwrap()] = other;
                }
                (Some(list), _) => {
                    assert!(chains.remove(list, place).is_some());
                    assert_eq!(chains.remove(list, place), None);
                    lists[list].retain(|known| *known != place);
                }
            }
            for (number, list) in lists.iter().enumerate() {
                assert_eq!(&Vec::from_iter(chains.forwards(number)), list);
                let reversed: Vec<_> = list.iter().rev().copied().collect();
                assert_eq!(backwards(&chains, number), reversed);
                assert_eq!(chains.first(number), list.first().copied());
            }
        }
    }

    #[test]
    fn lists_that_were_never_used_are_empty() {
        let mut chains: Chains<u32> = Chains::default();
        assert_eq!((chains.first(7), chains.get(7)), (None, None));
        assert!(backwards(&chains, 7).is_empty());
        assert_eq!(chains.remove(7, 7), None);
        chains.rename(7, 7, 8);
        assert_eq!(chains.get(8), None);
    }
}
