//! The protocol, pure: SWIM (Das, Gupta, Motivala, 2002), as the Lua rock `membership` speaks it.
//!
//! No socket, clock, thread, lock or global randomness: time, seed and bytes are arguments;
//! datagrams to send, the next deadline and what has changed are results. Section numbers (§) are
//! those of the paper.
//!
//! | file | mechanism |
//! |---|---|
//! | [`claim`] | which of two claims to believe (§4.2) |
//! | [`uri`], [`payload`], [`member`], [`members`], `notes`, `round` | who there is, and in which order they are probed (§4.3) |
//! | `probe`, `question`, `relay`, `enquiry` | ping, ping through others, verdict (§3.1); pings that users ask for |
//! | `hearsay` | what to believe of whom |
//! | `hear`, `expiry_queue` | what to make of what is heard; refutation (§4.2) |
//! | `rtt` | how long to wait for an answer (RFC 6298) |
//! | `amplification`, `cookie`, `secret` | whether an address is its member's own, and how much is sent to one that is not validated |
//! | [`acquaintance`] | on whose word a member is known, and so how much its name may cost |
//! | `pause`, `isolation` | not to blame others for my own absence, or deafness; not to look alive when I am not |
//! | `rumors`, `gossip` | what to tell, to whom, how often (§4.1) |
//! | `reap`, `tombstones` | forgetting those who are gone for long, and not to be told of them again |
//! | `identity`, `roster` | what the application wants: to be somebody, to leave, to add and remove others |
//! | [`config`], `tuning` | the options, and what assigning one does to a running member |
//! | `clock_reading` | answers that wait for the clock of the application |
//! | `digest`, `repair`, `sync` | anti-entropy, for what gossip has missed: among our own, and with the Lua rock |
//! | [`wire`], [`msgpack`], [`seal`] | messages and bytes |
//! | [`mechanisms`] | what of this plain SWIM does not have, and what it is good for |
//! | `admission`, `session` | whether a datagram may be believed: of my group, fresh, and meant for me |
//! | `history`, `changes` | what changed since a reader last looked |
//! | [`stats`], [`evidence`], [`diagnosis`] | what those who watch are told |

#![forbid(unsafe_code)]

pub mod config;
pub mod detector;
pub mod diagnosis;
pub mod dissemination;
mod error;
pub mod identity;
mod invariants;
pub mod log_event;
pub mod mechanisms;
mod receive;
pub mod security;
pub mod stats;
pub mod table;
pub mod time;
mod timers;
mod tuning;
pub mod wire;

use std::collections::VecDeque;

use indexmap::IndexSet;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use config::Config;
pub use detector::app_ping::{PingId, PingOutcome};
use detector::clock_reading::ClockReading;
use detector::isolation::Isolation;
use detector::self_check::Application;
use detector::{app_ping, indirect, probe};
use dissemination::{digest_sync, rumors};
pub use error::Refused;
use identity::uri::Uri;
use log_event::LogEvent;
use security::seal::keyring::Keyring;
use security::session::Sessions;
use security::{amplification, authentication, cookie};
use stats::Stats;
pub use table::changelog::Position;
pub use table::changes::{Changes, Part};
use table::claim::Incarnation;
use table::member::Member;
use table::members::Members;
use table::payload::Payload;
use time::{Micros, Now};
use timers::{Timer, Timers};

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
    /// My identity: none before [`Swim::init`] and after [`Swim::leave`].
    myself: Option<Uri>,
    /// My payload, which outlives my leaving.
    payload: Payload,
    /// Who I was when I last left: the same one goes on counting incarnations where it stopped.
    former: Option<(Uri, Incarnation)>,
    members: Members,
    /// Of whom to remember anything but that they are alive; everybody, if there is none.
    allowed: IndexSet<Uri>,
    rumors: rumors::Rumors,
    keys: Keyring,
    sessions: Sessions,
    /// What goes along with what is said to the sender of the datagram at hand.
    reply: Option<authentication::Reply>,
    prober: probe::Prober,
    app_pings: app_ping::AppPings,
    indirect_pings: indirect::IndirectPings,
    amplification: amplification::Amplification,
    cookies: cookie::Cookies,
    timers: Timers,
    stats: Stats,
    repair: digest_sync::Repair,
    application: Application,
    clock_reading: ClockReading,
    isolation: Isolation,
    /// Whether a request for somebody's table is under way.
    syncing: bool,
    /// Whether the datagram at hand made me refute something.
    refuted: bool,
    /// Whether the sender of the datagram at hand is to be told what I say of myself.
    owes_word: bool,
    /// The payload that I last contradicted, and mine then, by their meanings; and how often.
    disputed: ((u64, u64), u32),
    /// How many probes of users were decided.
    decided: u64,
    outbox: VecDeque<Transmit>,
    reports: VecDeque<LogEvent>,
}

/// What decides about everything that is done by chance. Nobody must be able to guess it, unless all
/// is a simulation.
pub struct Seed(pub [u8; 32]);

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
    /// To whom.
    pub to: Uri,
    /// What.
    pub datagram: Vec<u8>,
    /// The recipient does not answer, or is not known to be alive: perhaps its name has got another
    /// address.
    pub anew: bool,
}

impl Swim {
    /// One who is nobody yet, and knows nobody. Everything it does by chance follows from `seed`.
    pub fn new(config: Config, seed: impl Into<Seed>) -> Self {
        let mut rng = StdRng::from_seed(seed.into().0);
        let sessions = Sessions::new(&mut rng);
        let cookies = cookie::Cookies::new(&mut rng);
        Self {
            config,
            rng,
            myself: None,
            payload: Payload::empty(),
            former: None,
            members: Members::default(),
            allowed: IndexSet::new(),
            rumors: rumors::Rumors::default(),
            keys: Keyring::default(),
            sessions,
            reply: None,
            prober: probe::Prober::default(),
            app_pings: app_ping::AppPings::default(),
            indirect_pings: indirect::IndirectPings::default(),
            amplification: amplification::Amplification::default(),
            cookies,
            timers: Timers::default(),
            stats: Stats::default(),
            repair: digest_sync::Repair::default(),
            application: Application::default(),
            clock_reading: ClockReading::default(),
            isolation: Isolation::default(),
            syncing: false,
            refuted: false,
            owes_word: false,
            disputed: ((0, 0), 0),
            decided: 0,
            outbox: VecDeque::new(),
            reports: VecDeque::new(),
        }
    }

    // Inputs; more of them in `receive`.

    /// Time has passed. Early, late or twice does no harm.
    pub fn handle_timeout(&mut self, now: Now) {
        self.notice_pause(now);
        self.amplification.advance(now);
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

    // Outputs.

    /// The next datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    /// The next line for the log.
    pub fn poll_report(&mut self) -> Option<LogEvent> {
        self.reports.pop_front()
    }

    /// When to call [`Swim::handle_timeout`] next, by the monotonic clock.
    pub fn next_deadline(&self) -> Option<Micros> {
        self.timers.next()
    }

    fn report(&mut self, report: LogEvent) {
        self.reports.push_back(report);
    }

    // Commands; more of them in `identity`, `roster` and `tuning`.

    /// Pings `uri`, whoever that is. It joins the group if it answers.
    pub fn probe(&mut self, uri: &Uri, now: Now) -> Result<PingId, Refused> {
        if self.myself.is_none() {
            return Err(Refused::NotInitialized);
        }
        Ok(self.ask_for_user(uri, now))
    }

    /// Forgets a probe, whose outcome nobody waits for any more.
    pub fn forget_probe(&mut self, ticket: PingId) {
        self.app_pings.forget(ticket);
    }

    /// Goes on as another process that has forked off: what must not be used twice is drawn anew.
    pub fn reseed_after_fork(&mut self, seed: impl Into<Seed>) {
        self.rng = StdRng::from_seed(seed.into().0);
        self.sessions = Sessions::new(&mut self.rng);
        self.cookies = cookie::Cookies::new(&mut self.rng);
    }

    // Views.

    /// My identity, if I have one.
    pub const fn myself(&self) -> Option<&Uri> {
        self.myself.as_ref()
    }

    /// What is known of `uri`.
    pub fn member(&self, uri: &str) -> Option<&Member> {
        self.members.get(uri)
    }

    /// The table.
    pub const fn members(&self) -> &Members {
        &self.members
    }

    /// The options.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// What has become of a probe; [`PingOutcome::Waiting`] for ever when it is forgotten.
    pub fn outcome(&self, ticket: PingId) -> PingOutcome {
        self.app_pings
            .outcome(ticket)
            .unwrap_or(PingOutcome::Waiting)
    }

    /// Rises with every change of anything that users can see of a member.
    pub const fn version(&self) -> u64 {
        self.members.version()
    }

    /// The number of the last change that subscribers are to hear of: what [`Self::version`] was then.
    pub const fn news(&self) -> u64 {
        self.members.news()
    }

    /// Rises whenever a probe of a user is decided.
    pub const fn decided(&self) -> u64 {
        self.decided
    }
}
