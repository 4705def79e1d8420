//! A datagram came: hear its events, then do what it asks for.

use super::Swim;
use super::claim::Status;
use super::member::Dialect;
use super::report::Report;
use super::seal::aead::Sealed;
use super::time::Now;
use super::uri::Uri;
use super::wire::{Body, Echo, Event, Kind, Malformed, Message, Note, ack_data, decode};

impl Swim {
    /// A datagram came. One that is malformed is counted, and changes nothing else.
    pub fn handle_datagram(&mut self, datagram: &[u8], now: Now) -> Result<(), Malformed> {
        if self.myself.is_none() {
            return Ok(());
        }
        self.notice_pause(now);
        let taken = self.take(datagram, now);
        taken.inspect_err(|why| self.stats.malformed[*why as usize] += 1)
    }

    fn take(&mut self, datagram: &[u8], now: Now) -> Result<(), Malformed> {
        let opened = self.seal().open(datagram)?;
        let message = decode(&opened.plain)?;
        let sender = Uri::from_wire(message.sender).expect("checked when decoded");
        self.admit(&sender, &message, opened.sealed, now)?;
        self.stats
            .received
            .count(message.body.kind(), datagram.len());
        self.stats.events_skipped += message.skipped as u64;
        if self.myself.as_ref() != Some(&sender) {
            self.hearing.heard(now.monotonic);
        }
        self.refuted = false;
        if opened.sealed.is_some() {
            self.react(&sender, &message, opened.sealed, now);
        } else {
            self.oblige(now, |swim| {
                swim.react(&sender, &message, None, now);
            });
        }
        Ok(())
    }

    /// Does what comes of a message that may be believed.
    fn react(&mut self, sender: &Uri, message: &Message<'_>, sealed: Option<Sealed>, now: Now) {
        self.exhume(sender, now);
        let strange = self.members.get(sender).is_none();
        self.act(sender, message, now);
        // Who has told me what is not so shall be the first to hear it; an ACK says it anyway.
        if self.refuted && !matches!(message.body, Body::Ping(_)) {
            self.push_to(sender);
        }
        self.note_form(sender, message, sealed);
        self.note_dialect(sender, message, now);
        self.note_doubt(sender, message);
        // Somebody new has come to us, or we to him: the sooner we know whom he knows, the better.
        if strange && message.trailer.is_none() && self.members.get(sender).is_some() {
            self.sync_with(sender, now);
        }
        self.end_reply(now);
    }

    fn act(&mut self, sender: &Uri, message: &Message<'_>, now: Now) {
        message
            .events
            .iter()
            .for_each(|event| self.hear(event, now));
        let note = message
            .trailer
            .as_ref()
            .and_then(|trailer| trailer.note.as_ref());
        match &message.body {
            Body::Ping(echo) if echo.dst == self.myself.as_deref() => {
                self.answer(sender, echo, now)
            }
            Body::Ping(echo) => self.relay_ping(sender, echo),
            Body::Ack(echo) if echo.src == self.myself.as_deref() => {
                self.hear_answer(sender, echo, now);
            }
            Body::Ack(echo) => self.relay_answer(echo),
            Body::SyncReq(records) => self.answer_sync(sender, records, now),
            Body::SyncAck(records) => match note {
                Some(Note::Differ { buckets, last }) => {
                    self.hear_differing(sender, buckets, *last, records, now);
                }
                _ => self.end_sync(records, now),
            },
            Body::Leave => match note {
                Some(Note::Compare(sums)) => self.show_differing(sender, sums, now),
                Some(Note::Nack { ts, dst }) => self.hear_nack(sender, *ts, dst, now),
                Some(Note::Differ { .. }) | None => {}
            },
        }
    }

    /// Notes what the sender is; one of ours whose table differs from mine is asked where.
    fn note_dialect(&mut self, sender: &Uri, message: &Message<'_>, now: Now) {
        if self.myself.as_ref() == Some(sender) {
            return;
        }
        let Some(trailer) = &message.trailer else {
            return self.members.set_dialect(sender, Dialect::Rock);
        };
        let digest = trailer.digest;
        self.members.set_dialect(sender, Dialect::Ours { digest });
        // Of a prober and the probed, one is enough to begin: the prober, unless the other has just
        // come and cannot wait for its turn.
        if !matches!(message.body, Body::Ping(_)) || self.repair.is_joining() {
            self.compare_digest(sender, digest, now);
        }
    }

    /// Notes whether the sender says of itself that it is suspect.
    fn note_doubt(&mut self, sender: &Uri, message: &Message<'_>) {
        let doubts =
            |event: &&Event<'_>| event.claim.status == Status::Suspect && event.uri == &**sender;
        let doubt = message.events.iter().find(doubts);
        if let Some(doubt) = doubt
            && let Some(evidence) = self.members.evidence(sender)
        {
            evidence.note_doubt(doubt.claim.incarnation);
        }
    }

    fn answer(&mut self, asker: &Uri, echo: &Echo<'_>, now: Now) {
        let data = ack_data(echo.raw, now.wall);
        self.tell(Kind::Ack, &data, asker);
    }

    /// What came from the address of `uri` could not be decoded. If it is dead, that is why.
    pub fn handle_gibberish(&mut self, uri: &str, now: Now) {
        let Some(member) = self
            .members
            .get(uri)
            .filter(|m| m.claim.status == Status::Dead)
        else {
            return;
        };
        let claim = member.claim.with(Status::NonDecryptable);
        self.report(Report::Undecryptable {
            uri: member.uri.clone(),
        });
        self.hear(
            &Event {
                uri,
                claim,
                payload: None,
                ttl: 0.0,
            },
            now,
        );
    }

    /// Nothing could be sent to `uri`: its name does not resolve, or the system refuses.
    pub fn handle_unsent(&mut self, uri: &str) {
        self.give_up_asking(uri);
    }
}
