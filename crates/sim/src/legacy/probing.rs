//! The protocol step: one ping a period, and then indirect pings, once.

use rand::seq::SliceRandom;

use super::Legacy;
use swim::identity::uri::Uri;
use swim::log_event::LogEvent;
use swim::table::claim::Status;
use swim::time::{Micros, Now};
use swim::wire::{MessageType, PingData, ping_data};

/// The state of the protocol step.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// When the next step begins.
    next: Micros,
    phase: Phase,
}

#[derive(Debug, Default)]
enum Phase {
    /// No ping is waiting for its answer.
    #[default]
    Idle,
    /// The direct ping is waiting for its answer.
    Direct { uri: Uri, ts: u64, until: Micros },
    /// The indirect pings are waiting for an answer, until the step is over.
    Indirect { uri: Uri, ts: u64, relays: Vec<Uri> },
}

impl Step {
    pub(super) const fn starting(now: Micros) -> Self {
        Self {
            next: now,
            phase: Phase::Idle,
        }
    }

    pub(super) fn deadline(&self) -> Micros {
        match &self.phase {
            Phase::Direct { until, .. } => self.next.min(*until),
            Phase::Idle | Phase::Indirect { .. } => self.next,
        }
    }
}

impl Legacy {
    pub(super) fn continue_probing(&mut self, now: Now) {
        if let Phase::Direct { uri, until, .. } = &self.step.phase
            && *until <= now.monotonic
        {
            let uri = uri.clone();
            self.fail_direct(&uri, now);
        }
        if self.step.next <= now.monotonic {
            self.fail_probe(now);
            self.begin(now);
        }
    }

    fn begin(&mut self, now: Now) {
        self.step = Step::starting(now.monotonic + self.options.protocol_period);
        self.expire_suspicions(now);
        let (Some(uri), Some(myself)) = (self.next_in_round(), self.myself.clone()) else {
            return;
        };
        let ts = now.wall.0;
        let until = now.monotonic + self.options.ack_timeout;
        self.step.phase = Phase::Direct {
            uri: uri.clone(),
            ts,
            until,
        };
        self.send_with_gossip(MessageType::Ping, &ping_data(ts, &myself, &uri, None), &uri);
    }

    /// Declares members dead that have been suspect for too long without an answer.
    fn expire_suspicions(&mut self, now: Now) {
        let mut expired = Vec::new();
        for uri in &self.suspects {
            let record = &self.members[uri];
            if now.monotonic.since(record.since) > self.options.suspect_timeout {
                expired.push(uri.clone());
            }
        }
        for uri in expired {
            self.reports.push_back(LogEvent::TimedOut {
                uri: uri.clone(),
                announced: None,
                was_heard: true,
            });
            let claim = self.members[&uri].claim.with(Status::Dead);
            self.generate(&uri, claim, None, now);
        }
    }

    fn next_in_round(&mut self) -> Option<Uri> {
        if self.round.is_empty() {
            for (index, record) in self.members.values().enumerate() {
                if record.claim.status != Status::Left {
                    self.round.push(index as u32);
                }
            }
            self.round.shuffle(&mut self.rng);
        }
        let index = self.round.pop()?;
        let (uri, _record) = self.members.get_index(index as usize)?;
        Some(uri.clone())
    }

    /// The direct ping has failed. Sends indirect pings, unless the member is held dead anyway.
    pub(super) fn fail_direct(&mut self, uri: &Uri, now: Now) {
        let ts = match &self.step.phase {
            Phase::Direct { uri: asked, ts, .. } if asked == uri => *ts,
            _ => return,
        };
        self.step.phase = Phase::Idle;
        let Some(myself) = self.myself.clone() else {
            return;
        };
        if let Some(record) = self.members.get(uri)
            && record.claim.status >= Status::Dead
        {
            return;
        }
        let relays = self.choose_relays([&myself, uri], self.options.relays);
        for relay in &relays {
            self.send_with_gossip(MessageType::Ping, &ping_data(ts, &myself, uri, None), relay);
        }
        let no_relay = relays.is_empty();
        self.step.phase = Phase::Indirect {
            uri: uri.clone(),
            ts,
            relays,
        };
        if no_relay {
            self.fail_probe(now);
        }
    }

    fn choose_relays(&mut self, excluded: [&Uri; 2], count: usize) -> Vec<Uri> {
        // A few draws are enough, unless few members are alive.
        let mut relays = Vec::new();
        for draws in [4 * (count + 4), usize::MAX] {
            relays.clear();
            for index in self.draw(draws) {
                if relays.len() == count {
                    break;
                }
                if let Some((uri, record)) = self.members.get_index(index)
                    && record.claim.status == Status::Alive
                    && !excluded.contains(&uri)
                {
                    relays.push(uri.clone());
                }
            }
            if relays.len() == count {
                break;
            }
        }
        relays
    }

    /// The indirect pings have failed: the member is suspect.
    fn fail_probe(&mut self, now: Now) {
        let Phase::Indirect { uri, relays, .. } = core::mem::take(&mut self.step.phase) else {
            return;
        };
        let is_alive = |uri: &Uri| match self.members.get(uri) {
            Some(record) => record.claim.status == Status::Alive,
            None => false,
        };
        if !is_alive(&uri) || !self.myself.as_ref().is_some_and(is_alive) {
            return;
        }
        if !self.options.suspiciousness {
            return self.reports.push_back(LogEvent::Ignored { uri });
        }
        let claim = self.members[&uri].claim.with(Status::Suspect);
        self.generate(&uri, claim, None, now);
        self.reports.push_back(LogEvent::Suspected { uri, relays });
    }

    /// An answer to a ping of its own.
    pub(super) fn handle_ack(&mut self, data: &PingData<'_>, now: Now) {
        let (Phase::Direct { uri, ts, .. } | Phase::Indirect { uri, ts, .. }) = &self.step.phase
        else {
            return;
        };
        if data.dst != Some(&**uri) || data.ts != Some(*ts) {
            return;
        }
        // That delays the end of a suspicion, but does not clear it.
        if let Some(record) = self.members.get_mut(uri) {
            record.since = now.monotonic;
        }
        self.step.phase = Phase::Idle;
    }
}
