//! Encryption keys: set, added, used and removed, as far as other members are ready for it.

use super::Turn;
use crate::Swim;
use crate::log_event::LogEvent;
use crate::security::key_survey::SurveyId;
use crate::security::rotation::{KeyRefused, MemberKeys, check_removal, check_use};
use crate::security::seal::OldForm;
use crate::security::seal::keyring::{BadKey, Key, KeyId, Keyring};
use crate::table::claim::Status;
use crate::time::Now;

impl Swim {
    /// Replaces all keys, the first being the one to send with; none ends encryption.
    pub fn set_encryption_keys(&mut self, keys: &[&[u8]], now: Now) -> Result<(), BadKey> {
        self.change_keys(now, |held| held.set(keys.iter().copied()))
    }

    /// Replaces all keys with this one, if it is one.
    pub fn set_encryption_key(&mut self, key: Option<&[u8]>, now: Now) {
        let set = self.set_encryption_keys(key.as_slice(), now);
        set.expect("there is room for one");
    }

    /// Understands this key as well.
    pub fn add_encryption_key(&mut self, key: &[u8], now: Now) -> Result<(), BadKey> {
        self.change_keys(now, |held| held.add(key))
    }

    /// Sends with this key, which is understood already.
    pub fn use_encryption_key(&mut self, key: &[u8], now: Now) -> Result<(), BadKey> {
        self.change_keys(now, |held| held.use_to_send(key))
    }

    /// Does not understand this key any more.
    pub fn remove_encryption_key(&mut self, key: &[u8], now: Now) -> Result<(), BadKey> {
        self.change_keys(now, |held| held.remove(key))
    }

    fn change_keys(
        &mut self,
        now: Now,
        change: impl FnOnce(&mut Keyring) -> Result<(), BadKey>,
    ) -> Result<(), BadKey> {
        let (form, before) = (
            self.seal().form(),
            self.security.keys.ids().collect::<Vec<_>>(),
        );
        let changed = change(&mut self.security.keys);
        Turn::new(self, now).show_form(form);
        self.report_left_behind(&before);
        changed
    }

    /// Asks all live members which keys they accept. Returns by which the caller knows that all have
    /// answered, or do not; `None` if there is none to ask, or nothing is encrypted.
    pub fn ask_keys(&mut self, now: Now) -> Option<SurveyId> {
        self.me.uri.as_ref()?;
        if self.security.keys.is_empty() || self.members.live().len() < 2 {
            return None;
        }
        let survey = &mut self.security.key_survey;
        let (is_running, id) = (survey.is_running(), survey.enrol());
        if !is_running {
            Turn::new(self, now).begin_survey();
        }
        Some(id)
    }

    /// Whether it depends on other members whether this key may be used, or removed: it is accepted here, and
    /// not the one to send with. Where all are sent what is not encrypted, if need be, it does not.
    pub fn is_step(&self, key: &[u8]) -> bool {
        self.security.keys.is_spare(key) && self.seal().old_form() != Some(OldForm::Plain)
    }

    /// Sends with this key, if the last survey has found that all live members accept it.
    pub fn use_accepted_key(&mut self, key: &[u8], now: Now) -> Result<(), KeyRefused> {
        if self.is_step(key) {
            check_use(Key::new(key).id(), &self.keys_of_others())?;
        }
        Ok(self.use_encryption_key(key, now)?)
    }

    /// Does not accept this key any more, if the last survey has found that no live member uses it.
    pub fn remove_unused_key(&mut self, key: &[u8], now: Now) -> Result<(), KeyRefused> {
        if self.is_step(key) {
            check_removal(Key::new(key).id(), &self.keys_of_others())?;
        }
        Ok(self.remove_encryption_key(key, now)?)
    }

    fn keys_of_others(&self) -> Vec<MemberKeys> {
        let mut others = self.member_keys();
        others.retain(|member| !self.me.is(&member.uri));
        others
    }

    /// Reports which members are known to be left behind by a change of the local keys, from `before`. A first
    /// key, or one that replaces all others at once, is no step of a rotation.
    fn report_left_behind(&mut self, before: &[KeyId]) {
        let seal = self.seal();
        let Some(sending) = seal.keys.sending().map(Key::id) else {
            return;
        };
        let is_abrupt = before.iter().all(|id| seal.keys.get(*id).is_none());
        if is_abrupt || seal.old_form() == Some(OldForm::Plain) {
            return;
        }
        let (is_other, is_removed) = (
            before.first() != Some(&sending),
            before.iter().any(|id| seal.keys.get(*id).is_none()),
        );
        let (mut unaccepting, mut unheard) = (Vec::new(), Vec::new());
        for member in self.members.from(0) {
            let keys = &member.keys;
            if self.me.is(&member.uri) || member.claim.status == Status::Left {
                continue;
            }
            if is_removed && keys.last().is_some() && keys.choose(seal.keys).is_none() {
                unheard.push(member.uri.clone());
            } else if is_other && !keys.accepts(sending) {
                unaccepting.push(member.uri.clone());
            }
        }
        unaccepting.sort();
        unheard.sort();
        if !unaccepting.is_empty() {
            self.report(LogEvent::KeyNotAccepted {
                key: sending,
                members: unaccepting,
            });
        }
        if !unheard.is_empty() {
            self.report(LogEvent::KeyRemoved { members: unheard });
        }
    }
}
