//! Crashes, pauses and restarts of machines, and what users do.

use core::time::Duration;

use rand::RngExt;

use crate::engine::{Engine, Implementation};
use crate::foca::Foca;
use crate::host::{Id, State};
use crate::invariants::Input;
use crate::legacy::Legacy;
use crate::trace::Happening;
use crate::world::{Event, PORT, World};
use swim::Swim;
use swim::identity::uri::Uri;
use swim::table::preload::Preloaded;
use swim::time::Now;

impl World {
    /// Starts a process on `id`, which takes part and knows no other member yet.
    pub fn start(&mut self, id: Id) {
        let (config, seed) = (self.config.clone(), self.rng.random::<u64>());
        let now = self.host(id).clocks.at(self.now());
        let engine = match self.host(id).implementation {
            Implementation::Native => {
                let mut swim = Swim::new(config, seed);
                swim.set_encryption_key(self.key.as_deref(), now);
                Engine::Native(Box::new(swim))
            }
            Implementation::Legacy => Engine::Legacy(Box::new(Legacy::new(config, seed))),
            Implementation::Foca => Engine::Foca(Box::new(Foca::new(seed))),
        };
        self.launch(id, engine);
    }

    fn launch(&mut self, id: Id, engine: Engine) {
        let host = &mut self.hosts[id.index()];
        assert!(host.engine.is_none(), "one process at a time");
        (host.state, host.engine, host.wake) = (State::Up, Some(engine), None);
        host.lives += 1;
        if let Some(invariants) = &mut self.invariants {
            invariants.begin(id);
        }
        let uri = host.uri.clone();
        self.act(id, "starts", |engine, now| engine.init(uri, now));
    }

    /// Kills the process on `id`. Its kernel answers datagrams with an error from then on.
    pub fn kill(&mut self, id: Id) {
        self.done(id, "is killed");
        self.stop(id, State::Down);
    }

    /// Turns the machine off. Datagrams to it vanish from then on.
    pub fn power_off(&mut self, id: Id) {
        self.done(id, "loses power");
        self.stop(id, State::Off);
    }

    fn stop(&mut self, id: Id, state: State) {
        let host = &mut self.hosts[id.index()];
        (host.state, host.engine, host.wake) = (state, None, None);
        host.inbox.take().for_each(drop);
    }

    /// Adds `newcomer` to the table of `id`, as a user does.
    pub fn introduce(&mut self, id: Id, newcomer: Id) {
        let uri = self.host(newcomer).uri.clone();
        let mut held = self.claim(id, &uri);
        if held.is_none()
            && let Some(engine) = self.engine(id)
            && let Some(swim) = engine.swim()
            && let Some(tombstone) = swim.members().tombstone(&uri)
        {
            held = Some(tombstone.claim);
        }
        if let Some(invariants) = &mut self.invariants {
            invariants.allow_claim_by_adding(&uri, held);
        }
        self.act(id, &format!("adds {uri}"), |engine, now| {
            engine.add_member(uri, now)
        });
    }

    /// Puts all participants into the tables of one another, as if they had known one another for long.
    pub fn preload_all(&mut self) {
        let mut members: Vec<Preloaded> = Vec::new();
        for id in self.participants() {
            let uri = &self.host(id).uri;
            if let Some(engine) = self.engine(id)
                && let Some((claim, payload)) = engine.view(uri)
            {
                members.push(Preloaded {
                    uri: uri.clone(),
                    claim,
                    payload: payload.cloned(),
                    is_native: self.host(id).implementation == Implementation::Native,
                });
            }
        }
        for id in self.ids() {
            let own = self.host(id).uri.clone();
            let others = members.iter().filter(|member| member.uri != own).cloned();
            self.act(id, "knows all others", |engine, now| {
                engine.preload(others, now)
            });
        }
    }

    /// `id` leaves the group. Its process runs on.
    pub fn leave(&mut self, id: Id) {
        self.act(id, "leaves", |engine, now| engine.leave(now));
    }

    /// `id` takes another name.
    pub fn init(&mut self, id: Id, host: &str) {
        let uri = Uri::new(host, PORT).expect("a name");
        self.ids_by_uri.insert(uri.clone(), id);
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

    /// Whether no machine ever had this URI.
    pub fn is_free(&self, uri: &Uri) -> bool {
        !self.ids_by_uri.contains_key(uri)
    }

    /// `id` sets the payload of this number, see [`payload`].
    pub fn set_payload(&mut self, id: Id, number: u64) {
        let bytes = payload(number);
        self.act(id, &format!("sets payload {number}"), |engine, now| {
            engine.set_payload(&bytes, now);
        });
    }

    /// Pauses the process on `id` for this time.
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

    /// Delivers a forged datagram to `to`, as if it came from the address of `from`.
    pub fn inject(&mut self, from: Id, to: Id, datagram: &[u8]) {
        if let Some(invariants) = &mut self.invariants {
            invariants.allow_claims_of(datagram);
        }
        if self.host(to).state == State::Up {
            self.take_in(from, to, datagram);
        }
    }

    /// Runs a command on the engine of `id`, and sends what results. Returns `None` if no process runs.
    ///
    /// `what` is for the trace.
    pub fn act<T>(
        &mut self,
        id: Id,
        what: &str,
        command: impl FnOnce(&mut Engine, Now) -> T,
    ) -> Option<T> {
        self.done(id, what);
        self.input(id, Input::Other, command)
    }

    /// Notes an event that concerns no single machine.
    pub(super) fn became(&mut self, what: &str) {
        self.trace.note(self.now, Happening::Became(what));
    }

    pub(super) fn done(&mut self, id: Id, what: &str) {
        self.trace.note(self.now, Happening::Done(id, what));
    }
}

/// The payload of this number: `{ v = number }`.
pub fn payload(number: u64) -> Vec<u8> {
    [&b"\x81\xa1v\xcf"[..], &number.to_be_bytes()].concat()
}
