//! Worlds that nobody has thought of, a few of them; `cargo run --release --example swarm` plays as
//! many as wanted.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::thread;

use sim::Id;
use sim::mutants::Mutant;
use sim::swarm::Swarm;

/// How many worlds are played here. They take a few seconds, on two slow cores and unoptimized.
const SEEDS: u64 = 1000;

/// Lets only those threads tell of their panics that are tests themselves.
fn silence_workers() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if thread::current().name().is_some() {
            tell(panic);
        }
    }));
}

/// Plays these seeds on all cores. Returns what went wrong.
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
                    .expect("nobody panics with it")
                    .push(violation);
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    violations.into_inner().expect("nobody panics with it")
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no word")
}

#[test]
fn no_rule_is_broken_and_in_the_end_all_agree() {
    let violations = play(SEEDS, |_swarm| {});
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn a_bug_that_was_planted_is_found() {
    for bug in Mutant::ALL {
        let violations = play(40, |swarm| swarm.world.mutant = Some((Id(1), bug)));
        let symptom = match bug {
            Mutant::Inflates => "which it never was",
            Mutant::Swells => "and the limit is",
            Mutant::Repeats => "times, the limit being",
            Mutant::Deaf => "not settled",
            Mutant::Mute => "there is news",
        };
        let found = violations
            .iter()
            .any(|violation| violation.contains(symptom));
        assert!(found, "{bug:?} was not found: {violations:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..10 {
        let [one, other] = [seed, seed].map(|seed| Swarm::new(seed).play().history);
        assert_eq!(one, other, "seed {seed}");
    }
    let [one, other] = [1, 2].map(|seed| Swarm::new(seed).play().history);
    assert_ne!(one, other);
}
