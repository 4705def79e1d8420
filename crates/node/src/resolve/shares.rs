//! What the names of one kind may take up of the resolver, so that those of strangers never keep those of
//! members and of users waiting.

use core::mem;
use core::time::Duration;
use std::collections::VecDeque;

use swim::Transmit;
use swim::security::acquaintance::Acquaintance;
use swim::time::Micros;

/// How many datagrams may wait for one member. The last ones say everything that the first ones did.
const WAITING_PER_MEMBER_MAX: usize = 4;

/// How long a datagram may wait: what is sent later comes too late for the probe that it belongs to.
const WAITING_TIME_MAX: Duration = Duration::from_secs(1);

/// What the names of members that are known so well may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many questions may be under way. Beyond it, names do not resolve.
    pub questions: usize,
    /// How many datagrams may wait for an answer.
    pub waiting: usize,
    /// How many names are resolved at a time. A name server that does not answer holds one of these
    /// threads for ten seconds or so, and the other names go on being resolved by the others.
    pub threads: usize,
    /// How often a name is looked up in the long run.
    pub pause: Duration,
    /// How many are looked up at once after a quiet time.
    pub burst: u32,
}

impl Limits {
    /// Those of one kind.
    pub const fn of(acquaintance: Acquaintance) -> Self {
        match acquaintance {
            // Each is looked up when it is due, and there are no more than there are members.
            Acquaintance::Known => Self {
                questions: 1024,
                waiting: 1024,
                threads: 4,
                pause: Duration::ZERO,
                burst: 1,
            },
            // As many as start at once in the largest of groups. A hostile member may spend it.
            Acquaintance::Introduced => Self {
                questions: 1024,
                waiting: 1024,
                threads: 2,
                pause: Duration::from_millis(10),
                burst: 1024,
            },
            // No more than a member that is asked for by newcomers has to look up.
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

/// What is under way for the names of one kind.
#[derive(Debug)]
pub struct Share {
    limits: Limits,
    under_way: usize,
    /// Each question uses up [`Limits::pause`], and time pays for it: up to here it is used up.
    used_up: Micros,
    waiting: VecDeque<Waiting>,
}

/// A datagram whose recipient's name is being resolved.
#[derive(Debug)]
struct Waiting {
    transmit: Transmit,
    since: Micros,
}

impl Share {
    /// One of which nothing is taken up.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            under_way: 0,
            used_up: Micros(0),
            waiting: VecDeque::new(),
        }
    }

    /// Takes up room for a question, if there is some.
    pub fn begin_question(&mut self, now: Micros) -> bool {
        let Limits {
            questions,
            pause,
            burst,
            ..
        } = self.limits;
        let owed = self.used_up.since(now);
        if self.under_way >= questions || owed + pause > pause * burst {
            return false;
        }
        self.under_way += 1;
        self.used_up = self.used_up.max(now) + pause;
        true
    }

    /// A question was answered.
    pub const fn end_question(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Keeps a datagram until its recipient's name is resolved, in the place of an older one if there is
    /// no room.
    pub fn wait(&mut self, transmit: Transmit, now: Micros) {
        while self
            .waiting
            .front()
            .is_some_and(|front| front.is_stale(now))
        {
            self.waiting.pop_front();
        }
        let same = |waiting: &Waiting| waiting.transmit.to == transmit.to;
        let count = self.waiting.iter().filter(|waiting| same(waiting)).count();
        if count >= WAITING_PER_MEMBER_MAX {
            let first = self.waiting.iter().position(same);
            first.and_then(|first| self.waiting.remove(first));
        } else if self.waiting.len() >= self.limits.waiting {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting {
            transmit,
            since: now,
        });
    }

    /// Takes what waits for this host, unless it is too old to be of use.
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

    /// Whether something waits for the address of `uri`.
    pub fn is_resolving(&self, uri: &str) -> bool {
        let same = |waiting: &Waiting| *waiting.transmit.to == *uri;
        self.waiting.iter().any(same)
    }

    /// Forgets what waits.
    pub fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    /// Forgets all questions and what waits for them.
    pub fn forget_questions(&mut self) {
        self.under_way = 0;
        self.waiting.clear();
    }
}

impl Waiting {
    fn is_stale(&self, now: Micros) -> bool {
        now.since(self.since) >= WAITING_TIME_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// How many questions there may be within so many seconds, each answered at once.
    fn questions(acquaintance: Acquaintance, seconds: u64) -> usize {
        let mut share = Share::new(Limits::of(acquaintance));
        let asks = |millisecond: &u64| {
            let asks = share.begin_question(Micros(1000 * SECOND + millisecond * 1000));
            share.end_question();
            asks
        };
        (0..seconds * 1000).filter(asks).count()
    }

    #[test]
    fn strangers_have_ten_names_a_second_looked_up_all_together() {
        assert_eq!(questions(Acquaintance::Stranger, 60), 10 + 599);
        assert_eq!(questions(Acquaintance::Introduced, 10), 1024 + 999);
        assert_eq!(questions(Acquaintance::Known, 10), 10_000);
    }

    #[test]
    fn without_answers_there_is_room_for_so_many_questions() {
        for acquaintance in Acquaintance::ALL {
            let limits = Limits::of(acquaintance);
            let mut share = Share::new(limits);
            let asked = (0..5000).filter(|second| share.begin_question(Micros(second * SECOND)));
            assert_eq!(asked.count(), limits.questions);
            share.end_question();
            assert!(share.begin_question(Micros(5000 * SECOND)));
        }
    }
}
