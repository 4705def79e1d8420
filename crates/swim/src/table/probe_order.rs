//! The probe round (§4.3): all members in turn, in an unpredictable order.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::table::index::MemberIndex;

/// Members to be probed, shuffled as the round goes on.
///
/// A Fisher-Yates shuffle that takes one step per probe. So no round is ever rebuilt, a newcomer
/// has a random place among those yet to come, and every operation takes constant time. Each member
/// is met once a round, hence at least once in 2N − 1 probes.
#[derive(Debug, Default)]
pub struct ProbeOrder {
    order: Vec<MemberIndex>,
    /// At which position in `order` each member is, by its place in the table.
    positions: Vec<u32>,
    next: usize,
}

/// The position of a member that takes no part.
const NOWHERE: u32 = u32::MAX;

impl ProbeOrder {
    /// Adds a member to those yet to be probed, unless it is in.
    pub fn insert(&mut self, member: MemberIndex) {
        if self.position(member).is_none() {
            self.order.push(member);
            self.note(self.order.len() - 1);
        }
    }

    /// Takes a member out, if it is in.
    pub fn remove(&mut self, member: MemberIndex) {
        let Some(mut position) = self.position(member) else {
            return;
        };
        if position < self.next {
            // Keep those that were probed before `next`: the last of them takes the empty place.
            self.next -= 1;
            self.swap(position, self.next);
            position = self.next;
        }
        self.order.swap_remove(position);
        self.positions[member as usize] = NOWHERE;
        if position < self.order.len() {
            self.note(position);
        }
    }

    /// The member at place `from` of the table has moved to place `to`, which is empty.
    pub fn rename(&mut self, from: MemberIndex, to: MemberIndex) {
        if let Some(position) = self.position(from) {
            self.positions[from as usize] = NOWHERE;
            self.order[position] = to;
            self.note(position);
        }
    }

    /// The next member to probe.
    pub fn take(&mut self, rng: &mut StdRng) -> Option<MemberIndex> {
        if self.next >= self.order.len() {
            self.next = 0;
        }
        if self.order.is_empty() {
            return None;
        }
        let chosen = rng.random_range(self.next..self.order.len());
        self.swap(self.next, chosen);
        self.next += 1;
        Some(self.order[self.next - 1])
    }

    /// Up to `count` different members that are `suitable`, at random.
    ///
    /// Looks at 4 · (`count` + 2) members at most: among thousands of which few are suitable it may
    /// miss some, and never takes long.
    pub fn sample(
        &self,
        count: usize,
        rng: &mut StdRng,
        suitable: impl Fn(MemberIndex) -> bool,
    ) -> Vec<MemberIndex> {
        let looks = (4 * (count + 2)).min(self.order.len());
        let mut chosen = Vec::new();
        for position in rand::seq::index::sample(rng, self.order.len(), looks) {
            if chosen.len() == count {
                break;
            }
            let member = self.order[position];
            if suitable(member) {
                chosen.push(member);
            }
        }
        chosen
    }

    /// All of them, in no order that means anything.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = MemberIndex> {
        self.order.iter().copied()
    }

    /// How many members take part.
    pub const fn len(&self) -> usize {
        self.order.len()
    }

    fn position(&self, member: MemberIndex) -> Option<usize> {
        match self.positions.get(member as usize) {
            None | Some(&NOWHERE) => None,
            Some(position) => Some(*position as usize),
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.order.swap(one, other);
        self.note(one);
        self.note(other);
    }

    /// Notes which place is at `position` now.
    fn note(&mut self, position: usize) {
        let member = self.order[position] as usize;
        if member >= self.positions.len() {
            self.positions.resize(member + 1, NOWHERE);
        }
        self.positions[member] = u32::try_from(position).expect("less than 2^32 members");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn round(size: MemberIndex) -> ProbeOrder {
        let mut round = ProbeOrder::default();
        (0..size).for_each(|member| round.insert(member));
        round
    }

    #[test]
    fn every_round_has_each_member_once_in_another_order() {
        let (mut round, mut rng) = (round(20), StdRng::seed_from_u64(1));
        let mut lap =
            || -> Vec<MemberIndex> { (0..20).map(|_| round.take(&mut rng).unwrap()).collect() };
        let (first, second) = (lap(), lap());
        assert_ne!(first, second);
        for mut lap in [first, second] {
            lap.sort_unstable();
            assert_eq!(lap, Vec::from_iter(0..20));
        }
    }

    #[test]
    fn no_member_is_overtaken_twice_while_others_come_and_go() {
        let (mut round, mut rng) = (round(10), StdRng::seed_from_u64(2));
        let mut waited = [0; 10];
        for step in 0..10_000 {
            // A stranger comes and goes, now before and now behind the hand of the clock.
            let stranger = 10 + step / 3;
            if step % 3 == 0 {
                round.insert(stranger);
            } else {
                round.remove(stranger);
            }
            let probed = round.take(&mut rng).unwrap() as usize;
            if probed < 10 {
                waited.iter_mut().for_each(|probes| *probes += 1);
                waited[probed] = 0;
            }
            assert!(waited.iter().all(|probes| *probes < 2 * 10), "{waited:?}");
        }
    }

    #[test]
    fn one_who_moves_in_the_table_keeps_its_turn() {
        let (mut round, mut rng) = (round(3), StdRng::seed_from_u64(3));
        let first = round.take(&mut rng).unwrap();
        round.rename(first, 9);
        round.insert(9);
        assert_eq!(round.len(), 3);
        let mut rest = [round.take(&mut rng).unwrap(), round.take(&mut rng).unwrap()];
        rest.sort_unstable();
        let others = Vec::from_iter((0..3).filter(|member| *member != first));
        assert_eq!(rest[..], others);
        round.remove(9);
        round.remove(first);
        assert_eq!(round.len(), 2);
    }

    #[test]
    fn a_sample_holds_no_member_twice_and_only_suitable_ones() {
        let (round, mut rng) = (round(5), StdRng::seed_from_u64(3));
        let mut sample = round.sample(9, &mut rng, |member| member != 3);
        sample.sort_unstable();
        assert_eq!(sample, [0, 1, 2, 4]);
        assert!(
            ProbeOrder::default()
                .sample(3, &mut rng, |_| true)
                .is_empty()
        );
    }
}
