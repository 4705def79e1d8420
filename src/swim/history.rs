//! What changed, and when: one mechanism for reads, subscriptions and waiting.

use std::collections::BTreeMap;

use super::uri::Uri;

/// The last change of each member, numbered in the order of the changes.
///
/// A reader remembers the number it has read up to and asks for what came later.
#[derive(Debug, Default)]
pub struct History {
    version: u64,
    changes: BTreeMap<u64, Change>,
    removals: usize,
    horizon: u64,
}

#[derive(Debug)]
enum Change {
    Touched(Uri),
    Removed(Uri),
}

/// How many removals are remembered. A reader that is further behind starts over, which costs it one
/// look at the whole table.
const REMOVALS_MAX: usize = 1024;

/// What a reader has missed.
#[derive(Debug, PartialEq, Eq)]
pub struct Missed {
    /// It is to forget all it knew: too much has happened since.
    pub reset: bool,
    /// Members that are new or have changed.
    pub touched: Vec<Uri>,
    /// Members that are gone.
    pub removed: Vec<Uri>,
}

impl History {
    /// The number of the last change.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Whether no more is remembered than one change of each of so many members, and the latest
    /// removals; for audits.
    pub fn is_bounded(&self, members: usize) -> bool {
        self.removals <= REMOVALS_MAX && self.changes.len() == members + self.removals
    }

    /// Notes that a member has changed, whose last change before was number `before`.
    #[must_use = "the number is to be kept with the member"]
    pub fn touch(&mut self, uri: &Uri, before: Option<u64>) -> u64 {
        if let Some(before) = before {
            self.changes.remove(&before);
        }
        self.version += 1;
        self.changes
            .insert(self.version, Change::Touched(uri.clone()));
        self.version
    }

    /// Notes that a member is gone, whose last change before was number `before`.
    pub fn remove(&mut self, uri: Uri, before: u64) {
        self.changes.remove(&before);
        self.version += 1;
        self.changes.insert(self.version, Change::Removed(uri));
        self.removals += 1;
        if self.removals > REMOVALS_MAX {
            self.forget_oldest_removal();
        }
    }

    fn forget_oldest_removal(&mut self) {
        let is_removal = |change: &Change| matches!(change, Change::Removed(_));
        let oldest = self.changes.iter().find(|(_, change)| is_removal(change));
        if let Some(version) = oldest.map(|(version, _)| *version) {
            self.changes.remove(&version);
            self.removals -= 1;
            self.horizon = version;
        }
    }

    /// Notes that every member is gone.
    pub fn clear(&mut self) {
        self.version += 1;
        self.horizon = self.version;
        self.changes.clear();
        self.removals = 0;
    }

    /// What happened after change number `version`; everything for a reader that starts with 0.
    pub fn since(&self, version: u64) -> Missed {
        let reset = version < self.horizon || version > self.version;
        let mut missed = Missed {
            reset,
            touched: Vec::new(),
            removed: Vec::new(),
        };
        let start = if reset { 0 } else { version };
        for change in self.changes.range(start + 1..).map(|(_, change)| change) {
            match change {
                Change::Touched(uri) => missed.touched.push(uri.clone()),
                Change::Removed(uri) => missed.removed.push(uri.clone()),
            }
        }
        missed
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
        let first = history.touch(&uri(1), None);
        let second = history.touch(&uri(2), None);
        let again = history.touch(&uri(1), Some(first));
        assert_eq!(history.since(0).touched, [uri(2), uri(1)]);
        assert_eq!(history.since(second).touched, [uri(1)]);
        assert!(history.since(again).touched.is_empty());
        history.remove(uri(2), second);
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
    fn a_reader_that_is_too_far_behind_starts_over() {
        let mut history = History::default();
        let old = history.touch(&uri(1), None);
        for port in 2..=u16::try_from(REMOVALS_MAX).unwrap() + 2 {
            let touched = history.touch(&uri(port), None);
            history.remove(uri(port), touched);
        }
        let missed = history.since(old);
        assert!(missed.reset);
        assert_eq!(missed.touched, [uri(1)], "all that there is");
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
