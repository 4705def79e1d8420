//! The question to all live members which keys they accept, and their answers.
//!
//! A survey asks each of them once, some at a time, again while there is no answer, and ends when all have
//! answered or were asked often enough. A caller that comes while one is under way waits for the next: so
//! each has answers that are younger than its question.

use core::time::Duration;
use std::collections::VecDeque;

use crate::hashing::{HashKey, KeyedMap};
use crate::identity::uri::Uri;
use crate::security::seal::keyring::KeyId;
use crate::time::Micros;

/// How many members are asked at once: their answers fit the receive buffer of a socket, together with
/// what comes otherwise.
const BATCH: usize = 32;

/// The pause between two batches. A thousand members are asked in a third of a second.
const BATCH_PAUSE: Duration = Duration::from_millis(10);

/// How long an answer may take before the member is asked again.
const ANSWER_TIME: Duration = Duration::from_millis(500);

/// How often a member is asked. Where 30 of 100 datagrams are lost each way, one in 28 members is taken to be
/// silent after five questions.
const TRIES_MAX: usize = 5;

/// By which a caller knows its survey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SurveyId(pub u64);

/// What a member has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAnswer {
    /// These are the keys that it accepts, the one that it uses first.
    Told(Vec<KeyId>),
    /// It has not told, as an earlier version does not; its answer was encrypted with this key.
    Untold(Option<KeyId>),
}

/// A member that has not answered yet.
#[derive(Debug, Default)]
struct Asked {
    /// When each question was asked, by which its answer is known.
    at: Vec<u64>,
}

/// The survey that is under way, and the answers to the last one that has ended.
#[derive(Debug)]
pub struct KeySurvey {
    /// How many have begun, and have ended.
    begun: u64,
    ended: u64,
    /// Whether a caller waits for the next.
    is_wanted_again: bool,
    /// How many members are asked.
    size: usize,
    asked: KeyedMap<Uri, Asked>,
    /// Those of `asked`, in the order in which they are to be asked next.
    queue: VecDeque<(Micros, Uri)>,
    answers: KeyedMap<Uri, KeyAnswer>,
    last_answers: KeyedMap<Uri, KeyAnswer>,
}

impl KeySurvey {
    /// None has begun.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            begun: 0,
            ended: 0,
            is_wanted_again: false,
            size: 0,
            asked: KeyedMap::with_hasher(hash_key.clone()),
            queue: VecDeque::new(),
            answers: KeyedMap::with_hasher(hash_key.clone()),
            last_answers: KeyedMap::with_hasher(hash_key.clone()),
        }
    }

    /// Whether one is under way.
    pub const fn is_running(&self) -> bool {
        self.begun > self.ended
    }

    /// Which survey a caller that comes now waits for. The caller begins it, unless one is under way.
    pub fn enrol(&mut self) -> SurveyId {
        self.is_wanted_again = self.is_running();
        // Each begins when the one before has ended.
        SurveyId(self.begun + 1)
    }

    /// Whether a survey has ended.
    pub const fn has_ended(&self, id: SurveyId) -> bool {
        id.0 <= self.ended
    }

    /// How many have ended.
    pub const fn ended(&self) -> u64 {
        self.ended
    }

    /// Begins to ask these members.
    pub fn begin(&mut self, members: Vec<Uri>, now: Micros) {
        self.begun += 1;
        self.is_wanted_again = false;
        self.size = members.len();
        for uri in members {
            self.asked.insert(uri.clone(), Asked::default());
            self.queue.push_back((now, uri));
        }
    }

    /// The members to be asked now. Those that were asked often enough are given up.
    pub fn poll(&mut self, now: Micros) -> Vec<Uri> {
        let mut due = Vec::new();
        while due.len() < BATCH
            && let Some((_at, uri)) = self.queue.pop_front_if(|(at, _uri)| *at <= now)
        {
            match self.asked.get(&uri) {
                Some(asked) if asked.at.len() < TRIES_MAX => due.push(uri),
                Some(_) => drop(self.asked.swap_remove(&uri)),
                None => {}
            }
        }
        due
    }

    /// Notes that a member was asked, and when by the clock that its answer repeats.
    pub fn note_asked(&mut self, uri: Uri, ts: u64, now: Micros) {
        if let Some(asked) = self.asked.get_mut(&uri) {
            asked.at.push(ts);
            self.queue.push_back((now + ANSWER_TIME, uri));
        }
    }

    /// Does without the answer of a member that is not live any more.
    pub fn give_up(&mut self, uri: &Uri) {
        self.asked.swap_remove(uri);
    }

    /// Whether an answer of `uri` is waited for.
    pub fn waits_for(&self, uri: &Uri) -> bool {
        self.asked.contains_key(uri)
    }

    /// `uri` has answered the question of `ts` with a datagram that told of these keys, and was encrypted
    /// with that key.
    pub fn hear_answer(&mut self, uri: &Uri, ts: u64, told: &[KeyId], key: Option<KeyId>) {
        let Some(asked) = self.asked.get(uri) else {
            return;
        };
        let answer = if !told.is_empty() {
            KeyAnswer::Told(told.to_vec())
        } else if asked.at.contains(&ts) {
            KeyAnswer::Untold(key)
        } else {
            return;
        };
        self.asked.swap_remove(uri);
        self.answers.insert(uri.clone(), answer);
    }

    /// When to go on; `None` if none is under way, or it is to end now.
    pub fn due(&self, now: Micros) -> Option<Micros> {
        if self.asked.is_empty() {
            return None;
        }
        let (at, _uri) = self.queue.front()?;
        Some((*at).max(now + BATCH_PAUSE))
    }

    /// Ends the survey. Returns whether another is to begin.
    pub fn end(&mut self) -> bool {
        self.ended = self.begun;
        self.asked.clear();
        self.queue.clear();
        core::mem::swap(&mut self.answers, &mut self.last_answers);
        self.answers.clear();
        self.is_wanted_again
    }

    /// Forgets all answers. A caller that waits has waited long enough.
    pub fn clear(&mut self) {
        self.begun += u64::from(self.is_wanted_again);
        self.is_wanted_again = false;
        self.end();
        self.last_answers.clear();
    }

    /// What a member has answered to the last survey that has ended.
    pub fn answer(&self, uri: &str) -> Option<&KeyAnswer> {
        self.last_answers.get(uri)
    }

    /// Whether no more are waited for, and have answered, than members were to be asked; for audits.
    pub fn is_bounded(&self) -> bool {
        self.asked.len() + self.answers.len() <= self.size && self.queue.len() <= self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a URI")
    }

    fn survey_of(count: u16) -> KeySurvey {
        let mut survey = KeySurvey::new(&HashKey::derive(&[1; 32]));
        survey.enrol();
        survey.begin((1..=count).map(uri).collect(), Micros(0));
        survey
    }

    fn ask_due(survey: &mut KeySurvey, now: Micros) -> usize {
        let due = survey.poll(now);
        let count = due.len();
        for uri in due {
            survey.note_asked(uri, now.0, now);
        }
        count
    }

    const KEY: KeyId = KeyId([1; 4]);
    const OTHER: KeyId = KeyId([2; 4]);

    #[test]
    fn members_are_asked_some_at_a_time_and_a_silent_one_a_few_times() {
        let mut survey = survey_of(100);
        let (mut now, mut asked, mut most) = (Micros(0), 0, 0);
        while let Some(due) = survey.due(now) {
            let count = ask_due(&mut survey, now);
            (asked, most) = (asked + count, most.max(count));
            now = due;
        }
        assert_eq!((asked, most), (100 * TRIES_MAX, BATCH));
        assert!(now < Micros(4_000_000), "{now:?}");
        assert!(!survey.end());
        assert!(survey.has_ended(SurveyId(1)));
        assert_eq!(survey.answer(&uri(1)), None);
    }

    #[test]
    fn an_answer_counts_if_it_tells_of_keys_or_is_to_a_question() {
        let mut survey = survey_of(3);
        ask_due(&mut survey, Micros(7));
        survey.hear_answer(&uri(1), 99, &[OTHER, KEY], Some(KEY));
        survey.hear_answer(&uri(2), 99, &[], Some(KEY));
        assert!(
            survey.waits_for(&uri(2)),
            "it has answered another question"
        );
        survey.hear_answer(&uri(2), 7, &[], Some(KEY));
        survey.hear_answer(&uri(3), 7, &[KEY], Some(KEY));
        survey.hear_answer(&uri(4), 7, &[KEY], Some(KEY));
        assert_eq!(survey.due(Micros(7)), None, "all have answered");
        survey.end();
        let told = KeyAnswer::Told(vec![OTHER, KEY]);
        assert_eq!(survey.answer(&uri(1)), Some(&told));
        assert_eq!(survey.answer(&uri(2)), Some(&KeyAnswer::Untold(Some(KEY))));
        assert_eq!(survey.answer(&uri(4)), None, "it was not asked");
    }

    #[test]
    fn a_caller_that_comes_during_a_survey_waits_for_the_next() {
        let mut survey = survey_of(1);
        let id = survey.enrol();
        assert_eq!((id, survey.enrol()), (SurveyId(2), SurveyId(2)));
        assert!(survey.end(), "another is wanted");
        assert!(!survey.has_ended(id));
        survey.begin(vec![uri(1)], Micros(0));
        assert!(!survey.end());
        assert!(survey.has_ended(id));
    }

    #[test]
    fn no_caller_waits_after_the_group_was_left() {
        let mut survey = survey_of(1);
        let id = survey.enrol();
        survey.clear();
        assert!(survey.has_ended(id) && !survey.is_running());
    }
}
