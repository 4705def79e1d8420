//! A datagram came: apply its events, then do what it asks for.

use core::net::SocketAddr;

use super::Turn;
use super::admit::Admission;
use super::answer::Rx;
use crate::Sighting;
use crate::identity::uri::Uri;
use crate::log_event::LogEvent;
use crate::router::apply::Reaction;
use crate::security::amplification::{Cause, FACTOR, HEADERS_SIZE};
use crate::security::cookie::{self, Path};
use crate::security::seal::keyring::KeyId;
use crate::table::claim::Status;
use crate::table::reason::Reason;
use crate::wire::{Body, DropReason, Event, Extension, Message, Piece, PingData, is_short};

impl Turn<'_> {
    /// Receives a datagram from `source`, as the system says. One that is dropped is counted.
    pub fn receive(&mut self, datagram: &[u8], source: SocketAddr) -> Result<(), DropReason> {
        if self.swim.me.uri.is_none() {
            return Ok(());
        }
        self.notice_pause();
        let taken = self.take(datagram, source);
        if let Err(why) = taken {
            self.swim.stats.dropped[why as usize] += 1;
            if why.may_be_another_setting() {
                let isolation = &mut self.swim.detector.isolation;
                isolation.heard_undecodable(self.now.monotonic);
            }
        }
        taken
    }

    fn take(&mut self, datagram: &[u8], source: SocketAddr) -> Result<(), DropReason> {
        if datagram.len() > self.swim.config.datagram_size_max() {
            return Err(DropReason::Oversized);
        }
        let opened = self.swim.seal().open(datagram)?;
        let mut names = None;
        let message = if is_short(&opened.plain) {
            self.read(&opened.plain, &mut names)?
        } else {
            opened.message()?
        };
        let sender = message.sender.to_uri();
        if self.swim.allowed.refuses(&sender) && !self.swim.me.is(&sender) {
            return Err(DropReason::NotAllowed);
        }
        self.note_heard(&sender, opened.key);
        let admission = self.admit(&sender, &message, opened.sealed, source)?;
        self.swim.output.sighting = Some(Sighting {
            sender: sender.clone(),
            answered: false,
            is_sealed: opened.sealed.is_some(),
        });
        let mut reply = match admission {
            Admission::Believed(reply) => reply,
            Admission::Challenged => return Ok(()),
        };
        self.swim
            .stats
            .received
            .count(message.body.kind(), datagram.len());
        self.swim.stats.events_skipped += message.skipped as u64;
        // The local node's pings to itself arrive though nothing else does.
        if !self.swim.me.is(&sender) {
            self.swim.detector.isolation.heard(self.now.monotonic);
        }
        if self.is_of_double(&sender, &message, opened.sealed) {
            let mut turn = self.part(Cause::Own, reply.as_mut());
            turn.hear_double(&message, source);
            turn.end_reply();
            return Ok(());
        }
        let digest = match &message.trailer {
            Some(trailer) => trailer.digest,
            None => None,
        };
        let rx = Rx {
            sender: &sender,
            source,
            plain: &opened.plain,
            sealed: opened.sealed,
            is_encrypted: opened.key.is_some(),
            digest,
        };
        let cause = if opened.sealed.is_some() {
            self.swim.members.set_validated(&sender, source);
            Cause::Own
        } else {
            let limit = FACTOR * (datagram.len() + HEADERS_SIZE);
            Cause::datagram(&sender, source, limit, self.peers())
        };
        let waiting = self.swim.detector.clock_reading.waiting();
        let mut turn = self.part(cause, reply.as_mut());
        turn.react(&rx, &message);
        turn.note_keys(&sender, &message, opened.key);
        // What else was sent because of a PING that waits now leaves less for its answer.
        let left = turn.cause.left();
        self.swim.detector.clock_reading.limit_new(waiting, left);
        Ok(())
    }

    /// Notes which key the datagram at hand was encrypted with, if there is a choice of keys.
    fn note_heard(&mut self, sender: &Uri, key: Option<KeyId>) {
        if self.swim.security.keys.len() > 1 {
            self.heard = key.map(|key| (sender.clone(), key));
        }
    }

    /// Does what comes of a message that may be believed.
    fn react(&mut self, rx: &Rx<'_>, message: &Message<'_>) {
        let Rx { sender, sealed, .. } = *rx;
        if let Some(trailer) = &message.trailer
            && let Some(Extension::Piece(piece)) = &trailer.note
        {
            if !self.join_pieces(rx, piece) {
                self.end_reply();
            }
            return;
        }
        let mut reaction = Reaction::default();
        self.restore(sender, &Reason::Heard);
        let before = self.swim.members.claim(sender);
        let strange = before.is_none();
        let lived = match before {
            Some(claim) => claim.status.is_live(),
            None => false,
        };
        let known = self.swim.members.live().len();
        let confirmed = self.act(rx, message, &mut reaction);
        self.note_merge(rx, lived, known);
        if !self.cause.is_limited() {
            self.note_introductions(sender, message);
            self.hear_duplicates(message);
        }
        // A sender that has said what is not so is the first to be told; an ACK says it anyway.
        if reaction.owes_word || reaction.refuted && !matches!(message.body, Body::Ping(_)) {
            self.push_to(sender);
        }
        self.note_form(sender, message, sealed);
        self.note_dialect(sender, message, confirmed);
        self.note_doubt(sender, message);
        self.note_process(sender, message, rx.source);
        // A newcomer: the sooner each knows the members that the other knows, the better. What takes
        // more than a few bytes waits until the address of the newcomer is validated.
        if strange && self.swim.members.get(sender).is_some() {
            if self.cause.is_limited() {
                self.await_newcomer(sender);
            } else if message.trailer.is_none() {
                self.sync_with(sender);
            }
        }
        self.end_reply();
    }

    /// Notes how many members came in by the datagram at hand, in addition to so many that were `known`, if
    /// its sender is new or back.
    fn note_merge(&mut self, rx: &Rx<'_>, lived: bool, known: usize) {
        let merges = &mut self.swim.anti_entropy.merges;
        // One that was alone until now joins a group, and is not joined by one.
        if !lived && known > 1 {
            merges.note_newcomer(rx.sender, rx.source, self.now.monotonic);
        }
        let own = usize::from(!lived);
        let gained = self.swim.members.live().len().saturating_sub(known + own);
        if gained > 0 {
            merges.note_brought(rx.sender, gained);
        }
    }

    /// Adds a piece to its message. If that completes the message, reacts to it and returns true.
    fn join_pieces(&mut self, rx: &Rx<'_>, piece: &Piece) -> bool {
        // From an address that is not validated, anything may come in the name of a member.
        if self.cause.is_limited() || self.swim.members.get(rx.sender).is_none() {
            return false;
        }
        let size_max = self.swim.config.datagram_size_max();
        let is_sealed = rx.sealed.is_some();
        let now = self.now.monotonic;
        let reassembly = &mut self.swim.anti_entropy.reassembly;
        let Some(plain) = reassembly.add(rx.sender, is_sealed, piece, size_max, now) else {
            return false;
        };
        let mut names = None;
        let Ok(message) = self.read(&plain, &mut names) else {
            return false;
        };
        let (mut digest, mut is_piece) = (None, false);
        if let Some(trailer) = &message.trailer {
            digest = trailer.digest;
            is_piece = matches!(trailer.note, Some(Extension::Piece(_)));
        }
        if is_piece || *message.sender != **rx.sender {
            return false;
        }
        let rx = Rx {
            plain: &plain,
            digest,
            ..*rx
        };
        self.react(&rx, &message);
        true
    }

    /// Hears the events and does what the message asks for. Returns the digest that an ACK without one
    /// confirms: that of the PING that it answers.
    fn act(&mut self, rx: &Rx<'_>, message: &Message<'_>, reaction: &mut Reaction) -> Option<u64> {
        let sender = rx.sender;
        self.apply_all(sender, &message.events, reaction);
        let note = match &message.trailer {
            Some(trailer) => trailer.note.as_ref(),
            None => None,
        };
        let asks_keys = match &message.trailer {
            Some(trailer) => trailer.asks_keys && rx.is_encrypted,
            None => false,
        };
        let is_for_me = |uri: Option<&str>| uri == self.swim.me.uri.as_deref();
        match &message.body {
            // Keys are told to a validated address only.
            Body::Ping(echo) if is_for_me(echo.dst) && !(asks_keys && self.cause.is_limited()) => {
                self.answer(rx, echo, asks_keys);
            }
            Body::Ack(echo) if is_for_me(echo.src) => {
                return self.hear_ack(rx, echo, reaction);
            }
            Body::Ack(echo) => self.relay_answer(echo),
            Body::Ping(_) | Body::SyncReq(_) if self.cause.is_limited() => {
                self.set_aside(sender, rx.source, rx.plain);
            }
            Body::Ping(echo) => self.relay_ping(sender, echo),
            Body::SyncReq(records) => {
                if message.trailer.is_some() {
                    self.tell_duplicates(sender);
                }
                self.answer_sync(sender, records, reaction);
            }
            Body::SyncAck(records) => match note {
                Some(Extension::Differ { buckets, last }) => {
                    self.apply_differing(sender, buckets, *last, records, reaction);
                    // It is owed what is better known here.
                    if *last && self.cause.is_limited() {
                        self.set_aside(sender, rx.source, rx.plain);
                    }
                }
                _ => self.end_sync(sender, records, reaction),
            },
            Body::Leave => self.hear_extension(rx, note, reaction),
        }
        None
    }

    /// An answer to a question of the local node, from the member that it is about or through a relay.
    /// If it validates the address of its sender, what that has asked for is served now.
    fn hear_ack(
        &mut self,
        rx: &Rx<'_>,
        echo: &PingData<'_>,
        reaction: &mut Reaction,
    ) -> Option<u64> {
        let Some(path) = self.swim.security.cookies.path(echo) else {
            self.swim.stats.acks_unsolicited += 1;
            return None;
        };
        let confirmed = self.hear_answer(rx.sender, echo, path);
        // Only its own answer shows where the sender is. A relay has seen the cookie of an indirect ping,
        // and an old one may be a recording.
        let is_own = path == Path::Direct && echo.dst == Some(&**rx.sender);
        let ts = echo.ts?;
        if !is_own || !cookie::is_recent(ts, self.now.wall) {
            return None;
        }
        self.swim.members.set_validated(rx.sender, rx.source);
        if let Some(sighting) = &mut self.swim.output.sighting {
            sighting.answered = true;
        }
        self.cause.validate(rx.sender);
        let amplification = &mut self.swim.security.amplification;
        let Some(waiting) = amplification.end_waiting(rx.sender, rx.source, self.now) else {
            return confirmed;
        };
        if waiting.is_newcomer && self.swim.members.is_legacy(rx.sender) {
            self.sync_with(rx.sender);
        }
        // What it has asked was not answered yet, however often.
        self.swim.detector.path_mtu.forget_answers(rx.sender);
        if let Some(request) = waiting.request
            && let mut names = None
            && let Ok(message) = self.read(&request, &mut names)
        {
            let rx = Rx {
                plain: &request,
                ..*rx
            };
            self.act(&rx, &message, reaction);
        }
        confirmed
    }

    /// What came from the address of `uri` could not be decoded. If it is dead, that is why.
    pub fn hear_undecodable(&mut self, uri: &str) {
        let Some(member) = self.swim.members.get(uri) else {
            return;
        };
        if member.claim.status != Status::Dead {
            return;
        }
        let uri = member.uri.clone();
        let claim = member.claim.with(Status::NonDecryptable);
        self.swim.members.set_logged_gone(&uri, true);
        self.swim
            .report(LogEvent::Undecryptable { uri: uri.clone() });
        self.apply(&Event::local(&uri, claim), &Reason::Undecodable);
    }
}
