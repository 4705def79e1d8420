//! IndirectPings: pings and answers passed on for others (§3.1).

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::Swim;
use crate::dissemination::gossip::Telling;
use crate::identity::uri::Uri;
use crate::table::member::Member;
use crate::wire::{Extension, MessageType, PingData};

/// The pings passed on of late. An answer is passed on only if it belongs to one of them, so that
/// nobody can have datagrams sent wherever he likes.
#[derive(Debug, Default)]
pub struct IndirectPings {
    /// With who sent us.
    recent: BTreeMap<IndirectPing, Uri>,
    older: BTreeMap<IndirectPing, Uri>,
    by_sender: IndexMap<Uri, usize>,
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

/// How many indirect_pings a period are run for one sender. A prober that gets no answer asks k = 3 others up to
/// 20 times a period, and the same one each time only if there is nobody else.
const ERRANDS_PER_SENDER_MAX: usize = 32;

/// How many are run at all: a group of 10,000 that loses every other datagram asks each member for
/// about 15.
const ERRANDS_MAX: usize = 1024;

impl IndirectPings {
    /// A period has passed: forgets what is two periods old.
    pub fn age(&mut self) {
        self.older = core::mem::take(&mut self.recent);
        self.by_sender.clear();
        self.accepted = 0;
    }

    fn accept(&mut self, sender: &Uri, errand: IndirectPing) -> bool {
        if self.accepted == ERRANDS_MAX {
            return false;
        }
        let count = self.by_sender.entry(sender.clone()).or_default();
        *count += 1;
        if *count > ERRANDS_PER_SENDER_MAX {
            return false;
        }
        self.accepted += 1;
        self.recent.insert(errand, sender.clone());
        true
    }

    /// Takes out the indirect_pings to `dst`: when they were asked for, and by whom.
    fn end(&mut self, dst: &str) -> Vec<(u64, Uri)> {
        let first = IndirectPing {
            dst: dst.to_owned(),
            src: String::new(),
            ts: None,
            cookie: None,
        };
        let mut ended = Vec::new();
        while let Some((errand, _)) = self.recent.range(&first..).next()
            && errand.dst == dst
        {
            let errand = errand.clone();
            let sender = self.recent.remove(&errand);
            ended.extend(errand.ts.zip(sender));
        }
        ended
    }

    /// Whether there are no more than there may be; for audits.
    pub fn is_bounded(&self) -> bool {
        let sizes = [self.recent.len(), self.older.len(), self.by_sender.len()];
        sizes.into_iter().all(|size| size <= ERRANDS_MAX)
    }

    fn knows(&self, errand: &IndirectPing) -> bool {
        self.recent.contains_key(errand) || self.older.contains_key(errand)
    }
}

fn errand(echo: &PingData<'_>) -> Option<IndirectPing> {
    Some(IndirectPing {
        dst: echo.dst?.to_owned(),
        src: echo.src?.to_owned(),
        ts: echo.ts,
        cookie: echo.cookie,
    })
}

impl Swim {
    /// Passes a ping on to the one it asks for.
    pub(crate) fn relay_ping(&mut self, sender: &Uri, echo: &PingData<'_>) {
        // A ping of mine that has come back: a former URI of mine, or an address that is not mine.
        if Some(sender) == self.myself.as_ref() {
            return;
        }
        let Some(dst) = echo.dst.and_then(Uri::from_wire) else {
            return;
        };
        if errand(echo).is_some_and(|errand| self.indirect_pings.accept(sender, errand)) {
            self.stats.relayed += 1;
            self.send_with_gossip(MessageType::Ping, echo.raw, &dst, Telling::News);
        } else {
            self.stats.relays_refused += 1;
        }
    }

    /// The port of `dst` is closed: says so to those of ours who have sent me there.
    pub(crate) fn nack(&mut self, dst: &Uri) {
        for (ts, asker) in self.indirect_pings.end(dst) {
            let asker_is_ours = self.members.get(&asker).is_some_and(Member::is_ours);
            if asker_is_ours {
                let dst = dst.clone();
                self.send_extension(Extension::Nack { ts, dst }, &asker);
            }
        }
    }

    /// Passes an answer back to the one who asked.
    pub(crate) fn relay_answer(&mut self, echo: &PingData<'_>) {
        let Some(src) = echo.src.and_then(Uri::from_wire) else {
            return;
        };
        if errand(echo).is_some_and(|errand| self.indirect_pings.knows(&errand)) {
            // Its address was validated when it asked.
            self.because_of_others(|swim| {
                swim.send_with_gossip(MessageType::Ack, echo.raw, &src, Telling::News)
            });
        } else {
            self.stats.acks_unsolicited += 1;
        }
    }
}
