//! News, pushed to members by chance, and how often and how long that is done.

use core::time::Duration;

use super::Turn;
use crate::dissemination::gossip::FANOUT;
use crate::identity::uri::Uri;
use crate::table::claim::Status;
use crate::table::member::Member;
use crate::timers::Timer;
use crate::wire::{MessageBuilder, MessageType, ShortHead};

impl Turn<'_> {
    /// Pushes fresh news to some members, and again until each rumor was sent often enough.
    ///
    /// To a member that runs membership 2.x this is a LEAVE: it applies the events, and does no more.
    pub(super) fn push(&mut self) {
        if self.swim.rumors.is_empty() || !self.swim.config.mechanisms.push {
            return;
        }
        let rumors = &mut self.swim.rumors;
        let (count, usual) = (rumors.len(), self.swim.config.gossip_interval);
        let pause = rumors.pace.push(self.now.monotonic, count, usual);
        let others = |member: &Member| !self.swim.me.is(&member.uri);
        let targets = self.swim.members.sample(FANOUT, &mut self.swim.rng, others);
        // News comes from others, perhaps from strangers who made it up: it is not to make the local node
        // send without limit to addresses that are not validated.
        let mut turn = self.because_of_others();
        for target in &targets {
            turn.push_to(target);
        }
        // Without a member to tell, the news waits until one comes: that will be news as well.
        if !targets.is_empty() && !self.swim.rumors.is_empty() {
            self.swim
                .timers
                .set(Timer::Gossip, self.now.monotonic + pause);
        }
    }

    /// Tells `to` what the local node holds of it, what it is itself, and what is new.
    pub(super) fn push_to(&mut self, to: &Uri) {
        let Some(myself) = self.swim.me.uri.clone() else {
            return;
        };
        if self.is_blocked(to) {
            return;
        }
        let short = self.takes_short(to).then(|| ShortHead::Leave {
            pair: self.pair_with(&myself, to),
        });
        let blank = |limit| match short {
            Some(head) => MessageBuilder::short(head, limit),
            None => MessageBuilder::leave(&myself, limit),
        };
        let mut draft = self.limited(to, blank).trailed_by(&self.trailer());
        let limit = self.rumor_limit();
        let told: &[&str] = &[to];
        // A rumor about the recipient goes along only once.
        let doubted = self.tell_recipient(&mut draft, to, 0, |status| status != Status::Alive);
        self.swim
            .rumors
            .fill(&mut draft, limit, if doubted { told } else { &[] });
        // A member that agrees knows it all, unless it is a suspicion, which no digest shows. It
        // counts as sent all the same.
        let known = self.agrees(to) && self.swim.members.count(Status::Suspect) == 0;
        if !draft.is_empty() && !known {
            self.send(MessageType::Leave, draft, to);
        }
    }

    /// How long news takes to reach nearly all members: with each interval those that know it become
    /// 1 + [`FANOUT`] times as many, and one more is for the last ones.
    pub(super) fn spreading_time(&self) -> Duration {
        let digits = usize::BITS - self.swim.members.present().leading_zeros();
        // ln N / ln 4 is half of log2 N.
        self.swim.config.gossip_interval * (digits.div_ceil(2) + 1)
    }
}
