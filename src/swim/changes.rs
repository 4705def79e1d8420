//! What a reader of the table is told, part by part.

use super::Swim;
use super::history::Position;
use super::member::Member;
use super::uri::Uri;

/// Some of what a reader of the table has missed, the first changes first.
#[derive(Debug)]
pub struct Changes<'a> {
    /// How far this reaches: what to ask with the next time. It is all if that is [`Swim::version`].
    pub position: Position,
    /// Everything known before is to be forgotten.
    pub reset: bool,
    /// Members that are new or have changed.
    pub members: Vec<&'a Member>,
    /// Members that are gone.
    pub gone: Vec<Uri>,
}

/// From how many bytes of payloads on a reader is told of no more changes at once: that is copied under
/// a lock, and into Lua while Tarantool does nothing else.
const CHANGES_SIZE_MAX: usize = 512 * 1024;

impl Swim {
    /// What a reader that has read so far has missed, or the first part of it: at most so many
    /// `members`, and half a megabyte of payloads. Of those that are gone some may be
    /// unknown to it.
    pub fn changes_since(&self, position: Position, members: usize) -> Changes<'_> {
        let missed = self.members.missed_since(position);
        let version = self.version();
        let origin = if missed.reset {
            version
        } else {
            position.origin
        };
        let mut reached = version;
        let (mut changed, mut bytes) = (Vec::new(), 0);
        let mut touched = missed.touched.into_iter().peekable();
        while let Some((number, place)) = touched.next() {
            let member = self.members.at(place);
            changed.push(member);
            bytes += member
                .payload
                .as_ref()
                .map_or(0, |payload| payload.bytes().len());
            let is_full = changed.len() >= members || bytes >= CHANGES_SIZE_MAX;
            if is_full && touched.peek().is_some() {
                reached = number;
                break;
            }
        }
        let gone = missed.removed.into_iter();
        let gone = gone.take_while(|(number, _)| *number <= reached);
        Changes {
            position: Position {
                version: reached,
                origin,
            },
            reset: missed.reset,
            members: changed,
            gone: gone.map(|(_, uri)| uri).collect(),
        }
    }
}
