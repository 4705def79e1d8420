//! What each experiment does with a group, and what it measures.

use std::collections::BTreeSet;
use std::time::Duration;

use sim::experiment::Group;
use sim::{Id, Weather, World};
use swim::mechanisms::Mechanisms;
use swim::table::claim::Status;

/// How long to wait for an event at most.
pub const LIMIT: Duration = Duration::from_secs(180);

pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A network on which a datagram takes a millisecond on average.
pub fn lan(loss: f64) -> Weather {
    Weather {
        latency: Duration::from_micros(500),
        jitter: Duration::from_millis(1),
        loss,
        ..Weather::default()
    }
}

fn in_seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

pub fn power_off(group: &Group) -> Vec<Option<f64>> {
    let found = group.world().try_deaths(&group.some(1), LIMIT);
    vec![
        in_seconds(found.suspected),
        in_seconds(found.dead_everywhere),
    ]
}

pub fn news(group: &Group) -> Vec<Option<f64>> {
    let mut world = group.world();
    let lasting = seconds(2);
    world.observer.reset([]);
    let start = world.now();
    let times = world.try_news(group.some(1)[0], LIMIT);
    world.run(lasting.saturating_sub(world.now().since(start)));
    let sent = world.observer.bytes as f64 / f64::from(group.members);
    let took = world.now().since(start).as_secs_f64();
    let idle = world.try_calm(lasting).bytes;
    let count = (f64::from(group.members - 1) * 0.99).ceil() as usize;
    vec![
        in_seconds(times.get(count - 1).copied()),
        Some(sent - took * idle),
    ]
}

pub fn bytes(group: &Group) -> Vec<Option<f64>> {
    let lasting = seconds(50_000 / u64::from(group.members)).max(seconds(5));
    vec![Some(group.world().try_calm(lasting).bytes)]
}

pub fn join(group: &Group) -> Vec<Option<f64>> {
    let mut world = group.strangers();
    world.observer.reset([]);
    let Some(joined) = world.try_join(LIMIT) else {
        return vec![None; 3];
    };
    world.run(seconds(5));
    let sent = world.observer.bytes as f64 / f64::from(group.members) / 1000.0;
    let settled = world.try_calm(seconds(30)).bytes;
    vec![Some(joined.as_secs_f64()), Some(sent), Some(settled)]
}

pub fn heal(group: &Group) -> Vec<Option<f64>> {
    vec![in_seconds(group.world().try_split(seconds(60), LIMIT))]
}

/// 1000 member-hours of loss. Without a mechanism, or with another protocol, fewer show the difference.
pub fn lossy(group: &Group, loss: f64) -> Vec<Option<f64>> {
    let mut world = group.world();
    world.network.weather = lan(loss);
    let hours = match group.config.mechanisms {
        Mechanisms::ALL if group.is_native() => 1000.0,
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

/// Counts how often one undisturbed member holds another dead, or suspect.
struct Errors {
    undisturbed: Vec<Id>,
    status: Status,
    now: BTreeSet<(Id, Id)>,
    count: usize,
}

impl Errors {
    fn among(undisturbed: Vec<Id>, status: Status) -> Self {
        let now = BTreeSet::new();
        let count = 0;
        Self {
            undisturbed,
            status,
            now,
            count,
        }
    }

    fn look(&mut self, world: &World) {
        let mut now = BTreeSet::new();
        for &observer in &self.undisturbed {
            for &subject in &self.undisturbed {
                if let Some(held) = world.status(observer, subject)
                    && held >= self.status
                {
                    now.insert((observer, subject));
                }
            }
        }
        self.count += now.difference(&self.now).count();
        self.now = now;
    }
}

/// Pauses 16 members again and again. Returns how often one of the others held another of them dead, and
/// how often one of them was suspected by any member.
pub fn paused(group: &Group, longest: Duration) -> Vec<Option<f64>> {
    let mut world = group.world();
    let disturbed = group.some(16);
    let others = world.ids().filter(|id| !disturbed.contains(id)).collect();
    let mut errors = Errors::among(others, Status::Dead);
    let calm = world.try_pauses(&disturbed, longest, seconds(600), |world| {
        errors.look(world)
    });
    vec![
        Some(errors.count as f64),
        Some(calm.false_suspicions as f64),
    ]
}

/// One member receives nothing. Returns how often one of the others held another of them suspect.
pub fn isolated(group: &Group) -> Vec<Option<f64>> {
    let mut world = group.world();
    let isolated = group.some(1)[0];
    let others: Vec<Id> = world.ids().filter(|id| *id != isolated).collect();
    for &id in &others {
        world.network.cut(id, isolated);
    }
    let mut errors = Errors::among(others, Status::Suspect);
    let start = world.now();
    while world.now().since(start) < seconds(600) {
        world.run(Duration::from_millis(20));
        errors.look(&world);
    }
    vec![Some(errors.count as f64)]
}

/// Pauses half of the group for ten seconds, one member after the other within a second.
pub fn half_paused(group: &Group) -> Vec<Option<f64>> {
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
