//! Whose word counts for what. A claim that the member could not contradict is not taken from others.
//!
//! A member contradicts a false claim with a higher incarnation, and incarnations end. So:
//!
//! - Of a member that is there, an incarnation far beyond the one that is held is believed from itself
//!   only. From another it is a reason to ping the member, which then speaks for itself.
//! - The member's own word also counts if it is far below what is held: nobody else can have said that,
//!   and it has counted from the start again, or was never there.
//! - The local node does not follow to where there are few incarnations left.
//! - At the last incarnation nothing contradicts a suspicion or a death but an answer to a ping. They
//!   are believed, the member is pinged at once, and if it answers it is alive again.
//!
//! Without authentication a sender can be anybody, the member included. What it says in the member's
//! name lasts until the member speaks, or is found not to answer.

use core::time::Duration;
use std::collections::VecDeque;

use crate::Swim;
use crate::detector::question::Question;
use crate::identity::uri::Uri;
use crate::table::claim::{Claim, Status};
use crate::table::members::admit;
use crate::time::Now;
use crate::wire::{Event, PingData};

/// How far a member may be ahead of what is known of it. It raises its incarnation by one for each
/// payload and each refutation: this is a change a second, missed for eleven days.
pub const LEAP_MAX: u64 = 1_000_000;

/// For how long an answer to a ping outweighs what others say at the last incarnation: longer than
/// what they say takes to die out.
const TRUST: Duration = Duration::from_secs(3);

/// How many pings to such members are remembered; beyond, the oldest are forgotten.
const CHECKS_MAX: usize = 64;

/// The pings of this period by which members are asked whether what others say of them can be so.
#[derive(Debug, Default)]
pub struct Checks(VecDeque<Question>);

impl Checks {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Question> {
        self.0.iter()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// An answer came: says whether it is to one of them.
    pub fn hear_answer(&mut self, echo: &PingData<'_>) -> bool {
        let before = self.0.len();
        self.0.retain(|question| !question.is_answered_by(echo));
        self.0.len() < before
    }
}

impl Swim {
    /// Whether an event that `sender` tells is to be heard. Does what is to be done if it is not.
    pub(crate) fn is_credible(&mut self, sender: &Uri, event: &Event<'_>, now: Now) -> bool {
        if self.myself.as_deref() == Some(event.uri) {
            self.can_follow(event.claim, now)
        } else if *event.uri == **sender {
            !self.takes_word(event, now)
        } else {
            self.can_be_told_by_others(event, now)
        }
    }

    /// Whether the local node can go on counting beyond what is claimed of it. If it cannot, it tells
    /// the sender, and everybody, where it is.
    fn can_follow(&mut self, claim: Claim, now: Now) -> bool {
        let (Some(own), Some(myself)) = (self.own_claim(), self.myself.clone()) else {
            return true;
        };
        let leaps = own.incarnation.leaps_to(claim.incarnation, LEAP_MAX);
        if !leaps || !claim.incarnation.is_among_the_last() {
            return true;
        }
        if let Some(place) = self.members.place_of(&myself) {
            self.enqueue_rumor(place, now);
        }
        self.owes_word = true;
        false
    }

    /// Whether what another than the member says of it may be believed. If not at once, the member is
    /// asked.
    fn can_be_told_by_others(&mut self, event: &Event<'_>, now: Now) -> bool {
        let Event { uri, claim, .. } = *event;
        let Some(member) = self.members.get(uri) else {
            return true;
        };
        let held = member.claim;
        let leaps = held.incarnation.leaps_to(claim.incarnation, LEAP_MAX);
        if held.status.is_live() && leaps {
            self.check(uri, now);
            return false;
        }
        if !claim.incarnation.is_last() || !claim.overrides(Some(held)) {
            return true;
        }
        let silence = member.evidence.silence(now.monotonic);
        let has_just_answered = silence.is_some_and(|silence| silence < TRUST);
        if !has_just_answered {
            self.check(uri, now);
        }
        !has_just_answered
    }

    /// Pings `uri`, to hear from itself what others say of it; once a period.
    fn check(&mut self, uri: &str, now: Now) {
        let asked = self.prober.checks.iter().any(|check| *check.dst == *uri);
        let (Some(dst), false) = (Uri::from_wire(uri), asked) else {
            return;
        };
        let question = self.question(&dst, now);
        self.because_of_others(|swim| swim.ask(&question, &dst));
        let checks = &mut self.prober.checks.0;
        if checks.len() == CHECKS_MAX {
            checks.pop_front();
        }
        checks.push_back(question);
    }

    /// Whether the member says of itself what is far below what is held of it, and is believed at once:
    /// what is held was never so, or in a former life.
    fn takes_word(&mut self, event: &Event<'_>, now: Now) -> bool {
        let held = self.members.claim(event.uri);
        let far_below = |held: &Claim| event.claim.incarnation.leaps_to(held.incarnation, LEAP_MAX);
        let (Some(held), true) = (held.filter(far_below), event.claim.status.is_live()) else {
            return false;
        };
        let event = &self.without_oversized_payload(event);
        let uri = Uri::from_wire(event.uri).expect("checked when decoded");
        let payload = admit(event.payload, None);
        let place = self.members.put(&uri, event.claim, payload, now.wall);
        self.follow(place, Some(held), event.claim, now);
        true
    }

    /// A member at the last incarnation has answered: that contradicts what is held of it.
    pub(crate) fn revive(&mut self, uri: &str, now: Now) {
        let Some(member) = self.members.get(uri) else {
            return;
        };
        let (uri, held) = (member.uri.clone(), member.claim);
        if !held.incarnation.is_last() || self.myself.as_ref() == Some(&uri) {
            return;
        }
        if let Some(evidence) = self.members.evidence(&uri) {
            evidence.note_sign_of_life(now.monotonic);
        }
        if held.status == Status::Alive {
            return;
        }
        let claim = held.with(Status::Alive);
        let place = self.members.put(&uri, claim, None, now.wall);
        // Others find out for themselves: none of them would take it for news.
        self.rumors.stop(&uri);
        self.watch_suspicion(place, Some(held), claim, now);
        self.watch_departure(place, claim.status, now);
        self.end_hearing(None, now);
    }
}
