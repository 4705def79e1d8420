//! Counters, for monitoring.

use core::time::Duration;

use super::wire::{Kind, Malformed};

/// What has happened since the process began. Nothing here decides anything.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Datagrams handed out.
    pub sent: Traffic,
    /// Datagrams that were understood.
    pub received: Traffic,
    /// Datagrams that were not, by reason.
    pub malformed: [u64; Malformed::ALL.len()],
    /// Senders asked to show that they live now.
    pub challenges: u64,
    /// Events and records that made no sense, in datagrams that did.
    pub events_skipped: u64,
    /// Datagrams that would have been larger than `MAX_PACKET_SIZE`, and were not sent.
    pub oversized: u64,
    /// Probes of the round.
    pub probes: u64,
    /// Those of them that were answered in time.
    pub probes_answered: u64,
    /// Those of them that were not.
    pub probes_failed: u64,
    /// From the first ping to the answer, in the last probe that was answered.
    pub round_trip: Duration,
    /// Answers to no question of ours.
    pub answers_stray: u64,
    /// Pings passed on for others.
    pub relayed: u64,
    /// Pings not passed on: too many.
    pub relays_refused: u64,
    /// Suspicions that this node has raised.
    pub suspicions: u64,
    /// Suspicions, whoever raised them, that their subject has refuted.
    pub suspicions_refuted: u64,
    /// Suspicions that turned into deaths here.
    pub suspicions_ripened: u64,
    /// How often this node had to contradict what was said of it.
    pub refutations: u64,
    /// How often this node was not running for a while.
    pub pauses: u64,
    /// How often this node heard nobody for a while.
    pub deafnesses: u64,
    /// How often the application behind it did not respond.
    pub stalls: u64,
    /// Tables exchanged with somebody who is not known to be one of ours.
    pub syncs: u64,
    /// Tables compared with one of ours, bucket by bucket.
    pub repairs: u64,
    /// Strangers that were not let into the full table.
    pub members_refused: u64,
}

/// Datagrams and bytes by type of message.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    counts: [(u64, u64); Kind::ALL.len()],
}

impl Traffic {
    /// Counts a datagram.
    pub fn count(&mut self, kind: Kind, bytes: usize) {
        let (datagrams, total) = &mut self.counts[kind as usize];
        *datagrams += 1;
        *total += bytes as u64;
    }

    /// Datagrams and bytes of this type.
    pub const fn of(&self, kind: Kind) -> (u64, u64) {
        self.counts[kind as usize]
    }
}
