//! Since when something is so of some members: that they are suspect (§4.2), that they are gone.

use core::time::Duration;

use crate::table::chains::Chains;
use crate::table::index::MemberIndex;
use crate::time::Micros;

/// The members of which it is so, in the order in which *this* node has learnt it, and when.
///
/// Time does not go back, so the member that comes last is always the one that was added last, and
/// nothing needs to be sorted.
#[derive(Debug, Default)]
pub struct ExpiryQueue {
    /// When each was started, without the time that was granted to those before.
    since: Chains<Micros>,
    running: usize,
    granted: Duration,
}

/// There is one list only.
const ALL: usize = 0;

impl ExpiryQueue {
    /// It is so of the member at `place` from now on, unless it was before.
    pub fn start(&mut self, place: MemberIndex, now: Micros) {
        if self.since.get(place).is_none() {
            self.since.push_last(ALL, place, now - self.granted);
            self.running += 1;
        }
    }

    /// It is no longer so of the member at `place`.
    pub fn stop(&mut self, place: MemberIndex) {
        if self.since.remove(ALL, place).is_some() {
            self.running -= 1;
        }
    }

    /// The member at place `from` of the table has moved to place `to`.
    pub fn rename(&mut self, from: MemberIndex, to: MemberIndex) {
        self.since.rename(ALL, from, to);
    }

    /// Grants that much more time to all members of which it is so.
    // To those that follow as well, unless it is taken off when they start: so it costs the same
    // however many there are.
    pub fn postpone(&mut self, by: Duration) {
        if self.running > 0 {
            self.granted += by;
        }
    }

    /// Of how many it is so.
    pub const fn len(&self) -> usize {
        self.running
    }

    /// Since when it is so of the member at `place`, less the time that was granted.
    pub fn since(&self, place: MemberIndex) -> Option<Micros> {
        Some(self.since.get(place)? + self.granted)
    }

    /// When it has been so of the next one for `timeout`.
    pub fn next(&self, timeout: Duration) -> Option<Micros> {
        let since = self.since.get(self.since.first(ALL)?)?;
        Some(since + self.granted + timeout)
    }

    /// Takes one of which it has been so for `timeout`.
    pub fn pop_expired(&mut self, timeout: Duration, now: Micros) -> Option<MemberIndex> {
        if self.next(timeout)? > now {
            return None;
        }
        let place = self.since.first(ALL)?;
        self.stop(place);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspicions_ripen_in_order_and_are_not_prolonged_by_repetition() {
        let [a, b] = [1, 2];
        let timeout = Duration::from_micros(10);
        let mut suspicions = ExpiryQueue::default();
        suspicions.start(b, Micros(3));
        suspicions.start(a, Micros(5));
        suspicions.start(b, Micros(9));
        assert_eq!(suspicions.next(timeout), Some(Micros(13)));
        assert_eq!(suspicions.pop_expired(timeout, Micros(12)), None);
        assert_eq!(suspicions.pop_expired(timeout, Micros(99)), Some(b));
        suspicions.stop(a);
        suspicions.stop(a);
        assert_eq!((suspicions.len(), suspicions.next(timeout)), (0, None));
        assert_eq!(suspicions.pop_expired(timeout, Micros(99)), None);
        suspicions.start(b, Micros(20));
        assert_eq!(suspicions.next(timeout), Some(Micros(30)), "suspected anew");
        suspicions.postpone(Duration::from_micros(5));
        suspicions.start(a, Micros(26));
        assert_eq!(suspicions.pop_expired(timeout, Micros(34)), None);
        assert_eq!(suspicions.pop_expired(timeout, Micros(35)), Some(b));
        assert_eq!(suspicions.next(timeout), Some(Micros(36)), "not postponed");
        suspicions.rename(a, b);
        assert_eq!(suspicions.pop_expired(timeout, Micros(36)), Some(b));
    }
}
