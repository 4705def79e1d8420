//! The only way to the state, for the engine and for all other threads: each function that takes the lock says
//! what for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock;
use crate::effects::Effects;
use crate::engine::{Engine, Wait};
use crate::error::Error;
use crate::handover::SocketOwner;
use crate::net::socket::Inbox;
use crate::state::{Caller, State};
use swim::time::{Micros, Now};

/// What a node and its engine share.
pub struct Shared {
    /// The lock. It is held for microseconds: never over a system call that could take longer, nor while a
    /// Lua value is touched, because the collector may run a finalizer that calls the node.
    // A mutex of `std` is a number in itself, so `fork` can hand it over to the child. A library that parks
    // threads in a global table, such as parking_lot, would leave that table to the child as it was.
    state: Mutex<State>,
    /// The right to start and stop the engine: held over `init`, `leave` and `fork`, taken before the lock,
    /// and never by the engine.
    engine: Mutex<Option<Engine>>,
    progress: Progress,
}

/// The versions of the member table and its size, to be read without the lock, and by Lua without a call: the
/// bits of three doubles. The versions are [`Progress::FAILED`] after a failure.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Progress {
    /// [`swim::Swim::version`].
    version: AtomicU64,
    /// [`swim::Swim::news`].
    news: AtomicU64,
    /// How many members there are.
    members: AtomicU64,
}

impl Progress {
    /// Differs from each version, so that a reader that compares calls the node, and gets the error.
    pub const FAILED: f64 = -1.0;

    /// See [`swim::Swim::version`].
    pub fn version(&self) -> f64 {
        f64::from_bits(self.version.load(Ordering::Acquire))
    }

    /// See [`swim::Swim::news`].
    pub fn news(&self) -> f64 {
        f64::from_bits(self.news.load(Ordering::Acquire))
    }

    // The version before the news: a reader of the news then finds what they are about.
    fn set(&self, version: f64, news: f64, members: usize) {
        let members = members as f64;
        self.members.store(members.to_bits(), Ordering::Release);
        self.version.store(version.to_bits(), Ordering::Release);
        self.news.store(news.to_bits(), Ordering::Release);
    }
}

impl Shared {
    /// How often the protocol is told of datagrams that were not sent, which may lead to more of them. After
    /// that they are given up.
    const RETRIES_MAX: usize = 4;

    pub fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            engine: Mutex::new(None),
            progress: Progress::default(),
        }
    }

    /// Takes the right to start and stop the engine.
    pub fn engine(&self) -> MutexGuard<'_, Option<Engine>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The versions of the member table.
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Runs `act` under the lock, then performs its effects: for calls of the application.
    pub fn run<T>(&self, act: impl FnOnce(&mut State, Now) -> T) -> Result<T, Error> {
        self.run_until(Micros(0), act)
    }

    /// Like [`Self::run`], and waits for room in the send buffer until `give_up`: for `leave`.
    pub fn run_until<T>(
        &self,
        give_up: Micros,
        act: impl FnOnce(&mut State, Now) -> T,
    ) -> Result<T, Error> {
        let (result, effects) = self.enter(Caller::External, act);
        self.perform(Caller::External, effects, give_up);
        result
    }

    /// Looks at the state under the lock: for views. Nothing is sent.
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

    /// Runs `act` under the lock on what belongs to the node rather than to the protocol: its socket, wakers
    /// and log queue. Nothing is sent. Works on a node that has failed, which is to be logged and closed.
    pub fn manage<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.lock())
    }

    /// Takes a turn of the engine: handles what has arrived and what is due. Returns what to wait for next, or
    /// an error if the engine has to end.
    pub fn turn(&self, inbox: &Inbox, timers: bool) -> Result<Wait, Error> {
        let (result, effects) = self.enter(Caller::Engine, |state, now| {
            state.handle_inbox(inbox, timers, now);
            state.swim.config().datagram_size_max()
        });
        let until = self.perform(Caller::Engine, effects, Micros(0));
        Ok(Wait {
            until,
            size_max: result?,
        })
    }

    /// Looks whether the engine may use the socket, or has to wait for another process to end.
    pub fn find_socket_owner(&self) -> Result<SocketOwner, Error> {
        let (result, effects) = self.enter(Caller::Engine, State::find_socket_owner);
        self.perform(Caller::Engine, effects, Micros(0));
        result
    }

    /// Stops everything for good, with this error for all later calls.
    pub fn fail(&self, failure: Error) {
        let effects = self.mark_failed(&mut self.lock(), failure);
        self.perform(Caller::External, effects, Micros(0));
    }

    /// Takes both locks for the time of a `fork`, in their order.
    pub fn hold_for_fork(&self) -> (MutexGuard<'_, Option<Engine>>, MutexGuard<'_, State>) {
        let engine = self.engine();
        (engine, self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is no reason to fail: `enter` catches panics and marks the node as failed, and what
        // the other functions run changes one field at a time.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `act` under the lock, and returns its effects, to be performed without it.
    ///
    /// Reads the clock under the lock, so that two threads cannot show the protocol a time that goes back.
    fn enter<T>(
        &self,
        caller: Caller,
        act: impl FnOnce(&mut State, Now) -> T,
    ) -> (Result<T, Error>, Effects) {
        let mut state = self.lock();
        if let Some(failure) = &state.failure {
            return (Err(failure.clone()), Effects::default());
        }
        // The salt is drawn after the time is read. So if the process is copied, the copy either draws another
        // salt, or says at the same time the same thing.
        let now = state.clock.now();
        if let Err(failure) = state.refresh_salt() {
            let effects = self.mark_failed(&mut state, failure.clone());
            return (Err(failure), effects);
        }
        let done = catch_unwind(AssertUnwindSafe(|| {
            if caller == Caller::External {
                let _ = state.find_socket_owner(now);
            }
            let answer = act(&mut state, now);
            let effects = state.collect_effects(caller, now);
            state.note_hold(now.monotonic);
            (answer, effects)
        }));
        match done {
            Ok((answer, effects)) => {
                let swim = &state.swim;
                let members = swim.members().len();
                self.progress
                    .set(swim.version() as f64, swim.news() as f64, members);
                (Ok(answer), effects)
            }
            Err(panic) => {
                // The state may be half changed, and must not be used.
                let failure = Error::panicked(&*panic);
                let effects = self.mark_failed(&mut state, failure.clone());
                (Err(failure), effects)
            }
        }
    }

    fn mark_failed(&self, state: &mut State, failure: Error) -> Effects {
        self.progress.set(Progress::FAILED, Progress::FAILED, 0);
        if state.failure.is_some() {
            return Effects::default();
        }
        state.fail(failure)
    }

    /// Performs the effects of a turn, and those of telling the protocol what came of them. Returns when something is
    /// to be done next.
    fn perform(&self, caller: Caller, mut effects: Effects, give_up: Micros) -> Option<Micros> {
        let mut deadline = effects.deadline;
        for _ in 0..Self::RETRIES_MAX {
            let outcome = effects.perform(give_up);
            if outcome.is_empty() {
                return deadline;
            }
            (_, effects) = self.enter(caller, |state, now| state.handle_outcome(outcome, now));
            deadline = effects.deadline;
        }
        let _given_up = effects.perform(give_up);
        deadline
    }
}
