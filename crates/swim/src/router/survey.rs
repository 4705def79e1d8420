//! Keys of members: asked for, and answered.

use super::Turn;
use super::compose::Saying;
use crate::dissemination::gossip::Telling;
use crate::identity::uri::Uri;
use crate::security::cookie::Path;
use crate::security::seal::keyring::KeyId;
use crate::timers::Timer;
use crate::wire::{Body, Message, MessageType, Trailer, ping_data};

impl Turn<'_> {
    pub(super) fn begin_survey(&mut self) {
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
