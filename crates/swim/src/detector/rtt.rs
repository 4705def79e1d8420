//! How long answers take: the round-trip time of a member, smoothed (RFC 6298, §2).

use core::time::Duration;

/// The round-trip time of a member, and how much it varies, in µs.
///
/// Single precision is enough: no wait gets a microsecond longer by it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundTrip {
    smoothed: f32,
    variation: f32,
}

/// The least to wait beyond the round-trip time: on a busy machine it takes that long until a process has
/// the processor.
pub const MARGIN_MIN: Duration = Duration::from_millis(50);

impl RoundTrip {
    /// What one answer shows, after what earlier ones have shown.
    pub fn after(earlier: Option<Self>, took: Duration) -> Self {
        let took = took.as_secs_f32() * 1e6;
        let Some(Self {
            smoothed,
            variation,
        }) = earlier
        else {
            // Half of it as the variation (RFC 6298, 2.2): after one answer, wait for three times as long.
            return Self {
                smoothed: took,
                variation: took / 2.0,
            };
        };
        Self {
            variation: variation + ((smoothed - took).abs() - variation) / 4.0,
            smoothed: smoothed + (took - smoothed) / 8.0,
        }
    }

    /// The round-trip time.
    pub fn smoothed(self) -> Duration {
        Duration::from_secs_f32(self.smoothed / 1e6)
    }

    /// How long to wait for an answer before one asks again, but not longer than `most`.
    pub fn timeout(self, most: Duration) -> Duration {
        let margin = Duration::from_secs_f32(4.0 * self.variation / 1e6).max(MARGIN_MIN);
        (self.smoothed() + margin).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_millis(200);

    fn after(samples: &[u64]) -> RoundTrip {
        let samples = samples.iter().map(|ms| Duration::from_millis(*ms));
        let fold = |earlier, took| Some(RoundTrip::after(earlier, took));
        samples.fold(None, fold).unwrap()
    }

    #[test]
    fn who_answers_fast_and_steadily_is_waited_for_a_short_time() {
        let millisecond = Duration::from_millis(1);
        assert_eq!(after(&[1; 10]).timeout(MOST), MARGIN_MIN + millisecond);
        assert_eq!(after(&[1]).timeout(Duration::ZERO), Duration::ZERO);
        let steady = after(&[80; 50]);
        assert!((79..=81).contains(&steady.smoothed().as_millis()));
        assert!((129..=131).contains(&steady.timeout(MOST).as_millis()));
    }

    #[test]
    fn who_answers_unsteadily_gets_more_time_but_never_more_than_the_most() {
        let unsteady = [20, 90].repeat(10);
        assert!(after(&unsteady).timeout(MOST) > Duration::from_millis(100));
        assert_eq!(after(&[500]).timeout(MOST), MOST);
        assert_eq!(after(&[u64::from(u32::MAX)]).timeout(MOST), MOST);
    }
}
