//! Which size of datagrams reaches a member: what makes it doubtful, and the pings that find it out.

use core::time::Duration;

use super::Turn;
use crate::detector::path_mtu::Step;
use crate::detector::probe::RETRY_PAUSE_MIN;
use crate::identity::uri::Uri;
use crate::log_event::LogEvent;
use crate::timers::Timer;
use crate::wire::PingData;

impl Turn<'_> {
    /// A large datagram to `to` may have been lost because it is large: searches for the size that passes.
    ///
    /// Only at a validated address: what makes it doubtful may be made up.
    pub(super) fn suspect_path(&mut self, to: &Uri) {
        let now = self.now.monotonic;
        if self.swim.me.is(to)
            || self.swim.members.validated_at(to).is_none()
            || !self.swim.detector.path_mtu.should_search(to, now)
        {
            return;
        }
        let (first, most) = (self.question(to), self.usual_size(to));
        self.swim.detector.path_mtu.search(&first, most, now);
        self.swim.timers.advance(Timer::PathSearch, now);
    }

    /// Whether that question of `asker` was answered with a large datagram, which has not arrived, and it
    /// is not known yet which size does.
    pub(super) fn has_answered_in_vain(&self, asker: &Uri, number: u64) -> bool {
        let path_mtu = &self.swim.detector.path_mtu;
        path_mtu.size_to(asker).is_none() && path_mtu.has_answered(asker, number)
    }

    /// A question of `asker` was answered with a datagram of this size.
    pub(super) fn note_answer_of_size(&mut self, asker: &Uri, number: u64, size: usize) {
        let path_mtu = &mut self.swim.detector.path_mtu;
        if path_mtu.note_answer(asker, number, size) {
            self.suspect_path(asker);
        }
    }

    /// A comparison of tables by `peer` was answered with a datagram of this size. What it compares is the
    /// same as long as that has not arrived.
    pub(super) fn note_repair_of_size(&mut self, peer: &Uri, sums: &[u32], size: usize) {
        let mut number = self.swim.members.digest().total();
        for sum in sums {
            number = number.rotate_left(5) ^ u64::from(*sum);
        }
        self.note_answer_of_size(peer, number, size);
    }

    /// Sends the pings that are due, and uses what was found.
    pub(super) fn advance_searches(&mut self) {
        let now = self.now.monotonic;
        let pause = self.search_pause();
        while let Some(step) = self.swim.detector.path_mtu.advance(now, pause) {
            match step {
                Step::Ask(questions) => {
                    for (question, size) in questions {
                        self.ask_in_size(&question, size);
                    }
                }
                Step::Found { uri, size, is_new } => {
                    if is_new {
                        let uri = uri.clone();
                        self.swim.report(LogEvent::LargeLost { uri, size });
                    }
                    // What has been lost so far reaches it now.
                    let question = self.question(&uri);
                    self.ask(&question, &uri);
                }
            }
        }
        let due = self.swim.detector.path_mtu.next_due();
        self.swim.timers.set_to(Timer::PathSearch, due);
    }

    /// How long the pings of a search wait for answers before they are sent again. An answer to an earlier
    /// one counts as well, so that members that take longer to answer are no exception.
    fn search_pause(&self) -> Duration {
        let config = &self.swim.config;
        let pause = config.ack_timeout.max(config.protocol_period / 2);
        pause.max(RETRY_PAUSE_MIN)
    }

    /// Tries now and then whether larger datagrams pass where they did not.
    pub(super) fn raise_path_size(&mut self) {
        let now = self.now.monotonic;
        let Some(uri) = self.swim.detector.path_mtu.next_to_raise(now) else {
            return;
        };
        if self.swim.members.validated_at(&uri).is_some() {
            self.suspect_path(&uri);
        } else {
            self.swim.detector.path_mtu.forget(&uri);
        }
    }

    /// Looks whether an ACK answers a ping of a search.
    pub(super) fn hear_answer_of_size(&mut self, echo: &PingData<'_>) -> bool {
        let now = self.now.monotonic;
        let is_of_size = self.swim.detector.path_mtu.hear_answer(echo, now);
        if is_of_size && let Some(due) = self.swim.detector.path_mtu.next_due() {
            self.swim.timers.advance(Timer::PathSearch, due.max(now));
        }
        is_of_size
    }
}
