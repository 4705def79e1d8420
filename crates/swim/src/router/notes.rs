//! What a datagram shows of its sender: what it runs, what it knows, and whom it has introduced.

use super::Turn;
use crate::dissemination::gossip::FEW;
use crate::identity::uri::Uri;
use crate::security::acquaintance::Acquaintance;
use crate::security::seal::aead::Sealed;
use crate::security::seal::keyring::KeyId;
use crate::table::claim::Status;
use crate::table::member::Dialect;
use crate::wire::{Body, Message};

impl Turn<'_> {
    /// Notes what the sender is. A native one with another table is asked where they differ.
    pub(super) fn note_dialect(
        &mut self,
        sender: &Uri,
        message: &Message<'_>,
        confirmed: Option<u64>,
    ) {
        if self.swim.me.is(sender) {
            return;
        }
        let Some(trailer) = &message.trailer else {
            return self.swim.members.set_dialect(sender, Dialect::Legacy);
        };
        let digest = trailer.digest.or(confirmed);
        if trailer.reads_short
            && let Some(claim) = self.swim.members.claim(sender)
        {
            let members = &mut self.swim.members;
            members.note_short_reader(sender, claim.incarnation);
        }
        self.swim
            .members
            .set_dialect(sender, Dialect::Native { digest });
        if self.agrees(sender) {
            self.note_agreement(sender);
        }
        // Of a prober and the probed, one is enough to begin: the prober, unless the other has just
        // come and cannot wait for its turn.
        if !matches!(message.body, Body::Ping(_)) || self.swim.anti_entropy.digest.is_joining() {
            self.compare_digest(sender, digest);
        }
    }

    /// The table of `sender` is like the local one.
    fn note_agreement(&mut self, sender: &Uri) {
        let Some(own) = self.swim.own_claim() else {
            return;
        };
        self.swim.members.note_told(sender, own.incarnation);
        self.swim.me.is_known = true;
        let digest = self.swim.members.digest().total();
        let most_know = self.swim.anti_entropy.digest.note_agreement(digest);
        // The others find by their digests what they miss. Suspicions show in none.
        let is_crowd = self.swim.rumors.len() > FEW;
        if most_know && is_crowd && self.swim.members.count(Status::Suspect) == 0 {
            self.swim.rumors.clear();
        }
    }

    /// Notes whether the sender says of itself that it is suspect.
    pub(super) fn note_doubt(&mut self, sender: &Uri, message: &Message<'_>) {
        for event in &message.events {
            if event.claim.status == Status::Suspect && *event.uri == **sender {
                let why = match &message.trailer {
                    Some(trailer) => trailer.self_suspicion,
                    None => None,
                };
                let incarnation = event.claim.incarnation;
                self.swim
                    .members
                    .note_self_suspicion(sender, incarnation, why);
                return;
            }
        }
    }

    /// What `sender` has shown to take.
    pub(super) fn note_form(
        &mut self,
        sender: &Uri,
        message: &Message<'_>,
        sealed: Option<Sealed>,
    ) {
        let key = match (sealed, &message.trailer) {
            (Some(sealed), _) => Some(sealed.key),
            (None, Some(trailer)) => trailer.offers,
            (None, None) => None,
        };
        self.swim.members.set_key(sender, key);
    }

    /// Notes which keys `sender` has: the one that the datagram at hand was encrypted with, and those that it
    /// tells of.
    pub(super) fn note_keys(
        &mut self,
        sender: &Uri,
        message: &Message<'_>,
        encrypted_with: Option<KeyId>,
    ) {
        // What is not encrypted may have been written by any sender.
        let told = match &message.trailer {
            Some(trailer) if encrypted_with.is_some() => &trailer.keys[..],
            _ => &[],
        };
        let is_validated = !self.cause.is_limited();
        let members = &mut self.swim.members;
        members.note_keys(sender, encrypted_with, told, is_validated);
        if is_validated {
            self.hear_survey_answer(sender, message, told, encrypted_with);
        }
    }

    /// Notes which members `sender` tells of, if it has answered itself.
    pub(super) fn note_introductions(&mut self, sender: &Uri, message: &Message<'_>) {
        let Some(member) = self.swim.members.get(sender) else {
            return;
        };
        if !member.has_answered {
            return;
        }
        let records = match &message.body {
            Body::SyncReq(records) | Body::SyncAck(records) => &records[..],
            Body::Ping(_) | Body::Ack(_) | Body::Leave => &[],
        };
        for told in [&message.events[..], records] {
            for event in told {
                self.swim
                    .members
                    .acquaint(&event.uri, Acquaintance::Introduced);
            }
        }
    }
}
