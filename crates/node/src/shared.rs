//! The one door to the protocol, for the engine and for everybody else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock;
use crate::effects::Effects;
use crate::engine::{Engine, Wait};
use crate::error::Error;
use crate::lineage::Heritage;
use crate::net::socket::Inbox;
use crate::state::{Caller, State};
use swim::time::{Micros, Now};

/// What a node and its engine share.
pub struct Shared {
    /// The lock. It is held for microseconds and never over a system call that could take longer,
    /// nor while a Lua value is touched: the collector may run a finalizer that calls us.
    // One of `std`: it is a number in itself, so that `fork` can hand it over to the child.
    // Whoever parks threads in a global table would leave that to the child as it happened to be.
    state: Mutex<State>,
    /// Who may start and stop the engine: held over `init`, `leave` and `fork`, taken before the
    /// lock and never by the engine.
    engine: Mutex<Option<Engine>>,
    progress: Progress,
}

/// How far the member table has got, to be read without the lock, and by Lua without a call: the bits of
/// two doubles, of which each is [`Progress::FAILED`] after a failure.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Progress {
    /// [`swim::Swim::version`].
    version: AtomicU64,
    /// [`swim::Swim::news`].
    news: AtomicU64,
}

impl Progress {
    /// No version that was ever read, so that whoever compares finds out.
    pub const FAILED: f64 = -1.0;

    /// See [`swim::Swim::version`].
    pub fn version(&self) -> f64 {
        f64::from_bits(self.version.load(Ordering::Acquire))
    }

    /// See [`swim::Swim::news`].
    pub fn news(&self) -> f64 {
        f64::from_bits(self.news.load(Ordering::Acquire))
    }

    fn set(&self, version: f64, news: f64) {
        self.version.store(version.to_bits(), Ordering::Release);
        self.news.store(news.to_bits(), Ordering::Release);
    }
}

impl Shared {
    pub fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            engine: Mutex::new(None),
            progress: Progress::default(),
        }
    }

    /// Takes the lock. Private: each door above or below says what for.
    fn lock(&self) -> MutexGuard<'_, State> {
        // `enter` catches panics and marks the node as failed. What the other doors run changes one
        // field at a time, so a panic there leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what belongs to the node rather than to the protocol: its socket, its wakers, its log
    /// queue. Nothing is sent, and a node that has failed can still be closed and read this way.
    pub fn manage<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.lock())
    }

    /// Takes both locks for the time of a `fork`, in their order.
    pub fn hold_for_fork(&self) -> (MutexGuard<'_, Option<Engine>>, MutexGuard<'_, State>) {
        let engine = self.engine();
        (engine, self.lock())
    }

    /// Takes the right to start and stop the engine.
    pub fn engine(&self) -> MutexGuard<'_, Option<Engine>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the member table has got.
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Runs `act` under the lock, and does what came of it.
    pub fn run<T>(&self, act: impl FnOnce(&mut State, Now) -> T) -> Result<T, Error> {
        self.run_until(Micros(0), act)
    }

    /// Like [`Self::run`], and waits for room in the send buffer until `give_up`.
    pub fn run_until<T>(
        &self,
        give_up: Micros,
        act: impl FnOnce(&mut State, Now) -> T,
    ) -> Result<T, Error> {
        let (result, effects) = self.enter(Caller::External, act);
        self.perform(effects, give_up);
        result
    }

    /// Looks at the state under the lock.
    pub fn look<T>(&self, look: impl FnOnce(&State) -> T) -> Result<T, Error> {
        let mut state = self.lock();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        let began = clock::monotonic();
        let seen = look(&state);
        state.note_hold(began);
        Ok(seen)
    }

    /// A turn of the engine: what has come, what is due, and what to wait for next. Fails when it
    /// is to end.
    pub fn turn(&self, inbox: &Inbox, timers: bool) -> Result<Wait, Error> {
        let (result, effects) = self.enter(Caller::Engine, |state, now| {
            state.take_in(inbox, timers, now);
            state.swim.config().datagram_size_max()
        });
        let until = effects.deadline;
        self.perform(effects, Micros(0));
        result.map(|size_max| Wait {
            until,
            listening: true,
            size_max,
        })
    }

    /// Looks whether the engine may use the socket, or has to wait for another process to end.
    pub fn look_for_heritage(&self) -> Result<Heritage, Error> {
        let (result, effects) = self.enter(Caller::Engine, State::look_for_heritage);
        self.perform(effects, Micros(0));
        result
    }

    /// Stops everything for good, and says why.
    pub fn fail(&self, failure: Error) {
        let effects = self.mark_failed(&mut self.lock(), failure);
        self.perform(effects, Micros(0));
    }

    /// The clock is read under the lock, so that two threads cannot show the protocol a time that
    /// runs backwards.
    fn enter<T>(
        &self,
        caller: Caller,
        act: impl FnOnce(&mut State, Now) -> T,
    ) -> (Result<T, Error>, Effects) {
        let mut state = self.lock();
        if let Some(failure) = &state.failure {
            return (Err(failure.clone()), Effects::default());
        }
        // The salt after the time: what a copy of this process says from here on, it says with another
        // salt, or it is the same to the last byte.
        let now = state.clock.now();
        if let Err(failure) = state.refresh_salt() {
            let effects = self.mark_failed(&mut state, failure.clone());
            return (Err(failure), effects);
        }
        let done = catch_unwind(AssertUnwindSafe(|| {
            if caller == Caller::External {
                let _ = state.look_for_heritage(now);
            }
            let answer = act(&mut state, now);
            let effects = state.collect_effects(caller, now);
            state.note_hold(now.monotonic);
            (answer, effects)
        }));
        match done {
            Ok((answer, effects)) => {
                let swim = &state.swim;
                self.progress.set(swim.version() as f64, swim.news() as f64);
                (Ok(answer), effects)
            }
            Err(panic) => {
                // Half a state is not to be gone on with.
                let failure = Error::panicked(&*panic);
                let effects = self.mark_failed(&mut state, failure.clone());
                (Err(failure), effects)
            }
        }
    }

    fn mark_failed(&self, state: &mut State, failure: Error) -> Effects {
        self.progress.set(Progress::FAILED, Progress::FAILED);
        if state.failure.is_some() {
            return Effects::default();
        }
        state.fail(failure)
    }

    /// What the protocol does about datagrams that cannot be sent may lead to more of them: so many
    /// times, then it is left at that.
    const RETRIES_MAX: usize = 4;

    fn perform(&self, mut effects: Effects, give_up: Micros) {
        for _ in 0..Self::RETRIES_MAX {
            let refused = effects.perform(give_up);
            if refused.is_empty() {
                return;
            }
            let tell = |state: &mut State, now: Now| state.handle_refused(&refused, now);
            (_, effects) = self.enter(Caller::External, tell);
        }
        let _given_up = effects.perform(give_up);
    }
}
