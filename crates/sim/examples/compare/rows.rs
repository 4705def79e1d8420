//! What is measured.

use std::collections::BTreeSet;
use std::time::Duration;

use sim::experiment::Group;
use sim::{Id, Weather, World};
use swim::config::Config;
use swim::mechanisms::Mechanisms;
use swim::table::claim::Status;

use crate::Column;

/// Something that users notice.
pub struct Row {
    /// By which it is chosen.
    pub key: &'static str,
    /// What it is, and in which unit.
    pub name: &'static str,
    /// What is to be reached.
    pub goal: &'static str,
}

/// What is tried with a group, and the rows that it fills.
pub struct Experiment {
    /// In the order of the figures.
    pub rows: &'static [Row],
    /// How many members there are.
    pub members: u32,
    /// How it is done. Nothing stands for what was waited for in vain.
    try_with: fn(&Group) -> Vec<Option<f64>>,
}

/// For how long anything is waited for.
const LIMIT: Duration = Duration::from_secs(180);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn row(key: &'static str, name: &'static str, goal: &'static str) -> Row {
    Row { key, name, goal }
}

impl Experiment {
    const fn new(
        members: u32,
        rows: &'static [Row],
        try_with: fn(&Group) -> Vec<Option<f64>>,
    ) -> Self {
        Self {
            rows,
            members,
            try_with,
        }
    }

    /// Whether it is tried for this column: with the Lua rock, which works through its whole table for
    /// each datagram, a large group takes too long.
    pub fn applies(&self, column: &Column) -> bool {
        column.legacy_share == 0.0 || self.members <= 1000
    }

    /// Tries it in one group: a figure for each row.
    pub fn measure(&self, column: &Column, seed: u64) -> Vec<Option<f64>> {
        let config = Config {
            mechanisms: column.mechanisms,
            ..Config::default()
        };
        (self.try_with)(&Group {
            members: self.members,
            legacy_share: column.legacy_share,
            weather: lan(0.0),
            config,
            payload: 0,
            seed,
        })
    }
}

/// A millisecond from one to another, on average.
fn lan(loss: f64) -> Weather {
    Weather {
        latency: Duration::from_micros(500),
        jitter: Duration::from_millis(1),
        loss,
        ..Weather::default()
    }
}

/// All experiments.
pub const EXPERIMENTS: &[Experiment] = &[
    Experiment::new(
        10,
        &[
            row(
                "detect-10",
                "power off → first suspicion, N = 10, s",
                "equal",
            ),
            row("dead-10", "power off → dead at all, N = 10, s", "equal"),
        ],
        power_off,
    ),
    Experiment::new(
        100,
        &[
            row(
                "detect-100",
                "power off → first suspicion, N = 100, s",
                "equal",
            ),
            row("dead-100", "power off → dead at all, N = 100, s", "equal"),
        ],
        power_off,
    ),
    Experiment::new(
        1000,
        &[
            row(
                "detect-1000",
                "power off → first suspicion, N = 1000, s",
                "equal",
            ),
            row("dead-1000", "power off → dead at all, N = 1000, s", "equal"),
        ],
        power_off,
    ),
    Experiment::new(
        10_000,
        &[
            row(
                "detect-10000",
                "power off → first suspicion, N = 10,000, s",
                "equal",
            ),
            row(
                "dead-10000",
                "power off → dead at all, N = 10,000, s",
                "equal",
            ),
        ],
        power_off,
    ),
    Experiment::new(
        100,
        &[row(
            "news-100",
            "payload → known to 99 %, N = 100, s",
            "≤ 1",
        )],
        news,
    ),
    Experiment::new(
        1000,
        &[row(
            "news-1000",
            "payload → known to 99 %, N = 1000, s",
            "≤ 1",
        )],
        news,
    ),
    Experiment::new(
        10_000,
        &[row(
            "news-10000",
            "payload → known to 99 %, N = 10,000, s",
            "≤ 1",
        )],
        news,
    ),
    Experiment::new(
        10,
        &[row("bytes-10", "idle, N = 10, bytes / member s", "")],
        bytes,
    ),
    Experiment::new(
        1000,
        &[row(
            "bytes-1000",
            "idle, N = 1000, bytes / member s",
            "≤ 1.5 × N = 10",
        )],
        bytes,
    ),
    Experiment::new(
        10_000,
        &[row(
            "bytes-10000",
            "idle, N = 10,000, bytes / member s",
            "≤ 1.5 × N = 10",
        )],
        bytes,
    ),
    Experiment::new(
        1000,
        &[
            row(
                "join-1000",
                "1000 join through one at once: all know all, s",
                "≤ 5",
            ),
            row("settle-1000", "the 30 s after, bytes / member s", "idle"),
        ],
        join,
    ),
    Experiment::new(
        100,
        &[row(
            "heal-100",
            "halves parted for 60 s: all alive for all, s",
            "≤ 3",
        )],
        heal,
    ),
    Experiment::new(
        100,
        &[
            row(
                "suspect-10",
                "10 % loss, N = 100: false suspicions / 1000 member h",
                "",
            ),
            row(
                "bury-10",
                "10 % loss, N = 100: false deaths / 1000 member h",
                "0",
            ),
        ],
        |group| lossy(group, 0.1),
    ),
    Experiment::new(
        100,
        &[
            row(
                "suspect-30",
                "30 % loss, N = 100: false suspicions / 1000 member h",
                "",
            ),
            row(
                "bury-30",
                "30 % loss, N = 100: false deaths / 1000 member h",
                "0",
            ),
        ],
        |group| lossy(group, 0.3),
    ),
    Experiment::new(
        128,
        &[
            row(
                "paused",
                "16 of 128 paused for up to 16 s, again and again, 10 min: how often another took a third for dead",
                "0",
            ),
            row(
                "accused",
                "the same: how often anybody accused one who was never paused",
                "",
            ),
        ],
        |group| paused(group, seconds(16)),
    ),
    Experiment::new(
        128,
        &[
            row(
                "paused-briefly",
                "16 of 128 paused for up to 2 s, again and again, 10 min: how often another took a third for dead",
                "0",
            ),
            row(
                "accused-briefly",
                "the same: how often anybody accused one who was never paused",
                "",
            ),
        ],
        |group| paused(group, seconds(2)),
    ),
    Experiment::new(
        40,
        &[row(
            "deaf",
            "one of 40 hears nobody, 10 min: how often another took a third for suspect",
            "≤ 39",
        )],
        deaf,
    ),
    Experiment::new(
        40,
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

fn in_seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

fn power_off(group: &Group) -> Vec<Option<f64>> {
    let found = group.world().try_deaths(&group.some(1), LIMIT);
    vec![
        in_seconds(found.suspected),
        in_seconds(found.dead_everywhere),
    ]
}

fn news(group: &Group) -> Vec<Option<f64>> {
    let times = group.world().try_news(group.some(1)[0], LIMIT);
    let count = (f64::from(group.members - 1) * 0.99).ceil() as usize;
    vec![in_seconds(times.get(count - 1).copied())]
}

fn bytes(group: &Group) -> Vec<Option<f64>> {
    let lasting = seconds(50_000 / u64::from(group.members)).max(seconds(5));
    vec![Some(group.world().try_calm(lasting).bytes)]
}

fn join(group: &Group) -> Vec<Option<f64>> {
    let mut world = group.strangers();
    let joined = world.try_join(LIMIT);
    let settled = joined.map(|_| world.try_calm(seconds(30)).bytes);
    vec![in_seconds(joined), settled]
}

fn heal(group: &Group) -> Vec<Option<f64>> {
    vec![in_seconds(group.world().try_split(seconds(60), LIMIT))]
}

/// 1000 member-hours of loss; whoever lacks something does not need as many to show what it does.
fn lossy(group: &Group, loss: f64) -> Vec<Option<f64>> {
    let mut world = group.world();
    world.network.weather = lan(loss);
    let hours = match group.config.mechanisms {
        Mechanisms::ALL if group.legacy_share == 0.0 => 1000.0,
        _lacking => 20.0,
    };
    let lasting = Duration::from_secs_f64(hours * 3600.0 / f64::from(group.members));
    let calm = world.try_calm(lasting);
    let per_1000_hours = |count: usize| Some(count as f64 * 1000.0 / calm.member_hours);
    vec![
        per_1000_hours(calm.false_suspicions),
        per_1000_hours(calm.false_deaths),
    ]
}

/// Who takes whom for dead, or for suspect, though both are well.
struct Errors {
    well: Vec<Id>,
    of: Status,
    now: BTreeSet<(Id, Id)>,
    count: usize,
}

impl Errors {
    fn among(well: Vec<Id>, of: Status) -> Self {
        let now = BTreeSet::new();
        let count = 0;
        Self {
            well,
            of,
            now,
            count,
        }
    }

    fn look(&mut self, world: &World) {
        let wrong = |(one, other)| world.status(one, other).is_some_and(|held| held >= self.of);
        let pairs = self.well.iter();
        let pairs = pairs.flat_map(|one| self.well.iter().map(|other| (*one, *other)));
        let now: BTreeSet<(Id, Id)> = pairs.filter(|pair| wrong(*pair)).collect();
        self.count += now.difference(&self.now).count();
        self.now = now;
    }
}

/// How often one of those who are never paused took another of them for dead; and how often one of them
/// was suspected, by whomever.
fn paused(group: &Group, longest: Duration) -> Vec<Option<f64>> {
    let mut world = group.world();
    let ill = group.some(16);
    let well = world.ids().filter(|id| !ill.contains(id)).collect();
    let mut errors = Errors::among(well, Status::Dead);
    let calm = world.try_pauses(&ill, longest, seconds(600), |world| errors.look(world));
    vec![
        Some(errors.count as f64),
        Some(calm.false_suspicions as f64),
    ]
}

/// How often one of those who hear took another of them for suspect.
fn deaf(group: &Group) -> Vec<Option<f64>> {
    let mut world = group.world();
    let deaf = group.some(1)[0];
    let well: Vec<Id> = world.ids().filter(|id| *id != deaf).collect();
    let cut = |id: &Id| world.network.cut(*id, deaf);
    well.iter().for_each(cut);
    let mut errors = Errors::among(well, Status::Suspect);
    let start = world.now();
    while world.now().since(start) < seconds(600) {
        world.run(Duration::from_millis(20));
        errors.look(&world);
    }
    vec![Some(errors.count as f64)]
}

/// Half of the group stands still for ten seconds, one after the other within a second.
fn half_paused(group: &Group) -> Vec<Option<f64>> {
    let mut world = group.world();
    let half = group.some(group.members as usize / 2);
    world.observer.reset([]);
    for id in &half {
        world.pause(*id, seconds(10));
        world.run(seconds(1) / group.members * 2);
    }
    world.run(seconds(10));
    let back = world.try_reunion(LIMIT);
    world.run(seconds(20));
    let errors = world.observer.false_suspicions.len() + world.observer.false_deaths.len();
    vec![Some(errors as f64), in_seconds(back)]
}
