//! Which members check a suspicion: those that a hash of the suspect, its incarnation and the candidate ranks highest.
//!
//! All members choose the same ones, as far as they know the same candidates (rendezvous hashing). A candidate more or
//! less changes one of them at most.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::identity::uri::Uri;
use crate::table::claim::Incarnation;

/// How many members check a suspicion, and after how many confirmations it lasts the shortest time. All members of a
/// group have to agree on it, so it is no option.
pub const CHECKERS: usize = 3;

/// Ranks candidates for a check of `suspect`, the same on all members.
///
/// It needs no key: a member that chooses its URI so that it checks another can do no more than to confirm what it could
/// claim anyway.
pub struct Ranking(u64);

impl Ranking {
    /// That of the suspicion of `suspect` at this incarnation.
    pub fn of(suspect: &str, incarnation: Incarnation) -> Self {
        Self(xxh3_64_with_seed(suspect.as_bytes(), incarnation.get()))
    }

    fn score<'a>(&self, candidate: &'a Uri) -> (u64, &'a Uri) {
        (xxh3_64_with_seed(candidate.as_bytes(), self.0), candidate)
    }

    /// The checkers among the candidates.
    pub fn choose<'a>(&self, candidates: impl Iterator<Item = &'a Uri>) -> Vec<Uri> {
        let mut best: Vec<(u64, &Uri)> = Vec::with_capacity(CHECKERS + 1);
        for candidate in candidates {
            let scored = self.score(candidate);
            let place = best.partition_point(|better| *better > scored);
            if place < CHECKERS {
                best.insert(place, scored);
                best.truncate(CHECKERS);
            }
        }
        best.into_iter().map(|(_score, uri)| uri.clone()).collect()
    }

    /// Whether `candidate` is one of the checkers among it and `others`. It mostly looks at a few of them only.
    pub fn chooses<'a>(&self, candidate: &Uri, others: impl Iterator<Item = &'a Uri>) -> bool {
        let own = self.score(candidate);
        let mut better = 0;
        for other in others {
            better += usize::from(self.score(other) > own);
            if better == CHECKERS {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uris(count: u16) -> Vec<Uri> {
        let mut uris = Vec::new();
        for port in 1..=count {
            uris.push(Uri::new("a", port).expect("a URI"));
        }
        uris
    }

    fn at(raw: u64) -> Incarnation {
        Incarnation::from_wire(raw).expect("admissible")
    }

    #[test]
    fn those_that_are_chosen_know_it_whatever_the_order_of_the_candidates() {
        let candidates = uris(40);
        let ranking = Ranking::of("b:1", at(1));
        let chosen = ranking.choose(candidates.iter());
        assert_eq!(chosen, ranking.choose(candidates.iter().rev()));
        assert_eq!(chosen.len(), CHECKERS);
        for candidate in &candidates {
            let others = candidates.iter().filter(|other| *other != candidate);
            let is_chosen = chosen.contains(candidate);
            assert_eq!(ranking.chooses(candidate, others), is_chosen, "{candidate}");
        }
    }

    #[test]
    fn a_candidate_less_changes_one_of_the_checkers_at_most() {
        let candidates = uris(40);
        let ranking = Ranking::of("b:1", at(1));
        let chosen = ranking.choose(candidates.iter());
        for missing in &candidates {
            let known = candidates.iter().filter(|candidate| *candidate != missing);
            let now = ranking.choose(known);
            let kept = now.iter().filter(|uri| chosen.contains(uri)).count();
            assert!(kept >= CHECKERS - 1, "without {missing}");
        }
    }

    #[test]
    fn each_incarnation_is_checked_by_others_and_all_have_their_turn() {
        let candidates = uris(10);
        let mut turns = vec![0; candidates.len()];
        for incarnation in 1..=300 {
            for chosen in Ranking::of("b:1", at(incarnation)).choose(candidates.iter()) {
                turns[usize::from(chosen.port()) - 1] += 1;
            }
        }
        // 90 each on average.
        assert!(
            turns.iter().all(|turns| (50..150).contains(turns)),
            "{turns:?}"
        );
    }

    #[test]
    fn in_a_small_group_all_check() {
        let candidates = uris(2);
        let chosen = Ranking::of("b:1", at(1)).choose(candidates.iter());
        assert_eq!(chosen.len(), 2);
    }
}
