//! What is said: questions, answers and news, made up and handed to `transmit`.

use core::net::SocketAddr;

use super::Turn;
use crate::detector::path_mtu::SIZE_MIN;
use crate::detector::question::Question;
use crate::dissemination::gossip::{Telling, event_size};
use crate::identity::uri::Uri;
use crate::security::cookie::Path;
use crate::table::claim::Status;
use crate::table::member::{Dialect, Member};
use crate::wire::{
    MessageBuilder, MessageType, ShortHead, Statement, Trailer, clock_ping_data, ping_data,
};

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    /// How large the datagram is, or the largest of its pieces; 0 if none was sent.
    pub size: usize,
    /// Whether its recipient knows what the local node says of itself, once it has come.
    pub knows: bool,
}

/// The question or answer of a PING or ACK.
#[derive(Clone, Copy)]
pub(super) struct Saying<'a> {
    /// Its map. In the short form it is what the question is if it has to be asked again.
    pub data: &'a [u8],
    /// What it is in the short form, if it is to be said in that.
    pub short: Option<ShortHead>,
}

impl Turn<'_> {
    /// Begins a probe: asks a member of the round.
    pub(super) fn ask_first(&mut self, question: &Question) -> Sent {
        let dst = &question.dst;
        let Some(myself) = self.swim.me.uri.clone() else {
            return Sent::default();
        };
        if !self.takes_short(dst) {
            return self.ask(question, dst);
        }
        let cookie = self
            .swim
            .security
            .cookies
            .make(question.ts, dst, Path::Direct);
        let saying = Saying {
            data: &ping_data(question.ts, &myself, dst, Some(cookie)),
            short: Some(self.short_ping(question, cookie, &myself)),
        };
        let trailer = self.trailer();
        self.send_with_gossip_and(
            MessageType::Ping,
            saying,
            dst,
            None,
            Telling::News,
            &trailer,
        )
        .unwrap_or_default()
    }

    /// Sends a question to `to`: the member that it is about, or a relay.
    pub(super) fn ask(&mut self, question: &Question, to: &Uri) -> Sent {
        self.ask_and_tell(question, to, Telling::News)
    }

    /// Sends a question in a datagram that passes everywhere. It may have no room for the local payload.
    pub(super) fn ask_briefly(&mut self, question: &Question, to: &Uri) -> Sent {
        self.ask_and_tell(question, to, Telling::Little)
    }

    fn ask_and_tell(&mut self, question: &Question, to: &Uri, telling: Telling) -> Sent {
        let Some(myself) = self.swim.me.uri.clone() else {
            return Sent::default();
        };
        let Question { dst, ts } = question;
        let path = if dst == to {
            Path::Direct
        } else {
            Path::Indirect
        };
        let cookie = self.swim.security.cookies.make(*ts, dst, path);
        let data = ping_data(*ts, &myself, dst, Some(cookie));
        self.send_with_gossip(MessageType::Ping, &data, to, telling)
            .unwrap_or_default()
    }

    /// Sends a question of a user: the member that it is about is to read its clock for that, and is
    /// told all that the local node says of both.
    pub(super) fn ask_in_full(&mut self, question: &Question) {
        let Some(myself) = self.swim.me.uri.clone() else {
            return;
        };
        let Question { dst, ts } = question;
        let cookie = self.swim.security.cookies.make(*ts, dst, Path::Direct);
        let data = clock_ping_data(*ts, &myself, dst, Some(cookie));
        self.send_with_gossip(MessageType::Ping, &data, dst, Telling::All);
    }

    fn ask_if(&mut self, is_due: bool, sender: &Uri) {
        if is_due && !self.is_blocked(sender) {
            let question = self.question(sender);
            self.ask(&question, sender);
        }
    }

    /// Pings a member that has just come, to find out whether it is where it says.
    pub(super) fn await_newcomer(&mut self, sender: &Uri) {
        let is_due = self
            .swim
            .security
            .amplification
            .begin_to_wait(sender, true, self.now);
        self.ask_if(is_due, sender);
    }

    /// Sets a request aside until its sender has shown to be at `source`, and pings it.
    pub(super) fn set_aside(&mut self, sender: &Uri, source: SocketAddr, plain: &[u8]) {
        let is_due = self
            .swim
            .security
            .amplification
            .begin_to_wait(sender, false, self.now);
        self.swim
            .security
            .amplification
            .set_aside(sender, source, plain, self.now);
        self.ask_if(is_due, sender);
    }

    /// Sends a PING or an ACK with everything that rides on it: first what the local node holds of the
    /// recipient, so that a suspect learns it from the next ping; then of itself; then what is new.
    ///
    /// Of an ACK, sends nothing and returns `None` where the limit for addresses that are not validated
    /// leaves no room for what the local node has to say of itself.
    pub(super) fn send_with_gossip(
        &mut self,
        kind: MessageType,
        data: &[u8],
        to: &Uri,
        telling: Telling,
    ) -> Option<Sent> {
        let trailer = self.trailer();
        let saying = Saying { data, short: None };
        self.send_with_gossip_and(kind, saying, to, None, telling, &trailer)
    }

    /// The same with this trailer, to this address if there is one.
    pub(super) fn send_with_gossip_and(
        &mut self,
        kind: MessageType,
        saying: Saying<'_>,
        to: &Uri,
        at: Option<SocketAddr>,
        telling: Telling,
        trailer: &Trailer,
    ) -> Option<Sent> {
        let Some(myself) = self.swim.me.uri.clone() else {
            return Some(Sent::default());
        };
        let is_limited = self.bytes_left(to).is_some();
        // A peer that does not believe it yet challenges, and is pinged again with the same cookie.
        if kind == MessageType::Ping && self.swim.seal().takes_aead() {
            let pings = &mut self.swim.security.sessions.pings;
            pings.remember(to, saying.data);
        }
        let blank = |limit| match saying.short {
            Some(head) => MessageBuilder::short(head, limit),
            None => MessageBuilder::with_data(kind, &myself, saying.data, limit),
        };
        let mut draft = self.limited(to, blank).trailed_by(trailer);
        if telling == Telling::Little {
            draft = draft.limited_to(self.seal_capacity(SIZE_MIN));
        }
        let limit = self.rumor_limit();
        let mut knows = true;
        if telling != Telling::All && self.is_presumed_to_know(to) {
            knows = self.knows_me(to);
        } else if telling == Telling::All || !self.goes_without_saying(to) {
            let room = event_size(&myself, &self.swim.me.payload);
            self.tell_recipient(&mut draft, to, room, |_any| true);
            // A ping to the own address has said it already: the local node is its recipient.
            let mut told = *to == myself || self.tell_of_myself(&mut draft, &myself, limit);
            // The keys can be told later, or are what was asked for.
            if !told && !trailer.keys.is_empty() && telling != Telling::Little {
                draft = draft.trailed_by(&trailer.without_keys());
                told = self.tell_of_myself(&mut draft, &myself, limit);
            }
            knows = told;
            let tells_status = !told
                && telling == Telling::Little
                && self.misses_status(kind, to)
                && self.tell_status_of_myself(&mut draft, &myself);
            if !told && !tells_status && is_limited && kind == MessageType::Ack {
                return None;
            }
        }
        if self.cause.may_be_told_news(to, self.peers()) {
            self.swim.rumors.fill(&mut draft, limit, &[to, &myself]);
        }
        let size = self.send_at(kind, draft, to, at);
        Some(Sent { size, knows })
    }

    /// Whether `to` is known to know that it and the local node are alive, and what the latter says of
    /// itself.
    fn goes_without_saying(&self, to: &Uri) -> bool {
        self.are_both_alive(to) && (self.swim.me.is(to) || self.knows_me(to))
    }

    fn are_both_alive(&self, to: &Uri) -> bool {
        let (Some(held), Some(own)) = (self.swim.members.claim(to), self.swim.own_claim()) else {
            return false;
        };
        // What is not alive has to be said to the one that can refute it, and by the local node until all
        // know that it is suspect.
        held.status == Status::Alive && own.status == Status::Alive
    }

    /// Whether `to` has what the local node says of itself, as far as the group has: the table of a peer is like the local
    /// one. If it has not, its digest shows that in its next datagram.
    fn is_presumed_to_know(&self, to: &Uri) -> bool {
        let digest = Some(self.swim.members.digest().total());
        let is_settled = self.swim.anti_entropy.digest.agreed_on == digest;
        is_settled && self.takes_short(to) && self.are_both_alive(to)
    }

    /// Whether `to`, a native peer, is known to have what the local node says of itself: its table was
    /// like the local one, or it has answered a ping that said it.
    fn knows_me(&self, to: &Uri) -> bool {
        let (Some(member), Some(own)) = (self.swim.members.get(to), self.swim.own_claim()) else {
            return false;
        };
        member.is_native() && (member.knows_my >= Some(own.incarnation) || self.agrees(to))
    }

    /// Whether the table of `peer`, when it was last heard of, was the same as the local one is now.
    pub(super) fn agrees(&self, peer: &str) -> bool {
        let Some(member) = self.swim.members.get(peer) else {
            return false;
        };
        let digest = Some(self.swim.members.digest().total());
        member.dialect == Dialect::Native { digest }
    }

    /// Tells `to` what the local node holds of it, if that is `worth` it, and leaves so many bytes of
    /// `room`.
    // It needs its payload only to find out that it has another one by now. Peers on membership 2.x
    // would not look, and a suspect has more urgent things to learn.
    pub(super) fn tell_recipient(
        &self,
        draft: &mut MessageBuilder,
        to: &Uri,
        room: usize,
        worth: impl Fn(Status) -> bool,
    ) -> bool {
        let Some(member) = self.swim.members.get(to) else {
            return false;
        };
        let Member { claim, dialect, .. } = *member;
        if !worth(claim.status) {
            return false;
        }
        let looks = claim.status == Status::Alive && dialect != Dialect::Legacy;
        match member.current_payload() {
            Some(payload) if looks && room + event_size(to, payload) <= draft.room() => {
                draft.event(to, claim, Some(payload), 0)
            }
            _ => draft.event(to, claim, None, 0),
        }
    }

    pub(super) fn tell_of_myself(
        &mut self,
        draft: &mut MessageBuilder,
        myself: &Uri,
        limit: u32,
    ) -> bool {
        let Some(member) = self.swim.members.get(myself) else {
            return false;
        };
        let ttl = match self.swim.rumors.sent(myself) {
            Some(sent) => limit.saturating_sub(sent + 1),
            // It is no news: the recipient need not pass it on.
            None => 0,
        };
        // Without room for the payload nothing is said: peers would take the local one for empty.
        let told = draft.essential_event(&Statement::of(member), ttl);
        if told {
            self.swim.rumors.count(myself, limit);
        }
        told
    }

    /// Whether `to` is to learn that the local node is alive, though there is no room for its payload: the
    /// two may take each other for dead, or a larger answer has not arrived.
    // A peer on membership 2.x would take the payload for empty. A native one fetches it.
    fn misses_status(&self, kind: MessageType, to: &Uri) -> bool {
        let is_alive = match self.swim.members.claim(to) {
            Some(claim) => claim.status == Status::Alive,
            None => false,
        };
        self.swim.members.is_native(to) && (kind == MessageType::Ack || !is_alive)
    }

    /// Tells what the local node is, without its payload.
    fn tell_status_of_myself(&self, draft: &mut MessageBuilder, myself: &Uri) -> bool {
        match self.swim.own_claim() {
            Some(own) => draft.event(myself, own, None, 0),
            None => false,
        }
    }

    /// A question about `dst`, with a `ts` that no other question in flight about it has.
    pub(super) fn question(&self, dst: &Uri) -> Question {
        let detector = &self.swim.detector;
        Question::new(dst, self.now, || {
            let of_users = detector.app_pings.questions();
            let of_sizes = detector.path_mtu.questions();
            let of_checks = detector.confirmations.questions();
            let of_probes = detector.prober.questions();
            of_probes.chain(of_users).chain(of_sizes).chain(of_checks)
        })
    }

    /// How many times a rumor is sent: λ·⌈log2(N + 1)⌉.
    pub(super) fn rumor_limit(&self) -> u32 {
        let digits = usize::BITS - self.swim.members.present().leading_zeros();
        let multiplier = u32::try_from(self.swim.config.retransmit_multiplier).unwrap_or(u32::MAX);
        multiplier.saturating_mul(digits.max(1))
    }
}
