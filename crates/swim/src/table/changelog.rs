//! What changed, and when: one mechanism for reads, subscriptions and waiting.

use std::collections::VecDeque;

use crate::identity::uri::Uri;
use crate::table::chains::Chains;
use crate::table::index::MemberIndex;

/// The last change of each member, in the order of the changes, numbered.
///
/// A reader remembers the number it has read up to and asks for what came later.
#[derive(Debug, Default)]
pub struct Changelog {
    version: u64,
    /// The number of the last change that is news.
    news: u64,
    /// The numbers of the last changes.
    changes: Chains<u64>,
    /// The numbers of the last changes that were news.
    news_changes: Chains<u64>,
    /// Members that are gone, with the numbers of these changes.
    removals: VecDeque<(u64, Uri)>,
    horizon: u64,
}

/// There is one list only.
const ALL: usize = 0;

/// How many removals are remembered. A reader that is further behind starts over, which costs it one
/// look at the whole table.
///
/// Unknown senders that fill the table make it forget as many members as they invent, so it takes tens of
/// thousands of them to make readers start over.
const REMOVALS_MAX: usize = 65_536;

/// How far a reader has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The number of the last change it knows of; 0 of a reader that knows nothing.
    pub version: u64,
    /// The number of the last change when it last started over. Whatever was gone by then it has
    /// never heard of, so it need not be told.
    pub origin: u64,
}

/// What a reader has missed.
#[derive(Debug, PartialEq, Eq)]
pub struct Missed {
    /// It is to forget all it knew: too much has happened since.
    pub reset: bool,
    /// Members that are new or have changed, with the numbers of the changes, the first one first.
    pub touched: Vec<(u64, MemberIndex)>,
    /// Members that are gone, in the same way.
    pub removed: Vec<(u64, Uri)>,
}

impl Changelog {
    /// The number of the last change.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The number of the last change that subscribers are told of.
    pub const fn news(&self) -> u64 {
        self.news
    }

    /// Whether exactly one change of each of so many members is remembered, and not too many
    /// removals; for audits.
    pub fn is_bounded(&self, members: usize) -> bool {
        self.removals.len() <= REMOVALS_MAX
            && self.changes.backwards(ALL).count() == members
            && self.news_changes.backwards(ALL).count() == members
    }

    /// Notes that the member at this place of the table is new, or that its status, incarnation or
    /// payload has changed.
    pub fn touch(&mut self, place: MemberIndex) {
        self.measure(place);
        self.news = self.version;
        self.news_changes.remove(ALL, place);
        self.news_changes.push_last(ALL, place, self.version);
    }

    /// Notes that something was measured of the member at this place, which is no news.
    pub fn measure(&mut self, place: MemberIndex) {
        self.changes.remove(ALL, place);
        self.version += 1;
        self.changes.push_last(ALL, place, self.version);
    }

    /// Notes that the member at this place of the table is gone.
    pub fn remove(&mut self, place: MemberIndex, uri: Uri) {
        self.changes.remove(ALL, place);
        self.news_changes.remove(ALL, place);
        self.version += 1;
        self.news = self.version;
        self.removals.push_back((self.version, uri));
        if self.removals.len() > REMOVALS_MAX {
            self.horizon = self
                .removals
                .pop_front()
                .map_or(0, |(version, _uri)| version);
        }
    }

    /// The member at place `from` of the table has moved to place `to`, which is empty.
    pub fn rename(&mut self, from: MemberIndex, to: MemberIndex) {
        self.changes.rename(ALL, from, to);
        self.news_changes.rename(ALL, from, to);
    }

    /// Notes that every member is gone.
    pub fn clear(&mut self) {
        let version = self.version + 1;
        *self = Self {
            version,
            news: version,
            horizon: version,
            ..Self::default()
        };
    }

    /// What a reader has missed; everything, if it is too far behind.
    pub fn since(&self, position: Position) -> Missed {
        let Position { version, origin } = position;
        let reset = version.max(origin) < self.horizon || version > self.version;
        self.missed(&self.changes, reset, version)
    }

    /// What a reader of news has missed; everything, if it is too far behind.
    pub fn news_since(&self, version: u64) -> Missed {
        let reset = version < self.horizon || version > self.version;
        self.missed(&self.news_changes, reset, version)
    }

    fn missed(&self, changes: &Chains<u64>, reset: bool, version: u64) -> Missed {
        let start = if reset { 0 } else { version };
        let mut touched = Vec::new();
        for (place, version) in changes.backwards(ALL) {
            if version <= start {
                break;
            }
            touched.push((version, place));
        }
        touched.reverse();
        let first = self
            .removals
            .partition_point(|(version, _)| *version <= start);
        let removed = self.removals.range(first..).cloned().collect();
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

    fn at(version: u64) -> Position {
        Position { version, origin: 0 }
    }

    fn touched_since(history: &Changelog, version: u64) -> Vec<MemberIndex> {
        let touched = history.since(at(version)).touched;
        touched.into_iter().map(|(_, place)| place).collect()
    }

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).unwrap()
    }

    #[test]
    fn a_reader_learns_each_change_once_and_only_the_last_of_each_member() {
        let mut history = Changelog::default();
        history.touch(1);
        history.touch(2);
        let second = history.version();
        history.touch(1);
        let again = history.version();
        assert_eq!(touched_since(&history, 0), [2, 1]);
        assert_eq!(touched_since(&history, second), [1]);
        assert!(touched_since(&history, again).is_empty());
        history.remove(2, uri(2));
        assert_eq!(
            history.since(at(again)),
            Missed {
                reset: false,
                touched: vec![],
                removed: vec![(again + 1, uri(2))]
            }
        );
    }

    #[test]
    fn one_who_moves_in_the_table_keeps_its_place_in_the_past() {
        for moved in 0..3 {
            let mut history = Changelog::default();
            (0..4).for_each(|place| history.touch(place));
            history.remove(3, uri(3));
            history.rename(moved, 3);
            let expected: Vec<MemberIndex> = (0..3)
                .map(|place| if place == moved { 3 } else { place })
                .collect();
            assert_eq!(touched_since(&history, 0), expected);
            assert!(history.is_bounded(3));
            history.touch(expected[0]);
            assert_eq!(
                touched_since(&history, 0),
                [expected[1], expected[2], expected[0]]
            );
        }
    }

    #[test]
    fn a_reader_that_is_too_far_behind_starts_over() {
        let mut history = Changelog::default();
        history.touch(0);
        let old = history.version();
        for _ in 0..=REMOVALS_MAX {
            history.touch(1);
            history.remove(1, uri(2));
        }
        assert!(history.since(at(old)).reset);
        assert_eq!(touched_since(&history, old), [0], "all that there is");
        assert!(!history.since(at(history.version() - 1)).reset);
        assert!(
            history.since(at(history.version() + 9)).reset,
            "a number that was never given out"
        );
        let since_start = Position {
            version: old,
            origin: history.version(),
        };
        assert!(
            !history.since(since_start).reset,
            "what was gone when it started over it need not know"
        );
        let before = history.version();
        history.clear();
        assert_eq!(
            history.since(at(before)),
            Missed {
                reset: true,
                touched: vec![],
                removed: vec![]
            }
        );
    }
}
