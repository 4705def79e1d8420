//! Sending: the form of a datagram, and how much may be sent to each member.

use core::net::SocketAddr;

use rand::RngExt;

use super::Turn;
use crate::Transmit;
use crate::config::{PACKET_SIZE_OF_IPV6, PACKET_SIZE_USUAL};
use crate::detector::question::Question;
use crate::dissemination::pieces::cut;
use crate::identity::uri::Uri;
use crate::security::amplification::Peers;
use crate::security::authentication::Form;
use crate::security::cookie::Path;
use crate::table::claim::Status;
use crate::table::member::Dialect;
use crate::wire::{Extension, MessageBuilder, MessageType, Piece, Trailer, ping_data};

/// What MessagePack puts before bytes, if there are less than 65,536 of them.
const BIN_HEAD_SIZE_MAX: usize = 3;

impl Turn<'_> {
    /// Hands a datagram out, in pieces if it is too large for the path. Returns how large it is, or the
    /// largest of the pieces; 0 if none was handed out.
    pub(super) fn send(&mut self, kind: MessageType, draft: MessageBuilder, to: &Uri) -> usize {
        self.send_at(kind, draft, to, None)
    }

    /// The same, to this address if there is one: the URI of `to` may lead elsewhere.
    pub(super) fn send_at(
        &mut self,
        kind: MessageType,
        draft: MessageBuilder,
        to: &Uri,
        at: Option<SocketAddr>,
    ) -> usize {
        if self.is_blocked(to) {
            return 0;
        }
        let Some(plain) = draft.finish() else {
            self.swim.stats.oversized += 1;
            return 0;
        };
        let capacity = self.seal_capacity(self.path_size(to));
        // What is sent to an address that is not validated is limited as a whole.
        if plain.len() > capacity
            && self.swim.members.is_native(to)
            && self.bytes_left(to).is_none()
            && let Some(size) = self.send_in_pieces(&plain, capacity, to, at)
        {
            return size;
        }
        self.send_whole(kind, plain, to, at)
    }

    /// Sends a message in pieces, in datagrams of so much capacity. `None` if that would make too many.
    fn send_in_pieces(
        &mut self,
        plain: &[u8],
        capacity: usize,
        to: &Uri,
        at: Option<SocketAddr>,
    ) -> Option<usize> {
        let myself = self.swim.me.uri.clone()?;
        let id = self.swim.rng.random();
        let draft = |piece| {
            let trailer = Trailer {
                // The message itself has it.
                digest: None,
                note: Some(Extension::Piece(piece)),
                ..self.trailer()
            };
            MessageBuilder::leave(&myself, capacity).trailed_by(&trailer)
        };
        let largest = Piece {
            id: u32::MAX,
            index: 0,
            count: 1,
            bytes: Vec::new(),
        };
        let room = draft(largest).room().saturating_sub(BIN_HEAD_SIZE_MAX);
        let mut drafts = Vec::new();
        for piece in cut(plain, id, room)? {
            drafts.push(draft(piece).finish()?);
        }
        let mut size = 0;
        for plain in drafts {
            size = size.max(self.send_whole(MessageType::Leave, plain, to, at));
        }
        Some(size)
    }

    /// Hands a datagram out in one piece. Returns how large it is; 0 if it was not handed out.
    fn send_whole(
        &mut self,
        kind: MessageType,
        plain: Vec<u8>,
        to: &Uri,
        at: Option<SocketAddr>,
    ) -> usize {
        let member = self.swim.members.get(to);
        let unheard = match member {
            Some(member) => member.dialect == Dialect::Unknown,
            None => true,
        };
        let at = at.or(self.reply_destination(to));
        let other_keys = if kind == MessageType::Ping {
            self.other_keys_for(to)
        } else {
            Vec::new()
        };
        let again = if other_keys.is_empty() {
            Vec::new()
        } else {
            plain.clone()
        };
        let datagram = self.seal_for(to, plain);
        let size = datagram.len();
        if !self.hand_out(kind, datagram, to, at) {
            return 0;
        }
        for key in other_keys {
            let datagram = self.seal_with(Some(key), to, again.clone());
            self.hand_out(kind, datagram, to, at);
        }
        // On the way from one form to the other it is unknown which of them a newcomer takes.
        if self.swim.seal().is_changing()
            && kind == MessageType::Ping
            && unheard
            && self.reply.is_none()
        {
            self.send_sealed_empty(to);
        }
        size
    }

    /// Asks `question` in a datagram that is padded to so many bytes, and is never cut.
    pub(super) fn ask_in_size(&mut self, question: &Question, size: usize) {
        let Some(myself) = self.swim.me.uri.clone() else {
            return;
        };
        let Question { dst, ts } = question;
        let cookie = self.swim.security.cookies.make(*ts, dst, Path::Direct);
        let data = ping_data(*ts, &myself, dst, Some(cookie));
        let (kind, capacity) = (MessageType::Ping, self.seal_capacity(size));
        let trailer = self.trailer();
        let draft = MessageBuilder::with_data(kind, &myself, &data, capacity).trailed_by(&trailer);
        let padded = Trailer {
            padding: draft.room().saturating_sub(1 + BIN_HEAD_SIZE_MAX),
            ..trailer
        };
        if let Some(plain) = draft.trailed_by(&padded).finish() {
            self.send_whole(kind, plain, dst, None);
        }
    }

    /// Hands a datagram out, unless it is larger than it may be. Returns whether it was.
    fn hand_out(
        &mut self,
        kind: MessageType,
        datagram: Vec<u8>,
        to: &Uri,
        at: Option<SocketAddr>,
    ) -> bool {
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
            at,
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
            let at = self.reply_destination(to);
            let Some(key) = self.key_for(to) else { return };
            let datagram = self.seal_authenticated(key, to, plain);
            self.hand_out(MessageType::Leave, datagram, to, at);
        }
    }

    fn reply_destination(&self, to: &Uri) -> Option<SocketAddr> {
        self.reply.as_deref()?.destination(to)
    }

    pub(super) fn empty_draft(&self) -> Option<MessageBuilder> {
        let myself = self.swim.me.uri.as_ref()?;
        let draft = MessageBuilder::leave(myself, self.swim.datagram_capacity());
        Some(draft.trailed_by(&self.trailer()))
    }

    /// Sends something that only a native peer understands.
    ///
    /// Returns how large it is; 0 if it was not sent.
    pub fn send_extension(&mut self, note: Extension, to: &Uri) -> usize {
        let trailer = Trailer {
            note: Some(note),
            ..self.trailer()
        };
        match self.empty_draft() {
            Some(draft) => self.send(MessageType::Leave, draft.trailed_by(&trailer), to),
            None => 0,
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
            reads_short: true,
            keys: self.swim.seal().told_keys(),
            ..Trailer::default()
        }
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

    /// A message to `to`, made by `blank` within a limit: that of what it may be sent now, and of the path.
    /// A statement that is too large for the path may make it larger: it goes in pieces then.
    pub(super) fn limited(
        &self,
        to: &Uri,
        blank: impl Fn(usize) -> MessageBuilder,
    ) -> MessageBuilder {
        let (limit, most) = self.capacities_of_path(to);
        let left = match self.bytes_left(to) {
            Some(left) => self.seal_capacity(left),
            None => most,
        };
        blank(limit.min(left)).stretched_to(most.min(left))
    }

    /// How many bytes of MessagePack a datagram to `to` holds, and how many one in pieces may hold.
    pub(super) fn capacities_of_path(&self, to: &Uri) -> (usize, usize) {
        let limit = self.seal_capacity(self.path_size(to));
        (limit, self.swim.datagram_capacity())
    }

    /// How many bytes of MessagePack a datagram of this size can hold.
    pub(super) fn seal_capacity(&self, size: usize) -> usize {
        self.swim.seal().capacity(size)
    }

    /// The largest datagram that is sent to `to`.
    pub(super) fn path_size(&self, to: &Uri) -> usize {
        let usual = self.usual_size(to);
        match self.swim.detector.path_mtu.size_to(to) {
            Some(found) => found.min(usual),
            None => usual,
        }
    }

    /// The largest datagram that is sent to `to` unless it is found that less passes: as much as fits
    /// Ethernet, if `MAX_PACKET_SIZE` is not more than that.
    pub(super) fn usual_size(&self, to: &Uri) -> usize {
        let most = self.swim.config.max_packet_size;
        if most > PACKET_SIZE_USUAL {
            return most;
        }
        match self.swim.members.get(to) {
            Some(member) if matches!(member.validated, Some(SocketAddr::V6(_))) => {
                most.min(PACKET_SIZE_OF_IPV6)
            }
            _ => most,
        }
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
