//! Two processes with one URI: who notices, and who is told ([`crate::identity::duplicates`]).

use core::net::SocketAddr;

use super::Turn;
use crate::identity::sightings::{Process, Seen};
use crate::identity::uri::Uri;
use crate::log_event::LogEvent;
use crate::security::cookie::ProcessTag;
use crate::security::seal::aead::Sealed;
use crate::table::reason::Reason;
use crate::wire::{Body, DUPLICATES_MAX, Duplicate, Message, MessageType, PingData, Trailer};

impl Turn<'_> {
    /// Whether a datagram in the name of the local node is of another process, as far as can be told.
    pub(super) fn is_of_double(
        &self,
        sender: &Uri,
        message: &Message<'_>,
        sealed: Option<Sealed>,
    ) -> bool {
        if !self.swim.me.is(sender) {
            return false;
        }
        // Its session has been confirmed, so it is no recording of a former life.
        if let Some(Sealed { stamp, .. }) = sealed {
            return !self.swim.security.sessions.is_own(stamp);
        }
        let data = match &message.body {
            Body::Ping(data) | Body::Ack(data) => Some(data),
            Body::SyncReq(_) | Body::SyncAck(_) | Body::Leave => None,
        };
        // The local node never leaves the trailer out; but a ping that it forwards to a former name of its own comes
        // back, and may have been cut off behind the message.
        let Some(trailer) = &message.trailer else {
            if let Body::Ping(ping) = &message.body
                && (ping.src != Some(&**sender) || ping.cookie.is_some())
            {
                return false;
            }
            return data.is_none_or(|data| self.is_of_this_time(data));
        };
        // What the local node tells of others may come back, if the name of its recipient leads here.
        let is_from_double = |told: &Duplicate| told.uri == *sender && told.other.is_none();
        if trailer.duplicates.iter().any(is_from_double) {
            return true;
        }
        // A broadcast of the local node has no cookie. A ping that it forwards to a former name of its own comes
        // back, with the cookie of another.
        let Some(data) = data else {
            return false;
        };
        let Some(cookie) = data.cookie else {
            return false;
        };
        data.src == Some(&**sender)
            && !self.swim.security.cookies.is_own(cookie)
            && self.is_of_this_time(data)
    }

    fn is_of_this_time(&self, data: &PingData<'_>) -> bool {
        let Some(sent) = data.ts else {
            return false;
        };
        let now = self.now.monotonic;
        !self.swim.detector.duplicates.may_be_former_life(sent, now)
    }

    /// A datagram of another process with the local URI, from `source`. Nothing that it says or asks for is
    /// done: an answer to its own ping would only hide from it what is wrong.
    pub(super) fn hear_double(&mut self, message: &Message<'_>, source: SocketAddr) {
        let Some(myself) = self.swim.me.uri.clone() else {
            return;
        };
        let mut told = None;
        if let Some(trailer) = &message.trailer {
            told = trailer.duplicates.iter().find(|told| told.uri == myself);
        }
        let seen_at = match told {
            Some(told) => told.one,
            None => None,
        };
        self.note_double(source, seen_at);
        // Of two that answer each other, neither would ever stop.
        if told.is_some() {
            return;
        }
        let pause = self.swim.config.protocol_period;
        if self
            .swim
            .detector
            .duplicates
            .may_tell_double(pause, self.now.monotonic)
        {
            let duplicate = Duplicate {
                uri: myself.clone(),
                one: Some(source),
                other: None,
            };
            self.tell_at(vec![duplicate], &myself, Some(source));
        }
    }

    /// What a member tells of duplicates: of what concerns the local node, that is noted.
    pub(super) fn hear_duplicates(&mut self, message: &Message<'_>) {
        let Some(trailer) = &message.trailer else {
            return;
        };
        for Duplicate { uri, one, other } in &trailer.duplicates {
            if self.swim.me.is(uri)
                && let Some(other) = other
            {
                self.note_double(*other, *one);
            }
        }
    }

    /// Another process uses the local URI, `at` this address.
    fn note_double(&mut self, at: SocketAddr, seen_at: Option<SocketAddr>) {
        let (memory, now) = (self.swim.duplicate_memory(), self.now.monotonic);
        if !self
            .swim
            .detector
            .duplicates
            .note_double(at, seen_at, memory, now)
        {
            return;
        }
        self.swim.stats.duplicates += 1;
        if let Some(uri) = self.swim.me.uri.clone() {
            let one = self.swim.detector.duplicates.own_address();
            let other = at;
            self.swim.report(LogEvent::Duplicate { uri, one, other });
        }
        // That its own address does not lead to it is explained by this.
        self.clear_self_suspicion(&Reason::Doubled);
    }

    /// Notes which process has sent a PING. If two use the URI of `sender`, the one that has sent it is told
    /// of the other.
    pub(super) fn note_process(&mut self, sender: &Uri, message: &Message<'_>, source: SocketAddr) {
        let Body::Ping(ping) = &message.body else {
            return;
        };
        if ping.src != Some(&**sender) {
            return;
        }
        if self.swim.me.is(sender) {
            return self.swim.detector.duplicates.note_own_ping(source);
        }
        let (Some(member), Some(process), Some(sent)) = (
            self.swim.members.get(sender),
            process_of(sender, ping, message),
            ping.ts,
        ) else {
            return;
        };
        let seen = Seen {
            process,
            source,
            sent,
            at: self.now.monotonic,
        };
        let former = member.last_ping;
        self.swim.members.set_last_ping(sender, seen);
        // Nearly all members have one process for as long as they are known.
        let is_same = match &former {
            Some(former) => former.is_of_same(&seen),
            None => true,
        };
        if !is_same || self.swim.detector.duplicates.watches(sender) {
            self.watch(sender, former, seen, message.trailer.is_some());
        }
    }

    fn watch(&mut self, sender: &Uri, former: Option<Seen>, seen: Seen, is_native: bool) {
        let memory = self.swim.duplicate_memory();
        let pause = self.swim.config.protocol_period;
        let duplicates = &mut self.swim.detector.duplicates;
        let found = duplicates.note_ping(sender, former, seen, memory, pause);
        let Some(other) = found.tell else {
            return;
        };
        let one = Some(seen.source);
        if found.is_news {
            self.swim.stats.duplicates += 1;
            let uri = sender.clone();
            self.swim.report(LogEvent::Duplicate { uri, one, other });
        }
        if is_native {
            let duplicate = Duplicate {
                uri: sender.clone(),
                one,
                other: Some(other),
            };
            self.tell_at(vec![duplicate], sender, one);
        }
    }

    /// Tells a native peer that compares tables of the URIs that two processes use: it may be the tool of an
    /// operator.
    pub(super) fn tell_duplicates(&mut self, peer: &Uri) {
        if self.is_blocked(peer) {
            return;
        }
        let (memory, now) = (self.swim.duplicate_memory(), self.now.monotonic);
        let duplicates = &self.swim.detector.duplicates;
        let mut told = duplicates.first(DUPLICATES_MAX, memory, now);
        if let Some(own) = self.swim.own_duplicate(self.now) {
            told.insert(0, own);
        }
        // It could not tell which of the two addresses is its own.
        told.retain(|duplicate| duplicate.uri != *peer);
        told.truncate(DUPLICATES_MAX);
        if !told.is_empty() {
            self.tell_at(told, peer, None);
        }
    }

    fn tell_at(&mut self, duplicates: Vec<Duplicate>, to: &Uri, at: Option<SocketAddr>) {
        let trailer = Trailer {
            duplicates,
            ..self.trailer()
        };
        if let Some(draft) = self.empty_draft() {
            self.send_at(MessageType::Leave, draft.trailed_by(&trailer), to, at);
        }
    }
}

/// What a PING shows of the process that has sent it.
fn process_of(sender: &Uri, ping: &PingData<'_>, message: &Message<'_>) -> Option<Process> {
    if let Some(tag) = ping.cookie.and_then(ProcessTag::of) {
        return Some(Process::Native(tag));
    }
    // An earlier native version has no tag, and does not always say which incarnation it has.
    if message.trailer.is_some() {
        return None;
    }
    for event in &message.events {
        if *event.uri == **sender {
            return Some(Process::Legacy(event.claim.incarnation));
        }
    }
    None
}
