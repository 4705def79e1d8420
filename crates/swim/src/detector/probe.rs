//! Failure detection (§3.1, §4.3): ping, ping through others, verdict; and the clocks of others.

use core::time::Duration;
use std::collections::VecDeque;

use crate::config::Config;
use crate::detector::question::Question;
use crate::detector::rtt::RoundTrip;
use crate::detector::self_check::LATENESS_MAX;
use crate::dissemination::hearsay::Checks;
use crate::identity::uri::Uri;
use crate::table::claim::Incarnation;
use crate::time::Micros;
use crate::wire::PingData;

/// The probes in flight: one of the round, and one of a member that is not live.
#[derive(Debug, Default)]
pub struct Prober {
    pub(crate) round: Option<Probe>,
    pub(crate) unreachable_probe: Option<Question>,
    /// Pings to members of which others say what only they themselves are believed.
    pub(crate) checks: Checks,
    /// How long answers of all members take.
    pub(crate) round_trip: Option<RoundTrip>,
    /// The direct pings of the last probes that failed: an answer may still come.
    late: VecDeque<Try>,
}

/// One of the direct pings of a probe. Each has a `ts` of its own, so that it is known how long its answer
/// takes.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    pub(crate) question: Question,
    pub(crate) sent: Micros,
}

/// The probe of this period.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) question: Question,
    pub(crate) began: Micros,
    /// When the verdict falls.
    pub(crate) deadline: Micros,
    /// How long to wait for an answer before asking again.
    pub(crate) timeout: Duration,
    /// The first ping is so large that it may not reach the member while smaller ones do.
    pub(crate) is_large: bool,
    /// It was asked more than once, since there was no answer.
    pub(crate) overdue: bool,
    /// The members that were asked to ping it, in that order.
    pub(crate) relays: Vec<Uri>,
    /// How many of the direct pings were refused: the port is closed.
    pub(crate) refusals: u32,
    /// The direct pings after the first one.
    pub(crate) retries: Vec<Try>,
    /// The relays that say the same.
    pub(crate) nacks: Vec<Uri>,
    /// The local incarnation, which every ping of this probe tells unless it is known to be known.
    pub(crate) told: Option<Incarnation>,
    /// The digest that all of its pings have told, if it was the same.
    pub(crate) digest: Option<u64>,
}

/// The shortest pause between two tries of one probe, and the least time to answer one:
/// `ACK_TIMEOUT_SECONDS` may be 0.
pub const RETRY_PAUSE_MIN: Duration = Duration::from_millis(20);

/// The least time in which the local node's own address is to answer, whatever the options say. On a
/// busy machine the answer takes as long as a timer may be late.
pub const OWN_ANSWER_MIN: Duration = LATENESS_MAX;

/// How many direct pings without an answer are remembered: those of some periods.
const LATE_MAX: usize = 64;

impl Probe {
    /// When the ping was sent that this answers, if it is one of this probe.
    pub(crate) fn answered(&self, echo: &PingData<'_>) -> Option<Micros> {
        if self.question.is_answered_by(echo) {
            return Some(self.began);
        }
        for retry in &self.retries {
            if retry.question.is_answered_by(echo) {
                return Some(retry.sent);
            }
        }
        None
    }
}

impl Prober {
    /// Ends the probe of this round, to which no answer came in time.
    pub(crate) fn fail(&mut self) -> Option<Probe> {
        let mut probe = self.round.take()?;
        let first = Try {
            question: probe.question.clone(),
            sent: probe.began,
        };
        for late in [first].into_iter().chain(probe.retries.drain(..)) {
            if self.late.len() == LATE_MAX {
                self.late.pop_front();
            }
            self.late.push_back(late);
        }
        Some(probe)
    }

    /// When the ping was sent that this answers, if the probe has failed meanwhile.
    pub(crate) fn answered_late(&mut self, echo: &PingData<'_>) -> Option<Micros> {
        let index = self
            .late
            .iter()
            .position(|late| late.question.is_answered_by(echo))?;
        let late = self.late.remove(index)?;
        Some(late.sent)
    }

    /// Whether there are no more late pings than there may be; for audits.
    pub(crate) fn is_bounded(&self) -> bool {
        self.late.len() <= LATE_MAX
    }

    /// Forgets the probes of the rounds: an answer could not have been received.
    pub fn give_up(&mut self) {
        (self.round, self.unreachable_probe) = (None, None);
        self.late.clear();
        self.checks.clear();
    }

    /// How long answers of all members take.
    pub const fn round_trip(&self) -> Option<RoundTrip> {
        self.round_trip
    }

    /// How long to wait for an answer before asking again, of a member whose answers take so long if that is known.
    pub(crate) fn timeout(&self, of_member: Option<RoundTrip>, config: &Config) -> Duration {
        if !config.mechanisms.adaptive_timeouts {
            return config.ack_timeout;
        }
        if let Some(round_trip) = of_member {
            // A member whose answers are known to take longer is given the time, as long as half of the
            // period is left for others to ask.
            let most = config.ack_timeout.max(config.protocol_period / 2);
            return round_trip.timeout(most);
        }
        // Of a member that has not answered yet, what others take is the best guess.
        match self.round_trip {
            Some(round_trip) => round_trip.timeout(config.ack_timeout),
            None => config.ack_timeout,
        }
    }

    /// Whether `uri` owes the local node an answer that others would have given by now.
    pub fn waits_for(&self, uri: &Uri) -> bool {
        match &self.round {
            Some(probe) => probe.overdue && probe.question.dst == *uri,
            None => false,
        }
    }

    /// The questions in flight.
    pub(crate) fn questions(&self) -> impl Iterator<Item = &Question> {
        let first = self.round.iter().map(|probe| &probe.question);
        let retries = self.round.iter().flat_map(|probe| &probe.retries);
        let asked_again = retries.chain(&self.late).map(|retry| &retry.question);
        first
            .chain(asked_again)
            .chain(&self.unreachable_probe)
            .chain(self.checks.iter())
    }
}
