//! Who is sick, as far as this node can tell: the protocol's evidence, and the machine's.

use crate::Node;
use crate::error::Error;
use crate::state::State;
use swim::diagnosis::Diagnosis;
use swim::identity::uri::Uri;
use swim::time::Now;

/// How many members are looked at under one hold of the lock: some 100 µs.
const MEMBERS_AT_A_TIME: usize = 256;

impl Node {
    /// What is known of `uri`.
    pub fn diagnose(&self, uri: &str) -> Result<Option<Diagnosis>, Error> {
        let look = |state: &State| diagnose(state, uri, state.clock.now());
        self.shared.look(look)
    }

    /// What is known of everybody.
    pub fn diagnose_all(&self) -> Result<Vec<Diagnosis>, Error> {
        let uris = |state: &State| {
            let members = state.swim.members().from(0);
            members.map(|member| member.uri.clone()).collect()
        };
        let uris: Vec<Uri> = self.shared.look(uris)?;
        let mut all = Vec::with_capacity(uris.len());
        for some in uris.chunks(MEMBERS_AT_A_TIME) {
            self.shared.look(|state| {
                let now = state.clock.now();
                all.extend(some.iter().filter_map(|uri| diagnose(state, uri, now)));
            })?;
        }
        Ok(all)
    }
}

fn diagnose(state: &State, uri: &str, now: Now) -> Option<Diagnosis> {
    let mut diagnosis = state.swim.diagnose(uri, now)?;
    let (uri, silence) = (&diagnosis.uri, diagnosis.silence);
    let name = state.addresses.trouble(uri);
    let trouble = state.delivery_errors.of(uri, silence, now.monotonic);
    let trouble = trouble.map(ToString::to_string);
    // What the machine has seen explains the rest.
    diagnosis
        .hints
        .splice(0..0, name.into_iter().chain(trouble));
    Some(diagnosis)
}
