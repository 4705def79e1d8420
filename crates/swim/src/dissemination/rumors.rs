//! What to spread, how often, and in which order (§4.1).

use crate::dissemination::gossip::Pace;
use crate::hashing::{HashKey, KeyedMap};
use crate::identity::uri::Uri;
use crate::table::chains::Chains;
use crate::table::claim::Claim;
use crate::table::index::{MemberIndex, member_index};
use crate::table::payload::Payload;
use crate::wire::{MessageBuilder, Statement};

/// News that others have yet to hear, one rumor a member: the least-sent first. Among equals the one
/// that has waited longest goes first; but of those that were never sent, the newest.
#[derive(Debug)]
pub struct Rumors {
    rumors: KeyedMap<Uri, Rumor>,
    /// By how often they were sent, those that wait, by their places in `rumors`.
    waiting: Chains<()>,
    /// When they are pushed.
    pub(crate) pace: Pace,
    /// How often rumors were sent.
    sent: u64,
    /// Rumors that were sent often enough.
    dropped: u64,
}

#[derive(Debug)]
struct Rumor {
    claim: Claim,
    payload: Option<Payload>,
    reads_short: bool,
    sent: u32,
}

/// How many rumors in a row may be too big for what is left of a datagram before the search for a
/// smaller one ends: it bounds the work per datagram.
const MISFITS_MAX: usize = 8;

/// No event is smaller: five one-byte values, a head, and a URI of three characters.
const EVENT_SIZE_MIN: usize = 9;

impl Rumors {
    /// Nothing to spread.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            rumors: KeyedMap::with_hasher(hash_key.clone()),
            waiting: Chains::default(),
            pace: Pace::default(),
            sent: 0,
            dropped: 0,
        }
    }

    /// Starts to spread what is claimed of a member, in place of what was spread of it before.
    pub fn start(&mut self, told: &Statement<'_>) {
        let rumor = Rumor {
            claim: told.claim,
            payload: told.payload.cloned(),
            reads_short: told.reads_short,
            sent: 0,
        };
        let uri = told.uri;
        let index = match self.rumors.get_full_mut(uri) {
            Some((index, _uri, known)) => {
                let before = core::mem::replace(known, rumor);
                self.waiting
                    .remove(before.sent as usize, member_index(index));
                index
            }
            None => self.rumors.insert_full(uri.clone(), rumor).0,
        };
        self.waiting.push_first(0, member_index(index), ());
    }

    /// No longer spreads anything about `uri`.
    pub fn stop(&mut self, uri: &str) {
        if let Some((index, _uri, rumor)) = self.rumors.swap_remove_full(uri) {
            self.waiting
                .remove(rumor.sent as usize, member_index(index));
            self.rename_last(index);
        }
    }

    /// The last rumor has taken the place of one that was removed: it goes on waiting where it did.
    fn rename_last(&mut self, index: usize) {
        if let Some((_uri, moved)) = self.rumors.get_index(index) {
            let last = member_index(self.rumors.len());
            self.waiting
                .rename(moved.sent as usize, last, member_index(index));
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.rumors.clear();
        self.waiting = Chains::default();
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

    /// Whether every rumor waits where it should, and nothing else does; for audits.
    pub fn is_consistent(&self) -> bool {
        let mut waiting = 0;
        for sent in 0..self.waiting.lists() {
            for place in self.waiting.forwards(sent) {
                let rumor = self.rumors.get_index(place as usize);
                if rumor.is_none_or(|(_uri, rumor)| rumor.sent as usize != sent) {
                    return false;
                }
                waiting += 1;
            }
        }
        waiting == self.rumors.len()
    }

    /// How often the rumor about `uri` has been sent, if there is one.
    pub fn sent(&self, uri: &str) -> Option<u32> {
        self.rumors.get(uri).map(|rumor| rumor.sent)
    }

    /// Puts rumors into `draft` while they fit, except those about `told`: the draft says so already.
    /// A rumor that has been sent `limit` times is dropped. Returns how many have boarded.
    pub fn fill(&mut self, draft: &mut MessageBuilder, limit: u32, told: &[&str]) -> usize {
        let mut boarded = Vec::new();
        let mut misfits = 0;
        let waiting = (0..self.waiting.lists()).flat_map(|sent| self.waiting.forwards(sent));
        for place in waiting {
            if draft.room() < EVENT_SIZE_MIN || misfits == MISFITS_MAX {
                break;
            }
            let (uri, rumor) = self.at(place);
            if told.contains(&&**uri) {
                continue;
            }
            let ttl = limit.saturating_sub(rumor.sent + 1);
            let told = Statement {
                uri,
                claim: rumor.claim,
                payload: rumor.payload.as_ref(),
                reads_short: rumor.reads_short,
            };
            if draft.event_of(&told, ttl) {
                boarded.push(place);
            } else {
                misfits += 1;
            }
        }
        let count = boarded.len();
        self.advance(boarded, limit);
        count
    }

    fn at(&self, place: MemberIndex) -> (&Uri, &Rumor) {
        let rumor = self.rumors.get_index(place as usize);
        rumor.expect("only rumors wait")
    }

    /// Counts that the rumor about `uri`, if there is one, has been sent once more.
    pub fn count(&mut self, uri: &str, limit: u32) {
        if let Some(index) = self.rumors.get_index_of(uri) {
            self.advance(vec![member_index(index)], limit);
        }
    }

    /// Counts that the rumors at these places have been sent once more.
    fn advance(&mut self, mut places: Vec<MemberIndex>, limit: u32) {
        for place in &places {
            let rumor = &mut self.rumors[*place as usize];
            self.waiting.remove(rumor.sent as usize, *place);
            rumor.sent += 1;
            self.sent += 1;
            self.waiting.push_last(rumor.sent as usize, *place, ());
        }
        // The last place first: the one that moves into an empty place is none of those that are yet to
        // go.
        places.sort_unstable();
        for place in places.into_iter().rev() {
            let sent = self.rumors[place as usize].sent;
            if sent >= limit {
                self.dropped += 1;
                self.waiting.remove(sent as usize, place);
                self.rumors.swap_remove_index(place as usize);
                self.rename_last(place as usize);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::claim::Incarnation;
    use crate::wire::decode;

    const CLAIM: Claim = Claim::alive(Incarnation::FIRST);

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).unwrap()
    }

    fn start(rumors: &mut Rumors, port: u16, payload: Option<&Payload>) {
        rumors.start(&Statement {
            uri: &uri(port),
            claim: CLAIM,
            payload,
            reads_short: false,
        });
    }

    fn boarded(rumors: &mut Rumors, limit: u32, size: usize) -> Vec<(u16, f64)> {
        let mut draft = MessageBuilder::leave(&uri(9), size);
        let count = rumors.fill(&mut draft, limit, &[]);
        let datagram = draft.finish().unwrap();
        let events = decode(&datagram).unwrap().events;
        assert_eq!(events.len(), count);
        events
            .iter()
            .map(|event| (Uri::from_wire(&event.uri).unwrap().port(), event.ttl))
            .collect()
    }

    #[test]
    fn the_least_sent_go_first_and_the_newest_among_equals() {
        let mut rumors = Rumors::new(&HashKey::derive(&[1; 32]));
        start(&mut rumors, 1, None);
        start(&mut rumors, 2, None);
        assert_eq!(boarded(&mut rumors, 3, 100), [(2, 2.0), (1, 2.0)]);
        start(&mut rumors, 3, None);
        assert_eq!(boarded(&mut rumors, 3, 100), [(3, 2.0), (2, 1.0), (1, 1.0)]);
        assert_eq!(boarded(&mut rumors, 3, 100), [(3, 1.0), (2, 0.0), (1, 0.0)]);
        assert_eq!(
            boarded(&mut rumors, 3, 100),
            [(3, 0.0)],
            "each is sent three times, then dropped"
        );
        assert!(rumors.is_empty() && rumors.is_consistent());
    }

    #[test]
    fn a_rumor_that_does_not_fit_waits_and_does_not_stop_smaller_ones() {
        let mut rumors = Rumors::new(&HashKey::derive(&[1; 32]));
        start(&mut rumors, 1, None);
        let big = [&b"\x91\xc5\x00\xc8"[..], &[b'x'; 200]].concat();
        start(&mut rumors, 2, Some(&Payload::new(&big).unwrap()));
        assert_eq!(boarded(&mut rumors, 2, 60), [(1, 1.0)]);
        assert_eq!(rumors.sent("a:2"), Some(0));
        assert_eq!(boarded(&mut rumors, 2, 1000), [(2, 1.0), (1, 0.0)]);
    }

    #[test]
    fn fresh_news_about_a_member_replaces_the_old() {
        let mut rumors = Rumors::new(&HashKey::derive(&[1; 32]));
        start(&mut rumors, 1, None);
        boarded(&mut rumors, 5, 100);
        start(&mut rumors, 1, None);
        assert_eq!((rumors.len(), rumors.sent("a:1")), (1, Some(0)));
        rumors.stop("a:1");
        assert!(rumors.is_empty() && rumors.is_consistent());
    }

    #[test]
    fn what_is_told_beside_the_rumors_counts_as_sent() {
        let mut rumors = Rumors::new(&HashKey::derive(&[1; 32]));
        start(&mut rumors, 1, None);
        rumors.count("a:1", 2);
        assert_eq!(rumors.sent("a:1"), Some(1));
        rumors.count("a:1", 2);
        assert_eq!(rumors.sent("a:1"), None, "it was sent twice");
        rumors.count("a:1", 2);
        assert_eq!(rumors.tally(), (2, 1));
    }
}
