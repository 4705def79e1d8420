//! Deadlines in a table: arming again overwrites, so nothing stale can fire.

use crate::time::Micros;

/// What there is to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The end of the protocol period: verdict on its probe, and the next one (§4.3).
    Period,
    /// The probe has not been answered: ask again, and through others (§3.1).
    Retry,
    /// The oldest suspicion ripens (§4.2).
    Suspicion,
    /// A suspicion is to be checked, or others told that it is confirmed.
    Check,
    /// News waits to be pushed (§4.1).
    Gossip,
    /// Time to compare tables with a member.
    AntiEntropy,
    /// A member has been gone for long enough to be forgotten.
    Reap,
    /// ACKs wait for the application's clock no longer.
    Clock,
    /// Pings of several sizes have had the time to be answered.
    PathSearch,
    /// Some more members are to be asked which keys they accept.
    KeySurvey,
}

impl Timer {
    const ALL: [Self; 10] = [
        Self::Period,
        Self::Retry,
        Self::Suspicion,
        Self::Check,
        Self::Gossip,
        Self::AntiEntropy,
        Self::Reap,
        Self::Clock,
        Self::PathSearch,
        Self::KeySurvey,
    ];
}

/// At most one deadline for each [`Timer`].
#[derive(Debug, Default)]
pub struct Timers([Option<Micros>; Timer::ALL.len()]);

impl Timers {
    /// Arms `timer`, whatever it was set to before.
    pub fn set(&mut self, timer: Timer, at: Micros) {
        self.0[timer as usize] = Some(at);
    }

    /// Arms or disarms `timer`.
    pub fn set_to(&mut self, timer: Timer, at: Option<Micros>) {
        self.0[timer as usize] = at;
    }

    /// Arms `timer` unless it is to fire sooner anyway.
    pub fn advance(&mut self, timer: Timer, at: Micros) {
        let set = &mut self.0[timer as usize];
        match set {
            Some(set) => *set = at.min(*set),
            None => *set = Some(at),
        }
    }

    /// Disarms `timer`.
    pub fn stop(&mut self, timer: Timer) {
        self.set_to(timer, None);
    }

    /// When `timer` is due, if it is armed.
    pub fn get(&self, timer: Timer) -> Option<Micros> {
        self.0[timer as usize]
    }

    /// Whether `timer` is armed.
    pub fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    /// Lets nothing be due earlier than `now`.
    pub fn catch_up(&mut self, now: Micros) {
        for at in self.0.iter_mut().flatten() {
            *at = now.max(*at);
        }
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Micros> {
        self.0.iter().flatten().min().copied()
    }

    /// Disarms and returns the earliest timer that is due.
    pub fn pop_due(&mut self, now: Micros) -> Option<Timer> {
        let mut earliest: Option<(Micros, Timer)> = None;
        for timer in Timer::ALL {
            if let Some(at) = self.0[timer as usize]
                && at <= now
                // Of several for one moment, the first in the order of `ALL`.
                && earliest.is_none_or(|(earliest, _)| at < earliest)
            {
                earliest = Some((at, timer));
            }
        }
        let (_at, timer) = earliest?;
        self.stop(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_timers_come_in_the_order_of_their_deadlines() {
        let mut timers = Timers::default();
        timers.set(Timer::Retry, Micros(5));
        timers.set(Timer::Period, Micros(9));
        timers.set(Timer::Period, Micros(3));
        timers.advance(Timer::Retry, Micros(7));
        assert_eq!(timers.next(), Some(Micros(3)));
        assert_eq!(timers.pop_due(Micros(2)), None);
        let order: Vec<_> = core::iter::from_fn(|| timers.pop_due(Micros(10))).collect();
        assert_eq!(order, [Timer::Period, Timer::Retry]);
        assert_eq!(timers.next(), None);
    }
}
