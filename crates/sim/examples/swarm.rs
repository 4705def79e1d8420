//! Runs random worlds with random faults, as many as wanted, and checks that all rules hold.
//!
//! ```text
//! cargo run --release --example swarm -- --seeds 10000
//! cargo run --release --example swarm -- --replay 4711 | less
//! ```

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use indicatif::{ParallelProgressIterator, ProgressBar, ProgressStyle};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use sim::swarm::{Outcome, Swarm};
use xxhash_rust::xxh3::xxh3_64;

/// Runs random worlds with random faults, and checks that all rules hold.
#[derive(Parser)]
struct Arguments {
    /// How many worlds to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The seed of the first one.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many to run at a time; by default one on each core.
    #[arg(long)]
    threads: Option<usize>,
    /// Runs one world only, and prints all its events.
    #[arg(long, value_name = "SEED")]
    replay: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic is printed later, with the seed.
    panic::set_hook(Box::new(|_| {}));
    let failures = match arguments.replay {
        Some(seed) => replay(seed),
        None => play_many(&arguments),
    };
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs one world, and prints all its events. Returns how many went wrong.
fn replay(seed: u64) -> usize {
    let mut swarm = Swarm::new(seed);
    swarm.world.read_by(Box::new(|line| println!("{line}")));
    match play(swarm) {
        Ok(outcome) => println!("seed {seed}: all is well: {outcome:?}"),
        Err(violation) => {
            println!("seed {seed}: {violation}");
            return 1;
        }
    }
    0
}

fn play(swarm: Swarm) -> Result<Outcome, String> {
    panic::catch_unwind(AssertUnwindSafe(|| swarm.play())).map_err(message)
}

fn message(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Runs many worlds, on all cores. Returns how many went wrong.
fn play_many(arguments: &Arguments) -> usize {
    let bar = ProgressBar::new(arguments.seeds).with_style(style());
    let seeds = arguments.from..arguments.from + arguments.seeds;
    let (turned, traces) = (AtomicU64::new(0), AtomicU64::new(0));
    let goes_wrong = |seed: &u64| match play(Swarm::new(*seed)) {
        Ok(outcome) => {
            turned.fetch_add(outcome.lasted.as_secs(), Ordering::Relaxed);
            // A sum, since the worlds end in any order.
            let trace = [*seed, outcome.trace].map(u64::to_be_bytes);
            traces.fetch_add(xxh3_64(trace.as_flattened()), Ordering::Relaxed);
            false
        }
        Err(violation) => {
            bar.suspend(|| {
                println!("seed {seed}: {violation}");
                println!("  cargo run --release --example swarm -- --replay {seed}");
            });
            true
        }
    };
    let threads = ThreadPoolBuilder::new().num_threads(arguments.threads.unwrap_or(0));
    let pool = threads.build().expect("threads");
    let worlds = seeds.into_par_iter().progress_with(bar.clone());
    let failures = pool.install(|| worlds.filter(goes_wrong).count());
    bar.finish_and_clear();
    let hours = turned.into_inner() as f64 / 3600.0;
    println!(
        "{} worlds, {hours:.1} hours in them: {failures} went wrong",
        arguments.seeds
    );
    // Two builds that print the same for the same seeds do the same in all of these worlds.
    println!("traces: {:016x}", traces.into_inner());
    failures
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {pos}/{len} worlds, {per_sec}, {eta} left")
        .expect("a template")
}
