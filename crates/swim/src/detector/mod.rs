//! The failure detector.
//!
//! | file | subject |
//! |---|---|
//! | `probe` | ping a member, ping it through others, and the verdict (§3.1) |
//! | `confirmation` | suspicions that a few members check at once, so that they need not last as long |
//! | `indirect` | pings that this member forwards for others (the paper's ping-req) |
//! | [`app_ping`] | pings that the application asks for |
//! | [`candidates`] | members that were remembered over a restart, until they answer |
//! | `question` | the cookie in each PING, and whether an ACK repeats it |
//! | `ranking` | which members check a suspicion |
//! | [`rtt`] | how long to wait for an answer (RFC 6298) |
//! | [`probe_history`] | what the last probes of a member came to |
//! | `rhythm` | in which rhythm a member is probed that is unreachable for long |
//! | [`self_check`] | pauses of the process, and an application that hangs |
//! | `isolation` | no datagrams received: suspicions are withheld |
//! | `clock_reading` | answers that wait for the clock of the application |
//! | [`path_mtu`] | which size of datagrams reaches a member (RFC 8899) |

pub mod app_ping;
pub mod candidates;
pub mod clock_reading;
pub mod confirmation;
pub mod indirect;
pub mod isolation;
pub mod path_mtu;
pub mod probe;
pub mod probe_history;
pub mod question;
pub mod ranking;
pub mod rhythm;
pub mod rtt;
pub mod self_check;

use crate::hashing::HashKey;
use crate::identity::duplicates::Duplicates;
use app_ping::AppPings;
use candidates::Candidates;
use clock_reading::ClockReading;
use confirmation::Confirmations;
use indirect::IndirectPings;
use isolation::Isolation;
use path_mtu::PathMtu;
use probe::Prober;

/// The state of the failure detector.
#[derive(Debug)]
pub(crate) struct Detector {
    pub prober: Prober,
    pub confirmations: Confirmations,
    pub app_pings: AppPings,
    pub candidates: Candidates,
    pub indirect_pings: IndirectPings,
    pub isolation: Isolation,
    pub clock_reading: ClockReading,
    /// The URIs that two processes use.
    pub duplicates: Duplicates,
    pub path_mtu: PathMtu,
}

impl Detector {
    /// Nothing was probed.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            prober: Prober::default(),
            confirmations: Confirmations::new(hash_key),
            app_pings: AppPings::new(hash_key),
            candidates: Candidates::new(hash_key),
            indirect_pings: IndirectPings::new(hash_key),
            isolation: Isolation::default(),
            clock_reading: ClockReading::default(),
            duplicates: Duplicates::new(hash_key),
            path_mtu: PathMtu::new(hash_key),
        }
    }

    /// Nothing could be sent to `uri`: it can neither relay a ping nor answer one of a user.
    pub fn give_up_asking(&mut self, uri: &str) {
        if let Some(probe) = &mut self.prober.round {
            probe.relays.retain(|relay| **relay != *uri);
        }
        self.app_pings.give_up(uri);
    }

    /// Whether nothing that others cause is more than it may be; for audits.
    pub fn is_bounded(&self) -> bool {
        self.app_pings.is_bounded()
            && self.candidates.is_bounded()
            && self.prober.is_bounded()
            && self.confirmations.is_bounded()
            && self.indirect_pings.is_bounded()
            && self.clock_reading.is_bounded()
            && self.path_mtu.is_bounded()
    }

    /// Forgets all probes, and what they came to.
    pub fn clear(&mut self) {
        self.prober.give_up();
        self.confirmations.clear();
        self.app_pings.clear();
        self.candidates.clear();
        self.indirect_pings.clear();
        self.clock_reading = ClockReading::default();
        self.isolation = Isolation::default();
        self.path_mtu.clear();
    }
}
