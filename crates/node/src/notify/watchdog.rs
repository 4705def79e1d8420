//! Whether a thread of Tarantool runs. The engine answers pings although it does not, but a member that does
//! nothing else is of no use to others, and they rely on such a member being declared dead.
//!
//! The engine asks for a heartbeat by waking the fiber `membership.main`. That costs the thread up to
//! 0.2 ms each time, so the engine seldom asks a thread that has nothing to do. The CPU time of the
//! thread tells whether it has, and can be read without waking it. If the system tells that the thread rests in its
//! event loop, it is not woken at all, but for a heartbeat now and then.

use core::mem;
use core::time::Duration;

use crate::state::State;
use swim::detector::self_check::LATENESS_MAX;
use swim::log_event::Level;
use swim::time::Micros;

/// The longest time between two checks of a thread that works. Should it hang, that is noticed so much later.
const CHECK_PAUSE: Duration = Duration::from_millis(350);

/// After this time a thread that has nothing to do is asked again, unless the timeout requires it sooner. The
/// engine does not wake for that before another [`CHECK_PAUSE`] has passed: in a group it has something else to
/// do by then, once a protocol period, and each wake costs more than what is done in it.
const QUIET_MAX: Duration = Duration::from_millis(900);

/// A thread that has run for longer than this since its last heartbeat is at work. One that waits for a
/// disk does not run, and is found when it is asked.
const IDLE_MAX: Duration = Duration::from_millis(20);

/// How long a thread that rests is left alone. A heartbeat tells what its clock shows, too: a program may have replaced
/// that clock.
const REST_MAX: Duration = Duration::from_secs(10);

/// How many checks there are in a timeout, at least. A pause of the process between two checks is not
/// noticed, and leaves that much less time for the heartbeat.
const CHECKS_PER_TIMEOUT: u32 = 4;

/// How long the thread has run, if the system tells.
pub type CpuTime = Option<Duration>;

/// The fiber is to be woken for a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// In any case.
    Always,
    /// Unless its thread rests: [`Watchdog::note_rest`] is then as good as a heartbeat.
    UnlessAtRest,
}

/// Watches the heartbeats of one Lua state. A heartbeat is late by the time since it was asked for, or since a pause
/// of the process ended: the thread hung at that moment, and for how long before does not matter.
#[derive(Debug, Default)]
pub struct Watchdog {
    /// The last heartbeat, or the last time that the thread was found at rest; `None` while no heartbeat is expected.
    last_heartbeat: Option<Micros>,
    /// The CPU time of the thread at that time.
    cpu_time: CpuTime,
    /// The last heartbeat of the fiber itself.
    last_awake: Micros,
    /// Since when a heartbeat is due.
    asked: Option<Micros>,
    /// The fiber is to be woken for it.
    wants_wake: Option<Wake>,
    /// When the fiber was last to be woken.
    last_wake: Micros,
    /// The thread was at work when it was last checked.
    works: bool,
    last_check: Micros,
    stalled: bool,
}

impl Watchdog {
    /// Takes a heartbeat. Returns how long the thread hung, if that was a stall.
    pub fn heartbeat(&mut self, cpu_time: CpuTime, now: Micros) -> Option<Duration> {
        self.last_awake = now;
        let asked = self.end_question(cpu_time, now);
        if !mem::take(&mut self.stalled) {
            return None;
        }
        Some(now.since(asked?))
    }

    /// The thread rests in its event loop, after [`Wake::UnlessAtRest`]: it would answer if it were woken.
    pub fn note_rest(&mut self, cpu_time: CpuTime, now: Micros) {
        if self.last_heartbeat.is_some() && !self.stalled {
            self.end_question(cpu_time, now);
        }
    }

    /// The thread responds. Returns since when that was asked.
    fn end_question(&mut self, cpu_time: CpuTime, now: Micros) -> Option<Micros> {
        self.last_heartbeat = Some(now);
        self.cpu_time = cpu_time;
        self.last_check = now;
        // If nothing tells a thread without work from one that hangs, it is taken for one that works.
        self.works |= cpu_time.is_none();
        self.wants_wake = None;
        self.asked.take()
    }

    /// Expects no heartbeat until the next one.
    pub fn stop(&mut self) {
        *self = Self::default();
    }

    /// Whether there was a heartbeat, and others are to follow.
    pub const fn expects_heartbeats(&self) -> bool {
        self.last_heartbeat.is_some()
    }

    /// The process did not run until `now`, or was not expected to.
    pub fn excuse_pause(&mut self, now: Micros) {
        if let Some(asked) = &mut self.asked {
            *asked = now.max(*asked);
        }
        self.last_check = now;
    }

    /// Whether a check can show anything new: one is due, or it was long ago and the engine is awake anyway.
    pub fn should_check(&self, timeout: Duration, now: Micros) -> bool {
        match self.next_check(timeout) {
            Some(due) => due <= now || now.since(self.last_check) >= pause(timeout),
            None => false,
        }
    }

    /// Checks whether it is time to ask for a heartbeat, and whether one is overdue. With a timeout of
    /// zero, none ever is.
    pub fn check(&mut self, timeout: Duration, cpu_time: CpuTime, now: Micros) {
        if timeout.is_zero() {
            self.stalled = false;
        }
        let Some(due) = self.next_check(timeout) else {
            return;
        };
        // The engine is late itself: perhaps nothing of the process has run, and the thread neither.
        if !self.stalled && now.since(due) > LATENESS_MAX {
            self.excuse_pause(now);
        }
        self.last_check = now;
        self.works = match (cpu_time, self.cpu_time) {
            (Some(ran), Some(had_run)) => ran.saturating_sub(had_run) > IDLE_MAX,
            _ => true,
        };
        if self.asked.is_none() && self.should_ask(timeout, now) {
            self.asked = Some(now);
            let wake = if now.since(self.last_awake) < REST_MAX {
                Wake::UnlessAtRest
            } else {
                Wake::Always
            };
            self.request(wake, now);
        }
        // The system may have failed to wake the fiber. If it has not, another wake costs nothing.
        if self.asked.is_some() && now.since(self.last_wake) >= CHECK_PAUSE {
            self.request(Wake::Always, now);
        }
        if let Some(deadline) = self.deadline(timeout)
            && deadline <= now
        {
            self.stalled = true;
        }
    }

    fn request(&mut self, wake: Wake, now: Micros) {
        self.wants_wake = Some(wake);
        self.last_wake = now;
    }

    /// When to check next; `None` while no heartbeat is expected.
    pub fn next_check(&self, timeout: Duration) -> Option<Micros> {
        let last_heartbeat = self.last_heartbeat?;
        if self.stalled || timeout.is_zero() && self.asked.is_some() {
            return Some(self.last_wake + QUIET_MAX);
        }
        if let Some(deadline) = self.deadline(timeout) {
            return Some(deadline.min(self.last_check + pause(timeout)));
        }
        if self.works && !timeout.is_zero() {
            return Some(self.last_check + pause(timeout));
        }
        Some(last_heartbeat + quiet(timeout) + CHECK_PAUSE)
    }

    /// Whether to wake the fiber for a heartbeat. Says so once for each time.
    pub fn poll_wake(&mut self) -> Option<Wake> {
        self.wants_wake.take()
    }

    /// Whether the thread hangs.
    pub const fn is_stalled(&self) -> bool {
        self.stalled
    }

    fn should_ask(&self, timeout: Duration, now: Micros) -> bool {
        let Some(last_heartbeat) = self.last_heartbeat else {
            return false;
        };
        // To ask a thread again that was found at rest wakes it only if it runs anyway.
        let did_rest = last_heartbeat > self.last_awake;
        let pause = if self.works || did_rest {
            pause(timeout)
        } else {
            quiet(timeout)
        };
        now.since(last_heartbeat) >= pause
    }

    /// When the heartbeat that was asked for is overdue.
    fn deadline(&self, timeout: Duration) -> Option<Micros> {
        if timeout.is_zero() {
            return None;
        }
        Some(self.asked? + timeout)
    }
}

/// How long to wait between two checks of a thread that works, or was asked.
fn pause(timeout: Duration) -> Duration {
    if timeout.is_zero() {
        CHECK_PAUSE
    } else {
        CHECK_PAUSE.min(timeout / CHECKS_PER_TIMEOUT)
    }
}

/// How long to leave a thread alone that has nothing to do.
fn quiet(timeout: Duration) -> Duration {
    if timeout.is_zero() {
        QUIET_MAX
    } else {
        (timeout / 3).clamp(CHECK_PAUSE, QUIET_MAX)
    }
}

/// How long after its last turn the engine is overdue: it takes one a second at least.
const ENGINE_LATE: Duration = Duration::from_secs(3);

/// How long an overdue engine has once it was woken. After a pause of the process it needs a moment.
const ENGINE_WAKE_MAX: Duration = Duration::from_secs(1);

/// Whether the engine runs when it is woken, as seen by the threads that call the node meanwhile.
#[derive(Debug, Default)]
pub struct EngineWatch {
    /// The last turn of the engine; `None` while there is no engine to watch.
    last_turn: Option<Micros>,
    /// Since when the engine is known to be overdue.
    overdue_since: Option<Micros>,
    has_warned: bool,
}

impl EngineWatch {
    /// The engine takes a turn.
    pub fn turn(&mut self, now: Micros) {
        *self = Self {
            last_turn: Some(now),
            ..Self::default()
        };
    }

    /// The engine was stopped.
    pub fn stop(&mut self) {
        *self = Self::default();
    }

    /// Says, on another thread, whether the engine is overdue and has to be woken.
    pub fn is_overdue(&mut self, now: Micros) -> bool {
        match self.last_turn {
            Some(last_turn) if now.since(last_turn) >= ENGINE_LATE => {
                self.overdue_since.get_or_insert(now);
                true
            }
            _ => false,
        }
    }

    /// How long the engine has not run although it was woken. Says so once.
    pub fn poll_warning(&mut self, now: Micros) -> Option<Duration> {
        let since = self.overdue_since?;
        if self.has_warned || now.since(since) < ENGINE_WAKE_MAX {
            return None;
        }
        self.has_warned = true;
        Some(now.since(self.last_turn?))
    }
}

impl State {
    /// Whether the engine is overdue and has to be woken. If that does not help, logs it.
    pub fn is_engine_overdue(&mut self, now: Micros) -> bool {
        let is_overdue = self.engine_watch.is_overdue(now);
        if let Some(time) = self.engine_watch.poll_warning(now) {
            let seconds = time.as_secs_f64();
            let line = format!(
                "The thread membership has not run for {seconds:.1} s: pings are not answered. \
                 Check whether the machine is overloaded"
            );
            self.log_queue.push(Level::Warn, line);
        }
        is_overdue
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
    fn never_runs(_: Micros) -> CpuTime {
        Some(Duration::from_millis(5))
    }

    /// A thread that computes since `began`.
    fn runs_since(began: u64) -> impl Fn(Micros) -> CpuTime {
        move |now| Some(now.since(at(began)))
    }

    /// A watchdog whose thread has sent a heartbeat at time 0.
    fn watchdog(cpu_time: impl Fn(Micros) -> CpuTime) -> Watchdog {
        let mut dog = Watchdog::default();
        assert_eq!(dog.heartbeat(cpu_time(at(0)), at(0)), None);
        dog
    }

    /// Checks whenever the watchdog asks for that, until `until`. Returns when it found a stall.
    fn watch(
        dog: &mut Watchdog,
        cpu_time: impl Fn(Micros) -> CpuTime,
        until: Micros,
    ) -> Option<Micros> {
        while let Some(check) = dog.next_check(TIMEOUT)
            && check < until
        {
            dog.check(TIMEOUT, cpu_time(check), check);
            if dog.is_stalled() {
                return Some(check);
            }
        }
        None
    }

    /// When it asks, in ms, if each question is answered at once.
    fn questions(
        dog: &mut Watchdog,
        cpu_time: impl Fn(Micros) -> CpuTime,
        until: Micros,
    ) -> Vec<u64> {
        let mut asked = Vec::new();
        while let Some(check) = dog.next_check(TIMEOUT)
            && check < until
        {
            dog.check(TIMEOUT, cpu_time(check), check);
            if dog.poll_wake().is_some() {
                assert_eq!(dog.poll_wake(), None, "once");
                assert_eq!(dog.heartbeat(cpu_time(check), check), None);
                asked.push(check.0 / 1000);
            }
        }
        asked
    }

    #[test]
    fn a_thread_that_works_is_asked_more_often_than_one_that_does_not() {
        let idle = questions(&mut watchdog(never_runs), never_runs, at(3500));
        assert_eq!(idle, [1250, 2500]);
        let busy = questions(&mut watchdog(runs_since(0)), runs_since(0), at(2600));
        assert_eq!(busy, [1250, 1600, 1950, 2300]);
        let unknown = questions(&mut watchdog(|_| None), |_| None, at(1100));
        assert_eq!(unknown, [350, 700, 1050]);
    }

    #[test]
    fn a_thread_hangs_if_it_computes_for_longer_than_the_timeout_and_not_before() {
        for began in [0, 1, 340, 349, 350, 600, 1049] {
            let mut dog = watchdog(runs_since(began));
            let found = watch(&mut dog, runs_since(began), at(100_000)).unwrap();
            let after = found.since(at(began));
            let most = TIMEOUT + QUIET_MAX + CHECK_PAUSE + IDLE_MAX;
            assert!(TIMEOUT <= after && after <= most, "{began}: {after:?}");

            let back = found + Duration::from_secs(10);
            let missed = dog.heartbeat(runs_since(began)(back), back);
            assert_eq!(missed, Some(TIMEOUT + Duration::from_secs(10)));
            assert!(!dog.is_stalled());
        }
    }

    #[test]
    fn an_engine_that_wakes_for_something_else_checks_then_and_does_not_wake_once_more() {
        let mut dog = watchdog(never_runs);
        // A probe a second, its answer, and the ping of another member.
        let turns = [0, 1, 530].map(|after| (0..10).map(move |second| second * 1000 + after));
        let mut turns: Vec<u64> = turns.into_iter().flatten().collect();
        turns.sort_unstable();
        let mut asked = Vec::new();
        for turn in turns.into_iter().skip(2).map(at) {
            assert!(dog.next_check(TIMEOUT) >= Some(turn), "it would have woken");
            if !dog.should_check(TIMEOUT, turn) {
                continue;
            }
            dog.check(TIMEOUT, never_runs(turn), turn);
            if dog.poll_wake().is_some() {
                // The answer takes a moment.
                dog.heartbeat(never_runs(turn), turn + Duration::from_micros(300));
                asked.push(turn.0 / 1000);
            }
        }
        assert_eq!(
            asked,
            [1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000]
        );
    }

    #[test]
    fn a_busy_engine_asks_a_busy_thread_no_more_often_because_no_answer_is_late() {
        let mut questions = Vec::new();
        for timeout in [TIMEOUT, Duration::ZERO] {
            let mut dog = watchdog(runs_since(0));
            let (mut checks, mut asked) = (0, 0);
            for turn in (0..3500).step_by(5).map(at) {
                if !dog.should_check(timeout, turn) {
                    continue;
                }
                checks += 1;
                dog.check(timeout, runs_since(0)(turn), turn);
                if dog.poll_wake().is_some() {
                    asked += 1;
                    dog.heartbeat(runs_since(0)(turn), turn);
                }
            }
            questions.push((checks, asked));
        }
        assert_eq!(questions, [(9, 9), (9, 9)]);
    }

    #[test]
    fn a_thread_that_does_not_answer_is_woken_again_and_again() {
        for timeout in [TIMEOUT, Duration::ZERO] {
            let mut dog = watchdog(never_runs);
            let mut wakes = Vec::new();
            while let Some(check) = dog.next_check(timeout)
                && check < at(8000)
            {
                dog.check(timeout, never_runs(check), check);
                if dog.poll_wake().is_some() {
                    wakes.push(check);
                }
            }
            let pauses = wakes.windows(2).map(|pair| pair[1].since(pair[0]));
            assert!(pauses.max().unwrap() <= Duration::from_secs(1), "{wakes:?}");
            assert!(wakes.last() >= Some(&at(7000)), "{wakes:?}");
            assert_eq!(dog.is_stalled(), timeout == TIMEOUT);
            dog.heartbeat(never_runs(at(8000)), at(8000));
            assert!(dog.poll_wake().is_none() && !dog.is_stalled());
        }
    }

    #[test]
    fn a_thread_that_rests_is_woken_every_ten_seconds_only() {
        let mut dog = watchdog(never_runs);
        let (mut looks, mut woken) = (0, Vec::new());
        while let Some(check) = dog.next_check(TIMEOUT)
            && check < at(32_000)
        {
            dog.check(TIMEOUT, never_runs(check), check);
            match dog.poll_wake() {
                Some(Wake::UnlessAtRest) => dog.note_rest(never_runs(check), check),
                Some(Wake::Always) => {
                    dog.heartbeat(never_runs(check), check);
                    woken.push(check.0 / 1000);
                }
                None => panic!("the engine woke at {check:?}, and had nothing to do"),
            }
            looks += 1;
        }
        assert_eq!((looks, woken), (25, vec![10_000, 20_000, 30_000]));
    }

    #[test]
    fn an_engine_that_looks_whether_a_thread_rests_does_so_when_it_is_awake_anyway() {
        let mut dog = watchdog(never_runs);
        dog.check(TIMEOUT, never_runs(at(1250)), at(1250));
        assert_eq!(dog.poll_wake(), Some(Wake::UnlessAtRest));
        dog.note_rest(never_runs(at(1250)), at(1250));
        // The next protocol period begins at another moment.
        for turn in [1700, 2700, 3700, 4700].map(at) {
            assert!(dog.next_check(TIMEOUT) >= Some(turn), "it would have woken");
            assert!(dog.should_check(TIMEOUT, turn));
            dog.check(TIMEOUT, never_runs(turn), turn);
            assert_eq!(dog.poll_wake(), Some(Wake::UnlessAtRest));
            dog.note_rest(never_runs(turn), turn);
        }
    }

    #[test]
    fn rest_is_no_answer_once_the_fiber_was_to_be_woken_and_hangs() {
        let mut dog = watchdog(never_runs);
        dog.note_rest(never_runs(at(1250)), at(1250));
        let found = watch(&mut dog, never_runs, at(100_000)).unwrap();
        assert_eq!(found, at(1250 + 1250 + 3000));
        dog.note_rest(never_runs(found), found);
        assert!(dog.is_stalled(), "only a heartbeat ends that");
        dog.stop();
        dog.note_rest(never_runs(found), found);
        assert!(!dog.expects_heartbeats(), "the fiber has ended");
    }

    #[test]
    fn a_pause_in_the_middle_of_a_stall_does_not_end_it() {
        let mut dog = watchdog(never_runs);
        assert!(watch(&mut dog, never_runs, at(100_000)).is_some());
        dog.check(TIMEOUT, never_runs(at(60_000)), at(60_000));
        assert!(dog.is_stalled(), "no heartbeat has come since");
    }

    #[test]
    fn an_engine_that_does_not_run_is_reported_once_and_one_that_was_paused_is_not() {
        let mut engine = EngineWatch::default();
        assert!(!engine.is_overdue(at(60_000)), "there is no engine yet");
        engine.turn(at(60_000));
        assert!(!engine.is_overdue(at(62_999)));
        // After a pause of the process another thread runs first.
        assert!(engine.is_overdue(at(90_000)));
        assert_eq!(engine.poll_warning(at(90_500)), None);
        engine.turn(at(90_600));
        assert!(!engine.is_overdue(at(91_000)));
        assert_eq!(engine.poll_warning(at(92_000)), None);

        assert!(engine.is_overdue(at(93_600)));
        let missing = Some(Duration::from_secs(4));
        assert_eq!(engine.poll_warning(at(94_600)), missing);
        assert!(
            engine.is_overdue(at(99_600)),
            "and has to be woken all the same"
        );
        assert_eq!(engine.poll_warning(at(99_600)), None);
    }

    #[test]
    fn a_thread_that_waits_for_a_disk_hangs_when_it_does_not_answer() {
        let found = watch(&mut watchdog(never_runs), never_runs, at(100_000));
        assert_eq!(found, Some(at(1250 + 3000)));
    }

    #[test]
    fn without_a_heartbeat_and_after_the_last_one_nothing_is_watched() {
        let mut dog = Watchdog::default();
        dog.check(TIMEOUT, None, at(10_000));
        assert_eq!((dog.is_stalled(), dog.next_check(TIMEOUT)), (false, None));
        dog.heartbeat(None, at(10_000));
        dog.stop();
        dog.check(TIMEOUT, None, at(20_000));
        assert_eq!((dog.is_stalled(), dog.next_check(TIMEOUT)), (false, None));
        assert_eq!(dog.poll_wake(), None);
        dog.heartbeat(None, at(20_000));
        assert!(watch(&mut dog, |_| None, at(100_000)).is_some(), "again");
    }

    #[test]
    fn a_pause_of_the_process_is_no_stall_and_leaves_a_whole_timeout_to_answer() {
        for paused_after in [0, 100, 349, 350, 2000, 3300] {
            let mut dog = watchdog(|_| None);
            assert_eq!(watch(&mut dog, |_| None, at(paused_after)), None);
            dog.check(TIMEOUT, None, at(60_000));
            assert!(!dog.is_stalled(), "paused after {paused_after} ms");
            let found = watch(&mut dog, |_| None, at(100_000));
            assert_eq!(found, Some(at(60_000 + 3000)));
        }
    }

    #[test]
    fn a_pause_too_short_to_be_noticed_leaves_most_of_the_timeout() {
        let mut dog = watchdog(|_| None);
        dog.check(TIMEOUT, None, at(350));
        assert!(dog.poll_wake().is_some());
        // Until just before it counts as a pause: one check, and how late that may be.
        dog.check(TIMEOUT, None, at(350 + 350 + 200));
        let left = watch(&mut dog, |_| None, at(100_000)).unwrap();
        assert_eq!(left.since(at(900)), Duration::from_millis(2450));
    }

    #[test]
    fn without_a_timeout_nothing_is_a_stall() {
        let mut dog = watchdog(|_| None);
        let check = dog.next_check(Duration::ZERO);
        assert_eq!(check, Some(at(1250)), "a heartbeat tells the time, too");
        dog.check(Duration::ZERO, None, at(1250));
        assert!(dog.poll_wake().is_some());
        dog.check(Duration::ZERO, None, at(100_000));
        assert!(!dog.is_stalled());
        dog.heartbeat(None, at(100_000));
        assert!(watch(&mut dog, |_| None, at(200_000)).is_some());
        dog.check(Duration::ZERO, None, at(200_001));
        assert!(!dog.is_stalled(), "the option was changed");
    }
}
