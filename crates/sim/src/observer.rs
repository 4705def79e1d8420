//! Sees all that happens, and counts it for experiments.

use indexmap::IndexSet;

use crate::engine::Engine;
use crate::host::Id;
use swim::identity::uri::Uri;
use swim::log_event::LogEvent;
use swim::table::claim::{Claim, Incarnation, Status};
use swim::time::Micros;

/// What experiments measure.
#[derive(Default)]
pub struct Observer {
    /// The member whose views are watched.
    subject: Option<Uri>,
    /// The last claim and payload that each machine held of the subject.
    held: Vec<Option<(Claim, u64)>>,
    /// Each change of that.
    pub sightings: Vec<Sighting>,
    /// How many datagrams were sent.
    pub datagrams: u64,
    /// How many bytes were in them, without headers of IP and UDP.
    pub bytes: u64,
    /// Members that were suspected although they were up, and at which incarnation.
    pub false_suspicions: IndexSet<(Uri, Incarnation)>,
    /// Members that were declared dead although they were up, and at which incarnation. Declarations of
    /// faulty members do not count.
    pub false_deaths: IndexSet<(Uri, Incarnation)>,
    /// How many members came in with each newcomer that brought some, as the logs tell.
    pub merges: Vec<usize>,
    /// Members that an experiment disturbs.
    faulty: IndexSet<Uri>,
}

/// A machine holds something new of the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The time.
    pub at: Micros,
    /// The machine.
    pub by: Id,
    /// The claim that it holds.
    pub claim: Claim,
    /// The semantic hash of the payload that it shows.
    pub payload: u64,
}

impl Observer {
    /// Begins to watch what all machines hold of `subject`.
    pub fn watch(&mut self, subject: Uri) {
        self.subject = Some(subject);
        self.held.clear();
        self.sightings.clear();
    }

    /// Sets all counts to zero. From now on, suspicions of `faulty` members and deaths that they declare do
    /// not count.
    pub fn reset(&mut self, faulty: impl IntoIterator<Item = Uri>) {
        let subject = self.subject.take();
        let (held, sightings) = (
            core::mem::take(&mut self.held),
            core::mem::take(&mut self.sightings),
        );
        *self = Self {
            subject,
            held,
            sightings,
            faulty: faulty.into_iter().collect(),
            ..Self::default()
        };
    }

    /// Notes what a machine holds of the subject after an input.
    pub(super) fn observe(&mut self, at: Micros, by: Id, engine: &Engine) {
        let Some(subject) = &self.subject else {
            return;
        };
        let Some((claim, _)) = engine.view(subject) else {
            return;
        };
        let payload = match engine.shown_payload(subject) {
            Some(payload) => payload.semantic_hash(),
            None => 0,
        };
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

    /// Counts false suspicions and deaths. `is_up` is whether the process of a member runs.
    pub(super) fn handle_report(
        &mut self,
        report: &LogEvent,
        engine: &Engine,
        is_up: impl Fn(&Uri) -> bool,
    ) {
        let by_faulty = match engine.myself() {
            Some(uri) => self.faulty.contains(uri),
            None => false,
        };
        let (uri, list) = match report {
            LogEvent::Suspected { uri, .. } => (uri, &mut self.false_suspicions),
            LogEvent::TimedOut { uri, .. } if !by_faulty => (uri, &mut self.false_deaths),
            LogEvent::Merged { newcomer } => return self.merges.push(newcomer.brought),
            _ => return,
        };
        if self.faulty.contains(uri) {
            return;
        }
        if let Some((claim, _payload)) = engine.view(uri)
            && claim.status != Status::Alive
            && is_up(uri)
        {
            list.insert((uri.clone(), claim.incarnation));
        }
    }

    pub(super) fn count(&mut self, datagram: &[u8]) {
        self.datagrams += 1;
        self.bytes += datagram.len() as u64;
    }
}
