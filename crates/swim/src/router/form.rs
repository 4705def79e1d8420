//! In which form a datagram is sent, and with which of the local keys it is encrypted.

use super::Turn;
use crate::identity::uri::Uri;
use crate::security::seal::aead::SealedHeader;
use crate::security::seal::keyring::{Key, KeyId};
use crate::security::session::address;
use crate::wire::checksummed;

impl Turn<'_> {
    /// A message in the form that `to` takes, with a key that it accepts.
    pub(super) fn seal_for(&mut self, to: &Uri, plain: Vec<u8>) -> Vec<u8> {
        self.seal_with(self.key_for(to), to, plain)
    }

    /// A message in the form that `to` takes, with this key.
    pub(super) fn seal_with(&mut self, key: Option<KeyId>, to: &Uri, plain: Vec<u8>) -> Vec<u8> {
        let (aead, old) = (self.swim.seal().takes_aead(), self.swim.seal().old_form());
        // Only what is authenticated has room for the challenge or the response.
        let replies = match self.reply.as_deref() {
            Some(reply) => reply.to == *to,
            None => false,
        };
        if let Some(key) = key
            && aead
            && (old.is_none() || replies || self.takes_aead(to, key))
        {
            return self.seal_authenticated(key, to, plain);
        }
        let seal = self.swim.seal();
        seal.seal_old_with(seal.keys.get_or_sending(key), checksummed(plain))
    }

    /// A message in the form that is authenticated, with this key.
    pub(super) fn seal_authenticated(&mut self, key: KeyId, to: &Uri, plain: Vec<u8>) -> Vec<u8> {
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
        if self.swim.me.is(to) {
            self.swim.security.sessions.note_myself(to);
        } else if !only_challenges {
            self.swim.security.sessions.note_recipient(to, self.now);
        }
        let seal = self.swim.seal();
        match seal.keys.get_or_sending(Some(key)) {
            Some(key) => seal.seal_with(key, stamp, &slip, &plain),
            None => plain,
        }
    }

    /// Whether `to` is known to take what the local node seals with this key.
    fn takes_aead(&self, to: &Uri, key: KeyId) -> bool {
        match self.swim.members.get(to) {
            Some(member) => member.seals_with == Some(key),
            None => false,
        }
    }

    /// The key that the next datagram to `to` is encrypted with, if there are any: that of the datagram at
    /// hand, if `to` has sent it; the first that `to` is known to accept; or the one to send with.
    pub(super) fn key_for(&self, to: &Uri) -> Option<KeyId> {
        let keys = &self.swim.security.keys;
        let sending = keys.sending()?.id();
        if keys.len() == 1 {
            return Some(sending);
        }
        if let Some(key) = self.key_of_question(to) {
            return Some(key);
        }
        Some(self.accepted_key(to).unwrap_or(sending))
    }

    /// All other keys, if it is not known whether `to` accepts the one of [`Self::key_for`]: it has never been
    /// heard, is not alive, or owes an answer. Perhaps it was restarted, with a key of another step.
    pub(super) fn other_keys_for(&self, to: &Uri) -> Vec<KeyId> {
        let keys = &self.swim.security.keys;
        if keys.len() < 2 || self.key_of_question(to).is_some() || self.swim.me.is(to) {
            return Vec::new();
        }
        let is_live = match self.swim.members.claim(to) {
            Some(claim) => claim.status.is_live(),
            None => false,
        };
        let is_known = is_live && self.accepted_key(to).is_some();
        if is_known && !self.swim.detector.prober.waits_for(to) {
            return Vec::new();
        }
        let tried = self.key_for(to);
        keys.ids().filter(|id| Some(*id) != tried).collect()
    }

    /// The key of the datagram at hand, if `to` has sent it. It may have been removed while a PING waited for
    /// its answer.
    fn key_of_question(&self, to: &Uri) -> Option<KeyId> {
        let (sender, key) = self.heard.as_ref()?;
        let is_held = self.swim.security.keys.get(*key).is_some();
        (sender == to && is_held).then_some(*key)
    }

    fn accepted_key(&self, to: &Uri) -> Option<KeyId> {
        let keys = &self.swim.security.keys;
        if self.swim.me.is(to) {
            return keys.sending().map(Key::id);
        }
        self.swim.members.get(to)?.keys.choose(keys)
    }
}
