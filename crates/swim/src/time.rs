//! Time as the protocol sees it: two readings, handed in with every input.

use core::ops::{Add, Sub};
use core::time::Duration;

/// Microseconds since some origin; which one depends on the clock that was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub u64);

impl Micros {
    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Micros {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl Sub<Duration> for Micros {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(micros))
    }
}

/// One reading of both clocks, taken once per input and handed down.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Drives every timer; never goes back.
    pub monotonic: Micros,
    /// Microseconds since 1970: stamped into pings, for the peer to estimate its clock skew from,
    /// and into members, for people to read. May jump.
    pub wall: Micros,
}
