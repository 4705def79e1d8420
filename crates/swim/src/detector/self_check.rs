//! What must not be blamed on others: that the local node was not running, or is of no use.

use core::fmt;
use core::time::Duration;

use crate::time::Micros;

/// How late a timer may be on a busy machine. What is later was a pause: SIGSTOP, a virtual machine
/// that was moved, a host without a core to spare.
pub const LATENESS_MAX: Duration = Duration::from_millis(200);

/// For how long the local node was paused, if the next deadline was `due` and it is `now`.
pub fn pause(due: Micros, now: Micros, ack_timeout: Duration) -> Option<Duration> {
    let late = now.since(due);
    (late > LATENESS_MAX.max(ack_timeout)).then_some(late)
}

/// Why a member announces itself as suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfSuspicion {
    /// Its Tarantool thread does not respond.
    Stalled,
    /// It has pinged itself, and there was no answer.
    Unreachable,
}

/// A member has announced itself as suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Why, if it has told that.
    pub why: Option<SelfSuspicion>,
}

impl fmt::Display for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Some(why) => write!(f, "announces itself as suspect: {why}"),
            None => f.write_str(
                "announces itself as suspect: its Tarantool thread does not respond, \
                 or its own address does not lead to it",
            ),
        }
    }
}

/// Of a member, in the words of another.
impl fmt::Display for SelfSuspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stalled => "its Tarantool thread does not respond",
            Self::Unreachable => "its own address does not lead to it",
        })
    }
}
