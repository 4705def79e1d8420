//! Time, and the order of events.

use core::time::Duration;
use std::collections::BTreeMap;

use indexmap::IndexMap;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::engine::{Engine, Implementation};
use crate::host::{Clocks, Host, Id, Inbox, Resolver, State};
use crate::invariants::{Input, Invariants};
use crate::mutants::Mutant;
use crate::network::{Fate, Network};
use crate::observer::Observer;
use crate::queue::Queue;
use crate::trace::{Happening, Reader, Trace};
use swim::Transmit;
use swim::config::Config;
use swim::identity::uri::Uri;
use swim::time::{Micros, Now};

/// Many machines, one network, one clock.
pub struct World {
    /// The options of processes that are started from now on.
    pub config: Config,
    /// The encryption key of native processes that are started from now on; membership 2.x gets none.
    pub key: Option<Vec<u8>>,
    /// Records all datagrams that arrive, if it is set.
    pub tape: Option<Vec<Recording>>,
    /// What the machines added from now on run.
    pub implementation: Implementation,
    /// The share of them that run membership 2.x instead.
    pub legacy_share: f64,
    /// The links between the machines.
    pub network: Network,
    pub(super) now: Micros,
    pub(super) queue: Queue<Event>,
    pub(super) hosts: Vec<Host>,
    /// The machine of each URI that there ever was.
    pub(super) ids_by_uri: IndexMap<Uri, Id>,
    /// Where names lead, as single machines see it: hosts file, or `localhost`.
    pub(super) aliases: BTreeMap<(Id, Uri), Id>,
    pub(super) rng: StdRng,
    pub(super) trace: Trace,
    pub(super) invariants: Option<Invariants>,
    /// The machine with a planted bug, and the bug.
    pub mutant: Option<(Id, Mutant)>,
    /// Counts what experiments measure.
    pub observer: Observer,
    /// When the last of the datagrams on their way arrives.
    pub(super) last_arrival: Micros,
}

/// An event to come.
pub(super) enum Event {
    /// A datagram reaches a machine.
    Arrival { from: Id, to: Id, datagram: Vec<u8> },
    /// The deadline of an engine.
    Wake(Id),
    /// A pause ends.
    Resume(Id),
    /// The kernel of `to` reports that the port of `by` is closed.
    Refusal { to: Id, by: Uri },
    /// A lookup of a name has ended, with or without success.
    Resolved {
        from: Id,
        life: u32,
        transmit: Transmit,
        found: bool,
    },
}

/// The port of all machines.
pub(super) const PORT: u16 = 3301;

// What the world consists of.
impl World {
    /// Creates an empty world. All random decisions follow from `seed`.
    pub fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        Self {
            config: Config::default(),
            key: None,
            tape: None,
            implementation: Implementation::Native,
            legacy_share: 0.0,
            network: Network::new(rng.random()),
            now: Micros(0),
            queue: Queue::new(),
            hosts: Vec::new(),
            ids_by_uri: IndexMap::new(),
            aliases: BTreeMap::new(),
            rng,
            trace: Trace::default(),
            invariants: Some(Invariants::default()),
            mutant: None,
            observer: Observer::default(),
            last_arrival: Micros(0),
        }
    }

    /// The same world without the checks of the invariants, which take time.
    pub fn unchecked(mut self) -> Self {
        self.invariants = None;
        self
    }

    /// Creates a world of `count` members that do not know one another. They start one after the other, so
    /// that their periods begin at different times.
    pub fn of_strangers(count: u32, seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.populate(count);
        world
    }

    /// Adds and starts `count` members within about a period.
    pub fn populate(&mut self, count: u32) {
        for _ in 0..count {
            let id = self.add();
            self.start(id);
            let gap = self.config.protocol_period / count;
            let gap = gap.mul_f64(self.rng.random_range(0.0..2.0));
            self.run(gap);
        }
    }

    /// Creates a world of `count` members that know one another.
    pub fn of(count: u32, seed: u64) -> Self {
        let mut world = Self::of_strangers(count, seed);
        world.acquaint();
        world
    }

    /// Has the first member add all others, and waits until all know one another.
    pub fn acquaint(&mut self) {
        for id in self.ids().skip(1) {
            self.introduce(Id(0), id);
        }
        self.settle();
    }

    /// Adds a machine, without a process yet.
    pub fn add(&mut self) -> Id {
        let id = Id(u32::try_from(self.hosts.len()).expect("less than 2^32 machines"));
        let uri = Uri::new(&id.to_string(), PORT).expect("a name");
        self.ids_by_uri.insert(uri.clone(), id);
        let legacy = |count: u32| (f64::from(count) * self.legacy_share).floor();
        let implementation = if legacy(id.0 + 1) > legacy(id.0) {
            Implementation::Legacy
        } else {
            self.implementation
        };
        self.hosts.push(Host {
            uri,
            implementation,
            state: State::Down,
            engine: None,
            clocks: Clocks {
                monotonic: self.rng.random_range(1..1 << 40),
                // A time in 2026. Clocks differ by up to a minute.
                wall: 1_780_000_000_000_000 + self.rng.random_range(0..60_000_000),
            },
            inbox: Inbox::default(),
            wake: None,
            resolver: Resolver::Prompt,
            lives: 0,
        });
        id
    }

    /// The time since the beginning.
    pub const fn now(&self) -> Micros {
        self.now
    }

    /// All machines.
    pub fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        (0..self.hosts.len() as u32).map(Id)
    }

    /// A machine.
    pub fn host(&self, id: Id) -> &Host {
        &self.hosts[id.index()]
    }

    /// As `from` sees it, the name of `uri` leads to the machine `to`.
    pub fn lead(&mut self, from: Id, uri: &Uri, to: Id) {
        self.ids_by_uri.entry(uri.clone()).or_insert(to);
        self.aliases.insert((from, uri.clone()), to);
    }

    /// A machine, to be changed.
    pub fn host_mut(&mut self, id: Id) -> &mut Host {
        &mut self.hosts[id.index()]
    }

    /// A hash that is equal for two worlds only if all their events were.
    pub const fn trace(&self) -> u64 {
        self.trace.hash()
    }

    /// Hands the text of each event from now on to `reader`.
    pub fn read_by(&mut self, reader: Reader) {
        self.trace.read_by(reader);
    }
}

/// A datagram that has arrived.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The sender.
    pub from: Id,
    /// The recipient.
    pub to: Id,
    /// Its bytes.
    pub datagram: Vec<u8>,
}

// How time passes.
impl World {
    /// Lets time pass.
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets time pass until `condition` holds, and returns how long that took; `None` if it does not hold
    /// within `limit`.
    pub fn run_until(
        &mut self,
        limit: Duration,
        condition: impl Fn(&Self) -> bool,
    ) -> Option<Duration> {
        let start = self.now;
        let end = start + limit;
        while !condition(self) {
            if !self.step(end) {
                self.now = end;
                return None;
            }
        }
        Some(self.now.since(start))
    }

    /// Lets time pass until all datagrams that are on their way now have arrived.
    pub fn deliver_all(&mut self) {
        self.run(self.last_arrival.since(self.now));
    }

    /// Handles the next event, unless it is after `end`. Returns whether there was one.
    fn step(&mut self, end: Micros) -> bool {
        let Some((at, event)) = self.queue.pop_until(end) else {
            return false;
        };
        self.now = at;
        match event {
            Event::Arrival { from, to, datagram } => self.arrive(from, to, datagram),
            Event::Wake(id) => self.wake(id),
            Event::Resume(id) => self.resume(id),
            Event::Refusal { to, by } => {
                if self.host(to).state == State::Up {
                    self.input(to, Input::Other, |engine, now| {
                        engine.handle_refused(&by, now)
                    });
                }
            }
            Event::Resolved {
                from,
                life,
                transmit,
                found,
            } => {
                if self.host(from).lives == life {
                    self.resolved(from, transmit, found);
                }
            }
        }
        true
    }

    fn arrive(&mut self, from: Id, to: Id, datagram: Vec<u8>) {
        let listens = self.takes_part(to);
        match self.host(to).state {
            State::Up if listens => self.take_in(from, to, &datagram),
            State::Paused if listens => {
                let _fits = self.hosts[to.index()].inbox.push(from, datagram);
            }
            state => {
                self.trace.note(self.now, Happening::Lost(to, &datagram));
                if state != State::Off {
                    self.refuse(from, to);
                }
            }
        }
    }

    fn refuse(&mut self, from: Id, by: Id) {
        if let Fate::Arrives(delay, _again) = self.network.fate(by, from, self.now) {
            let by = self.host(by).uri.clone();
            self.queue
                .push(self.now + delay, Event::Refusal { to: from, by });
        }
    }

    pub(super) fn take_in(&mut self, from: Id, to: Id, datagram: &[u8]) {
        self.trace.note(self.now, Happening::Arrived(to, datagram));
        if let Some(tape) = &mut self.tape {
            let datagram = datagram.to_vec();
            tape.push(Recording { from, to, datagram });
        }
        let source = self.host(from).uri.clone();
        if let Some((victim, mutant)) = self.mutant
            && victim == to
            && !mutant.handles(&self.host(to).uri, datagram)
        {
            return;
        }
        self.input(to, Input::Other, |engine, now| {
            engine.handle_datagram(datagram, from, &source, now)
        });
    }

    fn wake(&mut self, id: Id) {
        let host = &mut self.hosts[id.index()];
        // Otherwise the deadline has changed since, and another event is in the queue.
        if host.state == State::Up && host.wake == Some(self.now) {
            host.wake = None;
            self.trace.note(self.now, Happening::Woke(id));
            self.input(id, Input::Timeout, Engine::handle_timeout);
        }
    }

    /// Ends a pause. Whether the datagrams or the timeouts are handled first is random.
    fn resume(&mut self, id: Id) {
        let host = &mut self.hosts[id.index()];
        if host.state != State::Paused {
            return;
        }
        host.state = State::Up;
        let received = host.inbox.take();
        self.done(id, "goes on");
        let due_first = self.rng.random_bool(0.5);
        if due_first {
            self.input(id, Input::Timeout, Engine::handle_timeout);
        }
        for (from, datagram) in received {
            self.take_in(from, id, &datagram);
        }
        if !due_first {
            self.input(id, Input::Timeout, Engine::handle_timeout);
        }
    }

    /// Hands an input to the engine of `id`, and carries out what it wants.
    pub(super) fn input<T>(
        &mut self,
        id: Id,
        kind: Input,
        input: impl FnOnce(&mut Engine, Now) -> T,
    ) -> Option<T> {
        let host = &mut self.hosts[id.index()];
        let now = host.clocks.at(self.now);
        let outcome = input(host.engine.as_mut()?, now);
        self.drain(id);
        if let Some(engine) = &self.hosts[id.index()].engine {
            self.observer.observe(self.now, id, engine);
        }
        self.check(id, |invariants, engine| {
            invariants.check(id, engine, kind, now)
        });
        self.arm(id);
        Some(outcome)
    }
}
