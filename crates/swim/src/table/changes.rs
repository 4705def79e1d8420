//! What a reader of the table is told, part by part.

use crate::identity::uri::Uri;
use crate::table::changelog::{Missed, Position};
use crate::table::history::Excerpt;
use crate::table::member::Member;
use crate::table::members::Members;

/// Some of what a reader of the table has missed, the first changes first.
#[derive(Debug)]
pub struct Changes<'a> {
    /// How far this reaches: what to ask with the next time. It is all if that is [`Members::version`].
    pub position: Position,
    /// Everything known before is to be forgotten.
    pub reset: bool,
    /// What has changed.
    pub part: Part<'a>,
}

/// Some changes, the first ones.
#[derive(Debug)]
pub struct Part<'a> {
    /// The number of the last of them.
    pub reached: u64,
    /// Members that are new or have changed.
    pub members: Vec<&'a Member>,
    /// Members that are gone.
    pub gone: Vec<Uri>,
}

/// From how many bytes of payloads on, for each change that it asks for, a reader is told of no more at once: that
/// is copied under a lock, and into Lua while Tarantool does nothing else.
const CHANGE_SIZE_MAX: usize = 1024;

impl Members {
    /// What a reader that has read so far has missed, or the first part of it: at most `count`
    /// changes, and as many kilobytes of payloads. Of those that are gone some may be unknown to it.
    pub fn changes_since(&self, position: Position, count: usize) -> Changes<'_> {
        let missed = self.changelog().since(position, count.saturating_add(1));
        let reset = missed.reset;
        let part = self.first_part(missed, self.version(), count);
        let origin = if reset {
            self.version()
        } else {
            position.origin
        };
        Changes {
            position: Position {
                version: part.reached,
                origin,
            },
            reset,
            part,
        }
    }

    /// The members that changed after change number `version`, in what subscribers are told of, or the
    /// first of them, as by [`Self::changes_since`]; `None` if the changelog does not reach back so far.
    pub fn news_since(&self, version: u64, count: usize) -> Option<Part<'_>> {
        let missed = self
            .changelog()
            .news_since(version, count.saturating_add(1));
        if missed.reset {
            return None;
        }
        Some(self.first_part(missed, self.news(), count))
    }

    /// The first `count` changes after change number `version`, of those that subscribers are told of: each of them,
    /// and not only the last one of each member.
    pub fn history_since(&self, version: u64, count: usize) -> Excerpt {
        self.history().since(version, self.news(), count)
    }

    /// The first `count` changes, of which `missed` has one more if there is one.
    fn first_part(&self, missed: Missed, latest: u64, count: usize) -> Part<'_> {
        let mut part = Part {
            reached: latest,
            members: Vec::new(),
            gone: Vec::new(),
        };
        let mut touched = missed.touched.into_iter().peekable();
        let mut removed = missed.removed.into_iter().peekable();
        let (mut size, size_max) = (0, count.saturating_mul(CHANGE_SIZE_MAX));
        let mut last = 0;
        while touched.peek().is_some() || removed.peek().is_some() {
            if part.members.len() + part.gone.len() >= count || size >= size_max {
                part.reached = last;
                break;
            }
            let next_touched = match touched.peek() {
                Some((number, _place)) => *number,
                None => u64::MAX,
            };
            if let Some((number, uri)) = removed.next_if(|(number, _)| *number < next_touched) {
                part.gone.push(uri);
                last = number;
            } else if let Some((number, place)) = touched.next() {
                let member = self.at(place);
                if let Some(payload) = &member.payload {
                    size += payload.bytes().len();
                }
                part.members.push(member);
                last = number;
            }
        }
        part
    }
}
