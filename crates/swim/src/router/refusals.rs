//! Members that are not taken in, or not any more.

use super::Turn;
use crate::identity::uri::Uri;
use crate::log_event::LogEvent;
use crate::table::reason::Reason;

impl Turn<'_> {
    /// Forgets a member, for this reason, unless it is the local node.
    pub(super) fn forget_member(&mut self, uri: &str, reason: &Reason) {
        if !self.swim.me.is(uri) {
            self.swim.rumors.stop(uri);
            let occasion = self.occasion(reason);
            self.swim.members.remove(uri, &occasion);
        }
    }

    /// All addresses of `uri` are elsewhere: it is forgotten, and not taken in again for a while.
    pub fn forget_elsewhere(&mut self, uri: &Uri) {
        if self.swim.me.is(uri) || self.swim.config.allowed_networks.are_all() {
            return;
        }
        if !self.swim.security.elsewhere.has(uri, self.now.monotonic) {
            self.swim.report(LogEvent::Elsewhere { uri: uri.clone() });
        }
        self.swim.security.elsewhere.note(uri, self.now.monotonic);
        self.forget_member(uri, &Reason::Elsewhere);
    }

    /// Forgets the members whose addresses are not allowed any more, and which names led elsewhere.
    pub(super) fn forget_excluded(&mut self) {
        self.swim.security.elsewhere.clear();
        let mut excluded = Vec::new();
        for member in self.swim.members.from(0) {
            if self.swim.config.allowed_networks.exclude(&member.uri) {
                excluded.push(member.uri.clone());
            }
        }
        for uri in excluded {
            self.forget_member(&uri, &Reason::Elsewhere);
        }
    }

    /// Whether a member is not taken in, which is counted. One that is in the table was taken in before: it may be what
    /// the local node was itself, and is to be heard of until it is gone.
    pub(super) fn turns_away(&mut self, uri: &str) -> bool {
        let is_not_allowed = self.swim.allowed.refuses(uri);
        let is_elsewhere = self.swim.config.allowed_networks.exclude(uri)
            || self.swim.security.elsewhere.has(uri, self.now.monotonic);
        let is_refused = is_not_allowed || is_elsewhere;
        if !is_refused || self.swim.members.get(uri).is_some() {
            return false;
        }
        if is_not_allowed {
            self.swim.stats.members_not_allowed += 1;
        } else {
            self.swim.stats.members_elsewhere += 1;
        }
        true
    }
}
