//! The protocol step: one ping a period, then others are asked, once.

use rand::seq::SliceRandom;

use super::{Legacy, Record};
use swim::identity::uri::Uri;
use swim::log_event::LogEvent;
use swim::table::claim::Status;
use swim::time::{Micros, Now};
use swim::wire::{MessageType, PingData, ping_data};

/// Where it is in the protocol step.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// When the next step begins.
    next: Micros,
    phase: Phase,
}

#[derive(Debug, Default)]
enum Phase {
    /// Nothing is open.
    #[default]
    Idle,
    /// An answer to the ping itself is awaited.
    Direct { uri: Uri, ts: u64, until: Micros },
    /// An answer through somebody else is awaited, until the step is over.
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
    pub(super) fn go_on_probing(&mut self, now: Now) {
        if let Phase::Direct { uri, until, .. } = &self.step.phase
            && *until <= now.monotonic
        {
            let uri = uri.clone();
            self.give_up_direct(&uri, now);
        }
        if self.step.next <= now.monotonic {
            self.judge(now);
            self.begin(now);
        }
    }

    fn begin(&mut self, now: Now) {
        self.step = Step::starting(now.monotonic + self.options.protocol_period);
        self.bury(now);
        let Some((uri, myself)) = self.next_in_round().zip(self.myself.clone()) else {
            return;
        };
        let ts = now.wall.0;
        let until = now.monotonic + self.options.ack_timeout;
        self.step.phase = Phase::Direct {
            uri: uri.clone(),
            ts,
            until,
        };
        self.tell(MessageType::Ping, &ping_data(ts, &myself, &uri, None), &uri);
    }

    /// Calls those dead who have been suspect for too long, and have not answered since.
    fn bury(&mut self, now: Now) {
        let overdue =
            |record: &Record| now.monotonic.since(record.since) > self.options.suspect_timeout;
        let ripe = self
            .suspects
            .iter()
            .filter(|uri| overdue(&self.members[*uri]));
        for uri in ripe.cloned().collect::<Vec<_>>() {
            self.reports
                .push_back(LogEvent::TimedOut { uri: uri.clone() });
            let claim = self.members[&uri].claim.with(Status::Dead);
            self.generate(&uri, claim, None, now);
        }
    }

    fn next_in_round(&mut self) -> Option<Uri> {
        if self.round.is_empty() {
            let present = self.members.values().enumerate();
            let present = present.filter(|(_, record)| record.claim.status != Status::Left);
            self.round = present.map(|(index, _)| index as u32).collect();
            self.round.shuffle(&mut self.rng);
        }
        let index = self.round.pop()?;
        self.members
            .get_index(index as usize)
            .map(|(uri, _)| uri.clone())
    }

    /// No answer from `uri` itself: asks others, unless it is thought to be dead anyway.
    pub(super) fn give_up_direct(&mut self, uri: &Uri, now: Now) {
        let ts = match &self.step.phase {
            Phase::Direct { uri: asked, ts, .. } if asked == uri => *ts,
            _ => return,
        };
        self.step.phase = Phase::Idle;
        let dead = |record: &Record| record.claim.status >= Status::Dead;
        let Some(myself) = self
            .myself
            .clone()
            .filter(|_| !self.members.get(uri).is_some_and(dead))
        else {
            return;
        };
        let relays = self.alive_but([&myself, uri], self.options.relays);
        for relay in &relays {
            self.tell(MessageType::Ping, &ping_data(ts, &myself, uri, None), relay);
        }
        let nobody = relays.is_empty();
        self.step.phase = Phase::Indirect {
            uri: uri.clone(),
            ts,
            relays,
        };
        if nobody {
            self.judge(now);
        }
    }

    fn alive_but(&mut self, others: [&Uri; 2], count: usize) -> Vec<Uri> {
        let suitable = |rock: &Self, index: usize| {
            let (uri, record) = rock.members.get_index(index)?;
            let suits = record.claim.status == Status::Alive && !others.contains(&uri);
            suits.then(|| uri.clone())
        };
        // A few draws will do, unless few are alive.
        let drawn = self.draw(4 * (count + 4));
        let found: Vec<Uri> = drawn
            .into_iter()
            .filter_map(|i| suitable(self, i))
            .take(count)
            .collect();
        if found.len() == count {
            return found;
        }
        let all = self.draw(usize::MAX);
        all.into_iter()
            .filter_map(|index| suitable(self, index))
            .take(count)
            .collect()
    }

    /// The verdict, if none of those who were asked has found it.
    fn judge(&mut self, now: Now) {
        let Phase::Indirect { uri, relays, .. } = core::mem::take(&mut self.step.phase) else {
            return;
        };
        let status = |uri: &Uri| self.members.get(uri).map(|record| record.claim.status);
        let own = self.myself.as_ref().and_then(status);
        if status(&uri) != Some(Status::Alive) || own != Some(Status::Alive) {
            return;
        }
        if !self.options.suspiciousness {
            return self.reports.push_back(LogEvent::Ignored { uri });
        }
        let claim = self.members[&uri].claim.with(Status::Suspect);
        self.generate(&uri, claim, None, now);
        self.reports.push_back(LogEvent::Suspected { uri, relays });
    }

    /// An answer to a question of its own.
    pub(super) fn hear_answer(&mut self, echo: &PingData<'_>, now: Now) {
        let (Phase::Direct { uri, ts, .. } | Phase::Indirect { uri, ts, .. }) = &self.step.phase
        else {
            return;
        };
        if echo.dst != Some(&**uri) || echo.ts != Some(*ts) {
            return;
        }
        // Which puts off the end of a suspicion, though it does not end it.
        if let Some(record) = self.members.get_mut(uri) {
            record.since = now.monotonic;
        }
        self.step.phase = Phase::Idle;
    }
}
