//! What changed, and when: one mechanism for reads, subscriptions and waiting.

use std::collections::VecDeque;

use super::chains::Chains;
use super::members::Place;
use super::uri::Uri;

/// The last change of each member, in the order of the changes, numbered.
///
/// A reader remembers the number it has read up to and asks for what came later.
#[derive(Debug, Default)]
pub struct History {
    version: u64,
    /// The numbers of the last changes.
    changes: Chains<u64>,
    /// Members that are gone, with the numbers of these changes.
    removals: VecDeque<(u64, Uri)>,
    horizon: u64,
}

/// There is one list only.
const ALL: usize = 0;

/// How many removals are remembered. A reader that is further behind starts over, which costs it one
/// look at the whole table.
const REMOVALS_MAX: usize = 1024;

/// What a reader has missed.
#[derive(Debug, PartialEq, Eq)]
pub struct Missed {
    /// It is to forget all it knew: too much has happened since.
    pub reset: bool,
    /// Members that are new or have changed, the first change first.
    pub touched: Vec<Place>,
    /// Members that are gone.
    pub removed: Vec<Uri>,
}

impl History {
    /// The number of the last change.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Whether exactly one change of each of so many members is remembered, and not too many
    /// removals; for audits.
    pub fn is_bounded(&self, members: usize) -> bool {
        self.removals.len() <= REMOVALS_MAX && self.changes.backwards(ALL).count() == members
    }

    /// Notes that the member at this place of the table is new, or has changed.
    pub fn touch(&mut self, place: Place) {
        self.changes.remove(ALL, place);
        self.version += 1;
        self.changes.push_last(ALL, place, self.version);
    }

    /// Notes that the member at this place of the table is gone.
    pub fn remove(&mut self, place: Place, uri: Uri) {
        self.changes.remove(ALL, place);
        self.version += 1;
        self.removals.push_back((self.version, uri));
        if self.removals.len() > REMOVALS_MAX {
            self.horizon = self
                .removals
                .pop_front()
                .map_or(0, |(version, _uri)| version);
        }
    }

    /// The member at place `from` of the table has moved to place `to`, where nobody is.
    pub fn rename(&mut self, from: Place, to: Place) {
        self.changes.rename(ALL, from, to);
    }

    /// Notes that every member is gone.
    pub fn clear(&mut self) {
        let version = self.version + 1;
        *self = Self {
            version,
            horizon: version,
            ..Self::default()
        };
    }

    /// What happened after change number `version`; everything for a reader that starts with 0.
    pub fn since(&self, version: u64) -> Missed {
        let reset = version < self.horizon || version > self.version;
        let start = if reset { 0 } else { version };
        let changes = self.changes.backwards(ALL);
        let missed = changes.take_while(|(_, version)| *version > start);
        let mut touched: Vec<Place> = missed.map(|(place, _)| place).collect();
        touched.reverse();
        let removals = self.removals.iter().filter(|(version, _)| *version > start);
        let removed = removals.map(|(_, uri)| uri.clone()).collect();
        Missed {
            reset,
            touched,
            removed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).unwrap()
    }

    #[test]
    fn a_reader_learns_each_change_once_and_only_the_last_of_each_member() {
        let mut history = History::default();
        history.touch(1);
        history.touch(2);
        let second = history.version();
        history.touch(1);
        let again = history.version();
        assert_eq!(history.since(0).touched, [2, 1]);
        assert_eq!(history.since(second).touched, [1]);
        assert!(history.since(again).touched.is_empty());
        history.remove(2, uri(2));
        assert_eq!(
            history.since(again),
            Missed {
                reset: false,
                touched: vec![],
                removed: vec![uri(2)]
            }
        );
    }

    #[test]
    fn one_who_moves_in_the_table_keeps_its_place_in_the_past() {
        for moved in 0..3 {
            let mut history = History::default();
            (0..4).for_each(|place| history.touch(place));
            history.remove(3, uri(3));
            history.rename(moved, 3);
            let expected: Vec<Place> = (0..3)
                .map(|place| if place == moved { 3 } else { place })
                .collect();
            assert_eq!(history.since(0).touched, expected);
            assert!(history.is_bounded(3));
            history.touch(expected[0]);
            assert_eq!(
                history.since(0).touched,
                [expected[1], expected[2], expected[0]]
            );
        }
    }

    #[test]
    fn a_reader_that_is_too_far_behind_starts_over() {
        let mut history = History::default();
        history.touch(0);
        let old = history.version();
        for port in 2..=u16::try_from(REMOVALS_MAX).unwrap() + 2 {
            history.touch(1);
            history.remove(1, uri(port));
        }
        let missed = history.since(old);
        assert!(missed.reset);
        assert_eq!(missed.touched, [0], "all that there is");
        assert!(!history.since(history.version() - 1).reset);
        assert!(
            history.since(history.version() + 9).reset,
            "a number that was never given out"
        );
        let before = history.version();
        history.clear();
        assert_eq!(
            history.since(before),
            Missed {
                reset: true,
                touched: vec![],
                removed: vec![]
            }
        );
    }
}
