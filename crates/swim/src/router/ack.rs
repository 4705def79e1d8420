//! Answers to pings of the local node, and what they show.

use super::Turn;
use crate::detector::probe::Probe;
use crate::detector::probe_history::Answer;
use crate::detector::rtt::RoundTrip;
use crate::identity::uri::Uri;
use crate::router::apply::Reaction;
use crate::security::cookie::Path;
use crate::table::claim::Status;
use crate::table::reason::Reason;
use crate::time::Micros;
use crate::timers::Timer;
use crate::wire::PingData;

impl Turn<'_> {
    /// An answer to a question of the local node, from the one it is about or through a relay. Returns
    /// the digest that all pings have told which it may answer, if its sender has had one of them.
    pub(super) fn hear_answer(
        &mut self,
        sender: &Uri,
        echo: &PingData<'_>,
        path: Path,
    ) -> Option<u64> {
        let mut confirmed = None;
        let prober = &mut self.swim.detector.prober;
        let is_direct = path == Path::Direct && echo.dst == Some(&**sender);
        let round = prober.round.take_if(|probe| probe.answered(echo).is_some());
        let late = prober.answered_late(echo);
        if let Some(probe) = &round {
            let is_of_first = is_direct && probe.question.is_answered_by(echo);
            if probe.is_large && !is_of_first {
                self.suspect_path(&probe.question.dst);
            }
            self.end_probe(probe, !is_direct);
            if is_direct {
                confirmed = probe.digest;
            }
        }
        if late.is_some() {
            self.note_sign_of_life(echo.dst);
        }
        // The local node hears itself whatever the network does.
        let is_own = match echo.dst {
            Some(dst) => self.swim.me.is(dst),
            None => false,
        };
        if (round.is_some() || late.is_some()) && !is_own {
            self.swim.detector.isolation.answered();
        }
        let in_time = round.as_ref().and_then(|probe| probe.answered(echo));
        if is_direct && let Some(sent) = in_time.or(late) {
            self.note_round_trip(sender, sent);
        }
        let unreachable_probe = self
            .swim
            .detector
            .prober
            .unreachable_probe
            .take_if(|question| question.is_answered_by(echo));
        let checked = self.swim.detector.prober.checks.hear_answer(echo);
        let is_of_check = self.swim.detector.confirmations.hear_answer(echo);
        let decided = self.swim.detector.app_pings.hear_answer(echo);
        let is_of_size = self.hear_answer_of_size(echo);
        let counts = round.is_some()
            || late.is_some()
            || unreachable_probe.is_some()
            || checked
            || is_of_check
            || is_of_size
            || decided > 0;
        let (Some(dst), true) = (echo.dst, counts) else {
            return confirmed;
        };
        // A peer can send an infinity, or what is no number, which programs would calculate with.
        if let (Some(ts), Some(ats)) = (echo.ts, echo.ats)
            && ats.is_finite()
        {
            // In the middle between question and answer their clock showed `ats`. Integers up to
            // 2^53 µs, the year 2255, are exact in a double.
            let middle = (ts as f64 + self.now.wall.0 as f64) / 2.0;
            self.swim.members.set_clock_delta(dst, ats - middle);
        }
        self.revive(dst);
        if self.swim.me.is(dst) {
            self.clear_self_suspicion(&Reason::Answered);
        }
        confirmed
    }

    /// The probe of this period is answered: notes what that shows.
    fn end_probe(&mut self, probe: &Probe, relayed: bool) {
        let dst = &probe.question.dst;
        self.swim.timers.stop(Timer::Retry);
        self.swim.stats.probes_answered += 1;
        // It may be later than the period ends by the options, see `own_answer_due`.
        if self.swim.me.is(dst) {
            let end = probe.deadline.max(self.now.monotonic);
            self.swim.timers.advance(Timer::Period, end);
        }
        let took = self.now.monotonic.since(probe.began);
        self.swim.stats.round_trips.note(took);
        self.swim.stats.probes_answered_by_relay += u64::from(relayed);
        let answer = match (relayed, probe.overdue) {
            (true, _) => Answer::Relayed,
            (false, true) => Answer::Late,
            (false, false) => Answer::Prompt,
        };
        self.note_answer(dst, answer);
        // Through a relay the peer has got what the relay says of the local node, not what it says itself.
        if !relayed && let Some(told) = probe.told {
            self.swim.members.note_told(dst, told);
        }
    }

    /// `uri` has answered a ping that was `sent` to it directly. Each ping has another `ts`, so it is known
    /// which one was answered, also after several.
    fn note_round_trip(&mut self, uri: &Uri, sent: Micros) {
        let took = self.now.monotonic.since(sent);
        let round_trip = &mut self.swim.detector.prober.round_trip;
        *round_trip = Some(RoundTrip::after(*round_trip, took));
        self.swim.members.note_round_trip(uri, took);
    }

    fn note_sign_of_life(&mut self, uri: Option<&str>) {
        if let Some(uri) = uri
            && let Some(evidence) = self.swim.members.evidence(uri)
        {
            evidence.note_sign_of_life(self.now.monotonic);
        }
    }

    /// A member at the last incarnation has answered: that contradicts what is held of it.
    fn revive(&mut self, uri: &str) {
        let Some(member) = self.swim.members.get(uri) else {
            return;
        };
        let (uri, held) = (member.uri.clone(), member.claim);
        // At any other incarnation the member contradicts by itself, with a higher one.
        if !held.incarnation.is_last() || self.swim.me.is(&uri) {
            return;
        }
        self.note_sign_of_life(Some(&*uri));
        if held.status == Status::Alive {
            return;
        }
        let claim = held.with(Status::Alive);
        let (since, occasion) = (self.now.wall, self.occasion(&Reason::Answered));
        let members = &mut self.swim.members;
        let place = members.put(&uri, claim, None, since, &occasion);
        // Others find out for themselves: none of them would take it for news.
        self.swim.rumors.stop(&uri);
        self.watch_suspicion(place, Some(held), claim);
        self.watch_departure(place, claim.status);
        self.end_hearing(None, None, &mut Reaction::default());
    }

    /// Notes what a probe of `uri` has come to.
    pub(super) fn note_answer(&mut self, uri: &Uri, answer: Answer) {
        if let Some(evidence) = self.swim.members.evidence(uri) {
            evidence.note(answer, self.now.monotonic);
        }
    }
}
