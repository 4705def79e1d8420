//! Waiting for descriptors.

use core::time::Duration;

pub use nix::errno::Errno;
pub use nix::poll::{PollFd, PollFlags};

/// Waits until something has happened to one of `fds`, or until `patience` has passed. Returns to how
/// many something has happened.
///
/// On Linux and FreeBSD it wakes when `patience` has passed, elsewhere up to a millisecond later.
pub fn poll(fds: &mut [PollFd<'_>], patience: Duration) -> nix::Result<usize> {
    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    let ready = nix::poll::ppoll(fds, Some(patience.into()), None)?;
    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    let ready = nix::poll::poll(fds, round_up(patience))?;
    Ok(usize::try_from(ready).unwrap_or(0))
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn round_up(patience: Duration) -> nix::poll::PollTimeout {
    let whole = patience + Duration::from_nanos(999_999);
    whole.try_into().unwrap_or(nix::poll::PollTimeout::MAX)
}

/// What has happened to the descriptor of `fd`. What nix has no name for counts as an error.
pub fn events(fd: &PollFd<'_>) -> PollFlags {
    fd.revents().unwrap_or(PollFlags::POLLERR)
}
