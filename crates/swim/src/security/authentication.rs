//! From bytes to a message that may be believed, and back: which form to send, whom to challenge.

use core::net::SocketAddr;

use crate::Swim;
use crate::Transmit;
use crate::dissemination::gossip::Telling;
use crate::identity::uri::Uri;
use crate::security::seal::aead::{Challenge, Sealed, SealedHeader};
use crate::security::seal::keyring::{BadKey, KeyId};
use crate::security::seal::{Opened, Seal};
use crate::security::session::{Freshness, address};
use crate::table::claim::Status;
use crate::table::member::Dialect;
use crate::time::Now;
use crate::wire::{DropReason, Message, MessageBuilder, MessageType, checksummed};

/// What goes along with all that is said to the sender of an authenticated datagram while it is being
/// dealt with.
#[derive(Debug)]
pub struct Reply {
    to: Uri,
    challenge: Option<Challenge>,
    response: Option<u64>,
    sent: bool,
}

impl Swim {
    /// How datagrams are sealed and opened at this moment.
    pub(crate) fn seal(&self) -> Seal<'_> {
        Seal {
            keys: &self.keys,
            cipher: self.config.encryption_cipher,
            iv: &self.config.encryption_init,
            label: &self.config.group_label,
        }
    }

    /// Whether to believe a message: it is of my group, and not a recording.
    pub(crate) fn admit(
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
        let for_me = self.myself.as_deref().map(address) == Some(slip.to);
        let standing = if for_me {
            let members = self.members.len();
            self.sessions
                .check(sender, stamp, slip.response, members, now)
        } else if self.sessions.is_confirmed(sender, stamp) && self.members.get(sender).is_some() {
            return Err(DropReason::Misdirected);
        } else {
            // It may have another name for me, or none: it will learn mine from the challenge.
            Freshness::Unconfirmed
        };
        match standing {
            Freshness::Fresh => {
                self.reply = Some(Reply {
                    to: sender.clone(),
                    challenge: None,
                    response: self.sessions.response_to_peer(slip.challenge, sender),
                    sent: false,
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
        let response = self.sessions.response(slip.challenge, sender, source);
        // The local node has not spoken to it: it has been played a recording. No answer, and no
        // challenge either, or its group and this one would get acquainted by that.
        if slip.challenge.is_some() && response.is_none() {
            return;
        }
        let (session, answers) = (&stamp.session, response.is_some());
        let Some(challenge) = self.sessions.challenge(session, slip.to, answers, now) else {
            return;
        };
        self.stats.challenges += 1;
        self.reply = Some(Reply {
            to: sender.clone(),
            challenge: Some(challenge),
            response,
            sent: false,
        });
        // Perhaps this was the answer to a ping of mine: then it is to be answered again, so that both
        // the answer and the response come at once.
        match self.sessions.take_ping(sender) {
            Some(data) => {
                self.send_with_gossip(MessageType::Ping, &data, sender, Telling::News);
            }
            None if response.is_some() => self.ping_again(sender, now),
            None => self.send_empty(sender),
        }
        self.reply = None;
    }

    /// The sender of the datagram at hand has been dealt with; if it waits for a response and nothing
    /// was to be said to it, it gets that now.
    ///
    /// Of what I said before the response it believes nothing that arrives later. Should there be a
    /// ping among that, it is asked again.
    pub(crate) fn end_reply(&mut self, now: Now) {
        let responds = |reply: &&Reply| reply.response.is_some();
        if let Some(reply) = self.reply.as_ref().filter(responds) {
            let (to, sent) = (reply.to.clone(), reply.sent);
            if !sent || self.sessions.remembers_ping(&to) {
                self.ping_again(&to, now);
            }
        }
        self.reply = None;
    }

    /// Repeats the last ping to `to`, which it did not believe.
    fn ping_again(&mut self, to: &Uri, now: Now) {
        match self.sessions.take_ping(to) {
            Some(data) => {
                self.send_with_gossip(MessageType::Ping, &data, to, Telling::News);
            }
            None => {
                let question = self.question(to, now);
                self.ask(&question, to);
            }
        }
    }

    /// Sends a message that says nothing.
    fn send_empty(&mut self, to: &Uri) {
        let Some(myself) = self.myself.clone() else {
            return;
        };
        let draft = MessageBuilder::leave(&myself, self.datagram_capacity());
        self.send(MessageType::Leave, draft.trailed_by(&self.trailer()), to);
    }

    /// Hands a datagram out.
    pub(crate) fn send(&mut self, kind: MessageType, draft: MessageBuilder, to: &Uri) {
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
        self.spend(to, datagram.len());
        self.stats.sent.count(kind, datagram.len());
        let anew = status != Some(Status::Alive) || self.prober.waits_for(to);
        self.outbox.push_back(Transmit {
            to: to.clone(),
            datagram,
            anew,
        });
        // On the way from one form to the other nobody knows what a newcomer takes.
        let both = self.seal().takes_aead() && self.seal().old_form().is_some();
        if both && kind == MessageType::Ping && unheard && self.reply.is_none() {
            self.send_sealed_empty(to);
        }
    }

    /// Says nothing, in the form that is authenticated.
    fn send_sealed_empty(&mut self, to: &Uri) {
        if self.myself.as_ref() == Some(to) {
            return;
        }
        self.reply = Some(Reply {
            to: to.clone(),
            challenge: None,
            response: None,
            sent: false,
        });
        self.send_empty(to);
        self.reply = None;
    }

    /// A message in the form that `to` takes.
    pub(crate) fn seal_for(&mut self, to: &Uri, plain: Vec<u8>) -> Vec<u8> {
        let (aead, old) = (self.seal().takes_aead(), self.seal().old_form());
        let replies = self.reply.as_ref().is_some_and(|reply| reply.to == *to);
        if !aead || old.is_some() && !replies && !self.takes_aead(to) {
            return self.seal().seal_old(checksummed(plain));
        }
        let stamp = self.sessions.stamp();
        let mut slip = SealedHeader {
            to: address(to),
            ..SealedHeader::default()
        };
        // The first is what was asked for. If others carried the response too and overtook it, it would
        // come too late to be believed.
        let unsent = |reply: &&mut Reply| reply.to == *to && !reply.sent;
        if let Some(reply) = self.reply.as_mut().filter(unsent) {
            (slip.challenge, slip.response) = (reply.challenge, reply.response);
            reply.sent = true;
        }
        let only_challenges = slip.challenge.is_some() && slip.response.is_none();
        if !only_challenges && self.myself.as_ref() != Some(to) {
            self.sessions.note_recipient(to);
        }
        self.seal().seal(stamp, &slip, plain)
    }

    /// Whether `to` is known to take what I seal.
    fn takes_aead(&self, to: &Uri) -> bool {
        let mine = self.keys.sending().map(|key| key.id());
        let theirs = self.members.get(to).and_then(|member| member.seals_with);
        mine.is_some() && mine == theirs
    }

    /// By which others learn, from what is not authenticated, that I take what is.
    pub(crate) fn offered_key(&self) -> Option<KeyId> {
        let both = self.seal().takes_aead() && self.seal().old_form().is_some();
        let sending = self.keys.sending().filter(|_| both);
        sending.map(|key| key.id())
    }

    /// The label that goes along with what is not authenticated.
    pub(crate) fn shown_label(&self) -> Vec<u8> {
        if self.seal().old_form().is_some() {
            self.config.group_label.clone()
        } else {
            Vec::new()
        }
    }

    /// How many bytes the label takes up in what is not authenticated: with its head and key.
    pub(crate) fn label_size(&self) -> usize {
        match self.config.group_label.len() {
            0 => 0,
            size => 1 + 2 + size,
        }
    }

    /// The key to send with, as the Lua rock uses it: 32 bytes.
    pub fn encryption_key(&self) -> Option<&[u8]> {
        self.keys.sending().map(|key| &key.block()[..])
    }

    /// Replaces all keys, the first being the one to send with; none ends encryption.
    pub fn set_encryption_keys(&mut self, keys: &[&[u8]]) -> Result<(), BadKey> {
        self.change_keys(|swim| swim.keys.set(keys.iter().copied()))
    }

    /// Replaces all keys with this one, if it is one.
    pub fn set_encryption_key(&mut self, key: Option<&[u8]>) {
        let set = self.set_encryption_keys(key.as_slice());
        set.expect("there is room for one");
    }

    /// Understands this key as well.
    pub fn add_encryption_key(&mut self, key: &[u8]) -> Result<(), BadKey> {
        self.change_keys(|swim| swim.keys.add(key))
    }

    /// Sends with this key, which is understood already.
    pub fn use_encryption_key(&mut self, key: &[u8]) -> Result<(), BadKey> {
        self.change_keys(|swim| swim.keys.use_to_send(key))
    }

    /// Does not understand this key any more.
    pub fn remove_encryption_key(&mut self, key: &[u8]) -> Result<(), BadKey> {
        self.change_keys(|swim| swim.keys.remove(key))
    }

    fn change_keys<T>(&mut self, change: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.form();
        let changed = change(self);
        self.show_form(before);
        changed
    }

    /// What others need to know to choose a form for me: for [`Self::show_form`].
    pub(crate) fn form(&self) -> (bool, Option<KeyId>) {
        (self.seal().takes_aead(), self.offered_key())
    }

    /// Tells everybody which form I take, if it is another one now: whoever learnt it from my next
    /// ping might have sent the wrong one before.
    pub(crate) fn show_form(&mut self, before: (bool, Option<KeyId>)) {
        if self.form() == before {
            return;
        }
        let myself = self.myself.as_ref();
        let others = self.members.live().map(|member| &member.uri);
        let others: Vec<Uri> = others.filter(|uri| Some(*uri) != myself).cloned().collect();
        others.iter().for_each(|to| self.send_empty(to));
    }

    /// Opens a datagram of my group as if it were sent now: for those who watch simulated groups.
    pub fn peek<'d>(&self, datagram: &'d [u8]) -> Option<Opened<'d>> {
        self.seal().open(datagram).ok()
    }

    /// What `sender` has shown to take.
    pub(crate) fn note_form(
        &mut self,
        sender: &Uri,
        message: &Message<'_>,
        sealed: Option<Sealed>,
    ) {
        let offered = message.trailer.as_ref().and_then(|trailer| trailer.offers);
        let key = sealed.map(|sealed| sealed.key).or(offered);
        self.members.set_key(sender, key);
    }
}

impl Swim {
    /// What is sealed from now on goes with this salt, drawn from the system: should this process have been
    /// duplicated without notice, its copy has another one. To be called before an input or a command,
    /// if [`Swim::needs_salt`].
    pub const fn set_salt(&mut self, salt: u64) {
        self.sessions.set_salt(salt);
    }

    /// Whether what is sent may have to be sealed with a number that is never used twice.
    pub fn needs_salt(&self) -> bool {
        self.seal().takes_aead()
    }
}
