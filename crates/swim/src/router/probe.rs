//! Probes of the protocol period: ping, ping through others, verdict (§3.1, §4.3).

use core::time::Duration;

use super::Turn;
use crate::Swim;
use crate::detector::isolation::Finding;
use crate::detector::path_mtu::SIZE_MIN;
use crate::detector::probe::{OWN_ANSWER_MIN, Probe, RETRY_PAUSE_MIN, Try};
use crate::detector::probe_history::Answer;
use crate::detector::question::Question;
use crate::detector::self_check;
use crate::identity::uri::Uri;
use crate::log_event::LogEvent;
use crate::table::claim::Status;
use crate::table::member::{Dialect, Member};
use crate::table::reason::Reason;
use crate::time::Micros;
use crate::timers::Timer;
use crate::wire::{DropReason, Event};

/// How long a period takes soon after a pause, if its probe is answered by then. The next probe compares
/// tables once more, after all news of that moment has spread.
const PERIOD_AFTER_PAUSE: Duration = Duration::from_millis(200);

/// For how long after a pause periods are short, so that there are two of them: the member that is probed first
/// may have been paused as well, and know no more.
const SHORT_PERIODS_AFTER_PAUSE: Duration = Duration::from_millis(300);

impl Turn<'_> {
    /// Begins a protocol period: the verdict on the last probe, and the next one.
    pub(super) fn begin_period(&mut self) {
        if let Some(due) = self.own_answer_due() {
            return self.swim.timers.set(Timer::Period, due);
        }
        if let Some(due) = self.verdict_due() {
            return self.swim.timers.set(Timer::Period, due);
        }
        self.fail_probe();
        self.swim.detector.indirect_pings.age();
        self.swim.detector.confirmations.age();
        self.raise_path_size();
        let recorded = self.swim.security.sessions.take_unanswered(self.now);
        self.swim.stats.dropped[DropReason::Unconfirmed as usize] += recorded;
        while let Some(newcomer) = self.swim.anti_entropy.merges.poll(self.now.monotonic) {
            self.swim.report(LogEvent::Merged { newcomer });
        }
        self.swim.detector.prober.checks.clear();
        let length = self
            .swim
            .config
            .protocol_period
            .max(self.swim.config.ack_timeout);
        let deadline = self.now.monotonic + length;
        let next = match self.swim.anti_entropy.digest.paused_until {
            Some(end) if self.now.monotonic.since(end) < SHORT_PERIODS_AFTER_PAUSE => {
                self.now.monotonic + PERIOD_AFTER_PAUSE.min(length)
            }
            _ => deadline,
        };
        self.swim.timers.set(Timer::Period, next);
        if let Some(dst) = self
            .swim
            .members
            .next_unreachable(&mut self.swim.rng, self.now.monotonic)
        {
            let question = self.question(&dst);
            let sent = self.ask(&question, &dst);
            // It is not asked again before its turn comes, perhaps never in a datagram that reaches it. A peer
            // on membership 2.x makes nothing of a ping that does not tell it who asks.
            if sent.size > SIZE_MIN && self.swim.members.is_native(&dst) {
                self.ask_briefly(&question, &dst);
            }
            self.swim.detector.prober.unreachable_probe = Some(question);
        }
        self.ask_candidates();
        if let Some(dst) = self.swim.members.next_live(&mut self.swim.rng) {
            let question = self.question(&dst);
            self.swim.stats.probes += 1;
            let sent = self.ask_first(&question);
            let told = self.swim.own_claim().filter(|_| sent.knows);
            let (began, timeout) = (self.now.monotonic, self.timeout_for(&dst));
            self.swim.detector.prober.round = Some(Probe {
                question,
                began,
                deadline,
                timeout,
                is_large: sent.size > SIZE_MIN,
                overdue: false,
                relays: Vec::new(),
                refusals: 0,
                retries: Vec::new(),
                nacks: Vec::new(),
                told: told.map(|own| own.incarnation),
                digest: Some(self.swim.members.digest().total()),
            });
            self.swim
                .timers
                .set(Timer::Retry, self.now.monotonic + timeout);
        }
    }

    /// When the probe of this period fails, if it has not been answered yet and the period is a short one.
    fn verdict_due(&self) -> Option<Micros> {
        let probe = self.swim.detector.prober.round.as_ref()?;
        (probe.deadline > self.now.monotonic).then_some(probe.deadline)
    }

    /// When the local node's own address must have answered the probe of this period, if that is yet
    /// to come.
    fn own_answer_due(&self) -> Option<Micros> {
        let probe = self.swim.detector.prober.round.as_ref()?;
        let due = probe.began + OWN_ANSWER_MIN;
        if self.swim.me.is(&probe.question.dst) && due > self.now.monotonic {
            Some(due)
        } else {
            None
        }
    }

    /// How long to wait for an answer of `dst` before asking again.
    fn timeout_for(&self, dst: &str) -> Duration {
        let round_trip = match self.swim.members.get(dst) {
            Some(member) => member.round_trip,
            None => None,
        };
        let prober = &self.swim.detector.prober;
        prober.timeout(round_trip, &self.swim.config)
    }

    /// No answer yet: asks again, and asks others to ask (§3.1).
    ///
    /// The paper does this once, after a fixed time. Here it is done as soon as this member should
    /// have answered, and over and over until the period ends, through other members each time. Where
    /// 30 of 100 datagrams are lost each way, one ping fails 51 times in a hundred; with a try each
    /// 0.2 s the whole probe fails 13 times in ten thousand, and with one each 0.05 s never in a
    /// lifetime. It costs nothing while nothing is lost.
    pub(super) fn send_indirect(&mut self) {
        let Some(probe) = &self.swim.detector.prober.round else {
            return;
        };
        let (question, asked) = (probe.question.clone(), probe.relays.clone());
        let (deadline, timeout) = (probe.deadline, probe.timeout);
        let retries = self.swim.config.mechanisms.retries;
        // Without relays the verdict falls as soon as the answer is due.
        let mut due = probe.began + self.swim.config.ack_timeout.max(RETRY_PAUSE_MIN);
        if let Some(own) = self.own_answer_due() {
            due = due.max(own);
        }
        let relays = self.swim.config.relays;
        if relays == 0 && self.now.monotonic >= due {
            return self.fail_probe();
        }
        let fresh = self.relays_for(&question.dst, &asked);
        let digest = self.swim.members.digest().total();
        // Perhaps another version runs there by now, to which the short form is noise.
        if !self.swim.me.is(&question.dst) {
            self.swim.members.doubt_short_reader(&question.dst);
        }
        // Before asking: a member that owes an answer may have got another address.
        if let Some(probe) = &mut self.swim.detector.prober.round {
            probe.overdue = true;
            // Another digest than before: it is unknown which of the two an answer confirms.
            if probe.digest != Some(digest) {
                probe.digest = None;
            }
            for relay in &fresh {
                // Where there are few members, the same ones are asked over and over.
                if !asked.contains(relay) {
                    probe.relays.push(relay.clone());
                }
            }
        }
        if retries {
            let again = self.question(&question.dst);
            // Large datagrams may not reach it.
            let sent = self.ask_briefly(&again, &question.dst);
            if let Some(probe) = &mut self.swim.detector.prober.round {
                // It is unknown which of the pings an answer confirms.
                if !sent.knows {
                    probe.told = None;
                }
                probe.retries.push(Try {
                    question: again,
                    sent: self.now.monotonic,
                });
            }
        }
        for relay in &fresh {
            self.ask(&question, relay);
        }
        let next = self.now.monotonic + timeout.max(RETRY_PAUSE_MIN);
        if relays == 0 {
            self.swim.timers.set(Timer::Retry, next.min(due));
        } else if retries && next < deadline {
            self.swim.timers.set(Timer::Retry, next);
        }
    }

    /// k members to ask for `dst`: others than were `asked` already, while there are any.
    fn relays_for(&mut self, dst: &Uri, asked: &[Uri]) -> Vec<Uri> {
        let Swim {
            members,
            me,
            config,
            rng,
            ..
        } = &mut *self.swim;
        let alive = |member: &Member| {
            member.claim.status == Status::Alive && member.uri != *dst && !me.is(&member.uri)
        };
        let fresh = |member: &Member| alive(member) && !asked.contains(&member.uri);
        let mut relays = members.sample(config.relays, rng, fresh);
        if relays.is_empty() {
            relays = members.sample(config.relays, rng, alive);
        }
        relays
    }

    /// The system says that the port of `uri` is closed: no reason to wait for an answer.
    ///
    /// This is a hint and no proof. It goes to the relays at once, and if it is the same to all of
    /// them, or there is none and it is the same again, the verdict falls early: it is a suspicion
    /// still, to be refuted by a member that is there after all.
    pub fn hear_refusal(&mut self, uri: &Uri) {
        self.because_of_others().nack(uri);
        self.fail_check(uri);
        let Some(probe) = &mut self.swim.detector.prober.round else {
            return;
        };
        if probe.question.dst != *uri {
            return;
        }
        probe.refusals += 1;
        if probe.refusals == 1 && probe.relays.is_empty() {
            self.send_indirect();
        }
        self.fail_probe_early();
    }

    /// A relay says that the port is closed.
    pub(super) fn hear_nack(&mut self, relay: &Uri, ts: u64, dst: &Uri) {
        let Some(probe) = &mut self.swim.detector.prober.round else {
            return;
        };
        let question = &probe.question;
        if question.ts == ts && question.dst == *dst && !probe.nacks.contains(relay) {
            probe.nacks.push(relay.clone());
            self.fail_probe_early();
        }
    }

    fn fail_probe_early(&mut self) {
        let Some(probe) = &self.swim.detector.prober.round else {
            return;
        };
        let unanimous = probe.relays.iter().all(|relay| probe.nacks.contains(relay));
        let enough = if probe.relays.is_empty() { 2 } else { 1 };
        if unanimous && probe.refusals >= enough {
            self.fail_probe();
        }
    }

    /// The verdict on the probe of this period, if it was not answered (§4.2).
    fn fail_probe(&mut self) {
        self.swim.timers.stop(Timer::Retry);
        let Some(Probe {
            question: Question { dst, .. },
            relays,
            began,
            ..
        }) = self.swim.detector.prober.fail()
        else {
            return;
        };
        self.swim.stats.probes_failed += 1;
        self.note_answer(&dst, Answer::Missing);
        self.notice_isolation(&dst, began);
        let (Some(claim), Some(own)) = (self.swim.members.claim(&dst), self.swim.own_claim())
        else {
            return;
        };
        if claim.status != Status::Alive {
            return self.confirm(&dst, Some(began));
        }
        match own.status {
            // The address leads to another process, which does not answer the local node. Of that an operator
            // is told; that the local node is there, all others find out.
            Status::Alive
                if self.swim.me.is(&dst) && self.swim.own_duplicate(self.now).is_some() => {}
            Status::Alive if !self.swim.config.suspiciousness || !self.may_suspect(&dst) => {
                self.swim.report(LogEvent::Ignored { uri: dst });
            }
            Status::Alive if self.swim.me.is(&dst) => {
                let reason = Reason::self_unreachable(&relays);
                self.report_suspicion(&dst, relays);
                self.suspect_self(&reason);
            }
            Status::Alive => {
                let reason = Reason::probe_failed(&relays);
                if !self.is_still_awaited(&dst) {
                    self.report_suspicion(&dst, relays);
                }
                let suspicion = claim.with(Status::Suspect);
                self.swim.stats.suspicions += 1;
                self.apply(&Event::local(&dst, suspicion), &reason);
                self.withhold_if_isolated(&dst);
                self.confirm(&dst, Some(began));
            }
            // A node that is suspect itself has no say: that the probe failed may be due to itself.
            myself => self.swim.report(LogEvent::Doubted { uri: dst, myself }),
        }
    }

    fn report_suspicion(&mut self, uri: &Uri, relays: Vec<Uri>) {
        self.swim.members.set_logged_gone(uri, true);
        let uri = uri.clone();
        self.swim.report(LogEvent::Suspected { uri, relays });
    }

    /// Whether to suspect a member that does not answer, as far as another process may have its URI.
    fn may_suspect(&mut self, uri: &Uri) -> bool {
        let memory = self.swim.duplicate_memory();
        self.swim
            .detector
            .duplicates
            .may_suspect(uri, memory, self.now.monotonic)
    }

    /// Whether `uri` was added a moment ago and has not sent anything yet: perhaps its process is about to start,
    /// as all do when a group is started at once. The log says nothing until the suspicion expires.
    fn is_still_awaited(&self, uri: &Uri) -> bool {
        let Some(member) = self.swim.members.get(uri) else {
            return false;
        };
        let age = self.now.wall.since(member.since);
        let is_unheard = member.dialect == Dialect::Unknown && !self.swim.me.is(uri);
        is_unheard && age < self.swim.config.suspect_timeout
    }

    /// A probe of `uri` that began at `began` has failed: looks whether that is because nothing is received.
    ///
    /// With one other member there is none to mislead, and none else to hear.
    fn notice_isolation(&mut self, uri: &Uri, began: Micros) {
        let others = self.swim.members.live().len().saturating_sub(1);
        if others < 2 || !self.swim.config.mechanisms.withhold_suspicions {
            return;
        }
        let isolation = &mut self.swim.detector.isolation;
        let event = match isolation.note_failed_probe(uri, began, others) {
            Finding::Nothing => return,
            Finding::NothingReceived => LogEvent::Isolated,
            Finding::NothingDecoded => LogEvent::Undecodable,
            Finding::NothingAnswered => LogEvent::Unanswered,
        };
        if isolation.is_isolated() {
            self.swim.stats.isolations += 1;
        }
        self.swim.report(event);
    }

    /// Withholds what the local node holds of `uri`, if the local node is isolated.
    pub(super) fn withhold_if_isolated(&mut self, uri: &str) {
        if self.swim.detector.isolation.is_isolated() {
            self.swim.rumors.stop(uri);
        }
    }

    /// Looks whether the local node was paused; to be called with every input, before anything else.
    ///
    /// An answer that was not heard in the meantime proves nothing, and a suspect whose refutation was
    /// not heard gets that much more time.
    pub(super) fn notice_pause(&mut self) {
        if !self.swim.config.mechanisms.pause_guard {
            return;
        }
        let Some(due) = self.swim.timers.next() else {
            return;
        };
        if let Some(late) = self_check::pause(due, self.now.monotonic, self.swim.config.ack_timeout)
        {
            self.swim.stats.pauses += 1;
            self.swim.detector.prober.give_up();
            self.swim.detector.confirmations.void();
            self.swim.timers.stop(Timer::Retry);
            self.swim.members.suspicions.postpone(late);
            self.watch_oldest_suspicion();
            self.swim.timers.catch_up(self.now.monotonic);
            self.swim.anti_entropy.digest.paused_until = Some(self.now.monotonic);
        }
    }
}
