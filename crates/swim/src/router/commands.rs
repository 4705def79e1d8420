//! What the application wants: an identity, members, a payload, options, keys.

use super::Turn;
use crate::detector::app_ping::PingId;
use crate::dissemination::AntiEntropy;
use crate::identity::admin::AllowList;
use crate::identity::lifecycle::Application;
use crate::identity::uri::Uri;
use crate::security::acquaintance::Acquaintance;
use crate::table::claim::{Claim, Incarnation, Status};
use crate::table::payload::Payload;
use crate::table::preload::Preloaded;
use crate::table::reason::Reason;
use crate::time::Now;
use crate::timers::{Timer, Timers};
use crate::wire::{Event, MessageBuilder, MessageType, ping_data};
use crate::{Refused, Seed, Swim};

impl Swim {
    /// Becomes `uri` and takes part in the group. If it had another URI before, that is declared dead.
    ///
    /// Members, payload and incarnation stay as they are.
    pub fn init(&mut self, uri: Uri, now: Now) {
        let mut turn = Turn::new(self, now);
        turn.restore(&uri, &Reason::Initialized);
        let mut old_claim = None;
        let mut old_death = None;
        let old = turn.swim.me.uri.replace(uri.clone());
        if old.as_ref() != Some(&uri) {
            turn.swim.detector.duplicates.begin(now);
            turn.swim.me.is_known = false;
        }
        if let Some(old) = old
            && old != uri
        {
            // They know what the local node said of itself under another name.
            turn.swim.members.forget_told();
            old_claim = turn.swim.members.claim(&old);
            if let Some(claim) = old_claim {
                old_death = Some((old, claim.with(Status::Dead)));
            }
        }
        let known = turn.swim.members.claim(&uri);
        let incarnation = turn.swim.me.first_incarnation(&uri, known, old_claim);
        if let Some((old, death)) = old_death {
            turn.apply(&Event::local(&old, death), &Reason::Moved);
        }
        if let Some(place) = turn.swim.members.place_of(&uri) {
            turn.swim.members.suspicions.stop(place);
            turn.swim.members.departures.stop(place);
        }
        if turn.swim.own_claim() != Some(Claim::alive(incarnation)) {
            turn.announce(Claim::alive(incarnation), &Reason::Initialized);
        }
        // Even if nothing of it is new: a reader that remembers the old URI is to look again.
        if let Some(place) = self.members.place_of(&uri) {
            self.members.changelog.measure(place);
        }
        self.anti_entropy.merges.begin(now.monotonic);
        if !self.timers.is_set(Timer::Period) {
            self.timers.set(Timer::Period, now.monotonic);
            self.timers.set(Timer::AntiEntropy, now.monotonic);
        }
    }

    /// Tells all live members that this one leaves, and forgets them. False if there is nothing to leave.
    pub fn leave(&mut self, now: Now) -> bool {
        let (Some(own), Some(myself)) = (self.own_claim(), self.me.uri.take()) else {
            return false;
        };
        // What has not been sent yet would say that the local node is there.
        self.output.datagrams.clear();
        let mut turn = Turn::new(self, now);
        let trailer = turn.trailer();
        let claim = own.with(Status::Left);
        let (payload, ttl) = (turn.swim.me.payload.clone(), turn.rumor_limit());
        let live = turn.live_others(&myself);
        // Twice, since a datagram may be lost: the local node will not be there to be asked again.
        for _ in 0..2 {
            for to in &live {
                let (limit, _in_pieces) = turn.capacities_of_path(to);
                let mut draft = MessageBuilder::leave(&myself, limit).trailed_by(&trailer);
                // Rather without the payload than not at all.
                if draft.event(&myself, claim, Some(&payload), ttl)
                    || draft.event(&myself, claim, None, ttl)
                {
                    turn.send(MessageType::Leave, draft, to);
                }
            }
        }
        let occasion = turn.occasion(&Reason::Left);
        self.me.former = Some((myself.clone(), own.incarnation));
        self.members.clear(myself, own, &occasion);
        self.rumors.clear();
        self.detector.clear();
        self.detector.duplicates.begin(now);
        self.timers = Timers::default();
        self.anti_entropy = AntiEntropy::default();
        self.security.sessions.clear();
        self.security.amplification.clear();
        self.security.key_survey.clear();
        self.me.application = Application::default();
        true
    }

    /// Replaces the local payload: a MessagePack map or array. One that means the same changes nothing.
    pub fn set_payload(&mut self, bytes: &[u8], now: Now) -> Result<(), Refused> {
        let Some(own) = self.own_claim() else {
            return Err(Refused::NotInitialized);
        };
        let payload = Payload::new(bytes);
        if payload.as_ref() == Ok(&self.me.payload) {
            return Ok(());
        }
        let (size, limit) = (bytes.len(), self.payload_limit());
        if size > limit {
            return Err(Refused::PayloadTooLarge { size, limit });
        }
        let payload = payload.map_err(Refused::PayloadUnfit)?;
        let incarnation = own.incarnation.next();
        if incarnation == own.incarnation {
            return Err(Refused::Exhausted);
        }
        self.me.payload = payload;
        Turn::new(self, now).announce(Claim { incarnation, ..own }, &Reason::PayloadSet);
        Ok(())
    }

    /// A process before this one was `uri` at this incarnation. If the local node becomes that, it goes on counting.
    pub fn resume(&mut self, uri: Uri, incarnation: Incarnation) {
        if self.me.uri.is_some() {
            return;
        }
        if let Some((former, later)) = &self.me.former
            && *former == uri
            && *later >= incarnation
        {
            return;
        }
        self.me.former = Some((uri, incarnation));
    }

    /// Looks for members of a former life: pings them until they answer. Those that do not are forgotten.
    pub fn look_for(&mut self, candidates: impl IntoIterator<Item = Uri>) {
        for uri in candidates {
            if !self.me.is(&uri) && self.members.get(&uri).is_none() && self.refusal(&uri).is_none()
            {
                self.detector.candidates.add(uri);
            }
        }
    }

    /// Adds a member, by hearsay: it is taken for alive until it shows otherwise. One that is not allowed is not: see
    /// [`Self::refusal`].
    pub fn add_member(&mut self, uri: Uri, now: Now) {
        self.try_again(&uri);
        let mut turn = Turn::new(self, now);
        turn.restore(&uri, &Reason::Added);
        turn.swim.members.acquaint(&uri, Acquaintance::Known);
        let claim = match turn.swim.members.claim(&uri) {
            None => Claim::alive(Incarnation::FIRST),
            Some(left) if left.status == Status::Left => Claim::alive(left.incarnation.next()),
            Some(_known) => return,
        };
        turn.apply(&Event::local(&uri, claim), &Reason::Added);
        turn.swim.members.acquaint(&uri, Acquaintance::Known);
        if let Some(myself) = &turn.swim.me.uri
            && *myself != uri
        {
            turn.push_to(&uri);
            turn.sync_with(&uri);
        }
    }

    /// Declares a member gone for good. False if it is unknown, or has left already.
    ///
    /// One that is there after all contradicts this as soon as it hears of it.
    pub fn mark_left(&mut self, uri: &str, now: Now) -> bool {
        let Some(member) = self.members.get(uri) else {
            return false;
        };
        if member.claim.status == Status::Left || self.me.uri.is_none() {
            return false;
        }
        let (uri, claim) = (member.uri.clone(), member.claim.with(Status::Left));
        Turn::new(self, now).apply(&Event::local(&uri, claim), &Reason::Marked);
        self.timers.set(Timer::Gossip, now.monotonic);
        true
    }

    /// Remembers of the members that are not `allowed` only those that are there: none that is
    /// suspect, dead or has left; and none at all if that `is_strict`. Forgets them all now. With none allowed, all are.
    pub fn set_allowed_members(&mut self, allowed: Vec<Uri>, is_strict: bool, now: Now) {
        self.allowed = AllowList::new(allowed, is_strict, self.members.hash_key());
        let mut restricted = Vec::new();
        for member in self.members.from(0) {
            if self.allowed.restricts(&member.uri) {
                restricted.push(member.uri.clone());
            }
        }
        for uri in restricted {
            Turn::new(self, now).forget_member(&uri, &Reason::NotAllowed);
        }
    }

    /// Forgets a member, here only: it comes back with the next that is heard of it. Never the local
    /// node.
    pub fn remove_member(&mut self, uri: &str, now: Now) {
        Turn::new(self, now).forget_member(uri, &Reason::Removed);
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
        let mut turn = Turn::new(self, now);
        turn.restore(uri, &Reason::Generated);
        let incarnation = match (incarnation, turn.swim.members.claim(uri)) {
            (Some(incarnation), _) => incarnation,
            (None, Some(known)) => known.incarnation,
            (None, None) => Incarnation::FIRST,
        };
        let claim = Claim {
            incarnation,
            status,
        };
        let event = Event {
            uri: uri.into(),
            claim,
            payload,
            ttl: 0.0,
            reads_short: false,
        };
        turn.apply(&event, &Reason::Generated);
    }

    /// Pings `uri`, known or not, once. It joins the group if it answers. Then it also knows the payload
    /// that the local node has now.
    pub fn probe(&mut self, uri: &Uri, now: Now) -> Result<PingId, Refused> {
        if self.me.uri.is_none() {
            return Err(Refused::NotInitialized);
        }
        if let Some(refused) = self.refusal(uri) {
            return Err(refused);
        }
        self.try_again(uri);
        let mut turn = Turn::new(self, now);
        let question = turn.question(uri);
        turn.ask_in_full(&question);
        Ok(self.detector.app_pings.remember(question))
    }

    /// Forgets a ping: its outcome is not waited for any more.
    pub fn forget_probe(&mut self, ticket: PingId) {
        self.detector.app_pings.forget(ticket);
    }

    /// The application does not respond, or does so again.
    ///
    /// The local node answers pings while it hangs, but is of no use to its group. So it announces
    /// itself as suspect and does not refute that: the others will declare it dead when their timeout
    /// ends.
    pub fn set_stalled(&mut self, stalled: bool, now: Now) {
        let Some(own) = self.own_claim() else { return };
        match (self.me.application, stalled) {
            (Application::Running, true) => {
                self.stats.stalls += 1;
                self.me.application = Application::Stalled(own.incarnation);
                Turn::new(self, now).suspect_self(&Reason::Stalled);
            }
            (Application::Stalled(rumored), false) => {
                self.me.application = Application::Running;
                self.stats.refutations += 1;
                Turn::new(self, now).refute(rumored, &Reason::Resumed);
            }
            (Application::Running, false) | (Application::Stalled(_), true) => {}
        }
    }

    /// Goes on as another process that has forked off: what must not be used twice is drawn anew.
    pub fn reseed_after_fork(&mut self, seed: impl Into<Seed>) {
        self.rng = seed.into().rng();
        self.security.reseed(&mut self.rng, self.members.hash_key());
    }

    /// A PING for an address where no member is known: its recipient takes it for one to be forwarded, to
    /// the local node, and so pings that. `None` before [`Swim::init`].
    pub fn broadcast_ping(&mut self, now: Now) -> Option<Vec<u8>> {
        let myself = self.me.uri.clone()?;
        let data = ping_data(now.wall.0, &myself, &myself, None);
        let capacity = self.datagram_capacity();
        let mut turn = Turn::new(self, now);
        let draft = MessageBuilder::with_data(MessageType::Ping, &myself, &data, capacity);
        let mut draft = draft.trailed_by(&turn.trailer());
        let limit = turn.rumor_limit();
        turn.tell_of_myself(&mut draft, &myself, limit);
        let plain = draft.finish()?;
        turn.swim.security.sessions.note_broadcast(&myself, now);
        Some(turn.seal_for(&myself, plain))
    }

    /// Takes up what is known of other members, as if all had known it for long: nothing is passed on.
    ///
    /// For simulations and benches, where 10,000 members are not to meet one by one.
    pub fn recall(&mut self, members: impl Iterator<Item = Preloaded> + Clone, now: Now) {
        self.members.preload(members, now);
        self.rumors.clear();
    }

    /// Whether the application is to read its clock, and call [`Self::note_clock`]. Says so once.
    pub fn poll_clock_request(&mut self) -> bool {
        self.detector.clock_reading.take_request()
    }

    /// The application has read its clock, which shows `now.wall`.
    pub fn note_clock(&mut self, now: Now) {
        self.detector.clock_reading.set_read(Some(now.monotonic));
        Turn::new(self, now).answer_waiting();
    }

    /// The application does not read its clock any more.
    pub fn forget_clock(&mut self, now: Now) {
        self.detector.clock_reading.set_read(None);
        Turn::new(self, now).answer_waiting();
    }

    /// A user wants this member: whether it leads elsewhere is to be found out anew.
    fn try_again(&mut self, uri: &Uri) {
        self.security.elsewhere.forget(uri);
    }
}
