//! The life of an identity: becoming somebody, saying something of oneself, leaving.

use crate::detector::clock_reading::ClockReading;
use crate::detector::indirect;
use crate::detector::isolation::Isolation;
use crate::detector::self_check::Application;
use crate::dissemination::digest_sync::Repair;
use crate::identity::uri::Uri;
use crate::security::seal::Seal;
use crate::table::claim::{Claim, Incarnation, Status};
use crate::table::member::Member;
use crate::table::payload::Payload;
use crate::time::Now;
use crate::timers::{Timer, Timers};
use crate::wire::{Event, MessageBuilder, MessageType};
use crate::{Refused, Swim};

impl Swim {
    /// Becomes `uri` and takes part in the group. Who was somebody else before is said to be dead.
    ///
    /// Members, payload and incarnation stay as they are.
    pub fn init(&mut self, uri: Uri, now: Now) {
        self.restore(&uri, now);
        let old = self.myself.replace(uri.clone()).filter(|old| *old != uri);
        if old.is_some() {
            self.members.forget_told();
        }
        let old = old.and_then(|old| self.members.get(&old).cloned());
        let incarnation = self.first_incarnation(&uri, old.as_ref());
        if let Some(Member {
            uri: old, claim, ..
        }) = old
        {
            let claim = claim.with(Status::Dead);
            self.apply(
                &Event {
                    uri: &old,
                    claim,
                    payload: None,
                    ttl: 0.0,
                },
                now,
            );
        }
        if let Some(place) = self.members.place_of(&uri) {
            self.members.suspicions.stop(place);
            self.members.departures.stop(place);
        }
        if self.own_claim() != Some(Claim::alive(incarnation)) {
            self.announce(Claim::alive(incarnation), now);
        }
        // Even if nothing of it is new: a reader that remembers who I was is to look again.
        if let Some(place) = self.members.place_of(&uri) {
            self.members.history.measure(place);
        }
        if !self.timers.is_set(Timer::Period) {
            self.timers.set(Timer::Period, now.monotonic);
            self.timers.set(Timer::AntiEntropy, now.monotonic);
        }
    }

    /// With which incarnation to become `uri`: none that it, or who I was, has used for something else.
    fn first_incarnation(&mut self, uri: &Uri, old: Option<&Member>) -> Incarnation {
        let known = self.members.claim(uri).map(|claim| match claim.status {
            Status::Alive => claim.incarnation,
            _contradicted => claim.incarnation.next(),
        });
        let former = self.former.take().filter(|(former, _)| former == uri);
        let former = former.map(|(_, incarnation)| incarnation.next());
        let old = old.map(|old| old.claim.incarnation);
        [known, former, old]
            .into_iter()
            .flatten()
            .max()
            .unwrap_or(Incarnation::FIRST)
    }

    /// Says good-bye to everybody who is live, and forgets them. False if there is nothing to leave.
    pub fn leave(&mut self) -> bool {
        let (Some(own), Some(myself)) = (self.own_claim(), self.myself.take()) else {
            return false;
        };
        self.outbox.clear();
        let (limit, trailer) = (self.datagram_capacity(), self.trailer());
        let claim = own.with(Status::Left);
        let live = self.members.live().map(|member| member.uri.clone());
        let live: Vec<Uri> = live.filter(|uri| *uri != myself).collect();
        for _twice in 0..2 {
            for to in &live {
                let mut draft = MessageBuilder::leave(&myself, limit).trailed_by(&trailer);
                if draft.event(&myself, claim, Some(&self.payload), self.rumor_limit())
                    || draft.event(&myself, claim, None, self.rumor_limit())
                {
                    self.send(MessageType::Leave, draft, to);
                }
            }
        }
        self.former = Some((myself, own.incarnation));
        self.members.clear();
        self.rumors.clear();
        self.prober.give_up();
        self.app_pings.clear();
        self.indirect_pings = indirect::IndirectPings::default();
        self.timers = Timers::default();
        self.syncing = false;
        self.repair = Repair::default();
        self.sessions.clear();
        self.amplification.clear();
        self.application = Application::default();
        self.clock_reading = ClockReading::default();
        self.isolation = Isolation::default();
        true
    }

    /// Replaces my payload: a MessagePack map or array. One that means the same changes nothing.
    pub fn set_payload(&mut self, bytes: &[u8], now: Now) -> Result<(), Refused> {
        let own = self.own_claim().ok_or(Refused::NotInitialized)?;
        let payload = Payload::new(bytes);
        if payload.as_ref() == Ok(&self.payload) {
            return Ok(());
        }
        let (size, limit) = (bytes.len(), self.payload_limit());
        if size > limit {
            return Err(Refused::PayloadTooLarge { size, limit });
        }
        let payload = payload.map_err(Refused::PayloadUnfit)?;
        let incarnation = own.incarnation.next();
        if incarnation == own.incarnation {
            return Err(Refused::Exhausted);
        }
        self.payload = payload;
        self.announce(Claim { incarnation, ..own }, now);
        Ok(())
    }

    /// How large a payload may be, in bytes: it travels in PINGs and ACKs, behind what they say of
    /// sender, recipient and question. Others are taken to have URIs as long as mine.
    pub fn payload_limit(&self) -> usize {
        let uri = self.myself.as_ref().map_or(0, |myself| myself.len());
        // A key may be set any time, and the payload must fit then too.
        let sealed = Seal::capacity_at_worst(self.config.max_packet_size);
        let label = self.label_size();
        sealed.saturating_sub(ACK_SIZE + URIS_PER_ACK * (uri + 2) + label)
    }
}

/// An ACK without URIs and payload: heads, type, `ts`, `ats`, `src`, `dst`, two events with their
/// incarnations in nine bytes, and the trailer with a digest.
const ACK_SIZE: usize = 1 + 4 + 1 + (3 + 9) + (4 + 9) + 4 + 4 + 1 + 2 * (1 + 1 + 9 + 5) + 11;

/// Sender, `src`, `dst`, and the subjects of two events.
const URIS_PER_ACK: usize = 5;
