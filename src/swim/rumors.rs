//! What to spread, how often, and in which order (§4.1).

use core::cmp::Reverse;
use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use indexmap::map::Entry;

use super::claim::Claim;
use super::payload::Payload;
use super::uri::Uri;
use super::wire::Draft;

/// News that others have yet to hear, one rumor a member, the least-sent first, the newest first
/// among equals.
#[derive(Debug, Default)]
pub struct Rumors {
    rumors: IndexMap<Uri, Rumor, RandomState>,
    queue: BTreeMap<Rank, Uri>,
    started: u64,
    /// How often rumors were sent.
    sent: u64,
    /// Rumors that were sent often enough.
    dropped: u64,
}

#[derive(Debug)]
struct Rumor {
    claim: Claim,
    payload: Option<Payload>,
    rank: Rank,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    sent: u32,
    newest: Reverse<u64>,
}

/// How many rumors in a row may be too big for what is left of a datagram before the search for a
/// smaller one ends: it bounds the work per datagram.
const MISFITS_MAX: usize = 8;

/// No event is smaller: five one-byte values, a head, and a URI of three characters.
const EVENT_SIZE_MIN: usize = 9;

impl Rumors {
    /// Starts to spread what is claimed of `uri`, in place of what was spread of it before.
    pub fn start(&mut self, uri: &Uri, claim: Claim, payload: Option<Payload>) {
        self.started += 1;
        let rank = Rank {
            sent: 0,
            newest: Reverse(self.started),
        };
        let rumor = Rumor {
            claim,
            payload,
            rank,
        };
        match self.rumors.entry(uri.clone()) {
            Entry::Occupied(mut known) => {
                let before = known.insert(rumor);
                self.queue.remove(&before.rank);
            }
            Entry::Vacant(unknown) => {
                unknown.insert(rumor);
            }
        }
        self.queue.insert(rank, uri.clone());
    }

    /// No longer spreads anything about `uri`.
    pub fn stop(&mut self, uri: &str) {
        if let Some(rumor) = self.rumors.swap_remove(uri) {
            self.queue.remove(&rumor.rank);
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.rumors.clear();
        self.queue.clear();
    }

    /// How many are being spread.
    pub fn len(&self) -> usize {
        self.rumors.len()
    }

    /// How often rumors were sent, and how many were sent often enough.
    pub const fn tally(&self) -> (u64, u64) {
        (self.sent, self.dropped)
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.rumors.is_empty()
    }

    /// Whether every rumor waits where its rank says; for audits.
    pub fn is_consistent(&self) -> bool {
        let waits = |(uri, rumor): (&Uri, &Rumor)| self.queue.get(&rumor.rank) == Some(uri);
        self.queue.len() == self.rumors.len() && self.rumors.iter().all(waits)
    }

    /// How often the rumor about `uri` has been sent, if there is one.
    pub fn sent(&self, uri: &str) -> Option<u32> {
        self.rumors.get(uri).map(|rumor| rumor.rank.sent)
    }

    /// Puts rumors into `draft` while they fit, except those about `told`: the draft says so already.
    /// A rumor that has been sent `limit` times is dropped. Returns how many have boarded.
    pub fn board(&mut self, draft: &mut Draft, limit: u32, told: &[&str]) -> usize {
        let mut boarded = Vec::new();
        let mut misfits = 0;
        for (rank, uri) in &self.queue {
            if draft.room() < EVENT_SIZE_MIN || misfits == MISFITS_MAX {
                break;
            }
            if told.contains(&&**uri) {
                continue;
            }
            let rumor = &self.rumors[uri];
            let ttl = limit.saturating_sub(rank.sent + 1);
            if draft.event(uri, rumor.claim, rumor.payload.as_ref(), ttl) {
                boarded.push(*rank);
            } else {
                misfits += 1;
            }
        }
        boarded.iter().for_each(|rank| self.advance(*rank, limit));
        boarded.len()
    }

    /// Counts that the rumor about `uri`, if there is one, has been sent once more.
    pub fn count(&mut self, uri: &str, limit: u32) {
        if let Some(rank) = self.rumors.get(uri).map(|rumor| rumor.rank) {
            self.advance(rank, limit);
        }
    }

    /// Counts that the rumor that waits at `rank` has been sent once more.
    fn advance(&mut self, rank: Rank, limit: u32) {
        let Some(uri) = self.queue.remove(&rank) else {
            return;
        };
        let Some((index, _uri, rumor)) = self.rumors.get_full_mut(&*uri) else {
            return;
        };
        rumor.rank.sent += 1;
        self.sent += 1;
        if rumor.rank.sent >= limit {
            self.dropped += 1;
            self.rumors.swap_remove_index(index);
        } else {
            self.queue.insert(rumor.rank, uri);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swim::claim::Incarnation;
    use crate::swim::wire::decode;

    const CLAIM: Claim = Claim::alive(Incarnation::FIRST);

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).unwrap()
    }

    fn boarded(rumors: &mut Rumors, limit: u32, size: usize) -> Vec<(u16, f64)> {
        let mut draft = Draft::leave(&uri(9), size);
        let count = rumors.board(&mut draft, limit, &[]);
        let datagram = draft.finish().unwrap();
        let events = decode(&datagram).unwrap().events;
        assert_eq!(events.len(), count);
        events
            .iter()
            .map(|event| (Uri::from_wire(event.uri).unwrap().port(), event.ttl))
            .collect()
    }

    #[test]
    fn the_least_sent_go_first_and_the_newest_among_equals() {
        let mut rumors = Rumors::default();
        rumors.start(&uri(1), CLAIM, None);
        rumors.start(&uri(2), CLAIM, None);
        assert_eq!(boarded(&mut rumors, 3, 100), [(2, 2.0), (1, 2.0)]);
        rumors.start(&uri(3), CLAIM, None);
        assert_eq!(boarded(&mut rumors, 3, 100), [(3, 2.0), (2, 1.0), (1, 1.0)]);
        assert_eq!(boarded(&mut rumors, 3, 100), [(3, 1.0), (2, 0.0), (1, 0.0)]);
        assert_eq!(
            boarded(&mut rumors, 3, 100),
            [(3, 0.0)],
            "each is sent three times, then dropped"
        );
        assert!(rumors.is_empty() && rumors.queue.is_empty());
    }

    #[test]
    fn a_rumor_that_does_not_fit_waits_and_does_not_stop_smaller_ones() {
        let mut rumors = Rumors::default();
        rumors.start(&uri(1), CLAIM, None);
        let big = [&b"\x91\xc5\x00\xc8"[..], &[b'x'; 200]].concat();
        rumors.start(&uri(2), CLAIM, Some(Payload::new(&big).unwrap()));
        assert_eq!(boarded(&mut rumors, 2, 60), [(1, 1.0)]);
        assert_eq!(rumors.sent("a:2"), Some(0));
        assert_eq!(boarded(&mut rumors, 2, 1000), [(2, 1.0), (1, 0.0)]);
    }

    #[test]
    fn fresh_news_about_a_member_replaces_the_old() {
        let mut rumors = Rumors::default();
        rumors.start(&uri(1), CLAIM, None);
        boarded(&mut rumors, 5, 100);
        rumors.start(&uri(1), CLAIM, None);
        assert_eq!((rumors.len(), rumors.sent("a:1")), (1, Some(0)));
        rumors.stop("a:1");
        assert!(rumors.is_empty() && rumors.queue.is_empty());
    }
}
