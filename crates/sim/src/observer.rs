//! Somebody who sees all that happens, and keeps count: what experiments measure.

use indexmap::IndexSet;

use crate::engine::Engine;
use crate::host::Id;
use swim::identity::uri::Uri;
use swim::log_event::LogEvent;
use swim::table::claim::{Claim, Incarnation, Status};
use swim::table::payload::Payload;
use swim::time::Micros;

/// What was seen.
#[derive(Default)]
pub struct Observer {
    /// Whoever is talked of.
    subject: Option<Uri>,
    /// What everybody last held of the subject.
    held: Vec<Option<(Claim, u64)>>,
    /// Who learnt what of the subject, and when.
    pub sightings: Vec<Sighting>,
    /// How many datagrams were sent, by anybody.
    pub datagrams: u64,
    /// How many bytes there were in them, headers of IP and UDP not counted.
    pub bytes: u64,
    /// Who was suspected, at which incarnation, though nothing was wrong with him.
    pub wronged: IndexSet<(Uri, Incarnation)>,
    /// Who was called dead, at which incarnation, though nothing was wrong with him, nor with whoever
    /// did.
    pub buried: IndexSet<(Uri, Incarnation)>,
    /// With whom something is wrong by intention.
    ill: IndexSet<Uri>,
}

/// Somebody has learnt something of the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When.
    pub at: Micros,
    /// Who.
    pub by: Id,
    /// What is said.
    pub claim: Claim,
    /// What the payload means that he shows.
    pub payload: u64,
}

impl Observer {
    /// Begins to watch what is held of `subject`, by whoever learns something new.
    pub fn watch(&mut self, subject: Uri) {
        self.subject = Some(subject);
        self.held.clear();
        self.sightings.clear();
    }

    /// Forgets what was counted. What is said of those who are `ill`, and what they say of deaths,
    /// does not count from now on.
    pub fn count_anew(&mut self, ill: impl IntoIterator<Item = Uri>) {
        let subject = self.subject.take();
        let (held, sightings) = (
            core::mem::take(&mut self.held),
            core::mem::take(&mut self.sightings),
        );
        *self = Self {
            subject,
            held,
            sightings,
            ill: ill.into_iter().collect(),
            ..Self::default()
        };
    }

    /// Looks at `id`, who has had an input.
    pub(super) fn look(&mut self, at: Micros, by: Id, engine: &Engine) {
        let Some(subject) = &self.subject else {
            return;
        };
        let Some((claim, _)) = engine.view(subject) else {
            return;
        };
        let payload = engine
            .shown_payload(subject)
            .map_or(0, Payload::semantic_hash);
        let count = self.held.len().max(by.index() + 1);
        self.held.resize(count, None);
        let held = &mut self.held[by.index()];
        if held.replace((claim, payload)) != Some((claim, payload)) {
            self.sightings.push(Sighting {
                at,
                by,
                claim,
                payload,
            });
        }
    }

    /// Notes that somebody said so. `well` is whether nothing is wrong with whom it is about.
    pub(super) fn hear(&mut self, report: &LogEvent, engine: &Engine, well: impl Fn(&Uri) -> bool) {
        let by_ill = engine.myself().is_some_and(|uri| self.ill.contains(uri));
        let (uri, list) = match report {
            LogEvent::Suspected { uri, .. } => (uri, &mut self.wronged),
            LogEvent::TimedOut { uri } if !by_ill => (uri, &mut self.buried),
            _ => return,
        };
        if self.ill.contains(uri) {
            return;
        }
        let claim = engine.view(uri).map(|(claim, _)| claim);
        if let Some(claim) = claim.filter(|claim| claim.status != Status::Alive && well(uri)) {
            list.insert((uri.clone(), claim.incarnation));
        }
    }

    pub(super) fn count(&mut self, datagram: &[u8]) {
        self.datagrams += 1;
        self.bytes += datagram.len() as u64;
    }
}
