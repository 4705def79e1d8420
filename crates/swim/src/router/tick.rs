//! What time brings: protocol periods, probes and their verdicts, expiry.

use core::time::Duration;

use super::Turn;
use crate::identity::uri::Uri;
use crate::log_event::LogEvent;
use crate::table::claim::{Claim, Status};
use crate::table::member::Dialect;
use crate::table::reason::Reason;
use crate::timers::Timer;
use crate::wire::Event;

/// Of how many members at a time a suspicion or a departure expires: the engine holds the lock
/// meanwhile, and unknown senders can have thousands fall due at once.
const EXPIRED_MAX: usize = 64;

/// How long the others wait for their turn.
const EXPIRY_PAUSE: Duration = Duration::from_millis(1);

impl Turn<'_> {
    /// Does what is due.
    pub fn run_timers(&mut self) {
        self.notice_pause();
        while let Some(timer) = self.swim.timers.pop_due(self.now.monotonic) {
            match timer {
                Timer::Period => self.begin_period(),
                Timer::Retry => self.send_indirect(),
                // Strangers can have raised them, and what follows is sent to members that they name.
                Timer::Suspicion => self.because_of_others().expire_suspicions(),
                Timer::Check => self.because_of_others().run_checks(),
                Timer::Gossip => self.push(),
                Timer::AntiEntropy => self.sync_with_someone(),
                Timer::Reap => self.reap(),
                Timer::Clock => self.answer_waiting(),
                Timer::PathSearch => self.advance_searches(),
                Timer::KeySurvey => self.go_on_with_survey(),
            }
        }
    }

    /// Declares dead the members whose suspicion has expired, or the first of them.
    fn expire_suspicions(&mut self) {
        let timeout = self.swim.config.suspect_timeout;
        for _ in 0..EXPIRED_MAX {
            let suspicions = &mut self.swim.members.suspicions;
            let expired = suspicions.pop_expired(timeout, self.now.monotonic);
            let (place, reason) = if let Some(place) = expired {
                (place, Reason::TimedOut)
            } else if let Some((place, by)) = self.pop_confirmed() {
                (place, Reason::Confirmed { by: by.into() })
            } else {
                return self.watch_oldest_suspicion();
            };
            let member = self.swim.members.at(place);
            let (uri, claim) = (member.uri.clone(), member.claim);
            let announced = member.self_suspicion();
            let was_heard = member.dialect != Dialect::Unknown;
            if claim.status == Status::Suspect {
                self.swim.stats.suspicions_ripened += 1;
                self.swim.members.set_logged_gone(&uri, true);
                self.swim.report(LogEvent::TimedOut {
                    uri: uri.clone(),
                    announced,
                    was_heard,
                });
                self.declare_dead(&uri, claim, &reason);
            }
        }
        self.swim
            .timers
            .set(Timer::Suspicion, self.now.monotonic + EXPIRY_PAUSE);
    }

    fn declare_dead(&mut self, uri: &Uri, suspicion: Claim, reason: &Reason) {
        let death = Event::local(uri, suspicion.with(Status::Dead));
        self.apply(&death, reason);
        self.withhold_if_isolated(uri);
        // If it is alive after all, it is to hear of this at once, and refute.
        if !self.swim.detector.isolation.is_isolated() {
            self.push_to(uri);
        }
    }

    /// Forgets the members that have been gone for long enough, or the first of them.
    fn reap(&mut self) {
        let (timeout, capacity) = (self.swim.config.reap_timeout, self.swim.config.max_members);
        // Zero stands for "never".
        if timeout.is_zero() {
            return self.watch_oldest_departure();
        }
        for _ in 0..EXPIRED_MAX {
            let departures = &mut self.swim.members.departures;
            let Some(place) = departures.pop_expired(timeout, self.now.monotonic) else {
                return self.watch_oldest_departure();
            };
            let uri = self.swim.members.at(place).uri.clone();
            let occasion = self.occasion(&Reason::Reaped);
            self.swim.members.forget(&uri, capacity, &occasion);
        }
        self.swim
            .timers
            .set(Timer::Reap, self.now.monotonic + EXPIRY_PAUSE);
    }
}
