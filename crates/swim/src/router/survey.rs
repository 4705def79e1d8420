//! Keys of members: asked for, and what follows from them for a change of the local ones.

use super::Turn;
use super::compose::Saying;
use crate::Swim;
use crate::dissemination::gossip::Telling;
use crate::identity::uri::Uri;
use crate::log_event::LogEvent;
use crate::security::cookie::Path;
use crate::security::key_survey::SurveyId;
use crate::security::rotation::{KeyRefused, MemberKeys, check_removal, check_use};
use crate::security::seal::OldForm;
use crate::security::seal::keyring::{Key, KeyId};
use crate::table::claim::Status;
use crate::time::Now;
use crate::timers::Timer;
use crate::wire::{Body, Message, MessageType, Trailer, ping_data};

impl Swim {
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

    /// Whether all have answered, or do not.
    pub const fn has_key_survey_ended(&self, id: SurveyId) -> bool {
        self.security.key_survey.has_ended(id)
    }

    /// The keys of all members that have not left, as the last survey has found them. None if nothing is
    /// encrypted.
    pub fn member_keys(&self) -> Vec<MemberKeys> {
        let own: Vec<KeyId> = self.security.keys.ids().collect();
        let mut all = Vec::new();
        if own.is_empty() || self.me.uri.is_none() {
            return all;
        }
        for member in self.members.from(0) {
            if member.claim.status == Status::Left {
                continue;
            }
            let mut keys = MemberKeys::of(member, self.security.key_survey.answer(&member.uri));
            if self.me.is(&member.uri) {
                keys.uses = own.first().copied();
                keys.accepts = Some(own.clone());
                keys.is_silent = false;
            }
            all.push(keys);
        }
        all
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

    /// How many live members use another key than the local node, as far as their datagrams show.
    pub(crate) fn count_other_keys(&self) -> usize {
        let Some(own) = self.security.keys.sending().map(Key::id) else {
            return 0;
        };
        let mut count = 0;
        for member in self.members.live() {
            let uses = member.keys.uses();
            count += usize::from(!self.me.is(&member.uri) && uses.is_some() && uses != Some(own));
        }
        count
    }

    /// Reports which members are known to be left behind by a change of the local keys, from `before`. A first
    /// key, or one that replaces all others at once, is no step of a rotation.
    pub(crate) fn report_left_behind(&mut self, before: &[KeyId]) {
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

impl Turn<'_> {
    fn begin_survey(&mut self) {
        let Some(myself) = self.swim.me.uri.clone() else {
            return;
        };
        let members = self.live_others(&myself);
        let now = self.now.monotonic;
        self.swim.security.key_survey.begin(members, now);
        self.go_on_with_survey();
    }

    /// Asks the members whose turn it is, and ends the survey when no answer is waited for.
    pub(super) fn go_on_with_survey(&mut self) {
        let now = self.now.monotonic;
        if !self.swim.security.key_survey.is_running() {
            return;
        }
        for uri in self.swim.security.key_survey.poll(now) {
            let is_live = match self.swim.members.claim(&uri) {
                Some(claim) => claim.status.is_live(),
                None => false,
            };
            if is_live && !self.swim.security.keys.is_empty() {
                self.ask_for_keys(&uri);
            } else {
                self.swim.security.key_survey.give_up(&uri);
            }
        }
        self.schedule_survey();
    }

    fn schedule_survey(&mut self) {
        let survey = &mut self.swim.security.key_survey;
        let due = survey.due(self.now.monotonic);
        self.swim.timers.set_to(Timer::KeySurvey, due);
        if due.is_none() && survey.end() {
            self.begin_survey();
        }
    }

    fn ask_for_keys(&mut self, dst: &Uri) {
        let Some(myself) = self.swim.me.uri.clone() else {
            return;
        };
        let question = self.question(dst);
        let cookie = self
            .swim
            .security
            .cookies
            .make(question.ts, dst, Path::Direct);
        let data = ping_data(question.ts, &myself, dst, Some(cookie));
        let saying = Saying {
            data: &data,
            short: None,
        };
        let trailer = Trailer {
            asks_keys: true,
            ..self.trailer()
        };
        let kind = MessageType::Ping;
        self.send_with_gossip_and(kind, saying, dst, None, Telling::Little, &trailer);
        let now = self.now.monotonic;
        self.swim
            .security
            .key_survey
            .note_asked(dst.clone(), question.ts, now);
    }

    /// Notes an answer of `sender` to the survey, if it is one.
    pub(super) fn hear_survey_answer(
        &mut self,
        sender: &Uri,
        message: &Message<'_>,
        told: &[KeyId],
        key: Option<KeyId>,
    ) {
        if !self.swim.security.key_survey.waits_for(sender) {
            return;
        }
        let Body::Ack(echo) = &message.body else {
            return;
        };
        let is_own = echo.dst == Some(&**sender);
        let is_of_me = self.swim.security.cookies.path(echo) == Some(Path::Direct);
        let (Some(ts), true) = (echo.ts, is_own && is_of_me) else {
            return;
        };
        let survey = &mut self.swim.security.key_survey;
        survey.hear_answer(sender, ts, told, key);
        if !survey.waits_for(sender) && survey.due(self.now.monotonic).is_none() {
            self.schedule_survey();
        }
    }
}
