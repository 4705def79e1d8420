//! Anti-entropy: tables are compared, and what differs is exchanged.

use rand::RngExt;

use super::Turn;
use crate::detector::path_mtu::SIZE_MIN;
use crate::dissemination::digest_sync::{
    LARGE_TABLE, PATIENCE_MIN, REPAIR_DATAGRAMS_MAX, REPAIR_DATAGRAMS_OF_LARGE_TABLE_MAX,
};
use crate::dissemination::legacy_sync::{ANSWER_DATAGRAMS_MAX, pack};
use crate::hashing::KeyedMap;
use crate::identity::uri::Uri;
use crate::router::apply::Reaction;
use crate::table::claim::{Claim, Status};
use crate::table::digest::BUCKETS_MAX;
use crate::table::member::{Dialect, Member};
use crate::timers::Timer;
use crate::wire::{Buckets, Event, Extension, MessageBuilder, MessageType, Trailer};

impl Turn<'_> {
    /// Compares tables with a peer on membership 2.x that is alive. Native peers compare digests with
    /// every ping, and the dialect of a member shows with the first.
    pub(super) fn sync_with_someone(&mut self) {
        let suitable = |member: &Member| {
            member.claim.status == Status::Alive
                && member.dialect == Dialect::Legacy
                && !self.swim.me.is(&member.uri)
        };
        let partner = self
            .swim
            .members
            .sample(1, &mut self.swim.rng, suitable)
            .pop();
        // The last one has not answered within a period: it is not waited for any more.
        self.swim.anti_entropy.awaits_table = false;
        if let Some(partner) = partner {
            return self.sync_with(&partner);
        }
        // Together with the probe, so that the engine need not wake once more for it.
        let period = self.swim.config.protocol_period;
        let next_probe = self.swim.timers.get(Timer::Period);
        let next = next_probe.unwrap_or(self.now.monotonic + period);
        self.swim.timers.set(Timer::AntiEntropy, next);
    }

    /// Compares tables with `partner`, unless the answer of another member is awaited.
    pub(super) fn sync_with(&mut self, partner: &Uri) {
        if self.swim.anti_entropy.awaits_table {
            return;
        }
        self.swim.anti_entropy.awaits_table = true;
        self.swim.timers.set(
            Timer::AntiEntropy,
            self.now.monotonic + self.swim.config.protocol_period,
        );
        self.swim.stats.syncs += 1;
        let about_others = |member: &Member| member.uri != *partner;
        for draft in self.pack_table(MessageType::SyncReq, partner, 1, &[], about_others) {
            self.send(MessageType::SyncReq, draft, partner);
        }
    }

    /// Hears the table of `partner`, and answers with what it does not know or knows less about.
    pub(super) fn answer_sync(&mut self, partner: &Uri, records: &[Event<'_>], rx: &mut Reaction) {
        self.apply_records(partner, records, rx);
        if self.is_blocked(partner) {
            return;
        }
        let mut known: KeyedMap<&str, Claim> =
            KeyedMap::with_hasher(self.swim.members.hash_key().clone());
        for record in records {
            known.insert(record.uri.as_str(), record.claim);
        }
        let news = |member: &Member| {
            member.uri != *partner && member.claim.overrides(known.get(&*member.uri).copied())
        };
        let tombstones = self.swim.members.tombstones_against(records, partner);
        for draft in self.pack_table(
            MessageType::SyncAck,
            partner,
            ANSWER_DATAGRAMS_MAX,
            &tombstones,
            news,
        ) {
            self.send(MessageType::SyncAck, draft, partner);
        }
    }

    /// Applies what was not known. An exchange that brought something is worth another one soon.
    pub(super) fn end_sync(&mut self, partner: &Uri, records: &[Event<'_>], rx: &mut Reaction) {
        let learnt = self.apply_records(partner, records, rx);
        if !learnt {
            self.swim.anti_entropy.digest.end_joining();
        }
        if self.swim.anti_entropy.awaits_table {
            self.swim.anti_entropy.awaits_table = false;
            self.swim.stats.syncs_answered += 1;
            let config = &self.swim.config;
            let pause = if learnt {
                config.protocol_period
            } else {
                config.anti_entropy_period
            };
            self.swim
                .timers
                .set(Timer::AntiEntropy, self.now.monotonic + pause);
        }
    }

    /// Compares digests with `peer`; if they differ, and it is not only that news is on its way, asks
    /// where.
    pub(super) fn compare_digest(&mut self, peer: &Uri, theirs: Option<u64>) {
        let Some(theirs) = theirs else { return };
        let mine = self.swim.members.digest().total();
        if theirs == mine {
            self.swim.anti_entropy.digest.end_joining();
            self.swim.anti_entropy.digest.differs_since = None;
            return;
        }
        let spreading = 3 * self.spreading_time();
        let period = self.swim.config.protocol_period;
        let repair = &mut self.swim.anti_entropy.digest;
        let is_awaited = repair.awaits_news(spreading, period, self.now.monotonic);
        let explained = is_awaited && !self.swim.rumors.is_empty();
        if !explained && self.now.monotonic >= self.swim.anti_entropy.digest.resting_until {
            self.begin_repair(mine, theirs);
            self.swim.stats.repairs += 1;
            let sums = self.swim.members.digest().sums(self.bucket_count());
            let size = self.send_extension(Extension::Compare(sums), peer);
            // The same comparison as the last one: perhaps that has not arrived.
            if size > SIZE_MIN && self.swim.anti_entropy.digest.fruitless > 0 {
                self.suspect_path(peer);
            }
        }
    }

    /// Sets the time before which no other comparison is begun.
    fn begin_repair(&mut self, mine: u64, theirs: u64) {
        self.rest();
        if core::mem::replace(&mut self.swim.anti_entropy.digest.compared, (mine, theirs))
            != (mine, theirs)
        {
            self.swim.anti_entropy.digest.fruitless = 0;
            return;
        }
        // There is something that one of us will never believe: the pause grows up to that between
        // two syncs with a peer on membership 2.x.
        let pause = self.swim.config.protocol_period
            * 2_u32.saturating_pow(self.swim.anti_entropy.digest.fruitless);
        let jitter = self.swim.rng.random_range(1.0..1.5);
        let pause = pause
            .min(self.swim.config.anti_entropy_period)
            .mul_f64(jitter);
        self.swim.anti_entropy.digest.fruitless =
            (self.swim.anti_entropy.digest.fruitless + 1).min(16);
        self.swim.anti_entropy.digest.resting_until = self.now.monotonic + pause;
    }

    fn rest(&mut self) {
        self.swim.anti_entropy.digest.resting_until =
            self.now.monotonic + self.swim.config.ack_timeout.max(PATIENCE_MIN);
    }

    /// About a bucket for every two members: fine enough to find them, and not more to send than
    /// they are.
    fn bucket_count(&self) -> usize {
        (self.swim.members.len() / 2)
            .next_power_of_two()
            .clamp(8, BUCKETS_MAX)
    }

    /// `peer` wants to know where our tables differ: shows it what is in those buckets here.
    pub(super) fn show_differing(&mut self, peer: &Uri, sums: &[u32]) {
        if self.is_blocked(peer) {
            return;
        }
        let mine = self.swim.members.digest().sums(sums.len());
        let Some(buckets) = Buckets::differing(&mine, sums) else {
            return;
        };
        // Its records come next, and a comparison begun here meanwhile would be the same again; but a
        // stranger may only be looking.
        if self.swim.members.get(peer).is_some() {
            self.rest();
        }
        let trailer = Trailer {
            note: Some(Extension::Differ {
                buckets: buckets.clone(),
                last: false,
            }),
            ..self.trailer()
        };
        let mut drafts = self.pack_buckets(peer, &buckets, &trailer, |_any| true);
        let end = drafts.pop();
        let mut largest = 0;
        for (draft, _trailer) in drafts {
            largest = largest.max(self.send(MessageType::SyncAck, draft, peer));
        }
        // Only then does the peer show what it knows better: once, not for each datagram.
        if let Some((end, trailer)) = end {
            let last = Trailer {
                note: Some(Extension::Differ {
                    buckets,
                    last: true,
                }),
                ..trailer
            };
            let size = self.send(MessageType::SyncAck, end.trailed_by(&last), peer);
            largest = largest.max(size);
        }
        self.note_repair_of_size(peer, sums, largest);
    }

    /// `peer` has shown some of what differs; when it is done, shows it what the local node knows better.
    pub(super) fn apply_differing(
        &mut self,
        peer: &Uri,
        buckets: &Buckets,
        last: bool,
        records: &[Event<'_>],
        rx: &mut Reaction,
    ) {
        self.apply_records(peer, records, rx);
        if !last {
            return self.rest();
        }
        if self.cause.is_limited() {
            return;
        }
        self.swim.stats.repairs_answered += 1;
        let mut known: KeyedMap<&str, &Event<'_>> =
            KeyedMap::with_hasher(self.swim.members.hash_key().clone());
        for record in records {
            known.insert(record.uri.as_str(), record);
        }
        let better = |member: &Member| {
            let Some(theirs) = known.get(&*member.uri) else {
                return true;
            };
            if member.claim != theirs.claim {
                return member.claim > theirs.claim;
            }
            match (member.current_payload(), theirs.payload) {
                (Some(mine), Some(theirs)) => !mine.means(theirs),
                (Some(_), None) => true,
                (None, _) => false,
            }
        };
        let trailer = self.trailer();
        for (draft, _trailer) in self.pack_buckets(peer, buckets, &trailer, better) {
            if !draft.is_empty() {
                self.send(MessageType::SyncAck, draft, peer);
            }
        }
        // What differed is exchanged, so the next comparison can begin; unless this one was the same as
        // the last.
        if self.swim.anti_entropy.digest.fruitless == 0 {
            self.swim.anti_entropy.digest.resting_until = self.now.monotonic;
        }
    }

    /// As much of the table as goes into so many datagrams, from a random place on, behind those that
    /// come `first`.
    fn pack_table(
        &mut self,
        kind: MessageType,
        to: &Uri,
        datagrams_max: usize,
        first: &[Member],
        wanted: impl Fn(&Member) -> bool,
    ) -> Vec<MessageBuilder> {
        let Some(myself) = self.swim.me.uri.clone() else {
            return Vec::new();
        };
        let trailer = self.trailer();
        let start = self
            .swim
            .rng
            .random_range(0..self.swim.members.len().max(1));
        let (limit, most) = self.capacities_of_path(to);
        let blank = || {
            let draft = MessageBuilder::sync(kind, &myself, limit).stretched_to(most);
            draft.trailed_by(&trailer)
        };
        let members = self
            .swim
            .members
            .from(start)
            .filter(|member| wanted(member));
        pack(blank, datagrams_max, first.iter().chain(members))
    }

    /// The members in these buckets, then the tombstones in datagrams of their own; and the trailer of
    /// each. At least one datagram, though it be empty.
    fn pack_buckets(
        &mut self,
        to: &Uri,
        buckets: &Buckets,
        trailer: &Trailer,
        wanted: impl Fn(&Member) -> bool,
    ) -> Vec<(MessageBuilder, Trailer)> {
        let Some(myself) = self.swim.me.uri.clone() else {
            return Vec::new();
        };
        let count = buckets.count();
        let (limit, most) = self.capacities_of_path(to);
        // From another one each time, should there be more than may be sent at once.
        let start = self.swim.rng.random_range(0..count);
        let mut indices: Vec<usize> = buckets.iter().collect();
        let before = indices.partition_point(|index| *index < start);
        indices.rotate_left(before);
        let datagrams_max = if self.swim.members.len() < LARGE_TABLE {
            REPAIR_DATAGRAMS_MAX
        } else {
            REPAIR_DATAGRAMS_OF_LARGE_TABLE_MAX
        };
        let of_forgotten = Trailer {
            forgotten: true,
            ..trailer.clone()
        };
        let table = &self.swim.members;
        let blank = |trailer| {
            let draft = MessageBuilder::sync(MessageType::SyncAck, &myself, limit);
            draft.stretched_to(most).trailed_by(trailer)
        };
        // Lazily: a peer may ask for all buckets, and only what fits is looked at.
        let members = indices
            .iter()
            .flat_map(|index| table.in_bucket(*index, count));
        let members = members.filter(|member| wanted(member));
        let mut drafts = Vec::new();
        for draft in pack(|| blank(trailer), datagrams_max, members) {
            drafts.push((draft, trailer.clone()));
        }
        let tombstones = indices
            .iter()
            .flat_map(|index| table.tombstones_in_bucket(*index, count));
        let tombstones = tombstones.filter(|tombstone| wanted(tombstone));
        let left = datagrams_max.saturating_sub(drafts.len()).max(1);
        for draft in pack(|| blank(&of_forgotten), left, tombstones) {
            if !draft.is_empty() {
                drafts.push((draft, of_forgotten.clone()));
            }
        }
        drafts
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Swim;
    use crate::config::Config;
    use crate::table::claim::Incarnation;
    use crate::table::reason::Reason;
    use crate::time::{Micros, Now};
    use crate::wire::{Body, decode};

    const NOW: Now = Now {
        monotonic: Micros(1_000_000_000),
        wall: Micros(1_795_372_926_000_000),
    };

    fn uri(host: &str) -> Uri {
        Uri::new(host, 1).expect("a URI")
    }

    /// `asker` compares its table with that of the local node, then a member shows another digest. Returns
    /// whether the member is asked where the tables differ.
    fn asks_a_member_after(asker: &str) -> bool {
        let mut swim = Swim::new(Config::default(), 1);
        swim.init(uri("own"), NOW);
        swim.add_member(uri("member"), NOW);
        let mut turn = Turn::new(&mut swim, NOW);
        turn.show_differing(&uri(asker), &[1; 8]);
        turn.swim.output.datagrams.clear();
        turn.compare_digest(&uri("member"), Some(1));
        !turn.swim.output.datagrams.is_empty()
    }

    #[test]
    fn a_stranger_that_compares_tables_keeps_no_member_from_being_compared_with() {
        assert!(asks_a_member_after("stranger"));
        assert!(!asks_a_member_after("member"), "its records come next");
    }

    #[test]
    fn of_a_large_table_only_a_few_datagrams_are_made_up_at_once() {
        let shown = |members: usize| {
            let mut swim = swim_among(members);
            Turn::new(&mut swim, NOW).show_differing(&uri("member"), &[1; BUCKETS_MAX]);
            swim.output.datagrams.len()
        };
        let few = REPAIR_DATAGRAMS_OF_LARGE_TABLE_MAX;
        assert_eq!(shown(LARGE_TABLE), few);
        assert!(shown(LARGE_TABLE - 1) > few, "it is not large");
    }

    #[test]
    fn all_of_a_large_table_is_shown_though_only_a_part_at_a_time() {
        let mut swim = swim_among(LARGE_TABLE);
        let mut seen = BTreeSet::new();
        for _ in 0..50 {
            Turn::new(&mut swim, NOW).show_differing(&uri("member"), &[1; BUCKETS_MAX]);
            for sent in swim.output.datagrams.drain(..) {
                let message = decode(&sent.datagram).expect("its own");
                if let Body::SyncAck(records) = message.body {
                    seen.extend(records.iter().map(|record| record.uri.to_uri()));
                }
            }
        }
        assert_eq!(seen.len(), LARGE_TABLE);
    }

    /// One of `count` members, "member" among them, that has nothing to send.
    fn swim_among(count: usize) -> Swim {
        let mut swim = Swim::new(Config::default(), 1);
        swim.init(uri("own"), NOW);
        swim.add_member(uri("member"), NOW);
        for port in (1..).take(count - 2) {
            let other = Uri::new("other", port).expect("a URI");
            let claim = Claim::alive(Incarnation::FIRST);
            Turn::new(&mut swim, NOW).apply(&Event::local(&other, claim), &Reason::Added);
        }
        swim.output.datagrams.clear();
        swim
    }
}
