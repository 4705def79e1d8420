//! What own probes have shown of a member, the last ones more than those before.

use core::time::Duration;

use super::claim::Incarnation;
use super::time::Micros;

/// What has become of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The first ping was answered in time.
    Prompt,
    /// The member has answered, but not to the first ping, or late.
    Late,
    /// An answer came, but through a relay.
    Relayed,
    /// There was none.
    Missing,
}

/// What the last probes of a member have come to: weights that fade with each further probe.
///
/// Single precision is enough to tell some from many.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    weights: [f32; 4],
    answered: Option<Micros>,
    /// At which incarnation it has said itself that it is suspect.
    doubted: Option<Incarnation>,
}

/// How much of the weight of a probe is left after the next one: the last eight or so count.
const FADING: f32 = 7.0 / 8.0;

impl Evidence {
    /// One more probe was decided.
    pub fn note(&mut self, answer: Answer, now: Micros) {
        self.weights.iter_mut().for_each(|weight| *weight *= FADING);
        self.weights[answer as usize] += 1.0;
        if answer != Answer::Missing {
            self.answered = Some(now);
        }
    }

    /// It says itself that it is suspect.
    pub const fn note_doubt(&mut self, incarnation: Incarnation) {
        self.doubted = Some(incarnation);
    }

    /// Whether it has said itself that it is suspect, at this incarnation.
    pub fn is_doubted(&self, incarnation: Incarnation) -> bool {
        self.doubted == Some(incarnation)
    }

    /// Of how many probes this is: at most 8, the older ones counting for less.
    pub fn probes(&self) -> f32 {
        self.weights.iter().sum()
    }

    /// Which part of the probes, from 0 to 1, has come to that.
    pub fn share(&self, answer: Answer) -> f32 {
        let probes = self.probes();
        if probes > 0.0 {
            self.weights[answer as usize] / probes
        } else {
            0.0
        }
    }

    /// How long ago it has answered last.
    pub fn silence(&self, now: Micros) -> Option<Duration> {
        self.answered.map(|answered| now.since(answered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_probes_count_most_and_long_ago_not_at_all() {
        let mut evidence = Evidence::default();
        assert_eq!(evidence.share(Answer::Missing), 0.0);
        (0..50).for_each(|_| evidence.note(Answer::Prompt, Micros(3)));
        assert!((7.9..=8.0).contains(&evidence.probes()));
        evidence.note(Answer::Missing, Micros(4));
        assert!((0.12..0.13).contains(&evidence.share(Answer::Missing)));
        assert_eq!(evidence.silence(Micros(5)), Some(Duration::from_micros(2)));
        (0..50).for_each(|_| evidence.note(Answer::Relayed, Micros(6)));
        assert!(evidence.share(Answer::Relayed) > 0.99);
    }
}
