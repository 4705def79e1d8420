//! Whether a datagram may be believed: it is of this group, fresh, and meant for this member.

use core::net::SocketAddr;

use crate::Swim;
use crate::dissemination::gossip::Telling;
use crate::identity::uri::Uri;
use crate::security::authentication::Reply;
use crate::security::seal::aead::Sealed;
use crate::security::session::{Freshness, address};
use crate::time::Now;
use crate::wire::{DropReason, Message, MessageType};

impl Swim {
    /// Whether to believe a message: it is of this group, and not a recording.
    pub(super) fn admit(
        &mut self,
        sender: &Uri,
        message: &Message<'_>,
        sealed: Option<Sealed>,
        source: SocketAddr,
        now: Now,
    ) -> Result<(), DropReason> {
        let Some(sealed) = sealed else {
            let trailer = message.trailer.as_ref();
            let label = trailer.map_or(&[][..], |trailer| &trailer.label);
            return if label == self.config.group_label {
                Ok(())
            } else {
                Err(DropReason::OtherGroup)
            };
        };
        let Sealed { stamp, slip, .. } = sealed;
        let for_me = self.me.uri.as_deref().map(address) == Some(slip.to);
        let standing = if for_me {
            let members = self.members.len();
            self.security
                .sessions
                .check(sender, stamp, slip.response, members, now)
        } else if self.security.sessions.is_confirmed(sender, stamp)
            && self.members.get(sender).is_some()
        {
            return Err(DropReason::Misdirected);
        } else {
            // It may have another name for the local node, or none: it will learn it from the challenge.
            Freshness::Unconfirmed
        };
        match standing {
            Freshness::Fresh => {
                let response = self
                    .security
                    .sessions
                    .response_to_peer(slip.challenge, sender);
                self.security.reply = Some(Reply {
                    response,
                    ..Reply::new(sender)
                });
                Ok(())
            }
            Freshness::Replayed => Err(DropReason::Replayed),
            Freshness::Unconfirmed => {
                self.challenge(sender, sealed, source, now);
                Err(DropReason::Unconfirmed)
            }
        }
    }

    /// Asks `sender` to show that it lives now; answers its own challenge, should there be one.
    fn challenge(&mut self, sender: &Uri, sealed: Sealed, source: SocketAddr, now: Now) {
        let Sealed { stamp, slip, .. } = sealed;
        let response = self
            .security
            .sessions
            .response(slip.challenge, sender, source);
        // The local node has not spoken to it: it has been played a recording. No answer, and no
        // challenge either, or its group and this one would get acquainted by that.
        if slip.challenge.is_some() && response.is_none() {
            return;
        }
        let (session, answers) = (&stamp.session, response.is_some());
        let Some(challenge) = self
            .security
            .sessions
            .challenge(session, slip.to, answers, now)
        else {
            return;
        };
        self.stats.challenges += 1;
        self.security.reply = Some(Reply {
            challenge: Some(challenge),
            response,
            ..Reply::new(sender)
        });
        // Perhaps this was the answer to a ping of the local node: then it is to be answered again, so
        // that both the answer and the response come at once.
        if response.is_some() || self.security.sessions.remembers_ping(sender) {
            self.ping_again(sender, now);
        } else {
            self.send_empty(sender);
        }
        self.security.reply = None;
    }

    /// The sender of the datagram at hand has been dealt with; if it waits for a response and nothing
    /// was to be said to it, it gets that now.
    ///
    /// Of what the local node said before the response it believes nothing that arrives later. Should
    /// there be a ping among that, it is asked again.
    pub(super) fn end_reply(&mut self, now: Now) {
        let responds = |reply: &&Reply| reply.response.is_some();
        if let Some(reply) = self.security.reply.as_ref().filter(responds) {
            let (to, sent) = (reply.to.clone(), reply.sent);
            if !sent || self.security.sessions.remembers_ping(&to) {
                self.ping_again(&to, now);
            }
        }
        self.security.reply = None;
    }

    /// Repeats the last ping to `to`, which it did not believe.
    fn ping_again(&mut self, to: &Uri, now: Now) {
        match self.security.sessions.take_ping(to) {
            Some(data) => {
                self.send_with_gossip(MessageType::Ping, &data, to, Telling::News);
            }
            None => {
                let question = self.question(to, now);
                self.ask(&question, to);
            }
        }
    }
}
