//! How news travels (§4.1): on board of every PING and ACK, and pushed while it is fresh.

use core::time::Duration;

use crate::identity::uri::Uri;
use crate::table::payload::Payload;
use crate::time::Micros;

/// How many members are pushed to at a time. The epidemic reaches all of N in ln N / ln(1 + 3)
/// intervals and a few more for the last ones.
pub const FANOUT: usize = 3;

/// How long fresh news waits for company, unless there was none for as long: then it is pushed at once.
pub const COALESCING: Duration = Duration::from_millis(10);

/// How many rumors are few: they fit one datagram, and nothing is won by collecting more of them.
pub const FEW: usize = 4;

/// The pauses between the first pushes of few rumors. A member that is missed by the first push is probably found by
/// the second; later ones are for losses, which come in bursts.
const FIRST_PAUSES: [Duration; 4] = [
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
];

/// When news is pushed.
#[derive(Debug, Default)]
pub struct Pace {
    /// When that was last done.
    pushed: Micros,
    /// How many of [`FIRST_PAUSES`] have passed.
    passed: usize,
}

impl Pace {
    /// There is news. Returns when to push it: at once, but not at once again, as often as there is some, or a peer wants
    /// to be refuted.
    pub fn begin(&mut self, now: Micros) -> Micros {
        // A peer that has news all the time is to cause no more pushes than one every ten milliseconds.
        if now.since(self.pushed) >= FIRST_PAUSES[FIRST_PAUSES.len() - 1] {
            self.passed = 0;
        }
        (self.pushed + COALESCING).max(now)
    }

    /// So many rumors are pushed. Returns how long to wait until the next time, `usual` at most.
    pub fn push(&mut self, now: Micros, rumors: usize, usual: Duration) -> Duration {
        self.pushed = now;
        let pause = FIRST_PAUSES.get(self.passed);
        self.passed = self.passed.saturating_add(1);
        match pause {
            Some(pause) if rumors <= FEW => usual.min(*pause),
            _ => usual,
        }
    }
}

/// What is said of sender and recipient in a PING or ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// What the recipient is not known to know.
    News,
    /// All of it.
    All,
    /// What the recipient is not known to know, and news, as far as it fits into a datagram that passes
    /// everywhere.
    Little,
}

/// How large an event can be, in bytes: its head, status, incarnation and ttl take up to 20.
pub fn event_size(uri: &Uri, payload: &Payload) -> usize {
    20 + uri.len() + payload.bytes().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_millis(50);

    fn at(milliseconds: u64) -> Micros {
        Micros(1_000_000 + milliseconds * 1000)
    }

    /// Pushes so many rumors from now on until the end. Returns how often.
    fn pushes(pace: &mut Pace, rumors: usize, start: u64, end: u64) -> usize {
        let mut now = at(start);
        let mut count = 0;
        while now < at(end) {
            now = now + pace.push(now, rumors, USUAL);
            count += 1;
        }
        count
    }

    #[test]
    fn few_rumors_are_pushed_at_once_and_soon_again_and_many_are_not() {
        let mut pace = Pace::default();
        assert_eq!(pace.begin(at(0)), at(0));
        let mut pauses = Vec::new();
        for _ in 0..6 {
            pauses.push(pace.push(at(0), FEW, USUAL).as_millis());
        }
        assert_eq!(pauses, [2, 5, 10, 20, 50, 50]);
        assert_eq!(pace.begin(at(3)), at(10), "it was pushed just before");
        assert_eq!(pace.begin(at(100)), at(100));
        assert_eq!(pace.push(at(100), FEW + 1, USUAL), USUAL);
        assert_eq!(pace.begin(at(200)), at(200));
        let short = Duration::from_millis(1);
        assert_eq!(pace.push(at(200), FEW, short), short, "if users say so");
    }

    #[test]
    fn news_without_end_is_pushed_as_often_as_it_may_be() {
        let mut pace = Pace::default();
        let (mut now, mut count) = (at(0), 0);
        let mut due = now;
        while now < at(1000) {
            due = due.min(pace.begin(now));
            if due <= now {
                due = now + pace.push(now, 1, USUAL);
                count += 1;
            }
            now = now + Duration::from_millis(1);
        }
        assert!(count <= 104, "{count} in a second");
        assert_eq!(pushes(&mut Pace::default(), 1, 0, 37), 4);
    }
}
