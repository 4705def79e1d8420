//! Whether Tarantool's thread runs. The engine answers pings while it does not, but a member that
//! does nothing else is of no use to anybody, and others rely on such a one being called dead.
//!
//! It is asked by ringing its bell, and a beat is its answer. To be woken is nearly all that this
//! costs it, up to 0.1 ms each time. So a thread that has nothing to do is seldom asked: how long it
//! has run tells that, and wakes nobody.

use core::time::Duration;

use crate::clock::{LuaTime, ThreadClock};
use crate::state::State;
use swim::detector::self_check::LATENESS_MAX;
use swim::log_event::Level;
use swim::time::{Micros, Now};

/// How often to look, at least, whether the thread works. A stall is noticed that much later.
const LOOK: Duration = Duration::from_millis(350);

/// How often a thread that has nothing to do is asked, unless a stall is to be noticed sooner.
const QUIET_MAX: Duration = Duration::from_secs(1);

/// A thread works if it has run for longer than this since its last beat. One that waits for a disk
/// does not run, and is found when it is asked.
const IDLE_MAX: Duration = Duration::from_millis(20);

/// In how many looks a timeout is divided, at least. A pause that no look falls into is not noticed,
/// and leaves that much less time to beat.
const LOOKS: u32 = 4;

/// For how long Tarantool's thread has run, if the system tells.
pub type Ran = Option<Duration>;

/// Watches the beats of Lua. What is late counts from the question, or from the end of a pause: the
/// thread hung by then, and for how long before does not matter.
#[derive(Debug, Default)]
pub struct Watchdog {
    /// The last beat; `None` while nobody beats.
    beaten: Option<Micros>,
    /// How long the thread had run by then.
    ran: Ran,
    /// Since when a beat is owed.
    asked: Option<Micros>,
    /// The waker is to be rung for it.
    rings: bool,
    /// When it was to be rung last.
    rung: Micros,
    /// When it looked last.
    looked: Micros,
    stalled: bool,
    /// The longest stall that has ended.
    longest: Duration,
}

impl Watchdog {
    /// Lua runs. Returns how long it did not, if that was a stall.
    pub fn heartbeat(&mut self, ran: Ran, now: Micros) -> Option<Duration> {
        (self.beaten, self.ran) = (Some(now), ran);
        self.looked = now;
        self.rings = false;
        let asked = self.asked.take();
        let ended = core::mem::take(&mut self.stalled);
        let stall = asked.filter(|_| ended).map(|asked| now.since(asked));
        self.longest = self.longest.max(stall.unwrap_or_default());
        stall
    }

    /// Nobody beats any more: that proves nothing from here on.
    pub fn dismiss(&mut self) {
        *self = Self {
            longest: self.longest,
            ..Self::default()
        };
    }

    /// How long the longest stall was, of those that have ended.
    pub const fn longest(&self) -> Duration {
        self.longest
    }

    /// The process was not running, or is not expected to, before `now`.
    pub fn excuse(&mut self, now: Micros) {
        self.asked = self.asked.map(|asked| asked.max(now));
        self.looked = now;
    }

    /// Looks whether it is time to ask, and whether a beat is overdue. Without a timeout, none ever
    /// is.
    pub fn look(&mut self, timeout: Duration, ran: Ran, now: Micros) {
        if timeout.is_zero() {
            self.stalled = false;
        }
        let Some(due) = self.next_look(timeout) else {
            return;
        };
        if !self.stalled && now.since(due) > LATENESS_MAX {
            self.excuse(now);
        }
        self.looked = now;
        if self.asked.is_none() && self.doubts(timeout, ran, now) {
            self.asked = Some(now);
            self.ring(now);
        }
        // The system may have failed to ring it. Where it has not, to ring again costs nothing.
        if self.asked.is_some() && now.since(self.rung) >= LOOK {
            self.ring(now);
        }
        let overdue = |deadline| deadline <= now;
        self.stalled |= self.deadline(timeout).is_some_and(overdue);
    }

    fn ring(&mut self, now: Micros) {
        (self.rings, self.rung) = (true, now);
    }

    /// When to look next.
    pub fn next_look(&self, timeout: Duration) -> Option<Micros> {
        let beaten = self.beaten?;
        if self.stalled || timeout.is_zero() && self.asked.is_some() {
            return Some(self.rung + QUIET_MAX);
        }
        if timeout.is_zero() {
            return Some(beaten + quiet(timeout));
        }
        let look = self.looked + LOOK.min(timeout / LOOKS);
        Some(self.deadline(timeout).map_or(look, |due| due.min(look)))
    }

    /// Whether to ring for a beat. Says so once for each time.
    pub fn poll_question(&mut self) -> bool {
        core::mem::take(&mut self.rings)
    }

    /// Whether Tarantool's thread hangs.
    pub const fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// Whether it is time to ask.
    fn doubts(&self, timeout: Duration, ran: Ran, now: Micros) -> bool {
        let Some(beaten) = self.beaten else {
            return false;
        };
        let quiet_for = now.since(beaten);
        match (ran, self.ran) {
            (Some(ran), Some(before)) => {
                ran.saturating_sub(before) > IDLE_MAX || quiet_for >= quiet(timeout)
            }
            _ => quiet_for >= LOOK,
        }
    }

    /// When a beat is overdue.
    fn deadline(&self, timeout: Duration) -> Option<Micros> {
        Some(self.asked.filter(|_| !timeout.is_zero())? + timeout)
    }
}

/// For how long to leave a thread alone that has nothing to do.
fn quiet(timeout: Duration) -> Duration {
    if timeout.is_zero() {
        QUIET_MAX
    } else {
        (timeout / 3).clamp(LOOK, QUIET_MAX)
    }
}

/// How long after its last turn the engine is overdue: it looks once a second at least.
const ENGINE_LATE: Duration = Duration::from_secs(3);

/// How long it has to come once it was woken. After a pause of the process it needs a moment.
const ENGINE_PATIENCE: Duration = Duration::from_secs(1);

/// Whether the engine comes when it is woken, as the threads see that call the node meanwhile.
#[derive(Debug, Default)]
pub struct EngineWatch {
    /// Its last turn; `None` while there is none to wait for.
    turned: Option<Micros>,
    /// Since when it is known to be overdue.
    missed: Option<Micros>,
    told: bool,
}

impl EngineWatch {
    /// The engine takes a turn.
    pub fn turn(&mut self, now: Micros) {
        *self = Self {
            turned: Some(now),
            ..Self::default()
        };
    }

    /// The engine was stopped.
    pub fn dismiss(&mut self) {
        *self = Self::default();
    }

    /// Another thread is here: says whether the engine is overdue, and is to be woken.
    pub fn is_overdue(&mut self, now: Micros) -> bool {
        let late = |turned: Micros| now.since(turned) >= ENGINE_LATE;
        if !self.turned.is_some_and(late) {
            return false;
        }
        self.missed.get_or_insert(now);
        true
    }

    /// For how long the engine has not come although it was woken. Says so once.
    pub fn poll_complaint(&mut self, now: Micros) -> Option<Duration> {
        let missed = self.missed.filter(|_| !self.told)?;
        if now.since(missed) < ENGINE_PATIENCE {
            return None;
        }
        self.told = true;
        self.turned.map(|turned| now.since(turned))
    }
}

impl State {
    /// Lua runs, on the thread that calls, and its clock shows `lua_time`.
    pub fn heartbeat(&mut self, lua_time: Option<LuaTime>, now: Now) {
        if let Some(lua_time) = lua_time {
            self.clock.follow(lua_time);
        }
        // Who has left beats once more, and then not until he is back.
        if self.swim.myself().is_some() {
            self.beater = ThreadClock::of_this_thread();
            if let Some(stall) = self.watchdog.heartbeat(self.ran(), now.monotonic) {
                let seconds = stall.as_secs_f64();
                let line = format!(
                    "Tarantool's thread did not respond for {seconds:.1} s: announced myself suspect"
                );
                self.lines.push(Level::Warn, line);
            }
            self.swim.set_stalled(self.watchdog.is_stalled(), now);
            let wall = self.clock.wall();
            self.swim.note_clock(Now { wall, ..now });
        }
    }

    /// Lua runs, but is not going to beat any more.
    pub fn end_heartbeats(&mut self, now: Now) {
        self.watchdog.dismiss();
        self.swim.set_stalled(false, now);
        self.swim.forget_clock(now);
    }

    /// Whether the engine should have come by itself. If it does not do so when it is woken, that is
    /// worth a line.
    pub fn is_engine_missing(&mut self, now: Micros) -> bool {
        let missing = self.engine_watch.is_overdue(now);
        if let Some(time) = self.engine_watch.poll_complaint(now) {
            let line = format!(
                "The thread membership has not run for {:.1} s: no ping is answered",
                time.as_secs_f64()
            );
            self.lines.push(Level::Warn, line);
        }
        missing
    }

    /// For how long the thread that beats has run.
    pub fn ran(&self) -> Ran {
        self.beater.and_then(ThreadClock::ran)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(3);

    fn at(ms: u64) -> Micros {
        Micros(ms * 1000)
    }

    /// A thread that has nothing to do, or waits for a disk.
    fn never_runs(_: Micros) -> Ran {
        Some(Duration::from_millis(5))
    }

    /// A thread that computes since `began`.
    fn runs_since(began: u64) -> impl Fn(Micros) -> Ran {
        move |now| Some(now.since(at(began)))
    }

    /// One that has beaten at the beginning.
    fn watchdog(ran: impl Fn(Micros) -> Ran) -> Watchdog {
        let mut dog = Watchdog::default();
        assert_eq!(dog.heartbeat(ran(at(0)), at(0)), None);
        dog
    }

    /// Looks whenever it asks for that, until `until`. Returns when it found a stall.
    fn watch(dog: &mut Watchdog, ran: impl Fn(Micros) -> Ran, until: Micros) -> Option<Micros> {
        while let Some(look) = dog.next_look(TIMEOUT)
            && look < until
        {
            dog.look(TIMEOUT, ran(look), look);
            if dog.is_stalled() {
                return Some(look);
            }
        }
        None
    }

    /// When it asks, if each question is answered at once, in ms.
    fn questions(dog: &mut Watchdog, ran: impl Fn(Micros) -> Ran, until: Micros) -> Vec<u64> {
        let mut asked = Vec::new();
        while let Some(look) = dog.next_look(TIMEOUT)
            && look < until
        {
            dog.look(TIMEOUT, ran(look), look);
            if dog.poll_question() {
                assert!(!dog.poll_question(), "once");
                assert_eq!(dog.heartbeat(ran(look), look), None);
                asked.push(look.0 / 1000);
            }
        }
        asked
    }

    #[test]
    fn a_thread_that_works_is_asked_more_often_than_one_that_does_not() {
        let idle = questions(&mut watchdog(never_runs), never_runs, at(3500));
        assert_eq!(idle, [1050, 2100, 3150]);
        let busy = questions(&mut watchdog(runs_since(0)), runs_since(0), at(1100));
        assert_eq!(busy, [350, 700, 1050]);
        let unknown = questions(&mut watchdog(|_| None), |_| None, at(1100));
        assert_eq!(unknown, [350, 700, 1050]);
    }

    #[test]
    fn a_thread_that_computes_for_less_than_the_timeout_is_not_missed_and_for_longer_it_is() {
        for began in [0, 1, 340, 349, 350, 600, 1049] {
            let mut dog = watchdog(runs_since(began));
            let found = watch(&mut dog, runs_since(began), at(100_000)).unwrap();
            let after = found.since(at(began));
            let most = TIMEOUT + LOOK + IDLE_MAX;
            assert!(TIMEOUT <= after && after <= most, "{began}: {after:?}");

            let back = found + Duration::from_secs(10);
            let missed = dog.heartbeat(runs_since(began)(back), back);
            assert_eq!(missed, Some(TIMEOUT + Duration::from_secs(10)));
            assert!(!dog.is_stalled());
        }
    }

    #[test]
    fn who_does_not_come_is_rung_again_and_again_until_it_does() {
        for timeout in [TIMEOUT, Duration::ZERO] {
            let mut dog = watchdog(never_runs);
            let mut rings = Vec::new();
            while let Some(look) = dog.next_look(timeout)
                && look < at(8000)
            {
                dog.look(timeout, never_runs(look), look);
                if dog.poll_question() {
                    rings.push(look);
                }
            }
            let pauses = rings.windows(2).map(|pair| pair[1].since(pair[0]));
            assert!(pauses.max().unwrap() <= Duration::from_secs(1), "{rings:?}");
            assert!(rings.last() >= Some(&at(7000)), "{rings:?}");
            assert_eq!(dog.is_stalled(), timeout == TIMEOUT);
            dog.heartbeat(never_runs(at(8000)), at(8000));
            assert!(!dog.poll_question() && !dog.is_stalled());
        }
    }

    #[test]
    fn a_pause_in_the_middle_of_a_stall_does_not_end_it() {
        let mut dog = watchdog(never_runs);
        assert!(watch(&mut dog, never_runs, at(100_000)).is_some());
        dog.look(TIMEOUT, never_runs(at(60_000)), at(60_000));
        assert!(dog.is_stalled(), "no beat has come since");
    }

    #[test]
    fn an_engine_that_does_not_come_is_complained_of_once_and_one_that_was_paused_is_not() {
        let mut engine = EngineWatch::default();
        assert!(!engine.is_overdue(at(60_000)), "there is none yet");
        engine.turn(at(60_000));
        assert!(!engine.is_overdue(at(62_999)));
        // After a pause of the process another thread is back first.
        assert!(engine.is_overdue(at(90_000)));
        assert_eq!(engine.poll_complaint(at(90_500)), None);
        engine.turn(at(90_600));
        assert!(!engine.is_overdue(at(91_000)));
        assert_eq!(engine.poll_complaint(at(92_000)), None);

        assert!(engine.is_overdue(at(93_600)));
        let missing = Some(Duration::from_secs(4));
        assert_eq!(engine.poll_complaint(at(94_600)), missing);
        assert!(
            engine.is_overdue(at(99_600)),
            "and is to be woken all the same"
        );
        assert_eq!(engine.poll_complaint(at(99_600)), None);
    }

    #[test]
    fn a_thread_that_waits_for_a_disk_is_missed_when_it_does_not_answer() {
        let found = watch(&mut watchdog(never_runs), never_runs, at(100_000));
        assert_eq!(found, Some(at(1050 + 3000)));
    }

    #[test]
    fn who_never_beats_and_who_has_stopped_beating_is_not_watched() {
        let mut dog = Watchdog::default();
        dog.look(TIMEOUT, None, at(10_000));
        assert_eq!((dog.is_stalled(), dog.next_look(TIMEOUT)), (false, None));
        dog.heartbeat(None, at(10_000));
        dog.dismiss();
        dog.look(TIMEOUT, None, at(20_000));
        assert_eq!((dog.is_stalled(), dog.next_look(TIMEOUT)), (false, None));
        assert!(!dog.poll_question());
        dog.heartbeat(None, at(20_000));
        assert!(watch(&mut dog, |_| None, at(100_000)).is_some(), "again");
    }

    #[test]
    fn a_pause_of_the_process_is_no_stall_and_leaves_a_whole_timeout_to_beat() {
        for paused_after in [0, 100, 349, 350, 2000, 3300] {
            let mut dog = watchdog(|_| None);
            assert_eq!(watch(&mut dog, |_| None, at(paused_after)), None);
            dog.look(TIMEOUT, None, at(60_000));
            assert!(!dog.is_stalled(), "paused after {paused_after} ms");
            let found = watch(&mut dog, |_| None, at(100_000));
            assert_eq!(found, Some(at(60_000 + 3000)));
        }
    }

    #[test]
    fn a_pause_too_short_to_be_noticed_leaves_most_of_the_timeout() {
        let mut dog = watchdog(|_| None);
        dog.look(TIMEOUT, None, at(350));
        assert!(dog.poll_question());
        // Until just before it counts: one look, and how late that may be.
        dog.look(TIMEOUT, None, at(350 + 350 + 200));
        let left = watch(&mut dog, |_| None, at(100_000)).unwrap();
        assert_eq!(left.since(at(900)), Duration::from_millis(2450));
    }

    #[test]
    fn without_a_timeout_nothing_is_a_stall() {
        let mut dog = watchdog(|_| None);
        let look = dog.next_look(Duration::ZERO);
        assert_eq!(look, Some(at(1000)), "a beat tells the time, too");
        dog.look(Duration::ZERO, None, at(1000));
        assert!(dog.poll_question());
        dog.look(Duration::ZERO, None, at(100_000));
        assert!(!dog.is_stalled());
        dog.heartbeat(None, at(100_000));
        assert!(watch(&mut dog, |_| None, at(200_000)).is_some());
        dog.look(Duration::ZERO, None, at(200_001));
        assert!(!dog.is_stalled(), "the option was changed");
    }
}
