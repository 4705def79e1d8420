//! Scenarios to measure in, for groups whose members have known one another for long.

use core::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::engine::Implementation;
use crate::host::Id;
use crate::network::Weather;
use crate::world::World;
use swim::config::Config;
use swim::identity::uri::Uri;
use swim::table::claim::Status;
use swim::table::payload::Payload;

/// A group and its network.
#[derive(Clone, Debug)]
pub struct Group {
    /// How many members it has.
    pub members: u32,
    /// What they run.
    pub implementation: Implementation,
    /// The share of them that runs membership 2.x instead.
    pub legacy_share: f64,
    /// How the network behaves.
    pub weather: Weather,
    /// The options of all members.
    pub config: Config,
    /// The size of the payload of each member, in bytes.
    pub payload: usize,
    /// Decides everything that is random.
    pub seed: u64,
}

/// When members that lost power were detected, in time since then.
#[derive(Clone, Debug, Default)]
pub struct Detection {
    /// When the first of the others suspected the first of them.
    pub suspected: Option<Duration>,
    /// When the first of the others held the first of them dead.
    pub dead: Option<Duration>,
    /// When all of the others held all of them dead.
    pub dead_everywhere: Option<Duration>,
}

/// What a group does while nothing happens.
#[derive(Clone, Debug, Default)]
pub struct Calm {
    /// The time times the number of members, in hours.
    pub member_hours: f64,
    /// How often a member that was up was suspected.
    pub false_suspicions: usize,
    /// How often a member that was up was declared dead.
    pub false_deaths: usize,
    /// How many datagrams a member sends in a second.
    pub datagrams: f64,
    /// How many bytes a member sends in a second.
    pub bytes: f64,
}

impl Group {
    /// The group, some periods after all members have met.
    pub fn world(&self) -> World {
        let mut world = self.strangers();
        world.preload_all();
        // At no fixed moment of a period, since all periods may have begun when all became acquainted.
        let periods = 2.0 + StdRng::seed_from_u64(self.seed).random_range(0.0..1.0);
        world.run(self.config.protocol_period.mul_f64(periods));
        world
    }

    /// The same members, before they have met.
    pub fn strangers(&self) -> World {
        let mut world = World::new(self.seed).unchecked();
        world.config = self.config.clone();
        world.implementation = self.implementation;
        world.legacy_share = self.legacy_share;
        world.populate(self.members);
        world.network.weather = self.weather.clone();
        if self.payload == 0 {
            return world;
        }
        let payload = payload_of(self.payload);
        for id in world.ids() {
            world.act(id, "sets a payload", |engine, now| {
                engine.set_payload(&payload, now)
            });
        }
        world
    }

    /// Whether all members run this module.
    pub fn is_native(&self) -> bool {
        self.implementation == Implementation::Native && self.legacy_share == 0.0
    }

    /// Some random members, all different.
    pub fn some(&self, count: usize) -> Vec<Id> {
        let mut rng = StdRng::seed_from_u64(self.seed ^ 0x5eed);
        let all = self.members as usize;
        let some = rand::seq::index::sample(&mut rng, all, count.min(all));
        some.into_iter().map(|index| Id(index as u32)).collect()
    }
}

/// A payload of this size: a list of one string.
fn payload_of(size: usize) -> Vec<u8> {
    let text = size.saturating_sub(4);
    let head = [0x91, 0xc5, (text >> 8) as u8, text as u8];
    [&head[..], &vec![b'x'; text]].concat()
}

impl World {
    /// Lets time pass, and counts.
    pub fn try_calm(&mut self, lasting: Duration) -> Calm {
        self.observer.reset([]);
        self.run(lasting);
        self.counted(lasting)
    }

    /// Returns the counts of the last time of this length.
    fn counted(&self, lasting: Duration) -> Calm {
        let members = self.participants().count() as f64;
        let seconds = members * lasting.as_secs_f64();
        Calm {
            member_hours: seconds / 3600.0,
            false_suspicions: self.observer.false_suspicions.len(),
            false_deaths: self.observer.false_deaths.len(),
            datagrams: self.observer.datagrams as f64 / seconds,
            bytes: self.observer.bytes as f64 / seconds,
        }
    }

    /// Pauses some members again and again: all at once, each for a random time up to `longest`.
    /// Suspicions of them do not count. Calls `look` now and then.
    ///
    /// This is the experiment of the Lifeguard paper (Dadgar, Phillips, Currey, 2018, section V).
    pub fn try_pauses(
        &mut self,
        some: &[Id],
        longest: Duration,
        lasting: Duration,
        mut look: impl FnMut(&Self),
    ) -> Calm {
        let uris: Vec<Uri> = some.iter().map(|id| self.host(*id).uri.clone()).collect();
        let mut rng = StdRng::seed_from_u64(self.rng.random());
        self.observer.reset(uris);
        let start = self.now();
        while self.now().since(start) < lasting {
            for id in some {
                self.pause(*id, longest.mul_f64(rng.random_range(0.5..1.0)));
            }
            let next = self.now() + longest + RUN_MAX.mul_f64(rng.random_range(0.0..1.0));
            while self.now() < next {
                self.run(2 * CHECK_PERIOD);
                look(self);
            }
        }
        self.counted(lasting)
    }

    /// All members add the first one. Returns how long it takes until all know all, if that is within
    /// `limit`.
    pub fn try_join(&mut self, limit: Duration) -> Option<Duration> {
        for id in self.ids().skip(1) {
            self.introduce(id, Id(0));
        }
        self.try_reunion(limit)
    }

    /// Returns how long it takes from now on until all members hold all others alive, if that is within
    /// `limit`.
    pub fn try_reunion(&mut self, limit: Duration) -> Option<Duration> {
        let start = self.now();
        while !self.is_reunited() {
            if self.now().since(start) >= limit {
                return None;
            }
            self.run(CHECK_PERIOD);
        }
        Some(self.now().since(start))
    }

    /// Whether all members run, and hold all others alive.
    fn is_reunited(&self) -> bool {
        let all = self.ids().count();
        for id in self.ids() {
            match self.engine(id) {
                Some(engine) if engine.alive() == all => {}
                _ => return false,
            }
        }
        true
    }

    /// Partitions the group into two halves for a while. Returns how long it takes afterwards until all
    /// members hold all others alive, if that is within `limit`.
    pub fn try_split(&mut self, lasting: Duration, limit: Duration) -> Option<Duration> {
        let all: Vec<Id> = self.ids().collect();
        self.network.partition(&all[..all.len() / 2]);
        self.run(lasting);
        self.network.heal();
        self.try_reunion(limit)
    }

    /// `id` sets a payload. Returns how long it takes each of the others to learn of it; those that take
    /// longer than `limit` are missing.
    pub fn try_news(&mut self, id: Id, limit: Duration) -> Vec<Duration> {
        let (uri, start) = (self.host(id).uri.clone(), self.now());
        let others = self.participants().count() - 1;
        self.observer.watch(uri);
        self.set_payload(id, 42);
        let payload = Payload::new(&super::payload(42)).expect("it is a payload");
        let hash = payload.semantic_hash();
        let heard = |world: &Self| {
            let mut times: Vec<Duration> = Vec::new();
            for sighting in &world.observer.sightings {
                if sighting.payload == hash && sighting.by != id {
                    times.push(sighting.at.since(start));
                }
            }
            times
        };
        while self.now().since(start) < limit && heard(self).len() < others {
            self.run(CHECK_PERIOD);
        }
        heard(self)
    }

    /// Some members lose power at the same time. Returns when the others detect it, within `limit`.
    pub fn try_deaths(&mut self, some: &[Id], limit: Duration) -> Detection {
        let start = self.now();
        let gone: Vec<Uri> = some.iter().map(|id| self.host(*id).uri.clone()).collect();
        // Each step is timed for the first of them; for the others, only the end.
        let Some(first) = gone.first().cloned() else {
            return Detection::default();
        };
        self.observer.watch(first);
        for id in some {
            self.power_off(*id);
        }
        let others = self.participants().count();
        let when = |world: &Self, status: Status, count: usize| {
            let mut by = indexmap::IndexSet::new();
            for sighting in &world.observer.sightings {
                if sighting.claim.status >= status && by.insert(sighting.by) && by.len() == count {
                    return Some(sighting.at.since(start));
                }
            }
            None
        };
        let all_dead = |world: &Self| {
            for uri in &gone[1..] {
                if !world.all_hold(uri, Status::Dead) {
                    return false;
                }
            }
            when(world, Status::Dead, others).is_some()
        };
        while self.now().since(start) < limit && !all_dead(self) {
            self.run(CHECK_PERIOD);
        }
        let last = if gone.len() == 1 {
            when(self, Status::Dead, others)
        } else {
            all_dead(self).then(|| self.now().since(start))
        };
        Detection {
            suspected: when(self, Status::Suspect, 1),
            dead: when(self, Status::Dead, 1),
            dead_everywhere: last,
        }
    }

    fn all_hold(&self, uri: &Uri, status: Status) -> bool {
        for id in self.participants() {
            match self.claim(id, uri) {
                Some(claim) if claim.status == status => {}
                _ => return false,
            }
        }
        true
    }
}

/// How long, at most, members run between two pauses.
const RUN_MAX: Duration = Duration::from_millis(500);

/// How often an experiment checks whether it is over.
const CHECK_PERIOD: Duration = Duration::from_millis(50);
