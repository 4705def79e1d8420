//! Every change of the table, in order, with its reason: why is it dead, and since when?
//!
//! The changelog tells which members have changed, and of each only what it is now: a suspicion that was refuted before
//! anyone looked is not in it. Here it is, for as long as there is room.

use core::fmt;
use core::mem::size_of;
use std::collections::VecDeque;

use crate::identity::uri::Uri;
use crate::table::claim::Claim;
use crate::table::reason::Reason;
use crate::time::Now;

/// The last changes of all members.
#[derive(Debug, Default)]
pub struct History {
    /// The oldest first.
    changes: VecDeque<Change>,
    /// What they take together.
    bytes: usize,
    /// The number of the last change that had to make room.
    horizon: u64,
    /// How many changes had to make room.
    forgotten: u64,
}

/// A member is new, is another than before, or is gone.
#[derive(Clone, Debug)]
pub struct Change {
    /// The version that the table has because of it. Versions in between stand for what is no news.
    pub number: u64,
    /// When the local node heard of it, or found it out.
    pub at: Now,
    /// The member.
    pub uri: Uri,
    /// What was held of it, if it was known.
    pub before: Option<Claim>,
    /// What is held of it, if it is known.
    pub after: Option<Claim>,
    /// It was known, and its payload is another.
    pub has_new_payload: bool,
    /// Why.
    pub reason: Reason,
}

/// When the table changes, and why.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// The time of the input.
    pub now: Now,
    /// The reason of all that changes.
    pub reason: &'a Reason,
}

/// Some of the history.
#[derive(Debug)]
pub struct Excerpt {
    /// How far it reaches: what to ask with the next time. It is all if that is the last version with news.
    pub reached: u64,
    /// Some changes that belong here are not remembered any more.
    pub lost: bool,
    /// The changes, the oldest first.
    pub changes: Vec<Change>,
}

/// How many changes are remembered: eight of each member in a group of a thousand, which is more than a restart of all
/// of them makes.
const CHANGES_MAX: usize = 8192;

/// How much they may take, in bytes, if nothing else remembers the URIs in them. Usual ones take two thirds of that.
/// With the longest URIs, as unknown senders make them up, there is room for 3,000 changes.
const BYTES_MAX: usize = 2 * 1024 * 1024;

/// What a URI takes beside its text: where the text is, and how often it is used.
const URI_OVERHEAD: usize = size_of::<Uri>() + 2 * size_of::<usize>();

impl History {
    /// Notes a change, which is newer than all others. The oldest ones make room for it.
    pub fn note(&mut self, change: Change) {
        let size = change.size();
        // Before it is added: with one more than there may be, the queue would take twice the memory.
        while self.changes.len() >= CHANGES_MAX || self.bytes + size > BYTES_MAX {
            let Some(oldest) = self.changes.pop_front() else {
                break;
            };
            self.bytes -= oldest.size();
            self.horizon = oldest.number;
            self.forgotten += 1;
        }
        self.bytes += size;
        self.changes.push_back(change);
    }

    /// The first `count` changes after the one of number `version`, of those up to `latest`, which is the last one.
    pub fn since(&self, version: u64, latest: u64, count: usize) -> Excerpt {
        // A number that was never given out is of another life: all that there is is new to that reader.
        let (from, is_foreign) = if version > latest {
            (0, true)
        } else {
            (version, false)
        };
        let first = self.changes.partition_point(|change| change.number <= from);
        let end = self.changes.len().min(first.saturating_add(count));
        let changes: Vec<Change> = self.changes.range(first..end).cloned().collect();
        let reached = match changes.last() {
            Some(last) if end < self.changes.len() => last.number,
            _ => latest,
        };
        Excerpt {
            reached,
            lost: is_foreign || from < self.horizon,
            changes,
        }
    }

    /// The last `count` changes of `uri`, the oldest first.
    pub fn of(&self, uri: &str, count: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        for change in self.changes.iter().rev() {
            if changes.len() == count {
                break;
            }
            if *change.uri == *uri {
                changes.push(change.clone());
            }
        }
        changes.reverse();
        changes
    }

    /// How many changes are remembered.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many changes are not remembered any more.
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether it takes no more than it may, and knows how much that is; for audits.
    pub fn is_bounded(&self) -> bool {
        let bytes: usize = self.changes.iter().map(Change::size).sum();
        self.changes.capacity() <= CHANGES_MAX && bytes <= BYTES_MAX && bytes == self.bytes
    }
}

impl Change {
    /// How many bytes it takes, if nothing else remembers its URIs.
    fn size(&self) -> usize {
        let mut size = size_of::<Self>() + URI_OVERHEAD + self.uri.len();
        for uri in self.reason.named() {
            size += URI_OVERHEAD + uri.len();
        }
        size
    }
}

/// What was, what is, and why: a line that can be read without the ones before it.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (uri, reason) = (&self.uri, &self.reason);
        match (self.before, self.after) {
            (None, Some(after)) => write!(f, "{uri} is new, and {}", after.status)?,
            (Some(before), None) => write!(f, "{uri} was {}, is forgotten", before.status)?,
            (Some(before), Some(after)) if before.status != after.status => {
                write!(f, "{uri} was {}, is {}", before.status, after.status)?;
                if self.has_new_payload {
                    f.write_str(", and has another payload")?;
                }
            }
            (_, Some(_)) if self.has_new_payload => write!(f, "{uri} has another payload")?,
            (_, Some(after)) => write!(f, "{uri} has incarnation {}", after.incarnation.get())?,
            (None, None) => write!(f, "{uri} is not known")?,
        }
        write!(f, ": {reason}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::claim::{Incarnation, Status};
    use crate::table::reason::RELAYS_MAX;

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a URI")
    }

    fn claim(incarnation: u64, status: Status) -> Claim {
        let incarnation = Incarnation::from_wire(incarnation).expect("admissible");
        Claim::alive(incarnation).with(status)
    }

    /// Change number `number`: a member of this URI has died.
    fn death(number: u64, uri: Uri, reason: Reason) -> Change {
        Change {
            number,
            at: Now::default(),
            uri,
            before: Some(claim(1, Status::Suspect)),
            after: Some(claim(1, Status::Dead)),
            has_new_payload: false,
            reason,
        }
    }

    fn numbers(changes: &[Change]) -> Vec<u64> {
        changes.iter().map(|change| change.number).collect()
    }

    #[test]
    fn a_reader_gets_each_change_once_and_in_order_however_it_is_divided() {
        let mut history = History::default();
        for number in [2, 3, 7, 8] {
            let port = number as u16 % 2 + 1;
            history.note(death(number, uri(port), Reason::TimedOut));
        }
        let all = history.since(0, 9, usize::MAX);
        assert_eq!((numbers(&all.changes), all.reached), (vec![2, 3, 7, 8], 9));
        let first = history.since(0, 9, 3);
        assert_eq!((numbers(&first.changes), first.reached), (vec![2, 3, 7], 7));
        let rest = history.since(first.reached, 9, 3);
        assert_eq!((numbers(&rest.changes), rest.reached), (vec![8], 9));
        assert!(!all.lost && !first.lost && !rest.lost);
        assert_eq!(numbers(&history.of("a:2", 9)), [3, 7]);
        assert_eq!(numbers(&history.of("a:1", 1)), [8], "the last ones");
    }

    #[test]
    fn a_reader_whose_changes_are_gone_is_told_so() {
        let mut history = History::default();
        let last = CHANGES_MAX as u64 + 10;
        for number in 1..=last {
            history.note(death(number, uri(1), Reason::TimedOut));
        }
        assert_eq!((history.len(), history.forgotten()), (CHANGES_MAX, 10));
        assert!(history.is_bounded());
        assert!(history.since(9, last, 1).lost, "it missed number 10");
        let rest = history.since(10, last, 1);
        assert_eq!((numbers(&rest.changes), rest.lost), (vec![11], false));
        let foreign = history.since(last + 1, last, 1);
        assert_eq!((numbers(&foreign.changes), foreign.lost), (vec![11], true));
    }

    #[test]
    fn long_uris_and_long_lists_of_relays_leave_room_for_fewer_changes() {
        let long = |port: u16| Uri::new(&"h".repeat(249), port).expect("a URI");
        let relays: Vec<Uri> = (1..100).map(long).collect();
        let many = [Reason::probe_failed(&relays), Reason::Told { by: long(1) }];
        for (reason, least, most) in [(&many[0], 150, 300), (&many[1], 2500, 4000)] {
            let mut history = History::default();
            for number in 1..=2 * CHANGES_MAX as u64 {
                history.note(death(number, long(1), reason.clone()));
            }
            assert!(history.is_bounded());
            assert!((least..most).contains(&history.len()), "{}", history.len());
            for number in 1..=CHANGES_MAX as u64 {
                history.note(death(number, uri(1), Reason::TimedOut));
            }
            assert!(history.is_bounded());
            assert_eq!(history.len(), CHANGES_MAX, "there is room again");
        }
        assert_eq!(many[0].relays().map(<[Uri]>::len), Some(RELAYS_MAX));
    }

    #[test]
    fn a_change_can_be_read_without_the_ones_before_it() {
        let [alive, suspect, dead, again] = [
            claim(1, Status::Alive),
            claim(1, Status::Suspect),
            claim(1, Status::Dead),
            claim(2, Status::Alive),
        ]
        .map(Some);
        let rows = [
            (None, alive, false, "is new, and alive"),
            (alive, suspect, false, "was alive, is suspect"),
            (
                dead,
                again,
                true,
                "was dead, is alive, and has another payload",
            ),
            (alive, again, true, "has another payload"),
            (alive, again, false, "has incarnation 2"),
            (dead, None, false, "was dead, is forgotten"),
        ];
        for (before, after, has_new_payload, what) in rows {
            let change = Change {
                before,
                after,
                has_new_payload,
                ..death(1, uri(1), Reason::Announced)
            };
            assert_eq!(change.to_string(), format!("a:1 {what}: it said so itself"));
        }
    }
}
