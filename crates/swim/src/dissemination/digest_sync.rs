//! Anti-entropy among our own: every PING and ACK shows a digest of the table, and where two differ,
//! only the buckets that differ are exchanged.

use core::time::Duration;

use indexmap::IndexMap;
use rand::RngExt;

use crate::Swim;
use crate::dissemination::legacy_sync::pack;
use crate::identity::uri::Uri;
use crate::table::digest::BUCKETS_MAX;
use crate::table::member::{Dialect, Member};
use crate::table::payload::Payload;
use crate::time::{Micros, Now};
use crate::wire::{Buckets, Event, Extension, MessageBuilder, MessageType, Trailer};

/// Whether to compare tables, and with what success it was done.
#[derive(Debug, Default)]
pub struct Repair {
    /// Whether my table was ever equal to somebody's. Until then I have just come, and know nothing.
    agreed: bool,
    /// Since when it has been different from everybody's whom I have heard.
    differs_since: Option<Micros>,
    /// One is under way, or has just been in fruitless: none is begun before.
    resting_until: Micros,
    /// The two digests that were compared last, mine first.
    compared: (u64, u64),
    /// How many times in a row the same two were, in fruitless.
    fruitless: u32,
}

/// How many datagrams of records follow one comparison at most: 24 KB, which the receive buffer of a
/// busy peer still takes. If more is to be said, another comparison follows, as soon as these have come.
const REPAIR_DATAGRAMS_MAX: usize = 16;

/// How many if the table is large: each of them takes some 10 µs to fill then.
const REPAIR_DATAGRAMS_OF_LARGE_TABLE_MAX: usize = 4;

/// How many members a large table has.
const LARGE_TABLE: usize = 1024;

/// For how long at least a comparison is given to end.
const PATIENCE_MIN: Duration = Duration::from_millis(100);

impl Repair {
    /// Whether I have just come, and learn who is there.
    pub const fn is_joining(&self) -> bool {
        !self.agreed
    }

    /// Somebody had nothing to tell me that I did not know.
    pub const fn end_joining(&mut self) {
        self.agreed = true;
    }
}

impl Swim {
    /// What goes behind every message: that I am one of ours, and the digest of my table; of which
    /// group I am, and what else I understand.
    pub(crate) fn trailer(&self) -> Trailer {
        Trailer {
            digest: Some(self.members.digest().total()),
            offers: self.offered_key(),
            label: self.shown_label(),
            ..Trailer::default()
        }
    }

    /// Whether the table of `peer`, when it was last heard of, was the same as mine is now.
    pub(crate) fn agrees(&self, peer: &str) -> bool {
        let digest = Some(self.members.digest().total());
        let member = self.members.get(peer);
        member.is_some_and(|member| member.dialect == Dialect::Ours { digest })
    }

    /// Compares digests with `peer`; if they differ, and it is not only that news is on its way, asks
    /// where.
    pub(crate) fn compare_digest(&mut self, peer: &Uri, theirs: Option<u64>, now: Now) {
        let Some(theirs) = theirs else { return };
        let mine = self.members.digest().total();
        if theirs == mine {
            self.repair.end_joining();
            self.repair.differs_since = None;
            return;
        }
        let since = *self.repair.differs_since.get_or_insert(now.monotonic);
        let explained = self.repair.agreed
            && !self.rumors.is_empty()
            && now.monotonic.since(since) < 3 * self.spreading_time();
        if !explained && now.monotonic >= self.repair.resting_until {
            self.begin_repair(mine, theirs, now);
            self.stats.repairs += 1;
            let sums = self.members.digest().sums(self.bucket_count());
            self.send_extension(Extension::Compare(sums), peer);
        }
    }

    /// Sets the time before which no other comparison is begun.
    fn begin_repair(&mut self, mine: u64, theirs: u64, now: Now) {
        self.rest(now);
        if core::mem::replace(&mut self.repair.compared, (mine, theirs)) != (mine, theirs) {
            self.repair.fruitless = 0;
            return;
        }
        // There is something that one of us will never believe: the pause grows up to that between
        // two syncs with a peer of the Lua rock.
        let pause = self.config.protocol_period * 2_u32.saturating_pow(self.repair.fruitless);
        let jitter = self.rng.random_range(1.0..1.5);
        let pause = pause.min(self.config.anti_entropy_period).mul_f64(jitter);
        self.repair.fruitless = (self.repair.fruitless + 1).min(16);
        self.repair.resting_until = now.monotonic + pause;
    }

    /// About a bucket for every two members: fine enough to find them, and not more to send than
    /// they are.
    fn bucket_count(&self) -> usize {
        (self.members.len() / 2)
            .next_power_of_two()
            .clamp(8, BUCKETS_MAX)
    }

    fn rest(&mut self, now: Now) {
        self.repair.resting_until = now.monotonic + self.config.ack_timeout.max(PATIENCE_MIN);
    }

    /// Sends something that only one of ours understands.
    pub(crate) fn send_extension(&mut self, note: Extension, to: &Uri) {
        let Some(myself) = self.myself.clone() else {
            return;
        };
        let trailer = Trailer {
            note: Some(note),
            ..self.trailer()
        };
        let draft = MessageBuilder::leave(&myself, self.datagram_capacity()).trailed_by(&trailer);
        self.send(MessageType::Leave, draft, to);
    }

    /// `peer` wants to know where our tables differ: shows it what is in those buckets here.
    pub(crate) fn show_differing(&mut self, peer: &Uri, sums: &[u32], now: Now) {
        if self.is_blocked(peer) {
            return;
        }
        let mine = self.members.digest().sums(sums.len());
        let Some(buckets) = Buckets::differing(&mine, sums) else {
            return;
        };
        // Its records come next, and a comparison of my own meanwhile would be the same again; but a
        // stranger may only be looking.
        if self.members.get(peer).is_some() {
            self.rest(now);
        }
        let note = |last| {
            let buckets = buckets.clone();
            let note = Some(Extension::Differ { buckets, last });
            Trailer {
                note,
                ..self.trailer()
            }
        };
        let (more, last) = (note(false), note(true));
        let mut drafts = self.pack_buckets(&buckets, &more, |_any| true);
        let end = drafts.pop().map(|draft| draft.trailed_by(&last));
        drafts.extend(end);
        drafts
            .into_iter()
            .for_each(|draft| self.send(MessageType::SyncAck, draft, peer));
    }

    /// `peer` has shown some of what differs; when it is done, shows it what I know better.
    pub(crate) fn apply_differing(
        &mut self,
        peer: &Uri,
        buckets: &Buckets,
        last: bool,
        records: &[Event<'_>],
        now: Now,
    ) {
        self.apply_records(peer, records, now);
        if !last {
            return self.rest(now);
        }
        if self.is_blocked(peer) {
            return;
        }
        self.stats.repairs_answered += 1;
        let known: IndexMap<&str, &Event<'_>> =
            records.iter().map(|record| (record.uri, record)).collect();
        let better = |member: &Member| {
            let Some(theirs) = known.get(&*member.uri) else {
                return true;
            };
            let same = |mine: &Payload| theirs.payload.is_some_and(|theirs| mine.means(theirs));
            member.claim > theirs.claim
                || member.claim == theirs.claim
                    && member.current_payload().is_some_and(|mine| !same(mine))
        };
        let trailer = self.trailer();
        for draft in self.pack_buckets(buckets, &trailer, better) {
            if !draft.is_empty() {
                self.send(MessageType::SyncAck, draft, peer);
            }
        }
        if self.repair.fruitless == 0 {
            self.repair.resting_until = now.monotonic;
        }
    }

    fn pack_buckets(
        &mut self,
        buckets: &Buckets,
        trailer: &Trailer,
        wanted: impl Fn(&Member) -> bool,
    ) -> Vec<MessageBuilder> {
        let Some(myself) = self.myself.clone() else {
            return Vec::new();
        };
        let (count, limit) = (buckets.count(), self.datagram_capacity());
        // From another one each time, should there be more than may be sent at once.
        let start = self.rng.random_range(0..count);
        let (before, after): (Vec<_>, Vec<_>) = buckets.iter().partition(|index| *index < start);
        let indices = after.into_iter().chain(before);
        let members = indices
            .clone()
            .flat_map(|index| self.members.in_bucket(index, count));
        let tombstones = indices.flat_map(|index| self.members.graves_in_bucket(index, count));
        let members = members.chain(tombstones).filter(|member| wanted(member));
        let blank =
            || MessageBuilder::sync(MessageType::SyncAck, &myself, limit).trailed_by(trailer);
        let datagrams_max = if self.members.len() < LARGE_TABLE {
            REPAIR_DATAGRAMS_MAX
        } else {
            REPAIR_DATAGRAMS_OF_LARGE_TABLE_MAX
        };
        pack(blank, datagrams_max, members)
    }
}
