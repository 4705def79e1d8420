//! Waking a thread that waits for a descriptor: the fiber `membership.main`, and the engine.

use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
#[cfg(test)]
use std::sync::atomic::AtomicU32;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use swim::time::Micros;

/// A descriptor that turns readable when woken, and stays so until cleared.
#[derive(Debug)]
pub struct Waker {
    sender: UnixStream,
    receiver: UnixStream,
    /// A byte is on its way, or waits to be read.
    is_woken: AtomicBool,
    /// How many of the next writes fail.
    #[cfg(test)]
    pub faults: AtomicU32,
}

impl Waker {
    /// How often in a row a write is tried. The system may be short of memory for a moment.
    const TRIES_MAX: u32 = 3;

    /// Makes one that is not woken. Its descriptors are closed on exec.
    pub fn new() -> io::Result<Self> {
        let (sender, receiver) = UnixStream::pair()?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        Ok(Self {
            sender,
            receiver,
            is_woken: AtomicBool::new(false),
            #[cfg(test)]
            faults: AtomicU32::new(0),
        })
    }

    /// Makes the descriptor readable. It holds one byte, however often this is called.
    ///
    /// If that fails, the next call tries again: the caller has to make sure that there is one.
    pub fn wake(&self) -> io::Result<()> {
        // A busy engine wakes more often than the fiber runs, and must not fill the socket meanwhile.
        if self.is_woken.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let mut tries = 1;
        while let Err(error) = self.write_byte() {
            // Full: then the descriptor is readable, as it is to be.
            if error.kind() == ErrorKind::WouldBlock {
                break;
            }
            if tries == Self::TRIES_MAX {
                self.is_woken.store(false, Ordering::Release);
                return Err(error);
            }
            tries += 1;
        }
        Ok(())
    }

    fn write_byte(&self) -> io::Result<usize> {
        #[cfg(test)]
        {
            let less = |faults: u32| faults.checked_sub(1);
            let faults = self
                .faults
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            if faults.is_ok() {
                return Err(io::Error::from_raw_os_error(libc::ENOBUFS));
            }
        }
        (&self.sender).write(&[0])
    }

    /// Makes the descriptor unreadable until the next [`Self::wake`].
    ///
    /// Look for news *after* this call. Then none is missed: a wake that comes too late to make the
    /// descriptor readable again comes before that look.
    pub fn clear(&self) {
        let mut bytes = [0; 16];
        loop {
            match (&self.receiver).read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        // Only after the read: else a byte written in between would be read, with `is_woken` still set, and
        // no later wake would write another.
        self.is_woken.swap(false, Ordering::AcqRel);
    }

    /// The descriptor to wait for.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }

    /// Replaces the descriptors that this process shares with its parent, and keeps their numbers. Wakes,
    /// because the parent may have read a byte that was meant for this process.
    ///
    /// To be called while no other thread runs. If the system has no descriptors left, the old ones serve
    /// as long as the parent does not use them.
    pub fn renew(&self) {
        if let Ok(fresh) = Self::new() {
            replace(&fresh.sender, &self.sender);
            replace(&fresh.receiver, &self.receiver);
            self.is_woken.store(false, Ordering::Release);
        }
        // If it fails: the engine looks within a second, and then asks Lua for a heartbeat.
        let _ = self.wake();
    }
}

impl AsRawFd for Waker {
    fn as_raw_fd(&self) -> RawFd {
        self.receiver.as_raw_fd()
    }
}

/// Gives the number of `stale` to the socket of `fresh`.
fn replace(fresh: &UnixStream, stale: &UnixStream) {
    // SAFETY: the call touches no memory. The kernel replaces what the number means in one step, so the
    // number stays open, and `stale` goes on owning it: an end of a socket pair before and after.
    unsafe { libc::dup2(fresh.as_raw_fd(), stale.as_raw_fd()) };
    let _ = fcntl(stale, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
}

/// Decides when to wake Lua: at once if the outcome of a ping is known, since a fiber waits for it. For news
/// at once, too, but for no more than a few in a row, and then at intervals (the generic cell rate algorithm).
#[derive(Debug, Default)]
pub struct WakeThrottle {
    /// What Lua was last woken for.
    reported: Activity,
    /// When the wakes so far would have come if each had kept the interval.
    paid_until: Micros,
    /// When to wake it for what is held back.
    due: Option<Micros>,
}

/// Counters. Each rises when there is something for Lua to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// [`swim::Swim::news`].
    pub news: u64,
    /// [`swim::Swim::decided`].
    pub decided: u64,
    /// Lines in the log queue.
    pub log_lines: u64,
}

impl WakeThrottle {
    /// How often Lua is woken in the long run, however much happens. A wake costs it some 20 µs, and each
    /// change a few; what subscribers do comes on top.
    pub const INTERVAL: Duration = Duration::from_millis(20);

    /// How many wakes come at once after a quiet time. A failure and what it leads to are no storm.
    pub const BURST: u32 = 10;

    /// Whether to wake Lua now. If it is too early, [`Self::next_deadline`] says when to ask again.
    pub fn should_wake(&mut self, activity: Activity, now: Micros) -> bool {
        if activity == self.reported {
            return false;
        }
        let is_decided = activity.decided != self.reported.decided;
        let due = self.paid_until - Self::INTERVAL * (Self::BURST - 1);
        if !is_decided && now < due {
            self.due = Some(due);
            return false;
        }
        self.report(activity, now);
        true
    }

    /// Like [`Self::should_wake`], where no engine runs that could ask again later.
    pub fn should_wake_without_engine(&mut self, activity: Activity, now: Micros) -> bool {
        if activity == self.reported {
            return false;
        }
        self.report(activity, now);
        true
    }

    fn report(&mut self, activity: Activity, now: Micros) {
        self.reported = activity;
        // The outcomes of pings wake Lua in any case, and are not to hold news back for longer than others.
        let paid_until = self.paid_until.max(now) + Self::INTERVAL;
        self.paid_until = paid_until.min(now + Self::INTERVAL * Self::BURST);
        self.due = None;
    }

    /// When to ask again.
    pub const fn next_deadline(&self) -> Option<Micros> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::poll::{PollFd, PollFlags, poll};

    fn readable(waker: &Waker) -> bool {
        turns_readable(waker, Duration::ZERO)
    }

    fn turns_readable(waker: &Waker, patience: Duration) -> bool {
        let mut fds = [PollFd::new(waker.fd(), PollFlags::POLLIN)];
        poll(&mut fds, patience).unwrap() == 1
    }

    #[test]
    fn a_waker_is_readable_until_cleared_and_can_be_woken_again() {
        let waker = Waker::new().unwrap();
        assert!(!readable(&waker));
        for _ in 0..3 {
            for _ in 0..100_000 {
                waker.wake().unwrap();
            }
            assert!(readable(&waker));
            waker.clear();
            assert!(!readable(&waker), "one byte, however often it was woken");
        }
    }

    #[test]
    fn a_wake_is_never_lost_to_a_clear_at_the_same_time() {
        use std::sync::atomic::AtomicU64;
        let (waker, sent) = (Waker::new().unwrap(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..200_000 {
                    sent.fetch_add(1, Ordering::Relaxed);
                    waker.wake().unwrap();
                }
            });
            let mut seen = 0;
            while seen < 200_000 {
                let woken = turns_readable(&waker, Duration::from_secs(10));
                assert!(woken, "not woken, with {seen} of {sent:?} seen");
                waker.clear();
                seen = sent.load(Ordering::Relaxed);
            }
        });
    }

    #[test]
    fn a_write_that_fails_is_tried_again_and_does_not_keep_later_ones_from_being_tried() {
        let waker = Waker::new().unwrap();
        waker.faults.store(Waker::TRIES_MAX - 1, Ordering::Relaxed);
        waker.wake().unwrap();
        assert!(readable(&waker), "the last try has succeeded");
        waker.clear();

        waker.faults.store(Waker::TRIES_MAX, Ordering::Relaxed);
        let error = waker.wake().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
        assert!(!readable(&waker));
        waker.wake().unwrap();
        assert!(readable(&waker), "the next wake succeeds");
    }

    #[test]
    fn a_renewed_waker_keeps_its_number_and_is_woken() {
        let waker = Waker::new().unwrap();
        let number = waker.as_raw_fd();
        waker.renew();
        assert_eq!(waker.as_raw_fd(), number);
        assert!(readable(&waker));
        waker.clear();
        assert!(!readable(&waker));
        waker.wake().unwrap();
        assert!(readable(&waker));
        let flags = fcntl(waker.fd(), FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags, FdFlag::FD_CLOEXEC.bits());
    }

    /// At which times, in µs, Lua is woken from `begin` to `end`, if there is news every `pause` µs.
    fn wakes(
        wake_throttle: &mut WakeThrottle,
        news: &mut u64,
        begin: u64,
        end: u64,
        pause: usize,
    ) -> Vec<u64> {
        let mut wakes = Vec::new();
        let mut next_news = begin;
        let mut now = begin;
        while now < end {
            if now == next_news {
                *news += 1;
                next_news += pause as u64;
            }
            let activity = Activity {
                news: *news,
                ..Activity::default()
            };
            if wake_throttle.should_wake(activity, Micros(now)) {
                wakes.push(now);
            }
            let due = wake_throttle.next_deadline().map_or(u64::MAX, |due| due.0);
            now = next_news.min(due);
        }
        wakes
    }

    #[test]
    fn news_wakes_at_once_after_quiet_and_at_intervals_in_a_storm() {
        let (mut wake_throttle, mut news) = (WakeThrottle::default(), 0);
        for begin in [1_000_000, 5_000_000] {
            let woken = wakes(
                &mut wake_throttle,
                &mut news,
                begin,
                begin + 1_000_000,
                1000,
            );
            let burst: Vec<u64> = (0..10).map(|i| begin + i * 1000).collect();
            assert_eq!(woken[..10], burst, "each of the first is told at once");
            let pauses = woken[10..].windows(2).map(|pair| pair[1] - pair[0]);
            assert!(pauses.clone().all(|pause| pause == 20_000), "{woken:?}");
            assert!(woken[10] - woken[9] <= 20_000, "{woken:?}");
            assert!(pauses.count() > 35, "until the end");
        }
    }

    #[test]
    fn a_lone_change_is_told_at_once_also_after_outcomes_of_many_pings() {
        let (mut wake_throttle, mut activity) = (WakeThrottle::default(), Activity::default());
        for i in 0..1000 {
            activity.decided += 1;
            assert!(wake_throttle.should_wake(activity, Micros(1_000_000 + i)));
        }
        activity.news += 1;
        assert!(!wake_throttle.should_wake(activity, Micros(1_001_000)));
        let due = wake_throttle.next_deadline().unwrap();
        assert!(due <= Micros(1_001_000 + 20_000), "{due:?}");
        assert!(wake_throttle.should_wake(activity, due));
        assert_eq!(wake_throttle.next_deadline(), None);
    }

    #[test]
    fn the_outcome_of_a_ping_wakes_at_once_in_a_storm_too() {
        let (mut wake_throttle, mut news) = (WakeThrottle::default(), 0);
        wakes(&mut wake_throttle, &mut news, 1_000_000, 1_095_000, 1000);
        let mut activity = Activity {
            news: news + 1,
            ..Activity::default()
        };
        assert!(!wake_throttle.should_wake(activity, Micros(1_095_001)));
        activity.decided = 1;
        assert!(wake_throttle.should_wake(activity, Micros(1_095_002)));
        assert_eq!(wake_throttle.next_deadline(), None, "the news went with it");
    }
}
