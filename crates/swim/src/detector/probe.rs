//! Failure detection (§3.1, §4.3): ping, ping through others, verdict; and the clocks of others.

use core::time::Duration;

use crate::detector::question::Question;
use crate::detector::rtt::RoundTrip;
use crate::detector::self_check::LATENESS_MAX;
use crate::dissemination::hearsay::Checks;
use crate::identity::uri::Uri;
use crate::table::claim::Incarnation;
use crate::time::Micros;

/// The probes in flight: one of the round, and one of a member that is not live.
#[derive(Debug, Default)]
pub struct Prober {
    pub(crate) round: Option<Probe>,
    pub(crate) unreachable_probe: Option<Question>,
    /// Pings to members of which others say what only they themselves are believed.
    pub(crate) checks: Checks,
    /// How long answers of all members take.
    pub(crate) round_trip: Option<RoundTrip>,
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
    /// It was asked more than once, since there was no answer.
    pub(crate) overdue: bool,
    /// The members that were asked to ping it, in that order.
    pub(crate) relays: Vec<Uri>,
    /// How many of the direct pings were refused: the port is closed.
    pub(crate) refusals: u32,
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

impl Prober {
    /// Forgets the probes of the rounds: an answer could not have been received.
    pub fn give_up(&mut self) {
        (self.round, self.unreachable_probe) = (None, None);
        self.checks.clear();
    }

    /// How long answers of all members take.
    pub const fn round_trip(&self) -> Option<RoundTrip> {
        self.round_trip
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
        let round = self.round.iter().map(|probe| &probe.question);
        round
            .chain(&self.unreachable_probe)
            .chain(self.checks.iter())
    }
}
