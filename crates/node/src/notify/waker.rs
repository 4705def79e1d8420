//! Waking a thread that waits for a descriptor: Lua's fiber, and the engine.

use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
#[cfg(test)]
use std::sync::atomic::AtomicU32;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use swim::time::Micros;

/// A descriptor that turns readable when rung, and stays so until hushed.
#[derive(Debug)]
pub struct Waker {
    button: UnixStream,
    gong: UnixStream,
    /// A byte is on its way, or waits to be read.
    rung: AtomicBool,
    /// How many of the next writes fail.
    #[cfg(test)]
    pub faults: AtomicU32,
}

impl Waker {
    /// How often in a row a write is tried. The system may be short of memory for a moment.
    const TRIES_MAX: u32 = 3;

    /// A silent one. Its descriptors are closed on exec.
    pub fn new() -> io::Result<Self> {
        let (button, gong) = UnixStream::pair()?;
        button.set_nonblocking(true)?;
        gong.set_nonblocking(true)?;
        Ok(Self {
            button,
            gong,
            rung: AtomicBool::new(false),
            #[cfg(test)]
            faults: AtomicU32::new(0),
        })
    }

    /// Makes the descriptor readable. However often it is rung, one byte is in it.
    ///
    /// Where that fails, the next call tries again: it is for the caller to see to it that there is one.
    pub fn ring(&self) -> io::Result<()> {
        if self.rung.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let mut tries = 1;
        while let Err(error) = self.press() {
            // Full: then the descriptor is readable, and that is all that is wanted.
            if error.kind() == ErrorKind::WouldBlock {
                break;
            }
            if tries == Self::TRIES_MAX {
                self.rung.store(false, Ordering::Release);
                return Err(error);
            }
            tries += 1;
        }
        Ok(())
    }

    fn press(&self) -> io::Result<usize> {
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
        (&self.button).write(&[0])
    }

    /// Makes the descriptor unreadable until it is rung again.
    ///
    /// What the ringing was about is to be looked at *afterwards*: then nothing is missed, since a
    /// ring that comes too late to be heard on its own comes before that look.
    pub fn hush(&self) {
        let mut bytes = [0; 16];
        while let Err(ErrorKind::Interrupted) = (&self.gong).read(&mut bytes).map_err(|e| e.kind())
        {
        }
        // Not before reading: a byte written in between would be read, and never missed again.
        self.rung.swap(false, Ordering::AcqRel);
    }

    /// What to wait for.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.gong.as_fd()
    }

    /// Lets go of the descriptors that are shared with the parent of this process, and keeps their
    /// numbers. Rings, in case that the parent has heard what was meant for us.
    ///
    /// To be called while no other thread runs. When the system has no descriptors left, the old
    /// ones do as long as the parent does not listen.
    pub fn renew(&self) {
        if let Ok(fresh) = Self::new() {
            replace(&fresh.button, &self.button);
            replace(&fresh.gong, &self.gong);
            self.rung.store(false, Ordering::Release);
        }
        // The engine looks soon in any case, and asks those who wait for the others.
        let _ = self.ring();
    }
}

impl AsRawFd for Waker {
    fn as_raw_fd(&self) -> RawFd {
        self.gong.as_raw_fd()
    }
}

/// Gives the number of `stale` to what `fresh` is.
fn replace(fresh: &UnixStream, stale: &UnixStream) {
    // SAFETY: the call touches no memory. The kernel replaces what the number means in one step, so the
    // number stays open, and `stale` goes on owning it: an end of a socket pair before and after.
    unsafe { libc::dup2(fresh.as_raw_fd(), stale.as_raw_fd()) };
    let _ = fcntl(stale, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
}

/// When to ring for Lua: at once for what somebody waits for, at most ten times a second for news.
#[derive(Debug, Default)]
pub struct WakeThrottle {
    told: Noise,
    /// When it was rung last.
    last: Option<Micros>,
    /// When to ring for what has been held back.
    due: Option<Micros>,
}

/// Counters; each rises when there is something to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noise {
    /// [`swim::Swim::news`].
    pub news: u64,
    /// [`swim::Swim::decided`].
    pub decided: u64,
    /// LogQueue for the log.
    pub lines: u64,
}

impl WakeThrottle {
    /// Waking Lua costs it some 20 µs, and a subscriber may recompute the failover of a cluster.
    pub const PAUSE: Duration = Duration::from_millis(100);

    /// Whether to ring now.
    pub fn strike(&mut self, noise: Noise, now: Micros) -> bool {
        if noise.decided == self.told.decided {
            if noise == self.told {
                return false;
            }
            let quiet_until = self.last.map_or(Micros(0), |last| last + Self::PAUSE);
            if now < quiet_until {
                self.due = Some(quiet_until);
                return false;
            }
        }
        self.sound(noise, now)
    }

    /// Whether to ring now, when there is nobody to ask again later.
    pub fn strike_at_once(&mut self, noise: Noise, now: Micros) -> bool {
        noise != self.told && self.sound(noise, now)
    }

    fn sound(&mut self, noise: Noise, now: Micros) -> bool {
        *self = Self {
            told: noise,
            last: Some(now),
            due: None,
        };
        true
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
    fn a_bell_sounds_until_hushed_and_can_be_rung_again() {
        let waker = Waker::new().unwrap();
        assert!(!readable(&waker));
        for _ in 0..3 {
            for _ in 0..100_000 {
                waker.ring().unwrap();
            }
            assert!(readable(&waker));
            waker.hush();
            assert!(!readable(&waker), "one byte, however often it was rung");
        }
    }

    #[test]
    fn a_ring_is_never_lost_to_a_hush_at_the_same_time() {
        use std::sync::atomic::AtomicU64;
        let (waker, said) = (Waker::new().unwrap(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..200_000 {
                    said.fetch_add(1, Ordering::Relaxed);
                    waker.ring().unwrap();
                }
            });
            let mut heard = 0;
            while heard < 200_000 {
                let woken = turns_readable(&waker, Duration::from_secs(10));
                assert!(woken, "slept on with {heard} of {said:?} heard");
                waker.hush();
                heard = said.load(Ordering::Relaxed);
            }
        });
    }

    #[test]
    fn a_write_that_fails_is_tried_again_and_never_mutes_the_bell() {
        let waker = Waker::new().unwrap();
        waker.faults.store(Waker::TRIES_MAX - 1, Ordering::Relaxed);
        waker.ring().unwrap();
        assert!(readable(&waker), "the last try has succeeded");
        waker.hush();

        waker.faults.store(Waker::TRIES_MAX, Ordering::Relaxed);
        let error = waker.ring().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
        assert!(!readable(&waker));
        waker.ring().unwrap();
        assert!(readable(&waker), "the next ring is heard");
    }

    #[test]
    fn a_renewed_bell_keeps_its_number_and_sounds() {
        let waker = Waker::new().unwrap();
        let number = waker.as_raw_fd();
        waker.renew();
        assert_eq!(waker.as_raw_fd(), number);
        assert!(readable(&waker));
        waker.hush();
        assert!(!readable(&waker));
        waker.ring().unwrap();
        assert!(readable(&waker));
        let flags = fcntl(waker.fd(), FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags, FdFlag::FD_CLOEXEC.bits());
    }

    #[test]
    fn the_first_news_ring_at_once_and_the_next_are_gathered() {
        let at = |ms: u64| Micros(ms * 1000);
        let mut noise = Noise::default();
        let mut wake_throttle = WakeThrottle::default();
        assert!(
            !wake_throttle.strike(noise, at(1000)),
            "nothing has happened"
        );
        noise.news = 1;
        assert!(wake_throttle.strike(noise, at(1000)));
        assert!(!wake_throttle.strike(noise, at(1001)), "told already");
        noise.news = 2;
        noise.lines = 1;
        assert!(!wake_throttle.strike(noise, at(1010)));
        assert_eq!(wake_throttle.next_deadline(), Some(at(1100)));
        noise.news = 3;
        assert!(!wake_throttle.strike(noise, at(1099)));
        assert!(wake_throttle.strike(noise, at(1100)));
        assert_eq!(wake_throttle.next_deadline(), None);
    }

    #[test]
    fn a_decided_probe_rings_at_once() {
        let mut wake_throttle = WakeThrottle::default();
        assert!(wake_throttle.strike(
            Noise {
                news: 1,
                ..Noise::default()
            },
            Micros(1000)
        ));
        assert!(!wake_throttle.strike(
            Noise {
                news: 2,
                ..Noise::default()
            },
            Micros(2000)
        ));
        assert!(wake_throttle.strike(
            Noise {
                news: 2,
                decided: 1,
                ..Noise::default()
            },
            Micros(3000)
        ));
        assert_eq!(wake_throttle.next_deadline(), None, "the news went with it");
    }
}
