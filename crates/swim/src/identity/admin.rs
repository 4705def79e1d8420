//! What users say of others: who is to be in the group, and who no longer.

use indexmap::IndexSet;

use crate::Swim;
use crate::identity::uri::Uri;
use crate::security::acquaintance::Acquaintance;
use crate::table::claim::{Claim, Incarnation, Status};
use crate::time::Now;
use crate::timers::Timer;
use crate::wire::Event;

impl Swim {
    /// Adds a member, by hearsay: it is taken for alive until it shows otherwise.
    pub fn add_member(&mut self, uri: Uri, now: Now) {
        self.restore(&uri, now);
        self.members.acquaint(&uri, Acquaintance::Known);
        let claim = match self.members.claim(&uri) {
            None => Claim::alive(Incarnation::FIRST),
            Some(left) if left.status == Status::Left => Claim::alive(left.incarnation.next()),
            Some(_known) => return,
        };
        self.apply(
            &Event {
                uri: &uri,
                claim,
                payload: None,
                ttl: 0.0,
            },
            now,
        );
        self.members.acquaint(&uri, Acquaintance::Known);
        if self.myself.as_ref().is_some_and(|myself| *myself != uri) {
            self.push_to(&uri);
            self.sync_with(&uri, now);
        }
    }

    /// Declares a member gone for good. False if it is unknown, or has left already.
    ///
    /// One that is there after all contradicts this as soon as it hears of it.
    pub fn mark_left(&mut self, uri: &str, now: Now) -> bool {
        let known = self
            .members
            .claim(uri)
            .filter(|claim| claim.status != Status::Left);
        let (Some(claim), true) = (known, self.myself.is_some()) else {
            return false;
        };
        let claim = claim.with(Status::Left);
        self.apply(
            &Event {
                uri,
                claim,
                payload: None,
                ttl: 0.0,
            },
            now,
        );
        self.timers.set(Timer::Gossip, now.monotonic);
        true
    }

    /// Forgets a member, here only: it comes back with the next that is heard of it. Never myself.
    pub fn remove_member(&mut self, uri: &str) {
        if self.myself.as_deref() != Some(uri) {
            self.rumors.stop(uri);
            self.members.remove(uri);
        }
    }

    /// Remembers of the members that are not `allowed` only those that are there: none that is
    /// suspect, dead or has left. Forgets them all now. With none allowed, all are.
    pub fn set_allowed_members(&mut self, allowed: IndexSet<Uri>) {
        self.allowed = allowed;
        if self.allowed.is_empty() {
            return;
        }
        let everybody = self.members.from(0).map(|member| member.uri.clone());
        let strangers: Vec<Uri> = everybody
            .filter(|uri| !self.allowed.contains(uri))
            .collect();
        strangers.iter().for_each(|uri| self.remove_member(uri));
    }

    /// Hears an event as if a peer had sent it; without an incarnation, at the one that is known.
    pub fn generate(
        &mut self,
        uri: &Uri,
        status: Status,
        incarnation: Option<Incarnation>,
        payload: Option<&[u8]>,
        now: Now,
    ) {
        self.restore(uri, now);
        let known = self.members.claim(uri).map(|claim| claim.incarnation);
        let incarnation = incarnation.or(known).unwrap_or(Incarnation::FIRST);
        let claim = Claim {
            incarnation,
            status,
        };
        self.apply(
            &Event {
                uri,
                claim,
                payload,
                ttl: 0.0,
            },
            now,
        );
    }

    /// Whether nothing is to be remembered of `uri` while it is thus.
    pub(crate) fn is_unwanted(&self, uri: &str, status: Status) -> bool {
        let unwanted = matches!(status, Status::Suspect | Status::Dead | Status::Left);
        unwanted && !self.allowed.is_empty() && !self.allowed.contains(uri)
    }
}
