//! Suspicions that others have checked, and how much sooner they ripen (Lifeguard, LHA-Suspicion).
//!
//! A suspicion is checked at once by [`CHECKERS`] members that all know ([`crate::detector::ranking`]). Each that gets no answer either tells the other checkers so. The more of
//! them have told it, the shorter the suspect has to refute: from `SUSPECT_TIMEOUT_SECONDS` down to
//! `SUSPECT_TIMEOUT_MIN_SECONDS`. The first of them for which the time is up says that the suspect is dead, and that
//! spreads as ever.
//!
//! Only what a member says of its own check counts. Others need not know of it, so nothing of it is passed on.

use core::time::Duration;

use crate::detector::probe::RETRY_PAUSE_MIN;
use crate::detector::question::Question;
use crate::detector::ranking::CHECKERS;
use crate::hashing::{HashKey, KeyedMap};
use crate::identity::uri::Uri;
use crate::table::claim::{Claim, Incarnation, Status};
use crate::time::Micros;
use crate::wire::PingData;

/// How many suspicions are followed at a time. Others last their full time.
const SUSPECTS_MAX: usize = 256;

/// How many checks are begun in a period: unknown senders can have the local node ping as many members.
const CHECKS_MAX: usize = 64;

/// How many pings a check has at most.
const TRIES_MAX: u32 = 16;

/// How often each of the other checkers is told, since a datagram may be lost.
const TELLINGS: u32 = 3;

/// How long after the last time.
const TELLING_PAUSE: Duration = Duration::from_millis(40);

/// How much of the time between the two timeouts is taken off after so many confirmations, in parts of 1000, if none, one,
/// two or three are all that there can be: log(c + 1) / log(k + 1).
// Not calculated: the last bit of a logarithm differs between machines, and simulations are to be the same on all.
const SHORTENING: [[u32; CHECKERS + 1]; CHECKERS + 1] = [
    [0, 0, 0, 0],
    [0, 1000, 1000, 1000],
    [0, 631, 1000, 1000],
    [0, 500, 792, 1000],
];

/// The suspicions that are checked, here or by others.
#[derive(Debug)]
pub struct Confirmations {
    suspects: KeyedMap<Uri, Suspicion>,
    /// How many checks were begun in this period.
    begun: usize,
}

/// What is known of a suspicion.
#[derive(Debug)]
struct Suspicion {
    incarnation: Incarnation,
    /// The members that get no answer either, the local node included, up to [`CHECKERS`].
    confirmed_by: Vec<Uri>,
    /// The local node has told others that it gets no answer.
    has_told: bool,
    check: Option<Check>,
}

/// A check of the local node's own.
#[derive(Debug)]
struct Check {
    /// Whom to tell.
    others: Vec<Uri>,
    began: Micros,
    /// When it has failed.
    deadline: Micros,
    /// How long to wait for an answer before asking again.
    pause: Duration,
    questions: Vec<Question>,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The suspect is asked again at this time.
    Asking(Micros),
    /// The others are told again at this time, and so many times more.
    Telling(Micros, u32),
    Over,
}

/// What is to be done for a check now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Ask the suspect again.
    Ask,
    /// The time to answer is up. It began at this time.
    Conclude(Micros),
    /// Tell these members that the suspect does not answer.
    Tell(Vec<Uri>),
}

/// How long a suspicion lasts that so many have confirmed, if `others` members beside the suspect are there.
pub fn timeout(least: Duration, most: Duration, confirmed: usize, others: usize) -> Duration {
    let least = least.min(most);
    let shortening = SHORTENING[others.min(CHECKERS)][confirmed.min(CHECKERS)];
    most - (most - least) * shortening / 1000
}

/// For how long a suspect is asked that should have answered after `timeout`: for half of the time that it has at least,
/// and long enough for a second try.
fn time_to_check(least: Duration, timeout: Duration, period: Duration) -> Duration {
    (least / 2).min(period).max(2 * timeout)
}

impl Confirmations {
    /// None is suspected.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            suspects: KeyedMap::with_hasher(hash_key.clone()),
            begun: 0,
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.suspects.clear();
    }

    /// A period has passed: as many checks may begin again.
    pub const fn age(&mut self) {
        self.begun = 0;
    }

    /// Whether nothing is followed.
    pub fn is_empty(&self) -> bool {
        self.suspects.is_empty()
    }

    /// Whether there are no more than there may be; for audits.
    pub fn is_bounded(&self) -> bool {
        let is_small = |suspicion: &Suspicion| {
            let asked = match &suspicion.check {
                Some(check) => check.questions.len(),
                None => 0,
            };
            asked <= TRIES_MAX as usize && suspicion.confirmed_by.len() <= CHECKERS
        };
        self.suspects.len() <= SUSPECTS_MAX && self.suspects.values().all(is_small)
    }

    /// Forgets the suspicions that are over. `held` says what is claimed of a member.
    pub fn prune(&mut self, held: impl Fn(&Uri) -> Option<Claim>) {
        self.suspects.retain(|uri, suspicion| {
            held(uri) == Some(Claim::alive(suspicion.incarnation).with(Status::Suspect))
        });
    }

    fn get(&mut self, suspect: &Uri, incarnation: Incarnation) -> Option<&mut Suspicion> {
        if self.suspects.len() == SUSPECTS_MAX && !self.suspects.contains_key(suspect) {
            return None;
        }
        let blank = || Suspicion {
            incarnation,
            confirmed_by: Vec::new(),
            has_told: false,
            check: None,
        };
        let suspicion = self.suspects.entry(suspect.clone()).or_insert_with(blank);
        if suspicion.incarnation != incarnation {
            *suspicion = blank();
        }
        Some(suspicion)
    }

    /// Whether the local node may begin a check of this suspicion: it has not before, and others are not too many.
    pub fn may_check(&self, suspect: &Uri, incarnation: Incarnation) -> bool {
        let has_begun = match self.suspects.get(suspect) {
            Some(suspicion) => suspicion.incarnation == incarnation && suspicion.check.is_some(),
            None => false,
        };
        !has_begun && self.begun < CHECKS_MAX
    }

    /// Begins a check, of which `others` are to be told. The first ping is due at once.
    pub fn begin(
        &mut self,
        suspect: &Uri,
        incarnation: Incarnation,
        others: Vec<Uri>,
        lasting: &Lasting,
        now: Micros,
    ) {
        let Some(suspicion) = self.get(suspect, incarnation) else {
            return;
        };
        let whole = time_to_check(lasting.least, lasting.timeout, lasting.period);
        suspicion.check = Some(Check {
            others,
            began: now,
            deadline: now + whole,
            pause: lasting.timeout.max(whole / TRIES_MAX).max(RETRY_PAUSE_MIN),
            questions: Vec::new(),
            step: Step::Asking(now),
        });
        self.begun += 1;
    }

    /// The suspect was asked this.
    pub fn note_asked(&mut self, question: Question, now: Micros) {
        if let Some(suspicion) = self.suspects.get_mut(&question.dst)
            && let Some(check) = &mut suspicion.check
        {
            check.step = Step::Asking((now + check.pause).min(check.deadline));
            if check.questions.len() < TRIES_MAX as usize {
                check.questions.push(question);
            }
        }
    }

    /// `by` gets no answer of `suspect`. Returns whether that was not known yet.
    pub fn confirm(&mut self, suspect: &Uri, incarnation: Incarnation, by: &Uri) -> bool {
        let Some(Suspicion { confirmed_by, .. }) = self.get(suspect, incarnation) else {
            return false;
        };
        let is_new = confirmed_by.len() < CHECKERS && !confirmed_by.contains(by);
        if is_new {
            confirmed_by.push(by.clone());
        }
        is_new
    }

    /// The local node gets no answer of `suspect`: `others` are to be told, from now on. Returns whether they are, and not
    /// already.
    pub fn begin_to_tell(
        &mut self,
        suspect: &Uri,
        incarnation: Incarnation,
        others: Vec<Uri>,
        now: Micros,
    ) -> bool {
        let Some(suspicion) = self.get(suspect, incarnation) else {
            return false;
        };
        if suspicion.has_told {
            return false;
        }
        suspicion.has_told = true;
        suspicion.check = Some(Check {
            others,
            began: now,
            deadline: now,
            pause: TELLING_PAUSE,
            questions: Vec::new(),
            step: Step::Telling(now, TELLINGS),
        });
        true
    }

    /// Whether `suspect` is being asked.
    pub fn asks(&self, suspect: &str) -> bool {
        match self.suspects.get(suspect) {
            Some(Suspicion {
                check: Some(check), ..
            }) => matches!(check.step, Step::Asking(_)),
            _ => false,
        }
    }

    /// An answer came. If it is to one of the questions, the check is over.
    pub fn hear_answer(&mut self, echo: &PingData<'_>) -> bool {
        for suspicion in self.suspects.values_mut() {
            if let Some(check) = &mut suspicion.check
                && check
                    .questions
                    .iter()
                    .any(|asked| asked.is_answered_by(echo))
            {
                if matches!(check.step, Step::Asking(_)) {
                    check.step = Step::Over;
                }
                return true;
            }
        }
        false
    }

    /// Ends the checks: an answer could not have been received.
    pub fn void(&mut self) {
        for suspicion in self.suspects.values_mut() {
            if let Some(check) = &mut suspicion.check
                && matches!(check.step, Step::Asking(_))
            {
                check.step = Step::Over;
            }
        }
    }

    /// The questions in flight.
    pub fn questions(&self) -> impl Iterator<Item = &Question> {
        let checks = self
            .suspects
            .values()
            .filter_map(|suspicion| suspicion.check.as_ref());
        checks.flat_map(|check| &check.questions)
    }

    /// When there is something to do.
    pub fn next(&self) -> Option<Micros> {
        self.suspects.values().filter_map(Suspicion::due).min()
    }

    /// What is due, for which suspect.
    pub fn take_due(&mut self, now: Micros) -> Option<(Uri, Task)> {
        for (uri, suspicion) in &mut self.suspects {
            if suspicion.due().is_some_and(|due| due <= now)
                && let Some(check) = &mut suspicion.check
                && let Some(task) = check.take_task(now)
            {
                return Some((uri.clone(), task));
            }
        }
        None
    }

    /// The members that have confirmed the suspicion of `suspect`.
    pub fn confirmed_by(&self, suspect: &str) -> &[Uri] {
        match self.suspects.get(suspect) {
            Some(suspicion) => &suspicion.confirmed_by,
            None => &[],
        }
    }

    /// The confirmed suspicions, and how many have confirmed each.
    pub fn confirmed(&self) -> impl Iterator<Item = (&Uri, usize)> {
        let counted = |(uri, suspicion): (_, &Suspicion)| (uri, suspicion.confirmed_by.len());
        let all = self.suspects.iter().map(counted);
        all.filter(|(_uri, count)| *count > 0)
    }
}

/// How long a check lasts follows from these.
#[derive(Clone, Copy, Debug)]
pub struct Lasting {
    /// The shortest time that a suspect has to refute.
    pub least: Duration,
    /// When the suspect should have answered a ping.
    pub timeout: Duration,
    /// The protocol period.
    pub period: Duration,
}

impl Suspicion {
    fn due(&self) -> Option<Micros> {
        match self.check.as_ref()?.step {
            Step::Asking(due) | Step::Telling(due, _) => Some(due),
            Step::Over => None,
        }
    }
}

impl Check {
    fn take_task(&mut self, now: Micros) -> Option<Task> {
        match self.step {
            Step::Asking(_) if now >= self.deadline => {
                self.step = Step::Over;
                Some(Task::Conclude(self.began))
            }
            Step::Asking(_) => {
                self.step = Step::Asking((now + self.pause).min(self.deadline));
                Some(Task::Ask)
            }
            Step::Telling(_, left) => {
                self.step = match left {
                    0 | 1 => Step::Over,
                    left => Step::Telling(now + self.pause, left - 1),
                };
                Some(Task::Tell(self.others.clone()))
            }
            Step::Over => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a URI")
    }

    fn at(raw: u64) -> Incarnation {
        Incarnation::from_wire(raw).expect("admissible")
    }

    fn blank() -> Confirmations {
        Confirmations::new(&HashKey::derive(&[1; 32]))
    }

    fn begin(confirmations: &mut Confirmations, port: u16) {
        let lasting = Lasting {
            least: 500 * MS,
            timeout: 51 * MS,
            period: 1000 * MS,
        };
        confirmations.begin(&uri(port), at(1), vec![uri(9)], &lasting, Micros(0));
    }

    #[test]
    fn the_time_follows_the_logarithmic_curve() {
        // 1 - log(c + 1) / log(k + 1), in ms.
        let rows = [
            (0, 3, 1000),
            (1, 1, 0),
            (1, 2, 369),
            (2, 2, 0),
            (1, 3, 500),
            (2, 3, 208),
        ];
        for (confirmed, others, expected) in rows {
            let lasts = timeout(Duration::ZERO, 1000 * MS, confirmed, others);
            assert_eq!(lasts, expected * MS, "{confirmed} of {others}");
        }
        assert_eq!(timeout(MS, 3 * MS, 9, 100), MS);
        assert_eq!(timeout(9 * MS, 3 * MS, 3, 100), 3 * MS, "never longer");
    }

    #[test]
    fn a_check_asks_until_its_time_is_up_and_ends_with_an_answer() {
        let mut confirmations = blank();
        begin(&mut confirmations, 1);
        let (mut asked, mut now) = (0, Micros(0));
        let began = loop {
            match confirmations.take_due(now) {
                Some((_uri, Task::Ask)) => {
                    asked += 1;
                    let (dst, ts) = (uri(1), now.0);
                    confirmations.note_asked(Question { dst, ts }, now);
                }
                Some((_uri, Task::Conclude(began))) => break began,
                Some((_uri, Task::Tell(_))) => panic!("it has not concluded"),
                None => now = confirmations.next().expect("it waits"),
            }
        };
        assert_eq!((began, now, asked), (Micros(0), Micros(0) + 250 * MS, 5));
        assert_eq!(confirmations.next(), None);

        begin(&mut confirmations, 2);
        let (dst, ts) = (uri(2), 7);
        assert!(confirmations.take_due(Micros(0)).is_some());
        confirmations.note_asked(Question { dst, ts }, Micros(0));
        let answer = PingData {
            ts: Some(7),
            dst: Some("a:2"),
            ..PingData::default()
        };
        assert!(confirmations.hear_answer(&answer));
        assert_eq!(confirmations.next(), None, "it is over");
        assert!(!confirmations.may_check(&uri(2), at(1)), "it has begun");
        assert!(confirmations.may_check(&uri(2), at(2)), "that is another");
    }

    #[test]
    fn others_are_told_three_times_and_not_again() {
        let mut confirmations = blank();
        begin(&mut confirmations, 1);
        let mut now = Micros(5);
        assert!(confirmations.begin_to_tell(&uri(1), at(1), vec![uri(9)], now));
        assert!(!confirmations.begin_to_tell(&uri(1), at(1), vec![uri(9)], now));
        let mut told = 0;
        while let Some(next) = confirmations.next() {
            now = next;
            let tell = Task::Tell(vec![uri(9)]);
            assert_eq!(confirmations.take_due(now), Some((uri(1), tell)));
            told += 1;
        }
        assert_eq!(told, TELLINGS);
    }

    #[test]
    fn nothing_grows_beyond_its_bound() {
        let mut confirmations = blank();
        for port in 1..=1000 {
            for by in 2000..2010 {
                confirmations.confirm(&uri(port), at(1), &uri(by));
            }
            if confirmations.may_check(&uri(port), at(1)) {
                begin(&mut confirmations, port);
            }
            assert!(confirmations.is_bounded());
        }
        assert_eq!(confirmations.suspects.len(), SUSPECTS_MAX);
        let checks = confirmations
            .suspects
            .values()
            .filter(|known| known.check.is_some());
        assert_eq!(checks.count(), CHECKS_MAX);
        confirmations.prune(|_uri| None);
        assert!(confirmations.is_empty());
    }
}
