//! What changed, and when: one mechanism for reads, subscriptions and waiting.

use std::collections::VecDeque;

use super::members::Place;
use super::uri::Uri;

/// The last change of each member, in the order of the changes, numbered.
///
/// A reader remembers the number it has read up to and asks for what came later. The members form a
/// chain in the order of their last changes, so that noting another one takes a few steps however
/// many there are.
#[derive(Debug, Default)]
pub struct History {
    version: u64,
    /// The chain, by places in the table.
    links: Vec<Link>,
    /// Who changed last.
    latest: Option<Place>,
    /// Members that are gone, with the numbers of these changes.
    removals: VecDeque<(u64, Uri)>,
    horizon: u64,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    /// The number of the member's last change; 0 for nobody.
    version: u64,
    /// Who changed last before; [`NOBODY`] if nobody did.
    earlier: Place,
    /// Who changed next; [`NOBODY`] if nobody did.
    later: Place,
}

/// The end of the chain. Half the size of an `Option<Place>`.
const NOBODY: Place = Place::MAX;

/// What is at a place that is in no use.
const UNUSED: Link = Link {
    version: 0,
    earlier: NOBODY,
    later: NOBODY,
};

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
        self.removals.len() <= REMOVALS_MAX && self.changes().count() == members
    }

    /// Who has changed, the last change first, with the numbers of the changes.
    fn changes(&self) -> impl Iterator<Item = (u64, Place)> {
        let earlier = |place: &Place| Some(self.links[*place as usize].earlier);
        core::iter::successors(self.latest, move |place| {
            earlier(place).filter(|place| *place != NOBODY)
        })
        .map(|place| (self.links[place as usize].version, place))
    }

    /// Notes that the member at this place of the table is new, or has changed.
    pub fn touch(&mut self, place: Place) {
        self.unlink(place);
        self.version += 1;
        let earlier = self.latest.replace(place).unwrap_or(NOBODY);
        if let Some(link) = self.links.get_mut(earlier as usize) {
            link.later = place;
        }
        if place as usize >= self.links.len() {
            self.links.resize(place as usize + 1, UNUSED);
        }
        self.links[place as usize] = Link {
            version: self.version,
            earlier,
            later: NOBODY,
        };
    }

    /// Notes that the member at this place of the table is gone.
    pub fn remove(&mut self, place: Place, uri: Uri) {
        self.unlink(place);
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
        let link = core::mem::replace(&mut self.links[from as usize], UNUSED);
        self.links[to as usize] = link;
        match link.later {
            NOBODY => self.latest = Some(to),
            later => self.links[later as usize].earlier = to,
        }
        if link.earlier != NOBODY {
            self.links[link.earlier as usize].later = to;
        }
    }

    fn unlink(&mut self, place: Place) {
        let Some(link) = self
            .links
            .get_mut(place as usize)
            .filter(|link| link.version > 0)
        else {
            return;
        };
        let Link { earlier, later, .. } = core::mem::replace(link, UNUSED);
        match later {
            NOBODY => self.latest = (earlier != NOBODY).then_some(earlier),
            later => self.links[later as usize].earlier = earlier,
        }
        if earlier != NOBODY {
            self.links[earlier as usize].later = later;
        }
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
        let missed = self.changes().take_while(|(version, _)| *version > start);
        let mut touched: Vec<Place> = missed.map(|(_, place)| place).collect();
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
