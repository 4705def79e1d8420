//! Forgetting members, and knowing them again.

use crate::identity::uri::Uri;
use crate::table::claim::Claim;
use crate::table::history::{Change, Occasion};
use crate::table::index::{MemberIndex, member_index};
use crate::table::member::{Member, admit};
use crate::table::members::Members;
use crate::time::Micros;
use crate::wire::Event;

impl Members {
    /// The tombstones of members that `records` take for live, but for that of `partner`.
    pub fn tombstones_against(&self, records: &[Event<'_>], partner: &Uri) -> Vec<Member> {
        let mut mistaken = Vec::new();
        for record in records {
            // Not that of the partner: what a peer on membership 2.x is told of itself here, it believes.
            if let Some(tombstone) = self.tombstone(&record.uri)
                && record.claim.status.is_live()
                && tombstone.claim > record.claim
                && tombstone.uri != *partner
            {
                mistaken.push(tombstone.clone());
            }
        }
        mistaken
    }

    /// The last record of a forgotten member.
    pub fn tombstone(&self, uri: &str) -> Option<&Member> {
        self.tombstones.get(uri)
    }

    /// The last records of all forgotten members.
    pub fn tombstones(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.tombstones.iter()
    }

    /// Whether there are no more than there may be, and none of them in the table; for audits.
    pub fn is_sound_in_tombstones(&self, capacity: usize) -> bool {
        for tombstone in self.tombstones() {
            if self.get(&tombstone.uri).is_some() {
                return false;
            }
        }
        self.tombstone_count() <= capacity
    }

    /// How many tombstones there are.
    pub fn tombstone_count(&self) -> usize {
        self.tombstones.len()
    }

    /// The tombstones in bucket `index` of `count`.
    pub fn tombstones_in_bucket(
        &self,
        index: usize,
        count: usize,
    ) -> impl Iterator<Item = &Member> {
        let places = self.digest().tombstones(index, count);
        places.map(|place| self.tombstones.at(place))
    }

    /// Forgets `uri`, if it is known.
    pub fn remove(&mut self, uri: &str, occasion: &Occasion<'_>) {
        let Some((index, uri, member)) = self.table.swap_remove_full(uri) else {
            return;
        };
        let (here, last) = (member_index(index), member_index(self.table.len()));
        self.recount(here, Some(member.claim.status), None);
        self.unproven.remove(here);
        self.gone.remove(here);
        self.suspicions.stop(here);
        self.departures.stop(here);
        self.digest.remove(here);
        self.changelog.remove(here, uri.clone());
        self.note_removal(uri, member.claim, occasion);
        // The last one has taken the empty place.
        if last != here {
            self.live.rename(last, here);
            self.unreachable.rename(last, here);
            self.unproven.rename(last, here);
            self.gone.rename(last, here);
            self.suspicions.rename(last, here);
            self.departures.rename(last, here);
            self.digest.rename(last, here);
            self.changelog.rename(last, here);
        }
    }

    /// Forgets all members. The history has it as one change, that of the local node, `myself`, which has left.
    pub fn clear(&mut self, myself: Uri, claim: Claim, occasion: &Occasion<'_>) {
        self.changelog.clear();
        self.note_removal(myself, claim, occasion);
        let changelog = core::mem::take(&mut self.changelog);
        let history = core::mem::take(&mut self.history);
        *self = Self {
            changelog,
            history,
            ..Self::new(self.hash_key())
        };
    }

    fn note_removal(&mut self, uri: Uri, before: Claim, occasion: &Occasion<'_>) {
        self.history.note(Change {
            number: self.version(),
            at: occasion.now,
            uri,
            before: Some(before),
            after: None,
            has_new_payload: false,
            reason: occasion.reason.clone(),
        });
    }

    /// Forgets `uri`, and keeps a tombstone; `capacity` of them at most.
    pub fn forget(&mut self, uri: &str, capacity: usize, occasion: &Occasion<'_>) {
        if let Some(member) = self.get(uri).cloned() {
            self.remove(uri, occasion);
            self.tombstones.insert(member, capacity, &mut self.digest);
        }
    }

    /// Keeps a tombstone of a member that is not in the table.
    pub fn insert_tombstone(&mut self, record: &Event<'_>, now: Micros, capacity: usize) {
        let is_known = self
            .tombstones
            .absorb(record, now, capacity, &mut self.digest);
        if !is_known {
            let uri = record.uri.to_uri();
            let payload = admit(record.payload, None);
            let member = Member::new(uri, record.claim, now);
            self.tombstones
                .insert(Member { payload, ..member }, capacity, &mut self.digest);
        }
    }

    /// Puts `uri` back into the table as it was when it was forgotten, unless the table is full. Says
    /// where, if it did.
    pub fn restore(
        &mut self,
        uri: &str,
        capacity: usize,
        occasion: &Occasion<'_>,
    ) -> Option<MemberIndex> {
        if self.len() >= capacity {
            return None;
        }
        let tombstone = self.tombstones.remove(uri, &mut self.digest)?;
        // One of an earlier incarnation would pass for that of the present one.
        let payload = tombstone.current_payload().cloned();
        let (claim, since) = (tombstone.claim, tombstone.since);
        let place = self.put(&tombstone.uri, claim, payload, since, occasion);
        // The log has said that it is gone, and is to say that it is back.
        self.set_logged_gone(uri, tombstone.is_logged_gone);
        Some(place)
    }
}
