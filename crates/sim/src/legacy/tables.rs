//! Anti-entropy: a part of the table, with somebody, now and then.

use indexmap::IndexMap;

use super::packing::Parcel;
use super::{Legacy, Rumour};
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Status};
use swim::time::{Micros, Now};
use swim::wire::{Event, MessageType};

/// When it goes on.
#[derive(Debug, Default)]
pub(super) struct Entropy {
    next: Micros,
    waiting: bool,
}

impl Entropy {
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
    pub(super) fn go_on_comparing(&mut self, now: Now) {
        if self.entropy.next > now.monotonic {
            return;
        }
        // Either an answer has not come, or it is time for another one: a pause, or a try.
        let waited = self.entropy.waiting;
        self.entropy = Entropy {
            next: now.monotonic + self.options.protocol_period,
            waiting: false,
        };
        let partner = if waited { None } else { self.partner() };
        if let Some((partner, myself)) = partner.zip(self.myself.clone()) {
            self.entropy.waiting = true;
            let table = self.pack(MessageType::SyncReq, &myself, |_uri, _claim| true);
            self.post(&partner, table);
        }
    }

    /// Somebody who is alive, itself not excluded.
    fn partner(&mut self) -> Option<Uri> {
        let alive = |rock: &Self, index: usize| {
            let (uri, record) = rock.members.get_index(index)?;
            (record.claim.status == Status::Alive).then(|| uri.clone())
        };
        let few = self
            .draw(16)
            .into_iter()
            .find_map(|index| alive(self, index));
        few.or_else(|| {
            self.draw(usize::MAX)
                .into_iter()
                .find_map(|index| alive(self, index))
        })
    }

    /// As many records as fit, in random order, up to the first that does not.
    fn pack(
        &mut self,
        kind: MessageType,
        myself: &Uri,
        wanted: impl Fn(&Uri, Claim) -> bool,
    ) -> Vec<u8> {
        let mut parcel = Parcel::of_records(kind, myself, self.options.max_packet_size);
        for index in self.draw(DRAWN_MAX) {
            let (uri, record) = self.members.get_index(index).expect("drawn from them");
            if wanted(uri, record.claim)
                && !parcel.add(uri, record.claim, record.payload.as_ref(), None, false)
            {
                break;
            }
        }
        parcel.finish()
    }

    pub(super) fn answer_table(&mut self, partner: &Uri, records: &[Event<'_>], now: Now) {
        self.believe(records, now);
        let Some(myself) = self.myself.clone() else {
            return;
        };
        let theirs: IndexMap<&str, Claim> = records.iter().map(|r| (r.uri, r.claim)).collect();
        let better = |uri: &Uri, claim: Claim| claim.overrides(theirs.get(&**uri).copied());
        let table = self.pack(MessageType::SyncAck, &myself, better);
        self.post(partner, table);
    }

    pub(super) fn end_sync(&mut self, records: &[Event<'_>], now: Now) {
        self.believe(records, now);
        if self.entropy.waiting {
            self.entropy = Entropy {
                next: now.monotonic + self.options.anti_entropy_period,
                waiting: false,
            };
        }
    }

    /// Records are believed like rumors, also those about itself.
    fn believe(&mut self, records: &[Event<'_>], now: Now) {
        for record in records {
            if self.is_news(record) {
                let (uri, payload) = self.own_copy(record);
                let ttl = self.fresh_ttl();
                self.apply(
                    uri,
                    Rumour {
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
