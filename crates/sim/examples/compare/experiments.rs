//! The experiments, and the rows of the table that each fills.

use sim::experiment::Group;
use swim::config::Config;

use crate::Column;
use crate::scenarios::{
    bytes, half_paused, heal, isolated, join, lan, lossy, news, paused, power_off, seconds,
};

/// Something that users notice.
pub struct Row {
    /// The name for `--rows`.
    pub key: &'static str,
    /// The description, with the unit.
    pub name: &'static str,
    /// The goal.
    pub goal: &'static str,
}

/// A scenario for groups of one size, and the rows that it fills.
pub struct Experiment {
    /// In the order of the figures.
    pub rows: &'static [Row],
    /// The size of the group.
    pub members: u32,
    /// With how many seeds it is run: with as many as make the median steady.
    seeds: u64,
    /// Runs the scenario. Returns a figure for each row; `None` if the event did not happen in time.
    scenario: fn(&Group) -> Vec<Option<f64>>,
}

/// With how many seeds a group is run that takes minutes.
const SEEDS_SLOW_MAX: u64 = 3;

const fn row(key: &'static str, name: &'static str, goal: &'static str) -> Row {
    Row { key, name, goal }
}

impl Experiment {
    const fn new(
        members: u32,
        seeds: u64,
        rows: &'static [Row],
        scenario: fn(&Group) -> Vec<Option<f64>>,
    ) -> Self {
        Self {
            rows,
            members,
            seeds,
            scenario,
        }
    }

    /// Whether it is run for this column. The model of membership 2.x works through its whole table for
    /// each datagram, so a large group takes too long.
    pub fn applies(&self, column: &Column) -> bool {
        column.legacy_share == 0.0 || self.members <= 1000
    }

    /// With how many seeds it is run for this column, if nothing else is asked for. A large group of another
    /// protocol takes long, and differs by more than luck.
    pub fn seeds(&self, column: &Column) -> u64 {
        if self.members >= 1000 && !column.is_native() {
            self.seeds.min(SEEDS_SLOW_MAX)
        } else {
            self.seeds
        }
    }

    /// Runs it with one group. Returns a figure for each row.
    pub fn measure(&self, column: &Column, config: &Config, seed: u64) -> Vec<Option<f64>> {
        let config = Config {
            mechanisms: column.mechanisms,
            ..config.clone()
        };
        (self.scenario)(&Group {
            members: self.members,
            implementation: column.implementation,
            legacy_share: column.legacy_share,
            weather: lan(0.0),
            config,
            payload: 0,
            seed,
        })
    }
}

/// All experiments.
pub const EXPERIMENTS: &[Experiment] = &[
    Experiment::new(
        10,
        99,
        &[
            row(
                "detect-10",
                "power off → first suspicion, N = 10, s",
                "equal",
            ),
            row("dead-10", "power off → dead for all, N = 10, s", "equal"),
        ],
        power_off,
    ),
    Experiment::new(
        100,
        99,
        &[
            row(
                "detect-100",
                "power off → first suspicion, N = 100, s",
                "equal",
            ),
            row("dead-100", "power off → dead for all, N = 100, s", "equal"),
        ],
        power_off,
    ),
    Experiment::new(
        1000,
        29,
        &[
            row(
                "detect-1000",
                "power off → first suspicion, N = 1000, s",
                "equal",
            ),
            row(
                "dead-1000",
                "power off → dead for all, N = 1000, s",
                "equal",
            ),
        ],
        power_off,
    ),
    Experiment::new(
        10_000,
        3,
        &[
            row(
                "detect-10000",
                "power off → first suspicion, N = 10,000, s",
                "equal",
            ),
            row(
                "dead-10000",
                "power off → dead for all, N = 10,000, s",
                "equal",
            ),
        ],
        power_off,
    ),
    Experiment::new(
        100,
        29,
        &[
            row("news-100", "payload → known to 99 %, N = 100, s", "≤ 0.04"),
            row("news-bytes-100", "the same: bytes of each for that", ""),
        ],
        news,
    ),
    Experiment::new(
        1000,
        9,
        &[
            row(
                "news-1000",
                "payload → known to 99 %, N = 1000, s",
                "≤ 0.05",
            ),
            row("news-bytes-1000", "the same: bytes of each for that", ""),
        ],
        news,
    ),
    Experiment::new(
        10_000,
        3,
        &[
            row(
                "news-10000",
                "payload → known to 99 %, N = 10,000, s",
                "≤ 0.06",
            ),
            row("news-bytes-10000", "the same: bytes of each for that", ""),
        ],
        news,
    ),
    Experiment::new(
        10,
        3,
        &[row("bytes-10", "idle, N = 10, bytes / member s", "≤ 60")],
        bytes,
    ),
    Experiment::new(
        100,
        3,
        &[row("bytes-100", "the same, N = 100", "≤ 70")],
        bytes,
    ),
    Experiment::new(
        1000,
        3,
        &[row("bytes-1000", "the same, N = 1000", "≤ 75")],
        bytes,
    ),
    Experiment::new(
        10_000,
        1,
        &[row(
            "bytes-10000",
            "idle, N = 10,000, bytes / member s",
            "≤ 1.5 × N = 10",
        )],
        bytes,
    ),
    Experiment::new(
        1000,
        10,
        &[
            row(
                "join-1000",
                "1000 join through one at once: all know all, s",
                "≤ 1.5",
            ),
            row(
                "join-bytes-1000",
                "the same: kB sent by each until 5 s later",
                "≤ 120",
            ),
            row(
                "settle-1000",
                "the 30 s after that: bytes / member s",
                "idle",
            ),
        ],
        join,
    ),
    Experiment::new(
        100,
        9,
        &[row(
            "heal-100",
            "halves partitioned for 60 s: all alive for all, s",
            "≤ 3",
        )],
        heal,
    ),
    Experiment::new(
        100,
        1,
        &[
            row(
                "suspect-10",
                "10 % loss, N = 100: false suspicions / 1000 member h",
                "",
            ),
            row(
                "false-dead-10",
                "10 % loss, N = 100: false deaths / 1000 member h",
                "0",
            ),
        ],
        |group| lossy(group, 0.1),
    ),
    Experiment::new(
        100,
        1,
        &[
            row(
                "suspect-30",
                "30 % loss, N = 100: false suspicions / 1000 member h",
                "",
            ),
            row(
                "false-dead-30",
                "30 % loss, N = 100: false deaths / 1000 member h",
                "0",
            ),
        ],
        |group| lossy(group, 0.3),
    ),
    Experiment::new(
        128,
        3,
        &[
            row(
                "paused",
                "16 of 128 paused for up to 16 s, again and again, 10 min: false deaths among the others",
                "0",
            ),
            row(
                "suspected",
                "the same: suspicions of members that were never paused",
                "",
            ),
        ],
        |group| paused(group, seconds(16)),
    ),
    Experiment::new(
        128,
        3,
        &[
            row(
                "paused-briefly",
                "16 of 128 paused for up to 2 s, again and again, 10 min: false deaths among the others",
                "0",
            ),
            row(
                "suspected-briefly",
                "the same: suspicions of members that were never paused",
                "",
            ),
        ],
        |group| paused(group, seconds(2)),
    ),
    Experiment::new(
        40,
        9,
        &[row(
            "isolated",
            "one of 40 receives nothing, 10 min: false suspicions among the others",
            "≤ 39",
        )],
        isolated,
    ),
    Experiment::new(
        40,
        38,
        &[
            row(
                "half",
                "half of 40 paused for 10 s, within a second: false suspicions and deaths",
                "0",
            ),
            row("half-back", "the same: all alive for all, s", "≤ 0.3"),
        ],
        half_paused,
    ),
];
