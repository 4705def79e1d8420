//! What time brings: protocol periods, probes and their verdicts, expiry.

use core::time::Duration;

use crate::Swim;
use crate::identity::uri::Uri;
use crate::log_event::LogEvent;
use crate::table::claim::{Claim, Status};
use crate::table::member::Member;
use crate::time::Now;
use crate::timers::Timer;
use crate::wire::Event;

/// Of how many members at a time a suspicion or a departure expires: the engine holds the lock
/// meanwhile, and unknown senders can have thousands fall due at once.
const EXPIRED_MAX: usize = 64;

/// How long the others wait for their turn.
const EXPIRY_PAUSE: Duration = Duration::from_millis(1);

impl Swim {
    /// Time has passed. Early, late or twice does no harm.
    pub fn handle_timeout(&mut self, now: Now) {
        self.notice_pause(now);
        self.security.amplification.advance(now);
        while let Some(timer) = self.timers.pop_due(now.monotonic) {
            match timer {
                Timer::Period => self.begin_period(now),
                Timer::Retry => self.send_indirect(now),
                Timer::Suspicion => self.because_of_others(|swim| swim.expire_suspicions(now)),
                Timer::Gossip => self.push(now),
                Timer::AntiEntropy => self.sync_with_someone(now),
                Timer::Reap => self.reap(now),
                Timer::Clock => self.answer_waiting(now),
            }
        }
    }

    /// Declares dead the members whose suspicion has expired, or the first of them.
    fn expire_suspicions(&mut self, now: Now) {
        let timeout = self.config.suspect_timeout;
        for _ in 0..EXPIRED_MAX {
            let Some(place) = self.members.suspicions.pop_expired(timeout, now.monotonic) else {
                return self.watch_oldest_suspicion(now);
            };
            let Member { uri, claim, .. } = self.members.at(place);
            let (uri, claim) = (uri.clone(), *claim);
            if claim.status == Status::Suspect {
                self.stats.suspicions_ripened += 1;
                self.report(LogEvent::TimedOut { uri: uri.clone() });
                self.declare_dead(&uri, claim, now);
            }
        }
        self.timers
            .set(Timer::Suspicion, now.monotonic + EXPIRY_PAUSE);
    }

    fn declare_dead(&mut self, uri: &Uri, suspicion: Claim, now: Now) {
        let death = Event::local(uri, suspicion.with(Status::Dead));
        self.apply(&death, now);
        self.withhold_if_isolated(uri);
        // If it is alive after all, it is to hear of this at once, and refute.
        if !self.detector.isolation.is_isolated() {
            self.push_to(uri);
        }
    }

    /// Forgets the members that have been gone for long enough, or the first of them.
    fn reap(&mut self, now: Now) {
        let (timeout, capacity) = (self.config.reap_timeout, self.config.max_members);
        for _ in 0..EXPIRED_MAX {
            let ripe = self.members.departures.pop_expired(timeout, now.monotonic);
            let Some(place) = ripe.filter(|_| !timeout.is_zero()) else {
                return self.watch_oldest_departure(now);
            };
            let uri = self.members.at(place).uri.clone();
            self.members.forget(&uri, capacity);
        }
        self.timers.set(Timer::Reap, now.monotonic + EXPIRY_PAUSE);
    }
}
