//! Resolves names on threads of its own, so that no other thread waits for a name server.

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::system_text;
use crate::net::family::Reach;
use crate::notify::waker::Waker;
use crate::resolve::quota::Limits;
use crate::threads;
use swim::identity::uri::Uri;
use swim::security::acquaintance::Acquaintance;

/// Turns a host into its addresses of these families, or says why not. May block.
pub type Lookup = Arc<dyn Fn(&str, Families) -> Result<Vec<SocketAddr>, String> + Send + Sync>;

/// Of which families addresses are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// IPv4, and IPv6 if there is none: what most names need, with one question to the name server.
    V4First,
    /// Both. Those of IPv4 come first: peers on membership 2.x reach a name by IPv4 only.
    Both,
}

/// A question for the addresses of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The member whose host it is.
    pub about: Uri,
    /// What the socket reaches.
    pub reach: Reach,
    /// Addresses of all families are wanted, because those that are known do not answer.
    pub in_doubt: bool,
    /// How well the member is known: each kind has threads of its own.
    pub acquaintance: Acquaintance,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The question.
    pub question: Question,
    /// At least one address, whose port has no meaning; or the error of the system.
    pub result: Result<Vec<SocketAddr>, String>,
}

impl Question {
    /// The families of addresses that are to be looked up.
    pub fn families(&self) -> Families {
        match self.reach {
            Reach::V4 => Families::V4,
            Reach::V6 => Families::V6,
            // An address with a zone, which only the resolver can read.
            Reach::Both if self.about.is_ipv6() => Families::V6,
            Reach::Both if self.in_doubt => Families::Both,
            Reach::Both => Families::V4First,
        }
    }
}

/// Answers questions. Starts threads as they are needed; they end some time after the resolver is dropped.
pub struct Resolver {
    handle: Arc<ResolverHandle>,
    answers: Receiver<Answer>,
}

/// Asks the resolver. Its threads share this; they do not know the node or its lock.
pub struct ResolverHandle {
    lookup: Lookup,
    /// By [`Acquaintance`].
    pools: [Pool; Acquaintance::COUNT],
    answers: Sender<Answer>,
    waker: Arc<Waker>,
}

/// The threads for the names of one kind, and the questions that wait for them.
#[derive(Default)]
struct Pool {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
struct Queue {
    // Bounded by the address book, which counts the open questions.
    questions: VecDeque<Question>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Resolver {
    /// Makes a resolver without threads. It wakes `waker` when there is an answer.
    pub fn new(lookup: Lookup, waker: Arc<Waker>) -> Self {
        let (sender, answers) = mpsc::channel();
        let handle = ResolverHandle {
            lookup,
            pools: Default::default(),
            answers: sender,
            waker,
        };
        Self {
            handle: Arc::new(handle),
            answers,
        }
    }

    /// Returns what to ask with.
    pub fn handle(&self) -> Arc<ResolverHandle> {
        Arc::clone(&self.handle)
    }

    /// The next answer.
    pub fn poll_answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        for pool in &self.handle.pools {
            let mut queue = pool.lock();
            queue.closed = true;
            queue.questions.clear();
            pool.arrived.notify_all();
        }
    }
}

impl ResolverHandle {
    /// Asks. Waits for nothing, but may start a thread.
    pub fn ask(self: &Arc<Self>, question: Question) {
        let kind = question.acquaintance;
        let pool = &self.pools[kind as usize];
        let mut queue = pool.lock();
        queue.questions.push_back(question);
        let has_all_threads = queue.threads == Limits::of(kind).threads;
        if queue.questions.len() <= queue.idle || has_all_threads {
            pool.arrived.notify_one();
            return;
        }
        let handle = Arc::clone(self);
        match threads::spawn("membership-dns", move || handle.work(kind)) {
            Ok(_detached) => queue.threads += 1,
            // The threads that run will come to it.
            Err(_) if queue.threads > 0 => {}
            Err(error) => {
                for question in queue.questions.drain(..) {
                    self.answer(Answer {
                        question,
                        result: Err(system_text(&error)),
                    });
                }
            }
        }
    }

    /// Runs on each thread, until the resolver is dropped.
    fn work(&self, kind: Acquaintance) {
        while let Some(question) = self.pools[kind as usize].next() {
            // A thread that ended would still be counted, and in the end no name would be resolved.
            let lookup = || (self.lookup)(question.about.host(), question.families());
            let result = match catch_unwind(AssertUnwindSafe(lookup)) {
                Ok(result) => result,
                Err(_panic) => Err("the resolver has panicked".into()),
            };
            self.answer(Answer { question, result });
        }
    }

    fn answer(&self, answer: Answer) {
        // After `leave` there is no receiver.
        if self.answers.send(answer).is_ok() {
            // If that fails, the engine finds the answer when it looks next.
            let _ = self.waker.wake();
        }
    }
}

impl Pool {
    /// Waits for the next question. Returns `None` when there will be none.
    fn next(&self) -> Option<Question> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(question) = queue.questions.pop_front() {
                return Some(question);
            }
            queue.idle += 1;
            queue = self
                .arrived
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing that is done under this lock panics half-way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::poll::{PollFd, PollFlags, poll};

    const LOCALHOST: SocketAddr =
        SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 0);

    fn resolver(
        lookup: impl Fn(&str) -> Result<Vec<SocketAddr>, String> + Send + Sync + 'static,
    ) -> (Resolver, Arc<Waker>) {
        let waker = Arc::new(Waker::new().unwrap());
        (
            Resolver::new(Arc::new(move |host, _| lookup(host)), Arc::clone(&waker)),
            waker,
        )
    }

    fn ask(resolver: &Resolver, host: &str) {
        ask_for(Acquaintance::Known, resolver, host);
    }

    fn ask_for(acquaintance: Acquaintance, resolver: &Resolver, host: &str) {
        let about = Uri::new(host, 1).unwrap();
        resolver.handle().ask(Question {
            about,
            reach: Reach::V4,
            in_doubt: false,
            acquaintance,
        });
    }

    /// The next answer, once the waker has been woken for it.
    fn answer(resolver: &Resolver, waker: &Waker) -> (String, Result<Vec<SocketAddr>, String>) {
        loop {
            if let Some(answer) = resolver.poll_answer() {
                return (answer.question.about.host().into(), answer.result);
            }
            let mut fds = [PollFd::new(waker.fd(), PollFlags::POLLIN)];
            let woken = poll(&mut fds, Duration::from_secs(10));
            assert_eq!(woken, Ok(1), "no answer");
            waker.clear();
        }
    }

    #[test]
    fn a_name_that_hangs_does_not_delay_others() {
        let (release, hold) = mpsc::channel::<()>();
        let hold = Mutex::new(hold);
        let (resolver, waker) = resolver(move |host| {
            if host == "hangs" {
                let _ = hold.lock().unwrap().recv();
            }
            Ok(vec![LOCALHOST])
        });
        ask(&resolver, "hangs");
        for number in 0..100 {
            let host = format!("host{number}");
            ask(&resolver, &host);
            assert_eq!(answer(&resolver, &waker), (host, Ok(vec![LOCALHOST])));
        }
        drop(release);
        assert_eq!(
            answer(&resolver, &waker),
            ("hangs".into(), Ok(vec![LOCALHOST]))
        );
    }

    #[test]
    fn names_of_unknown_senders_that_hang_do_not_delay_members() {
        let (release, hold) = mpsc::channel::<()>();
        let hold = Mutex::new(hold);
        let (resolver, waker) = resolver(move |host| {
            if host.starts_with("hangs") {
                let _ = hold.lock().unwrap().recv();
            }
            Ok(vec![LOCALHOST])
        });
        for number in 0..50 {
            let host = format!("hangs{number}");
            ask_for(Acquaintance::Stranger, &resolver, &host);
            ask_for(Acquaintance::Introduced, &resolver, &host);
        }
        ask(&resolver, "member");
        assert_eq!(
            answer(&resolver, &waker),
            ("member".into(), Ok(vec![LOCALHOST]))
        );
        drop(release);
    }

    #[test]
    fn a_lookup_that_panics_is_a_name_that_fails() {
        let (resolver, waker) = resolver(|host| match host {
            "bad" => panic!("this is part of the test"),
            _ => Ok(vec![LOCALHOST]),
        });
        ask(&resolver, "bad");
        assert!(answer(&resolver, &waker).1.is_err());
        ask(&resolver, "good");
        assert_eq!(answer(&resolver, &waker).1, Ok(vec![LOCALHOST]));
    }

    #[test]
    fn threads_end_when_the_resolver_is_dropped() {
        let (resolver, waker) = resolver(|_| Ok(vec![LOCALHOST]));
        ask(&resolver, "host");
        answer(&resolver, &waker).1.unwrap();
        let handle = Arc::downgrade(&resolver.handle);
        drop(resolver);
        let give_up = crate::clock::monotonic() + Duration::from_secs(10);
        while handle.upgrade().is_some() {
            assert!(
                crate::clock::monotonic() < give_up,
                "a thread still holds the handle"
            );
            std::thread::yield_now();
        }
    }
}
