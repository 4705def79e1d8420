//! The two clocks. Nothing else in the crate finds out what time it is.

use core::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::swim::time::{Micros, Now};

/// The clock of Lua's event loop stands still between two turns of the loop. A difference below
/// this is taken for that.
const LAG: Duration = Duration::from_millis(50);

/// Reads time for the protocol. The wall clock follows the one that Lua programs see.
#[derive(Debug, Default)]
pub struct Clock {
    /// How far Lua's clock is ahead of the system's, in µs.
    offset: i64,
    /// An offset that might be a lag, unless it is seen twice.
    doubted: Option<i64>,
}

impl Clock {
    /// Both clocks.
    ///
    /// To be read under the lock that guards the protocol: time must not go back from one input to
    /// the next.
    pub fn now(&self) -> Now {
        let wall = micros(clock_gettime(ClockId::Realtime));
        Now {
            monotonic: monotonic(),
            wall: Micros(wall.0.saturating_add_signed(self.offset)),
        }
    }

    /// Lua's clock shows `lua`.
    pub fn follow(&mut self, lua: Micros) {
        self.compare(lua, micros(clock_gettime(ClockId::Realtime)));
    }

    fn compare(&mut self, lua: Micros, system: Micros) {
        let offset = difference(lua, system);
        let doubted = self.doubted.take();
        if near(offset, self.offset) {
            return;
        }
        // A fiber that computed for long leaves Lua's clock behind for this turn of the loop, but
        // not for the next one. Nothing makes it run ahead but somebody who means it.
        let meant = offset > self.offset || doubted.is_some_and(|doubted| near(offset, doubted));
        if !meant {
            self.doubted = Some(offset);
        } else if near(offset, 0) {
            self.offset = 0;
        } else {
            self.offset = offset;
        }
    }
}

/// The monotonic clock alone.
pub fn monotonic() -> Micros {
    micros(clock_gettime(ClockId::Monotonic))
}

/// For how long a thread has run. It is not asked itself, so it need not run for that.
#[derive(Clone, Copy, Debug)]
pub struct ThreadClock(libc::clockid_t);

impl ThreadClock {
    /// That of the thread that calls; `None` where the system has no such clocks.
    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    pub fn of_this_thread() -> Option<Self> {
        let mut id = 0;
        // SAFETY: the thread exists, since it calls; `id` is written to by this call only.
        let code = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut id) };
        (code == 0).then_some(Self(id))
    }

    /// That of the thread that calls; `None` where the system has no such clocks.
    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    pub fn of_this_thread() -> Option<Self> {
        None
    }

    /// `None` once the thread has ended.
    pub fn ran(self) -> Option<Duration> {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: a clock that is not there is an error; `time` is written to by this call only.
        let code = unsafe { libc::clock_gettime(self.0, &raw mut time) };
        let seconds = u64::try_from(time.tv_sec).ok()?;
        let nanos = u32::try_from(time.tv_nsec).ok()?;
        (code == 0).then(|| Duration::new(seconds, nanos))
    }
}

fn micros(time: Timespec) -> Micros {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Micros(seconds * 1_000_000 + nanos / 1000)
}

fn difference(one: Micros, other: Micros) -> i64 {
    i64::try_from(i128::from(one.0) - i128::from(other.0)).unwrap_or(0)
}

fn near(one: i64, other: i64) -> bool {
    u128::from(one.abs_diff(other)) < LAG.as_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn the_lag_of_an_event_loop_is_ignored() {
        let mut clock = Clock::default();
        clock.compare(Micros(100 * SECOND - 49_000), Micros(100 * SECOND));
        assert_eq!(clock.offset, 0);
        // One fiber hogs a turn of the loop; the next turn has the right time again.
        clock.compare(Micros(100 * SECOND), Micros(103 * SECOND));
        clock.compare(Micros(103 * SECOND), Micros(103 * SECOND));
        clock.compare(Micros(104 * SECOND), Micros(107 * SECOND));
        assert_eq!(clock.offset, 0);
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        let mut clock = Clock::default();
        clock.compare(Micros(105 * SECOND), Micros(100 * SECOND));
        assert_eq!(clock.offset, 5_000_000, "ahead: at once");
        clock.compare(Micros(98 * SECOND), Micros(101 * SECOND));
        clock.compare(Micros(99 * SECOND), Micros(102 * SECOND));
        assert_eq!(clock.offset, -3_000_000, "behind: when it stays so");
        clock.compare(Micros(103 * SECOND - 1000), Micros(103 * SECOND));
        assert_eq!(clock.offset, 0, "back to the system's");
    }

    #[test]
    fn the_clock_of_a_thread_shows_how_long_it_has_computed_and_not_how_long_it_has_slept() {
        use std::sync::mpsc::channel;
        let (tell, told) = channel();
        let (compute, asked) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let clock = ThreadClock::of_this_thread().unwrap();
                tell.send(clock).unwrap();
                for time in asked {
                    let enough = clock.ran().unwrap() + time;
                    while clock.ran().unwrap() < enough {}
                    tell.send(clock).unwrap();
                }
            });
            let clock = told.recv().unwrap();
            let (time, started) = (Duration::from_millis(30), monotonic());
            while monotonic().since(started) < 10 * time {
                std::thread::sleep(time);
            }
            let slept = clock.ran().unwrap();
            assert!(slept < time, "{slept:?} while it waited");
            compute.send(time).unwrap();
            let ran = told.recv().unwrap().ran().unwrap() - slept;
            assert!(ran >= time, "{ran:?}");
            drop(compute);
        });
    }

    #[test]
    fn the_wall_clock_shows_the_offset_and_the_monotonic_one_does_not() {
        let mut clock = Clock::default();
        let before = clock.now();
        clock.follow(Micros(before.wall.0 + 3600 * SECOND));
        let after = clock.now();
        assert!(after.wall.since(before.wall) > Duration::from_secs(3599));
        assert!(after.monotonic.since(before.monotonic) < Duration::from_secs(3599));
    }
}
