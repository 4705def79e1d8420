//! Anti-entropy: tables are compared with somebody now and then, so that what gossip has missed is
//! not missed for ever.

use indexmap::IndexMap;
use rand::RngExt;

use super::Swim;
use super::claim::{Claim, Status};
use super::member::Member;
use super::time::Now;
use super::timers::Timer;
use super::uri::Uri;
use super::wire::{Draft, Event, Kind};

/// How many datagrams an answer has at most. Peers of the Lua rock send one and take any number.
const ANSWER_DATAGRAMS_MAX: usize = 4;

/// How many records may be too big for what is left of the last datagram before the search for a
/// smaller one ends: it bounds the work per datagram.
const MISFITS_MAX: usize = 8;

impl Swim {
    /// Compares tables with somebody who is alive.
    pub(super) fn sync_with_someone(&mut self, now: Now) {
        let (members, myself) = (&self.members, &self.myself);
        let alive = |uri: &Uri| {
            let claim = members.claim(uri);
            claim.is_some_and(|claim| claim.status == Status::Alive) && Some(uri) != myself.as_ref()
        };
        let partner = members.live.sample(1, &mut self.rng, alive).pop();
        self.syncing = false;
        match partner {
            Some(partner) => self.sync_with(&partner, now),
            None => self.timers.set(
                Timer::AntiEntropy,
                now.monotonic + self.config.protocol_period,
            ),
        }
    }

    /// Compares tables with `partner`, unless the answer of somebody else is awaited.
    pub(super) fn sync_with(&mut self, partner: &Uri, now: Now) {
        if self.syncing {
            return;
        }
        self.syncing = true;
        self.timers.set(
            Timer::AntiEntropy,
            now.monotonic + self.config.protocol_period,
        );
        self.stats.syncs += 1;
        for draft in self.pack_table(Kind::SyncReq, 1, |_any| true) {
            self.post(Kind::SyncReq, draft, partner);
        }
    }

    /// Hears the table of `partner`, and answers with what it does not know or knows less about.
    pub(super) fn answer_sync(&mut self, partner: &Uri, records: &[Event<'_>], now: Now) {
        records.iter().for_each(|record| self.hear(record, now));
        let known: IndexMap<&str, Claim> = records
            .iter()
            .map(|record| (record.uri, record.claim))
            .collect();
        let news = |member: &Member| member.claim.overrides(known.get(&*member.uri).copied());
        for draft in self.pack_table(Kind::SyncAck, ANSWER_DATAGRAMS_MAX, news) {
            self.post(Kind::SyncAck, draft, partner);
        }
    }

    /// Hears what I did not know. What taught me something is worth another one soon.
    pub(super) fn end_sync(&mut self, records: &[Event<'_>], now: Now) {
        let before = self.members.news();
        records.iter().for_each(|record| self.hear(record, now));
        let learnt = self.members.news() != before;
        if self.syncing {
            self.syncing = false;
            let config = &self.config;
            let pause = if learnt {
                config.protocol_period
            } else {
                config.anti_entropy_period
            };
            self.timers.set(Timer::AntiEntropy, now.monotonic + pause);
        }
    }

    /// As much of the table as goes into so many datagrams, from a random place on.
    fn pack_table(
        &mut self,
        kind: Kind,
        datagrams_max: usize,
        wanted: impl Fn(&Member) -> bool,
    ) -> Vec<Draft> {
        let Some(myself) = self.myself.clone() else {
            return Vec::new();
        };
        let limit = self.datagram_capacity();
        let start = self.rng.random_range(0..self.members.len().max(1));
        let mut full = Vec::new();
        let mut draft = Draft::sync(kind, &myself, limit);
        let mut misfits = 0;
        for member in self.members.from(start).filter(|member| wanted(member)) {
            let mut fits = add(&mut draft, member);
            if !fits && !draft.is_empty() && full.len() + 1 < datagrams_max {
                full.push(core::mem::replace(
                    &mut draft,
                    Draft::sync(kind, &myself, limit),
                ));
                fits = add(&mut draft, member);
            }
            misfits += usize::from(!fits);
            if misfits == MISFITS_MAX {
                break;
            }
        }
        full.push(draft);
        full
    }
}

fn add(draft: &mut Draft, member: &Member) -> bool {
    draft.record(&member.uri, member.claim, member.current_payload())
}
