//! What an event changes in the table, and what follows from that (§4.2).

use core::time::Duration;

use super::Turn;
use crate::identity::lifecycle::Application;
use crate::identity::uri::Uri;
use crate::log_event::LogEvent;
use crate::security::authentication::label_size;
use crate::table::claim::{Claim, Incarnation, Status};
use crate::table::index::MemberIndex;
use crate::table::members::Applied;
use crate::table::payload::check;
use crate::table::reason::Reason;
use crate::timers::Timer;
use crate::wire::{Event, Statement};

/// What is owed to the sender of the datagram at hand, because of what it has said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reaction {
    /// It has said something of the local node that is not so, and was refuted.
    pub refuted: bool,
    /// It is to be told what the local node says of itself.
    pub owes_word: bool,
}

/// What surrounds URIs and payload in a datagram with a single record or event, in bytes: heads,
/// status, incarnation, and the longest trailer that comes with records.
const RECORD_OVERHEAD: usize = 129;

impl Turn<'_> {
    /// Applies an event, for this reason.
    pub fn apply(&mut self, event: &Event<'_>, reason: &Reason) {
        let wrong = self.apply_one(event, reason);
        self.end_hearing(wrong, None, &mut Reaction::default());
    }

    /// Does what remains to be done once for all that was heard from one datagram, that of `sender`. `wrong`
    /// is what it says of the local node that is to be refuted, at the highest incarnation.
    pub(super) fn end_hearing(
        &mut self,
        wrong: Option<Claim>,
        sender: Option<&Uri>,
        rx: &mut Reaction,
    ) {
        self.contradict(wrong, sender, rx);
        self.watch_oldest_suspicion();
        self.watch_oldest_departure();
    }

    /// Applies an event, or a record of a peer's table: both are treated alike. Returns what it says of
    /// the local node, if that is to be refuted. [`Self::end_hearing`] is to follow.
    pub(super) fn apply_one(&mut self, event: &Event<'_>, reason: &Reason) -> Option<Claim> {
        let event = &self.without_oversized_payload(event);
        if self.swim.me.is(&event.uri) {
            let own = self.swim.own_claim()?;
            return self.swim.me.contradicted_by(event, own);
        }
        if self.turns_away(&event.uri) {
            return None;
        }
        if self.swim.allowed.excludes(&event.uri, event.claim.status) {
            self.forget_unwanted(event);
            return None;
        }
        let (capacity, occasion) = (self.swim.config.max_members, self.occasion(reason));
        let mut heard = self.swim.members.apply(event, &occasion, capacity);
        // One that is not live would only take the place of another: two full tables would tell each
        // other of theirs for ever.
        if heard == Applied::Refused && event.claim.status.is_live() && self.make_room() {
            heard = self.swim.members.apply(event, &occasion, capacity);
        }
        if event.reads_short {
            let incarnation = event.claim.incarnation;
            self.swim.members.note_short_reader(&event.uri, incarnation);
        }
        match heard {
            Applied::News {
                place,
                before,
                lasted,
            } => {
                self.log_return(place, before, event, lasted);
                self.follow(place, before, event.claim);
            }
            Applied::Payload { place } => self.enqueue_rumor(place),
            Applied::Stale => {}
            Applied::Refused => self.swim.stats.members_refused += 1,
        }
        None
    }

    /// Has the log say that a member is back, if it said that the member is gone.
    fn log_return(
        &mut self,
        place: MemberIndex,
        before: Option<Claim>,
        event: &Event<'_>,
        lasted: Duration,
    ) {
        if event.claim.status == Status::Alive
            && let Some(before) = before
            && self.swim.members.at(place).is_logged_gone
        {
            self.swim.members.set_logged_gone(&event.uri, false);
            self.swim.report(LogEvent::Returned {
                uri: event.uri.to_uri(),
                was: before.status,
                lasted,
            });
        }
    }

    /// What follows from news that is in the table.
    pub(super) fn follow(&mut self, place: MemberIndex, before: Option<Claim>, claim: Claim) {
        self.watch_suspicion(place, before, claim);
        self.watch_departure(place, claim.status);
        self.enqueue_rumor(place);
    }

    /// The event, without its payload if that is not to be taken in, which is counted.
    ///
    /// That is one that could harm a program that reads it, and one that no datagram of the local node
    /// could hold together with the event: the rest would wait for room for ever, and keep other news
    /// from spreading.
    pub(super) fn without_oversized_payload<'a>(&mut self, event: &Event<'a>) -> Event<'a> {
        let Some(payload) = event.payload else {
            return *event;
        };
        let without = Event {
            payload: None,
            ..*event
        };
        let mut overhead = RECORD_OVERHEAD + label_size(&self.swim.config.group_label);
        if let Some(myself) = &self.swim.me.uri {
            overhead += myself.len();
        }
        let room = self.swim.datagram_capacity();
        let refused = &mut self.swim.stats.payloads_refused;
        if payload.len() > room.saturating_sub(overhead + event.uri.len()) {
            refused.too_large += 1;
            return without;
        }
        // What is known has been checked, and nearly all that comes is known: a check takes longer than
        // to compare.
        if let Some(member) = self.swim.members.get(&event.uri)
            && let Some(known) = &member.payload
            && known.bytes() == payload
        {
            return *event;
        }
        match check(payload) {
            Ok(()) => *event,
            Err(flaw) => {
                refused.unfit[flaw.why.index()] += 1;
                without
            }
        }
    }

    /// A member that is not allowed is no longer there: others are told, and it is forgotten.
    // Of one that is forgotten already nothing is told: others will go on about it for a while.
    fn forget_unwanted(&mut self, event: &Event<'_>) {
        let Some(member) = self.swim.members.get(&event.uri) else {
            return;
        };
        if event.claim.overrides(Some(member.claim)) {
            let (uri, payload) = (member.uri.clone(), member.current_payload().cloned());
            self.swim.report(LogEvent::Unwanted {
                uri: uri.clone(),
                status: event.claim.status,
            });
            let occasion = self.occasion(&Reason::NotAllowed);
            self.swim.members.remove(&uri, &occasion);
            self.swim.rumors.start(&Statement {
                uri: &uri,
                claim: event.claim,
                payload: payload.as_ref(),
                reads_short: false,
            });
            self.swim.timers.advance(Timer::Gossip, self.now.monotonic);
        }
    }

    /// Contradicts what is said of the local node, if it is `wrong`.
    fn contradict(&mut self, wrong: Option<Claim>, sender: Option<&Uri>, rx: &mut Reaction) {
        let Some(Claim {
            incarnation,
            status,
        }) = wrong
        else {
            return;
        };
        if status == Status::Alive && !self.may_contradict() {
            return;
        }
        if status != Status::Alive {
            self.swim.report(LogEvent::Refuted { rumor: status });
            self.swim.stats.refutations += 1;
        }
        let reason = Reason::Refuted {
            said: status,
            by: sender.cloned(),
        };
        self.refute(incarnation, &reason);
        rx.refuted = true;
    }

    /// Whether to contradict a peer that says that the local node is alive, but otherwise than it is.
    fn may_contradict(&mut self) -> bool {
        let memory = self.swim.duplicate_memory();
        self.swim
            .detector
            .duplicates
            .may_contradict(memory, self.now.monotonic)
    }

    /// Announces that the local node is alive, in a way that beats what was claimed at `rumored`.
    pub(super) fn refute(&mut self, rumored: Incarnation, reason: &Reason) {
        let Some(own) = self.swim.own_claim() else {
            return;
        };
        self.announce(Claim::alive(own.incarnation.beating(rumored)), reason);
    }

    /// Announces the local node as suspect: its own address does not lead to it, or its application
    /// hangs.
    // At the last incarnation nothing could take it back.
    pub(super) fn suspect_self(&mut self, reason: &Reason) {
        if let Some(own) = self.swim.own_claim()
            && !own.incarnation.is_last()
        {
            self.announce(own.with(Status::Suspect), reason);
        }
    }

    /// The local node's own address leads to it again, or there is another reason not to doubt that.
    pub(super) fn clear_self_suspicion(&mut self, reason: &Reason) {
        // While the application hangs, the suspicion is meant.
        if let Some(own) = self.swim.own_claim()
            && own.status != Status::Alive
            && self.swim.me.application == Application::Running
        {
            self.refute(own.incarnation, reason);
        }
    }

    /// Makes a claim about the local node, and spreads it.
    pub(super) fn announce(&mut self, claim: Claim, reason: &Reason) {
        let Some(myself) = self.swim.me.uri.clone() else {
            return;
        };
        let payload = Some(self.swim.me.payload.clone());
        let (since, occasion) = (self.now.wall, self.occasion(reason));
        let members = &mut self.swim.members;
        let place = members.put(&myself, claim, payload, since, &occasion);
        members.note_short_reader(&myself, claim.incarnation);
        self.enqueue_rumor(place);
    }

    pub(super) fn watch_suspicion(
        &mut self,
        place: MemberIndex,
        before: Option<Claim>,
        after: Claim,
    ) {
        if let Some(before) = before
            && before.status == Status::Suspect
        {
            self.swim.members.suspicions.stop(place);
            self.swim.stats.suspicions_refuted += u64::from(after.status == Status::Alive);
        }
        if after.status == Status::Suspect {
            self.swim
                .members
                .suspicions
                .start(place, self.now.monotonic);
            let suspect = self.swim.members.at(place).uri.clone();
            self.begin_check(&suspect);
        }
    }

    /// The member at `place` has become thus: notes since when it is gone, if it is.
    pub(super) fn watch_departure(&mut self, place: MemberIndex, status: Status) {
        self.swim.members.departures.stop(place);
        if status.is_gone() {
            self.swim
                .members
                .departures
                .start(place, self.now.monotonic);
        }
    }

    /// Waits for the next one to be forgotten.
    pub(super) fn watch_oldest_departure(&mut self) {
        let timeout = self.swim.config.reap_timeout;
        match self.swim.members.departures.next(timeout) {
            // What was due during a pause is due now. A timeout of zero stands for "never".
            Some(next) if !timeout.is_zero() => {
                self.swim
                    .timers
                    .set(Timer::Reap, next.max(self.now.monotonic));
            }
            _ => self.swim.timers.stop(Timer::Reap),
        }
    }

    /// Takes a record of a peer's table for a tombstone, if it is about a member that was gone before
    /// it was ever heard of here: there is nothing to be missed.
    pub(super) fn takes_for_tombstone(&mut self, record: &Event<'_>) -> bool {
        let known = self.swim.members.get(&record.uri).is_some() || self.swim.me.is(&record.uri);
        let past = record.claim.status.is_gone();
        if known || !past || self.swim.config.reap_timeout.is_zero() {
            return false;
        }
        let (record, capacity) = (
            self.without_oversized_payload(record),
            self.swim.config.max_members,
        );
        self.swim
            .members
            .insert_tombstone(&record, self.now.wall, capacity);
        true
    }

    /// Knows `uri` again as what it was when it was forgotten: it is there after all, or is wanted
    /// back. It is told what it was taken for, and contradicts.
    pub(super) fn restore(&mut self, uri: &Uri, reason: &Reason) {
        let capacity = self.swim.config.max_members;
        let is_buried = self.swim.members.tombstone(uri).is_some();
        if is_buried && self.swim.members.len() >= capacity {
            self.make_room();
        }
        let occasion = self.occasion(reason);
        if let Some(place) = self.swim.members.restore(uri, capacity, &occasion) {
            // Unless it was heard meanwhile that something at its address is not understood.
            if self.swim.members.at(place).claim.status.is_gone() {
                self.swim
                    .members
                    .departures
                    .start(place, self.now.monotonic);
            }
            self.watch_oldest_departure();
        }
    }

    /// Forgets a member that is dead or has left, since the table is full: one that has never answered,
    /// if there is any. Returns whether there was one.
    ///
    /// Its record is kept as a tombstone: members that know it will go on speaking of it, and tables in
    /// which another had to go still have the same digest.
    fn make_room(&mut self) -> bool {
        let Some(uri) = self.swim.members.most_expendable(&mut self.swim.rng) else {
            return false;
        };
        self.swim.rumors.stop(&uri);
        let (capacity, occasion) = (
            self.swim.config.max_members,
            self.occasion(&Reason::Displaced),
        );
        self.swim.members.forget(&uri, capacity, &occasion);
        self.swim.stats.members_displaced += 1;
        true
    }

    /// Spreads what is held of the member at `place`.
    pub(super) fn enqueue_rumor(&mut self, place: MemberIndex) {
        let member = self.swim.members.at(place);
        self.swim.rumors.start(&Statement::of(member));
        let due = self.swim.rumors.pace.begin(self.now.monotonic);
        self.swim.timers.advance(Timer::Gossip, due);
    }
}
