//! How much of the resolver the names of one kind may use, so that the names of unknown senders never keep
//! those of members and of the program waiting.

use core::mem;
use core::time::Duration;
use std::collections::VecDeque;

use swim::Transmit;
use swim::security::acquaintance::Acquaintance;
use swim::time::Micros;

/// How many datagrams may wait for one member. The last ones contain everything that the first ones did.
const WAITING_PER_MEMBER_MAX: usize = 4;

/// How long a datagram may wait at least. After that it would come too late for the probe of a period. A
/// program may wait longer for the answer to a ping of its own: as long as `ACK_TIMEOUT_SECONDS`.
const WAITING_TIME_MIN: Duration = Duration::from_secs(1);

/// What the names of one kind may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many questions may be open. Further names do not resolve.
    pub questions: usize,
    /// How many datagrams may wait for an answer.
    pub waiting: usize,
    /// How many threads resolve names. One that asks a name server that does not answer waits for ten seconds
    /// or so, and the others go on.
    pub threads: usize,
    /// The time between two questions, in the long run.
    pub pause: Duration,
    /// How many questions there may be at once after a quiet time.
    pub burst: u32,
}

impl Limits {
    /// Returns the limits for the names of one kind.
    pub const fn of(acquaintance: Acquaintance) -> Self {
        match acquaintance {
            // Each is looked up when it is due, and there are no more of them than members.
            Acquaintance::Known => Self {
                questions: 1024,
                waiting: 1024,
                threads: 4,
                pause: Duration::ZERO,
                burst: 1,
            },
            // As many as start at once in the largest group. A hostile member may use them up.
            Acquaintance::Introduced => Self {
                questions: 1024,
                waiting: 1024,
                threads: 2,
                pause: Duration::from_millis(10),
                burst: 1024,
            },
            // As many as a member needs that many new instances join by.
            Acquaintance::Stranger => Self {
                questions: 64,
                waiting: 128,
                threads: 2,
                pause: Duration::from_millis(100),
                burst: 10,
            },
        }
    }
}

/// What the names of one kind use at present.
#[derive(Debug)]
pub struct Quota {
    limits: Limits,
    open_questions: usize,
    /// Each question uses up [`Limits::pause`] of time; it is used up until here.
    used_up: Micros,
    waiting: VecDeque<Waiting>,
}

/// A datagram whose recipient's name is being resolved.
#[derive(Debug)]
struct Waiting {
    transmit: Transmit,
    until: Micros,
}

impl Quota {
    /// Nothing is used.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            open_questions: 0,
            used_up: Micros(0),
            waiting: VecDeque::new(),
        }
    }

    /// Takes up room for a question. Returns false if there is none.
    pub fn try_begin_question(&mut self, now: Micros) -> bool {
        let Limits {
            questions,
            pause,
            burst,
            ..
        } = self.limits;
        // A token bucket as a point in time (the generic cell rate algorithm): it fills up by itself.
        let used = self.used_up.since(now);
        if self.open_questions >= questions || used + pause > pause * burst {
            return false;
        }
        self.open_questions += 1;
        self.used_up = self.used_up.max(now) + pause;
        true
    }

    /// Gives back the room of a question that was answered.
    pub const fn end_question(&mut self) {
        self.open_questions = self.open_questions.saturating_sub(1);
    }

    /// Keeps a datagram until the name of its recipient is resolved, as long as an answer is waited for:
    /// `ack_timeout`. If there is no room, drops the oldest.
    pub fn wait(&mut self, transmit: Transmit, ack_timeout: Duration, now: Micros) {
        while let Some(oldest) = self.waiting.front()
            && oldest.is_stale(now)
        {
            self.waiting.pop_front();
        }
        let mut to_same_member = 0;
        let mut oldest_to_same = None;
        for (index, waiting) in self.waiting.iter().enumerate() {
            if waiting.transmit.to == transmit.to {
                to_same_member += 1;
                oldest_to_same = oldest_to_same.or(Some(index));
            }
        }
        if to_same_member < WAITING_PER_MEMBER_MAX {
            if self.waiting.len() >= self.limits.waiting {
                self.waiting.pop_front();
            }
        } else if let Some(oldest) = oldest_to_same {
            self.waiting.remove(oldest);
        }
        self.waiting.push_back(Waiting {
            transmit,
            until: now + ack_timeout.max(WAITING_TIME_MIN),
        });
    }

    /// Takes the datagrams that wait for this host, but for those that are too old.
    pub fn take_waiting(&mut self, host: &str, now: Micros) -> Vec<Transmit> {
        let mut taken = Vec::new();
        for waiting in mem::take(&mut self.waiting) {
            if waiting.transmit.to.host() != host {
                self.waiting.push_back(waiting);
            } else if !waiting.is_stale(now) {
                taken.push(waiting.transmit);
            }
        }
        taken
    }

    /// Whether a datagram waits for the address of `uri`.
    #[cfg(test)]
    pub fn is_resolving(&self, uri: &str) -> bool {
        for waiting in &self.waiting {
            if *waiting.transmit.to == *uri {
                return true;
            }
        }
        false
    }

    /// Forgets the datagrams that wait.
    pub fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    /// Forgets the open questions, and the datagrams that wait for them.
    pub fn forget_questions(&mut self) {
        self.open_questions = 0;
        self.waiting.clear();
    }
}

impl Waiting {
    fn is_stale(&self, now: Micros) -> bool {
        now >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// How many questions there may be within a time, if each is answered at once.
    fn questions(acquaintance: Acquaintance, seconds: u64) -> usize {
        let mut quota = Quota::new(Limits::of(acquaintance));
        let asks = |millisecond: &u64| {
            let asks = quota.try_begin_question(Micros(1000 * SECOND + millisecond * 1000));
            quota.end_question();
            asks
        };
        (0..seconds * 1000).filter(asks).count()
    }

    #[test]
    fn ten_names_of_unknown_senders_are_looked_up_in_a_second() {
        assert_eq!(questions(Acquaintance::Stranger, 60), 10 + 599);
        assert_eq!(questions(Acquaintance::Introduced, 10), 1024 + 999);
        assert_eq!(questions(Acquaintance::Known, 10), 10_000);
    }

    #[test]
    fn open_questions_are_bounded() {
        for acquaintance in Acquaintance::ALL {
            let limits = Limits::of(acquaintance);
            let mut quota = Quota::new(limits);
            let asked =
                (0..5000).filter(|second| quota.try_begin_question(Micros(second * SECOND)));
            assert_eq!(asked.count(), limits.questions);
            quota.end_question();
            assert!(quota.try_begin_question(Micros(5000 * SECOND)));
        }
    }
}
