//! Measures how fast simulated worlds run, and how much memory they take.
//!
//! ```text
//! cargo run --release --example speed -- 1000 10000
//! ```

use std::fs;
use std::time::{Duration, Instant};

use clap::Parser;
use sim::experiment::Group;
use sim::{Implementation, Weather};
use swim::config::Config;

/// Measures how fast simulated worlds run, and how much memory they take.
#[derive(Parser)]
struct Arguments {
    /// How many members each of them has.
    #[arg(default_values_t = [1000])]
    members: Vec<u32>,
}

fn main() {
    Arguments::parse().members.into_iter().for_each(measure);
}

/// Runs an idle world on one core for two seconds at least, and prints the speed.
#[expect(clippy::disallowed_methods, reason = "it measures real time")]
fn measure(members: u32) {
    let group = Group {
        members,
        implementation: Implementation::Native,
        legacy_share: 0.0,
        weather: Weather::default(),
        config: Config::default(),
        payload: 0,
        seed: 1,
    };
    let before = resident();
    let start = Instant::now();
    let mut world = group.world();
    let built = start.elapsed();
    let bytes = (resident().saturating_sub(before)) as f64 / f64::from(members).powi(2);
    let (start, mut seconds) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(2) {
        world.run(Duration::from_secs(1));
        seconds += 1;
    }
    let speed = f64::from(seconds) / start.elapsed().as_secs_f64();
    println!(
        "{members} members: {speed:.1} times as fast as real time; \
         {bytes:.0} bytes a record; built in {:.1} s",
        built.as_secs_f64()
    );
}

/// The resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    1024 * kilobytes.unwrap_or(0_u64)
}
