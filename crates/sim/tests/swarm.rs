//! A few random worlds with random faults; `cargo run --release --example swarm` runs as many as wanted.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::thread;

use sim::Id;
use sim::mutants::Mutant;
use sim::swarm::Swarm;

/// How many worlds to run here. They take a few seconds on two slow cores, without optimization.
const SEEDS: u64 = 1000;

/// Keeps panics of worker threads from being printed. Those of tests are.
fn silence_workers() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if thread::current().name().is_some() {
            print(panic);
        }
    }));
}

/// Runs these seeds on all cores. Returns what went wrong.
fn play(seeds: u64, prepare: impl Fn(&mut Swarm) + Sync) -> Vec<String> {
    static SILENCE: Once = Once::new();
    SILENCE.call_once(silence_workers);
    let next = AtomicU64::new(0);
    let violations = Mutex::new(Vec::new());
    let work = || {
        while let Some(seed) =
            Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds)
        {
            let mut swarm = Swarm::new(seed);
            prepare(&mut swarm);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| swarm.play())) {
                let replay = format!("cargo run --release --example swarm -- --replay {seed}");
                let violation = format!("{}\n  {replay}", text(&*panic));
                violations
                    .lock()
                    .expect("no thread panics with it")
                    .push(violation);
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    violations.into_inner().expect("no thread panics with it")
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

#[test]
fn no_invariant_is_broken_and_all_agree_at_the_end() {
    let violations = play(SEEDS, |_swarm| {});
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_planted_bug_is_found() {
    for mutant in Mutant::ALL {
        let violations = play(40, |swarm| swarm.world.mutant = Some((Id(1), mutant)));
        let symptom = match mutant {
            Mutant::Inflates => "which it never was",
            Mutant::Swells => "and the limit is",
            Mutant::Repeats => "times, the limit being",
            Mutant::Unhearing => "not settled",
            Mutant::Mute => "there is news",
        };
        let found = violations
            .iter()
            .any(|violation| violation.contains(symptom));
        assert!(found, "{mutant:?} was not found: {violations:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..10 {
        let [one, other] = [seed, seed].map(|seed| Swarm::new(seed).play().trace);
        assert_eq!(one, other, "seed {seed}");
    }
    let [one, other] = [1, 2].map(|seed| Swarm::new(seed).play().trace);
    assert_ne!(one, other);
}
