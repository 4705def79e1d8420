//! In which rhythm a member is probed that has been unreachable for long.
//!
//! On the way to a member there may be a machine that translates addresses. It remembers where the member was
//! for some time after the last datagram that either side has sent: Linux for 120 s if there were answers, for
//! 30 s if there were none. A member that has got another address meanwhile is not found as long as it is
//! pinged more often: each ping goes where the member was, and renews the entry. So a member that is
//! unreachable for long is left alone once for longer than the first of these times, and after that for longer
//! than the second between two pings.
//!
//! The members of a group begin with that at different times. So when a network is whole again that was
//! partitioned for long, some of the many pairs that were parted find each other at once, and the others hear
//! of it from them.

use core::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use crate::time::Micros;

/// For how long a member is probed as often as it has a turn: longer than most partitions last.
const LONG: Duration = Duration::from_secs(300);

/// Within which time after that the silence begins. So at any moment at most about a fifth of the pairs are silent.
const SPREAD: Duration = Duration::from_secs(600);

/// How long it is left alone once: longer than Linux keeps an entry that has seen answers.
const SILENCE: Duration = Duration::from_secs(125);

/// How long it is left alone between two pings after that: longer than Linux keeps an entry that has seen none.
const PAUSE: Duration = Duration::from_secs(35);

/// By how much a pause may be longer, so that pairs do not go in step.
const PAUSE_SPREAD: Duration = Duration::from_secs(10);

/// The rhythm in which one unreachable member is probed.
#[derive(Clone, Debug)]
pub struct Rhythm {
    began: Micros,
    silent_from: Option<Micros>,
    next: Option<Micros>,
}

impl Rhythm {
    /// That of a member whose turn comes for the first time.
    pub const fn new(now: Micros) -> Self {
        Self {
            began: now,
            silent_from: None,
            next: None,
        }
    }

    /// The turn of the member has come. Returns whether it is probed.
    pub fn take_turn(&mut self, rng: &mut StdRng, now: Micros) -> bool {
        if now.since(self.began) < LONG {
            return true;
        }
        let silent_from = match self.silent_from {
            Some(silent_from) => silent_from,
            None => *self.silent_from.insert(now + random(SPREAD, rng)),
        };
        let Some(next) = self.next else {
            let is_silent = now >= silent_from;
            if is_silent {
                self.next = Some(now + SILENCE);
            }
            return !is_silent;
        };
        let is_due = now >= next;
        if is_due {
            self.next = Some(now + PAUSE + random(PAUSE_SPREAD, rng));
        }
        is_due
    }
}

/// Any time up to `most`, all equally likely.
fn random(most: Duration, rng: &mut StdRng) -> Duration {
    most.mul_f64(rng.random_range(0.0..1.0))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_member_is_left_alone_once_for_two_minutes_and_then_for_half_a_minute() {
        for seed in 0..100 {
            let (mut rng, mut rhythm) = (StdRng::seed_from_u64(seed), Rhythm::new(Micros(0)));
            let mut probed = Vec::new();
            for second in 0..7200_u64 {
                if rhythm.take_turn(&mut rng, Micros(second * 1_000_000)) {
                    probed.push(second);
                }
            }
            let gaps: Vec<u64> = probed.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let silence = gaps.iter().position(|gap| *gap > 1).expect("a silence");
            assert!((299..=901).contains(&silence), "{silence}");
            assert!((121..=130).contains(&gaps[silence]), "{gaps:?}");
            assert!(
                gaps[silence + 1..]
                    .iter()
                    .all(|gap| (31..=46).contains(gap))
            );
            assert!(gaps.len() > silence + 100);
        }
    }
}
