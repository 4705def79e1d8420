//! Names are resolved on threads of their own: nobody else waits for a resolver that hangs.

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::system_text;
use crate::net::socket::Family;
use crate::notify::waker::Waker;
use crate::resolve::shares::Limits;
use crate::threads;
use swim::identity::uri::Uri;
use swim::security::acquaintance::Acquaintance;

/// Turns a host into an address of this kind, or says why not. May take as long as it likes.
pub type Lookup = Arc<dyn Fn(&str, Family) -> Result<SocketAddr, String> + Send + Sync>;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whose host.
    pub about: Uri,
    /// Which kind of address would be of use.
    pub family: Family,
    /// Whose threads are to ask.
    pub share: Acquaintance,
}

/// What the resolver said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was asked.
    pub question: Question,
    /// An address, its port meaning nothing; or the system's own words.
    pub result: Result<SocketAddr, String>,
}

/// Answers questions. Starts its threads as they are needed; they end some time after it is
/// dropped.
pub struct Resolver {
    desk: Arc<ResolverHandle>,
    answers: Receiver<Answer>,
}

/// What its threads share. They know neither the node nor its lock.
pub struct ResolverHandle {
    lookup: Lookup,
    /// By [`Acquaintance`]: each has threads of its own.
    counters: [Counter; Acquaintance::COUNT],
    answers: Sender<Answer>,
    waker: Arc<Waker>,
}

/// Where the questions of one share queue.
#[derive(Default)]
struct Counter {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
struct Queue {
    // Bounded by the address book, which counts the questions that are under way.
    questions: VecDeque<Question>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Resolver {
    /// One that rings `waker` when there is an answer.
    pub fn new(lookup: Lookup, waker: Arc<Waker>) -> Self {
        let (sender, answers) = mpsc::channel();
        let desk = ResolverHandle {
            lookup,
            counters: Default::default(),
            answers: sender,
            waker,
        };
        Self {
            desk: Arc::new(desk),
            answers,
        }
    }

    /// Where to ask.
    pub fn desk(&self) -> Arc<ResolverHandle> {
        Arc::clone(&self.desk)
    }

    /// The next answer.
    pub fn poll_answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        for counter in &self.desk.counters {
            let mut queue = counter.lock();
            queue.closed = true;
            queue.questions.clear();
            counter.arrived.notify_all();
        }
    }
}

impl ResolverHandle {
    /// Asks. Does not wait for anything but a thread to be made.
    pub fn ask(self: &Arc<Self>, question: Question) {
        let share = question.share;
        let counter = &self.counters[share as usize];
        let mut queue = counter.lock();
        queue.questions.push_back(question);
        let enough = queue.threads == Limits::of(share).threads;
        if queue.questions.len() <= queue.idle || enough {
            counter.arrived.notify_one();
            return;
        }
        let desk = Arc::clone(self);
        match threads::spawn("membership-dns", move || desk.work(share)) {
            Ok(_detached) => queue.threads += 1,
            Err(_) if queue.threads > 0 => {}
            Err(error) => {
                for question in queue.questions.drain(..) {
                    self.say(Answer {
                        question,
                        result: Err(system_text(&error)),
                    });
                }
            }
        }
    }

    /// What a thread does.
    fn work(&self, share: Acquaintance) {
        while let Some(question) = self.counters[share as usize].next() {
            let lookup = || (self.lookup)(question.about.host(), question.family);
            let result = catch_unwind(AssertUnwindSafe(lookup));
            let result = result.unwrap_or_else(|_panic| Err("the resolver has panicked".into()));
            self.say(Answer { question, result });
        }
    }

    fn say(&self, answer: Answer) {
        // Nobody listens any more once the node has left.
        if self.answers.send(answer).is_ok() {
            // Where that fails, the engine finds the answer when it looks next.
            let _ = self.waker.ring();
        }
    }
}

impl Counter {
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
        lookup: impl Fn(&str) -> Result<SocketAddr, String> + Send + Sync + 'static,
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

    fn ask_for(share: Acquaintance, resolver: &Resolver, host: &str) {
        let about = Uri::new(host, 1).unwrap();
        resolver.desk().ask(Question {
            about,
            family: Family::V4,
            share,
        });
    }

    /// The next answer, once the waker has been rung for it.
    fn answer(resolver: &Resolver, waker: &Waker) -> (String, Result<SocketAddr, String>) {
        loop {
            if let Some(answer) = resolver.poll_answer() {
                return (answer.question.about.host().into(), answer.result);
            }
            let mut fds = [PollFd::new(waker.fd(), PollFlags::POLLIN)];
            let woken = poll(&mut fds, Duration::from_secs(10));
            assert_eq!(woken, Ok(1), "no answer");
            waker.hush();
        }
    }

    #[test]
    fn a_name_that_hangs_holds_up_no_other() {
        let (release, hold) = mpsc::channel::<()>();
        let hold = Mutex::new(hold);
        let (resolver, waker) = resolver(move |host| {
            if host == "hangs" {
                let _ = hold.lock().unwrap().recv();
            }
            Ok(LOCALHOST)
        });
        ask(&resolver, "hangs");
        for number in 0..100 {
            let host = format!("host{number}");
            ask(&resolver, &host);
            assert_eq!(answer(&resolver, &waker), (host, Ok(LOCALHOST)));
        }
        drop(release);
        assert_eq!(answer(&resolver, &waker), ("hangs".into(), Ok(LOCALHOST)));
    }

    #[test]
    fn names_of_strangers_that_hang_hold_up_no_member() {
        let (release, hold) = mpsc::channel::<()>();
        let hold = Mutex::new(hold);
        let (resolver, waker) = resolver(move |host| {
            if host.starts_with("hangs") {
                let _ = hold.lock().unwrap().recv();
            }
            Ok(LOCALHOST)
        });
        for number in 0..50 {
            let host = format!("hangs{number}");
            ask_for(Acquaintance::Stranger, &resolver, &host);
            ask_for(Acquaintance::Introduced, &resolver, &host);
        }
        ask(&resolver, "member");
        assert_eq!(answer(&resolver, &waker), ("member".into(), Ok(LOCALHOST)));
        drop(release);
    }

    #[test]
    fn a_lookup_that_panics_is_a_name_that_fails() {
        let (resolver, waker) = resolver(|host| match host {
            "bad" => panic!("this is part of the test"),
            _ => Ok(LOCALHOST),
        });
        ask(&resolver, "bad");
        assert!(answer(&resolver, &waker).1.is_err());
        ask(&resolver, "good");
        assert_eq!(answer(&resolver, &waker).1, Ok(LOCALHOST));
    }

    #[test]
    fn its_threads_end_when_it_is_dropped() {
        let (resolver, waker) = resolver(|_| Ok(LOCALHOST));
        ask(&resolver, "host");
        answer(&resolver, &waker).1.unwrap();
        let desk = Arc::downgrade(&resolver.desk);
        drop(resolver);
        let give_up = crate::clock::monotonic() + Duration::from_secs(10);
        while desk.upgrade().is_some() {
            assert!(
                crate::clock::monotonic() < give_up,
                "a thread still holds the desk"
            );
            std::thread::yield_now();
        }
    }
}
