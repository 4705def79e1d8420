//! Anti-entropy: exchanges a part of the table with a random member, at intervals.

use indexmap::IndexMap;

use super::packet::PacketBuilder;
use super::{Legacy, Rumor};
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Status};
use swim::time::{Micros, Now};
use swim::wire::{Event, MessageType};

/// The state of the exchange.
#[derive(Debug, Default)]
pub(super) struct SyncState {
    /// When to begin the next exchange, or to stop waiting for the answer.
    next: Micros,
    waiting: bool,
}

impl SyncState {
    pub(super) const fn starting(now: Micros) -> Self {
        Self {
            next: now,
            waiting: false,
        }
    }

    pub(super) const fn deadline(&self) -> Micros {
        self.next
    }
}

/// How many members are drawn at most to fill a datagram with records.
const DRAWN_MAX: usize = 96;

impl Legacy {
    pub(super) fn continue_sync(&mut self, now: Now) {
        if self.sync.next > now.monotonic {
            return;
        }
        // After a missing answer it pauses for a period, otherwise it begins an exchange.
        let waited = self.sync.waiting;
        self.sync = SyncState {
            next: now.monotonic + self.options.protocol_period,
            waiting: false,
        };
        let peer = if waited { None } else { self.peer() };
        if let (Some(peer), Some(myself)) = (peer, self.myself.clone()) {
            self.sync.waiting = true;
            let table = self.build_records(MessageType::SyncReq, &myself, |_uri, _claim| true);
            self.send(&peer, table);
        }
    }

    /// A random alive member, which may be itself.
    fn peer(&mut self) -> Option<Uri> {
        // A few draws are enough, unless few members are alive.
        for count in [16, usize::MAX] {
            for index in self.draw(count) {
                if let Some((uri, record)) = self.members.get_index(index)
                    && record.claim.status == Status::Alive
                {
                    return Some(uri.clone());
                }
            }
        }
        None
    }

    /// Builds a message of records: members in random order, up to the first that does not fit.
    fn build_records(
        &mut self,
        kind: MessageType,
        myself: &Uri,
        accepts: impl Fn(&Uri, Claim) -> bool,
    ) -> Vec<u8> {
        let mut packet = PacketBuilder::of_records(kind, myself, self.options.max_packet_size);
        for index in self.draw(DRAWN_MAX) {
            let (uri, record) = self.members.get_index(index).expect("drawn from them");
            if accepts(uri, record.claim)
                && !packet.add(uri, record.claim, record.payload.as_ref(), None, false)
            {
                break;
            }
        }
        packet.finish()
    }

    pub(super) fn handle_sync_request(&mut self, peer: &Uri, records: &[Event<'_>], now: Now) {
        self.apply_records(records, now);
        let Some(myself) = self.myself.clone() else {
            return;
        };
        let mut theirs: IndexMap<&str, Claim> = IndexMap::new();
        for record in records {
            theirs.insert(record.uri.as_str(), record.claim);
        }
        let better = |uri: &Uri, claim: Claim| claim.overrides(theirs.get(&**uri).copied());
        let table = self.build_records(MessageType::SyncAck, &myself, better);
        self.send(peer, table);
    }

    pub(super) fn handle_sync_answer(&mut self, records: &[Event<'_>], now: Now) {
        self.apply_records(records, now);
        if self.sync.waiting {
            self.sync = SyncState {
                next: now.monotonic + self.options.anti_entropy_period,
                waiting: false,
            };
        }
    }

    /// Applies records like rumors, also those about itself.
    fn apply_records(&mut self, records: &[Event<'_>], now: Now) {
        for record in records {
            if self.is_news(record) {
                let (uri, payload) = self.own_copy(record);
                let ttl = self.new_ttl();
                self.apply(
                    uri,
                    Rumor {
                        claim: record.claim,
                        payload,
                        ttl,
                    },
                    now,
                );
            }
        }
    }
}
