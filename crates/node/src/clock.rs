//! The two clocks. Nothing else in the crate reads the time.

use core::time::Duration;

use nix::time::ClockId;

use swim::time::{Micros, Now};

/// Two readings of one clock differ by less than this.
const TOLERANCE: Duration = Duration::from_millis(50);

/// What Lua programs see as the time: `fiber.time64()`, which a program may replace.
#[derive(Clone, Copy, Debug)]
pub struct LuaTime {
    /// The time that it shows.
    pub shown: Micros,
    /// How long ago the event loop updated its clock: it does once in each turn of the loop.
    pub lag: Duration,
}

impl From<Micros> for LuaTime {
    fn from(shown: Micros) -> Self {
        Self {
            shown,
            lag: Duration::ZERO,
        }
    }
}

/// Reads time for the protocol. The wall clock follows the one that Lua programs see.
#[derive(Debug, Default)]
pub struct Clock {
    /// How far Lua's clock is ahead of the system's, in µs.
    offset: i64,
}

impl Clock {
    /// Reads both clocks.
    ///
    /// To be called under the lock that guards the protocol: time must not go back from one input to
    /// the next.
    pub fn now(&self) -> Now {
        Now {
            monotonic: monotonic(),
            wall: self.wall(),
        }
    }

    /// Reads the wall clock.
    pub fn wall(&self) -> Micros {
        let system = read(ClockId::CLOCK_REALTIME);
        Micros(system.0.saturating_add_signed(self.offset))
    }

    /// Follows Lua's clock, which shows `lua`.
    pub fn follow(&mut self, lua: LuaTime) {
        self.compare(lua, read(ClockId::CLOCK_REALTIME));
    }

    /// While a fiber computes, the clock of the event loop lags behind. A clock that a program has put in
    /// place of Lua's may not. If the offset is the same in either case, nothing has changed.
    fn compare(&mut self, lua: LuaTime, system: Micros) {
        let lagging = difference(lua.shown, system);
        let steady = difference(lua.shown + lua.lag, system);
        if near(lagging, self.offset) || near(steady, self.offset) {
            return;
        }
        self.offset = if near(steady, 0) { 0 } else { steady };
    }
}

/// Reads the monotonic clock.
pub fn monotonic() -> Micros {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Tells how long a thread has run, without the help of that thread.
#[derive(Clone, Copy, Debug)]
pub struct ThreadClock(ClockId);

impl ThreadClock {
    /// The clock of the calling thread; `None` where the system has no such clocks.
    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    pub fn of_this_thread() -> Option<Self> {
        let mut id = 0;
        // SAFETY: the calling thread exists, and `id` is valid for the time of the call. glibc makes the
        // number from the thread's; the kernel refuses to read it once the thread has ended.
        let code = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut id) };
        (code == 0).then_some(Self(ClockId::from_raw(id)))
    }

    /// The clock of the calling thread; `None` where the system has no such clocks.
    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    pub fn of_this_thread() -> Option<Self> {
        None
    }

    /// Returns `None` once the thread has ended.
    pub fn cpu_time(self) -> Option<Duration> {
        Some(self.0.now().ok()?.into())
    }
}

fn read(clock: ClockId) -> Micros {
    let time = clock.now().expect("every system has these two clocks");
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
    Micros(seconds * 1_000_000 + nanos / 1000)
}

fn difference(one: Micros, other: Micros) -> i64 {
    i64::try_from(i128::from(one.0) - i128::from(other.0)).unwrap_or(0)
}

fn near(one: i64, other: i64) -> bool {
    u128::from(one.abs_diff(other)) < TOLERANCE.as_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn lua(shown: u64, lag: u64) -> LuaTime {
        LuaTime {
            shown: Micros(shown),
            lag: Duration::from_micros(lag),
        }
    }

    #[test]
    fn the_lag_of_an_event_loop_is_ignored() {
        let mut clock = Clock::default();
        clock.compare(lua(100 * SECOND - 49_000, 0), Micros(100 * SECOND));
        clock.compare(lua(100 * SECOND, 3 * SECOND), Micros(103 * SECOND));
        assert_eq!(clock.offset, 0);
        // So is that of a clock that was set. A clock that was set may also not lag.
        clock.compare(lua(105 * SECOND, 0), Micros(100 * SECOND));
        clock.compare(lua(106 * SECOND, 2 * SECOND), Micros(103 * SECOND));
        clock.compare(lua(109 * SECOND, 2 * SECOND), Micros(104 * SECOND));
        assert_eq!(clock.offset, 5_000_000);
    }

    #[test]
    fn a_clock_that_was_set_is_followed_at_once() {
        let mut clock = Clock::default();
        clock.compare(lua(105 * SECOND, 0), Micros(100 * SECOND));
        assert_eq!(clock.offset, 5_000_000);
        clock.compare(lua(96 * SECOND, 2 * SECOND), Micros(101 * SECOND));
        assert_eq!(clock.offset, -3_000_000);
        clock.compare(lua(103 * SECOND - 1000, 0), Micros(103 * SECOND));
        assert_eq!(clock.offset, 0, "back to the system's");
    }

    #[test]
    fn the_clock_of_a_thread_shows_how_long_it_computed_but_not_how_long_it_slept() {
        use std::sync::mpsc::channel;
        let (reply, replies) = channel();
        let (compute, requests) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let clock = ThreadClock::of_this_thread().unwrap();
                reply.send(clock).unwrap();
                for time in requests {
                    let enough = clock.cpu_time().unwrap() + time;
                    while clock.cpu_time().unwrap() < enough {}
                    reply.send(clock).unwrap();
                }
            });
            let clock = replies.recv().unwrap();
            let (time, started) = (Duration::from_millis(30), monotonic());
            while monotonic().since(started) < 10 * time {
                std::thread::sleep(time);
            }
            let slept = clock.cpu_time().unwrap();
            assert!(slept < time, "{slept:?} while it waited");
            compute.send(time).unwrap();
            let ran = replies.recv().unwrap().cpu_time().unwrap() - slept;
            assert!(ran >= time, "{ran:?}");
            drop(compute);
        });
    }

    #[test]
    fn the_wall_clock_shows_the_offset_and_the_monotonic_one_does_not() {
        let mut clock = Clock::default();
        let before = clock.now();
        clock.follow(lua(before.wall.0 + 3600 * SECOND, 0));
        let after = clock.now();
        assert!(after.wall.since(before.wall) > Duration::from_secs(3599));
        assert!(after.monotonic.since(before.monotonic) < Duration::from_secs(3599));
    }
}
