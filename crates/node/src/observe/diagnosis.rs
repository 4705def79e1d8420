//! Why a member fails, as far as this node can tell: from the protocol and from the machine.

use crate::Node;
use crate::error::Error;
use crate::observe::delivery_errors::DeliveryError;
use crate::state::State;
use swim::diagnosis::Diagnosis;
use swim::identity::uri::Uri;
use swim::time::Now;

/// How many members are diagnosed while the lock is held once: for some 100 µs.
const MEMBERS_AT_A_TIME: usize = 256;

impl Node {
    /// Diagnoses `uri`; returns `None` if it is not known.
    pub fn diagnose(&self, uri: &str) -> Result<Option<Diagnosis>, Error> {
        self.shared
            .look(|state| diagnose(state, uri, state.clock.now()))
    }

    /// Diagnoses all members.
    pub fn diagnose_all(&self) -> Result<Vec<Diagnosis>, Error> {
        let mut uris: Vec<Uri> = Vec::new();
        self.shared.look(|state| {
            for member in state.swim.members().from(0) {
                uris.push(member.uri.clone());
            }
        })?;
        let mut all = Vec::with_capacity(uris.len());
        for some in uris.chunks(MEMBERS_AT_A_TIME) {
            self.shared.look(|state| {
                let now = state.clock.now();
                for uri in some {
                    all.extend(diagnose(state, uri, now));
                }
            })?;
        }
        Ok(all)
    }
}

fn diagnose(state: &State, uri: &str, now: Now) -> Option<Diagnosis> {
    let mut diagnosis = state.swim.diagnose(uri, now)?;
    let (uri, silence) = (&diagnosis.uri, diagnosis.silence);
    let mut hints = Vec::new();
    hints.extend(state.addresses.problem(uri, now.monotonic));
    let error = state.delivery_errors.of(uri, silence, now.monotonic);
    hints.extend(error.map(DeliveryError::to_string));
    if let Some(DeliveryError::Dropped(_)) = error {
        diagnosis = diagnosis.without_guesses();
    }
    // First, because what the machine has seen explains what the protocol has.
    hints.append(&mut diagnosis.hints);
    diagnosis.hints = hints;
    Some(diagnosis)
}
