//! Prints the figures of a run beside their goals.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use criterion::Criterion;
use serde_json::Value;

/// The time that a bench is to take at most.
pub struct Goal {
    bench: String,
    limit: Option<Duration>,
}

impl Goal {
    /// A goal in nanoseconds.
    pub fn new(bench: &str, nanoseconds: u64) -> Self {
        Self {
            bench: bench.to_owned(),
            limit: Some(Duration::from_nanos(nanoseconds)),
        }
    }

    /// A bench without a goal.
    pub fn none(bench: &str) -> Self {
        Self {
            bench: bench.to_owned(),
            limit: None,
        }
    }
}

/// The directory of the figures of Criterion.
pub struct Goals {
    directory: PathBuf,
}

impl Goals {
    /// Removes the figures of earlier runs, but not the baselines to compare with.
    pub fn begin(goals: &[Goal]) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("criterion");
        let this = Self { directory };
        for goal in goals {
            // Mostly there is none.
            let _ = fs::remove_file(this.estimates(goal));
        }
        this
    }

    /// Creates a Criterion that writes its figures there.
    pub fn criterion(&self) -> Criterion {
        Criterion::default().output_directory(&self.directory)
    }

    /// Prints what was measured in this run.
    pub fn show(&self, goals: &[Goal]) {
        let measured = goals
            .iter()
            .filter_map(|goal| Some((goal, self.figure(goal)?)));
        let mut measured = measured.peekable();
        if measured.peek().is_some() {
            println!("{:<56}{:>10}{:>10}{:>9}", "", "figure", "goal", "of it");
        }
        for (goal, figure) in measured {
            print!("{:<56}{:>7.2} µs", goal.bench, figure * 1e6);
            if let Some(limit) = goal.limit.map(|limit| limit.as_secs_f64()) {
                print!("{:>7.0} µs{:>7.0} %", limit * 1e6, 100.0 * figure / limit);
            }
            println!();
        }
    }

    /// The median, in seconds.
    fn figure(&self, goal: &Goal) -> Option<f64> {
        let text = fs::read_to_string(self.estimates(goal)).ok()?;
        let estimates: Value = serde_json::from_str(&text).ok()?;
        Some(estimates["median"]["point_estimate"].as_f64()? / 1e9)
    }

    fn estimates(&self, goal: &Goal) -> PathBuf {
        self.directory.join(&goal.bench).join("new/estimates.json")
    }
}
