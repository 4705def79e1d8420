//! How news travels (§4.1): on board of every PING and ACK, and pushed while it is fresh.

use core::time::Duration;

use crate::Swim;
use crate::identity::uri::Uri;
use crate::table::claim::Status;
use crate::table::member::{Dialect, Member};
use crate::table::members::MemberIndex;
use crate::table::payload::Payload;
use crate::time::Now;
use crate::timers::Timer;
use crate::wire::{MessageBuilder, MessageType, Trailer, ping_data};

/// How many members are pushed to at a time. The epidemic reaches all of N in ln N / ln(1 + 3)
/// intervals and a few more for the last ones.
const FANOUT: usize = 3;

/// How long fresh news waits for company.
pub(crate) const COALESCING: Duration = Duration::from_millis(10);

/// What is said of sender and recipient in a PING or ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// What the recipient is not known to know.
    News,
    /// All of it.
    All,
}

impl Swim {
    /// Spreads what is held of the member at `place`.
    pub(crate) fn enqueue_rumor(&mut self, place: MemberIndex, now: Now) {
        let member = self.members.at(place);
        let payload = member.current_payload().cloned();
        self.rumors.start(&member.uri, member.claim, payload);
        self.timers
            .advance(Timer::Gossip, now.monotonic + COALESCING);
    }

    /// How many times a rumor is sent: λ·⌈log2(N + 1)⌉.
    pub(crate) fn rumor_limit(&self) -> u32 {
        let digits = usize::BITS - self.members.present().leading_zeros();
        let multiplier = u32::try_from(self.config.retransmit_multiplier).unwrap_or(u32::MAX);
        multiplier.saturating_mul(digits.max(1))
    }

    /// How long news takes to reach nearly everybody: with each interval those who know it become
    /// 1 + [`FANOUT`] times as many, and one more is for the last ones.
    pub(crate) fn spreading_time(&self) -> Duration {
        let digits = usize::BITS - self.members.present().leading_zeros();
        // ln N / ln 4 is half of log2 N.
        self.config.gossip_interval * (digits.div_ceil(2) + 1)
    }

    /// Pushes fresh news to some members, and again until each rumor was sent often enough.
    ///
    /// To a peer of the Lua rock this is somebody's LEAVE: it hears the events, and does no more.
    pub(crate) fn push(&mut self, now: Now) {
        if self.rumors.is_empty() || !self.config.mechanisms.push {
            return;
        }
        self.note_push(now);
        let myself = self.myself.as_ref();
        let others = |member: &Member| Some(&member.uri) != myself;
        let targets = self.members.sample(FANOUT, &mut self.rng, others);
        self.because_of_others(|swim| {
            targets.iter().for_each(|target| swim.push_to(target));
        });
        // With nobody to tell, the news waits for somebody to come: that will be news as well.
        if !targets.is_empty() && !self.rumors.is_empty() {
            self.timers
                .set(Timer::Gossip, now.monotonic + self.config.gossip_interval);
        }
    }

    /// Tells `to` what I think of it, what I am, and what is new.
    pub(crate) fn push_to(&mut self, to: &Uri) {
        let Some(myself) = self.myself.clone().filter(|_| !self.is_blocked(to)) else {
            return;
        };
        let draft = MessageBuilder::leave(&myself, self.capacity_to(to));
        let mut draft = draft.trailed_by(&self.trailer());
        let limit = self.rumor_limit();
        let told: &[&str] = &[to];
        let doubted = self.tell_recipient(&mut draft, to, 0, |status| status != Status::Alive);
        self.rumors
            .fill(&mut draft, limit, if doubted { told } else { &[] });
        // Whoever agrees with me knows it all, unless it is a suspicion, which no digest shows. It
        // counts as sent all the same.
        let known = self.agrees(to) && self.members.count(Status::Suspect) == 0;
        if !draft.is_empty() && !known {
            self.send(MessageType::Leave, draft, to);
        }
    }

    /// Sends a PING or an ACK with everything that rides on it: first what I think of the recipient,
    /// so that a suspect learns it from the next ping; then myself; then what is new.
    ///
    /// Of an ACK, sends nothing and returns false where the limit for addresses that are not validated
    /// leaves no room for what I have to say of myself.
    pub(crate) fn send_with_gossip(
        &mut self,
        kind: MessageType,
        data: &[u8],
        to: &Uri,
        telling: Telling,
    ) -> bool {
        let trailer = self.trailer();
        self.send_with_gossip_and(kind, data, to, telling, &trailer)
    }

    /// The same with this trailer.
    pub(crate) fn send_with_gossip_and(
        &mut self,
        kind: MessageType,
        data: &[u8],
        to: &Uri,
        telling: Telling,
        trailer: &Trailer,
    ) -> bool {
        let Some(myself) = self.myself.clone() else {
            return true;
        };
        let is_limited = self.bytes_left(to).is_some();
        if kind == MessageType::Ping && self.seal().takes_aead() {
            self.sessions.remember_ping(to, data);
        }
        let draft = MessageBuilder::with_data(kind, &myself, data, self.capacity_to(to));
        let mut draft = draft.trailed_by(trailer);
        let limit = self.rumor_limit();
        if telling == Telling::All || !self.goes_without_saying(to) {
            let room = event_size(&myself, &self.payload);
            self.tell_recipient(&mut draft, to, room, |_any| true);
            let told = *to == myself || self.tell_of_myself(&mut draft, &myself, limit);
            if !told && is_limited && kind == MessageType::Ack {
                return false;
            }
        }
        if self.may_be_told_news(to) {
            self.rumors.fill(&mut draft, limit, &[to, &myself]);
        }
        self.send(kind, draft, to);
        true
    }

    /// Whether `to` is known to know that it and I are alive, and what I say of myself.
    fn goes_without_saying(&self, to: &Uri) -> bool {
        let both_alive = self.is_alive(Some(to)) && self.is_alive(self.myself.as_deref());
        both_alive && (Some(to) == self.myself.as_ref() || self.knows_me(to))
    }

    /// Whether `to`, one of ours, is known to have what I say of myself: its table was like mine, or it
    /// has answered a ping that said it.
    fn knows_me(&self, to: &Uri) -> bool {
        let Some(member) = self.members.get(to).filter(|member| member.is_ours()) else {
            return false;
        };
        let own = self.own_claim().map(|own| own.incarnation);
        member.knows_my >= own || self.agrees(to)
    }

    /// Tells `to` what I think of it, if that is `worth` it, and leaves so many bytes of `room`.
    // It needs its payload only to find out that it has another one by now. Peers of the Lua rock
    // would not look, and who is in doubt has more urgent things to learn.
    fn tell_recipient(
        &self,
        draft: &mut MessageBuilder,
        to: &Uri,
        room: usize,
        worth: impl Fn(Status) -> bool,
    ) -> bool {
        let Some(member) = self.members.get(to) else {
            return false;
        };
        let Member { claim, dialect, .. } = *member;
        let looks = claim.status == Status::Alive && dialect != Dialect::Rock;
        let fits = |payload: &&Payload| room + event_size(to, payload) <= draft.room();
        let payload = member
            .current_payload()
            .filter(|_| looks)
            .filter(fits)
            .cloned();
        worth(claim.status) && draft.event(to, claim, payload.as_ref(), 0)
    }

    fn tell_of_myself(&mut self, draft: &mut MessageBuilder, myself: &Uri, limit: u32) -> bool {
        let Some(member) = self.members.get(myself) else {
            return false;
        };
        let sent = self.rumors.sent(myself);
        let ttl = sent.map_or(0, |sent| limit.saturating_sub(sent + 1));
        // Without room for the payload nothing is said: peers would take mine for empty.
        let told = draft.event(myself, member.claim, member.current_payload(), ttl);
        if told {
            self.rumors.count(myself, limit);
        }
        told
    }

    /// A PING that whoever receives it takes for an errand, and so pings me: for an address where
    /// nobody is known. `None` before [`Swim::init`].
    pub fn broadcast_ping(&mut self, now: Now) -> Option<Vec<u8>> {
        let myself = self.myself.clone()?;
        let data = ping_data(now.wall.0, &myself, &myself, None);
        let draft =
            MessageBuilder::with_data(MessageType::Ping, &myself, &data, self.datagram_capacity());
        let mut draft = draft.trailed_by(&self.trailer());
        let limit = self.rumor_limit();
        self.tell_of_myself(&mut draft, &myself, limit);
        let plain = draft.finish()?;
        self.sessions.note_broadcast(&myself);
        Some(self.seal_for(&myself, plain))
    }

    /// How many rumors are being spread.
    pub fn rumors(&self) -> usize {
        self.rumors.len()
    }

    /// How many bytes of MessagePack a datagram can hold.
    pub(crate) fn datagram_capacity(&self) -> usize {
        self.seal().capacity(self.config.max_packet_size)
    }

    /// How many bytes of MessagePack a datagram to `to` can hold now.
    fn capacity_to(&self, to: &Uri) -> usize {
        let size = self.config.max_packet_size;
        let left = self.bytes_left(to).unwrap_or(size);
        self.seal().capacity(size.min(left))
    }
}

/// How large an event can be, in bytes: its head, status, incarnation and ttl take up to 20.
fn event_size(uri: &Uri, payload: &Payload) -> usize {
    20 + uri.len() + payload.bytes().len()
}
