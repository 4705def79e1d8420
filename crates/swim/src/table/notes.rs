//! What is noted of a member beside what is claimed of it: where it is, how it answers, what it knows.

use core::net::SocketAddr;
use core::time::Duration;

use crate::detector::probe_history::ProbeHistory;
use crate::detector::rtt::RoundTrip;
use crate::detector::self_check::SelfSuspicion;
use crate::identity::sightings::Seen;
use crate::security::acquaintance::Acquaintance;
use crate::security::seal::keyring::KeyId;
use crate::table::claim::Incarnation;
use crate::table::index::member_index;
use crate::table::member::Dialect;
use crate::table::members::Members;

impl Members {
    /// Notes how far the clock of `uri` is ahead of the local one.
    pub fn set_clock_delta(&mut self, uri: &str, delta: f64) {
        if let Some((index, _uri, member)) = self.table.get_full_mut(uri) {
            member.clock_delta = Some(delta);
            self.changelog.measure(member_index(index));
        }
    }

    /// Notes how long `uri` took to answer.
    pub fn note_round_trip(&mut self, uri: &str, took: Duration) {
        if let Some(member) = self.table.get_mut(uri) {
            member.round_trip = Some(RoundTrip::after(member.round_trip, took));
        }
    }

    /// What probes of `uri` have come to, to be added to.
    pub fn evidence(&mut self, uri: &str) -> Option<&mut ProbeHistory> {
        Some(&mut self.table.get_mut(uri)?.evidence)
    }

    /// Notes that `uri` says of itself that it is suspect, and why, if it tells.
    pub fn note_self_suspicion(
        &mut self,
        uri: &str,
        incarnation: Incarnation,
        why: Option<SelfSuspicion>,
    ) {
        if let Some(member) = self.table.get_mut(uri) {
            member.evidence.note_doubt(incarnation);
            member.self_suspicion = why;
        }
    }

    /// Notes whether the log says at present that `uri` is gone.
    pub fn set_logged_gone(&mut self, uri: &str, gone: bool) {
        if let Some(member) = self.table.get_mut(uri) {
            member.is_logged_gone = gone;
        }
    }

    /// From where `uri`, if it is live, has answered a question with its cookie.
    pub fn validated_at(&self, uri: &str) -> Option<SocketAddr> {
        let member = self.get(uri)?;
        // The address of a member that is gone may belong to another machine by now.
        if !member.claim.status.is_live() {
            return None;
        }
        member.validated
    }

    /// Notes that `uri` has answered a question from `source`, with its cookie.
    pub fn set_validated(&mut self, uri: &str, source: SocketAddr) {
        if let Some((index, _uri, member)) = self.table.get_full_mut(uri) {
            member.validated = Some(source);
            if !member.has_answered {
                member.has_answered = true;
                self.classify(member_index(index));
            }
        }
    }

    /// Notes that `uri` knows what the local node says of itself at this incarnation.
    pub fn note_told(&mut self, uri: &str, told: Incarnation) {
        if let Some(member) = self.table.get_mut(uri) {
            member.knows_my = member.knows_my.max(Some(told));
        }
    }

    /// Notes that `uri` reads the short form, as of this incarnation.
    pub fn note_short_reader(&mut self, uri: &str, incarnation: Incarnation) {
        if let Some(member) = self.table.get_mut(uri)
            && member.claim.incarnation == incarnation
        {
            member.reads_short = true;
        }
    }

    /// Notes that `uri` has not answered in time: perhaps it does not read the short form any more.
    pub fn doubt_short_reader(&mut self, uri: &str) {
        if let Some(member) = self.table.get_mut(uri) {
            member.reads_short = false;
        }
    }

    /// Forgets what others know of the local node: it has another URI now.
    pub fn forget_told(&mut self) {
        for member in self.table.values_mut() {
            member.knows_my = None;
        }
    }

    /// Whether the last datagram of `uri` was one of a peer on membership 2.x.
    pub fn is_legacy(&self, uri: &str) -> bool {
        match self.get(uri) {
            Some(member) => member.dialect == Dialect::Legacy,
            None => false,
        }
    }

    /// Whether the last datagram of `uri` was one of a native peer.
    pub fn is_native(&self, uri: &str) -> bool {
        match self.get(uri) {
            Some(member) => member.is_native(),
            None => false,
        }
    }

    /// Notes what the last datagram of `uri` shows it to be.
    pub fn set_dialect(&mut self, uri: &str, dialect: Dialect) {
        if let Some(member) = self.table.get_mut(uri) {
            member.dialect = dialect;
        }
    }

    /// Notes with which key `uri` seals what it sends.
    pub fn set_key(&mut self, uri: &str, key: Option<KeyId>) {
        if let Some(member) = self.table.get_mut(uri) {
            member.seals_with = key;
        }
    }

    /// Notes with which key `uri` has encrypted its last datagram, in whichever way, and which keys it told
    /// of. A datagram from an address that is not validated counts only if it is the first: it may be a
    /// recording.
    pub fn note_keys(
        &mut self,
        uri: &str,
        last: Option<KeyId>,
        told: &[KeyId],
        is_validated: bool,
    ) {
        if let Some(member) = self.table.get_mut(uri)
            && (is_validated || member.keys.last().is_none())
        {
            member.keys.note(last, told);
        }
    }

    /// Notes what the last PING of `uri` shows of its sender.
    pub fn set_last_ping(&mut self, uri: &str, seen: Seen) {
        if let Some(member) = self.table.get_mut(uri) {
            member.last_ping = Some(seen);
        }
    }

    /// Notes by which kind of sender `uri` is known: the best counts.
    pub fn acquaint(&mut self, uri: &str, acquaintance: Acquaintance) {
        if let Some(member) = self.table.get_mut(uri) {
            member.acquaintance = member.acquaintance.max(acquaintance);
        }
    }
}
