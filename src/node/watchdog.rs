//! Whether Tarantool's thread runs. The engine answers pings while it does not, but a member that
//! does nothing else is of no use to anybody, and others rely on such a one being called dead.

use core::time::Duration;

use crate::swim::config::STALL_MIN;
use crate::swim::pause::LATENESS_MAX;
use crate::swim::time::Micros;

/// How often Lua says that it runs. Each time costs its thread up to 0.1 ms, nearly all of it for
/// being woken.
pub const BEAT: Duration = Duration::from_millis(250);

// Or one beat that is a little late would be a stall.
const _: () = assert!(BEAT.as_nanos() <= STALL_MIN.as_nanos());

/// In how many looks a timeout is divided. A pause that no look falls into is not noticed, and
/// leaves that much less time to beat.
const LOOKS: u32 = 4;

/// Watches the beats of Lua. What is late counts from the last one, or from the end of a pause.
#[derive(Debug, Default)]
pub struct Watchdog {
    /// Since when a beat is waited for; `None` while nobody beats.
    since: Option<Micros>,
    /// When it looked last.
    looked: Micros,
    stalled: bool,
}

impl Watchdog {
    /// Lua runs. Returns how long it did not, if that was a stall.
    pub fn beat(&mut self, now: Micros) -> Option<Duration> {
        let before = self.since.replace(now);
        // A beat is a look too: all is well until one timeout from here.
        self.looked = now;
        let ended = core::mem::take(&mut self.stalled);
        before.filter(|_| ended).map(|before| now.since(before))
    }

    /// Nobody beats any more: that proves nothing from here on.
    pub fn dismiss(&mut self) {
        *self = Self::default();
    }

    /// The process was not running, or is not expected to, before `now`.
    pub fn excuse(&mut self, now: Micros) {
        self.since = self.since.map(|since| since.max(now));
        self.looked = now;
    }

    /// Looks whether a beat is overdue. Without a timeout, none ever is.
    pub fn look(&mut self, timeout: Duration, now: Micros) {
        if timeout.is_zero() {
            self.stalled = false;
        }
        let Some(due) = self.next_look(timeout) else {
            return;
        };
        if now.since(due) > LATENESS_MAX {
            self.excuse(now);
        }
        self.looked = now;
        self.stalled = self
            .deadline(timeout)
            .is_some_and(|deadline| deadline <= now);
    }

    /// When to look next.
    pub fn next_look(&self, timeout: Duration) -> Option<Micros> {
        if self.stalled || timeout.is_zero() {
            return None;
        }
        let deadline = self.deadline(timeout)?;
        Some(deadline.min(self.looked + timeout / LOOKS))
    }

    /// Whether Tarantool's thread hangs.
    pub const fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// A beat that comes later is overdue. The last one may have come just before the stall began, or
    /// a whole interval before.
    fn deadline(&self, timeout: Duration) -> Option<Micros> {
        Some(self.since? + timeout + BEAT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(3);

    fn at(ms: u64) -> Micros {
        Micros(ms * 1000)
    }

    /// Looks whenever it asks for that, until `until`. Returns when it found a stall.
    fn watch(dog: &mut Watchdog, until: Micros) -> Option<Micros> {
        while let Some(look) = dog.next_look(TIMEOUT)
            && look < until
        {
            dog.look(TIMEOUT, look);
            if dog.is_stalled() {
                return Some(look);
            }
        }
        None
    }

    #[test]
    fn a_stall_is_noticed_when_a_whole_interval_is_over_too() {
        let mut dog = Watchdog::default();
        for beat in [100, 350, 600] {
            assert_eq!(watch(&mut dog, at(beat)), None);
            assert_eq!(dog.beat(at(beat)), None);
        }
        // It hangs for 2.8 s, beginning just before the next beat.
        assert_eq!(watch(&mut dog, at(849 + 2800)), None);
        assert_eq!(dog.beat(at(849 + 2800)), None);
        assert_eq!(watch(&mut dog, at(100_000)), Some(at(849 + 2800 + 3250)));
        assert_eq!(dog.next_look(TIMEOUT), None, "there is no more to see");
        assert_eq!(dog.beat(at(16_649)), Some(Duration::from_secs(13)));
        assert!(!dog.is_stalled());
        assert_eq!(watch(&mut dog, at(100_000)), Some(at(16_649 + 3250)));
    }

    #[test]
    fn who_never_beats_and_who_has_stopped_beating_is_not_watched() {
        let mut dog = Watchdog::default();
        dog.look(TIMEOUT, at(10_000));
        assert_eq!((dog.is_stalled(), dog.next_look(TIMEOUT)), (false, None));
        dog.beat(at(10_000));
        dog.dismiss();
        dog.look(TIMEOUT, at(20_000));
        assert_eq!((dog.is_stalled(), dog.next_look(TIMEOUT)), (false, None));
        dog.beat(at(20_000));
        assert_eq!(watch(&mut dog, at(100_000)), Some(at(23_250)), "again");
    }

    #[test]
    fn a_pause_of_the_process_is_no_stall_and_leaves_a_whole_timeout_to_beat() {
        for paused_after in [0, 100, 749, 750, 2000, 3000] {
            let mut dog = Watchdog::default();
            dog.beat(at(1000));
            assert_eq!(watch(&mut dog, at(1000 + paused_after)), None);
            dog.look(TIMEOUT, at(61_000));
            assert!(!dog.is_stalled(), "paused after {paused_after} ms");
            assert_eq!(watch(&mut dog, at(100_000)), Some(at(61_000 + 3250)));
        }
    }

    #[test]
    fn a_pause_too_short_to_be_noticed_leaves_most_of_the_timeout() {
        let mut dog = Watchdog::default();
        dog.beat(at(1000));
        // Until just before it counts: one look, and how late that may be.
        dog.look(TIMEOUT, at(1000 + 750 + 200));
        let left = watch(&mut dog, at(100_000)).unwrap().since(at(1950));
        assert_eq!(left, Duration::from_millis(2300));
    }

    #[test]
    fn without_a_timeout_nothing_is_a_stall() {
        let mut dog = Watchdog::default();
        dog.beat(at(0));
        assert_eq!(dog.next_look(Duration::ZERO), None);
        dog.look(Duration::ZERO, at(100_000));
        assert!(!dog.is_stalled());
        dog.beat(at(100_000));
        assert!(watch(&mut dog, at(200_000)).is_some());
        dog.look(Duration::ZERO, at(200_001));
        assert!(!dog.is_stalled(), "the option was changed");
    }
}
