//! The short form: what the names in it are, and to whom it is spoken.

use super::Turn;
use crate::detector::question::Question;
use crate::identity::uri::Uri;
use crate::security::cookie::Path;
use crate::table::digest::hash_of;
use crate::wire::{
    DropReason, Message, Names, PingData, ShortHead, cookie_echo, decode, decode_short, is_short,
    pair_id,
};

impl Turn<'_> {
    /// Takes a message apart. `names` has room for those that it leaves out.
    pub(super) fn read<'a>(
        &self,
        plain: &'a [u8],
        names: &'a mut Option<Names>,
    ) -> Result<Message<'a>, DropReason> {
        if !is_short(plain) {
            return decode(plain);
        }
        let short = decode_short(plain)?;
        let names = names.insert(self.names_in(&short.head).ok_or(DropReason::Sender)?);
        let label = &self.swim.config.group_label;
        Ok(short.named(names, label, self.now.wall))
    }

    /// Who speaks to the local node. `None` if that is not known, or the message is for another.
    fn names_in(&self, head: &ShortHead) -> Option<Names> {
        let recipient = self.swim.me.uri.clone()?;
        let pair = match *head {
            ShortHead::Ping { pair, .. } | ShortHead::Leave { pair } => pair,
            ShortHead::Ack { cookie, .. } => {
                let (question, cookie) = self.question_with(cookie)?;
                return Some(Names {
                    sender: question.dst.clone(),
                    recipient,
                    asked: Some(question.ts),
                    cookie: Some(cookie),
                });
            }
        };
        let members = &self.swim.members;
        let own_part = pair_id(0, &recipient, &self.swim.config.group_label);
        let place = members.digest().member_by_hash(pair ^ own_part)?;
        let sender = members.at(place).uri.clone();
        Some(Names::between(sender, recipient))
    }

    /// The probe in flight whose cookie ends like this, and the cookie.
    fn question_with(&self, echo: u64) -> Option<(&Question, u64)> {
        for question in self.swim.detector.prober.questions() {
            let Question { dst, ts } = question;
            let cookie = self.swim.security.cookies.make(*ts, dst, Path::Direct);
            if cookie_echo(cookie) == echo {
                return Some((question, cookie));
            }
        }
        None
    }

    /// Whether `to` is spoken to in the short form. As long as no peer is known to know the local node, it introduces
    /// itself. A member that owes an answer may have been replaced by another version.
    pub(super) fn takes_short(&self, to: &Uri) -> bool {
        if !self.swim.me.is_known || self.swim.detector.prober.waits_for(to) {
            return false;
        }
        match self.swim.members.get(to) {
            Some(member) => member.takes_short(),
            None => false,
        }
    }

    /// Who speaks to whom, if that is the local node to `to`.
    pub(super) fn pair_with(&self, myself: &Uri, to: &Uri) -> u32 {
        pair_id(hash_of(myself), to, &self.swim.config.group_label)
    }

    /// How a probe with this cookie begins, in the short form.
    pub(super) fn short_ping(&self, question: &Question, cookie: u64, myself: &Uri) -> ShortHead {
        ShortHead::Ping {
            pair: self.pair_with(myself, &question.dst),
            cookie,
            sent: question.ts,
        }
    }

    /// How a PING that came in the short form is answered.
    pub(super) fn short_ack(&self, ping: &PingData<'_>) -> Option<ShortHead> {
        if !ping.is_short {
            return None;
        }
        Some(ShortHead::Ack {
            cookie: cookie_echo(ping.cookie?),
            answered: self.now.wall.0,
        })
    }
}
