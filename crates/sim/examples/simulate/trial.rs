//! Runs one group, and measures.

use std::time::Duration;

use serde_json::json;
use sim::experiment::{Calm, Detection, Group};

/// A group to run, and what to do with it.
pub struct Plan {
    /// The group.
    pub group: Group,
    /// How long nothing happens.
    pub lasting: Duration,
    /// How long members are paused meanwhile; zero is not at all.
    pub pause: Duration,
    /// How many members lose power at the end.
    pub kill: usize,
}

/// What was measured.
pub struct Trial {
    /// The group.
    pub group: Group,
    /// While nothing happened.
    pub calm: Calm,
    /// When each of the others learnt a payload.
    pub news: Vec<Duration>,
    /// When the members that lost power were detected.
    pub detection: Detection,
}

/// How long to wait for news and deaths at most.
const LIMIT: Duration = Duration::from_secs(180);

impl Plan {
    /// Runs it.
    pub fn run(&self) -> Trial {
        let mut world = self.group.world();
        let calm = if self.pause.is_zero() {
            world.try_calm(self.lasting)
        } else {
            let some = self.group.some((self.group.members as usize / 10).max(1));
            let mut calm = world.try_calm(self.lasting / 10);
            let paused = world.try_pauses(&some, self.pause, self.lasting, |_world| {});
            (calm.member_hours, calm.false_suspicions, calm.false_deaths) = (
                paused.member_hours,
                paused.false_suspicions,
                paused.false_deaths,
            );
            world.run(2 * self.pause + Duration::from_secs(10));
            calm
        };
        let some = self.group.some(self.kill + 1);
        let news = world.try_news(some[0], LIMIT);
        world.run(Duration::from_secs(1));
        let detection = world.try_deaths(&some[1..], LIMIT);
        Trial {
            group: self.group.clone(),
            calm,
            news,
            detection,
        }
    }
}

impl Trial {
    /// The key by which trials are sorted.
    pub fn order(&self) -> (u32, f64, u64) {
        (self.group.members, self.group.legacy_share, self.group.seed)
    }

    /// When this share of the others knew the payload, in seconds.
    pub fn news_at(&self, share: f64) -> Option<f64> {
        let others = self.group.members as usize - 1;
        let count = (others as f64 * share).ceil() as usize;
        self.news.get(count.max(1) - 1).map(Duration::as_secs_f64)
    }

    /// How often a member was falsely suspected in an hour.
    pub fn false_suspicions_per_hour(&self) -> f64 {
        self.calm.false_suspicions as f64 / self.calm.member_hours
    }

    /// How often a member was falsely declared dead in an hour.
    pub fn false_deaths_per_hour(&self) -> f64 {
        self.calm.false_deaths as f64 / self.calm.member_hours
    }

    /// All figures as JSON.
    pub fn json(&self) -> serde_json::Value {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        json!({
            "members": self.group.members,
            "legacy_share": self.group.legacy_share,
            "seed": self.group.seed,
            "loss": self.group.weather.loss,
            "news_50_s": self.news_at(0.5),
            "news_99_s": self.news_at(0.99),
            "news_100_s": self.news_at(1.0),
            "first_suspicion_s": seconds(self.detection.suspected),
            "first_dead_s": seconds(self.detection.dead),
            "dead_for_all_s": seconds(self.detection.dead_everywhere),
            "member_hours": self.calm.member_hours,
            "false_suspicions_per_member_hour": self.false_suspicions_per_hour(),
            "false_deaths_per_member_hour": self.false_deaths_per_hour(),
            "datagrams_per_member_s": self.calm.datagrams,
            "bytes_per_member_s": self.calm.bytes,
        })
    }
}
