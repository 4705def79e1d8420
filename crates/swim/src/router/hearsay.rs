//! Which events of a peer are applied: not all that it says of others can be believed
//! ([`crate::dissemination::hearsay`]).

use super::Turn;
use crate::dissemination::hearsay::{self, Verdict};
use crate::identity::uri::Uri;
use crate::router::apply::Reaction;
use crate::table::claim::Claim;
use crate::table::member::admit;
use crate::wire::Event;

impl Turn<'_> {
    /// Hears the events of one datagram of `sender`, as far as its word counts.
    pub(super) fn apply_all(&mut self, sender: &Uri, events: &[Event<'_>], rx: &mut Reaction) {
        let mut wrong = None;
        for event in events {
            if self.is_credible(sender, event, rx) {
                wrong = wrong.max(self.apply_one(event));
            }
        }
        self.end_hearing(wrong, rx);
    }

    /// Whether an event that `sender` tells is to be applied. Does what is to be done if it is not.
    pub(super) fn is_credible(
        &mut self,
        sender: &Uri,
        event: &Event<'_>,
        rx: &mut Reaction,
    ) -> bool {
        if self.swim.me.is(&event.uri) {
            self.can_follow(event.claim, rx)
        } else if *event.uri == **sender {
            !self.takes_word(event)
        } else {
            self.can_be_told_by_others(event)
        }
    }

    /// Whether the local node can go on counting beyond what is claimed of it. If it cannot, it tells
    /// the sender, and all members, where it is.
    fn can_follow(&mut self, claimed: Claim, rx: &mut Reaction) -> bool {
        let (Some(own), Some(myself)) = (self.swim.own_claim(), self.swim.me.uri.clone()) else {
            return true;
        };
        if hearsay::can_follow(own, claimed) {
            return true;
        }
        if let Some(place) = self.swim.members.place_of(&myself) {
            self.enqueue_rumor(place);
        }
        rx.owes_word = true;
        false
    }

    /// Whether what another than the member says of it may be believed. If not at once, the member is
    /// asked.
    fn can_be_told_by_others(&mut self, event: &Event<'_>) -> bool {
        let Some(member) = self.swim.members.get(&event.uri) else {
            return true;
        };
        let verdict = hearsay::verdict_on(member, event.claim, self.now);
        if matches!(verdict, Verdict::Checked | Verdict::BelievedAndChecked) {
            self.check(&event.uri);
        }
        matches!(verdict, Verdict::Believed | Verdict::BelievedAndChecked)
    }

    /// Pings `uri`, to hear from itself what others say of it; once a period.
    pub(super) fn check(&mut self, uri: &str) {
        let asked = self.swim.detector.prober.checks.asks(uri);
        let (Some(dst), false) = (Uri::from_wire(uri), asked) else {
            return;
        };
        let question = self.question(&dst);
        // A sender can make it up for as many members as a datagram holds: they are not to be pinged
        // without limit.
        self.because_of_others().ask(&question, &dst);
        self.swim.detector.prober.checks.push(question);
    }

    /// Takes the member's own word, if that is far below what is held of it.
    fn takes_word(&mut self, event: &Event<'_>) -> bool {
        let Some(held) = self.swim.members.claim(&event.uri) else {
            return false;
        };
        if !hearsay::is_far_below(event.claim, held) {
            return false;
        }
        let event = &self.without_oversized_payload(event);
        let uri = event.uri.to_uri();
        // What was held, with its payload, was of a former life or never so.
        let payload = admit(event.payload, None);
        let place = self
            .swim
            .members
            .put(&uri, event.claim, payload, self.now.wall);
        self.follow(place, Some(held), event.claim);
        true
    }
}
