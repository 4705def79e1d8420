//! What is done to machines, and by their users.

use core::time::Duration;

use rand::RngExt;

use crate::engine::{Engine, Implementation};
use crate::history::Happening;
use crate::host::{Id, State};
use crate::invariants::Input;
use crate::legacy::Legacy;
use crate::world::{Event, PORT, World};
use swim::Swim;
use swim::identity::uri::Uri;
use swim::table::preload::Preloaded;
use swim::time::Now;

impl World {
    /// Starts a process on `id`, which takes part in the group and knows nobody yet.
    pub fn start(&mut self, id: Id) {
        let (config, seed) = (self.config.clone(), self.rng.random::<u64>());
        let engine = match self.host(id).kind {
            Implementation::Ours => {
                let mut swim = Swim::new(config, seed);
                swim.set_encryption_key(self.key.as_deref());
                Engine::Swim(Box::new(swim))
            }
            Implementation::Legacy => Engine::Legacy(Box::new(Legacy::new(config, seed))),
        };
        self.launch(id, engine);
    }

    fn launch(&mut self, id: Id, engine: Engine) {
        let host = &mut self.hosts[id.index()];
        assert!(host.engine.is_none(), "one process at a time");
        (host.state, host.engine, host.wake) = (State::Up, Some(engine), None);
        host.lives += 1;
        if let Some(checks) = &mut self.checks {
            checks.begin(id);
        }
        let uri = host.uri.clone();
        self.act(id, "starts", |engine, now| engine.init(uri, now));
    }

    /// The process on `id` is killed. The kernel tells so who sends something there.
    pub fn kill(&mut self, id: Id) {
        self.done(id, "is killed");
        self.stop(id, State::Down);
    }

    /// The machine loses power: nobody hears a word of it.
    pub fn power_off(&mut self, id: Id) {
        self.done(id, "loses power");
        self.stop(id, State::Off);
    }

    fn stop(&mut self, id: Id, state: State) {
        let host = &mut self.hosts[id.index()];
        (host.state, host.engine, host.wake) = (state, None, None);
        host.inbox.take().for_each(drop);
    }

    /// `id` is told of `newcomer`.
    pub fn introduce(&mut self, id: Id, newcomer: Id) {
        let uri = self.host(newcomer).uri.clone();
        let grave = |swim: &Swim| swim.members().tombstone(&uri).map(|grave| grave.claim);
        let forgotten = self.engine(id).and_then(Engine::swim).and_then(grave);
        let held = self.claim(id, &uri).or(forgotten);
        if let Some(checks) = &mut self.checks {
            checks.grant(&uri, held);
        }
        self.act(id, &format!("adds {uri}"), |engine, now| {
            engine.add_member(uri, now)
        });
    }

    /// Lets all who take part know one another, as if they had for long.
    pub fn familiarize(&mut self) {
        let memory = |id: Id| {
            let uri = self.host(id).uri.clone();
            let (claim, payload) = self.engine(id)?.view(&uri)?;
            let payload = payload.cloned();
            let ours = self.host(id).kind == Implementation::Ours;
            Some(Preloaded {
                uri,
                claim,
                payload,
                is_native: ours,
            })
        };
        let everybody: Vec<Preloaded> = self.participants().filter_map(memory).collect();
        for id in self.ids() {
            let own = self.host(id).uri.clone();
            let others = everybody.iter().filter(|memory| memory.uri != own).cloned();
            self.act(id, "knows everybody", |engine, now| {
                engine.recall(others, now)
            });
        }
    }

    /// `id` says good-bye. Its process lives on.
    pub fn leave(&mut self, id: Id) {
        self.act(id, "leaves", |engine, _now| engine.leave());
    }

    /// `id` goes on under another name.
    pub fn init(&mut self, id: Id, host: &str) {
        let uri = Uri::new(host, PORT).expect("a name");
        self.places.insert(uri.clone(), id);
        self.hosts[id.index()].uri = uri.clone();
        self.act(id, &format!("becomes {uri}"), |engine, now| {
            engine.init(uri, now)
        });
    }

    /// `id`, which has left, takes part again.
    pub fn init_again(&mut self, id: Id) {
        let uri = self.host(id).uri.clone();
        self.act(id, "takes part again", |engine, now| engine.init(uri, now));
    }

    /// Whether nobody has ever been called so.
    pub fn is_free(&self, uri: &Uri) -> bool {
        !self.places.contains_key(uri)
    }

    /// `id` sets a payload that stands for `number`.
    pub fn set_payload(&mut self, id: Id, number: u64) {
        let bytes = payload(number);
        self.act(id, &format!("sets payload {number}"), |engine, now| {
            engine.set_payload(&bytes, now);
        });
    }

    /// `id` stands still for a while, then goes on.
    pub fn pause(&mut self, id: Id, duration: Duration) {
        if self.host(id).state == State::Up {
            self.done(id, &format!("stands still for {duration:?}"));
            self.hosts[id.index()].state = State::Paused;
            self.queue.push(self.now + duration, Event::Resume(id));
        }
    }

    /// Sets the wall clock of `id`.
    pub fn set_clock(&mut self, id: Id, microseconds: i64) {
        self.done(id, &format!("has its clock set by {microseconds} µs"));
        let wall = &mut self.hosts[id.index()].clocks.wall;
        *wall = wall.saturating_add_signed(microseconds);
    }

    /// A datagram that nobody sent reaches `to`, as if from the address of `from`.
    pub fn inject(&mut self, from: Id, to: Id, datagram: &[u8]) {
        if let Some(checks) = &mut self.checks {
            checks.forgive(datagram);
        }
        if self.host(to).state == State::Up {
            self.take_in(from, to, datagram);
        }
    }

    /// Lets the protocol on `id` do something, and sends what comes of it. `None` if nothing runs.
    pub fn act<T>(
        &mut self,
        id: Id,
        what: &str,
        deed: impl FnOnce(&mut Engine, Now) -> T,
    ) -> Option<T> {
        self.done(id, what);
        self.input(id, Input::Other, deed)
    }

    /// Something became so.
    pub(super) fn became(&mut self, what: &str) {
        self.history.note(self.now, Happening::Became(what));
    }

    pub(super) fn done(&mut self, id: Id, what: &str) {
        self.history.note(self.now, Happening::Done(id, what));
    }
}

/// A payload that stands for `number`: `{ v = number }`.
pub fn payload(number: u64) -> Vec<u8> {
    [&b"\x81\xa1v\xcf"[..], &number.to_be_bytes()].concat()
}
