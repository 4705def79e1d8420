//! Compares this module with membership 2.x, with the crate `foca`, and with itself when it lacks a
//! mechanism, in simulated groups: a row for each effect that users notice.
//!
//! ```text
//! cargo run --release --example compare
//! cargo run --release --example compare -- --without
//! cargo run --release --example compare -- --columns "this module,foca"
//! cargo run --release --example compare -- --rows news-100,join-1000 --runs 5
//! cargo run --release --example compare -- --write doc/mechanisms.md
//! cargo run --release --example compare -- --set SUSPECT_TIMEOUT_MIN_SECONDS=0.5 --rows dead-10,dead-100 --runs 99
//! ```

mod experiments;
mod scenarios;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use experiments::{EXPERIMENTS, Experiment, Row};
use indicatif::{ParallelProgressIterator, ProgressBar, ProgressStyle};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use sim::Implementation;
use swim::config::{Config, Setting};
use swim::mechanisms::Mechanisms;

/// Compares this module with membership 2.x and foca, or with itself when it lacks a mechanism.
#[derive(Parser)]
struct Arguments {
    /// Leaves out one mechanism after the other, instead of comparing with membership 2.x.
    #[arg(long)]
    without: bool,
    /// Which columns, by their headings; by default all.
    #[arg(long, value_delimiter = ',')]
    columns: Vec<String>,
    /// Which rows, by the names that --json shows; by default all.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// How many seeds to run; by default for each row as many as make its median steady.
    #[arg(long)]
    runs: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Options of all members, as NAME=NUMBER; by default the usual ones.
    #[arg(long, value_name = "NAME=NUMBER", value_delimiter = ',', value_parser = option)]
    set: Vec<(String, f64)>,
    /// Leaves out larger groups. 10,000 members with 10,000 records each take 18 GB of memory.
    #[arg(long, default_value_t = 1000)]
    most: u32,
    /// How many groups to run at a time; by default one on each core.
    #[arg(long)]
    threads: Option<usize>,
    /// Prints each figure as a line of JSON, instead of a table.
    #[arg(long, conflicts_with = "write")]
    json: bool,
    /// Puts the table into this file, in the place of the one that is there between comments.
    #[arg(long)]
    write: Option<PathBuf>,
}

/// A column: what the members run.
pub struct Column {
    /// The heading.
    pub name: &'static str,
    /// What the members run.
    pub implementation: Implementation,
    /// The share of them that run membership 2.x instead.
    pub legacy_share: f64,
    /// The mechanisms of the others.
    pub mechanisms: Mechanisms,
}

impl Column {
    /// Whether all members run this module.
    pub fn is_native(&self) -> bool {
        self.implementation == Implementation::Native && self.legacy_share == 0.0
    }
}

/// What was measured with one group.
pub struct Figure {
    row: &'static str,
    column: usize,
    seed: u64,
    /// In the unit of the row; `None` if the event did not happen in time.
    value: Option<f64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut columns = columns(arguments.without);
    if !arguments.columns.is_empty() {
        columns.retain(|column| arguments.columns.iter().any(|name| name == column.name));
    }
    let fits = |experiment: &&Experiment| experiment.members <= arguments.most;
    let experiments: Vec<&Experiment> = EXPERIMENTS.iter().filter(fits).collect();
    let rows = experiments.iter().flat_map(|experiment| experiment.rows);
    let rows: Vec<&Row> = rows.filter(|row| wanted(row, &arguments)).collect();
    if rows.is_empty() || columns.is_empty() {
        let rows = EXPERIMENTS.iter().flat_map(|experiment| experiment.rows);
        let names: Vec<&str> = rows.map(|row| row.key).collect();
        eprintln!(
            "nothing to measure: choose from the rows {}",
            names.join(", ")
        );
        return ExitCode::FAILURE;
    }
    let figures = measure(&experiments, &columns, &arguments);
    if arguments.json {
        table::print_json(&columns, &figures);
        return ExitCode::SUCCESS;
    }
    let text = table::table(&rows, &columns, &figures);
    let Some(path) = &arguments.write else {
        println!("{text}");
        return ExitCode::SUCCESS;
    };
    let name = if arguments.without {
        "without"
    } else {
        "compare"
    };
    match table::write(path, name, &text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The figures took long, and are not to be lost.
            println!("{text}");
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// An option, and what it is set to.
fn option(text: &str) -> Result<(String, f64), String> {
    let (name, number) = text.split_once('=').ok_or("NAME=NUMBER expected")?;
    let number = number.parse().map_err(|_| "a number expected")?;
    let assigned = Config::default().assign(name, Setting::Number(number));
    assigned.map_err(|bad| bad.to_string())?;
    Ok((name.to_owned(), number))
}

/// The options of all members.
fn config(arguments: &Arguments) -> Config {
    let mut config = Config::default();
    for (name, number) in &arguments.set {
        let assigned = config.assign(name, Setting::Number(*number));
        assigned.expect("it was tried");
    }
    config
}

fn wanted(row: &Row, arguments: &Arguments) -> bool {
    let named = |name: &String| row.key == name;
    arguments.rows.is_empty() || arguments.rows.iter().any(named)
}

fn columns(without: bool) -> Vec<Column> {
    let native = |name, mechanisms| Column {
        name,
        implementation: Implementation::Native,
        legacy_share: 0.0,
        mechanisms,
    };
    let all = Mechanisms::ALL;
    if !without {
        let of = |name, implementation, legacy_share| Column {
            name,
            implementation,
            legacy_share,
            mechanisms: all,
        };
        return vec![
            of("this module", Implementation::Native, 0.0),
            of("half each", Implementation::Native, 0.5),
            of("foca", Implementation::Foca, 0.0),
            of("membership 2.x", Implementation::Native, 1.0),
        ];
    }
    vec![
        native("all of it", all),
        native(
            "no retries",
            Mechanisms {
                retries: false,
                ..all
            },
        ),
        native(
            "fixed timeouts",
            Mechanisms {
                adaptive_timeouts: false,
                ..all
            },
        ),
        native(
            "no pause guard",
            Mechanisms {
                pause_guard: false,
                ..all
            },
        ),
        native(
            "no isolation check",
            Mechanisms {
                withhold_suspicions: false,
                ..all
            },
        ),
        native("no push", Mechanisms { push: false, ..all }),
        native("plain SWIM", Mechanisms::NONE),
    ]
}

/// Measures everything that was asked for, on all cores.
fn measure(experiments: &[&Experiment], columns: &[Column], arguments: &Arguments) -> Vec<Figure> {
    let mut plans = Vec::new();
    for &experiment in experiments {
        let wanted = experiment.rows.iter().any(|row| wanted(row, arguments));
        for (index, column) in columns.iter().enumerate() {
            if wanted && experiment.applies(column) {
                let runs = match arguments.runs {
                    Some(runs) => runs,
                    None => experiment.seeds(column),
                };
                let seeds = arguments.seed..arguments.seed.saturating_add(runs);
                plans.extend(seeds.map(|seed| (experiment, index, seed)));
            }
        }
    }
    let config = config(arguments);
    let bar = ProgressBar::new(plans.len() as u64).with_style(style());
    let run_one = |&(experiment, column, seed): &(&Experiment, usize, u64)| -> Vec<Figure> {
        let values = experiment.measure(&columns[column], &config, seed);
        let figures = experiment.rows.iter().zip(values);
        let wanted = figures.filter(|(row, _)| wanted(row, arguments));
        let figure = |(row, value): (&Row, Option<f64>)| Figure {
            row: row.key,
            column,
            seed,
            value,
        };
        wanted.map(figure).collect()
    };
    let threads = ThreadPoolBuilder::new().num_threads(arguments.threads.unwrap_or(0));
    let pool = threads.build().expect("threads");
    pool.install(|| {
        let figures = plans.par_iter().progress_with(bar);
        figures.flat_map_iter(run_one).collect()
    })
}

fn style() -> ProgressStyle {
    let template = "{bar:40} {pos}/{len} groups, {elapsed} passed, {eta} left";
    ProgressStyle::with_template(template).expect("a template")
}
