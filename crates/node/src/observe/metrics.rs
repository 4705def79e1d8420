//! What those who watch this node are shown of it.

use core::time::Duration;

use crate::Node;
use crate::error::Error;
use crate::state::State;
use swim::stats::{Gauges, Stats};

/// Counters and gauges of the protocol and of the machine.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The counters of the protocol.
    pub stats: Stats,
    /// Its gauges.
    pub gauges: Gauges,
    /// What the resolver was asked.
    pub lookups: Lookups,
    /// Datagrams that the system refused to send.
    pub send_errors: u64,
    /// Datagrams that were not taken in: too many came.
    pub turned_away: u64,
    /// The longest time for which Tarantool's thread did not respond, of those that counted.
    pub longest_stall: Duration,
    /// The longest time for which the lock was held.
    pub longest_hold: Duration,
}

/// Questions to the resolver, since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// How many there were.
    pub queries: u64,
    /// How many were not asked, since too many names of members that are not known came at once.
    pub refused: u64,
    /// To how many of them it had no address to tell.
    pub failures: u64,
    /// How long the slowest answer took, waiting in the queue included.
    pub longest: Duration,
}

impl Lookups {
    /// An answer has come.
    pub fn note_answer(&mut self, found: bool, took: Duration) {
        self.failures += u64::from(!found);
        self.longest = self.longest.max(took);
    }
}

impl Metrics {
    fn of(state: &State) -> Self {
        Self {
            stats: state.swim.stats().clone(),
            gauges: state.swim.gauges(),
            lookups: state.addresses.lookups(),
            send_errors: state.send_errors,
            turned_away: state.ingress.turned_away(),
            longest_stall: state.watchdog.longest(),
            longest_hold: state.longest_hold,
        }
    }
}

impl Node {
    /// The counters and gauges, as they are.
    pub fn metrics(&self) -> Result<Metrics, Error> {
        self.shared.look(Metrics::of)
    }
}
