//! The thread that receives datagrams and keeps the deadlines.

use core::time::Duration;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::error::Error;
use crate::lineage::Heritage;
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
    /// Starts it.
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

    /// Stops it, and waits until it has let go of the socket. That takes no longer than a turn of
    /// its loop, which never blocks.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        // Where that fails, it takes up to `Driver::SLEEP_MAX`.
        let _ = self.waker.ring();
        // It catches its own panics.
        let _ = self.thread.join();
    }
}

/// What the thread has.
struct Driver {
    shared: Arc<Shared>,
    socket: Arc<Socket>,
    waker: Arc<Waker>,
    stop: Arc<AtomicBool>,
}

/// What the thread waits for, besides being woken.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// The time.
    pub until: Option<Micros>,
    /// A datagram.
    pub listening: bool,
    /// How large it may be: what is larger is not taken in.
    pub size_max: usize,
}

impl Driver {
    /// With so many full inboxes in a row, time passes all the same: whoever floods us shall not
    /// stop the clock.
    const FULL_INBOXES_MAX: u32 = 16;

    /// How long to leave a socket alone that returns errors we know nothing about.
    const BROKEN_PAUSE: Duration = Duration::from_millis(10);

    /// Deadlines are kept this precisely. Should one not move although it was served, the thread
    /// must not spin.
    const WAIT_MIN: Duration = Duration::from_millis(1);

    /// It looks this often at least: so much later it finds out, should the system have refused to wake it.
    const SLEEP_MAX: Duration = Duration::from_secs(1);

    fn run(self) {
        let mut lines = Vec::new();
        let done = catch_unwind(AssertUnwindSafe(|| {
            if self.inherit(&mut lines) {
                self.turn_until_stopped();
            }
        }));
        if let Err(panic) = done {
            self.shared.fail(Error::panicked(&*panic));
        }
        // In this order: a parent that leaves waits for the lines to close.
        drop(self.socket);
        drop(lines);
    }

    /// Waits until the socket is ours: after a fork, until the parent has ended. False if there is nothing
    /// to wait for. The lines that were watched last are to be closed after the socket then.
    fn inherit(&self, lines: &mut Vec<Arc<UnixStream>>) -> bool {
        while !self.stop.load(Ordering::Acquire) {
            match self.shared.look_for_heritage() {
                Ok(Heritage::Ours) => {
                    lines.clear();
                    return true;
                }
                Ok(Heritage::Theirs(watched, until)) => {
                    *lines = watched;
                    self.wait_for_end(lines, until);
                }
                Ok(Heritage::Lost(watched)) => {
                    lines.extend(watched);
                    return false;
                }
                Err(_) => return false,
            }
        }
        false
    }

    fn wait_for_end(&self, lines: &[Arc<UnixStream>], until: Micros) {
        let waker = self.waker.fd();
        let mut fds = vec![PollFd::new(waker, PollFlags::POLLIN)];
        for line in lines {
            fds.push(PollFd::new(line.as_fd(), PollFlags::POLLIN));
        }
        let patience = until.since(clock::monotonic()).max(Self::WAIT_MIN);
        let _ = poll(&mut fds, patience);
        if !poll::events(&fds[0]).is_empty() {
            self.waker.hush();
        }
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
            let wait = if full_inboxes > 0 {
                Wait {
                    until: Some(Micros(0)),
                    ..wait
                }
            } else {
                wait
            };
            let ready = self.wait(wait, full_inboxes > 0);
            let filled = if ready.is_empty() {
                Filled::Dry
            } else {
                inbox.fill(&self.socket, ready != PollFlags::POLLIN)
            };
            full_inboxes = if filled == Filled::Full {
                full_inboxes + 1
            } else {
                0
            };
            if filled == Filled::Broken {
                let until = Some(clock::monotonic() + Self::BROKEN_PAUSE);
                self.wait(
                    Wait {
                        until,
                        listening: false,
                        ..wait
                    },
                    false,
                );
            }
        }
    }

    /// Waits, and says what there is at the socket: datagrams, trouble, both or nothing.
    fn wait(&self, wait: Wait, hurried: bool) -> PollFlags {
        let patience = match wait.until {
            Some(until) if hurried => until.since(clock::monotonic()),
            Some(until) => until.since(clock::monotonic()).max(Self::WAIT_MIN),
            None => Self::SLEEP_MAX,
        };
        let mut fds = [
            PollFd::new(self.waker.fd(), PollFlags::POLLIN),
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
        ];
        let fds = if wait.listening {
            &mut fds[..]
        } else {
            &mut fds[..1]
        };
        // Interrupted, or refused for want of memory: the next turn will see.
        let _ = poll(fds, patience.min(Self::SLEEP_MAX));
        if !poll::events(&fds[0]).is_empty() {
            self.waker.hush();
        }
        match fds.get(1) {
            Some(socket) => poll::events(socket),
            None => PollFlags::empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

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
    fn its_panic_does_not_go_unseen_and_does_not_keep_the_port() {
        let node = Node::new();
        node.init("127.0.0.1", 33_010, None).unwrap();
        let waker = node.open_waker().unwrap();
        waker.hush();
        node.shared.manage(|state| state.sabotaged = true);
        // Nobody calls the node: the engine finds out by itself, at its next deadline.
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

    #[test]
    fn a_bell_that_could_not_be_rung_is_rung_later_and_the_log_says_why() {
        let node = Node::new();
        node.init("127.0.0.1", 33_012, None).unwrap();
        let waker = node.open_waker().unwrap();
        node.heartbeat(&waker, None);
        waker.faults.store(12, Ordering::Relaxed);
        let is_rung = || {
            let mut fds = [PollFd::new(waker.fd(), PollFlags::POLLIN)];
            poll(&mut fds, Duration::ZERO).unwrap() == 1
        };
        assert!(!is_rung());
        // No call reaches the node: it wants a beat, and finds out by itself that there is none.
        eventually("the waker is rung all the same", is_rung);
        let text = "Could not wake Tarantool's thread: No buffer space available";
        let (lines, _) = node.take_lines();
        let told = |line: &crate::Line| line.text.starts_with(text);
        assert!(lines.iter().any(told), "{lines:?}");
    }

    #[test]
    fn an_engine_that_could_not_be_woken_is_late_and_no_more() {
        let node = Node::new();
        let an_hour = swim::config::Setting::Number(3600.0);
        for name in ["PROTOCOL_PERIOD_SECONDS", "ANTI_ENTROPY_PERIOD_SECONDS"] {
            node.with_swim(|swim, now| swim.assign(name, an_hour.clone(), now))
                .unwrap()
                .unwrap();
        }
        node.init("127.0.0.1", 33_013, None).unwrap();
        let waker = node.waker().unwrap();
        eventually("it sleeps", || node.shared.manage(|state| state.turns) > 0);
        waker.faults.store(u32::MAX, Ordering::Relaxed);
        // It has to look anew at when to wake, and would sleep for an hour.
        let soon = swim::config::Setting::Number(0.1);
        node.with_swim(|swim, now| swim.assign("PROTOCOL_PERIOD_SECONDS", soon, now))
            .unwrap()
            .unwrap();
        let probes = || node.shared.manage(|state| state.swim.stats().probes);
        let before = probes();
        eventually("it probes itself", || probes() > before + 5);
    }

    #[test]
    fn it_sleeps_when_there_is_trouble_with_the_socket_too() {
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
