//! Counters and gauges, for monitoring. Nothing here decides anything.

use core::time::Duration;

use crate::table::claim::Status;
use crate::table::payload::Unfit;
use crate::wire::{DropReason, MessageType};

/// What has happened since the process began.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Datagrams handed out.
    pub sent: Traffic,
    /// Datagrams that were understood.
    pub received: Traffic,
    /// Datagrams that were not, by reason.
    pub dropped: [u64; DropReason::ALL.len()],
    /// Senders asked to show that they live now.
    pub challenges: u64,
    /// Events and records that made no sense, in datagrams that did.
    pub events_skipped: u64,
    /// Payloads of others that were not taken in.
    pub payloads_refused: PayloadsRefused,
    /// Datagrams that would have been larger than `MAX_PACKET_SIZE`, and were not sent.
    pub oversized: u64,
    /// Probes of the round.
    pub probes: u64,
    /// Those of them that were answered in time.
    pub probes_answered: u64,
    /// Those of the answers that a relay has passed on.
    pub probes_answered_by_relay: u64,
    /// Those of the probes that were not answered.
    pub probes_failed: u64,
    /// How long the answers took.
    pub round_trips: RoundTrips,
    /// Answers that belong to no question of the local node.
    pub acks_unsolicited: u64,
    /// Pings passed on for others.
    pub relayed: u64,
    /// Pings not passed on: too many.
    pub relays_refused: u64,
    /// Datagrams not sent: amplification limit, the address of the recipient is not validated.
    pub amplification_limited: u64,
    /// Suspicions that this node has raised.
    pub suspicions: u64,
    /// Suspicions, of any member, that this node has confirmed: it had no answer either.
    pub suspicions_confirmed: u64,
    /// Suspicions, of any member, that their subject has refuted.
    pub suspicions_refuted: u64,
    /// Suspicions that turned into deaths here.
    pub suspicions_ripened: u64,
    /// How often this node had to contradict what was said of it.
    pub refutations: u64,
    /// How often this node was not running for a while.
    pub pauses: u64,
    /// How often no datagrams were received for a while.
    pub isolations: u64,
    /// How often it was found that two processes use one URI, that of this node or of another member.
    pub duplicates: u64,
    /// How often the application behind it did not respond.
    pub stalls: u64,
    /// Tables exchanged with a member that is not known to be native.
    pub syncs: u64,
    /// Those of them that were answered.
    pub syncs_answered: u64,
    /// Tables compared with a native member, bucket by bucket.
    pub repairs: u64,
    /// Those of them that were answered.
    pub repairs_answered: u64,
    /// Strangers that were not let into the full table.
    pub members_refused: u64,
    /// Events about members whose addresses are in none of `ALLOWED_NETWORKS`: these were not taken in.
    pub members_elsewhere: u64,
    /// Events about members that are not on the strict list: these were not taken in.
    pub members_not_allowed: u64,
    /// Members, dead or left, that made room for another in the full table.
    pub members_displaced: u64,
}

/// Payloads of others that were not taken in; what came with them was.
#[derive(Clone, Debug, Default)]
pub struct PayloadsRefused {
    /// Larger than a datagram of the local node could hold.
    pub too_large: u64,
    /// Not harmless, by reason, in the order of [`Unfit::NAMES`].
    pub unfit: [u64; Unfit::NAMES.len()],
}

/// Datagrams and bytes by type of message.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    counts: [(u64, u64); MessageType::ALL.len()],
}

impl Traffic {
    /// Counts a datagram.
    pub fn count(&mut self, kind: MessageType, bytes: usize) {
        let (datagrams, total) = &mut self.counts[kind as usize];
        *datagrams += 1;
        *total += bytes as u64;
    }

    /// Bytes of all types.
    pub fn bytes(&self) -> u64 {
        self.counts.iter().map(|(_datagrams, bytes)| bytes).sum()
    }

    /// Datagrams and bytes of this type.
    pub const fn of(&self, kind: MessageType) -> (u64, u64) {
        self.counts[kind as usize]
    }
}

/// How long the last probes took that were answered, from the first ping on.
#[derive(Clone, Debug, Default)]
pub struct RoundTrips {
    /// In µs, the last one at `(count - 1) % KEPT`.
    last: Vec<u32>,
    count: usize,
}

/// Of so many probes the slowest ones are told: some four minutes.
const KEPT: usize = 256;

impl RoundTrips {
    /// Notes one more.
    pub fn note(&mut self, took: Duration) {
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        match self.last.get_mut(self.count % KEPT) {
            Some(oldest) => *oldest = took,
            None => self.last.push(took),
        }
        self.count += 1;
    }

    /// The last one.
    pub fn last(&self) -> Option<Duration> {
        let index = self.count.checked_sub(1)? % KEPT;
        Some(micros(self.last[index]))
    }

    /// What 99 of 100 do not exceed.
    pub fn p99(&self) -> Option<Duration> {
        let mut sorted = self.last.clone();
        let index = (sorted.len() * 99).div_ceil(100).checked_sub(1)?;
        let (_, value, _) = sorted.select_nth_unstable(index);
        Some(micros(*value))
    }
}

fn micros(micros: u32) -> Duration {
    Duration::from_micros(micros.into())
}

/// How things are at this moment.
#[derive(Clone, Debug)]
pub struct Gauges {
    /// Members, by status.
    pub members: [(Status, usize); Status::ALL.len()],
    /// How long answers of all members take, smoothed.
    pub round_trip: Option<Duration>,
    /// Rumors that are being spread.
    pub rumors: usize,
    /// How often rumors were sent.
    pub rumors_sent: u64,
    /// Rumors that were sent often enough.
    pub rumors_expired: u64,
    /// Changes that are remembered, with their reasons.
    pub history_kept: usize,
    /// Changes that are not remembered any more.
    pub history_forgotten: u64,
    /// Whether no datagrams are received.
    pub isolated: bool,
    /// Live members that use another key than this node, as far as their datagrams show.
    pub other_keys: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(took: impl IntoIterator<Item = u64>) -> (Option<Duration>, Option<Duration>) {
        let mut round_trips = RoundTrips::default();
        took.into_iter()
            .for_each(|ms| round_trips.note(Duration::from_millis(ms)));
        (round_trips.last(), round_trips.p99())
    }

    #[test]
    fn one_slow_answer_in_two_hundred_is_none_of_the_99_of_100_and_three_are() {
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(after([]), (None, None));
        assert_eq!(after([7]), (ms(7), ms(7)));
        let usual = || core::iter::repeat_n(1, 200);
        assert_eq!(after([90].into_iter().chain(usual())), (ms(1), ms(1)));
        assert_eq!(after(usual().chain([90; 3])), (ms(90), ms(90)));
    }

    #[test]
    fn what_was_long_ago_does_not_count_any_more() {
        let took = core::iter::repeat_n(90, 1000).chain(core::iter::repeat_n(1, KEPT));
        assert_eq!(after(took).1, Some(Duration::from_millis(1)));
    }

    #[test]
    fn traffic_is_counted_by_type_in_datagrams_and_bytes() {
        let mut traffic = Traffic::default();
        for (kind, bytes) in [
            (MessageType::Ping, 7),
            (MessageType::Ping, 5),
            (MessageType::Ack, 3),
        ] {
            traffic.count(kind, bytes);
        }
        let [ping, ack, leave] =
            [MessageType::Ping, MessageType::Ack, MessageType::Leave].map(|kind| traffic.of(kind));
        assert_eq!((ping, ack, leave), ((2, 12), (1, 3), (0, 0)));
        assert_eq!(traffic.bytes(), 15);
    }
}
