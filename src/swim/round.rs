//! The probe round (§4.3): everybody in turn, in an order that nobody can foresee.

use indexmap::IndexSet;
use rand::RngExt;
use rand::rngs::StdRng;

use super::uri::Uri;

/// Members to be probed, shuffled as the round goes on.
///
/// A Fisher-Yates shuffle that takes one step per probe. So no round is ever rebuilt, a newcomer
/// has a random place among those yet to come, and every operation takes constant time. Each member
/// is met once a round, hence at least once in 2N − 1 probes.
#[derive(Debug, Default)]
pub struct Round {
    order: IndexSet<Uri>,
    next: usize,
}

impl Round {
    /// Adds a member to those yet to be probed.
    pub fn insert(&mut self, uri: Uri) {
        self.order.insert(uri);
    }

    /// Takes a member out, if it is in.
    pub fn remove(&mut self, uri: &str) {
        let Some(mut index) = self.order.get_index_of(uri) else {
            return;
        };
        if index < self.next {
            // Keep those that were probed before `next`: the last of them takes the empty place.
            self.next -= 1;
            self.order.swap_indices(index, self.next);
            index = self.next;
        }
        self.order.swap_remove_index(index);
    }

    /// The next member to probe.
    pub fn take(&mut self, rng: &mut StdRng) -> Option<Uri> {
        if self.next >= self.order.len() {
            self.next = 0;
        }
        if self.order.is_empty() {
            return None;
        }
        let chosen = rng.random_range(self.next..self.order.len());
        self.order.swap_indices(self.next, chosen);
        self.next += 1;
        self.order.get_index(self.next - 1).cloned()
    }

    /// Up to `count` different members that are `suitable`, at random.
    ///
    /// Looks at 4 · (`count` + 2) members at most: among thousands of which few are suitable it may
    /// miss some, and never takes long.
    pub fn sample(
        &self,
        count: usize,
        rng: &mut StdRng,
        suitable: impl Fn(&Uri) -> bool,
    ) -> Vec<Uri> {
        let looks = (4 * (count + 2)).min(self.order.len());
        rand::seq::index::sample(rng, self.order.len(), looks)
            .into_iter()
            .filter_map(|index| self.order.get_index(index))
            .filter(|uri| suitable(uri))
            .take(count)
            .cloned()
            .collect()
    }

    /// All of them, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &Uri> {
        self.order.iter()
    }

    /// How many members take part.
    pub fn len(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn round(size: u16) -> Round {
        let mut round = Round::default();
        (1..=size).for_each(|port| round.insert(Uri::new("a", port).unwrap()));
        round
    }

    #[test]
    fn every_round_meets_everybody_once_in_another_order() {
        let (mut round, mut rng) = (round(20), StdRng::seed_from_u64(1));
        let mut lap = || -> Vec<Uri> { (0..20).map(|_| round.take(&mut rng).unwrap()).collect() };
        let (first, second) = (lap(), lap());
        assert_ne!(first, second);
        for mut lap in [first, second] {
            lap.sort();
            lap.dedup();
            assert_eq!(lap.len(), 20);
        }
    }

    #[test]
    fn nobody_is_overtaken_twice_while_others_come_and_go() {
        let (mut round, mut rng) = (round(10), StdRng::seed_from_u64(2));
        let mut waited = [0; 10];
        for step in 0..10_000_u16 {
            // A stranger comes and goes, now before and now behind the hand of the clock.
            let stranger = Uri::new("b", 1 + step / 3).unwrap();
            if step % 3 == 0 {
                round.insert(stranger)
            } else {
                round.remove(&stranger)
            }
            let probed = round.take(&mut rng).unwrap();
            if probed.host() == "a" {
                waited.iter_mut().for_each(|probes| *probes += 1);
                waited[usize::from(probed.port()) - 1] = 0;
            }
            assert!(waited.iter().all(|probes| *probes < 2 * 10), "{waited:?}");
        }
    }

    #[test]
    fn a_sample_holds_no_member_twice_and_only_suitable_ones() {
        let (round, mut rng) = (round(5), StdRng::seed_from_u64(3));
        let mut sample = round.sample(9, &mut rng, |uri| uri.port() != 3);
        sample.sort();
        assert_eq!(
            sample.iter().map(|uri| uri.port()).collect::<Vec<_>>(),
            [1, 2, 4, 5]
        );
        assert!(Round::default().sample(3, &mut rng, |_| true).is_empty());
    }
}
