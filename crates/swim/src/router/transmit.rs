//! Sending: the form of a datagram, and how much may be sent to each member.

use super::Turn;
use crate::Transmit;
use crate::identity::uri::Uri;
use crate::security::amplification::Peers;
use crate::security::authentication::Form;
use crate::security::seal::aead::SealedHeader;
use crate::security::session::address;
use crate::table::claim::Status;
use crate::table::member::Dialect;
use crate::wire::{Extension, MessageBuilder, MessageType, Trailer, checksummed};

impl Turn<'_> {
    /// Hands a datagram out.
    pub(super) fn send(&mut self, kind: MessageType, draft: MessageBuilder, to: &Uri) {
        if self.is_blocked(to) {
            return;
        }
        let Some(plain) = draft.finish() else {
            self.swim.stats.oversized += 1;
            return;
        };
        let member = self.swim.members.get(to);
        let unheard = match member {
            Some(member) => member.dialect == Dialect::Unknown,
            None => true,
        };
        let datagram = self.seal_for(to, plain);
        if !self.hand_out(kind, datagram, to) {
            return;
        }
        // On the way from one form to the other it is unknown which of them a newcomer takes.
        if self.swim.seal().is_changing()
            && kind == MessageType::Ping
            && unheard
            && self.reply.is_none()
        {
            self.send_sealed_empty(to);
        }
    }

    /// Hands a datagram out, unless it is larger than it may be. Returns whether it was.
    fn hand_out(&mut self, kind: MessageType, datagram: Vec<u8>, to: &Uri) -> bool {
        if let Some(left) = self.bytes_left(to)
            && datagram.len() > left
        {
            self.swim.stats.amplification_limited += 1;
            return false;
        }
        let peers = Peers {
            me: self.swim.me.uri.as_ref(),
            members: &self.swim.members,
        };
        self.swim.security.amplification.spend_on(
            &mut self.cause,
            to,
            datagram.len(),
            peers,
            self.now,
        );
        self.swim.stats.sent.count(kind, datagram.len());
        let anew = match self.swim.members.claim(to) {
            Some(claim) if claim.status == Status::Alive => self.swim.detector.prober.waits_for(to),
            _ => true,
        };
        self.swim.output.datagrams.push_back(Transmit {
            to: to.clone(),
            datagram,
            anew,
        });
        true
    }

    /// Sends a message that says nothing.
    pub(super) fn send_empty(&mut self, to: &Uri) {
        if let Some(draft) = self.empty_draft() {
            self.send(MessageType::Leave, draft, to);
        }
    }

    /// Says nothing, in the form that is authenticated.
    fn send_sealed_empty(&mut self, to: &Uri) {
        if self.swim.me.is(to) || self.is_blocked(to) {
            return;
        }
        if let Some(draft) = self.empty_draft()
            && let Some(plain) = draft.finish()
        {
            let datagram = self.seal_authenticated(to, plain);
            self.hand_out(MessageType::Leave, datagram, to);
        }
    }

    fn empty_draft(&self) -> Option<MessageBuilder> {
        let myself = self.swim.me.uri.as_ref()?;
        let draft = MessageBuilder::leave(myself, self.swim.datagram_capacity());
        Some(draft.trailed_by(&self.trailer()))
    }

    /// Sends something that only a native peer understands.
    pub fn send_extension(&mut self, note: Extension, to: &Uri) {
        let trailer = Trailer {
            note: Some(note),
            ..self.trailer()
        };
        if let Some(draft) = self.empty_draft() {
            self.send(MessageType::Leave, draft.trailed_by(&trailer), to);
        }
    }

    /// What goes behind every message: that the local node is native, and the digest of its table; of
    /// which group it is, and what else it understands.
    pub(super) fn trailer(&self) -> Trailer {
        Trailer {
            digest: Some(self.swim.members.digest().total()),
            offers: self.swim.seal().offered_key(),
            label: self.swim.seal().shown_label(),
            self_suspicion: self.swim.own_self_suspicion(),
            ..Trailer::default()
        }
    }

    /// A message in the form that `to` takes.
    pub(super) fn seal_for(&mut self, to: &Uri, plain: Vec<u8>) -> Vec<u8> {
        let (aead, old) = (self.swim.seal().takes_aead(), self.swim.seal().old_form());
        // Only what is authenticated has room for the challenge or the response.
        let replies = match self.reply.as_deref() {
            Some(reply) => reply.to == *to,
            None => false,
        };
        if !aead || old.is_some() && !replies && !self.takes_aead(to) {
            return self.swim.seal().seal_old(checksummed(plain));
        }
        self.seal_authenticated(to, plain)
    }

    /// A message in the form that is authenticated.
    fn seal_authenticated(&mut self, to: &Uri, plain: Vec<u8>) -> Vec<u8> {
        let stamp = self.swim.security.sessions.stamp();
        let mut slip = SealedHeader {
            to: address(to),
            ..SealedHeader::default()
        };
        // The first is what was asked for. If others carried the response too and overtook it, it would
        // come too late to be believed.
        if let Some(reply) = self.reply.as_deref_mut()
            && reply.to == *to
            && !reply.sent
        {
            (slip.challenge, slip.response) = (reply.challenge, reply.response);
            reply.sent = true;
        }
        // A sender that is only challenged may be a recording, played by another: its challenge in turn
        // is not to be answered because of that.
        let only_challenges = slip.challenge.is_some() && slip.response.is_none();
        if !only_challenges && !self.swim.me.is(to) {
            self.swim.security.sessions.note_recipient(to, self.now);
        }
        self.swim.seal().seal(stamp, &slip, plain)
    }

    /// Whether `to` is known to take what the local node seals.
    fn takes_aead(&self, to: &Uri) -> bool {
        let key = self.swim.security.keys.sending();
        let (Some(key), Some(member)) = (key, self.swim.members.get(to)) else {
            return false;
        };
        member.seals_with == Some(key.id())
    }

    /// Tells all members which form the local node takes, if that has changed: until its next ping they
    /// might send the wrong one.
    pub(super) fn show_form(&mut self, before: Form) {
        if self.swim.seal().form() == before {
            return;
        }
        // Without a URI there is nothing to be said to anyone.
        let Some(myself) = self.swim.me.uri.clone() else {
            return;
        };
        for to in self.live_others(&myself) {
            self.send_empty(&to);
        }
    }

    /// The live members but the local node, `myself`.
    pub(super) fn live_others(&self, myself: &Uri) -> Vec<Uri> {
        let mut others = Vec::new();
        for member in self.swim.members.live() {
            if member.uri != *myself {
                others.push(member.uri.clone());
            }
        }
        others
    }

    /// How many bytes of MessagePack a datagram to `to` can hold now.
    pub(super) fn capacity_to(&self, to: &Uri) -> usize {
        let size = self.swim.config.max_packet_size;
        let left = self.bytes_left(to).unwrap_or(size);
        self.swim.seal().capacity(size.min(left))
    }

    /// Whether nothing is sent to `to` for now, and counts that. To be asked before anything is made
    /// up to be sent.
    pub(super) fn is_blocked(&mut self, to: &Uri) -> bool {
        let blocked = self.bytes_left(to) == Some(0);
        self.swim.stats.amplification_limited += u64::from(blocked);
        blocked
    }

    /// How many bytes a datagram to `to` may have now; `None` if there is no limit but its usual size.
    pub(super) fn bytes_left(&self, to: &Uri) -> Option<usize> {
        let amplification = &self.swim.security.amplification;
        amplification.bytes_left(&self.cause, to, self.peers(), self.now)
    }
}
