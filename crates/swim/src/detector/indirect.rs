//! Pings and answers that this member forwards for others (§3.1, ping-req).

use std::collections::BTreeMap;

use crate::hashing::{HashKey, KeyedMap};
use crate::identity::uri::Uri;
use crate::wire::PingData;

/// The pings forwarded lately. An answer is forwarded only if it belongs to one of them, so that no
/// sender can direct datagrams to an address of its choice.
#[derive(Debug)]
pub struct IndirectPings {
    /// With the member that asked.
    recent: BTreeMap<IndirectPing, Uri>,
    older: BTreeMap<IndirectPing, Uri>,
    by_sender: KeyedMap<Uri, usize>,
    /// How many were accepted in this period.
    accepted: usize,
}

/// `src` asks for `dst` since `ts`, with this cookie.
// Those to one `dst` come one behind the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct IndirectPing {
    dst: String,
    src: String,
    ts: Option<u64>,
    cookie: Option<u64>,
}

/// How many a period are forwarded for one sender. A prober that gets no answer asks k = 3 others up to
/// 20 times a period, and the same one each time only if there is no other.
const PER_SENDER_MAX: usize = 32;

/// How many are forwarded at all: a group of 10,000 that loses every other datagram asks each member for
/// about 15.
const PINGS_MAX: usize = 1024;

impl IndirectPings {
    /// None was forwarded.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            recent: BTreeMap::new(),
            older: BTreeMap::new(),
            by_sender: KeyedMap::with_hasher(hash_key.clone()),
            accepted: 0,
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.age();
        self.older.clear();
    }

    /// A period has passed: forgets what is two periods old.
    pub fn age(&mut self) {
        self.older = core::mem::take(&mut self.recent);
        self.by_sender.clear();
        self.accepted = 0;
    }

    /// Whether a ping of `sender` is to be forwarded. It is remembered then.
    pub fn admit(&mut self, sender: &Uri, ping: &PingData<'_>) -> bool {
        let Some(ping) = IndirectPing::of(ping) else {
            return false;
        };
        if self.accepted == PINGS_MAX {
            return false;
        }
        // By the URI that the sender gives itself: one that changes it meets the limit for all.
        let count = self.by_sender.entry(sender.clone()).or_default();
        *count += 1;
        if *count > PER_SENDER_MAX {
            return false;
        }
        self.accepted += 1;
        self.recent.insert(ping, sender.clone());
        true
    }

    /// Takes out the pings to `dst`: their `ts`, and which members asked for them.
    pub fn take(&mut self, dst: &str) -> Vec<(u64, Uri)> {
        let first = IndirectPing {
            dst: dst.to_owned(),
            src: String::new(),
            ts: None,
            cookie: None,
        };
        let mut ended = Vec::new();
        while let Some((ping, _)) = self.recent.range(&first..).next()
            && ping.dst == dst
        {
            let ping = ping.clone();
            if let (Some(ts), Some(sender)) = (ping.ts, self.recent.remove(&ping)) {
                ended.push((ts, sender));
            }
        }
        ended
    }

    /// Whether there are no more than there may be; for audits.
    pub fn is_bounded(&self) -> bool {
        self.recent.len() <= PINGS_MAX
            && self.older.len() <= PINGS_MAX
            && self.by_sender.len() <= PINGS_MAX
    }

    /// Whether an answer belongs to a ping that was forwarded lately.
    pub fn expects(&self, answer: &PingData<'_>) -> bool {
        let Some(ping) = IndirectPing::of(answer) else {
            return false;
        };
        self.recent.contains_key(&ping) || self.older.contains_key(&ping)
    }
}

impl IndirectPing {
    fn of(ping: &PingData<'_>) -> Option<Self> {
        Some(Self {
            dst: ping.dst?.to_owned(),
            src: ping.src?.to_owned(),
            ts: ping.ts,
            cookie: ping.cookie,
        })
    }
}
