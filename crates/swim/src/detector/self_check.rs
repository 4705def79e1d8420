//! What must not be blamed on others: that the local node was not running.

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
