//! Random worlds with random faults: a seed decides how many members there are, their options, what goes
//! wrong and when. At the end the faults stop, and all members must come to agree.

use core::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::engine::Implementation;
use crate::host::{Id, Resolver, State};
use crate::network::{DOUBLINGS_MAX, Weather};
use crate::world::World;
use swim::config::Config;
use swim::identity::uri::Uri;
use swim::security::seal::Cipher;

/// One world, and the source of its faults.
pub struct Swarm {
    /// The world.
    pub world: World,
    rng: StdRng,
    /// How late a datagram may have been so far.
    longest_delay: Duration,
}

/// So late is no datagram in a network that works.
const DELAY_MAX: Duration = Duration::from_secs(2);

/// The result of a world.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// How many machines there were.
    pub members: u32,
    /// How long it lasted, in virtual time.
    pub lasted: Duration,
    /// How long it took after the last fault until all agreed.
    pub settled: Duration,
    /// [`World::trace`].
    pub trace: u64,
}

impl Swarm {
    /// Creates the world of this seed, without members yet.
    pub fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut world = World::new(rng.random());
        world.config = config(&mut rng);
        // No number is drawn for it, so that the worlds of other seeds stay as they are.
        if seed.is_multiple_of(3) {
            let share = [8, 4, 2, 1][(seed / 3 % 4) as usize];
            world.config.suspect_timeout_min = world.config.suspect_timeout / share;
        }
        world.network.weather = calm(&mut rng, &world.config);
        world.legacy_share = [0.0, 0.0, 0.0, 0.0, 0.0, 0.3, 0.5, 0.8][rng.random_range(0..8)];
        if world.legacy_share == 0.0 {
            (world.config.encryption_cipher, world.key) = encryption(&mut rng);
        }
        Self {
            world,
            rng,
            longest_delay: Duration::ZERO,
        }
    }

    /// Runs it to the end.
    ///
    /// # Panics
    ///
    /// If a rule is broken, or not all agree in time.
    pub fn play(mut self) -> Outcome {
        let members = match self.rng.random_range(0..8) {
            0 => self.rng.random_range(10..=24),
            _ => self.rng.random_range(2..=9),
        };
        self.world.populate(members);
        let calm = self.world.network.weather.clone();
        for id in self.world.ids().skip(1) {
            let contact = Id(self.rng.random_range(0..id.0));
            self.world.introduce(id, contact);
        }
        for _ in 0..self.rng.random_range(5..40) {
            self.pass_time();
            self.inject_fault(&calm);
        }
        self.pass_time();
        self.end_faults(calm);
        let healed = self.world.now();
        self.world.settle();
        let settled = self.world.now().since(healed);
        // Probes that began during a fault may yet fail.
        self.world.run(self.world.config.protocol_period * 2);
        // Members that are gone may be forgotten meanwhile.
        self.world.run(self.world.config.reap_timeout);
        self.world.settle();
        self.world.expect_quiet();
        self.expect_no_duplicates();
        Outcome {
            members,
            lasted: self.world.now().since(swim::time::Micros(0)),
            settled,
            trace: self.world.trace(),
        }
    }

    /// No two processes have had one URI at the same time, whatever was restarted or renamed.
    fn expect_no_duplicates(&self) {
        // What a process has said long before it was replaced can look as if both lived.
        if self.longest_delay > DELAY_MAX {
            return;
        }
        for id in self.world.ids() {
            if let Some(engine) = self.world.engine(id)
                && let Some(swim) = engine.swim()
            {
                assert_eq!(swim.stats().duplicates, 0, "{id}");
            }
        }
    }

    /// Up to a few periods, and often much less, so that faults come in clusters.
    fn pass_time(&mut self) {
        let most = self.world.config.protocol_period * 4;
        let share = self.rng.random_range(0.0..1.0_f64);
        self.world.run(most.mul_f64(share * share * share));
    }

    fn inject_fault(&mut self, calm: &Weather) {
        let id = self.random_host();
        match self.rng.random_range(0..100) {
            0..12 => self.stop(id),
            12..28 => self.start_one(),
            28..33 => self.restart(id),
            33..37 => self.leave(id),
            37..47 => self.pause(id),
            47..53 => self.partition(),
            53..58 => self.cut(id),
            58..66 => self.heal(),
            66..76 => {
                let storm = self.storm(calm);
                self.change_weather(storm);
            }
            76..80 => self.change_weather(calm.clone()),
            80..90 => self.set_payload(id),
            90..92 => self.set_clock(id),
            92..94 => self.resolve_badly(id),
            94..95 => self.rename(id),
            95..97 => self.meddle(id),
            _ => self.introduce(id),
        }
    }

    fn random_host(&mut self) -> Id {
        let count = self.world.ids().count() as u32;
        Id(self.rng.random_range(0..count))
    }

    /// A participant, if there is one.
    fn random_participant(&mut self) -> Option<Id> {
        let participants: Vec<Id> = self.world.participants().collect();
        let index = self.rng.random_range(0..participants.len().max(1));
        participants.get(index).copied()
    }

    fn periods(&mut self, most: f64) -> Duration {
        let periods = self.rng.random_range(0.0..most);
        self.world.config.protocol_period.mul_f64(periods)
    }

    fn stop(&mut self, id: Id) {
        if self.world.participants().count() < 2 {
            return;
        }
        if self.rng.random_bool(0.5) {
            self.world.kill(id);
        } else {
            self.world.power_off(id);
        }
    }

    fn start_one(&mut self) {
        let idle = |id: &Id| !self.world.takes_part(*id);
        let idle: Vec<Id> = self.world.ids().filter(idle).collect();
        if idle.is_empty() {
            return;
        }
        let id = idle[self.rng.random_range(0..idle.len())];
        match self.world.host(id).state {
            State::Down | State::Off => self.world.start(id),
            // The member has left, but its process runs on.
            State::Up => self.world.init_again(id),
            State::Paused => return,
        }
        if self.rng.random_bool(0.5) {
            self.set_payload(id);
        }
        if let Some(contact) = self.random_participant()
            && contact != id
        {
            self.world.introduce(id, contact);
        }
    }

    /// Restarts a process too quickly for other members to notice.
    fn restart(&mut self, id: Id) {
        if self.world.engine(id).is_some() {
            self.world.kill(id);
            self.world.start(id);
            self.set_payload(id);
        }
    }

    fn leave(&mut self, id: Id) {
        if self.world.participants().count() > 1 && self.world.host(id).state == State::Up {
            self.world.leave(id);
        }
    }

    fn pause(&mut self, id: Id) {
        let most = if self.rng.random_bool(0.5) { 1.0 } else { 10.0 };
        let duration = self.periods(most);
        self.world.pause(id, duration);
    }

    fn partition(&mut self) {
        let minority: Vec<Id> = self
            .world
            .ids()
            .filter(|_| self.rng.random_bool(0.4))
            .collect();
        self.world.became(&format!("those apart: {minority:?}"));
        self.world.network.partition(&minority);
    }

    fn heal(&mut self) {
        self.world.became("no cuts any more");
        self.world.network.heal();
    }

    fn change_weather(&mut self, weather: Weather) {
        self.world.became(&format!("{weather:?}"));
        if weather.delayed > 0.0 {
            let longest = weather.latency * 2_u32.pow(DOUBLINGS_MAX);
            self.longest_delay = self.longest_delay.max(longest);
        }
        self.world.network.weather = weather;
    }

    fn cut(&mut self, from: Id) {
        let to = self.random_host();
        if from != to {
            self.world.became(&format!("{to} no longer hears {from}"));
            self.world.network.cut(from, to);
        }
    }

    fn storm(&mut self, calm: &Weather) -> Weather {
        let rng = &mut self.rng;
        let mut some = |most: f64| match rng.random_range(0..3) {
            0 => rng.random_range(0.0..most),
            _ => 0.0,
        };
        let (loss, bursts, delayed) = (some(0.5), some(0.3), some(0.6));
        let (duplicated, damaged) = (some(0.3), some(0.05));
        let latency = calm.latency * if some(1.0) > 0.5 { 20 } else { 1 };
        Weather {
            latency,
            loss,
            bursts,
            delayed,
            duplicated,
            damaged,
            ..calm.clone()
        }
    }

    fn set_payload(&mut self, id: Id) {
        let number = self.rng.random_range(0..4);
        if self.world.takes_part(id) {
            self.world.set_payload(id, number);
        }
    }

    fn set_clock(&mut self, id: Id) {
        let hour = 3_600_000_000;
        let microseconds = self.rng.random_range(-hour..hour);
        self.world.set_clock(id, microseconds);
    }

    fn resolve_badly(&mut self, id: Id) {
        let delay = self.periods(5.0).as_micros() as u64;
        self.world.host_mut(id).resolver = match self.rng.random_range(0..3) {
            0 => Resolver::Failing(delay),
            1 => Resolver::Slow(delay),
            _ => Resolver::Prompt,
        };
    }

    fn rename(&mut self, id: Id) {
        // membership 2.x forwards an answer for its own former name to itself, without end.
        let is_native = self.world.host(id).implementation == Implementation::Native;
        if is_native && self.world.takes_part(id) && self.world.host(id).state == State::Up {
            let name = format!("name-{}", self.rng.random_range(0..4_u32));
            let uri = Uri::new(&name, 3301).expect("a URI");
            if self.world.is_free(&uri) {
                self.world.init(id, &name);
            }
        }
    }

    /// An operator or a program does something for no reason.
    fn meddle(&mut self, id: Id) {
        let subject = self.random_host();
        let uri = self.world.host(subject).uri.clone();
        let choice = self.rng.random_range(0..3);
        if id == subject || self.world.host(id).state != State::Up {
            return;
        }
        self.world.act(
            id,
            &format!("meddles {choice} with {uri}"),
            |engine, now| {
                let Some(swim) = engine.swim_mut() else {
                    return;
                };
                if swim.myself().is_none() {
                    return;
                }
                match choice {
                    0 => drop(swim.mark_left(&uri, now)),
                    1 => swim.remove_member(&uri, now),
                    _ => drop(swim.probe(&uri, now)),
                }
            },
        );
    }

    fn introduce(&mut self, id: Id) {
        let newcomer = self.random_host();
        if id != newcomer && self.world.host(id).state == State::Up {
            self.world.introduce(id, newcomer);
        }
    }

    /// Ends all faults, and waits until pauses are over and datagrams have arrived.
    fn end_faults(&mut self, calm: Weather) {
        self.world.became("the trouble ends");
        self.heal();
        self.change_weather(calm);
        for id in self.world.ids() {
            self.world.host_mut(id).resolver = Resolver::Prompt;
        }
        let all_run = |world: &World| world.ids().all(|id| world.host(id).state != State::Paused);
        let longest = self.world.config.protocol_period * 100;
        self.world.run_until(longest, all_run).expect("pauses end");
        self.world.deliver_all();
        if self.world.participants().next().is_none() {
            self.start_one();
        }
    }
}

/// Random options that make sense together.
fn config(rng: &mut StdRng) -> Config {
    let period = Duration::from_millis([200, 500, 1000, 1000, 2000][rng.random_range(0..5)]);
    Config {
        protocol_period: period,
        ack_timeout: period.mul_f64(rng.random_range(0.1..0.4)),
        anti_entropy_period: period * rng.random_range(5..=10),
        suspect_timeout: period * rng.random_range(2..=5),
        gossip_interval: period.mul_f64(rng.random_range(0.02..0.2)),
        suspiciousness: true,
        relays: [3, 3, 3, 0, 1, 2, 5][rng.random_range(0..7)],
        retransmit_multiplier: rng.random_range(1..=4),
        max_packet_size: [1472, 1472, 512, 8192][rng.random_range(0..4)],
        reap_timeout: period * [0, 0, 0, 1, 5, 20][rng.random_range(0..6)],
        ..Config::default()
    }
}

/// Mostly none. The cipher of membership 2.x is left out: damaged datagrams could claim anything.
fn encryption(rng: &mut StdRng) -> (Cipher, Option<Vec<u8>>) {
    match rng.random_range(0..6) {
        0 | 1 => (Cipher::Aead, Some(b"a key".to_vec())),
        2 => (Cipher::PlainAndAead, Some(b"a key".to_vec())),
        _ => (Cipher::Cbc, None),
    }
}

/// A network on which an ACK comes long before its timeout.
fn calm(rng: &mut StdRng, config: &Config) -> Weather {
    let share = rng.random_range(0.001..0.1);
    Weather {
        latency: config.ack_timeout.mul_f64(share),
        jitter: config.ack_timeout.mul_f64(share),
        ..Weather::default()
    }
}
