//! Anti-entropy among native members: every PING and ACK shows a digest of the table, and where two
//! differ, only the buckets that differ are exchanged.

use core::time::Duration;

use crate::time::Micros;

/// Whether to compare tables, and with what success it was done.
#[derive(Debug, Default)]
pub struct Repair {
    /// Whether the local table was ever equal to that of a peer. Until then the local node is joining.
    pub(crate) agreed: bool,
    /// The digest of the local table when it was last equal to that of a peer.
    pub(crate) agreed_on: Option<u64>,
    /// How often peers have shown that one since.
    pub(crate) agreements: u32,
    /// Since when it has differed from that of each peer that was heard.
    pub(crate) differs_since: Option<Micros>,
    /// When the last pause of the local node ended.
    pub(crate) paused_until: Option<Micros>,
    /// One is under way, or was just fruitless: none is begun before.
    pub(crate) resting_until: Micros,
    /// The two digests that were compared last, the local one first.
    pub(crate) compared: (u64, u64),
    /// How many times in a row the same two were compared, to no effect.
    pub(crate) fruitless: u32,
}

/// How many datagrams of records follow one comparison at most: 24 KB, which the receive buffer of a
/// busy peer still takes. If more is to be said, another comparison follows, as soon as these have come.
pub const REPAIR_DATAGRAMS_MAX: usize = 16;

/// How many if the table is large: each of them takes some 10 µs to fill then.
pub const REPAIR_DATAGRAMS_OF_LARGE_TABLE_MAX: usize = 4;

/// How many members a large table has.
pub const LARGE_TABLE: usize = 1024;

/// How many peers in a row show a digest that most members have.
const AGREEMENTS_OF_MOST: u32 = 3;

/// For how long at least a comparison is given to end.
pub const PATIENCE_MIN: Duration = Duration::from_millis(100);

impl Repair {
    /// Whether the local node is joining, and learns the members.
    pub const fn is_joining(&self) -> bool {
        !self.agreed
    }

    /// The table of a peer is like the local one, with this digest. Returns whether most members have it, by what is
    /// known: several peers in a row have shown it.
    pub fn note_agreement(&mut self, digest: u64) -> bool {
        if self.agreed_on != Some(digest) {
            (self.agreed_on, self.agreements) = (Some(digest), 0);
        }
        self.agreements = self.agreements.saturating_add(1);
        self.agreements >= AGREEMENTS_OF_MOST
    }

    /// The local table differs from that of a peer. Whether that may be because of news on its way, which takes up to
    /// `spreading`. After a pause, for `period`, it is not: what was told meanwhile is not told again.
    pub fn awaits_news(&mut self, spreading: Duration, period: Duration, now: Micros) -> bool {
        let since = *self.differs_since.get_or_insert(now);
        let was_paused = match self.paused_until {
            Some(end) => now.since(end) < period,
            None => false,
        };
        self.agreed && !was_paused && now.since(since) < spreading
    }

    /// A peer had nothing to tell that was not known.
    pub const fn end_joining(&mut self) {
        self.agreed = true;
    }
}
