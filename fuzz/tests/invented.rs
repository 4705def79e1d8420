//! The fuzz targets without a fuzzer: with recorded datagrams, damaged and joined, and random bytes.
//!
//! ```sh
//! cargo test --test invented                                              # some seconds, always the same inputs
//! FUZZ_SECONDS=600 cargo test --release --test invented -- --nocapture    # for that time, each time with new inputs
//! ```
//!
//! An input that fails is printed in hexadecimal. With a nightly compiler cargo-fuzz finds more; see
//! CONTRIBUTING.md.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use membership_fuzz::{TARGETS, Target, seeds};

/// How many inputs are tried by default: about a second in a debug build.
const EXECUTIONS: u64 = 10_000;

/// The same for inputs that are made into large datagrams.
const LARGE_EXECUTIONS: u64 = 500;

/// The size of an input at most: the largest datagram of UDP.
const SIZE_MAX: usize = 65_507;

/// The size of most inputs at most. A hundred of these take the time of one long input.
const SIZE_USUAL: usize = 4096;

/// One of so many inputs is long.
const LONG: u32 = 100;

/// When to stop.
enum Bound {
    Executions(u64),
    Time(Duration),
}

impl Bound {
    fn from_environment(executions: u64) -> Self {
        let seconds = std::env::var("FUZZ_SECONDS").ok();
        seconds.map_or(Self::Executions(executions), |seconds| {
            Self::Time(Duration::from_secs(
                seconds.parse().expect("a number of seconds"),
            ))
        })
    }

    /// The seed of the inputs: a constant, or a random one to find new failures.
    fn seed(&self) -> u64 {
        match self {
            Self::Executions(_) => 1,
            Self::Time(_) => getrandom::u64().expect("the system has entropy"),
        }
    }
}

/// A damaged seed, several of them in a row, or random bytes.
fn invent(seeds: &[(String, Vec<u8>)], rng: &mut StdRng) -> Vec<u8> {
    let most = if rng.random_ratio(1, LONG) {
        SIZE_MAX
    } else {
        SIZE_USUAL
    };
    let size = rng.random_range(0..=most);
    if rng.random_ratio(1, 2) {
        let mut bytes = vec![0; size];
        rng.fill_bytes(&mut bytes);
        return bytes;
    }
    let mut bytes = Vec::new();
    let joined = 1 + rng.random_range(0..3) * most / SIZE_USUAL;
    for _ in 0..joined {
        bytes.extend_from_slice(&seeds[rng.random_range(0..seeds.len())].1);
    }
    for _ in 0..rng.random_range(0..8) {
        damage(&mut bytes, rng);
    }
    bytes.truncate(most);
    bytes
}

/// Bytes that stand for lengths, or are one beyond.
const ODD_BYTES: [u8; 10] = [0, 1, 0x7f, 0x80, 0x90, 0xc0, 0xcf, 0xdd, 0xdf, 0xff];

fn damage(bytes: &mut Vec<u8>, rng: &mut StdRng) {
    if bytes.is_empty() {
        return;
    }
    let (at, other) = (
        rng.random_range(0..bytes.len()),
        rng.random_range(0..bytes.len()),
    );
    let (start, end) = (at.min(other), at.max(other).min(at.min(other) + 64));
    match rng.random_range(0..6) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes[at] = rng.random(),
        2 => bytes[at] = ODD_BYTES[rng.random_range(0..ODD_BYTES.len())],
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(start..end)),
        _ => {
            let copy = bytes[start..end].to_vec();
            bytes.splice(other..other, copy);
        }
    }
}

fn try_one(name: &str, target: Target, bytes: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(bytes))) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{name} fails with {hex}");
        resume_unwind(panic);
    }
}

#[expect(clippy::disallowed_methods, reason = "it runs for a real time")]
fn run(name: &str, executions: u64) {
    let known = TARGETS.into_iter().find(|(known, _)| *known == name);
    let (_, target) = known.expect("a target of this name");
    let (seeds, bound) = (seeds::of(name), Bound::from_environment(executions));
    assert!(!seeds.is_empty());
    seeds
        .iter()
        .for_each(|(_, seed)| try_one(name, target, seed));
    let (seed, start) = (bound.seed(), Instant::now());
    let mut rng = StdRng::seed_from_u64(seed);
    let mut executions = 0;
    let goes_on = |executions| match bound {
        Bound::Executions(most) => executions < most,
        Bound::Time(most) => start.elapsed() < most,
    };
    while goes_on(executions) {
        try_one(name, target, &invent(&seeds, &mut rng));
        executions += 1;
    }
    println!("{name}: {executions} executions in {:.0?}", start.elapsed());
}

#[test]
fn decoding_any_datagram_is_harmless() {
    run("decode", EXECUTIONS);
}

#[test]
fn opening_any_datagram_is_harmless() {
    run("open", EXECUTIONS);
}

#[test]
fn no_history_breaks_an_invariant() {
    run("life", EXECUTIONS);
}

#[test]
fn the_cost_of_a_datagram_is_bounded() {
    run("cost", LARGE_EXECUTIONS);
}
