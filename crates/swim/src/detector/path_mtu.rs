//! Which size of datagrams reaches a member: packetization-layer path MTU discovery (DPLPMTUD, RFC 8899)
//! in a simple form.
//!
//! Where a network carries less than `MAX_PACKET_SIZE` and does not say so, small datagrams pass and large
//! ones vanish. What makes a member suspect of that is a large datagram that led to nothing while a small
//! one was answered. Then it is pinged with datagrams that are padded to several sizes, and the largest
//! that is answered is the size for that member, until a later search finds that more passes.
//!
//! An answer has to repeat the cookie of its ping, so a sender that invents datagrams can cause a search
//! for a member at a validated address, once in `CHECK_PAUSE`, and cannot decide what it finds.

use core::time::Duration;
use std::collections::VecDeque;

use crate::detector::question::Question;
use crate::hashing::{HashKey, KeyedMap};
use crate::identity::uri::Uri;
use crate::time::Micros;
use crate::wire::PingData;

/// What every host takes: the 576 bytes of IPv4, less its headers (20) and those of UDP (8).
pub const SIZE_MIN: usize = 576 - 20 - 8;

/// The sizes that are tried below the largest: of jumbo frames, Ethernet, WireGuard, the least of IPv6, and
/// some between that and the least of IPv4.
const SIZES: [usize; 8] = [8972, 4052, 1472, 1392, 1232, 972, 748, SIZE_MIN];

/// How often the largest size is tried: first alone, then along with the others. Where 10 of 100 datagrams
/// are lost each way, it passes for one that does not reach the member once in a thousand searches.
const ROUNDS: u32 = 4;

/// How long nothing is searched for after a search that has found that nothing is wrong.
const CHECK_PAUSE: Duration = Duration::from_secs(60);

/// How long a size is used before it is tried whether more passes (`PMTU_RAISE_TIMER`).
const RAISE_PAUSE: Duration = Duration::from_secs(600);

/// Of how many members a size is remembered.
const PATHS_MAX: usize = 1024;

/// How many searches there are at a time. More wait until there is cause again.
const SEARCHES_MAX: usize = 8;

/// How many large answers are remembered.
const ANSWERS_MAX: usize = 128;

/// What is known of the paths to members, of which large datagrams may not reach all.
#[derive(Debug)]
pub struct PathMtu {
    /// Only of members with which there was trouble.
    paths: KeyedMap<Uri, Path>,
    searches: Vec<Search>,
    /// The last questions that were answered with a large datagram: which member has asked, and what.
    answers: VecDeque<(Uri, u64)>,
    /// The path that is looked at next.
    next: usize,
}

#[derive(Debug)]
struct Path {
    /// The largest size that passes, if not all do.
    size: Option<usize>,
    checked: Micros,
}

/// A member that is pinged with several sizes.
#[derive(Debug)]
struct Search {
    uri: Uri,
    tries: Vec<Try>,
    round: u32,
    due: Micros,
}

/// A size, the largest first.
#[derive(Debug)]
struct Try {
    size: usize,
    question: Question,
    answered: bool,
}

/// What is to be done about a search.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// These questions are to be asked in datagrams of these sizes.
    Ask(Vec<(Question, usize)>),
    /// The search has ended: larger datagrams do not reach the member.
    Found {
        /// The member.
        uri: Uri,
        /// The largest size that does.
        size: usize,
        /// It was not known before that some do not.
        is_new: bool,
    },
}

impl PathMtu {
    /// All sizes reach all members.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            paths: KeyedMap::with_hasher(hash_key.clone()),
            searches: Vec::new(),
            answers: VecDeque::new(),
            next: 0,
        }
    }

    /// The largest size that reaches `uri`, if not all do.
    pub fn size_to(&self, uri: &Uri) -> Option<usize> {
        // So it is nearly always.
        if self.paths.is_empty() {
            return None;
        }
        self.paths.get(uri)?.size
    }

    /// A datagram of `size` bytes is the answer to what `asker` has asked, with that number. Returns
    /// whether the same question was answered with a large one before, which then has not arrived.
    pub fn note_answer(&mut self, asker: &Uri, number: u64, size: usize) -> bool {
        let is_repeated = self.has_answered(asker, number);
        if size > SIZE_MIN && !is_repeated {
            if self.answers.len() == ANSWERS_MAX {
                self.answers.pop_front();
            }
            self.answers.push_back((asker.clone(), number));
        }
        is_repeated
    }

    /// Whether that question of `asker` was answered with a large datagram.
    pub fn has_answered(&self, asker: &Uri, number: u64) -> bool {
        for (other, answered) in &self.answers {
            if *answered == number && other == asker {
                return true;
            }
        }
        false
    }

    /// Whether it is time to search for the size that reaches `uri`, since a large datagram may have not.
    pub fn should_search(&self, uri: &Uri, now: Micros) -> bool {
        let is_due = match self.paths.get(uri) {
            Some(path) => now.since(path.checked) >= CHECK_PAUSE,
            None => true,
        };
        is_due && self.searches.len() < SEARCHES_MAX && !self.is_searching(uri)
    }

    fn is_searching(&self, uri: &Uri) -> bool {
        self.searches.iter().any(|search| search.uri == *uri)
    }

    /// Begins to search for the largest size that reaches the member that `first` asks, `most` at most.
    pub fn search(&mut self, first: &Question, most: usize, now: Micros) {
        let mut tries = Vec::new();
        let mut question = first.clone();
        let smaller = SIZES.into_iter().filter(|size| *size < most);
        for size in core::iter::once(most).chain(smaller) {
            tries.push(Try {
                size,
                question: question.clone(),
                answered: false,
            });
            question.ts = question.ts.wrapping_add(1);
        }
        self.searches.push(Search {
            uri: first.dst.clone(),
            tries,
            round: 0,
            due: now,
        });
    }

    /// When [`Self::advance`] has something to do.
    pub fn next_due(&self) -> Option<Micros> {
        self.searches.iter().map(|search| search.due).min()
    }

    /// What is to be done next, now; `pause` is how long answers are waited for.
    pub fn advance(&mut self, now: Micros, pause: Duration) -> Option<Step> {
        let mut index = 0;
        while let Some(search) = self.searches.get_mut(index) {
            if search.due > now {
                index += 1;
                continue;
            }
            if search.round < ROUNDS && !search.tries[0].answered {
                let questions = search.next_round();
                search.due = now + pause;
                return Some(Step::Ask(questions));
            }
            let ended = self.searches.swap_remove(index);
            if let Some(step) = self.end(&ended, now) {
                return Some(step);
            }
        }
        None
    }

    fn end(&mut self, search: &Search, now: Micros) -> Option<Step> {
        let largest = search.largest();
        let known = self.size_to(&search.uri);
        let size = match largest {
            // Nothing was answered: that says nothing about sizes.
            None => known,
            Some(largest) if largest == search.tries[0].size => None,
            Some(largest) => Some(largest),
        };
        if self.paths.len() == PATHS_MAX && !self.paths.contains_key(&search.uri) {
            self.paths.swap_remove_index(self.next % PATHS_MAX);
        }
        // What it asks from now on is answered by what was found.
        self.forget_answers(&search.uri);
        let path = Path { size, checked: now };
        self.paths.insert(search.uri.clone(), path);
        largest?;
        Some(Step::Found {
            uri: search.uri.clone(),
            size: size?,
            is_new: known.is_none(),
        })
    }

    /// Looks whether an ACK answers a ping of a search.
    pub fn hear_answer(&mut self, echo: &PingData<'_>, now: Micros) -> bool {
        for search in &mut self.searches {
            for (index, attempt) in search.tries.iter_mut().enumerate() {
                if attempt.question.is_answered_by(echo) {
                    attempt.answered = true;
                    if index == 0 {
                        search.due = now;
                    }
                    return true;
                }
            }
        }
        false
    }

    /// Looks at one of the paths, another one each time. Returns its member if it is time to try whether
    /// more passes.
    pub fn next_to_raise(&mut self, now: Micros) -> Option<Uri> {
        let index = self.next.checked_rem(self.paths.len())?;
        self.next = index + 1;
        let (uri, path) = self.paths.get_index(index)?;
        let age = now.since(path.checked);
        if path.size.is_some() && age >= RAISE_PAUSE && !self.is_searching(uri) {
            return Some(uri.clone());
        }
        if path.size.is_none() && age >= CHECK_PAUSE {
            self.paths.swap_remove_index(index);
        }
        None
    }

    /// Forgets what `asker` has been answered.
    pub fn forget_answers(&mut self, asker: &Uri) {
        self.answers.retain(|(other, _)| other != asker);
    }

    /// Forgets what is known of `uri`.
    pub fn forget(&mut self, uri: &Uri) {
        self.paths.swap_remove(uri);
        self.forget_answers(uri);
        self.searches.retain(|search| search.uri != *uri);
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.paths.clear();
        self.searches.clear();
        self.answers.clear();
    }

    /// The questions in flight.
    pub fn questions(&self) -> impl Iterator<Item = &Question> {
        let tries = self.searches.iter().flat_map(|search| &search.tries);
        tries.map(|attempt| &attempt.question)
    }

    /// Whether there is no more of anything than there may be; for audits.
    pub fn is_bounded(&self) -> bool {
        self.paths.len() <= PATHS_MAX
            && self.searches.len() <= SEARCHES_MAX
            && self.answers.len() <= ANSWERS_MAX
    }
}

impl Search {
    /// The questions of the next round: in the first the largest alone, then all that are larger than
    /// what is known to pass.
    fn next_round(&mut self) -> Vec<(Question, usize)> {
        let known = self.largest().unwrap_or(0);
        let count = if self.round == 0 { 1 } else { self.tries.len() };
        self.round += 1;
        let mut questions = Vec::new();
        for attempt in &self.tries[..count] {
            if attempt.size > known {
                questions.push((attempt.question.clone(), attempt.size));
            }
        }
        questions
    }

    /// The largest size that was answered.
    fn largest(&self) -> Option<usize> {
        let answered = self.tries.iter().find(|attempt| attempt.answered)?;
        Some(answered.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(200);

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a URI")
    }

    fn at(seconds: u64) -> Micros {
        Micros(seconds * 1_000_000)
    }

    fn paths() -> PathMtu {
        PathMtu::new(&HashKey::derive(&[0; 32]))
    }

    /// Searches at `start`, where sizes up to `passes` are answered. Returns what it comes to.
    fn search(paths: &mut PathMtu, port: u16, passes: usize, start: Micros) -> Option<Step> {
        let dst = uri(port);
        let question = Question {
            dst: dst.clone(),
            ts: start.0,
        };
        paths.search(&question, 1472, start);
        let mut now = start;
        while let Some(step) = paths.advance(now, PAUSE) {
            let Step::Ask(questions) = step else {
                return Some(step);
            };
            for (question, size) in questions {
                if size <= passes {
                    let echo = PingData {
                        dst: Some(&question.dst),
                        ts: Some(question.ts),
                        ..PingData::default()
                    };
                    assert!(paths.hear_answer(&echo, now));
                }
            }
            now = paths.next_due().expect("it goes on");
        }
        assert!(now.since(start) <= PAUSE * ROUNDS);
        None
    }

    fn found(port: u16, size: usize, is_new: bool) -> Option<Step> {
        let uri = uri(port);
        Some(Step::Found { uri, size, is_new })
    }

    #[test]
    fn the_largest_size_that_is_answered_is_found() {
        for (passes, size) in [(1471, 1392), (1000, 972), (600, 548)] {
            let mut paths = paths();
            assert_eq!(search(&mut paths, 1, passes, at(1)), found(1, size, true));
            assert_eq!(paths.size_to(&uri(1)), Some(size));
            assert_eq!(paths.size_to(&uri(2)), None);
        }
    }

    #[test]
    fn nothing_is_concluded_where_all_sizes_are_answered_or_none_is() {
        for passes in [1472, 0] {
            let mut paths = paths();
            assert_eq!(search(&mut paths, 1, passes, at(1)), None);
            assert_eq!(paths.size_to(&uri(1)), None);
            assert!(!paths.should_search(&uri(1), at(30)), "not so soon again");
            assert!(paths.should_search(&uri(1), at(70)));
            assert_eq!(paths.next_to_raise(at(70)), None);
            assert!(paths.paths.is_empty(), "without trouble nothing is kept");
        }
    }

    #[test]
    fn a_size_is_tried_again_after_a_while_and_forgotten_when_all_pass() {
        let mut paths = paths();
        assert_eq!(search(&mut paths, 1, 1000, at(1)), found(1, 972, true));
        assert_eq!(paths.next_to_raise(at(100)), None);
        assert_eq!(paths.next_to_raise(at(700)), Some(uri(1)));
        assert_eq!(search(&mut paths, 1, 1300, at(700)), found(1, 1232, false));
        assert_eq!(search(&mut paths, 1, 0, at(1400)), None);
        assert_eq!(paths.size_to(&uri(1)), Some(1232), "silence proves nothing");
        assert_eq!(search(&mut paths, 1, 1472, at(2100)), None);
        assert_eq!(paths.size_to(&uri(1)), None);
    }

    #[test]
    fn a_question_that_comes_again_shows_that_a_large_answer_was_lost() {
        let mut paths = paths();
        assert!(!paths.note_answer(&uri(1), 7, SIZE_MIN));
        assert!(!paths.note_answer(&uri(1), 7, 1400), "the first was small");
        assert!(!paths.note_answer(&uri(2), 7, 1400), "another has asked");
        assert!(paths.note_answer(&uri(1), 7, SIZE_MIN));
        for number in 0..200 {
            paths.note_answer(&uri(3), number, 1400);
        }
        assert!(!paths.has_answered(&uri(1), 7), "long ago");
        assert!(paths.is_bounded());
    }

    #[test]
    fn what_is_remembered_has_its_bounds() {
        let mut paths = paths();
        for port in 1..=PATHS_MAX as u16 + 99 {
            let ended = search(&mut paths, port, 1000, at(1));
            assert_eq!(ended, found(port, 972, true));
        }
        assert!(paths.is_bounded());
        for port in 2000..2000 + SEARCHES_MAX as u16 {
            let (dst, ts) = (uri(port), 1);
            assert!(paths.should_search(&dst, at(9)));
            paths.search(&Question { dst, ts }, 1472, at(9));
        }
        assert!(!paths.should_search(&uri(3000), at(9)));
    }
}
