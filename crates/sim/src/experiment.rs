//! What to try with a group whose members have known one another for long, to measure what it does.

use core::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::host::Id;
use crate::network::Weather;
use crate::observer::Sighting;
use crate::world::World;
use swim::config::Config;
use swim::identity::uri::Uri;
use swim::table::claim::Status;
use swim::table::payload::Payload;
use swim::time::Micros;

/// A group, and what lies between its members.
#[derive(Clone, Debug)]
pub struct Group {
    /// How many members it has.
    pub members: u32,
    /// Which share of them runs the Lua rock.
    pub old_share: f64,
    /// How the network behaves.
    pub weather: Weather,
    /// The options of everybody.
    pub config: Config,
    /// How many bytes everybody's payload has.
    pub payload: usize,
    /// What decides everything else.
    pub seed: u64,
}

/// How those who are gone were found out. Times since they went.
#[derive(Clone, Debug, Default)]
pub struct Detection {
    /// When somebody first suspected one of them.
    pub suspected: Option<Duration>,
    /// When somebody first called one of them dead.
    pub dead: Option<Duration>,
    /// When all were dead for everybody.
    pub dead_everywhere: Option<Duration>,
}

/// How a group spends its time.
#[derive(Clone, Debug, Default)]
pub struct Calm {
    /// For how long all members together were looked at, in hours.
    pub member_hours: f64,
    /// How often one with whom nothing was wrong was suspected.
    pub wronged: usize,
    /// How often one with whom nothing was wrong was called dead.
    pub buried: usize,
    /// How many datagrams a member sends in a second.
    pub datagrams: f64,
    /// How many bytes a member sends in a second.
    pub bytes: f64,
}

impl Group {
    /// The group, some periods after all have met.
    pub fn world(&self) -> World {
        let mut world = self.strangers();
        world.familiarize();
        world.run(2 * self.config.protocol_period);
        world
    }

    /// The same members before they have met.
    pub fn strangers(&self) -> World {
        let mut world = World::new(self.seed).unchecked();
        world.config = self.config.clone();
        world.old_share = self.old_share;
        world.populate(self.members);
        world.network.weather = self.weather.clone();
        for id in world.ids().filter(|_| self.payload > 0) {
            let payload = payload_of(self.payload);
            world.act(id, "sets a payload", |engine, now| {
                engine.set_payload(&payload, now)
            });
        }
        world
    }

    /// Different members, at random.
    pub fn some(&self, count: usize) -> Vec<Id> {
        let mut rng = StdRng::seed_from_u64(self.seed ^ 0x5eed);
        let all = self.members as usize;
        let some = rand::seq::index::sample(&mut rng, all, count.min(all));
        some.into_iter().map(|index| Id(index as u32)).collect()
    }
}

/// A payload of so many bytes: a list of one string.
fn payload_of(size: usize) -> Vec<u8> {
    let text = size.saturating_sub(4);
    let head = [0x91, 0xc5, (text >> 8) as u8, text as u8];
    [&head[..], &vec![b'x'; text]].concat()
}

impl World {
    /// Does nothing for a while.
    pub fn try_calm(&mut self, lasting: Duration) -> Calm {
        self.observer.count_anew([]);
        self.run(lasting);
        self.counted(lasting)
    }

    /// What was counted since `lasting` ago.
    fn counted(&self, lasting: Duration) -> Calm {
        let members = self.participants().count() as f64;
        let seconds = members * lasting.as_secs_f64();
        Calm {
            member_hours: seconds / 3600.0,
            wronged: self.observer.wronged.len(),
            buried: self.observer.buried.len(),
            datagrams: self.observer.datagrams as f64 / seconds,
            bytes: self.observer.bytes as f64 / seconds,
        }
    }

    /// Pauses some members again and again, as long as it lasts: all at once, each for as long as
    /// chance will have it but not longer than `longest`. What is said of them does not count.
    ///
    /// Now and then somebody may `look`.
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
        self.observer.count_anew(uris);
        let start = self.now();
        while self.now().since(start) < lasting {
            for id in some {
                self.pause(*id, longest.mul_f64(rng.random_range(0.5..1.0)));
            }
            let next = self.now() + longest + BREATH.mul_f64(rng.random_range(0.0..1.0));
            while self.now() < next {
                self.run(2 * LOOK_PERIOD);
                look(self);
            }
        }
        self.counted(lasting)
    }

    /// Everybody adds the first member: how long it takes until all know all; `None` is longer than
    /// `limit`.
    pub fn try_join(&mut self, limit: Duration) -> Option<Duration> {
        for id in self.ids().skip(1) {
            self.introduce(id, Id(0));
        }
        self.try_reunion(limit)
    }

    /// How long it takes from now on until all are alive for all; `None` is longer than `limit`.
    pub fn try_reunion(&mut self, limit: Duration) -> Option<Duration> {
        let start = self.now();
        let all = self.ids().count();
        let complete = |id: Id, world: &Self| world.engine(id).is_some_and(|e| e.alive() == all);
        while !self.ids().all(|id| complete(id, self)) {
            if self.now().since(start) >= limit {
                return None;
            }
            self.run(LOOK_PERIOD);
        }
        Some(self.now().since(start))
    }

    /// Two halves do not hear each other for a while: how long it takes afterwards until all are
    /// alive for all; `None` is longer than `limit`.
    pub fn try_split(&mut self, lasting: Duration, limit: Duration) -> Option<Duration> {
        let all: Vec<Id> = self.ids().collect();
        self.network.part(&all[..all.len() / 2]);
        self.run(lasting);
        self.network.mend();
        self.try_reunion(limit)
    }

    /// `id` sets a payload: how long it takes each of the others to learn of it. Those who don't
    /// within `limit` are missing.
    pub fn try_news(&mut self, id: Id, limit: Duration) -> Vec<Duration> {
        let (uri, start) = (self.host(id).uri.clone(), self.now());
        let others = self.participants().count() - 1;
        self.observer.watch(uri);
        self.set_payload(id, 42);
        let meaning =
            Payload::new(&super::payload(42)).map_or(0, |payload| payload.semantic_hash());
        let heard = |world: &Self| -> Vec<Duration> {
            let news = |sighting: &&Sighting| sighting.payload == meaning && sighting.by != id;
            let sightings = world.observer.sightings.iter().filter(news);
            sightings.map(|sighting| sighting.at.since(start)).collect()
        };
        while self.now().since(start) < limit && heard(self).len() < others {
            self.run(LOOK_PERIOD);
        }
        heard(self)
    }

    /// Those in `some` lose power, all at once.
    pub fn try_deaths(&mut self, some: &[Id], limit: Duration) -> Detection {
        let start = self.now();
        let gone: Vec<Uri> = some.iter().map(|id| self.host(*id).uri.clone()).collect();
        // Of the first of them each step is timed; of the others, only when all is over.
        let Some(first) = gone.first().cloned() else {
            return Detection::default();
        };
        self.observer.watch(first);
        some.iter().for_each(|id| self.power_off(*id));
        let others = self.participants().count();
        let when = |world: &Self, status: Status, count: usize| {
            let so = |sighting: &&Sighting| sighting.claim.status >= status;
            let mut times: Vec<Micros> = Vec::new();
            let mut by = indexmap::IndexSet::new();
            for sighting in world.observer.sightings.iter().filter(so) {
                if by.insert(sighting.by) {
                    times.push(sighting.at);
                }
            }
            times.get(count - 1).map(|at| at.since(start))
        };
        let all_dead = |world: &Self| {
            when(world, Status::Dead, others).is_some()
                && gone
                    .iter()
                    .skip(1)
                    .all(|uri| world.everyone_holds(uri, Status::Dead))
        };
        while self.now().since(start) < limit && !all_dead(self) {
            self.run(LOOK_PERIOD);
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

    fn everyone_holds(&self, uri: &Uri, status: Status) -> bool {
        self.participants().all(|id| {
            self.claim(id, uri)
                .is_some_and(|claim| claim.status == status)
        })
    }
}

/// For how long, at most, those run who are paused again and again.
const BREATH: Duration = Duration::from_millis(500);

/// How often an experiment looks whether it is over.
const LOOK_PERIOD: Duration = Duration::from_millis(50);
