//! Forgetting those who are gone for long (`REAP_TIMEOUT_SECONDS`) or in whose place another comes
//! (`MAX_MEMBERS`), and knowing them again.

use crate::Swim;
use crate::dissemination::apply::{RIPE_MAX, RIPE_PAUSE};
use crate::identity::uri::Uri;
use crate::table::claim::Status;
use crate::table::member::Member;
use crate::table::members::MemberIndex;
use crate::time::Now;
use crate::timers::Timer;
use crate::wire::Event;

impl Swim {
    /// The member at `place` has become thus: notes since when it is gone, if it is.
    pub(crate) fn watch_departure(&mut self, place: MemberIndex, status: Status, now: Now) {
        self.members.departures.stop(place);
        if is_gone(status) {
            self.members.departures.start(place, now.monotonic);
        }
    }

    /// Waits for the next one to be forgotten.
    pub(crate) fn watch_oldest_departure(&mut self, now: Now) {
        let timeout = self.config.reap_timeout;
        let next = self.members.departures.next(timeout);
        let next = next.filter(|_| !timeout.is_zero());
        // What was due during a pause is due now.
        let next = next.map(|next| next.max(now.monotonic));
        self.timers.set_to(Timer::Reap, next);
    }

    /// Forgets those who are gone for long enough, or the first of them.
    pub(crate) fn reap(&mut self, now: Now) {
        let (timeout, capacity) = (self.config.reap_timeout, self.config.max_members);
        for _ in 0..RIPE_MAX {
            let ripe = self.members.departures.pop_expired(timeout, now.monotonic);
            let Some(place) = ripe.filter(|_| !timeout.is_zero()) else {
                return self.watch_oldest_departure(now);
            };
            let uri = self.members.at(place).uri.clone();
            self.members.bury_member(&uri, capacity);
        }
        self.timers.set(Timer::Reap, now.monotonic + RIPE_PAUSE);
    }

    /// Takes a record of somebody else's table for a tombstone, if it is about somebody who was gone
    /// before he was ever heard of here: there is nobody to be missed.
    pub(crate) fn takes_for_tombstone(&mut self, record: &Event<'_>, now: Now) -> bool {
        let known = self.members.get(record.uri).is_some() || self.is_myself(record.uri);
        let past = is_gone(record.claim.status);
        if known || !past || self.config.reap_timeout.is_zero() {
            return false;
        }
        let (record, capacity) = (
            self.without_oversized_payload(record),
            self.config.max_members,
        );
        self.members.insert_tombstone(&record, now.wall, capacity);
        true
    }

    /// Knows `uri` again as what it was when it was forgotten: it is there after all, or is wanted
    /// back. It is told what it was taken for, and contradicts.
    pub(crate) fn restore(&mut self, uri: &Uri, now: Now) {
        let capacity = self.config.max_members;
        let is_buried = self.members.tombstone(uri).is_some();
        if is_buried && self.members.len() >= capacity {
            self.make_room();
        }
        if let Some(place) = self.members.restore(uri, capacity) {
            // Unless it was heard of meanwhile that there is somebody who is not understood.
            if is_gone(self.members.at(place).claim.status) {
                self.members.departures.start(place, now.monotonic);
            }
            self.watch_oldest_departure(now);
        }
    }

    /// Forgets a member that is dead or has left, since the table is full: one that has never answered,
    /// if there is any. Returns whether there was one.
    ///
    /// Its record is kept as a tombstone: those who know it will go on speaking of it, and tables in
    /// which another had to go still have the same digest.
    pub(crate) fn make_room(&mut self) -> bool {
        let Some(uri) = self.members.most_expendable(&mut self.rng) else {
            return false;
        };
        self.rumors.stop(&uri);
        self.members.bury_member(&uri, self.config.max_members);
        self.stats.members_displaced += 1;
        true
    }

    /// The tombstones of those whom somebody takes for live.
    pub(crate) fn tombstones_against(&self, records: &[Event<'_>], but: &Uri) -> Vec<Member> {
        let mistaken = records.iter().filter_map(|record| {
            let grave = self.members.tombstone(record.uri)?;
            let wrong = record.claim.status.is_live() && grave.claim > record.claim;
            (wrong && grave.uri != *but).then(|| grave.clone())
        });
        mistaken.collect()
    }

    fn is_myself(&self, uri: &str) -> bool {
        self.myself.as_deref() == Some(uri)
    }
}

/// Whether one who is thus is forgotten in the end. At the address of one who is not understood
/// somebody still is.
pub(crate) const fn is_gone(status: Status) -> bool {
    matches!(status, Status::Dead | Status::Left)
}
