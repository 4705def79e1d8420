//! Which claims are believed from which sender. One that the member could not contradict is believed from
//! itself only.
//!
//! A member contradicts a false claim with a higher incarnation, and incarnations end. So:
//!
//! - Of a member that is there, an incarnation far beyond the one that is held is believed from itself
//!   only. From another it is a reason to ping the member, which then speaks for itself.
//! - The member's own word also counts if it is far below what is held: no other can have said that,
//!   and it has counted from the start again, or was never there.
//! - The local node does not follow to where there are few incarnations left.
//! - At the last incarnation nothing contradicts a suspicion or a death but an answer to a ping. They
//!   are believed, the member is pinged at once, and if it answers it is alive again.
//!
//! Without authentication a sender can claim any URI, the member's included. What it says in the member's
//! name lasts until the member speaks, or is found not to answer.

use core::time::Duration;
use std::collections::VecDeque;

use crate::detector::question::Question;
use crate::table::claim::Claim;
use crate::table::member::Member;
use crate::time::Now;
use crate::wire::PingData;

/// How far a member may be ahead of what is known of it. It raises its incarnation by one for each
/// payload and each refutation: this is a change a second, missed for eleven days.
pub const LEAP_MAX: u64 = 1_000_000;

/// For how long an answer to a ping outweighs what others say at the last incarnation: longer than
/// what they say takes to die out.
const TRUST: Duration = Duration::from_secs(3);

/// How many pings to such members are remembered; beyond, the oldest are forgotten.
const CHECKS_MAX: usize = 64;

/// What to make of what another than the member says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is believed.
    Believed,
    /// It is believed, and the member is pinged: it cannot contradict otherwise.
    BelievedAndChecked,
    /// It is not believed, and the member is pinged, to speak for itself.
    Checked,
    /// It is not believed: the member has just answered.
    Disbelieved,
}

/// Whether what another than the `member` claims of it may be believed.
pub fn verdict_on(member: &Member, claim: Claim, now: Now) -> Verdict {
    let held = member.claim;
    let leaps = held.incarnation.leaps_to(claim.incarnation, LEAP_MAX);
    if held.status.is_live() && leaps {
        return Verdict::Checked;
    }
    if !claim.incarnation.is_last() || !claim.overrides(Some(held)) {
        return Verdict::Believed;
    }
    match member.evidence.silence(now.monotonic) {
        Some(silence) if silence < TRUST => Verdict::Disbelieved,
        _ => Verdict::BelievedAndChecked,
    }
}

/// Whether the member's `own` word is far below what is `held` of it, and is believed at once: what is
/// held was never so, or in a former life.
pub fn is_far_below(own: Claim, held: Claim) -> bool {
    own.status.is_live() && own.incarnation.leaps_to(held.incarnation, LEAP_MAX)
}

/// Whether the local node, whose claim is `own`, can go on counting beyond what is claimed of it.
pub fn can_follow(own: Claim, claimed: Claim) -> bool {
    let leaps = own.incarnation.leaps_to(claimed.incarnation, LEAP_MAX);
    !leaps || !claimed.incarnation.is_among_the_last()
}

/// The pings of this period by which members are asked whether what others say of them can be so.
#[derive(Debug, Default)]
pub struct Checks(VecDeque<Question>);

impl Checks {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Question> {
        self.0.iter()
    }

    /// Whether `uri` is asked already.
    pub fn asks(&self, uri: &str) -> bool {
        self.0.iter().any(|check| *check.dst == *uri)
    }

    /// Adds one; beyond 64, the oldest is forgotten.
    pub fn push(&mut self, question: Question) {
        if self.0.len() == CHECKS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(question);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::uri::Uri;
    use crate::table::claim::{Incarnation, Status};
    use crate::time::Micros;

    fn claim(incarnation: u64, status: Status) -> Claim {
        let incarnation = Incarnation::from_wire(incarnation).expect("admissible");
        Claim::alive(incarnation).with(status)
    }

    fn member(held: Claim) -> Member {
        Member::new(Uri::new("a", 1).expect("a URI"), held, Micros(0))
    }

    fn at(seconds: u64) -> Now {
        Now {
            monotonic: Micros(seconds * 1_000_000),
            ..Now::default()
        }
    }

    #[test]
    fn a_leap_of_a_live_member_is_believed_of_itself_alone() {
        let alive = member(claim(5, Status::Alive));
        let leap = claim(6 + LEAP_MAX, Status::Alive);
        assert_eq!(verdict_on(&alive, leap, at(1)), Verdict::Checked);
        let step = claim(5 + LEAP_MAX, Status::Dead);
        assert_eq!(verdict_on(&alive, step, at(1)), Verdict::Believed);
        let dead = member(claim(5, Status::Dead));
        assert_eq!(verdict_on(&dead, leap, at(1)), Verdict::Believed);
    }

    #[test]
    fn at_the_last_incarnation_an_answer_outweighs_what_others_say_for_a_while() {
        let (mut least, mut most) = (1, u64::MAX);
        while most - least > 1 {
            let middle = least.midpoint(most);
            match Incarnation::from_wire(middle) {
                Some(_) => least = middle,
                None => most = middle,
            }
        }
        let mut last = member(claim(least, Status::Alive));
        assert!(last.claim.incarnation.is_last());
        let death = last.claim.with(Status::Dead);
        assert_eq!(
            verdict_on(&last, death, at(1)),
            Verdict::BelievedAndChecked,
            "it has never answered"
        );
        last.evidence.note_sign_of_life(at(10).monotonic);
        assert_eq!(verdict_on(&last, death, at(12)), Verdict::Disbelieved);
        assert_eq!(
            verdict_on(&last, death, at(14)),
            Verdict::BelievedAndChecked
        );
    }

    #[test]
    fn its_own_word_counts_if_it_is_far_below_what_is_held_and_it_lives() {
        let held = claim(6 + LEAP_MAX, Status::Dead);
        assert!(is_far_below(claim(5, Status::Alive), held));
        assert!(is_far_below(claim(5, Status::Suspect), held));
        assert!(!is_far_below(claim(6, Status::Alive), held));
        assert!(
            !is_far_below(claim(5, Status::Dead), held),
            "it does not live"
        );
    }

    #[test]
    fn beyond_so_many_checks_the_oldest_is_forgotten_and_no_other() {
        let uri = |port: u16| Uri::new("a", port).expect("a URI");
        let mut checks = Checks::default();
        for port in (1..).take(CHECKS_MAX + 1) {
            checks.push(Question {
                dst: uri(port),
                ts: 1,
            });
        }
        assert_eq!(checks.iter().count(), CHECKS_MAX);
        assert!(!checks.asks(&uri(1)) && checks.asks(&uri(2)));
    }
}
