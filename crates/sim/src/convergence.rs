//! Whether all members agree, and how long that may take.

use core::time::Duration;

use indexmap::IndexSet;

use crate::engine::{Engine, Implementation};
use crate::host::Id;
use crate::world::World;
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Status};
use swim::table::payload::Payload;

/// How often [`World::settle`] compares all tables, which takes time.
const CHECK_PERIOD: Duration = Duration::from_millis(100);

/// How often members that have lost one another are introduced again. Once is enough, unless one of them
/// forgets the other at the same time.
const REINTRODUCTIONS_MAX: u32 = 2;

impl World {
    /// Describes a member whose view is wrong or differs from that of the others. `None` if all tables
    /// are equal and right.
    ///
    /// In a group with membership 2.x the views need only be right about which members are present: on
    /// the incarnation and payload of a member that has restarted, 2.x may disagree for ever.
    pub fn disagreement(&self) -> Option<String> {
        let participants: Vec<Id> = self.participants().collect();
        let strict = !self.is_mixed();
        let first = *participants.first()?;
        // Members forget those that are gone at different times, and newcomers never learn of them.
        let reaps = !self.config.reap_timeout.is_zero();
        let is_live = |view: Option<(Claim, u64)>| match view {
            Some((claim, _)) => claim.status.is_live(),
            None => false,
        };
        let differs = |one: Option<(Claim, u64)>, other| {
            one != other && (!reaps || is_live(one) || is_live(other))
        };
        for subject in self.subjects() {
            let is_present = participants.iter().any(|id| self.host(*id).uri == subject);
            for &observer in &participants {
                let view = self.held(observer, &subject);
                let wrong = match view {
                    None if is_present || !reaps => Some("is not known to"),
                    Some((claim, _)) if is_present && claim.status != Status::Alive => {
                        Some("takes part, but not as seen by")
                    }
                    Some((claim, _)) if !is_present && claim.status.is_live() => {
                        Some("is gone, but not as seen by")
                    }
                    view if strict && differs(view, self.held(first, &subject)) => {
                        Some("looks different to others than to")
                    }
                    _ => None,
                };
                if let Some(wrong) = wrong {
                    let mut views = Vec::new();
                    for &id in &participants {
                        views.push((id, self.held(id, &subject)));
                    }
                    return Some(format!("{subject} {wrong} {observer}: {views:?}"));
                }
            }
        }
        None
    }

    /// Whether membership 2.x takes part.
    fn is_mixed(&self) -> bool {
        self.participants()
            .any(|id| self.host(id).implementation == Implementation::Legacy)
    }

    /// What `observer` holds of `subject`: the claim, and the hash of the payload.
    // If the present payload is not known, an old one may be shown, which does not count.
    fn held(&self, observer: Id, subject: &Uri) -> Option<(Claim, u64)> {
        let (claim, payload) = self.engine(observer)?.view(subject)?;
        // Users cannot tell a payload that is not known from an empty one.
        let hash = match payload {
            Some(payload) => payload.semantic_hash(),
            None => Payload::empty().semantic_hash(),
        };
        Some((claim, hash))
    }

    /// Every URI that is known to any member.
    fn subjects(&self) -> IndexSet<Uri> {
        let mut subjects = IndexSet::new();
        for id in self.participants() {
            if let Some(engine) = self.engine(id) {
                subjects.extend(engine.known().into_iter().cloned());
            }
        }
        subjects
    }

    /// Lets time pass until all members agree. A member that has left and come back is probed by no
    /// other; if all members that it knows are gone, it is introduced again.
    ///
    /// # Panics
    ///
    /// If they do not agree within [`World::settling_time`], nor after two such introductions.
    pub fn settle(&mut self) {
        let mut end = self.now() + self.settling_time();
        let mut reintroductions = 0;
        while let Some(disagreement) = self.disagreement() {
            if self.now() >= end {
                let again = reintroductions < REINTRODUCTIONS_MAX && self.reintroduce();
                assert!(again, "not settled: {disagreement}");
                reintroductions += 1;
                end = self.now() + self.settling_time();
            }
            self.run(CHECK_PERIOD);
        }
        self.became("all agree");
    }

    /// Introduces the members that have no link to the first one, neither directly nor through others.
    /// Returns whether there were any.
    fn reintroduce(&mut self) -> bool {
        let participants: Vec<Id> = self.participants().collect();
        let mut united: IndexSet<Id> = participants.first().copied().into_iter().collect();
        let mut lost = participants.clone();
        loop {
            lost.retain(|id| !united.contains(id));
            let linked = |id: &&Id| {
                let link =
                    |one: &Id| self.keeps_probing(*one, **id) || self.keeps_probing(**id, *one);
                united.iter().any(link)
            };
            let Some(next) = lost.iter().find(linked).copied() else {
                break;
            };
            united.insert(next);
        }
        for stranger in &lost {
            self.introduce(*stranger, united[0]);
            self.introduce(united[0], *stranger);
        }
        !lost.is_empty()
    }

    /// Whether `id` probes `other` and will go on doing so, since no member can tell it that `other` has
    /// left.
    fn keeps_probing(&self, id: Id, other: Id) -> bool {
        let left = |id| self.status(id, other) == Some(Status::Left);
        self.status(id, other).is_some() && !self.participants().any(left)
    }

    /// Lets some more time pass, in which no table may change. In a group with membership 2.x, members may
    /// still learn of a payload.
    ///
    /// # Panics
    ///
    /// If a table changes, although all agree.
    pub fn expect_quiet(&mut self) {
        let news = |world: &Self| -> Vec<u64> {
            let mut news = Vec::new();
            for id in world.participants() {
                if let Some(swim) = world.engine(id).and_then(Engine::swim) {
                    news.push(swim.news());
                }
            }
            news
        };
        let before = news(self);
        let known = u32::try_from(self.subjects().len()).expect("few members");
        self.run(self.config.protocol_period * 2 * known);
        let quiet = self.is_mixed() || news(self) == before;
        assert!(
            quiet,
            "there is news, although all agreed: {before:?}, {:?}",
            news(self)
        );
    }

    /// How long it may take, once no more datagrams are lost, until all members agree.
    ///
    /// With M URIs known, protocol period T, suspicion timeout S and anti-entropy period E:
    ///
    /// - A member that is present but held dead by another is probed by it within 2M − 1 periods, and
    ///   refutes. A member that is gone but held alive is probed as soon, suspected a period later, and
    ///   dead after S. So after (2M + 1)·T + S every member is right about all that it knows.
    /// - What a member does not know, or knows less of than others (a payload, left rather than dead), it
    ///   learns by anti-entropy. Two members that compare their tables agree afterwards, each begins one
    ///   comparison in E + T, and so the number of those that know doubles each time: log2 M times are
    ///   mostly enough. Twice that and eight more are never used up (with M = 12, in less than one of
    ///   10^9 worlds).
    pub fn settling_time(&self) -> Duration {
        let config = &self.config;
        let known = u32::try_from(self.subjects().len().max(2)).expect("few members");
        let period = config.protocol_period.max(config.ack_timeout);
        let probing = period * (2 * known + 1) + config.suspect_timeout;
        let comparing = (config.anti_entropy_period + period) * (2 * known.ilog2() + 2 + 8);
        // membership 2.x compares only a part of its table, and at times with itself.
        (probing + comparing) * if self.is_mixed() { 3 } else { 1 }
    }
}
