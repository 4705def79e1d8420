//! Whether all agree, and by when they must.

use core::time::Duration;

use indexmap::IndexSet;

use crate::engine::Implementation;
use crate::host::Id;
use crate::world::World;
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Status};
use swim::table::payload::Payload;

/// How often [`World::settle`] looks: comparing all tables takes time.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// How often those who have lost one another are introduced anew. Once is enough, unless one of them
/// forgets whom it is told of.
const REUNIONS_MAX: u32 = 2;

impl World {
    /// In what somebody who takes part is wrong, or has another view than the others; `None` when
    /// all tables say the same, and say it of everybody.
    ///
    /// Where the Lua rock takes part it is enough that nobody is wrong about who is there: of the
    /// incarnation and payload of one who restarted, its members may disagree for ever.
    pub fn disagreement(&self) -> Option<String> {
        let participants: Vec<Id> = self.participants().collect();
        let strict = !self.is_mixed();
        let first = *participants.first()?;
        // Not all forget those who are gone at the same time, and who comes later never hears of them.
        let reaps = !self.config.reap_timeout.is_zero();
        let live = |view: Option<(Claim, u64)>| view.filter(|(claim, _)| claim.status.is_live());
        let differs = |one: Option<(Claim, u64)>, other| {
            one != other && !(reaps && live(one).is_none() && live(other).is_none())
        };
        for subject in self.subjects() {
            let place = participants
                .iter()
                .find(|id| self.host(**id).uri == subject);
            for &observer in &participants {
                let view = self.held(observer, &subject);
                let wrong = match (view, place) {
                    (None, place) if place.is_some() || !reaps => Some("is not known to"),
                    (Some((claim, _)), Some(_)) if claim.status != Status::Alive => {
                        Some("takes part, but not as seen by")
                    }
                    (Some((claim, _)), None) if claim.status.is_live() => {
                        Some("is gone, but not as seen by")
                    }
                    (view, _) if strict && differs(view, self.held(first, &subject)) => {
                        Some("looks different to others than to")
                    }
                    _ => None,
                };
                if let Some(wrong) = wrong {
                    let views = participants
                        .iter()
                        .map(|id| (*id, self.held(*id, &subject)));
                    let views: Vec<_> = views.collect();
                    return Some(format!("{subject} {wrong} {observer}: {views:?}"));
                }
            }
        }
        None
    }

    /// Whether the Lua rock takes part.
    fn is_mixed(&self) -> bool {
        let old = |id: Id| self.host(id).kind == Implementation::Legacy;
        self.participants().any(old)
    }

    /// What `observer` holds of `subject`: the claim, and what the payload means.
    // Where the present payload is not known, an old one may be shown: there is nothing to agree on.
    fn held(&self, observer: Id, subject: &Uri) -> Option<(Claim, u64)> {
        let (claim, payload) = self.engine(observer)?.view(subject)?;
        // Users cannot tell a payload that is unknown from an empty one.
        let meaning =
            payload.map_or_else(|| Payload::empty().semantic_hash(), Payload::semantic_hash);
        Some((claim, meaning))
    }

    /// Everybody of whom anybody has heard.
    fn subjects(&self) -> IndexSet<Uri> {
        self.participants()
            .filter_map(|id| self.engine(id))
            .flat_map(|engine| engine.known().into_iter().cloned())
            .collect()
    }

    /// Lets time pass until all agree. Who has left and come back is looked for by nobody; should
    /// nobody whom it knows be there any more, it is introduced once more.
    ///
    /// # Panics
    ///
    /// When they do not agree within [`World::settling_time`], nor after two such
    /// introductions.
    pub fn settle(&mut self) {
        let mut end = self.now() + self.settling_time();
        let mut reunions = 0;
        while let Some(disagreement) = self.disagreement() {
            if self.now() >= end {
                let again = reunions < REUNIONS_MAX && self.reunite();
                assert!(again, "not settled: {disagreement}");
                reunions += 1;
                end = self.now() + self.settling_time();
            }
            self.run(LOOK_PERIOD);
        }
        self.became("all agree");
    }

    /// Introduces those to the others of whom nobody knows who knows any of the others, and says
    /// whether there were any.
    fn reunite(&mut self) -> bool {
        let participants: Vec<Id> = self.participants().collect();
        let mut united: IndexSet<Id> = participants.first().copied().into_iter().collect();
        let mut lost = participants.clone();
        loop {
            lost.retain(|id| !united.contains(id));
            let linked = |id: &&Id| {
                let link = |one: &Id| self.looks_for(*one, **id) || self.looks_for(**id, *one);
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

    /// Whether `id` knows `other` for one to be probed, and will go on doing so: nobody can tell it
    /// that it has left.
    fn looks_for(&self, id: Id, other: Id) -> bool {
        let left = |id| self.status(id, other) == Some(Status::Left);
        self.status(id, other).is_some() && !self.participants().any(left)
    }

    /// Lets some more time pass, in which nothing is to happen but pings and answers; where the Lua
    /// rock takes part, some may still learn of a payload.
    ///
    /// # Panics
    ///
    /// When anybody learns anything, although all agree.
    pub fn expect_quiet(&mut self) {
        let news = |world: &Self| -> Vec<u64> {
            let swims = world
                .participants()
                .filter_map(|id| world.engine(id)?.swim());
            swims.map(|swim| swim.news()).collect()
        };
        let before = news(self);
        let known = u32::try_from(self.subjects().len()).expect("few members");
        self.run(self.config.protocol_period * 2 * known);
        let quiet = self.is_mixed() || news(self) == before;
        assert!(
            quiet,
            "there is news, though all agreed: {before:?}, {:?}",
            news(self)
        );
    }

    /// How long it may take, once no more datagrams are lost, until all agree.
    ///
    /// With M URIs known, protocol period T, suspicion timeout S and anti-entropy period E:
    ///
    /// - Whoever takes part but is called dead by somebody is probed by him within 2M − 1 periods,
    ///   and refutes. Whoever is gone but called alive is probed as soon, found out a period later,
    ///   and dead after S. So after (2M + 1)·T + S nobody is wrong about anybody he knows.
    /// - Of whom somebody does not know, or knows less than others (left rather than dead, a payload),
    ///   he learns by anti-entropy. Two who compare their tables agree afterwards, everybody begins
    ///   one comparison in E + T, and so those who know double in number each time: log2 M times
    ///   will do for the most part. Twice that and eight more is never used up (in M = 12 it would
    ///   take less than one in 10^9 worlds).
    pub fn settling_time(&self) -> Duration {
        let config = &self.config;
        let known = u32::try_from(self.subjects().len().max(2)).expect("few members");
        let period = config.protocol_period.max(config.ack_timeout);
        let probing = period * (2 * known + 1) + config.suspect_timeout;
        let comparing = (config.anti_entropy_period + period) * (2 * known.ilog2() + 2 + 8);
        // The rock compares a part of its table only, now and then with itself.
        (probing + comparing) * if self.is_mixed() { 3 } else { 1 }
    }
}
