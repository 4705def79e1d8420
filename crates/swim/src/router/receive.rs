//! A datagram came: apply its events, then do what it asks for.

use core::net::SocketAddr;

use super::answer::Rx;
use crate::Swim;
use crate::identity::uri::Uri;
use crate::log_event::LogEvent;
use crate::router::apply::Reaction;
use crate::security::acquaintance::Acquaintance;
use crate::security::amplification::{FACTOR, HEADERS_SIZE};
use crate::security::cookie::{self, Path};
use crate::security::seal::aead::Sealed;
use crate::table::claim::Status;
use crate::table::member::Dialect;
use crate::time::Now;
use crate::wire::{Body, DropReason, Event, Extension, Message, PingData, decode};

impl Swim {
    /// A datagram came from `source`, as the system says. One that is malformed is counted, and
    /// changes nothing else.
    pub fn handle_datagram(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        now: Now,
    ) -> Result<(), DropReason> {
        if self.me.uri.is_none() {
            return Ok(());
        }
        self.notice_pause(now);
        self.security.amplification.advance(now);
        let taken = self.take(datagram, source, now);
        taken.inspect_err(|why| self.stats.dropped[*why as usize] += 1)
    }

    fn take(&mut self, datagram: &[u8], source: SocketAddr, now: Now) -> Result<(), DropReason> {
        if datagram.len() > self.config.datagram_size_max() {
            return Err(DropReason::Oversized);
        }
        let opened = self.seal().open(datagram)?;
        let message = opened.message()?;
        let sender = message.sender.to_uri();
        self.admit(&sender, &message, opened.sealed, source, now)?;
        self.stats
            .received
            .count(message.body.kind(), datagram.len());
        self.stats.events_skipped += message.skipped as u64;
        if self.me.uri.as_ref() != Some(&sender) {
            self.detector.isolation.heard(now.monotonic);
        }
        let rx = Rx {
            sender: &sender,
            source,
            plain: &opened.plain,
            sealed: opened.sealed,
            digest: message.trailer.as_ref().and_then(|trailer| trailer.digest),
        };
        if opened.sealed.is_some() {
            self.members.set_validated(&sender, source);
            self.react(&rx, &message, now);
        } else {
            let limit = FACTOR * (datagram.len() + HEADERS_SIZE);
            self.with_bytes(&sender, source, limit, |swim| {
                let waiting = swim.detector.clock_reading.waiting();
                swim.react(&rx, &message, now);
                // What else was sent because of a PING that waits now leaves less for its answer.
                let left = swim.security.amplification.left();
                swim.detector.clock_reading.limit_new(waiting, left);
            });
        }
        Ok(())
    }

    /// Does what comes of a message that may be believed.
    fn react(&mut self, rx: &Rx<'_>, message: &Message<'_>, now: Now) {
        let Rx { sender, sealed, .. } = *rx;
        let mut reaction = Reaction::default();
        self.restore(sender, now);
        let strange = self.members.get(sender).is_none();
        let confirmed = self.act(rx, message, &mut reaction, now);
        if !self.security.amplification.is_limited() {
            self.note_introductions(sender, message);
        }
        // A sender that has said what is not so is the first to be told; an ACK says it anyway.
        if reaction.owes_word || reaction.refuted && !matches!(message.body, Body::Ping(_)) {
            self.push_to(sender);
        }
        self.note_form(sender, message, sealed);
        self.note_dialect(sender, message, confirmed, now);
        self.note_doubt(sender, message);
        // A newcomer: the sooner each knows the members that the other knows, the better. What takes
        // more than a few bytes waits until the address of the newcomer is validated.
        if strange && self.members.get(sender).is_some() {
            if self.security.amplification.is_limited() {
                self.await_newcomer(sender, now);
            } else if message.trailer.is_none() {
                self.sync_with(sender, now);
            }
        }
        self.end_reply(now);
    }

    /// Hears the events and does what the message asks for. Returns the digest that an ACK without one
    /// confirms: that of the PING that it answers.
    fn act(
        &mut self,
        rx: &Rx<'_>,
        message: &Message<'_>,
        reaction: &mut Reaction,
        now: Now,
    ) -> Option<u64> {
        let sender = rx.sender;
        self.apply_all(sender, &message.events, reaction, now);
        let note = message
            .trailer
            .as_ref()
            .and_then(|trailer| trailer.note.as_ref());
        let is_for_me = |uri: Option<&str>| uri == self.me.uri.as_deref();
        match &message.body {
            Body::Ping(echo) if is_for_me(echo.dst) => self.answer(rx, echo, now),
            Body::Ack(echo) if is_for_me(echo.src) => {
                return self.hear_ack(rx, echo, reaction, now);
            }
            Body::Ack(echo) => self.relay_answer(echo),
            Body::Ping(_) | Body::SyncReq(_) if self.security.amplification.is_limited() => {
                self.set_aside(sender, rx.source, rx.plain, now);
            }
            Body::Ping(echo) => self.relay_ping(sender, echo),
            Body::SyncReq(records) => self.answer_sync(sender, records, reaction, now),
            Body::SyncAck(records) => match note {
                Some(Extension::Differ { buckets, last }) => {
                    self.apply_differing(sender, buckets, *last, records, reaction, now);
                }
                _ => self.end_sync(sender, records, reaction, now),
            },
            Body::Leave => match note {
                Some(Extension::Compare(_)) if self.security.amplification.is_limited() => {
                    self.set_aside(sender, rx.source, rx.plain, now);
                }
                Some(Extension::Compare(sums)) => self.show_differing(sender, sums, now),
                Some(Extension::Nack { ts, dst }) => self.hear_nack(sender, *ts, dst, now),
                Some(Extension::Differ { .. }) | None => {}
            },
        }
        None
    }

    /// Notes what the sender is. A native one with another table is asked where they differ.
    fn note_dialect(
        &mut self,
        sender: &Uri,
        message: &Message<'_>,
        confirmed: Option<u64>,
        now: Now,
    ) {
        if self.me.uri.as_ref() == Some(sender) {
            return;
        }
        let Some(trailer) = &message.trailer else {
            return self.members.set_dialect(sender, Dialect::Legacy);
        };
        let digest = trailer.digest.or(confirmed);
        self.members.set_dialect(sender, Dialect::Native { digest });
        if self.agrees(sender)
            && let Some(own) = self.own_claim()
        {
            self.members.note_told(sender, own.incarnation);
        }
        // Of a prober and the probed, one is enough to begin: the prober, unless the other has just
        // come and cannot wait for its turn.
        if !matches!(message.body, Body::Ping(_)) || self.anti_entropy.digest.is_joining() {
            self.compare_digest(sender, digest, now);
        }
    }

    /// Notes whether the sender says of itself that it is suspect.
    fn note_doubt(&mut self, sender: &Uri, message: &Message<'_>) {
        let doubts =
            |event: &&Event<'_>| event.claim.status == Status::Suspect && *event.uri == **sender;
        let doubt = message.events.iter().find(doubts);
        if let Some(doubt) = doubt
            && let Some(evidence) = self.members.evidence(sender)
        {
            evidence.note_doubt(doubt.claim.incarnation);
        }
    }

    /// What `sender` has shown to take.
    fn note_form(&mut self, sender: &Uri, message: &Message<'_>, sealed: Option<Sealed>) {
        let offered = message.trailer.as_ref().and_then(|trailer| trailer.offers);
        let key = sealed.map(|sealed| sealed.key).or(offered);
        self.members.set_key(sender, key);
    }

    /// Notes which members `sender` tells of, if it has answered itself.
    fn note_introductions(&mut self, sender: &Uri, message: &Message<'_>) {
        if !self
            .members
            .get(sender)
            .is_some_and(|member| member.has_answered)
        {
            return;
        }
        let records = match &message.body {
            Body::SyncReq(records) | Body::SyncAck(records) => &records[..],
            Body::Ping(_) | Body::Ack(_) | Body::Leave => &[],
        };
        for event in message.events.iter().chain(records) {
            self.members.acquaint(&event.uri, Acquaintance::Introduced);
        }
    }

    /// An answer to a question of the local node, from the member that it is about or through a relay.
    /// If it validates the address of its sender, what that has asked for is served now.
    fn hear_ack(
        &mut self,
        rx: &Rx<'_>,
        echo: &PingData<'_>,
        reaction: &mut Reaction,
        now: Now,
    ) -> Option<u64> {
        let path = self.security.cookies.path(echo);
        let Some(path) = path else {
            self.stats.acks_unsolicited += 1;
            return None;
        };
        let confirmed = self.hear_answer(rx.sender, echo, path, now);
        let is_own = path == Path::Direct && echo.dst == Some(&**rx.sender);
        if !is_own || !echo.ts.is_some_and(|ts| cookie::is_recent(ts, now.wall)) {
            return None;
        }
        self.members.set_validated(rx.sender, rx.source);
        let amplification = &mut self.security.amplification;
        let Some(waiting) = amplification.validate(rx.sender, rx.source) else {
            return confirmed;
        };
        if waiting.is_newcomer && self.members.is_legacy(rx.sender) {
            self.sync_with(rx.sender, now);
        }
        if let Some(request) = waiting.request
            && let Ok(message) = decode(&request)
        {
            let rx = Rx {
                plain: &request,
                ..*rx
            };
            self.act(&rx, &message, reaction, now);
        }
        confirmed
    }

    /// What came from the address of `uri` could not be decoded. If it is dead, that is why.
    pub fn handle_undecodable(&mut self, uri: &str, now: Now) {
        let Some(member) = self.members.get(uri) else {
            return;
        };
        if member.claim.status != Status::Dead {
            return;
        }
        let uri = member.uri.clone();
        let claim = member.claim.with(Status::NonDecryptable);
        self.report(LogEvent::Undecryptable { uri: uri.clone() });
        self.apply(&Event::local(&uri, claim), now);
    }

    /// Nothing could be sent to `uri`: its name does not resolve, or the system refuses.
    pub fn handle_unsent(&mut self, uri: &str) {
        self.give_up_asking(uri);
    }
}
