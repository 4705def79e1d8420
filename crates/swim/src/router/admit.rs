//! Whether a datagram may be believed: it is of this group, fresh, and meant for this member.

use core::net::SocketAddr;

use super::Turn;
use crate::dissemination::gossip::Telling;
use crate::identity::uri::Uri;
use crate::security::authentication::Reply;
use crate::security::seal::aead::Sealed;
use crate::security::session::{Freshness, address};
use crate::wire::{DropReason, Message, MessageType};

/// What becomes of a message that is of this group.
pub(super) enum Admission {
    /// It is believed. What was authenticated may be owed a reply.
    Believed(Option<Reply>),
    /// Its sender has yet to show that it lives now.
    Challenged,
}

impl Turn<'_> {
    /// Whether to believe a message: it is of this group, and not a recording.
    pub(super) fn admit(
        &mut self,
        sender: &Uri,
        message: &Message<'_>,
        sealed: Option<Sealed>,
        source: SocketAddr,
    ) -> Result<Admission, DropReason> {
        let Some(sealed) = sealed else {
            // A peer on membership 2.x has no label: it is of a group that has none.
            let label = match &message.trailer {
                Some(trailer) => &trailer.label[..],
                None => &[],
            };
            return if label == self.swim.config.group_label {
                Ok(Admission::Believed(None))
            } else {
                Err(DropReason::OtherGroup)
            };
        };
        let Sealed { stamp, slip, .. } = sealed;
        let for_me = self.swim.me.uri.as_deref().map(address) == Some(slip.to);
        let standing = if for_me {
            let members = self.swim.members.len();
            self.swim
                .security
                .sessions
                .check(sender, stamp, slip.response, members, self.now)
        } else if self.swim.security.sessions.is_confirmed(sender, stamp)
            && self.swim.members.get(sender).is_some()
        {
            return Err(DropReason::Misdirected);
        } else {
            // It may have another name for the local node, or none: it will learn it from the challenge.
            Freshness::Unconfirmed
        };
        match standing {
            Freshness::Fresh => {
                let response = self
                    .swim
                    .security
                    .sessions
                    .response_to_peer(slip.challenge, sender);
                Ok(Admission::Believed(Some(Reply {
                    response,
                    ..Reply::new(sender, source)
                })))
            }
            Freshness::Replayed => Err(DropReason::Replayed),
            Freshness::Unconfirmed => self.challenge(sender, sealed, source),
        }
    }

    /// Asks `sender` to show that it lives now; answers its own challenge, should there be one.
    fn challenge(
        &mut self,
        sender: &Uri,
        sealed: Sealed,
        source: SocketAddr,
    ) -> Result<Admission, DropReason> {
        let Sealed { stamp, slip, .. } = sealed;
        let response = self
            .swim
            .security
            .sessions
            .response(slip.challenge, sender, source);
        // The local node has not spoken to it: it has been played a recording. No answer, and no
        // challenge either, or its group and this one would get acquainted by that.
        if slip.challenge.is_some() && response.is_none() {
            return Err(DropReason::Unconfirmed);
        }
        let (session, answers) = (&stamp.session, response.is_some());
        self.swim.security.sessions.note_unanswered(stamp, self.now);
        let Some(challenge) = self
            .swim
            .security
            .sessions
            .challenge(session, slip.to, answers, self.now)
        else {
            return Ok(Admission::Challenged);
        };
        self.swim.stats.challenges += 1;
        let mut reply = Reply {
            challenge: Some(challenge),
            response,
            ..Reply::new(sender, source)
        };
        let remembers_ping = self.swim.security.sessions.pings.has(sender);
        let mut turn = self.replying(&mut reply);
        // Perhaps this was the answer to a ping of the local node: then it is to be answered again, so
        // that both the answer and the response come at once.
        if response.is_some() || remembers_ping {
            turn.ping_again(sender);
        } else {
            turn.send_empty(sender);
        }
        Ok(Admission::Challenged)
    }

    /// The sender of the datagram at hand has been dealt with; if it waits for a response and nothing
    /// was to be said to it, it gets that now.
    ///
    /// Of what the local node said before the response it believes nothing that arrives later. Should
    /// there be a ping among that, it is asked again.
    pub(super) fn end_reply(&mut self) {
        let Some(reply) = self.reply.as_deref() else {
            return;
        };
        if reply.response.is_none() {
            return;
        }
        let (to, sent) = (reply.to.clone(), reply.sent);
        if !sent || self.swim.security.sessions.pings.has(&to) {
            self.ping_again(&to);
        }
    }

    /// Repeats the last ping to `to`, which it did not believe.
    fn ping_again(&mut self, to: &Uri) {
        match self.swim.security.sessions.pings.take(to) {
            Some(data) => {
                self.send_with_gossip(MessageType::Ping, &data, to, Telling::News);
            }
            None => {
                let question = self.question(to);
                self.ask(&question, to);
            }
        }
    }
}
