//! Tombstones: the last records of members that were forgotten.
//!
//! Peers forget a member sooner or later, and membership 2.x never does: what they go on saying of it
//! must not bring it back. Its record stays part of the digest, or members that have forgotten it and
//! members that have not would compare their tables for ever; and a peer that claims that it is alive
//! is shown it.

use crate::hashing::{HashKey, KeyedMap};
use crate::identity::uri::Uri;
use crate::table::digest::Digest;
use crate::table::index::{MemberIndex, member_index};
use crate::table::member::{Member, admit, better_payload};
use crate::time::Micros;
use crate::wire::Event;

/// The last records of forgotten members.
#[derive(Debug)]
pub struct Tombstones {
    tombstones: KeyedMap<Uri, Member>,
    /// Where to make room next, when there is none.
    hand: MemberIndex,
}

impl Tombstones {
    /// No member was forgotten.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            tombstones: KeyedMap::with_hasher(hash_key.clone()),
            hand: 0,
        }
    }

    /// The last record of `uri`.
    pub fn get(&self, uri: &str) -> Option<&Member> {
        self.tombstones.get(uri)
    }

    /// All of them, in no order that means anything.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.tombstones.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tombstones.len()
    }

    /// Which one is at this place.
    pub fn at(&self, place: MemberIndex) -> &Member {
        &self.tombstones[place as usize]
    }

    /// Adds one, or replaces it. One of the others makes room if there are more than `capacity`.
    pub fn insert(&mut self, member: Member, capacity: usize, digest: &mut Digest) {
        self.remove(&member.uri, digest);
        digest.insert_grave(member_index(self.len()), &member);
        self.tombstones.insert(member.uri.clone(), member);
        if self.len() > capacity {
            // From one end to the other: the one that moves into the empty place has just come.
            let hand = self.hand as usize % (self.len() - 1).max(1);
            self.hand = self.hand.wrapping_add(1);
            digest.swap_remove_grave(member_index(hand), member_index(self.len() - 1));
            self.tombstones.swap_remove_index(hand);
        }
    }

    /// Takes one out.
    pub fn remove(&mut self, uri: &str, digest: &mut Digest) -> Option<Member> {
        let (index, _uri, member) = self.tombstones.swap_remove_full(uri)?;
        digest.swap_remove_grave(member_index(index), member_index(self.len()));
        Some(member)
    }

    /// Whether an event is about a forgotten member and does not prove that it is back. What it tells of
    /// the time before is kept.
    pub fn absorb(
        &mut self,
        event: &Event<'_>,
        now: Micros,
        capacity: usize,
        digest: &mut Digest,
    ) -> bool {
        let Some(tombstone) = self.get(&event.uri) else {
            return false;
        };
        let mut tombstone = tombstone.clone();
        if event.claim.overrides(Some(tombstone.claim)) {
            if event.claim.status.is_live() {
                return false;
            }
            let payload = admit(event.payload, tombstone.payload.as_ref());
            (tombstone.claim, tombstone.since) = (event.claim, now);
            if payload.is_some() {
                (tombstone.payload, tombstone.payload_of) = (payload, event.claim.incarnation);
            }
            self.insert(tombstone, capacity, digest);
        } else if let Some(payload) = better_payload(event, &tombstone) {
            (tombstone.payload, tombstone.payload_of) = (Some(payload), event.claim.incarnation);
            self.insert(tombstone, capacity, digest);
        }
        true
    }
}
