//! Members that were remembered over a restart. Each is pinged until it answers, and until then it is no member:
//! applications do not see it, and other members are not told of it.
//!
//! While the local node is alone, it looks for all of them without end: they may be started later. In company it
//! gives up after `TRIES_MAX` pings each: the group knows better which members there are.

use core::time::Duration;
use std::collections::VecDeque;

use crate::hashing::{HashKey, KeyedSet};
use crate::identity::uri::Uri;
use crate::time::Micros;

/// How many members are remembered. One that answers tells of all others.
pub const REMEMBERED_MAX: usize = 256;

/// How many are pinged in a protocol period: that is 4 kB or so.
const PINGED_PER_PERIOD: usize = 8;

/// After how many pings one is given up, if there are other members: that takes four minutes.
const TRIES_MAX: u32 = 8;

/// The time from the first ping to the second. It doubles with each ping.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest time between two pings. On the way there may be a machine that translates addresses, see `rhythm`: a
/// shorter time would keep it from finding a member that has another address now.
const PAUSE_MAX: Duration = Duration::from_secs(125);

/// The candidates that have not answered, in the order in which they are pinged.
#[derive(Debug)]
pub struct Candidates {
    queue: VecDeque<Candidate>,
    /// The same, to be found by their names.
    uris: KeyedSet<Uri>,
}

#[derive(Debug)]
struct Candidate {
    uri: Uri,
    tries: u32,
    /// When it is pinged next.
    due: Micros,
}

impl Candidates {
    /// There are none.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            queue: VecDeque::new(),
            uris: KeyedSet::with_hasher(hash_key.clone()),
        }
    }

    /// Adds one, to be pinged behind those that were added before. Beyond [`REMEMBERED_MAX`] it is left out.
    pub fn add(&mut self, uri: Uri) {
        if self.queue.len() < REMEMBERED_MAX && self.uris.insert(uri.clone()) {
            self.queue.push_back(Candidate {
                uri,
                tries: 0,
                due: Micros(0),
            });
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether this is one of them.
    pub fn contains(&self, uri: &Uri) -> bool {
        self.uris.contains(uri)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Uri> {
        self.queue.iter().map(|candidate| &candidate.uri)
    }

    /// Forgets those of which this is true.
    pub fn remove_if(&mut self, is_settled: impl Fn(&Uri) -> bool) {
        self.uris.retain(|uri| !is_settled(uri));
        let uris = &self.uris;
        self.queue.retain(|candidate| uris.contains(&candidate.uri));
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.uris.clear();
    }

    /// Takes those whose turn has come, to be pinged. If the local node is in company, forgets those that have been
    /// pinged often enough.
    pub fn take_due(&mut self, in_company: bool, now: Micros) -> Vec<Uri> {
        let mut due = Vec::new();
        for _ in 0..self.queue.len() {
            let Some(mut candidate) = self.queue.pop_front() else {
                break;
            };
            if candidate.due > now || due.len() == PINGED_PER_PERIOD {
                self.queue.push_back(candidate);
                continue;
            }
            if in_company && candidate.tries >= TRIES_MAX {
                self.uris.swap_remove(&candidate.uri);
                continue;
            }
            due.push(candidate.uri.clone());
            let pause = PAUSE_MIN * 2_u32.saturating_pow(candidate.tries);
            candidate.due = now + pause.min(PAUSE_MAX);
            candidate.tries = candidate.tries.saturating_add(1);
            self.queue.push_back(candidate);
        }
        due
    }

    /// Whether no more are remembered than may be, and both lists agree; for audits.
    pub fn is_bounded(&self) -> bool {
        self.queue.len() <= REMEMBERED_MAX && self.queue.len() == self.uris.len()
    }
}

/// How much it is worth to remember a member: those that are worth most come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// It is gone, and still looked for.
    Gone,
    /// It is a candidate that has not answered yet.
    Candidate,
    /// Others say that it is alive.
    Told,
    /// It is alive, and has answered then.
    Heard(Micros),
}

/// A member to be remembered over a restart.
// Field order is the order of what is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory {
    /// How much that is worth.
    pub worth: Worth,
    /// The member.
    pub uri: Uri,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(count: u16) -> Candidates {
        let mut candidates = Candidates::new(&HashKey::derive(&[1; 32]));
        for port in 1..=count {
            candidates.add(Uri::new("a", port).expect("a URI"));
        }
        candidates
    }

    fn at(second: u64) -> Micros {
        Micros(second * 1_000_000)
    }

    /// How often something is pinged in so many periods of a second.
    fn pings(candidates: &mut Candidates, in_company: bool, periods: u64) -> usize {
        let mut count = 0;
        for second in 0..periods {
            count += candidates.take_due(in_company, at(second)).len();
            assert!(candidates.is_bounded());
        }
        count
    }

    #[test]
    fn in_company_each_is_pinged_eight_times_and_then_forgotten() {
        let mut candidates = candidates(20);
        assert_eq!(pings(&mut candidates, true, 600), 20 * 8);
        assert!(candidates.is_empty());
    }

    #[test]
    fn alone_they_are_looked_for_without_end_ever_more_seldom() {
        let mut candidates = candidates(1);
        assert_eq!(pings(&mut candidates, false, 128), 8);
        let pings = pings(&mut candidates, false, 7200);
        assert!((55..=60).contains(&pings), "{pings}");
        assert!(!candidates.is_empty());
    }

    #[test]
    fn a_few_are_pinged_at_a_time_and_all_have_their_turn() {
        let mut candidates = candidates(1000);
        assert_eq!(candidates.iter().count(), REMEMBERED_MAX);
        let mut pinged = Vec::new();
        while pinged.len() < REMEMBERED_MAX {
            let due = candidates.take_due(true, at(0));
            assert_eq!(due.len(), PINGED_PER_PERIOD);
            pinged.extend(due);
        }
        let before = pinged.len();
        pinged.sort();
        pinged.dedup();
        assert_eq!(pinged.len(), before, "none twice");
    }

    #[test]
    fn one_that_has_become_a_member_is_not_pinged_any_more() {
        let mut candidates = candidates(2);
        let member = Uri::new("a", 1).expect("a URI");
        candidates.remove_if(|uri| *uri == member);
        assert!(!candidates.contains(&member) && candidates.is_bounded());
        assert_eq!(candidates.take_due(true, at(0)).len(), 1);
    }
}
