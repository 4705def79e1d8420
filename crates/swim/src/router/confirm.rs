//! How long suspicions last: less if a few members have checked them ([`crate::detector::confirmation`]).

use core::time::Duration;

use super::Turn;
use crate::detector::confirmation::{Lasting, Task, timeout};
use crate::detector::ranking::Ranking;
use crate::identity::uri::Uri;
use crate::table::claim::{Incarnation, Status};
use crate::table::index::MemberIndex;
use crate::table::member::{Dialect, Member};
use crate::time::Micros;
use crate::timers::Timer;
use crate::wire::Extension;

impl Turn<'_> {
    /// The shortest time that a suspicion may last, if that depends on confirmations.
    fn least_suspect_timeout(&self) -> Option<Duration> {
        let least = self.swim.config.suspect_timeout_min;
        if least.is_zero() { None } else { Some(least) }
    }

    /// At which incarnation `uri` is suspect.
    fn suspected_at(&self, uri: &Uri) -> Option<Incarnation> {
        let claim = self.swim.members.claim(uri)?;
        (claim.status == Status::Suspect).then_some(claim.incarnation)
    }

    /// Checks the suspicion of `suspect`, if the local node is one of those that do.
    pub(super) fn begin_check(&mut self, suspect: &Uri) {
        let (Some(least), Some(incarnation)) =
            (self.least_suspect_timeout(), self.suspected_at(suspect))
        else {
            return;
        };
        // What comes from an address that is not validated is not to have the local node ping others.
        if self.cause.is_limited() || !self.may_confirm() || !self.is_checkable(suspect) {
            return;
        }
        let confirmations = &self.swim.detector.confirmations;
        if !confirmations.may_check(suspect, incarnation) || !self.is_checker(suspect, incarnation)
        {
            return;
        }
        let round_trip = match self.swim.members.get(suspect) {
            Some(member) => member.round_trip,
            None => None,
        };
        let config = &self.swim.config;
        let lasting = Lasting {
            least,
            timeout: self.swim.detector.prober.timeout(round_trip, config),
            period: config.protocol_period,
        };
        let (others, now) = (
            self.other_checkers(suspect, incarnation),
            self.now.monotonic,
        );
        let confirmations = &mut self.swim.detector.confirmations;
        confirmations.begin(suspect, incarnation, others, &lasting, now);
        self.watch_checks();
    }

    /// Whether the word of the local node counts: it is alive to itself, may suspect others, and receives something.
    fn may_confirm(&self) -> bool {
        let is_alive = match self.swim.own_claim() {
            Some(own) => own.status == Status::Alive,
            None => false,
        };
        is_alive && self.swim.config.suspiciousness && !self.swim.detector.isolation.is_isolated()
    }

    /// Whether `suspect` is known as a native member, and it shows that it is gone if it does not answer.
    fn is_checkable(&self, suspect: &Uri) -> bool {
        match self.swim.members.get(suspect) {
            Some(member) => is_native(member) && self.is_missed(member),
            None => false,
        }
    }

    /// Whether it shows that `suspect` is gone if it does not answer. An instance of membership 2.x answers no sooner than
    /// its Tarantool lets it; a member that has announced the suspicion itself is there; and two processes with one URI are
    /// a matter of their own.
    fn is_missed(&self, suspect: &Member) -> bool {
        let memory = self.swim.duplicate_memory();
        let duplicates = &self.swim.detector.duplicates;
        let is_shared = duplicates
            .of(&suspect.uri, memory, self.now.monotonic)
            .is_some();
        suspect.dialect != Dialect::Legacy && suspect.self_suspicion().is_none() && !is_shared
    }

    /// The members that may check the suspicion of `suspect`, the local node included.
    fn candidates(&self, suspect: &Uri) -> impl Iterator<Item = &Uri> {
        let suitable = move |member: &&Member| {
            member.claim.status == Status::Alive && is_native(member) && member.uri != *suspect
        };
        self.swim
            .members
            .live()
            .filter(suitable)
            .map(|member| &member.uri)
    }

    fn is_checker(&self, suspect: &Uri, incarnation: Incarnation) -> bool {
        let Some(myself) = &self.swim.me.uri else {
            return false;
        };
        let others = self.candidates(suspect).filter(|uri| *uri != myself);
        Ranking::of(suspect, incarnation).chooses(myself, others)
    }

    fn other_checkers(&self, suspect: &Uri, incarnation: Incarnation) -> Vec<Uri> {
        let ranking = Ranking::of(suspect, incarnation);
        let mut checkers = ranking.choose(self.candidates(suspect));
        checkers.retain(|uri| !self.swim.me.is(uri));
        checkers
    }

    /// The local node gets no answer of `suspect`, which it has asked since `began`: tells the checkers, unless that is
    /// because it receives nothing at all.
    pub(super) fn confirm(&mut self, suspect: &Uri, began: Option<Micros>) {
        if self.least_suspect_timeout().is_none() || !self.may_confirm() {
            return;
        }
        let (Some(incarnation), Some(myself)) =
            (self.suspected_at(suspect), self.swim.me.uri.clone())
        else {
            return;
        };
        match self.swim.members.get(suspect) {
            Some(member) if self.is_missed(member) => {}
            _ => return,
        }
        let others = self.swim.members.live().len().saturating_sub(1);
        let hears = match began {
            Some(began) => self.swim.detector.isolation.has_heard_since(began),
            None => true,
        };
        // With one other member there is none else to hear.
        if others >= 2 && !hears {
            return;
        }
        let tells = self.other_checkers(suspect, incarnation);
        let confirmations = &mut self.swim.detector.confirmations;
        if confirmations.begin_to_tell(suspect, incarnation, tells, self.now.monotonic) {
            self.swim.stats.suspicions_confirmed += 1;
            confirmations.confirm(suspect, incarnation, &myself);
            self.watch_checks();
            self.watch_oldest_suspicion();
        }
    }

    /// The port of `uri` is closed: a check of it has failed.
    pub(super) fn fail_check(&mut self, uri: &Uri) {
        if self.swim.detector.confirmations.asks(uri) {
            self.confirm(uri, None);
        }
    }

    /// Counts that `sender` gets no answer of `suspect` either.
    pub(super) fn count_confirmation(
        &mut self,
        sender: &Uri,
        suspect: &Uri,
        incarnation: Incarnation,
    ) {
        if self.least_suspect_timeout().is_none() {
            return;
        }
        // A member that is about to be held for dead has no say in who else is.
        let is_alive = match self.swim.members.get(sender) {
            Some(member) => member.claim.status == Status::Alive,
            None => false,
        };
        let is_held = self.suspected_at(suspect) == Some(incarnation);
        if !is_alive || !is_held || sender == suspect || !self.is_checkable(suspect) {
            return;
        }
        self.begin_check(suspect);
        let confirmations = &mut self.swim.detector.confirmations;
        if confirmations.confirm(suspect, incarnation, sender) {
            self.watch_oldest_suspicion();
        }
    }

    /// Does what is due for the checks.
    pub(super) fn run_checks(&mut self) {
        self.prune_confirmations();
        let now = self.now.monotonic;
        while let Some((suspect, task)) = self.swim.detector.confirmations.take_due(now) {
            match task {
                Task::Ask => {
                    let question = self.question(&suspect);
                    // The suspect learns from it what is said of it.
                    self.ask_briefly(&question, &suspect);
                    self.swim.detector.confirmations.note_asked(question, now);
                }
                Task::Conclude(began) => self.confirm(&suspect, Some(began)),
                Task::Tell(others) => {
                    let Some(incarnation) = self.suspected_at(&suspect) else {
                        continue;
                    };
                    for other in &others {
                        let note = Extension::Confirm {
                            dst: suspect.clone(),
                            incarnation,
                        };
                        self.send_extension(note, other);
                    }
                }
            }
        }
        self.watch_checks();
    }

    fn watch_checks(&mut self) {
        let next = self.swim.detector.confirmations.next();
        let next = next.map(|next| next.max(self.now.monotonic));
        self.swim.timers.set_to(Timer::Check, next);
    }

    fn prune_confirmations(&mut self) {
        let members = &self.swim.members;
        let confirmations = &mut self.swim.detector.confirmations;
        if !confirmations.is_empty() {
            confirmations.prune(|uri| members.claim(uri));
        }
    }

    /// Waits for the suspicion that ripens first.
    pub(super) fn watch_oldest_suspicion(&mut self) {
        let timeout = self.swim.config.suspect_timeout;
        let mut next = self.swim.members.suspicions.next(timeout);
        if let Some((sooner, _)) = self.next_confirmed() {
            next = next.min(Some(sooner));
        }
        match next {
            // A deadline in the past would look like a pause of this process.
            Some(next) => self
                .swim
                .timers
                .set(Timer::Suspicion, next.max(self.now.monotonic)),
            None => self.swim.timers.stop(Timer::Suspicion),
        }
    }

    /// The confirmed suspicion that ripens first, and when.
    fn next_confirmed(&mut self) -> Option<(Micros, MemberIndex)> {
        let least = self.least_suspect_timeout()?;
        self.prune_confirmations();
        let (members, most) = (&self.swim.members, self.swim.config.suspect_timeout);
        let others = members.live().len().saturating_sub(1);
        let mut earliest = None;
        for (uri, confirmed) in self.swim.detector.confirmations.confirmed() {
            if let Some(place) = members.place_of(uri)
                && let Some(since) = members.suspicions.since(place)
            {
                let due = (since + timeout(least, most, confirmed, others), place);
                earliest = Some(due.min(earliest.unwrap_or(due)));
            }
        }
        earliest
    }

    /// Takes a suspicion that ripens sooner since it was confirmed, if there is one, and the members that have
    /// confirmed it.
    pub(super) fn pop_confirmed(&mut self) -> Option<(MemberIndex, Vec<Uri>)> {
        let (due, place) = self.next_confirmed()?;
        if due > self.now.monotonic {
            return None;
        }
        self.swim.members.suspicions.stop(place);
        let suspect = &self.swim.members.at(place).uri;
        let confirmed_by = self.swim.detector.confirmations.confirmed_by(suspect);
        Some((place, confirmed_by.to_vec()))
    }
}

/// Whether it is a native member, as far as is known here: by its datagrams, or by its record.
const fn is_native(member: &Member) -> bool {
    match member.dialect {
        Dialect::Native { .. } => true,
        Dialect::Unknown => member.reads_short,
        Dialect::Legacy => false,
    }
}
