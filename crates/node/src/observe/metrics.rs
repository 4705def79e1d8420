//! The counters and gauges that operators see.

use core::time::Duration;

use crate::Node;
use crate::error::Error;
use crate::state::State;
use crate::state_file::Counts;
use swim::stats::{Gauges, Stats};

/// Counters and gauges of the protocol and of the machine.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The counters of the protocol.
    pub stats: Stats,
    /// The gauges of the protocol.
    pub gauges: Gauges,
    /// The questions to the resolver.
    pub lookups: Lookups,
    /// Datagrams that the system refused to send.
    pub send_errors: u64,
    /// Datagrams that were dropped because too many came.
    pub turned_away: u64,
    /// How often the state file was written.
    pub saves: Counts,
    /// The longest time that Tarantool's thread did not respond, of those that counted as a stall.
    pub longest_stall: Duration,
    /// The longest time that the lock was held.
    pub longest_hold: Duration,
}

/// Questions to the resolver, since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// How many there were.
    pub queries: u64,
    /// How many were not asked, because too many names of unknown senders came at once.
    pub refused: u64,
    /// How many had no address for an answer.
    pub failures: u64,
    /// How long the slowest answer took, with its time in the queue.
    pub longest: Duration,
}

impl Lookups {
    /// Counts an answer.
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
            saves: state.state_file.counts(),
            longest_stall: state.lua_states.longest_stall(),
            longest_hold: state.longest_hold,
        }
    }
}

impl Node {
    /// Returns the counters and gauges.
    pub fn metrics(&self) -> Result<Metrics, Error> {
        self.shared.look(Metrics::of)
    }
}
