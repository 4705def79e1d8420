//! Threads: starts those that have a name and leave the signals to Tarantool, and tells TX from others.

use std::io;
use std::thread::{Builder, JoinHandle};

use nix::sys::signal::{SigSet, SigmaskHow};

/// Ample for the engine, whose recursion is bounded, and for the name services that `getaddrinfo` loads.
/// The system provides the memory only as it is touched.
const STACK_SIZE: usize = 1 << 20;

/// Whether this is the thread that the process began with.
#[cfg(target_os = "linux")]
pub fn is_first() -> bool {
    nix::unistd::gettid() == nix::unistd::getpid()
}

/// Whether this is the thread that the process began with.
#[cfg(not(target_os = "linux"))]
pub fn is_first() -> bool {
    // SAFETY: the call has no arguments, and touches no memory of ours.
    unsafe { libc::pthread_main_np() != 0 }
}

/// Starts a thread that never receives a signal. A name may have 15 bytes.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    // POSIX promises that a thread starts with the signal mask of its creator. Were the signals blocked in
    // the thread itself, one could arrive before that.
    let _blocked = SignalsBlocked::new()?;
    Builder::new()
        .name(name.into())
        .stack_size(STACK_SIZE)
        .spawn(body)
}

/// As long as this exists, the current thread receives no signals.
struct SignalsBlocked {
    before: SigSet,
}

impl SignalsBlocked {
    fn new() -> io::Result<Self> {
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        Ok(Self { before })
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // It fails only for an unknown operation.
        let _ = self.before.thread_set_mask();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;

    /// The signals that the current thread has blocked, as the kernel shows them.
    fn blocked() -> u64 {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("SigBlk:"))
            .unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    }

    #[test]
    fn a_thread_blocks_every_signal_that_can_be_blocked() {
        let before = blocked();
        let (reply, replies) = std::sync::mpsc::channel();
        let thread =
            super::spawn("membership-test", move || reply.send(blocked()).unwrap()).unwrap();
        let inside = replies.recv().unwrap();
        thread.join().unwrap();
        // SIGKILL and SIGSTOP cannot be blocked, and glibc keeps two (32, 33) to itself.
        let exempt = [libc::SIGKILL, libc::SIGSTOP, 32, 33].map(|signal| 1 << (signal - 1));
        assert_eq!(inside | exempt.iter().sum::<u64>(), u64::MAX);
        assert_eq!(
            blocked(),
            before,
            "the creator of the thread keeps its own mask"
        );
    }
}
