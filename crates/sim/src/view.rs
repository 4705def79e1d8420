//! Who sees what.

use crate::engine::Engine;
use crate::host::Id;
use crate::world::World;
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Status};

impl World {
    /// Whether `id` takes part: it runs, or stands still for a moment, and has not left.
    pub fn takes_part(&self, id: Id) -> bool {
        self.engine(id)
            .is_some_and(|engine| engine.myself().is_some())
    }

    /// Those who take part.
    pub fn participants(&self) -> impl Iterator<Item = Id> {
        self.ids().filter(|id| self.takes_part(*id))
    }

    /// What runs on `id`.
    pub fn engine(&self, id: Id) -> Option<&Engine> {
        self.host(id).engine.as_ref()
    }

    /// What `observer` holds of `subject`.
    pub fn claim(&self, observer: Id, subject: &Uri) -> Option<Claim> {
        self.engine(observer)?
            .view(subject)
            .map(|(claim, _payload)| claim)
    }

    /// The status under which `observer` sees `subject`.
    pub fn status(&self, observer: Id, subject: Id) -> Option<Status> {
        self.claim(observer, &self.host(subject).uri)
            .map(|claim| claim.status)
    }

    /// The number that the payload of `subject` stands for, as `observer` sees it.
    pub fn payload(&self, observer: Id, subject: Id) -> Option<u64> {
        let uri = &self.host(subject).uri;
        let payload = self.engine(observer)?.shown_payload(uri)?;
        payload
            .bytes()
            .last_chunk()
            .map(|digits| u64::from_be_bytes(*digits))
    }

    /// Whether everybody who takes part, `subject` included if it does, sees it so.
    pub fn everyone_sees(&self, subject: Id, status: Status) -> bool {
        self.participants()
            .all(|observer| self.status(observer, subject) == Some(status))
    }

    /// Whether everybody who takes part sees this payload of `subject`.
    pub fn everyone_has(&self, subject: Id, payload: u64) -> bool {
        self.participants()
            .all(|observer| self.payload(observer, subject) == Some(payload))
    }
}
