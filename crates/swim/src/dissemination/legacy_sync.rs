//! Anti-entropy with peers of the Lua rock: tables are exchanged with somebody now and then, so that
//! what gossip has missed is not missed for ever.
//!
//! They believe what a table says of themselves, be it of a former life: so nobody is told about
//! himself here. That is for pings, which say it as events, to be refuted.

use indexmap::IndexMap;
use rand::RngExt;

use crate::Swim;
use crate::identity::uri::Uri;
use crate::table::claim::{Claim, Status};
use crate::table::member::{Dialect, Member};
use crate::time::Now;
use crate::timers::Timer;
use crate::wire::{Event, MessageBuilder, MessageType};

/// How many datagrams an answer has at most. Peers of the Lua rock send one and take any number.
const ANSWER_DATAGRAMS_MAX: usize = 4;

/// How many records may be too big for what is left of the last datagram before the search for a
/// smaller one ends: it bounds the work per datagram.
const MISFITS_MAX: usize = 8;

impl Swim {
    /// Compares tables with a peer of the Lua rock that is alive. Our own compare digests with every
    /// ping, and what somebody is shows with the first.
    pub(crate) fn sync_with_someone(&mut self, now: Now) {
        let myself = self.myself.as_ref();
        let suitable = |member: &Member| {
            member.claim.status == Status::Alive
                && member.dialect == Dialect::Rock
                && Some(&member.uri) != myself
        };
        let partner = self.members.sample(1, &mut self.rng, suitable).pop();
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
    pub(crate) fn sync_with(&mut self, partner: &Uri, now: Now) {
        if self.syncing {
            return;
        }
        self.syncing = true;
        self.timers.set(
            Timer::AntiEntropy,
            now.monotonic + self.config.protocol_period,
        );
        self.stats.syncs += 1;
        let about_others = |member: &Member| member.uri != *partner;
        for draft in self.pack_table(MessageType::SyncReq, 1, &[], about_others) {
            self.send(MessageType::SyncReq, draft, partner);
        }
    }

    /// Hears the table of `partner`, and answers with what it does not know or knows less about.
    pub(crate) fn answer_sync(&mut self, partner: &Uri, records: &[Event<'_>], now: Now) {
        self.apply_records(partner, records, now);
        if self.is_blocked(partner) {
            return;
        }
        let known: IndexMap<&str, Claim> = records
            .iter()
            .map(|record| (record.uri, record.claim))
            .collect();
        let news = |member: &Member| {
            member.uri != *partner && member.claim.overrides(known.get(&*member.uri).copied())
        };
        let tombstones = self.tombstones_against(records, partner);
        for draft in self.pack_table(
            MessageType::SyncAck,
            ANSWER_DATAGRAMS_MAX,
            &tombstones,
            news,
        ) {
            self.send(MessageType::SyncAck, draft, partner);
        }
    }

    /// Hears what I did not know. What taught me something is worth another one soon.
    pub(crate) fn end_sync(&mut self, partner: &Uri, records: &[Event<'_>], now: Now) {
        let learnt = self.apply_records(partner, records, now);
        if !learnt {
            self.repair.end_joining();
        }
        if self.syncing {
            self.syncing = false;
            self.stats.syncs_answered += 1;
            let config = &self.config;
            let pause = if learnt {
                config.protocol_period
            } else {
                config.anti_entropy_period
            };
            self.timers.set(Timer::AntiEntropy, now.monotonic + pause);
        }
    }

    /// Hears records of somebody's table, and says whether there was anything new among them.
    pub(crate) fn apply_records(&mut self, partner: &Uri, records: &[Event<'_>], now: Now) -> bool {
        let before = self.members.news();
        let (mut wrong, mut suspect) = (None, None);
        for record in records {
            if self.is_credible(partner, record, now) {
                wrong = wrong.max(self.apply_record(record, &mut suspect, now));
            }
        }
        self.end_hearing(wrong, now);
        // To tell each of them would be to answer one datagram with many. The others hear of it by
        // gossip, in hundredths of a second, and have seconds to refute it.
        if let Some(suspect) = suspect {
            self.push_to(&suspect);
        }
        self.members.news() != before
    }

    /// Hears a record, which differs from an event in how it is to be passed on. Notes the first member
    /// that becomes a suspect, and returns what the record says of me, if that is to be refuted.
    fn apply_record(
        &mut self,
        record: &Event<'_>,
        suspect: &mut Option<Uri>,
        now: Now,
    ) -> Option<Claim> {
        if self.takes_for_tombstone(record, now) {
            return None;
        }
        let held = self.members.claim(record.uri);
        let lives = held.is_some_and(|held| held.status.is_live());
        let claim = match record.claim.status {
            // It was dead where the record comes from, which may have been cut off from it. Who is
            // there is to have the time to say so.
            Status::Dead if lives => record.claim.with(Status::Suspect),
            _ => record.claim,
        };
        let news = claim.overrides(held);
        let wrong = self.apply_one(&Event { claim, ..*record }, now);
        // Who has just come learns what everybody knows, and need not spread it.
        if held.is_none() && self.repair.is_joining() {
            self.rumors.stop(record.uri);
        }
        if news && claim.status == Status::Suspect && suspect.is_none() {
            *suspect = Uri::from_wire(record.uri);
        }
        wrong
    }

    /// As much of the table as goes into so many datagrams, from a random place on, behind those who
    /// come `first`.
    fn pack_table(
        &mut self,
        kind: MessageType,
        datagrams_max: usize,
        first: &[Member],
        wanted: impl Fn(&Member) -> bool,
    ) -> Vec<MessageBuilder> {
        let Some(myself) = self.myself.clone() else {
            return Vec::new();
        };
        let (limit, trailer) = (self.datagram_capacity(), self.trailer());
        let start = self.rng.random_range(0..self.members.len().max(1));
        let blank = || MessageBuilder::sync(kind, &myself, limit).trailed_by(&trailer);
        let members = self.members.from(start).filter(|member| wanted(member));
        pack(blank, datagrams_max, first.iter().chain(members))
    }
}

/// Fills up to so many datagrams with records; at least one, though it be empty.
pub(crate) fn pack<'a>(
    blank: impl Fn() -> MessageBuilder,
    datagrams_max: usize,
    members: impl Iterator<Item = &'a Member>,
) -> Vec<MessageBuilder> {
    let add = |draft: &mut MessageBuilder, member: &Member| {
        draft.record(&member.uri, member.claim, member.current_payload())
    };
    let (mut full, mut draft, mut misfits) = (Vec::new(), blank(), 0);
    for member in members {
        let mut fits = add(&mut draft, member);
        if !fits && !draft.is_empty() && full.len() + 1 < datagrams_max {
            full.push(core::mem::replace(&mut draft, blank()));
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
