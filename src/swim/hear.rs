//! What to make of an event (§4.2): about others it is believed or not, about oneself refuted.

use super::Swim;
use super::claim::{Claim, Incarnation, Status};
use super::members::Heard;
use super::pause::Application;
use super::payload::check;
use super::report::Report;
use super::time::Now;
use super::timers::Timer;
use super::uri::Uri;
use super::wire::Event;

/// What surrounds URIs and payload in a datagram with a single record or event, in bytes: heads,
/// status, incarnation, and the longest trailer that comes with records.
const RECORD_OVERHEAD: usize = 126;

/// How often I contradict who shows the same payload as mine. Should a peer be unable to repeat my
/// payload as it is, we would go on for ever.
const CONTRADICTIONS_MAX: u32 = 8;

impl Swim {
    /// Hears an event, or a record of somebody's table: both are treated alike.
    pub(super) fn hear(&mut self, event: &Event<'_>, now: Now) {
        if self.myself.as_deref() == Some(event.uri) {
            return self.hear_about_myself(event, now);
        }
        if !event.claim.is_refutable() {
            return;
        }
        if self.is_unwanted(event.uri, event.claim.status) {
            return self.forget_unwanted(event, now);
        }
        let event = &self.portable(event);
        match self.members.hear(event, now.wall, self.config.max_members) {
            Heard::News { before } => {
                self.watch_suspicion(event, before, now);
                self.watch_departure(event, now);
                self.spread(event.uri, now);
            }
            Heard::Payload => self.spread(event.uri, now),
            Heard::Stale => {}
            Heard::Refused => self.stats.members_refused += 1,
        }
    }

    /// The event, without its payload if that is not to be taken in, which is counted.
    ///
    /// That is one that could harm a program that reads it, and one that no datagram of mine could hold
    /// together with the event: the rest would wait for room for ever, and keep other news from spreading.
    pub(super) fn portable<'a>(&mut self, event: &Event<'a>) -> Event<'a> {
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
            self.report(Report::Unwanted {
                uri: uri.clone(),
                status: event.claim.status,
            });
            self.remove_member(&uri);
            self.rumors.start(&uri, event.claim, payload);
            self.timers.advance(Timer::Gossip, now.monotonic);
        }
    }

    fn watch_suspicion(&mut self, event: &Event<'_>, before: Option<Claim>, now: Now) {
        let Event { uri, claim, .. } = *event;
        let was_suspect = before.is_some_and(|before| before.status == Status::Suspect);
        if was_suspect {
            self.suspicions.stop(uri);
            self.stats.suspicions_refuted += u64::from(claim.status == Status::Alive);
        }
        if claim.status == Status::Suspect {
            let uri = Uri::from_wire(uri).expect("checked when decoded");
            self.suspicions.start(&uri, now.monotonic);
        }
        self.watch_oldest_suspicion();
    }

    /// Waits for the suspicion that ripens first.
    pub(super) fn watch_oldest_suspicion(&mut self) {
        let next = self.suspicions.next(self.config.suspect_timeout);
        self.timers.set_to(Timer::Suspicion, next);
    }

    /// Calls those dead whose suspicion has ripened.
    pub(super) fn bury(&mut self, now: Now) {
        while let Some(uri) = self
            .suspicions
            .pop_ripe(self.config.suspect_timeout, now.monotonic)
        {
            let Some(claim) = self
                .members
                .claim(&uri)
                .filter(|c| c.status == Status::Suspect)
            else {
                continue;
            };
            self.stats.suspicions_ripened += 1;
            self.report(Report::TimedOut { uri: uri.clone() });
            self.hear(
                &Event {
                    uri: &uri,
                    claim: claim.with(Status::Dead),
                    payload: None,
                    ttl: 0.0,
                },
                now,
            );
            self.be_discreet(&uri);
            // One who is buried alive is to hear of it at once, and refute.
            if !self.hearing.is_deaf() {
                self.push_to(&uri);
            }
        }
        self.watch_oldest_suspicion();
    }

    /// Contradicts what is said of me, if it would be believed.
    fn hear_about_myself(&mut self, event: &Event<'_>, now: Now) {
        let Some(own) = self.own_claim() else { return };
        let Claim {
            incarnation,
            status,
        } = event.claim;
        if incarnation < own.incarnation {
            return;
        }
        if let Application::Stalled(rumored) = &mut self.application {
            *rumored = incarnation.max(*rumored);
            return;
        }
        if status != Status::Alive {
            self.report(Report::Refuted { rumor: status });
            self.stats.refutations += 1;
        } else if incarnation == own.incarnation && !self.remembers_another_life(event) {
            return;
        }
        self.be_alive_again(incarnation, now);
        self.refuted = true;
    }

    /// Whether a peer shows at my incarnation a payload that I don't have: I was here before, counted
    /// up to the same number, and died too quickly for anybody to notice.
    fn remembers_another_life(&mut self, event: &Event<'_>) -> bool {
        let Some(payload) = event.payload.filter(|payload| !self.payload.means(payload)) else {
            return false;
        };
        let Ok(said) = super::msgpack::meaning(payload) else {
            return false;
        };
        // More than once, for different peers may remember it at different incarnations.
        let dispute = (said, self.payload.meaning());
        let (last, times) = self.disputed;
        let times = if last == dispute { times } else { 0 };
        self.disputed = (dispute, times.saturating_add(1));
        times < CONTRADICTIONS_MAX
    }

    /// Announces that I am alive, in a way that beats what was claimed at `rumored`.
    pub(super) fn be_alive_again(&mut self, rumored: Incarnation, now: Now) {
        let Some(own) = self.own_claim() else { return };
        self.announce(Claim::alive(own.incarnation.beating(rumored)), now);
        self.hurry_push(now);
    }

    /// Says that I am suspect myself: my own address does not answer me, or my application hangs.
    // At the last incarnation nobody would believe it, and nothing could take it back.
    pub(super) fn doubt_myself(&mut self, now: Now) {
        let own = self.own_claim().map(|own| own.with(Status::Suspect));
        if let Some(doubt) = own.filter(|doubt| doubt.is_refutable()) {
            self.announce(doubt, now);
        }
    }

    /// My own address has answered me.
    pub(super) fn regain_confidence(&mut self, now: Now) {
        let own = self.own_claim().filter(|own| own.status != Status::Alive);
        if let (Some(own), Application::Running) = (own, self.application) {
            self.be_alive_again(own.incarnation, now);
        }
    }

    /// Makes a claim about myself, and spreads it.
    pub(super) fn announce(&mut self, claim: Claim, now: Now) {
        let Some(myself) = self.myself.clone() else {
            return;
        };
        self.members
            .put(&myself, claim, Some(self.payload.clone()), now.wall);
        self.spread(&myself, now);
    }

    /// Whether `uri` is held to be alive.
    pub(super) fn is_alive(&self, uri: Option<&str>) -> bool {
        let claim = uri.and_then(|uri| self.members.claim(uri));
        claim.is_some_and(|claim| claim.status == Status::Alive)
    }

    /// What I say of myself.
    pub(super) fn own_claim(&self) -> Option<Claim> {
        self.members.claim(self.myself.as_deref()?)
    }
}
