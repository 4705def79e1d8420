//! Time, and who acts next; what operators and users do.

use core::time::Duration;

use indexmap::IndexMap;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::engine::{Engine, Implementation};
use crate::history::{Happening, History, Reader};
use crate::host::{Clocks, Host, Id, Inbox, Resolver, State};
use crate::invariants::{Checks, Input};
use crate::mutants::Planted;
use crate::network::{Fate, Network};
use crate::observer::Observer;
use crate::queue::Queue;
use swim::Transmit;
use swim::config::Config;
use swim::identity::uri::Uri;
use swim::time::{Micros, Now};

/// Many machines, one network, one time.
pub struct World {
    /// The options of everybody who is started from now on.
    pub config: Config,
    /// With which key members seal their datagrams from the start; the Lua rock is given none.
    pub key: Option<Vec<u8>>,
    /// What has arrived, for who wants to play it again.
    pub tape: Option<Vec<Recording>>,
    /// Which share of the machines that are yet to be added runs the Lua rock.
    pub old_share: f64,
    /// What lies between the machines.
    pub network: Network,
    pub(super) now: Micros,
    pub(super) queue: Queue<Event>,
    pub(super) hosts: Vec<Host>,
    /// Which machine a URI leads to.
    pub(super) places: IndexMap<Uri, Id>,
    pub(super) rng: StdRng,
    pub(super) history: History,
    pub(super) checks: Option<Checks>,
    /// Whose implementation is wrong, and how.
    pub bug: Option<Planted>,
    /// Who keeps count of what happens.
    pub observer: Observer,
    /// When the last of the datagrams arrives that are on their way.
    pub(super) last_arrival: Micros,
}

/// What is to happen.
pub(super) enum Event {
    /// A datagram reaches a machine.
    Arrival { from: Id, to: Id, datagram: Vec<u8> },
    /// Somebody wanted to be woken.
    Wake(Id),
    /// A machine goes on.
    Resume(Id),
    /// Somebody learns that nobody listens where he sent something.
    Refusal { to: Id, by: Uri },
    /// A name was looked up, with or without success.
    Resolved {
        who: Id,
        life: u32,
        transmit: Transmit,
        found: bool,
    },
}

/// The port that everybody uses.
pub(super) const PORT: u16 = 3301;

// What there is.
impl World {
    /// An empty world. Everything that will happen by chance follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        Self {
            config: Config::default(),
            key: None,
            tape: None,
            old_share: 0.0,
            network: Network::new(rng.random()),
            now: Micros(0),
            queue: Queue::new(),
            hosts: Vec::new(),
            places: IndexMap::new(),
            rng,
            history: History::default(),
            checks: Some(Checks::default()),
            bug: None,
            observer: Observer::default(),
            last_arrival: Micros(0),
        }
    }

    /// The same world, in which nobody looks whether everything is right: that takes time.
    pub fn unchecked(mut self) -> Self {
        self.checks = None;
        self
    }

    /// `count` members that have never heard of one another. They start one after the other, so that
    /// their periods begin at different times.
    pub fn of_strangers(count: u32, seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.populate(count);
        world
    }

    /// Starts `count` more members within about a period.
    pub fn populate(&mut self, count: u32) {
        for _ in 0..count {
            let id = self.add();
            self.start(id);
            let gap = self.config.protocol_period / count;
            let gap = gap.mul_f64(self.rng.random_range(0.0..2.0));
            self.run(gap);
        }
    }

    /// `count` members that know one another.
    pub fn of(count: u32, seed: u64) -> Self {
        let mut world = Self::of_strangers(count, seed);
        world.acquaint();
        world
    }

    /// Has the first member add all others, and waits until they all know one another.
    pub fn acquaint(&mut self) {
        for id in self.ids().skip(1) {
            self.introduce(Id(0), id);
        }
        self.settle();
    }

    /// One more machine, on which nothing runs yet.
    pub fn add(&mut self) -> Id {
        let id = Id(u32::try_from(self.hosts.len()).expect("less than 2^32 machines"));
        let uri = Uri::new(&id.to_string(), PORT).expect("a name");
        self.places.insert(uri.clone(), id);
        let old = |count: u32| (f64::from(count) * self.old_share).floor();
        let kind = if old(id.0 + 1) > old(id.0) {
            Implementation::Legacy
        } else {
            Implementation::Ours
        };
        self.hosts.push(Host {
            uri,
            kind,
            state: State::Down,
            engine: None,
            clocks: Clocks {
                monotonic: self.rng.random_range(1..1 << 40),
                // Some time in 2026, give or take the minute by which its clock is wrong.
                wall: 1_780_000_000_000_000 + self.rng.random_range(0..60_000_000),
            },
            inbox: Inbox::default(),
            wake: None,
            resolver: Resolver::Prompt,
            lives: 0,
        });
        id
    }

    /// How long the world has been turning.
    pub const fn now(&self) -> Micros {
        self.now
    }

    /// All machines.
    pub fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        (0..self.hosts.len() as u32).map(Id)
    }

    /// One machine.
    pub fn host(&self, id: Id) -> &Host {
        &self.hosts[id.index()]
    }

    /// One machine, to meddle with.
    pub fn host_mut(&mut self, id: Id) -> &mut Host {
        &mut self.hosts[id.index()]
    }

    /// A number that two worlds share only if everything in them happened alike.
    pub const fn history(&self) -> u64 {
        self.history.hash()
    }

    /// Has everything that happens from now on read by `reader`.
    pub fn read_by(&mut self, reader: Reader) {
        self.history.read_by(reader);
    }
}

/// A datagram that has arrived somewhere.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Who sent it.
    pub from: Id,
    /// Where it arrived.
    pub to: Id,
    /// What it was.
    pub datagram: Vec<u8>,
}

// How the world turns.
impl World {
    /// Lets time pass.
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets time pass until something is so, and says how long that took; `None` if it was not so
    /// before `limit` was over.
    pub fn run_until(&mut self, limit: Duration, so: impl Fn(&Self) -> bool) -> Option<Duration> {
        let start = self.now;
        let end = start + limit;
        while !so(self) {
            if !self.step(end) {
                self.now = end;
                return None;
            }
        }
        Some(self.now.since(start))
    }

    /// Lets time pass until all that is on its way now has arrived.
    pub fn clear_the_air(&mut self) {
        self.run(self.last_arrival.since(self.now));
    }

    /// Lets the next thing happen, unless it is after `end`.
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
                who,
                life,
                transmit,
                found,
            } => {
                if self.host(who).lives == life {
                    self.resolved(who, transmit, found);
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
                self.history.note(self.now, Happening::Lost(to, &datagram));
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
        self.history
            .note(self.now, Happening::Arrived(to, datagram));
        if let Some(tape) = &mut self.tape {
            let datagram = datagram.to_vec();
            tape.push(Recording { from, to, datagram });
        }
        let source = self.host(from).uri.clone();
        if let Some((victim, bug)) = self.bug
            && victim == to
            && !bug.hears(&self.host(to).uri, datagram)
        {
            return;
        }
        self.input(to, Input::Other, |engine, now| {
            engine.handle_datagram(datagram, from, &source, now)
        });
    }

    fn wake(&mut self, id: Id) {
        let host = &mut self.hosts[id.index()];
        // Else it has changed its mind since, and another wake is on its way.
        if host.state == State::Up && host.wake == Some(self.now) {
            host.wake = None;
            self.history.note(self.now, Happening::Woke(id));
            self.input(id, Input::Timeout, Engine::handle_timeout);
        }
    }

    /// Goes on after a pause: which comes first, what was received or what was due, is open.
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

    /// Gives an input to the engine on `id`, and takes what comes of it.
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
            self.observer.look(self.now, id, engine);
        }
        self.check(id, |checks, engine| checks.look(id, engine, kind, now));
        self.arm(id);
        Some(outcome)
    }
}
