//! The protocol, pure: SWIM (Das, Gupta, Motivala, 2002), in the dialect of membership 2.x.
//!
//! No socket, clock, thread, lock or global randomness: time, seed and bytes are arguments; datagrams to
//! send, the next deadline and what has changed are results. Section numbers (§) are those of the paper.
//!
//! | file | subject |
//! |---|---|
//! | [`identity`] | what this member is |
//! | [`table`] | the members, and what has changed |
//! | [`detector`] | probes and suspicion |
//! | [`dissemination`] | news, and anti-entropy |
//! | [`security`] | encryption, replay protection, address validation |
//! | [`wire`] | bytes |
//! | [`config`], [`profile`], [`tuning`], [`mechanisms`] | options, by one or by many, and what of this plain SWIM does not have |
//! | [`stats`], [`diagnosis`], [`log_event`] | what operators are shown |
//! | [`time`], `timers`, `error` | time, deadlines, errors of commands |
//! | [`hashing`] | the tables whose keys other members choose |
//! | `router` | what comes in goes to these, and what they decide is done |
//! | `invariants` | what must be so between any two inputs |

#![forbid(unsafe_code)]

pub mod config;
pub mod detector;
pub mod diagnosis;
pub mod dissemination;
mod error;
pub mod hashing;
pub mod identity;
mod invariants;
pub mod log_event;
pub mod mechanisms;
pub mod profile;
mod router;
pub mod security;
pub mod stats;
pub mod table;
pub mod time;
mod timers;
pub mod tuning;
pub mod wire;

use core::net::SocketAddr;
use std::collections::VecDeque;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use config::Config;
use detector::Detector;
pub use detector::app_ping::{PingId, PingOutcome};
use dissemination::AntiEntropy;
use dissemination::rumors::Rumors;
pub use error::Refused;
use hashing::HashKey;
use identity::admin::AllowList;
use identity::lifecycle::Identity;
use identity::uri::Uri;
use log_event::LogEvent;
use router::Turn;
use security::Security;
use stats::Stats;
pub use table::changelog::Position;
pub use table::changes::{Changes, Part};
pub use table::history::{Change, Excerpt};
use table::members::Members;
use time::{Micros, Now};
use timers::Timers;
use wire::DropReason;

/// One member's view of the group, and its part in it.
///
/// Methods come in four kinds:
///
/// - *inputs*, `handle_*`: a datagram came, or time has passed;
/// - *outputs*, `poll_*` and [`Swim::next_deadline`]: drain them after any input or command;
/// - *commands*, plain verbs: the application wants something;
/// - *views*, nouns taking `&self`.
///
/// Time must not go back from one call to the next.
pub struct Swim {
    config: Config,
    rng: StdRng,
    me: Identity,
    allowed: AllowList,
    members: Members,
    detector: Detector,
    rumors: Rumors,
    anti_entropy: AntiEntropy,
    security: Security,
    timers: Timers,
    stats: Stats,
    output: Output,
}

/// What is to be sent, what is to be logged, and which sender was seen.
#[derive(Debug, Default)]
struct Output {
    datagrams: VecDeque<Transmit>,
    log_events: VecDeque<LogEvent>,
    sighting: Option<Sighting>,
}

/// What decides about everything that is done by chance. It must be unguessable, unless all is a
/// simulation.
pub struct Seed(pub [u8; 32]);

impl Seed {
    fn rng(self) -> StdRng {
        StdRng::from_seed(self.0)
    }
}

/// A seed for simulations.
impl From<u64> for Seed {
    fn from(number: u64) -> Self {
        let mut seed = [0; 32];
        StdRng::seed_from_u64(number).fill_bytes(&mut seed);
        Self(seed)
    }
}

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The recipient.
    pub to: Uri,
    /// Where it is, if that is known without its name: it is sent there, and the name is not looked up.
    pub at: Option<SocketAddr>,
    /// What.
    pub datagram: Vec<u8>,
    /// The recipient does not answer, or is not known to be alive: perhaps its name has got another
    /// address.
    pub anew: bool,
}

/// Who has sent a datagram that was believed, or would be if its sender were shown to be alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The sender, as it names itself.
    pub sender: Uri,
    /// It has answered a question of the local node with the cookie of that question. So it can be reached, and
    /// is where the datagram came from.
    pub answered: bool,
    /// The datagram was authenticated. Then a question that comes twice is answered once.
    pub is_sealed: bool,
}

impl Swim {
    /// Creates an instance with no identity and an empty table. All that it does by chance follows from
    /// `seed`.
    pub fn new(config: Config, seed: impl Into<Seed>) -> Self {
        let seed = seed.into();
        let hash_key = HashKey::derive(&seed.0);
        let mut rng = seed.rng();
        let security = Security::new(&mut rng, &hash_key);
        Self {
            config,
            rng,
            me: Identity::default(),
            allowed: AllowList::new([], false, &hash_key),
            members: Members::new(&hash_key),
            detector: Detector::new(&hash_key),
            rumors: Rumors::new(&hash_key),
            anti_entropy: AntiEntropy::default(),
            security,
            timers: Timers::default(),
            stats: Stats::default(),
            output: Output::default(),
        }
    }

    // Inputs.

    /// A datagram came from `source`, as the system says. One that is malformed is counted, and
    /// changes nothing else.
    pub fn handle_datagram(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        now: Now,
    ) -> Result<(), DropReason> {
        Turn::new(self, now).receive(datagram, source)
    }

    /// Time has passed. Early, late or twice does no harm.
    pub fn handle_timeout(&mut self, now: Now) {
        Turn::new(self, now).run_timers();
    }

    /// What came from the address of `uri` could not be decoded. If that member is dead, this is why.
    pub fn handle_undecodable(&mut self, uri: &str, now: Now) {
        Turn::new(self, now).hear_undecodable(uri);
    }

    /// The system says that the port of `uri` is closed: no reason to wait for an answer.
    pub fn handle_refused(&mut self, uri: &Uri, now: Now) {
        Turn::new(self, now).hear_refusal(uri);
    }

    /// A datagram came from elsewhere. It is counted, and not read.
    pub const fn handle_elsewhere(&mut self) {
        self.stats.dropped[DropReason::Elsewhere as usize] += 1;
    }

    /// All addresses of `uri` are outside of the networks that are allowed: it is forgotten.
    pub fn handle_excluded(&mut self, uri: &Uri, now: Now) {
        Turn::new(self, now).forget_elsewhere(uri);
    }

    /// Nothing could be sent to `uri`: its name does not resolve, or the system refuses.
    pub fn handle_unsent(&mut self, uri: &str) {
        self.detector.give_up_asking(uri);
    }

    // Outputs.

    /// The next datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.output.datagrams.pop_front()
    }

    /// The next line for the log.
    pub fn poll_report(&mut self) -> Option<LogEvent> {
        self.output.log_events.pop_front()
    }

    /// The sender of the last datagram, for one who finds members by where their datagrams come from.
    pub fn poll_sighting(&mut self) -> Option<Sighting> {
        self.output.sighting.take()
    }

    /// When to call [`Swim::handle_timeout`] next, by the monotonic clock.
    pub fn next_deadline(&self) -> Option<Micros> {
        self.timers.next()
    }

    fn report(&mut self, report: LogEvent) {
        self.output.log_events.push_back(report);
    }
}
