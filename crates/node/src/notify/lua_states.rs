//! The Lua states of the process: that of the TX thread, and those of application threads.
//!
//! Each has a fiber `membership.main` with a waker and a watchdog of its own, so that no other can hide that
//! it hangs. One of them speaks for the instance: that of TX, whenever it sends heartbeats, for what the
//! group wants to know of an instance is whether its database responds. If the module is used in application
//! threads alone, it is the first of these. Its stalls make the instance suspect, its clock is the one that
//! counts, and it writes the log.

use core::fmt;
use core::time::Duration;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use crate::HeartbeatReply;
use crate::clock::{LuaTime, ThreadClock};
use crate::notify::event_loop::{EventLoop, ThreadId};
use crate::notify::waker::Waker;
use crate::notify::watchdog::{CpuTime, Wake, Watchdog};
use crate::state::State;
use swim::log_event::Level;
use swim::time::{Micros, Now};

/// The thread that sends a heartbeat.
#[derive(Clone, Copy, Debug)]
pub struct LuaThread {
    /// The thread that the process began with, on which Tarantool runs the database.
    pub is_tx: bool,
    /// What it has run so far; `None` where the system has no such clocks.
    pub clock: Option<ThreadClock>,
    /// By which the system tells what it waits for, if it does.
    pub id: Option<ThreadId>,
}

/// A stall that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// How long the thread did not respond.
    pub duration: Duration,
    /// Whether it was TX.
    pub is_tx: bool,
    /// Whether the instance was announced suspect for it.
    pub was_announced: bool,
}

impl fmt::Display for Stall {
    /// The line for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thread = if self.is_tx {
            "Tarantool's thread"
        } else {
            "An application thread"
        };
        let seconds = self.duration.as_secs_f64();
        write!(f, "{thread} did not respond for {seconds:.1} s")?;
        if self.was_announced {
            write!(f, ": announced this instance suspect")?;
        }
        write!(
            f,
            ". Look for code that does not yield, or waits for a disk"
        )
    }
}

/// One Lua state.
struct LuaState {
    waker: Arc<Waker>,
    watchdog: Watchdog,
    /// The thread of its last heartbeat. It may be another after a fork.
    thread: Option<LuaThread>,
    /// The event loop in which that thread was found at rest.
    event_loop: Option<EventLoop>,
}

/// A Lua state that is asked for a heartbeat.
#[derive(Debug)]
pub struct Asked {
    /// To wake its fiber.
    pub waker: Arc<Waker>,
    /// The thread, if that it rests is as good as a heartbeat.
    thread: Option<ThreadId>,
    /// The event loop in which the thread was found at rest before.
    event_loop: Option<EventLoop>,
}

impl Asked {
    /// The event loop in which the thread rests, if that is as good as a heartbeat. Not to be called under the lock.
    pub fn event_loop(&self) -> Option<EventLoop> {
        EventLoop::of_resting(self.thread?, self.event_loop, self.waker.as_raw_fd())
    }
}

impl LuaState {
    fn cpu_time(&self) -> CpuTime {
        self.thread?.clock?.cpu_time()
    }

    fn is_tx(&self) -> bool {
        self.thread.is_some_and(|thread| thread.is_tx)
    }
}

/// All Lua states that have a waker, in the order in which they got it.
#[derive(Default)]
pub struct LuaStates {
    states: Vec<LuaState>,
    /// The longest stall that the instance was announced suspect for, of those that have ended.
    longest_stall: Duration,
}

impl LuaStates {
    /// Takes in a Lua state.
    pub fn open(&mut self, waker: Arc<Waker>) {
        self.states.push(LuaState {
            waker,
            watchdog: Watchdog::default(),
            thread: None,
            event_loop: None,
        });
    }

    /// Forgets a Lua state that is closed.
    pub fn close(&mut self, waker: &Arc<Waker>) {
        self.states
            .retain(|state| !Arc::ptr_eq(&state.waker, waker));
    }

    /// The fiber of `waker` runs, on this thread. Returns the stall that ends with it, if there was one.
    pub fn heartbeat(
        &mut self,
        waker: &Arc<Waker>,
        thread: LuaThread,
        now: Micros,
    ) -> Option<Stall> {
        let speaker = self.speaker();
        let index = self.find(waker)?;
        let state = &mut self.states[index];
        // After a fork it is another thread, with another event loop.
        if let Some(before) = state.thread.replace(thread)
            && before.id != thread.id
        {
            state.event_loop = None;
        }
        let cpu_time = state.cpu_time();
        let duration = state.watchdog.heartbeat(cpu_time, now)?;
        let was_announced = speaker == Some(index);
        if was_announced {
            self.longest_stall = self.longest_stall.max(duration);
        }
        Some(Stall {
            duration,
            is_tx: thread.is_tx,
            was_announced,
        })
    }

    /// The thread of `waker` rests in `event_loop`.
    pub fn note_rest(&mut self, waker: &Arc<Waker>, event_loop: EventLoop, now: Micros) {
        if let Some(index) = self.find(waker) {
            let state = &mut self.states[index];
            state.event_loop = Some(event_loop);
            let cpu_time = state.cpu_time();
            state.watchdog.note_rest(cpu_time, now);
        }
    }

    /// The fiber of `waker` ends, although its Lua state runs.
    pub fn end_heartbeats(&mut self, waker: &Arc<Waker>) {
        if let Some(index) = self.find(waker) {
            self.states[index].watchdog.stop();
        }
    }

    /// Expects no heartbeat of any, until the next one.
    pub fn stop(&mut self) {
        for state in &mut self.states {
            state.watchdog.stop();
        }
    }

    /// Whether the Lua state of `waker` speaks for the instance. As long as none sends heartbeats, each does.
    pub fn speaks(&self, waker: &Arc<Waker>) -> bool {
        match self.speaker() {
            Some(index) => Arc::ptr_eq(&self.states[index].waker, waker),
            None => true,
        }
    }

    /// Whether one of them speaks for the instance.
    pub fn have_speaker(&self) -> bool {
        self.speaker().is_some()
    }

    /// Whether the one that speaks for the instance hangs.
    pub fn is_stalled(&self) -> bool {
        match self.speaker() {
            Some(index) => self.states[index].watchdog.is_stalled(),
            None => false,
        }
    }

    /// How long the longest stall was, of those that were announced and have ended.
    pub const fn longest_stall(&self) -> Duration {
        self.longest_stall
    }

    /// See [`Watchdog::check`].
    pub fn check(&mut self, timeout: Duration, now: Micros) {
        for state in &mut self.states {
            // The clock of another thread takes a system call.
            if state.watchdog.should_check(timeout, now) {
                let cpu_time = state.cpu_time();
                state.watchdog.check(timeout, cpu_time, now);
            }
        }
    }

    /// When to check next; `None` while no heartbeat is expected.
    pub fn next_check(&self, timeout: Duration) -> Option<Micros> {
        let next = |state: &LuaState| state.watchdog.next_check(timeout);
        self.states.iter().filter_map(next).min()
    }

    /// The process did not run until `now`, or was not expected to.
    pub fn excuse_pause(&mut self, now: Micros) {
        for state in &mut self.states {
            state.watchdog.excuse_pause(now);
        }
    }

    /// The wakers of all Lua states.
    pub fn wakers(&self) -> Vec<Arc<Waker>> {
        let waker = |state: &LuaState| Arc::clone(&state.waker);
        self.states.iter().map(waker).collect()
    }

    /// Those that are asked for a heartbeat. Says so once for each time.
    pub fn poll_asked(&mut self) -> Vec<Asked> {
        let mut asked = Vec::new();
        for state in &mut self.states {
            let Some(wake) = state.watchdog.poll_wake() else {
                continue;
            };
            let thread = match (wake, state.thread) {
                (Wake::UnlessAtRest, Some(thread)) => thread.id,
                _ => None,
            };
            asked.push(Asked {
                waker: Arc::clone(&state.waker),
                thread,
                event_loop: state.event_loop,
            });
        }
        asked
    }

    fn find(&self, waker: &Arc<Waker>) -> Option<usize> {
        self.states
            .iter()
            .position(|state| Arc::ptr_eq(&state.waker, waker))
    }

    fn speaker(&self) -> Option<usize> {
        let is_watched = |state: &LuaState| state.watchdog.expects_heartbeats();
        let tx = |state: &LuaState| state.is_tx() && is_watched(state);
        match self.states.iter().position(tx) {
            Some(index) => Some(index),
            None => self.states.iter().position(is_watched),
        }
    }
}

impl State {
    /// The fiber of `waker` runs, on `thread`, whose clock shows `lua_time`.
    pub fn heartbeat(
        &mut self,
        waker: &Arc<Waker>,
        thread: LuaThread,
        lua_time: Option<LuaTime>,
        now: Now,
    ) {
        // After `leave` one more heartbeat comes, and the next only after another `init`.
        let is_member = self.swim.myself().is_some();
        if is_member && let Some(stall) = self.lua_states.heartbeat(waker, thread, now.monotonic) {
            self.log_queue.push(Level::Warn, stall);
        }
        if !self.lua_states.speaks(waker) {
            return;
        }
        if let Some(lua_time) = lua_time {
            self.clock.follow(lua_time);
        }
        if is_member {
            self.swim.set_stalled(self.lua_states.is_stalled(), now);
            let wall = self.clock.wall();
            self.swim.note_clock(Now { wall, ..now });
        }
    }

    /// What the fiber of `waker` has to do. It gets the lines to log if its Lua state is the one that logs.
    pub fn reply(&mut self, waker: &Arc<Waker>) -> HeartbeatReply {
        let writes_log = self.lua_states.speaks(waker);
        let (lines, left_out) = if writes_log {
            self.log_queue.take()
        } else {
            (Vec::new(), 0)
        };
        HeartbeatReply {
            lines,
            left_out,
            writes_log,
            is_initialized: self.failure.is_none() && self.swim.myself().is_some(),
        }
    }

    /// The fiber of `waker` ends, although its Lua state runs.
    pub fn end_heartbeats(&mut self, waker: &Arc<Waker>, now: Now) {
        let spoke = self.lua_states.speaks(waker);
        self.lua_states.end_heartbeats(waker);
        if spoke {
            self.swim.set_stalled(self.lua_states.is_stalled(), now);
            self.swim.forget_clock(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(3);

    const TX: LuaThread = LuaThread {
        is_tx: true,
        clock: None,
        id: None,
    };
    const APPLICATION: LuaThread = LuaThread {
        is_tx: false,
        clock: None,
        id: None,
    };

    fn at(ms: u64) -> Micros {
        Micros(ms * 1000)
    }

    /// An application thread that was there first, and TX.
    fn two() -> (LuaStates, Arc<Waker>, Arc<Waker>) {
        let mut states = LuaStates::default();
        let [application, tx] = [(); 2].map(|()| Arc::new(Waker::new().unwrap()));
        states.open(Arc::clone(&application));
        states.open(Arc::clone(&tx));
        states.heartbeat(&application, APPLICATION, at(0));
        states.heartbeat(&tx, TX, at(0));
        (states, application, tx)
    }

    /// Lets time pass until `until`, in ms, while these answer whenever they are asked.
    fn run(states: &mut LuaStates, until: u64, answer: &[(&Arc<Waker>, LuaThread)]) {
        while let Some(check) = states.next_check(TIMEOUT)
            && check < at(until)
        {
            states.check(TIMEOUT, check);
            for asked in states.poll_asked() {
                for (waker, thread) in answer {
                    if Arc::ptr_eq(waker, &asked.waker) {
                        states.heartbeat(waker, *thread, check);
                    }
                }
            }
        }
    }

    #[test]
    fn a_hang_of_tx_is_noticed_although_an_application_thread_responds() {
        let (mut states, application, tx) = two();
        run(&mut states, 10_000, &[(&application, APPLICATION)]);
        assert!(states.is_stalled());
        let stall = states.heartbeat(&tx, TX, at(10_000)).unwrap();
        assert_eq!(
            stall.to_string(),
            "Tarantool's thread did not respond for 9.7 s: announced this instance suspect. \
             Look for code that does not yield, or waits for a disk"
        );
        assert!(!states.is_stalled());
        assert_eq!(states.longest_stall(), stall.duration);
    }

    #[test]
    fn a_hang_of_an_application_thread_is_told_and_does_not_make_the_instance_suspect() {
        let (mut states, application, tx) = two();
        run(&mut states, 10_000, &[(&tx, TX)]);
        assert!(!states.is_stalled());
        let stall = states.heartbeat(&application, APPLICATION, at(10_000));
        assert_eq!(
            stall.expect("it did not respond").to_string(),
            "An application thread did not respond for 9.7 s. \
             Look for code that does not yield, or waits for a disk"
        );
        assert_eq!(states.longest_stall(), Duration::ZERO);
    }

    #[test]
    fn without_tx_the_first_application_thread_speaks_for_the_instance() {
        let (mut states, application, tx) = two();
        assert!(states.speaks(&tx) && !states.speaks(&application));
        states.end_heartbeats(&tx);
        assert!(states.speaks(&application) && !states.speaks(&tx));
        run(&mut states, 10_000, &[]);
        assert!(states.is_stalled());
        states.close(&application);
        assert!(!states.is_stalled(), "it is gone");
        assert!(states.speaks(&tx), "there is no other");
    }
}
