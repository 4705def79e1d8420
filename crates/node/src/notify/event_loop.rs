//! Whether a thread of Tarantool rests in its event loop, as the system tells without waking it.
//!
//! Linux shows in `/proc/self/task/TID/syscall` what a thread waits for (`proc_pid_syscall(5)`). One that waits for the
//! `epoll` instance that watches our waker is in its event loop, and runs as soon as there is something to do: to wake
//! it for a heartbeat would show nothing new. One that waits for anything else, a disk, a lock or an `epoll` of some
//! library, may hang. Where the system does not tell, no thread rests.

use std::os::fd::RawFd;

use nix::unistd::Pid;

/// A thread, for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadId(Pid);

impl ThreadId {
    /// That of the calling thread; `None` where the system does not tell what a thread waits for.
    #[cfg(target_os = "linux")]
    pub fn of_this_thread() -> Option<Self> {
        Some(Self(nix::unistd::gettid()))
    }

    /// That of the calling thread; `None` where the system does not tell what a thread waits for.
    #[cfg(not(target_os = "linux"))]
    pub fn of_this_thread() -> Option<Self> {
        None
    }
}

/// An `epoll` instance: the event loop of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLoop(RawFd);

impl EventLoop {
    /// The event loop that `thread` waits in, if that watches the descriptor `waker`. `known` is the one that was found
    /// before.
    ///
    /// Takes microseconds, or a clock tick if the thread is just going to sleep: not to be called under the lock.
    pub fn of_resting(thread: ThreadId, known: Option<Self>, waker: RawFd) -> Option<Self> {
        let waited_for = linux::epoll_waited_for(thread.0)?;
        if known == Some(Self(waited_for)) || linux::watches(waited_for, waker) {
            return Some(Self(waited_for));
        }
        None
    }
}

mod linux {
    use core::ffi::c_long;
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::fd::RawFd;

    use nix::unistd::Pid;

    /// The system calls that wait for an `epoll` instance, their first argument.
    #[cfg(target_os = "linux")]
    const EPOLL_WAITS: &[c_long] = &[
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait,
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
    ];

    #[cfg(not(target_os = "linux"))]
    const EPOLL_WAITS: &[c_long] = &[];

    /// The `epoll` instance that `thread` waits for, if it waits for one.
    pub fn epoll_waited_for(thread: Pid) -> Option<RawFd> {
        // The number of the call, its arguments, and two more numbers; of a thread that runs: "running".
        let mut line = [0; 9 * 20];
        let mut file = File::open(format!("/proc/self/task/{thread}/syscall")).ok()?;
        let length = file.read(&mut line).ok()?;
        let mut words = str::from_utf8(&line[..length])
            .ok()?
            .split_ascii_whitespace();
        let call: c_long = words.next()?.parse().ok()?;
        if !EPOLL_WAITS.contains(&call) {
            return None;
        }
        RawFd::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()
    }

    /// Whether the `epoll` instance `epoll` watches `descriptor`.
    pub fn watches(epoll: RawFd, descriptor: RawFd) -> bool {
        let Ok(text) = fs::read_to_string(format!("/proc/self/fdinfo/{epoll}")) else {
            return false;
        };
        for line in text.lines() {
            if let Some(watched) = line.strip_prefix("tfd:")
                && let Some(number) = watched.split_ascii_whitespace().next()
                && number.parse() == Ok(descriptor)
            {
                return true;
            }
        }
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
pub(crate) mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

    use super::*;
    use crate::notify::waker::Waker;
    use crate::threads;

    /// An event loop that watches `waker` alone.
    pub fn epoll_of(waker: &Waker) -> Epoll {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let readable = EpollEvent::new(EpollFlags::EPOLLIN, 0);
        epoll.add(waker.fd(), readable).unwrap();
        epoll
    }

    /// Rests until there is something to do.
    pub fn wait(epoll: &Epoll) {
        let mut events = [EpollEvent::empty()];
        epoll.wait(&mut events, EpollTimeout::NONE).unwrap();
    }

    /// Runs `body` on a thread, and returns in which event loop that rests. It is looked at until it has begun to wait.
    fn rests(waker: &Arc<Waker>, body: impl FnOnce() + Send + 'static) -> Option<EventLoop> {
        let (tell, told) = channel();
        let run = move || {
            tell.send(ThreadId::of_this_thread().unwrap()).unwrap();
            body();
        };
        threads::spawn("membership-test", run).unwrap();
        let thread = told.recv().unwrap();
        for _ in 0..200 {
            if let Some(event_loop) = EventLoop::of_resting(thread, None, waker.as_raw_fd()) {
                let again = EventLoop::of_resting(thread, Some(event_loop), -1);
                assert_eq!(again, Some(event_loop), "it is known");
                return Some(event_loop);
            }
            thread::sleep(Duration::from_millis(1));
        }
        None
    }

    #[test]
    fn a_thread_rests_if_it_waits_for_the_waker_among_others() {
        let waker = Arc::new(Waker::new().unwrap());
        let epoll = epoll_of(&waker);
        let number = epoll.0.as_raw_fd();
        let found = rests(&waker, move || wait(&epoll));
        assert_eq!(found, Some(EventLoop(number)));
        waker.wake().unwrap();
    }

    #[test]
    fn a_thread_that_waits_for_anything_else_does_not_rest_nor_one_that_runs_or_has_ended() {
        let waker = Arc::new(Waker::new().unwrap());
        let other = Arc::new(Waker::new().unwrap());
        let elsewhere = epoll_of(&other);
        assert_eq!(rests(&waker, move || wait(&elsewhere)), None);
        other.wake().unwrap();

        let (blocked, end) = UnixStream::pair().unwrap();
        let read = move || {
            let _ = std::io::Read::read(&mut &blocked, &mut [0]);
        };
        assert_eq!(rests(&waker, read), None);
        drop(end);

        let runs = Arc::new(());
        let ends = Arc::downgrade(&runs);
        let compute = move || while ends.strong_count() > 0 {};
        assert_eq!(rests(&waker, compute), None);
        drop(runs);

        assert_eq!(rests(&waker, || ()), None);
    }
}
