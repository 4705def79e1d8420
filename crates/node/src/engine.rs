//! The thread that receives datagrams and serves the deadlines.

use core::time::Duration;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::error::Error;
use crate::handover::SocketOwner;
use crate::net::poll::{self, PollFd, PollFlags, poll};
use crate::net::socket::{Filled, Inbox, Socket};
use crate::notify::waker::Waker;
use crate::shared::Shared;
use crate::{clock, threads};
use swim::time::Micros;

/// The running thread.
pub struct Engine {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Engine {
    /// Starts the thread.
    pub fn start(
        shared: &Arc<Shared>,
        socket: &Arc<Socket>,
        waker: &Arc<Waker>,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let driver = Driver {
            shared: Arc::clone(shared),
            socket: Arc::clone(socket),
            waker: Arc::clone(waker),
            stop: Arc::clone(&stop),
        };
        let thread = threads::spawn("membership", move || driver.run())?;
        Ok(Self {
            thread,
            stop,
            waker: Arc::clone(waker),
        })
    }

    /// Stops the thread, and waits until it has released the socket. That takes no longer than a turn of its
    /// loop, which never blocks.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        // If that fails, the thread wakes by itself, `Driver::SLEEP_MAX` later at most.
        let _ = self.waker.wake();
        // The thread catches its own panics.
        let _ = self.thread.join();
    }
}

/// What the thread works with.
struct Driver {
    shared: Arc<Shared>,
    socket: Arc<Socket>,
    waker: Arc<Waker>,
    stop: Arc<AtomicBool>,
}

/// What the thread waits for next, besides being woken.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// The time, if there is something to be done.
    pub until: Option<Micros>,
    /// The size of the largest datagram that is accepted.
    pub size_max: usize,
}

impl Driver {
    /// After so many full inboxes in a row, timers are served although datagrams wait: an overload must not
    /// stop the clock.
    const FULL_INBOXES_MAX: u32 = 16;

    /// How long to leave a socket alone that returns unknown errors.
    const BROKEN_PAUSE: Duration = Duration::from_millis(10);

    /// The shortest wait for a deadline: should one not move although it was served, the thread must not
    /// spin.
    const WAIT_MIN: Duration = Duration::from_millis(1);

    /// The longest wait: it finds out so late at most that the system has failed to wake it.
    const SLEEP_MAX: Duration = Duration::from_secs(1);

    fn run(self) {
        let mut life_lines = Vec::new();
        let done = catch_unwind(AssertUnwindSafe(|| {
            if self.wait_for_ownership(&mut life_lines) {
                self.turn_until_stopped();
            }
        }));
        if let Err(panic) = done {
            self.shared.fail(Error::panicked(&*panic));
        }
        // In this order: a parent that leaves waits for the life lines to close.
        drop(self.socket);
        drop(life_lines);
    }

    /// Waits until this process may use the socket: after a fork, until the parent has ended. Returns false if
    /// that will not be. `life_lines` then has those that are to be closed after the socket.
    fn wait_for_ownership(&self, life_lines: &mut Vec<Arc<UnixStream>>) -> bool {
        while !self.stop.load(Ordering::Acquire) {
            match self.shared.find_socket_owner() {
                Ok(SocketOwner::Us) => {
                    life_lines.clear();
                    return true;
                }
                Ok(SocketOwner::Ancestor(watched, until)) => {
                    *life_lines = watched;
                    self.wait_for_end(life_lines, until);
                }
                Ok(SocketOwner::AncestorForGood(watched)) => {
                    life_lines.extend(watched);
                    return false;
                }
                Err(_) => return false,
            }
        }
        false
    }

    /// Waits until one of the life lines closes, or until a time.
    fn wait_for_end(&self, life_lines: &[Arc<UnixStream>], until: Micros) {
        let mut fds = vec![PollFd::new(self.waker.fd(), PollFlags::POLLIN)];
        for line in life_lines {
            fds.push(PollFd::new(line.as_fd(), PollFlags::POLLIN));
        }
        let patience = until.since(clock::monotonic()).max(Self::WAIT_MIN);
        self.wait(&mut fds, patience);
    }

    fn turn_until_stopped(&self) {
        let mut inbox = Inbox::new();
        let mut full_inboxes = 0;
        while !self.stop.load(Ordering::Acquire) {
            let timers = full_inboxes % Self::FULL_INBOXES_MAX == 0;
            let Ok(wait) = self.shared.turn(&inbox, timers) else {
                return;
            };
            inbox.clear();
            inbox.set_size_max(wait.size_max);
            let patience = match wait.until {
                // More datagrams may wait.
                _ if full_inboxes > 0 => Duration::ZERO,
                Some(until) => until.since(clock::monotonic()).max(Self::WAIT_MIN),
                None => Self::SLEEP_MAX,
            };
            let events = self.wait_for_socket(patience.min(Self::SLEEP_MAX));
            let filled = if events.is_empty() {
                Filled::Dry
            } else {
                inbox.fill(&self.socket, events != PollFlags::POLLIN)
            };
            full_inboxes = match filled {
                Filled::Full => full_inboxes + 1,
                Filled::Dry | Filled::Broken => 0,
            };
            if filled == Filled::Broken {
                let mut only_waker = [PollFd::new(self.waker.fd(), PollFlags::POLLIN)];
                self.wait(&mut only_waker, Self::BROKEN_PAUSE);
            }
        }
    }

    /// Waits, and returns what there is at the socket: datagrams, an error, both or nothing.
    fn wait_for_socket(&self, patience: Duration) -> PollFlags {
        let mut fds = [
            PollFd::new(self.waker.fd(), PollFlags::POLLIN),
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
        ];
        self.wait(&mut fds, patience);
        poll::events(&fds[1])
    }

    /// Waits for one of `fds`, of which the first is the waker's.
    fn wait(&self, fds: &mut [PollFd<'_>], patience: Duration) {
        // It fails if a signal comes, or without memory: then the next turn will see what there is.
        let _ = poll(fds, patience);
        if !poll::events(&fds[0]).is_empty() {
            self.waker.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    #[cfg(target_os = "linux")]
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::Node;
    use crate::shared::Progress;
    use swim::identity::uri::Uri;
    use swim::wire::MessageType;

    fn eventually(what: &str, holds: impl Fn() -> bool) {
        let give_up = clock::monotonic() + Duration::from_secs(30);
        while !holds() {
            assert!(clock::monotonic() < give_up, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_panic_of_the_engine_is_logged_and_frees_the_port() {
        let node = Node::new();
        node.init("127.0.0.1", 33_010, None).unwrap();
        let waker = node.open_waker().unwrap();
        waker.clear();
        node.shared.manage(|state| state.sabotaged = true);
        // No call reaches the node: the engine finds out by itself, at its next deadline.
        eventually("the version says so", || {
            node.progress().version() == Progress::FAILED
        });
        let text = "membership engine failed: sabotage";
        eventually("the error waits to be logged", || {
            node.take_lines().0.iter().any(|line| line.text == text)
        });
        assert_eq!(node.with_swim(|_, _| ()).unwrap_err().to_string(), text);
        eventually("the socket is closed", || {
            UdpSocket::bind("0.0.0.0:33010").is_ok()
        });
    }

    #[test]
    fn it_sleeps_when_there_is_nothing_to_do() {
        let node = Node::new();
        node.init("127.0.0.1", 33_011, None).unwrap();
        // By its own count: however slow the machine, it takes no more turns.
        let count = || {
            node.shared
                .manage(|state| (state.swim.stats().probes, state.turns))
        };
        eventually("it has probed itself", || count().0 >= 1);
        let before = count();
        eventually("three periods pass", || count().0 >= before.0 + 3);
        let (periods, turns) = (count().0 - before.0, count().1 - before.1);
        assert!(
            turns < 30 * periods,
            "{turns} turns in {periods} idle periods"
        );
    }

    /// The fiber `membership.main` as a thread: it sends a heartbeat whenever it is woken, and counts that.
    #[cfg(target_os = "linux")]
    fn run_fiber(node: &Node, waker: &Arc<Waker>, turns: &AtomicU64, stop: &AtomicBool) {
        use crate::notify::event_loop::tests::{epoll_of, wait};
        let epoll = epoll_of(waker);
        while !stop.load(Ordering::Acquire) {
            node.heartbeat(waker, None);
            turns.fetch_add(1, Ordering::AcqRel);
            wait(&epoll);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_that_rests_in_its_event_loop_is_not_woken() {
        let node = Node::new();
        node.init("127.0.0.1", 33_014, None).unwrap();
        let waker = node.open_waker().unwrap();
        let (turns, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let probes = || node.shared.manage(|state| state.swim.stats().probes);
        std::thread::scope(|scope| {
            scope.spawn(|| run_fiber(&node, &waker, &turns, &stop));
            eventually("it has nothing to do", || probes() >= 3);
            let (before, had_turned) = (probes(), turns.load(Ordering::Acquire));
            eventually("five periods pass", || probes() >= before + 5);
            let turned = turns.load(Ordering::Acquire) - had_turned;
            // Asked once a period, it would have turned five times.
            assert!(turned <= 1, "{turned} turns");
            assert!(!node.shared.manage(|state| state.lua_states.is_stalled()));
            stop.store(true, Ordering::Release);
            waker.wake().unwrap();
        });
    }

    #[test]
    fn a_fiber_that_could_not_be_woken_is_woken_later_and_the_log_says_why() {
        let node = Node::new();
        node.init("127.0.0.1", 33_012, None).unwrap();
        let waker = node.open_waker().unwrap();
        node.heartbeat(&waker, None);
        waker.faults.store(12, Ordering::Relaxed);
        let is_woken = || {
            let mut fds = [PollFd::new(waker.fd(), PollFlags::POLLIN)];
            poll(&mut fds, Duration::ZERO).unwrap() == 1
        };
        assert!(!is_woken());
        // No call reaches the node: it asks for a heartbeat, and finds out by itself that none comes.
        eventually("the fiber is woken all the same", is_woken);
        let text = "Could not wake Tarantool's thread: No buffer space available";
        let (lines, _) = node.take_lines();
        let is_told = |line: &crate::Line| line.text.starts_with(text);
        assert!(lines.iter().any(is_told), "{lines:?}");
    }

    #[test]
    fn an_engine_that_could_not_be_woken_is_only_late() {
        let node = Node::new();
        let an_hour = swim::config::Setting::Number(3600.0);
        for name in ["PROTOCOL_PERIOD_SECONDS", "ANTI_ENTROPY_PERIOD_SECONDS"] {
            node.with_swim(|swim, now| swim.assign(name, an_hour.clone(), now))
                .unwrap()
                .unwrap();
        }
        node.init("127.0.0.1", 33_013, None).unwrap();
        let waker = node.engine_waker().unwrap();
        eventually("it sleeps", || node.shared.manage(|state| state.turns) > 0);
        waker.faults.store(u32::MAX, Ordering::Relaxed);
        // The deadline has moved, and the engine would sleep for an hour.
        let soon = swim::config::Setting::Number(0.1);
        node.with_swim(|swim, now| swim.assign("PROTOCOL_PERIOD_SECONDS", soon, now))
            .unwrap()
            .unwrap();
        let probes = || node.shared.manage(|state| state.swim.stats().probes);
        let before = probes();
        eventually("it probes itself", || probes() > before + 5);
    }

    #[test]
    fn it_sleeps_although_the_socket_has_errors() {
        let node = Node::new();
        node.init("127.0.0.1", 36_010, None).unwrap();
        let closed = Uri::new("127.0.0.1", 36_011).unwrap();
        let count = || {
            node.shared.manage(|state| {
                let sent = state.swim.stats().sent.of(MessageType::Ping).0;
                (sent, state.turns)
            })
        };
        let before = count();
        for _ in 0..1000 {
            node.with_swim(|swim, now| swim.probe(&closed, now).map(drop))
                .unwrap()
                .unwrap();
        }
        eventually("some more is sent", || count().0 > before.0 + 1002);
        let (sent, turns) = (count().0 - before.0, count().1 - before.1);
        assert!(turns < 10 * sent, "{turns} turns for {sent} pings");
    }
}
