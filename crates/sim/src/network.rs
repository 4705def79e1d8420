//! What happens to datagrams between two machines.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::host::Id;
use swim::time::Micros;

/// How the network behaves, for all machines.
#[derive(Clone, Debug, PartialEq)]
pub struct Weather {
    /// How long every datagram takes at least.
    pub latency: Duration,
    /// How much longer it may take: any time up to this, all equally likely.
    pub jitter: Duration,
    /// The share of datagrams that are delayed: their latency doubles, and doubles again with the same
    /// probability, [`DOUBLINGS_MAX`] times at most. So later ones overtake them.
    pub delayed: f64,
    /// The share that is lost, independently.
    pub loss: f64,
    /// The share of time in which a link, independently of others, loses everything for a [`BURST`].
    pub bursts: f64,
    /// The share that arrives twice.
    pub duplicated: f64,
    /// The share that arrives damaged: some bytes changed, or truncated.
    pub damaged: f64,
}

/// How often the latency of a datagram may double: it takes 32 times as long then.
pub const DOUBLINGS_MAX: u32 = 5;

/// How long a burst lasts. Longer than an ACK may take, so that an early retry fails as well.
pub const BURST: Duration = Duration::from_millis(400);

impl Default for Weather {
    /// A quiet local network.
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(200),
            jitter: Duration::from_micros(600),
            delayed: 0.0,
            loss: 0.0,
            bursts: 0.0,
            duplicated: 0.0,
            damaged: 0.0,
        }
    }
}

/// All links between all machines.
#[derive(Debug)]
pub struct Network {
    /// How it behaves at present.
    pub weather: Weather,
    /// The links that lose everything: from, to.
    cuts: BTreeSet<(Id, Id)>,
    /// The largest datagram that each link carries, in bytes, if there is one: from, to.
    largest: BTreeMap<(Id, Id), usize>,
    /// The side of the partition that each machine is on.
    sides: Vec<u8>,
    seed: u64,
    rng: StdRng,
}

/// What happens to a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// It never arrives.
    Lost,
    /// It arrives after the first time, and a duplicate after the second.
    Arrives(Duration, Option<Duration>),
}

impl Network {
    /// A quiet network without cuts.
    pub fn new(seed: u64) -> Self {
        Self {
            weather: Weather::default(),
            cuts: BTreeSet::new(),
            largest: BTreeMap::new(),
            sides: Vec::new(),
            seed,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Loses all datagrams from `from` to `to` from now on, but not those the other way.
    pub fn cut(&mut self, from: Id, to: Id) {
        self.cuts.insert((from, to));
    }

    /// Loses all datagrams from `from` to `to` that have more than `size` bytes from now on.
    pub fn limit_size(&mut self, from: Id, to: Id, size: usize) {
        self.largest.insert((from, to), size);
    }

    /// Whether the link from `from` to `to` carries a datagram of `size` bytes.
    pub fn carries(&self, from: Id, to: Id, size: usize) -> bool {
        match self.largest.get(&(from, to)) {
            Some(largest) => size <= *largest,
            None => true,
        }
    }

    /// Partitions the network: those in `minority` reach only one another, and so do the others.
    pub fn partition(&mut self, minority: &[Id]) {
        self.sides.clear();
        for id in minority {
            let size = self.sides.len().max(id.index() + 1);
            self.sides.resize(size, 0);
            self.sides[id.index()] = 1;
        }
    }

    /// Undoes all cuts, limits and partitions.
    pub fn heal(&mut self) {
        self.cuts.clear();
        self.largest.clear();
        self.sides.clear();
    }

    /// Decides the fate of a datagram that is sent at `now`.
    pub fn fate(&mut self, from: Id, to: Id, now: Micros) -> Fate {
        let Weather {
            loss, duplicated, ..
        } = self.weather;
        let side = |id: Id| self.sides.get(id.index()).copied().unwrap_or(0);
        if from != to
            && (side(from) != side(to)
                || self.cuts.contains(&(from, to))
                || self.is_in_burst(from, to, now)
                || chance(&mut self.rng, loss))
        {
            return Fate::Lost;
        }
        let first = self.delay();
        let again = chance(&mut self.rng, duplicated).then(|| self.delay());
        Fate::Arrives(first, again)
    }

    /// Whether the link loses everything just now. A hash decides, so that links need no state.
    fn is_in_burst(&self, from: Id, to: Id, now: Micros) -> bool {
        if self.weather.bursts == 0.0 {
            return false;
        }
        let slot = u128::from(now.0) / BURST.as_micros();
        let link = [from.index() as u128, to.index() as u128, slot].map(u128::to_be_bytes);
        let hash = xxh3_64_with_seed(link.as_flattened(), self.seed);
        (hash as f64) < self.weather.bursts * u64::MAX as f64
    }

    fn delay(&mut self) -> Duration {
        let Weather {
            latency,
            jitter,
            delayed,
            ..
        } = self.weather;
        let jitter = u64::try_from(jitter.as_micros()).unwrap_or(u64::MAX);
        let mut delay = latency + Duration::from_micros(self.rng.random_range(0..=jitter));
        for _ in 0..DOUBLINGS_MAX {
            if !chance(&mut self.rng, delayed) {
                break;
            }
            delay *= 2;
        }
        delay
    }

    /// Damages a datagram, with the probability that the weather has. Returns whether it did.
    pub fn damage(&mut self, datagram: &mut Vec<u8>) -> bool {
        if datagram.is_empty() || !chance(&mut self.rng, self.weather.damaged) {
            return false;
        }
        if self.rng.random_bool(0.2) {
            datagram.truncate(self.rng.random_range(0..datagram.len()));
            return true;
        }
        for _ in 0..self.rng.random_range(1..=4) {
            let at = self.rng.random_range(0..datagram.len());
            datagram[at] ^= self.rng.random_range(1..=255_u8);
        }
        true
    }
}

/// Draws a random number only if the share is not zero.
fn chance(rng: &mut impl Rng, share: f64) -> bool {
    share > 0.0 && rng.random_bool(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Id = Id(0);
    const B: Id = Id(1);

    fn arrivals(network: &mut Network, from: Id, to: Id) -> usize {
        let lost = |now: u64| network.fate(from, to, Micros(now * 1_000_000)) == Fate::Lost;
        1000 - (0..1000).map(lost).filter(|lost| *lost).count()
    }

    #[test]
    fn a_cut_is_one_way_and_a_partition_is_not() {
        let mut network = Network::new(1);
        network.cut(A, B);
        assert_eq!(arrivals(&mut network, A, B), 0);
        assert_eq!(arrivals(&mut network, B, A), 1000);
        network.heal();
        network.limit_size(A, B, 1000);
        assert!(network.carries(A, B, 1000) && !network.carries(A, B, 1001));
        assert!(network.carries(B, A, 1001));
        network.heal();
        assert!(network.carries(A, B, 1001));
        network.partition(&[B]);
        assert_eq!(arrivals(&mut network, A, B), 0);
        assert_eq!(arrivals(&mut network, B, A), 0);
        assert_eq!(arrivals(&mut network, B, B), 1000);
        network.heal();
        assert_eq!(arrivals(&mut network, A, B), 1000);
    }

    #[test]
    fn faults_have_the_configured_frequency() {
        let mut network = Network::new(1);
        network.weather.loss = 0.25;
        assert!((700..800).contains(&arrivals(&mut network, A, B)));
        network.weather = Weather {
            bursts: 0.25,
            ..Weather::default()
        };
        assert!((700..800).contains(&arrivals(&mut network, A, B)));
        network.weather = Weather {
            duplicated: 0.5,
            damaged: 0.5,
            ..Weather::default()
        };
        let twice = |_| matches!(network.fate(A, B, Micros(0)), Fate::Arrives(_, Some(_)));
        assert!((400..600).contains(&(0..1000).map(twice).filter(|twice| *twice).count()));
        let mut damaged = |_| {
            let mut datagram = vec![7; 50];
            assert_eq!(network.damage(&mut datagram), datagram != [7; 50]);
            datagram != [7; 50]
        };
        assert!((400..600).contains(&(0..1000).filter(|n| damaged(*n)).count()));
    }

    #[test]
    fn a_burst_takes_everything_on_one_link_for_a_while() {
        let mut network = Network::new(1);
        network.weather.bursts = 0.25;
        let mut slots = 0;
        for slot in 0..100 {
            let start = slot * BURST.as_micros() as u64;
            let mut lost =
                |from, to, after| network.fate(from, to, Micros(start + after)) == Fate::Lost;
            assert_eq!(lost(A, B, 0), lost(A, B, 399_999));
            slots += u32::from(lost(A, B, 0) != lost(B, A, 0));
        }
        assert!(slots > 10, "links have bursts at different times");
    }
}
