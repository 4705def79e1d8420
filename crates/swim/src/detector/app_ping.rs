//! Probes that users wait for: one ping, and whether it was answered.

use crate::detector::question::Question;
use crate::hashing::{HashKey, KeyedMap};
use crate::identity::uri::Uri;
use crate::wire::PingData;

/// The probes that users have asked for.
#[derive(Debug)]
pub struct AppPings {
    asked: KeyedMap<PingId, Asked>,
    ids: u64,
    decided: u64,
}

/// A probe that a user waits for.
#[derive(Debug)]
struct Asked {
    question: Question,
    outcome: PingOutcome,
}

/// By which a user finds a probe again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PingId(pub u64);

/// What has become of a user's probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PingOutcome {
    /// Nothing yet.
    Waiting,
    /// The member has answered.
    Answered,
    /// The address does not resolve, or nothing can be sent to it.
    Unsent,
}

/// How many probes of users are remembered. A caller that does not wait for the outcome leaves its
/// ping behind; one that is decided then makes room, or the oldest.
const ASKED_MAX: usize = 1024;

impl AppPings {
    /// No user waits.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            asked: KeyedMap::with_hasher(hash_key.clone()),
            ids: 0,
            decided: 0,
        }
    }

    /// Forgets every probe; they come to nothing.
    pub fn clear(&mut self) {
        self.asked.clear();
    }

    /// What has become of a probe; `None` when it is forgotten.
    pub fn outcome(&self, id: PingId) -> Option<PingOutcome> {
        Some(self.asked.get(&id)?.outcome)
    }

    /// Forgets a probe.
    pub fn forget(&mut self, id: PingId) {
        // In the order of their ages, by which room is made.
        self.asked.shift_remove(&id);
    }

    /// How many have been decided so far.
    pub const fn decided(&self) -> u64 {
        self.decided
    }

    /// Whether no more are remembered than may be; for audits.
    pub fn is_bounded(&self) -> bool {
        self.asked.len() <= ASKED_MAX
    }

    /// Whether a user waits for an answer of `uri`.
    pub fn waits_for(&self, uri: &Uri) -> bool {
        for asked in self.asked.values() {
            if asked.outcome == PingOutcome::Waiting && asked.question.dst == *uri {
                return true;
            }
        }
        false
    }

    /// What is asked.
    pub fn questions(&self) -> impl Iterator<Item = &Question> {
        self.asked.values().map(|asked| &asked.question)
    }

    /// Remembers a question, and says by what its outcome is found.
    pub fn remember(&mut self, question: Question) -> PingId {
        if self.asked.len() == ASKED_MAX {
            self.make_room();
        }
        self.ids += 1;
        let id = PingId(self.ids);
        let outcome = PingOutcome::Waiting;
        self.asked.insert(id, Asked { question, outcome });
        id
    }

    fn make_room(&mut self) {
        // The oldest, unless one is decided.
        let mut least_missed = 0;
        for (index, asked) in self.asked.values().enumerate() {
            if asked.outcome != PingOutcome::Waiting {
                least_missed = index;
                break;
            }
        }
        self.asked.shift_remove_index(least_missed);
    }

    /// An answer came: says how many probes it decides.
    pub fn hear_answer(&mut self, echo: &PingData<'_>) -> u64 {
        let answered = |asked: &Asked| asked.question.is_answered_by(echo);
        self.decide(PingOutcome::Answered, answered)
    }

    /// Nothing could be sent to `uri`: says how many probes that decides.
    pub fn give_up(&mut self, uri: &str) -> u64 {
        let waiting =
            |asked: &Asked| *asked.question.dst == *uri && asked.outcome == PingOutcome::Waiting;
        self.decide(PingOutcome::Unsent, waiting)
    }

    fn decide(&mut self, outcome: PingOutcome, applies: impl Fn(&Asked) -> bool) -> u64 {
        let mut decided = 0;
        for asked in self.asked.values_mut() {
            if applies(asked) {
                asked.outcome = outcome;
                decided += 1;
            }
        }
        self.decided += decided;
        decided
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Body, MessageBuilder, MessageType, decode, ping_data};

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a URI")
    }

    fn question(port: u16, ts: u64) -> Question {
        Question { dst: uri(port), ts }
    }

    /// Has the member at `port` answer the question that was asked at `ts`.
    fn answer(pings: &mut AppPings, port: u16, ts: u64) -> u64 {
        let data = ping_data(ts, &uri(9), &uri(port), None);
        let ack = MessageBuilder::with_data(MessageType::Ack, &uri(port), &data, 1472);
        let ack = ack.finish().expect("it fits");
        let Body::Ack(echo) = decode(&ack).expect("well formed").body else {
            panic!("not an ACK");
        };
        pings.hear_answer(&echo)
    }

    #[test]
    fn what_cannot_be_sent_decides_the_pings_of_that_member_that_were_not_answered() {
        let mut pings = AppPings::new(&HashKey::derive(&[1; 32]));
        let [answered, unsent, other] =
            [(1, 1), (1, 2), (2, 3)].map(|(port, ts)| pings.remember(question(port, ts)));
        assert_eq!(answer(&mut pings, 1, 1), 1);
        assert_eq!(pings.give_up(&uri(1)), 1);
        assert_eq!(pings.outcome(answered), Some(PingOutcome::Answered));
        assert_eq!(pings.outcome(unsent), Some(PingOutcome::Unsent));
        assert_eq!(pings.outcome(other), Some(PingOutcome::Waiting));
        assert_eq!(pings.decided(), 2);
        assert!(!pings.waits_for(&uri(1)) && pings.waits_for(&uri(2)));
    }
}
