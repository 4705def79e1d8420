//! Members that were remembered over a restart: looked for.

use super::Turn;
use crate::Swim;
use crate::identity::uri::Uri;

impl Turn<'_> {
    /// Pings some of the members of a former life that have not answered yet.
    pub(super) fn ask_candidates(&mut self) {
        if self.swim.detector.candidates.is_empty() {
            return;
        }
        let Swim {
            me,
            members,
            detector,
            allowed,
            config,
            ..
        } = &mut *self.swim;
        let is_settled = |uri: &Uri| {
            // What is allowed may have changed since they were remembered.
            let is_refused = allowed.refuses(uri) || config.allowed_networks.exclude(uri);
            me.is(uri) || members.get(uri).is_some() || is_refused
        };
        detector.candidates.remove_if(is_settled);
        let in_company = members.live().len() > 1;
        for uri in detector.candidates.take_due(in_company, self.now.monotonic) {
            let question = self.question(&uri);
            self.ask_in_full(&question);
        }
    }
}
