//! What I must not blame others for: that I was not running myself.

use core::time::Duration;

use crate::Swim;
use crate::table::claim::Incarnation;
use crate::time::Now;
use crate::timers::Timer;

/// How late a timer may be on a busy machine. What is later was a pause: SIGSTOP, a virtual machine
/// that was moved, a host without a core to spare.
pub const LATENESS_MAX: Duration = Duration::from_millis(200);

/// Whether the application behind me is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Application {
    /// As far as anybody knows.
    #[default]
    Running,
    /// It is not, and I have said so. Refuting that will take more than this incarnation.
    Stalled(Incarnation),
}

impl Swim {
    /// Looks whether I was paused; to be called with every input, before anything else.
    ///
    /// An answer that I did not hear in the meantime proves nothing, and a suspect that I did not
    /// hear refute gets that much more time.
    pub(crate) fn notice_pause(&mut self, now: Now) {
        let Some(due) = self
            .timers
            .next()
            .filter(|_| self.config.mechanisms.pause_guard)
        else {
            return;
        };
        let late = now.monotonic.since(due);
        if late > LATENESS_MAX.max(self.config.ack_timeout) {
            self.stats.pauses += 1;
            self.prober.give_up();
            self.timers.stop(Timer::Retry);
            self.members.suspicions.postpone(late);
            self.watch_oldest_suspicion(now);
            self.timers.catch_up(now.monotonic);
        }
    }

    /// The application does not respond, or does so again.
    ///
    /// I answer pings while it hangs, but a member that does nothing else is of no use to anybody.
    /// So I say myself that I am suspect, and don't refute: others will call me dead in their time.
    pub fn set_stalled(&mut self, stalled: bool, now: Now) {
        let Some(own) = self.own_claim() else { return };
        match (self.application, stalled) {
            (Application::Running, true) => {
                self.stats.stalls += 1;
                self.application = Application::Stalled(own.incarnation);
                self.suspect_self(now);
            }
            (Application::Stalled(rumored), false) => {
                self.application = Application::Running;
                self.refute(rumored, now);
            }
            (Application::Running, false) | (Application::Stalled(_), true) => {}
        }
    }
}
