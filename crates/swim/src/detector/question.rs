//! Questions: the PINGs of the local node, and what an answer must repeat.

use crate::Swim;
use crate::dissemination::gossip::Telling;
use crate::identity::uri::Uri;
use crate::security::cookie::Path;
use crate::time::Now;
use crate::wire::{MessageType, PingData, clock_ping_data, ping_data};

/// "Is `dst` there?", asked at `ts`: what an answer must repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whom it is about.
    pub dst: Uri,
    /// Our wall clock, in µs.
    pub ts: u64,
}

impl Question {
    /// Whether this is what an answer repeats.
    pub fn is_answered_by(&self, echo: &PingData<'_>) -> bool {
        echo.ts == Some(self.ts) && echo.dst == Some(&*self.dst)
    }
}

impl Swim {
    /// The question about `dst`, with a `ts` that no other question in flight about it has.
    pub(crate) fn question(&self, dst: &Uri, now: Now) -> Question {
        let mut question = Question {
            dst: dst.clone(),
            ts: now.wall.0,
        };
        let mut in_flight = self.prober.questions().chain(self.app_pings.questions());
        while in_flight.any(|other| *other == question) {
            question.ts = question.ts.wrapping_add(1); // by the wall clock, which may show anything
            in_flight = self.prober.questions().chain(self.app_pings.questions());
        }
        question
    }

    /// Sends a question to `to`: the member that it is about, or a relay.
    pub(crate) fn ask(&mut self, question: &Question, to: &Uri) {
        let Some(myself) = self.myself.clone() else {
            return;
        };
        let Question { dst, ts } = question;
        let path = if dst == to {
            Path::Direct
        } else {
            Path::Indirect
        };
        let cookie = self.cookies.make(*ts, dst, path);
        let data = ping_data(*ts, &myself, dst, Some(cookie));
        self.send_with_gossip(MessageType::Ping, &data, to, Telling::News);
    }

    /// Sends a question of a user: the member that it is about is to read its clock for that, and is
    /// told all that I say of it and of myself.
    pub(crate) fn ask_in_full(&mut self, question: &Question) {
        let Some(myself) = self.myself.clone() else {
            return;
        };
        let Question { dst, ts } = question;
        let cookie = self.cookies.make(*ts, dst, Path::Direct);
        let data = clock_ping_data(*ts, &myself, dst, Some(cookie));
        self.send_with_gossip(MessageType::Ping, &data, dst, Telling::All);
    }
}
