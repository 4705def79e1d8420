//! Tombstones: who was forgotten since he was gone for long, and what was known of him.
//!
//! Others forget him sooner or later, and the Lua rock never does: what they go on saying of him must
//! not bring him back. His record stays part of the digest, or those who have forgotten and those who
//! have not would compare their tables for ever; and it is shown to whoever claims that he lives.

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use crate::identity::uri::Uri;
use crate::table::digest::Digest;
use crate::table::member::Member;
use crate::table::members::{MemberIndex, Members, admit, better_payload, place};
use crate::time::Micros;
use crate::wire::Event;

/// The last records of those who were forgotten.
#[derive(Debug, Default)]
pub struct Tombstones {
    tombstones: IndexMap<Uri, Member, RandomState>,
    /// Where to make room next, when there is none.
    hand: MemberIndex,
}

impl Tombstones {
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
    fn at(&self, place: MemberIndex) -> &Member {
        &self.tombstones[place as usize]
    }

    /// Adds one, or replaces it. One of the others makes room if there are more than `capacity`.
    fn insert(&mut self, member: Member, capacity: usize, digest: &mut Digest) {
        self.remove(&member.uri, digest);
        digest.insert_grave(place(self.len()), &member);
        self.tombstones.insert(member.uri.clone(), member);
        if self.len() > capacity {
            // From one end to the other: whoever moves into the empty place has just come.
            let hand = self.hand as usize % (self.len() - 1).max(1);
            self.hand = self.hand.wrapping_add(1);
            digest.swap_remove_grave(place(hand), place(self.len() - 1));
            self.tombstones.swap_remove_index(hand);
        }
    }

    /// Takes one out.
    fn remove(&mut self, uri: &str, digest: &mut Digest) -> Option<Member> {
        let (index, _uri, member) = self.tombstones.swap_remove_full(uri)?;
        digest.swap_remove_grave(place(index), place(self.len()));
        Some(member)
    }
}

impl Members {
    /// The tombstones of members that `records` take for live, but for that of `partner`.
    pub fn tombstones_against(&self, records: &[Event<'_>], partner: &Uri) -> Vec<Member> {
        let mut mistaken = Vec::new();
        for record in records {
            if let Some(tombstone) = self.tombstone(record.uri)
                && record.claim.status.is_live()
                && tombstone.claim > record.claim
                && tombstone.uri != *partner
            {
                mistaken.push(tombstone.clone());
            }
        }
        mistaken
    }

    /// The last record of one who was forgotten.
    pub fn tombstone(&self, uri: &str) -> Option<&Member> {
        self.tombstones.get(uri)
    }

    /// The last records of all who were forgotten.
    pub fn tombstones(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.tombstones.iter()
    }

    /// Whether there are no more than there may be, and none of them in the table; for audits.
    pub fn is_sound_in_graves(&self, capacity: usize) -> bool {
        let gone = |grave: &Member| self.get(&grave.uri).is_none();
        self.tombstone_count() <= capacity && self.tombstones().all(gone)
    }

    /// How many were forgotten whose records are kept.
    pub fn tombstone_count(&self) -> usize {
        self.tombstones.len()
    }

    /// The last records of those who were forgotten, in bucket `index` of `count`.
    pub fn graves_in_bucket(&self, index: usize, count: usize) -> impl Iterator<Item = &Member> {
        let places = self.digest.tombstones(index, count);
        places.map(|place| self.tombstones.at(place))
    }

    /// Forgets `uri`, and keeps its record; `capacity` of them at most.
    pub fn bury_member(&mut self, uri: &str, capacity: usize) {
        if let Some(member) = self.get(uri).cloned() {
            self.remove(uri);
            self.insert(member, capacity);
        }
    }

    /// Keeps the record of one who is not in the table.
    pub fn insert_tombstone(&mut self, record: &Event<'_>, now: Micros, capacity: usize) {
        if !self.is_past(record, now, capacity) {
            let uri = Uri::from_wire(record.uri).expect("checked when decoded");
            let payload = admit(record.payload, None);
            let member = Member::new(uri, record.claim, now);
            self.insert(Member { payload, ..member }, capacity);
        }
    }

    /// Puts `uri` back into the table as it was when it was forgotten, unless the table is full. Says
    /// where, if it did.
    pub fn restore(&mut self, uri: &str, capacity: usize) -> Option<MemberIndex> {
        if self.len() >= capacity {
            return None;
        }
        let grave = self.take_tombstone(uri)?;
        let payload = grave.current_payload().cloned();
        Some(self.put(&grave.uri, grave.claim, payload, grave.since))
    }

    /// Whether an event says nothing of one who was forgotten but what may have been so before.
    pub(crate) fn is_past(&mut self, event: &Event<'_>, now: Micros, capacity: usize) -> bool {
        let Some(grave) = self.tombstones.get(event.uri) else {
            return false;
        };
        let mut grave = grave.clone();
        if event.claim.overrides(Some(grave.claim)) {
            if event.claim.status.is_live() {
                return false;
            }
            let payload = admit(event.payload, grave.payload.as_ref());
            (grave.claim, grave.since) = (event.claim, now);
            if payload.is_some() {
                (grave.payload, grave.payload_of) = (payload, event.claim.incarnation);
            }
            self.insert(grave, capacity);
        } else if let Some(payload) = better_payload(event, &grave) {
            (grave.payload, grave.payload_of) = (Some(payload), event.claim.incarnation);
            self.insert(grave, capacity);
        }
        true
    }

    fn insert(&mut self, member: Member, capacity: usize) {
        self.tombstones.insert(member, capacity, &mut self.digest);
    }

    /// Forgets the record of `uri` too.
    pub(crate) fn take_tombstone(&mut self, uri: &str) -> Option<Member> {
        self.tombstones.remove(uri, &mut self.digest)
    }
}
