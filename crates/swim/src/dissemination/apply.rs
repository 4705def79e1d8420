//! What to make of an event (§4.2): about others it is believed or not, about oneself refuted.

use core::time::Duration;

use crate::Swim;
use crate::detector::self_check::Application;
use crate::identity::uri::Uri;
use crate::log_event::LogEvent;
use crate::table::claim::{Claim, Incarnation, Status};
use crate::table::member::Member;
use crate::table::members::{Applied, MemberIndex};
use crate::table::payload::check;
use crate::time::Now;
use crate::timers::Timer;
use crate::wire::Event;

/// What surrounds URIs and payload in a datagram with a single record or event, in bytes: heads,
/// status, incarnation, and the longest trailer that comes with records.
const RECORD_OVERHEAD: usize = 126;

/// How often I contradict who shows the same payload as mine. Should a peer be unable to repeat my
/// payload as it is, we would go on for ever.
const CONTRADICTIONS_MAX: u32 = 8;

/// Of how many members at a time a suspicion ripens, or the tombstone is set: the engine holds the lock
/// meanwhile. Strangers can have thousands fall due at once.
pub(crate) const RIPE_MAX: usize = 64;

/// How long the others wait for their turn.
pub(crate) const RIPE_PAUSE: Duration = Duration::from_millis(1);

impl Swim {
    /// Hears an event.
    pub(crate) fn apply(&mut self, event: &Event<'_>, now: Now) {
        let wrong = self.apply_one(event, now);
        self.end_hearing(wrong, now);
    }

    /// Hears the events of one datagram of `sender`, as far as its word counts.
    pub(crate) fn apply_all(&mut self, sender: &Uri, events: &[Event<'_>], now: Now) {
        let mut wrong = None;
        for event in events {
            if self.is_credible(sender, event, now) {
                wrong = wrong.max(self.apply_one(event, now));
            }
        }
        self.end_hearing(wrong, now);
    }

    /// Does what remains to be done once for all that was heard from one datagram. `wrong` is what it
    /// says of me that is to be refuted, at the highest incarnation.
    pub(crate) fn end_hearing(&mut self, wrong: Option<Claim>, now: Now) {
        self.contradict(wrong, now);
        self.watch_oldest_suspicion(now);
        self.watch_oldest_departure(now);
    }

    /// Hears an event, or a record of somebody's table: both are treated alike. Returns what it says of
    /// me, if that is to be refuted. [`Self::end_hearing`] is to follow.
    pub(crate) fn apply_one(&mut self, event: &Event<'_>, now: Now) -> Option<Claim> {
        let event = &self.without_oversized_payload(event);
        if self.myself.as_deref() == Some(event.uri) {
            return self.apply_about_self(event);
        }
        if self.is_unwanted(event.uri, event.claim.status) {
            self.forget_unwanted(event, now);
            return None;
        }
        let capacity = self.config.max_members;
        let mut heard = self.members.apply(event, now.wall, capacity);
        // One that is not live would only take the place of another: two full tables would tell each
        // other of theirs for ever.
        if heard == Applied::Refused && event.claim.status.is_live() && self.make_room() {
            heard = self.members.apply(event, now.wall, capacity);
        }
        match heard {
            Applied::News { place, before } => self.follow(place, before, event.claim, now),
            Applied::Payload { place } => self.enqueue_rumor(place, now),
            Applied::Stale => {}
            Applied::Refused => self.stats.members_refused += 1,
        }
        None
    }

    /// What follows from news that is in the table.
    pub(crate) fn follow(
        &mut self,
        place: MemberIndex,
        before: Option<Claim>,
        claim: Claim,
        now: Now,
    ) {
        self.watch_suspicion(place, before, claim, now);
        self.watch_departure(place, claim.status, now);
        self.enqueue_rumor(place, now);
    }

    /// The event, without its payload if that is not to be taken in, which is counted.
    ///
    /// That is one that could harm a program that reads it, and one that no datagram of mine could hold
    /// together with the event: the rest would wait for room for ever, and keep other news from spreading.
    pub(crate) fn without_oversized_payload<'a>(&mut self, event: &Event<'a>) -> Event<'a> {
        let uris = event.uri.len() + self.myself.as_ref().map_or(0, |myself| myself.len());
        let room = self
            .datagram_capacity()
            .saturating_sub(uris + RECORD_OVERHEAD + self.label_size());
        let known = self.members.get(event.uri);
        let known = known.and_then(|member| member.payload.as_ref());
        let refused = &mut self.stats.payloads_refused;
        let payload = event.payload.filter(|payload| {
            if payload.len() > room {
                refused.too_large += 1;
                return false;
            }
            // What is known has been checked.
            if known.is_some_and(|known| known.bytes() == *payload) {
                return true;
            }
            let flaw = check(payload).err();
            flaw.iter()
                .for_each(|flaw| refused.unfit[flaw.why.index()] += 1);
            flaw.is_none()
        });
        Event { payload, ..*event }
    }

    /// Somebody who is not allowed is no longer there: others are told, and it is forgotten.
    // Of one who is forgotten already nothing is to be told: others will go on about him for a while.
    fn forget_unwanted(&mut self, event: &Event<'_>, now: Now) {
        let Some(member) = self.members.get(event.uri) else {
            return;
        };
        if event.claim.overrides(Some(member.claim)) {
            let (uri, payload) = (member.uri.clone(), member.current_payload().cloned());
            self.report(LogEvent::Unwanted {
                uri: uri.clone(),
                status: event.claim.status,
            });
            self.remove_member(&uri);
            self.rumors.start(&uri, event.claim, payload);
            self.timers.advance(Timer::Gossip, now.monotonic);
        }
    }

    pub(crate) fn watch_suspicion(
        &mut self,
        place: MemberIndex,
        before: Option<Claim>,
        after: Claim,
        now: Now,
    ) {
        if before.is_some_and(|before| before.status == Status::Suspect) {
            self.members.suspicions.stop(place);
            self.stats.suspicions_refuted += u64::from(after.status == Status::Alive);
        }
        if after.status == Status::Suspect {
            self.members.suspicions.start(place, now.monotonic);
        }
    }

    /// Waits for the suspicion that ripens first.
    pub(crate) fn watch_oldest_suspicion(&mut self, now: Now) {
        let next = self.members.suspicions.next(self.config.suspect_timeout);
        // A deadline in the past would look like a pause of this process.
        let next = next.map(|next| next.max(now.monotonic));
        self.timers.set_to(Timer::Suspicion, next);
    }

    /// Calls those dead whose suspicion has ripened, or the first of them.
    pub(crate) fn expire_suspicions(&mut self, now: Now) {
        let timeout = self.config.suspect_timeout;
        for _ in 0..RIPE_MAX {
            let Some(place) = self.members.suspicions.pop_expired(timeout, now.monotonic) else {
                return self.watch_oldest_suspicion(now);
            };
            let Member { uri, claim, .. } = self.members.at(place);
            let (uri, claim) = (uri.clone(), *claim);
            if claim.status == Status::Suspect {
                self.stats.suspicions_ripened += 1;
                self.report(LogEvent::TimedOut { uri: uri.clone() });
                self.bury_one(&uri, claim, now);
            }
        }
        self.timers
            .set(Timer::Suspicion, now.monotonic + RIPE_PAUSE);
    }

    fn bury_one(&mut self, uri: &Uri, suspicion: Claim, now: Now) {
        let death = Event {
            uri,
            claim: suspicion.with(Status::Dead),
            payload: None,
            ttl: 0.0,
        };
        self.apply(&death, now);
        self.withhold_if_isolated(uri);
        // One who is buried alive is to hear of it at once, and refute.
        if !self.isolation.is_isolated() {
            self.push_to(uri);
        }
    }

    /// What is said of me, if it is wrong and would be believed.
    fn apply_about_self(&mut self, event: &Event<'_>) -> Option<Claim> {
        let own = self.own_claim()?;
        let Claim {
            incarnation,
            status,
        } = event.claim;
        if incarnation < own.incarnation {
            return None;
        }
        if let Application::Stalled(rumored) = &mut self.application {
            *rumored = incarnation.max(*rumored);
            return None;
        }
        let same = status == Status::Alive && incarnation == own.incarnation;
        if same && !self.conflicts_with_own_payload(event) {
            return None;
        }
        Some(event.claim)
    }

    /// Contradicts what is said of me, if it is `wrong`.
    fn contradict(&mut self, wrong: Option<Claim>, now: Now) {
        let Some(Claim {
            incarnation,
            status,
        }) = wrong
        else {
            return;
        };
        if status != Status::Alive {
            self.report(LogEvent::Refuted { rumor: status });
            self.stats.refutations += 1;
        }
        self.refute(incarnation, now);
        self.refuted = true;
    }

    /// Whether a peer shows at my incarnation a payload that I don't have: I was here before, counted
    /// up to the same number, and died too quickly for anybody to notice.
    fn conflicts_with_own_payload(&mut self, event: &Event<'_>) -> bool {
        let other = event.payload.and_then(|said| self.payload.differs(said));
        let Some(other) = other else {
            return false;
        };
        // More than once, for different peers may remember it at different incarnations.
        let dispute = (other, self.payload.semantic_hash());
        let (last, times) = self.disputed;
        let times = if last == dispute { times } else { 0 };
        self.disputed = (dispute, times.saturating_add(1));
        times < CONTRADICTIONS_MAX
    }

    /// Announces that I am alive, in a way that beats what was claimed at `rumored`.
    pub(crate) fn refute(&mut self, rumored: Incarnation, now: Now) {
        let Some(own) = self.own_claim() else { return };
        self.announce(Claim::alive(own.incarnation.beating(rumored)), now);
        self.hurry_push(now);
    }

    /// Says that I am suspect myself: my own address does not answer me, or my application hangs.
    // At the last incarnation nothing could take it back.
    pub(crate) fn suspect_self(&mut self, now: Now) {
        if let Some(own) = self.own_claim().filter(|own| !own.incarnation.is_last()) {
            self.announce(own.with(Status::Suspect), now);
        }
    }

    /// My own address has answered me.
    pub(crate) fn clear_self_suspicion(&mut self, now: Now) {
        let own = self.own_claim().filter(|own| own.status != Status::Alive);
        if let (Some(own), Application::Running) = (own, self.application) {
            self.refute(own.incarnation, now);
        }
    }

    /// Makes a claim about myself, and spreads it.
    pub(crate) fn announce(&mut self, claim: Claim, now: Now) {
        let Some(myself) = self.myself.clone() else {
            return;
        };
        let payload = Some(self.payload.clone());
        let place = self.members.put(&myself, claim, payload, now.wall);
        self.enqueue_rumor(place, now);
    }

    /// Whether `uri` is held to be alive.
    pub(crate) fn is_alive(&self, uri: Option<&str>) -> bool {
        let claim = uri.and_then(|uri| self.members.claim(uri));
        claim.is_some_and(|claim| claim.status == Status::Alive)
    }

    /// What I say of myself.
    pub(crate) fn own_claim(&self) -> Option<Claim> {
        self.members.claim(self.myself.as_deref()?)
    }
}
