//! What is measured.

use std::collections::BTreeSet;
use std::time::Duration;

use membership::sim::experiment::Group;
use membership::sim::{Id, Weather, World};
use membership::swim::claim::Status;
use membership::swim::config::Config;
use membership::swim::mechanisms::Mechanisms;

use crate::Column;

/// Something that users notice.
pub struct Row {
    /// By which it is chosen.
    pub key: &'static str,
    /// What it is, and in which unit.
    pub name: &'static str,
    /// What is to be reached.
    pub goal: &'static str,
    /// How many members there are.
    pub members: u32,
    /// Whether it takes too long with the Lua rock, which works through its whole table for each
    /// datagram.
    ours_only: bool,
    /// How it is measured.
    experiment: fn(&Group) -> Option<f64>,
}

/// For how long anything is waited for.
const LIMIT: Duration = Duration::from_secs(180);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Row {
    const fn new(
        (key, name): (&'static str, &'static str),
        goal: &'static str,
        members: u32,
        experiment: fn(&Group) -> Option<f64>,
    ) -> Self {
        let ours_only = members > 1000;
        Self {
            key,
            name,
            goal,
            members,
            ours_only,
            experiment,
        }
    }

    /// Whether it is measured for this column.
    pub fn applies(&self, column: &Column) -> bool {
        column.old_share == 0.0 || !self.ours_only
    }

    /// Measures it in one group; nothing if what is waited for does not happen.
    pub fn measure(&self, column: &Column, seed: u64) -> Option<f64> {
        let config = Config {
            mechanisms: column.mechanisms,
            ..Config::default()
        };
        (self.experiment)(&Group {
            members: self.members,
            old_share: column.old_share,
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

/// All rows.
pub const ROWS: &[Row] = &[
    Row::new(
        ("detect-10", "power off → first suspicion, N = 10, s"),
        "equal",
        10,
        first_suspicion,
    ),
    Row::new(
        ("detect-100", "the same, N = 100, s"),
        "equal",
        100,
        first_suspicion,
    ),
    Row::new(
        ("detect-1000", "the same, N = 1000, s"),
        "equal",
        1000,
        first_suspicion,
    ),
    Row::new(
        ("detect-10000", "the same, N = 10,000, s"),
        "equal",
        10_000,
        first_suspicion,
    ),
    Row::new(
        ("dead-10", "power off → dead at all, N = 10, s"),
        "equal",
        10,
        dead_everywhere,
    ),
    Row::new(
        ("dead-100", "the same, N = 100, s"),
        "equal",
        100,
        dead_everywhere,
    ),
    Row::new(
        ("dead-1000", "the same, N = 1000, s"),
        "equal",
        1000,
        dead_everywhere,
    ),
    Row::new(
        ("dead-10000", "the same, N = 10,000, s"),
        "equal",
        10_000,
        dead_everywhere,
    ),
    Row::new(
        ("news-100", "payload → known to 99 %, N = 100, s"),
        "≤ 1",
        100,
        news,
    ),
    Row::new(("news-1000", "the same, N = 1000, s"), "≤ 1", 1000, news),
    Row::new(
        ("news-10000", "the same, N = 10,000, s"),
        "≤ 1",
        10_000,
        news,
    ),
    Row::new(
        ("bytes-10", "idle, N = 10, bytes / member s"),
        "",
        10,
        bytes,
    ),
    Row::new(
        ("bytes-1000", "the same, N = 1000"),
        "≤ 1.5 × N = 10",
        1000,
        bytes,
    ),
    Row::new(
        ("bytes-10000", "the same, N = 10,000"),
        "≤ 1.5 × N = 10",
        10_000,
        bytes,
    ),
    Row::new(
        (
            "join-1000",
            "1000 join through one at once: all know all, s",
        ),
        "≤ 5",
        1000,
        join,
    ),
    Row::new(
        ("settle-1000", "the 30 s after, bytes / member s"),
        "idle",
        1000,
        settle,
    ),
    Row::new(
        ("heal-100", "halves parted for 60 s: all alive for all, s"),
        "≤ 3",
        100,
        heal,
    ),
    Row::new(
        (
            "suspect-10",
            "10 % loss, N = 100: false suspicions / 1000 member h",
        ),
        "",
        100,
        |group| wronged(group, 0.1),
    ),
    Row::new(
        ("bury-10", "10 % loss: false deaths / 1000 member h"),
        "0",
        100,
        |group| buried(group, 0.1),
    ),
    Row::new(
        ("suspect-30", "30 % loss: false suspicions / 1000 member h"),
        "",
        100,
        |group| wronged(group, 0.3),
    ),
    Row::new(
        ("bury-30", "30 % loss: false deaths / 1000 member h"),
        "0",
        100,
        |group| buried(group, 0.3),
    ),
    Row::new(
        (
            "paused",
            "16 of 128 paused for up to 16 s, again and again, 10 min: how often another took a third for dead",
        ),
        "0",
        128,
        |group| paused(group, seconds(16)),
    ),
    Row::new(
        ("paused-briefly", "the same, for up to 2 s"),
        "0",
        128,
        |group| paused(group, seconds(2)),
    ),
    Row::new(
        (
            "accused",
            "the same: how often anybody accused one who was never paused",
        ),
        "",
        128,
        accused,
    ),
    Row::new(
        (
            "deaf",
            "one of 40 hears nobody, 10 min: how often another took a third for suspect",
        ),
        "≤ 39",
        40,
        deaf,
    ),
    Row::new(
        (
            "half",
            "half of 40 paused for 10 s, within a second: false suspicions and deaths",
        ),
        "0",
        40,
        half_paused,
    ),
    Row::new(
        ("half-back", "the same: all alive for all, s"),
        "≤ 0.3",
        40,
        half_back,
    ),
];

fn detection(group: &Group) -> membership::sim::experiment::Detection {
    group.world().try_deaths(&group.some(1), LIMIT)
}

fn first_suspicion(group: &Group) -> Option<f64> {
    detection(group).suspected.map(|time| time.as_secs_f64())
}

fn dead_everywhere(group: &Group) -> Option<f64> {
    detection(group)
        .dead_everywhere
        .map(|time| time.as_secs_f64())
}

fn news(group: &Group) -> Option<f64> {
    let times = group.world().try_news(group.some(1)[0], LIMIT);
    let count = (f64::from(group.members - 1) * 0.99).ceil() as usize;
    times.get(count - 1).map(Duration::as_secs_f64)
}

fn bytes(group: &Group) -> Option<f64> {
    let lasting = seconds(50_000 / u64::from(group.members)).max(seconds(5));
    Some(group.world().try_calm(lasting).bytes)
}

fn join(group: &Group) -> Option<f64> {
    group
        .strangers()
        .try_join(LIMIT)
        .map(|time| time.as_secs_f64())
}

fn settle(group: &Group) -> Option<f64> {
    let mut world = group.strangers();
    world.try_join(LIMIT)?;
    Some(world.try_calm(seconds(30)).bytes)
}

fn heal(group: &Group) -> Option<f64> {
    let healed = group.world().try_split(seconds(60), LIMIT);
    healed.map(|time| time.as_secs_f64())
}

/// 1000 member-hours of loss; whoever lacks something does not need as many to show what it does.
fn lossy(group: &Group, loss: f64) -> membership::sim::experiment::Calm {
    let mut world = group.world();
    world.network.weather = lan(loss);
    let hours = match group.config.mechanisms {
        Mechanisms::ALL if group.old_share == 0.0 => 1000.0,
        _lacking => 20.0,
    };
    world.try_calm(Duration::from_secs_f64(
        hours * 3600.0 / f64::from(group.members),
    ))
}

fn wronged(group: &Group, loss: f64) -> Option<f64> {
    let calm = lossy(group, loss);
    Some(calm.wronged as f64 * 1000.0 / calm.member_hours)
}

fn buried(group: &Group, loss: f64) -> Option<f64> {
    let calm = lossy(group, loss);
    Some(calm.buried as f64 * 1000.0 / calm.member_hours)
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

/// How often one of those who are never paused took another of them for dead.
fn paused(group: &Group, longest: Duration) -> Option<f64> {
    let mut world = group.world();
    let ill = group.some(16);
    let well = world.ids().filter(|id| !ill.contains(id)).collect();
    let mut errors = Errors::among(well, Status::Dead);
    world.try_pauses(&ill, longest, seconds(600), |world| errors.look(world));
    Some(errors.count as f64)
}

/// How often one who is never paused was suspected, by whomever.
fn accused(group: &Group) -> Option<f64> {
    let ill = group.some(16);
    let calm = group
        .world()
        .try_pauses(&ill, seconds(2), seconds(600), |_world| {});
    Some(calm.wronged as f64)
}

/// How often one of those who hear took another of them for suspect.
fn deaf(group: &Group) -> Option<f64> {
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
    Some(errors.count as f64)
}

/// Half of the group stands still for ten seconds, one after the other within a second.
fn pause_half(group: &Group) -> World {
    let mut world = group.world();
    let half = group.some(group.members as usize / 2);
    world.onlooker.count_anew([]);
    for id in &half {
        world.pause(*id, seconds(10));
        world.run(seconds(1) / group.members * 2);
    }
    world.run(seconds(10));
    world
}

fn half_paused(group: &Group) -> Option<f64> {
    let mut world = pause_half(group);
    world.run(seconds(20));
    Some((world.onlooker.wronged.len() + world.onlooker.buried.len()) as f64)
}

fn half_back(group: &Group) -> Option<f64> {
    pause_half(group)
        .try_reunion(LIMIT)
        .map(|time| time.as_secs_f64())
}
