//! Which members are not taken in, and from where nothing is.

use core::net::SocketAddr;

use super::Turn;
use crate::identity::uri::Uri;
use crate::log_event::LogEvent;
use crate::table::reason::Reason;
use crate::time::Now;
use crate::wire::DropReason;
use crate::{Refused, Swim};

impl Swim {
    /// Whether nothing that comes from there is taken in, unless it is an address of the local node.
    pub fn is_elsewhere(&self, source: SocketAddr) -> bool {
        !self.config.allowed_networks.allow(source.ip())
    }

    /// A datagram came from elsewhere. It is counted, and not read.
    pub const fn handle_elsewhere(&mut self) {
        self.stats.dropped[DropReason::Elsewhere as usize] += 1;
    }

    /// All addresses of `uri` are elsewhere: it is forgotten, and not taken in again for a while.
    pub fn handle_excluded(&mut self, uri: &Uri, now: Now) {
        if self.me.is(uri) || self.config.allowed_networks.are_all() {
            return;
        }
        if !self.security.elsewhere.has(uri, now.monotonic) {
            self.report(LogEvent::Elsewhere { uri: uri.clone() });
        }
        self.security.elsewhere.note(uri, now.monotonic);
        self.forget_member(uri, &Reason::Elsewhere, now);
    }

    /// Why a user cannot have this member, if that is known.
    pub fn refusal(&self, uri: &Uri) -> Option<Refused> {
        if self.me.is(uri) {
            return None;
        }
        if self.allowed.refuses(uri) {
            return Some(Refused::NotAllowed);
        }
        let is_excluded = self.config.allowed_networks.exclude(uri);
        is_excluded.then_some(Refused::Elsewhere)
    }

    /// Whether the name of `uri` was found to lead elsewhere.
    pub fn leads_elsewhere(&self, uri: &Uri, now: Now) -> bool {
        self.security.elsewhere.has(uri, now.monotonic)
    }

    /// A user wants this member: whether it leads elsewhere is to be found out anew.
    pub(super) fn try_again(&mut self, uri: &Uri) {
        self.security.elsewhere.forget(uri);
    }

    /// Forgets the members whose addresses are not allowed any more, and which names led elsewhere.
    pub(super) fn forget_excluded(&mut self, now: Now) {
        self.security.elsewhere.clear();
        let mut excluded = Vec::new();
        for member in self.members.from(0) {
            if self.config.allowed_networks.exclude(&member.uri) {
                excluded.push(member.uri.clone());
            }
        }
        for uri in excluded {
            self.forget_member(&uri, &Reason::Elsewhere, now);
        }
    }
}

impl Turn<'_> {
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
