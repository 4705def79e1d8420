//! Sending: the form of a datagram, and how much may be sent to each member.

use core::net::SocketAddr;

use crate::identity::uri::Uri;
use crate::security::amplification::{Cause, Peers};
use crate::security::authentication::{Form, Reply};
use crate::security::seal::Seal;
use crate::security::seal::aead::SealedHeader;
use crate::security::session::address;
use crate::table::claim::Status;
use crate::table::member::Dialect;
use crate::wire::{Extension, MessageBuilder, MessageType, Trailer, checksummed};
use crate::{Swim, Transmit};

impl Swim {
    /// Hands a datagram out.
    pub(super) fn send(&mut self, kind: MessageType, draft: MessageBuilder, to: &Uri) {
        if self.is_blocked(to) {
            return;
        }
        let Some(plain) = draft.finish() else {
            self.stats.oversized += 1;
            return;
        };
        let member = self.members.get(to);
        let status = member.map(|member| member.claim.status);
        let unheard = member.is_none_or(|member| member.dialect == Dialect::Unknown);
        let datagram = self.seal_for(to, plain);
        if self
            .bytes_left(to)
            .is_some_and(|left| datagram.len() > left)
        {
            self.stats.amplification_limited += 1;
            return;
        }
        let peers = Peers {
            me: self.me.uri.as_ref(),
            members: &self.members,
        };
        self.security
            .amplification
            .spend_on(to, datagram.len(), peers);
        self.stats.sent.count(kind, datagram.len());
        let anew = status != Some(Status::Alive) || self.detector.prober.waits_for(to);
        self.output.datagrams.push_back(Transmit {
            to: to.clone(),
            datagram,
            anew,
        });
        // On the way from one form to the other it is unknown which of them a newcomer takes.
        if self.seal().is_changing()
            && kind == MessageType::Ping
            && unheard
            && self.security.reply.is_none()
        {
            self.send_sealed_empty(to);
        }
    }

    /// Sends a message that says nothing.
    pub(super) fn send_empty(&mut self, to: &Uri) {
        let Some(myself) = self.me.uri.clone() else {
            return;
        };
        let draft = MessageBuilder::leave(&myself, self.datagram_capacity());
        self.send(MessageType::Leave, draft.trailed_by(&self.trailer()), to);
    }

    /// Says nothing, in the form that is authenticated.
    fn send_sealed_empty(&mut self, to: &Uri) {
        if self.me.uri.as_ref() == Some(to) {
            return;
        }
        self.security.reply = Some(Reply::new(to));
        self.send_empty(to);
        self.security.reply = None;
    }

    /// Sends something that only a native peer understands.
    pub(crate) fn send_extension(&mut self, note: Extension, to: &Uri) {
        let Some(myself) = self.me.uri.clone() else {
            return;
        };
        let trailer = Trailer {
            note: Some(note),
            ..self.trailer()
        };
        let draft = MessageBuilder::leave(&myself, self.datagram_capacity()).trailed_by(&trailer);
        self.send(MessageType::Leave, draft, to);
    }

    /// What goes behind every message: that the local node is native, and the digest of its table; of
    /// which group it is, and what else it understands.
    pub(super) fn trailer(&self) -> Trailer {
        Trailer {
            digest: Some(self.members.digest().total()),
            offers: self.seal().offered_key(),
            label: self.seal().shown_label(),
            ..Trailer::default()
        }
    }

    /// How datagrams are sealed and opened at this moment.
    pub(super) fn seal(&self) -> Seal<'_> {
        Seal {
            keys: &self.security.keys,
            cipher: self.config.encryption_cipher,
            iv: &self.config.encryption_init,
            label: &self.config.group_label,
        }
    }

    /// A message in the form that `to` takes.
    pub(super) fn seal_for(&mut self, to: &Uri, plain: Vec<u8>) -> Vec<u8> {
        let (aead, old) = (self.seal().takes_aead(), self.seal().old_form());
        let replies = self
            .security
            .reply
            .as_ref()
            .is_some_and(|reply| reply.to == *to);
        if !aead || old.is_some() && !replies && !self.takes_aead(to) {
            return self.seal().seal_old(checksummed(plain));
        }
        let stamp = self.security.sessions.stamp();
        let mut slip = SealedHeader {
            to: address(to),
            ..SealedHeader::default()
        };
        // The first is what was asked for. If others carried the response too and overtook it, it would
        // come too late to be believed.
        let unsent = |reply: &&mut Reply| reply.to == *to && !reply.sent;
        if let Some(reply) = self.security.reply.as_mut().filter(unsent) {
            (slip.challenge, slip.response) = (reply.challenge, reply.response);
            reply.sent = true;
        }
        let only_challenges = slip.challenge.is_some() && slip.response.is_none();
        if !only_challenges && self.me.uri.as_ref() != Some(to) {
            self.security.sessions.note_recipient(to);
        }
        self.seal().seal(stamp, &slip, plain)
    }

    /// Whether `to` is known to take what the local node seals.
    fn takes_aead(&self, to: &Uri) -> bool {
        let mine = self.security.keys.sending().map(|key| key.id());
        let theirs = self.members.get(to).and_then(|member| member.seals_with);
        mine.is_some() && mine == theirs
    }

    /// Tells all members which form the local node takes, if that has changed: until its next ping they
    /// might send the wrong one.
    pub(super) fn show_form(&mut self, before: Form) {
        if self.seal().form() == before {
            return;
        }
        let myself = self.me.uri.as_ref();
        let others = self.members.live().map(|member| &member.uri);
        let others: Vec<Uri> = others.filter(|uri| Some(*uri) != myself).cloned().collect();
        others.iter().for_each(|to| self.send_empty(to));
    }

    /// How many bytes of MessagePack a datagram can hold.
    pub(super) fn datagram_capacity(&self) -> usize {
        self.seal().capacity(self.config.max_packet_size)
    }

    /// How many bytes of MessagePack a datagram to `to` can hold now.
    pub(super) fn capacity_to(&self, to: &Uri) -> usize {
        let size = self.config.max_packet_size;
        let left = self.bytes_left(to).unwrap_or(size);
        self.seal().capacity(size.min(left))
    }

    /// Runs `act` because of what others have said earlier.
    pub(super) fn because_of_others<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        self.with_cause(Cause::Others { validated: None }, act)
    }

    /// Whether nothing is sent to `to` for now, and counts that. To be asked before anything is made
    /// up to be sent.
    pub(super) fn is_blocked(&mut self, to: &Uri) -> bool {
        let blocked = self.bytes_left(to) == Some(0);
        self.stats.amplification_limited += u64::from(blocked);
        blocked
    }

    /// Runs `act` because of a datagram of `sender`, to which so many bytes may be sent for that.
    pub(super) fn with_bytes<T>(
        &mut self,
        sender: &Uri,
        source: SocketAddr,
        left: usize,
        act: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let cause = Cause::datagram(sender, source, left, self.peers());
        self.with_cause(cause, act)
    }

    fn with_cause<T>(&mut self, cause: Cause, act: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.security.amplification.set_cause(cause);
        let done = act(self);
        self.security.amplification.set_cause(before);
        done
    }

    pub(super) const fn peers(&self) -> Peers<'_> {
        Peers {
            me: self.me.uri.as_ref(),
            members: &self.members,
        }
    }

    /// How many bytes a datagram to `to` may have now; `None` if there is no limit but its usual size.
    pub(super) fn bytes_left(&self, to: &Uri) -> Option<usize> {
        self.security.amplification.bytes_left(to, self.peers())
    }
}
