//! Which events of a peer are applied: not all that it says of others can be believed
//! ([`crate::dissemination::hearsay`]).

use super::Turn;
use crate::dissemination::hearsay::{self, Verdict};
use crate::identity::uri::Uri;
use crate::router::apply::Reaction;
use crate::table::claim::{Claim, Status};
use crate::table::member::admit;
use crate::table::reason::Reason;
use crate::wire::Event;

impl Turn<'_> {
    /// Hears the events of one datagram of `sender`, as far as its word counts.
    pub(super) fn apply_all(&mut self, sender: &Uri, events: &[Event<'_>], rx: &mut Reaction) {
        let (mut wrong, told) = (None, Reason::Told { by: sender.clone() });
        for event in events {
            if self.is_credible(sender, event, rx) {
                let reason = reason_for(event, sender, &told);
                wrong = wrong.max(self.apply_one(event, reason));
            }
        }
        self.end_hearing(wrong, Some(sender), rx);
    }

    /// Applies records of a peer's table, and says whether there was anything new among them.
    pub(super) fn apply_records(
        &mut self,
        partner: &Uri,
        records: &[Event<'_>],
        rx: &mut Reaction,
    ) -> bool {
        let before = self.swim.members.news();
        let (mut wrong, mut suspect) = (None, None);
        let told = Reason::Told {
            by: partner.clone(),
        };
        for record in records {
            if self.is_credible(partner, record, rx) {
                let reason = reason_for(record, partner, &told);
                wrong = wrong.max(self.apply_record(record, reason, &mut suspect));
            }
        }
        self.end_hearing(wrong, Some(partner), rx);
        // To tell each of them would be to answer one datagram with many. The others hear of it by
        // gossip, in hundredths of a second, and have seconds to refute it.
        if let Some(suspect) = suspect {
            self.push_to(&suspect);
        }
        self.swim.members.news() != before
    }

    /// Hears a record, which differs from an event in how it is to be passed on. Notes the first member
    /// that becomes a suspect, and returns what the record says of the local node, if that is to be
    /// refuted.
    fn apply_record(
        &mut self,
        record: &Event<'_>,
        reason: &Reason,
        suspect: &mut Option<Uri>,
    ) -> Option<Claim> {
        if self.takes_for_tombstone(record) {
            return None;
        }
        let held = self.swim.members.claim(&record.uri);
        let claim = match (record.claim.status, held) {
            // It was dead where the record comes from, which may have been cut off from it. If it
            // is alive, it is to have the time to say so.
            (Status::Dead, Some(held)) if held.status.is_live() => {
                record.claim.with(Status::Suspect)
            }
            _ => record.claim,
        };
        let news = claim.overrides(held);
        let wrong = self.apply_one(&Event { claim, ..*record }, reason);
        // A newcomer learns what all others know, and need not pass it on.
        if held.is_none() && self.swim.anti_entropy.digest.is_joining() {
            self.swim.rumors.stop(&record.uri);
        }
        if news && claim.status == Status::Suspect && suspect.is_none() {
            *suspect = Some(record.uri.to_uri());
        }
        wrong
    }

    /// Whether an event that `sender` tells is to be applied. Does what is to be done if it is not.
    fn is_credible(&mut self, sender: &Uri, event: &Event<'_>, rx: &mut Reaction) -> bool {
        if self.swim.me.is(&event.uri) {
            self.can_follow(event.claim, rx)
        } else if self.swim.me.is(sender) {
            // It knows what it says, and may have forgotten the member since.
            false
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
        let (since, occasion) = (self.now.wall, self.occasion(&Reason::Announced));
        let members = &mut self.swim.members;
        let place = members.put(&uri, event.claim, payload, since, &occasion);
        self.follow(place, Some(held), event.claim);
        true
    }
}

/// Why an event is applied that `sender` tells: it is `told`, unless it is of the sender itself.
fn reason_for<'r>(event: &Event<'_>, sender: &Uri, told: &'r Reason) -> &'r Reason {
    if *event.uri != **sender {
        told
    } else if event.claim.status == Status::Left {
        &Reason::Left
    } else {
        &Reason::Announced
    }
}
