//! What each member sees.

use crate::engine::Engine;
use crate::host::Id;
use crate::world::World;
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Status};

impl World {
    /// Whether `id` takes part: its process runs or is paused, and has not left.
    pub fn takes_part(&self, id: Id) -> bool {
        match self.engine(id) {
            Some(engine) => engine.myself().is_some(),
            None => false,
        }
    }

    /// The machines that take part.
    pub fn participants(&self) -> impl Iterator<Item = Id> {
        self.ids().filter(|id| self.takes_part(*id))
    }

    /// The process on `id`, if one runs.
    pub fn engine(&self, id: Id) -> Option<&Engine> {
        self.host(id).engine.as_ref()
    }

    /// The claim that `observer` holds about `subject`.
    pub fn claim(&self, observer: Id, subject: &Uri) -> Option<Claim> {
        let (claim, _payload) = self.engine(observer)?.view(subject)?;
        Some(claim)
    }

    /// The status of `subject` in the table of `observer`.
    pub fn status(&self, observer: Id, subject: Id) -> Option<Status> {
        let claim = self.claim(observer, &self.host(subject).uri)?;
        Some(claim.status)
    }

    /// The number of the payload of `subject` that `observer` shows, see [`payload`](crate::payload).
    pub fn payload(&self, observer: Id, subject: Id) -> Option<u64> {
        let uri = &self.host(subject).uri;
        let payload = self.engine(observer)?.shown_payload(uri)?;
        let digits = payload.bytes().last_chunk()?;
        Some(u64::from_be_bytes(*digits))
    }

    /// Whether all participants hold this status of `subject`, itself included if it takes part.
    pub fn all_see(&self, subject: Id, status: Status) -> bool {
        self.participants()
            .all(|observer| self.status(observer, subject) == Some(status))
    }

    /// Whether all participants show this payload of `subject`.
    pub fn all_have(&self, subject: Id, payload: u64) -> bool {
        self.participants()
            .all(|observer| self.payload(observer, subject) == Some(payload))
    }
}
