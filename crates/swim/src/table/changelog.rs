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
        if self.removals.len() > REMOVALS_MAX
            && let Some((version, _uri)) = self.removals.pop_front()
        {
            self.horizon = version;
        }
    }

    /// The member at place `from` of the table has moved to place `to`, which is empty.
    pub fn rename(&mut self, from: MemberIndex, to: MemberIndex) {
        self.changes.rename(ALL, from, to);
        self.news_changes.rename(ALL, from, to);
    }

    /// Notes that every member is gone.
    pub fn clear(&mut self) {
        // The numbers go on, so that a reader of the old ones is behind the horizon, and starts over.
        let version = self.version + 1;
        *self = Self {
            version,
            news: version,
            horizon: version,
            ..Self::default()
        };
    }

    /// What a reader has missed, or the first of it: at most `count` changes of either kind. Everything,
    /// if it is too far behind.
    pub fn since(&self, position: Position, count: usize) -> Missed {
        let Position { version, origin } = position;
        let reset = version.max(origin) < self.horizon || version > self.version;
        self.missed(&self.changes, position, reset, count)
    }

    /// The same for a reader of news.
    pub fn news_since(&self, version: u64, count: usize) -> Missed {
        let reset = version < self.horizon || version > self.version;
        let position = Position { version, origin: 0 };
        self.missed(&self.news_changes, position, reset, count)
    }

    fn missed(
        &self,
        changes: &Chains<u64>,
        position: Position,
        reset: bool,
        count: usize,
    ) -> Missed {
        let Position { version, origin } = position;
        // A reader that starts over knows of no member that could be gone.
        let (floor, gone_before) = if reset {
            (0, self.version)
        } else {
            (version, version.max(origin))
        };
        let mut touched = Vec::new();
        for (place, version) in changes.above(ALL, floor).take(count) {
            touched.push((version, place));
        }
        let first = self
            .removals
            .partition_point(|(version, _)| *version <= gone_before);
        let removed = self.removals.range(first..).take(count).cloned().collect();
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
        let touched = history.since(at(version), usize::MAX).touched;
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
            history.since(at(again), usize::MAX),
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
    fn no_more_is_collected_than_is_asked_for_and_it_is_the_first() {
        let mut history = Changelog::default();
        (0..10).for_each(|place| history.touch(place));
        for place in [7, 8, 9] {
            history.remove(place, uri(place as u16));
        }
        let missed = history.since(at(2), 2);
        assert_eq!(missed.touched, [(3, 2), (4, 3)]);
        assert_eq!(missed.removed, [(11, uri(7)), (12, uri(8))]);
        assert_eq!(history.news_since(2, 2), missed);
        history.measure(2);
        assert_eq!(history.news_since(2, 1).touched, [(3, 2)]);
        assert_eq!(history.since(at(2), 1).touched, [(4, 3)]);
    }

    #[test]
    fn a_reader_that_starts_over_is_not_told_of_members_that_are_gone() {
        let mut history = Changelog::default();
        history.touch(0);
        history.remove(0, uri(1));
        let never_given_out = history.version() + 1;
        let missed = history.since(at(never_given_out), usize::MAX);
        assert!(missed.reset && missed.removed.is_empty());
        let since_then = Position {
            version: 0,
            origin: history.version(),
        };
        assert!(history.since(since_then, usize::MAX).removed.is_empty());
        history.touch(0);
        history.remove(0, uri(2));
        let removed = history.since(since_then, usize::MAX).removed;
        assert_eq!(removed, [(4, uri(2))]);
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
        assert!(history.since(at(old), usize::MAX).reset);
        assert_eq!(touched_since(&history, old), [0], "all that there is");
        assert!(!history.since(at(history.version() - 1), usize::MAX).reset);
        assert!(
            history.since(at(history.version() + 9), usize::MAX).reset,
            "a number that was never given out"
        );
        let since_start = Position {
            version: old,
            origin: history.version(),
        };
        assert!(
            !history.since(since_start, usize::MAX).reset,
            "what was gone when it started over it need not know"
        );
        let before = history.version();
        history.clear();
        assert_eq!(
            history.since(at(before), usize::MAX),
            Missed {
                reset: true,
                touched: vec![],
                removed: vec![]
            }
        );
    }

    #[test]
    fn a_reader_that_has_read_up_to_where_all_members_went_starts_over_no_more() {
        let mut history = Changelog::default();
        history.touch(1);
        let before = history.version();
        history.clear();
        let after = history.version();
        assert!(history.news_since(before, 9).reset && history.since(at(before), 9).reset);
        assert!(!history.news_since(after, 9).reset && !history.since(at(after), 9).reset);
        assert!(history.news_since(after + 1, 9).reset, "of another life");
    }
}
