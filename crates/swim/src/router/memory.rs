//! What is remembered over a restart, and what is done with it.

use super::Turn;
use crate::Swim;
use crate::detector::candidates::{Memory, Worth};
use crate::identity::uri::Uri;
use crate::security::acquaintance::Acquaintance;
use crate::table::claim::{Incarnation, Status};
use crate::table::member::Member;
use crate::time::Micros;

impl Swim {
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

    /// What is to be remembered of the members from number `start` on, at most so many. A member that
    /// only strangers have mentioned is left out.
    pub fn memories(&self, start: usize, count: usize) -> Vec<Memory> {
        let mut memories = Vec::new();
        for member in self.members.from(start).take(count) {
            if let Some(worth) = self.worth(member) {
                let uri = member.uri.clone();
                memories.push(Memory { worth, uri });
            }
        }
        memories
    }

    /// The members of a former life that have not answered yet.
    pub fn candidates(&self) -> Vec<Memory> {
        let mut memories = Vec::new();
        for uri in self.detector.candidates.iter() {
            memories.push(Memory {
                worth: Worth::Candidate,
                uri: uri.clone(),
            });
        }
        memories
    }

    fn worth(&self, member: &Member) -> Option<Worth> {
        let is_of_strangers = !member.has_answered && member.acquaintance == Acquaintance::Stranger;
        if self.me.is(&member.uri) || is_of_strangers {
            return None;
        }
        match member.claim.status {
            Status::Left => None,
            Status::Dead | Status::NonDecryptable => Some(Worth::Gone),
            Status::Alive | Status::Suspect => Some(match member.evidence.answered() {
                Micros(0) => Worth::Told,
                answered => Worth::Heard(answered),
            }),
        }
    }
}

impl Turn<'_> {
    /// Pings some of the members of a former life that have not answered yet.
    pub(super) fn ask_candidates(&mut self) {
        if self.swim.detector.candidates.is_empty() {
            return;
        }
        let Swim {
            me,
            members,
            detector,
            ..
        } = &mut *self.swim;
        let is_settled = |uri: &Uri| me.is(uri) || members.get(uri).is_some();
        detector.candidates.remove_if(is_settled);
        let in_company = members.live().len() > 1;
        for uri in detector.candidates.take_due(in_company, self.now.monotonic) {
            let question = self.question(&uri);
            self.ask_in_full(&question);
        }
    }
}
