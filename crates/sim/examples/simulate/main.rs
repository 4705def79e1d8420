//! Runs one scenario with simulated groups of many sizes, and prints the figures.
//!
//! The scenario: the members know one another; nothing happens for a while; one member sets a payload;
//! some lose power. Times are virtual, and follow from the seed.
//!
//! ```text
//! cargo run --release --example simulate -- --members 10,100,1000 --loss 0.1 --runs 5
//! cargo run --release --example simulate -- --members 10,100,1000 --legacy-share 0,1 --plot out.svg --plot-summary short.svg
//! ```

mod plot;
mod table;
mod theory;
mod trial;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use clap::Parser;
use indicatif::{ParallelProgressIterator, ProgressBar, ProgressStyle};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use sim::experiment::Group;
use sim::{Implementation, Weather};
use swim::config::Config;
use swim::profile::Profile;
use trial::{Plan, Trial};

/// Runs one scenario with simulated groups of many sizes, and prints the figures.
#[derive(Parser)]
struct Arguments {
    /// The sizes of the groups.
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000")]
    members: Vec<u32>,
    /// The shares of the members that run membership 2.x.
    #[arg(long, value_delimiter = ',', default_value = "0")]
    legacy_share: Vec<f64>,
    /// Leaves out larger groups with membership 2.x: the model works through its whole table for each
    /// datagram.
    #[arg(long, default_value_t = 1000)]
    legacy_most: u32,
    /// The share of all datagrams that is lost.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// How long a datagram takes on average, in milliseconds.
    #[arg(long, default_value_t = 1.0)]
    latency: f64,
    /// The profile that all members use: lan, wan, local or failover.
    #[arg(long, default_value = "lan", value_parser = profile)]
    profile: Profile,
    /// The size of each payload, in bytes.
    #[arg(long, default_value_t = 100)]
    payload: usize,
    /// How many members lose power at the same time.
    #[arg(long, default_value_t = 1)]
    kill: usize,
    /// Pauses a tenth of the members again and again, for this time at most, in seconds, while nothing
    /// else happens.
    #[arg(long, default_value_t = 0.0)]
    pause: f64,
    /// How long nothing happens, in member-seconds: longer in a small group.
    #[arg(long, default_value_t = 20_000.0)]
    lasting: f64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds to run each group with. Of several numbers each is for one size of the group, and the
    /// last one for the sizes that are left.
    #[arg(long, value_delimiter = ',', default_value = "3")]
    runs: Vec<u64>,
    /// How many groups to run at a time; by default one on each core.
    #[arg(long)]
    threads: Option<usize>,
    /// Prints each trial as a line of JSON, instead of a table.
    #[arg(long)]
    json: bool,
    /// Draws the figures into this file.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Draws into this file only how soon deaths and news are known.
    #[arg(long, value_name = "FILE.svg")]
    plot_summary: Option<PathBuf>,
}

/// Larger groups than this run one at a time, as the tables of all members take memory.
const LARGE: u32 = 3000;

/// Draws figures of these trials, with a title, into a file.
type Draw = fn(&Path, &str, &[Trial]) -> Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let trials = run(&arguments);
    if arguments.json {
        trials.iter().for_each(|trial| println!("{}", trial.json()));
    } else {
        println!("{}", table::table(&trials));
    }
    let title = title(&arguments, &trials);
    let plots: [(_, Draw); 2] = [
        (&arguments.plot, plot::all),
        (&arguments.plot_summary, plot::summary),
    ];
    for (file, draw) in plots {
        if let Some(file) = file
            && let Err(error) = draw(file, &title, &trials)
        {
            eprintln!("{}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// What is common to all figures: how they were measured. In lines that are short enough for a telephone.
fn title(arguments: &Arguments, trials: &[Trial]) -> String {
    let Arguments {
        loss,
        latency,
        payload,
        runs,
        ..
    } = arguments;
    let pause = match arguments.pause {
        0.0 => String::new(),
        pause => format!(",\na tenth paused for up to {pause} s"),
    };
    let loss = match loss {
        0.0 => "Simulated: no loss".to_owned(),
        loss => format!("Simulated: {:.0} % of datagrams lost", 100.0 * loss),
    };
    let is_drawn = |trial: &Trial| plot::figures().all(|figure| (figure.of)(trial).is_some());
    let missing = match trials.iter().all(is_drawn) {
        true => "",
        false => "\nA mark is missing where one of the runs\ntook more than three minutes.",
    };
    let (fewest, most) = (runs.iter().min(), runs.iter().max());
    let runs = match (fewest, most) {
        (Some(fewest), Some(most)) if fewest < most => format!("{fewest} to {most}"),
        _ => runs[0].to_string(),
    };
    format!(
        "{loss},\n{latency} ms latency, payloads of {payload} bytes{pause}.\n\
         Marks: medians of {runs} runs;\nbars: the least and the most.{missing}"
    )
}

fn plans(arguments: &Arguments) -> Vec<Plan> {
    let latency = Duration::from_secs_f64(arguments.latency / 1000.0);
    // Half of it is constant; the jitter is the other half on average.
    let weather = Weather {
        latency: latency / 2,
        jitter: latency,
        loss: arguments.loss,
        ..Weather::default()
    };
    let mut plans = Vec::new();
    for (place, &members) in arguments.members.iter().enumerate() {
        let runs = arguments.runs[place.min(arguments.runs.len() - 1)];
        let feasible = |share: &&f64| **share == 0.0 || members <= arguments.legacy_most;
        for &legacy_share in arguments.legacy_share.iter().filter(feasible) {
            for seed in (arguments.seed..).take(runs as usize) {
                let weather = weather.clone();
                let (mut config, payload) = (Config::default(), arguments.payload);
                config.use_profile(arguments.profile);
                let group = Group {
                    members,
                    implementation: Implementation::Native,
                    legacy_share,
                    weather,
                    config,
                    payload,
                    seed,
                };
                plans.push(Plan {
                    group,
                    lasting: Duration::from_secs_f64(arguments.lasting / f64::from(members)),
                    pause: Duration::from_secs_f64(arguments.pause),
                    kill: arguments.kill,
                });
            }
        }
    }
    plans
}

fn profile(name: &str) -> Result<Profile, String> {
    match Profile::from_name(name) {
        Some(profile) => Ok(profile),
        None => Err(format!(
            "one of {} expected",
            Profile::ALL.map(Profile::name).join(", ")
        )),
    }
}

/// Runs all trials, on all cores.
fn run(arguments: &Arguments) -> Vec<Trial> {
    let plans = plans(arguments);
    let bar = ProgressBar::new(plans.len() as u64).with_style(style());
    let large = Mutex::new(());
    let make = |plan: &Plan| {
        let _alone = (plan.group.members > LARGE).then(|| large.lock());
        plan.run()
    };
    let mut trials: Vec<Trial> =
        pool(arguments.threads).install(|| plans.par_iter().progress_with(bar).map(make).collect());
    trials.sort_by(|one, other| one.order().partial_cmp(&other.order()).expect("numbers"));
    trials
}

fn pool(threads: Option<usize>) -> ThreadPool {
    let builder = ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0));
    builder.build().expect("threads")
}

fn style() -> ProgressStyle {
    let template = "{bar:40} {pos}/{len} groups, {elapsed} passed, {eta} left";
    ProgressStyle::with_template(template).expect("a template")
}
