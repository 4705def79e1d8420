//! What own probes have shown of a member, the last ones more than those before.

use core::time::Duration;

use crate::table::claim::Incarnation;
use crate::time::Micros;

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
// Every member has one of these: 24 bytes, where options and floats would take twice as many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeHistory {
    weights: [u16; 4],
    /// When it has answered last; 0 if it never has.
    answered: Micros,
    /// At which incarnation it has said itself that it is suspect; 0 if it never has.
    doubted: u64,
}

/// What a probe weighs at first.
const WEIGHT: u16 = 4096;

/// One in so many parts of the weight of a probe is gone after the next one: the last eight or so
/// count.
const FADING: u16 = 8;

const _: () = assert!(WEIGHT <= u16::MAX / FADING, "the weights fit");

impl ProbeHistory {
    /// One more probe was decided.
    pub fn note(&mut self, answer: Answer, now: Micros) {
        for weight in &mut self.weights {
            // Rounded up, or the weight of a single probe would never get to 0.
            *weight -= weight.div_ceil(FADING);
        }
        self.weights[answer as usize] += WEIGHT;
        if answer != Answer::Missing {
            self.answered = now;
        }
    }

    /// It has answered, to any member.
    pub const fn note_sign_of_life(&mut self, now: Micros) {
        self.answered = now;
    }

    /// It says itself that it is suspect.
    pub const fn note_doubt(&mut self, incarnation: Incarnation) {
        self.doubted = incarnation.get();
    }

    /// Whether it has said itself that it is suspect, at this incarnation.
    pub const fn is_doubted(&self, incarnation: Incarnation) -> bool {
        self.doubted == incarnation.get()
    }

    /// Of how many probes this is: at most 8, the older ones counting for less.
    pub fn probes(&self) -> f32 {
        let mut sum = 0.0;
        for weight in self.weights {
            sum += f32::from(weight);
        }
        sum / f32::from(WEIGHT)
    }

    /// Which part of the probes, from 0 to 1, has come to that.
    pub fn share(&self, answer: Answer) -> f32 {
        let probes = self.probes();
        if probes > 0.0 {
            f32::from(self.weights[answer as usize]) / f32::from(WEIGHT) / probes
        } else {
            0.0
        }
    }

    /// When it has answered last; 0 if it never has.
    pub const fn answered(&self) -> Micros {
        self.answered
    }

    /// How long ago it has answered last.
    pub fn silence(&self, now: Micros) -> Option<Duration> {
        if self.answered == Micros(0) {
            return None;
        }
        Some(now.since(self.answered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_probes_count_most_and_long_ago_not_at_all() {
        let mut evidence = ProbeHistory::default();
        assert_eq!(evidence.share(Answer::Missing), 0.0);
        (0..50).for_each(|_| evidence.note(Answer::Prompt, Micros(3)));
        assert!((7.9..8.1).contains(&evidence.probes()));
        evidence.note(Answer::Missing, Micros(4));
        assert!((0.12..0.13).contains(&evidence.share(Answer::Missing)));
        assert_eq!(evidence.silence(Micros(5)), Some(Duration::from_micros(2)));
        (0..50).for_each(|_| evidence.note(Answer::Relayed, Micros(6)));
        assert!(evidence.share(Answer::Relayed) > 0.99);
    }
}
