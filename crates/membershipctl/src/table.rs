//! The query that reads the table of an instance.
//!
//! A native peer sends a digest of its table. It is asked for the members that differ, until the copy
//! has the same digest. A peer that runs membership 2.x answers with as many members as go into a
//! datagram, drawn at random: it is asked until so many answers had nothing new that a member is hardly
//! missing.

use core::time::Duration;

use swim::detector::self_check::SelfSuspicion;
use swim::hashing::HashKey;
use swim::identity::uri::Uri;
use swim::security::cookie::ProcessTag;
use swim::table::claim::Status;
use swim::table::history::Occasion;
use swim::table::member::Member;
use swim::table::members::Members;
use swim::table::reason::Reason;
use swim::time::{Micros, Now};
use swim::wire::{Body, DUPLICATES_MAX, Duplicate, Event, Extension, Message};

use crate::client::{Query, Request};
use crate::error::QueryError;

/// How many members a table may hold: as many as a native peer keeps by default.
const MEMBERS_MAX: usize = 65_536;

/// How many buckets a table is divided into, to be compared: the most that the protocol has.
const BUCKETS: usize = 256;

/// An answer of several datagrams is over when none has come for this time.
const QUIET: Duration = Duration::from_millis(40);

/// The pause from an answer to the next request, to keep the load on the instance low.
const PAUSE: Duration = Duration::from_millis(30);

/// How soon a request without an answer is repeated; the time doubles with each.
const REPEAT: Duration = Duration::from_millis(200);

/// How many answers in a row of a native peer may have nothing new, although the digests differ. An
/// answer may be lost; tables that never become equal must not be compared for ever.
const FRUITLESS_MAX: u32 = 10;

/// The probability with which a given member of a peer that runs membership 2.x may be missed.
const MISSED_MAX: f64 = 1e-4;

/// What an instance has sent so far.
#[derive(Debug)]
pub struct Table {
    name: Option<Uri>,
    members: Members,
    is_native: bool,
    digest: Option<u64>,
    /// The most records that one datagram had.
    sample: usize,
    round: Round,
    /// How many rounds in a row had nothing new.
    fruitless: u32,
    self_suspicion: Option<SelfSuspicion>,
    process: Option<ProcessTag>,
    duplicates: Vec<Duplicate>,
    end: Option<End>,
    timeout: Duration,
    give_up_at: Option<Micros>,
    no_answer: QueryError,
}

/// A request and its answer.
#[derive(Debug)]
enum Round {
    /// The next request is sent at this time.
    Pausing(Micros),
    /// A request was sent, and is repeated at this time.
    Waiting { repeat: Micros, pause: Duration },
    /// A part of the answer has come. The answer is over at this time, unless more comes.
    Receiving { over: Micros, news: bool },
}

#[derive(Debug)]
enum End {
    Whole,
    Partial,
    Failed(QueryError),
}

/// A copy of the table of an instance.
#[derive(Debug)]
pub struct View {
    /// The name of the instance for itself.
    pub name: Uri,
    /// Whether no member is missing, as far as can be known.
    pub is_whole: bool,
    /// Whether the instance runs this module, and not membership 2.x.
    pub is_native: bool,
    /// Why the instance announces itself as suspect, if it does.
    pub self_suspicion: Option<SelfSuspicion>,
    /// Which process it is, as far as it shows that.
    pub process: Option<ProcessTag>,
    /// The URIs that two processes use, as it says.
    pub duplicates: Vec<Duplicate>,
    /// In the order of their URIs.
    pub members: Vec<Member>,
}

impl Table {
    /// Begins a query. Without an answer for `timeout` it ends, with the error `no_answer` if there was
    /// none at all.
    pub fn new(timeout: Duration, no_answer: QueryError, hash_key: &HashKey) -> Self {
        Self {
            name: None,
            members: Members::new(hash_key),
            is_native: false,
            digest: None,
            sample: 0,
            round: Round::Pausing(Micros(0)),
            fruitless: 0,
            self_suspicion: None,
            process: None,
            duplicates: Vec::new(),
            end: None,
            timeout,
            give_up_at: None,
            no_answer,
        }
    }

    /// Returns what was sent, or why nothing was.
    pub fn finish(self) -> Result<View, QueryError> {
        let Some(name) = self.name else {
            return Err(match self.end {
                Some(End::Failed(error)) => error,
                _ => self.no_answer,
            });
        };
        let mut members: Vec<_> = self.members.from(0).cloned().collect();
        members.sort_by(|one, other| one.uri.cmp(&other.uri));
        Ok(View {
            name,
            is_whole: matches!(self.end, Some(End::Whole)),
            is_native: self.is_native,
            self_suspicion: self.self_suspicion,
            process: self.process,
            duplicates: self.duplicates,
            members,
        })
    }

    fn is_equal(&self) -> bool {
        self.is_native && self.digest == Some(self.members.digest().total())
    }

    /// How many rounds with nothing new show that the copy is complete.
    fn fruitless_max(&self) -> u32 {
        if self.is_native {
            return FRUITLESS_MAX;
        }
        // If there were one more, it would be missing in a sample with this probability.
        let unseen = 1.0 - self.sample.max(1) as f64 / (self.members.len() + 1) as f64;
        (MISSED_MAX.ln() / unseen.ln()).ceil() as u32
    }

    /// Takes the records in, and returns whether there was anything new among them.
    fn apply(&mut self, message: &Message<'_>, records: &[Event<'_>], now: Now) -> bool {
        let before = self.members.digest().total();
        let occasion = Occasion {
            now,
            reason: &Reason::Heard,
        };
        for record in records {
            let is_forgotten = match &message.trailer {
                Some(trailer) => trailer.forgotten && self.members.get(&record.uri).is_none(),
                None => false,
            };
            // The instance does not show it, but it is a part of its digest.
            if is_forgotten {
                self.members.insert_tombstone(record, now.wall, MEMBERS_MAX);
            } else {
                let _ = self.members.apply(record, &occasion, MEMBERS_MAX);
            }
        }
        self.members.digest().total() != before
    }

    /// Notes which process has sent a message, and of which URIs it says that two processes use them.
    fn note_processes(&mut self, message: &Message<'_>) {
        if let Body::Ping(ping) = &message.body
            && let Some(cookie) = ping.cookie
        {
            self.process = ProcessTag::of(cookie);
        }
        let Some(trailer) = &message.trailer else {
            return;
        };
        for told in &trailer.duplicates {
            let is_known = self.duplicates.iter().any(|known| known.uri == told.uri);
            if !is_known && self.duplicates.len() < DUPLICATES_MAX {
                self.duplicates.push(told.clone());
            }
        }
    }

    fn end_round(&mut self, news: bool, now: Now) {
        self.fruitless = if news { 0 } else { self.fruitless + 1 };
        if self.is_equal() {
            self.end = Some(End::Whole);
        } else if self.fruitless >= self.fruitless_max() {
            self.end = Some(if self.is_native {
                End::Partial
            } else {
                End::Whole
            });
        }
        self.round = Round::Pausing(now.monotonic + PAUSE);
    }
}

impl Query for Table {
    fn poll_request(&mut self, now: Now) -> Option<Request> {
        let give_up_at = *self.give_up_at.get_or_insert(now.monotonic + self.timeout);
        if self.end.is_some() {
            return None;
        }
        if now.monotonic >= give_up_at {
            self.end = Some(End::Partial);
            return None;
        }
        let pause = match self.round {
            Round::Receiving { over, news } if over <= now.monotonic => {
                self.end_round(news, now);
                return None;
            }
            Round::Pausing(until) if until <= now.monotonic => REPEAT,
            Round::Waiting { repeat, pause } if repeat <= now.monotonic => 2 * pause,
            _ => return None,
        };
        let repeat = now.monotonic + pause;
        self.round = Round::Waiting { repeat, pause };
        Some(if self.is_native {
            Request::Differing(self.members.digest().sums(BUCKETS))
        } else {
            Request::Table
        })
    }

    fn handle_message(&mut self, message: &Message<'_>, now: Now) {
        self.note_processes(message);
        let Body::SyncAck(records) = &message.body else {
            return;
        };
        if self.end.is_some() {
            return;
        }
        self.name = Uri::from_wire(&message.sender);
        (self.is_native, self.digest) = match &message.trailer {
            Some(trailer) => (true, trailer.digest),
            None => (false, None),
        };
        if let Some(trailer) = &message.trailer {
            self.self_suspicion = trailer.self_suspicion;
        }
        self.sample = self.sample.max(records.len());
        self.give_up_at = Some(now.monotonic + self.timeout);
        let had_news = matches!(self.round, Round::Receiving { news: true, .. });
        let news = self.apply(message, records, now) || had_news;
        let is_last = match &message.trailer {
            Some(trailer) => matches!(trailer.note, Some(Extension::Differ { last: true, .. })),
            None => true,
        };
        if is_last || self.is_equal() {
            self.end_round(news, now);
        } else {
            let over = now.monotonic + QUIET;
            self.round = Round::Receiving { over, news };
        }
    }

    fn handle_error(&mut self, error: QueryError) {
        // Errors after the first answer do not count: the instance is there.
        if self.name.is_none() && self.end.is_none() {
            self.end = Some(End::Failed(error));
        }
    }

    fn deadline(&self) -> Option<Micros> {
        if self.end.is_some() {
            return None;
        }
        let next = match self.round {
            Round::Pausing(at)
            | Round::Waiting { repeat: at, .. }
            | Round::Receiving { over: at, .. } => at,
        };
        match self.give_up_at {
            Some(give_up_at) => Some(next.min(give_up_at)),
            None => Some(next),
        }
    }
}

impl View {
    /// The member `uri`, if it is known.
    pub fn get(&self, uri: &Uri) -> Option<&Member> {
        let found = self.members.binary_search_by(|member| member.uri.cmp(uri));
        Some(&self.members[found.ok()?])
    }

    /// Whether all members are alive or have left.
    pub fn is_healthy(&self) -> bool {
        for member in &self.members {
            if !matches!(member.claim.status, Status::Alive | Status::Left) {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{SOMEWHERE, answer, at, uri};
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use swim::Swim;
    use swim::config::{Config, Setting};
    use swim::wire::{MessageBuilder, MessageType, Trailer, checksummed, decode};

    const TIMEOUT: Duration = Duration::from_secs(2);

    /// A native peer that knows so many members.
    fn node(members: u16) -> Swim {
        let mut node = Swim::new(Config::default(), 1);
        node.init(uri(1), at(0));
        // Members that do not answer stay alive for the time of the test.
        node.assign("SUSPICIOUSNESS", Setting::Flag(false), at(0))
            .expect("an option");
        for port in 2..=members {
            node.add_member(uri(port), at(0));
        }
        node
    }

    fn request(request: Request, tool: &Uri) -> Vec<u8> {
        let draft = match request {
            Request::Table => MessageBuilder::sync(MessageType::SyncReq, tool, 1472),
            Request::Differing(sums) => MessageBuilder::leave(tool, 1472).trailed_by(&Trailer {
                note: Some(Extension::Compare(sums)),
                ..Trailer::default()
            }),
            Request::Ping { .. } | Request::History(_) => panic!("a table is no such"),
        };
        checksummed(draft.finish().expect("it is short"))
    }

    /// Runs a query until it is over. This share of what the node sends is lost.
    fn run(node: &mut Swim, lost: f64) -> (Result<View, QueryError>, usize) {
        let tool = uri(9999);
        let mut table = Table::new(TIMEOUT, QueryError::Closed, &HashKey::derive(&[1; 32]));
        let mut chance = StdRng::seed_from_u64(7);
        let (mut micros, mut answers) = (0, 0);
        while table.deadline().is_some() {
            micros += 10_000;
            let now = at(micros);
            node.handle_timeout(now);
            while let Some(asked) = table.poll_request(now) {
                node.handle_datagram(&request(asked, &tool), SOMEWHERE, now)
                    .expect("a message");
            }
            while let Some(transmit) = node.poll_transmit() {
                if transmit.to == tool {
                    let message = decode(&transmit.datagram).expect("a message");
                    answers += usize::from(matches!(message.body, Body::SyncAck(_)));
                    if chance.random_bool(lost) {
                        continue;
                    }
                    if let Body::Ping(echo) = &message.body {
                        node.handle_datagram(&answer(echo, &tool), SOMEWHERE, now)
                            .expect("a message");
                    }
                    table.handle_message(&message, now);
                }
            }
            assert!(micros < 60_000_000, "it does not end");
        }
        (table.finish(), answers)
    }

    #[test]
    fn a_table_of_any_size_is_read_completely() {
        for members in [1, 2, 30, 300, 5000] {
            let mut node = node(members);
            let (view, _) = run(&mut node, 0.0);
            let view = view.expect("it answers");
            assert!(view.is_whole, "{members}");
            assert_eq!(view.members.len(), usize::from(members));
            assert_eq!(view.name, uri(1));
            assert!(
                node.member(&uri(9999)).is_none(),
                "the tool does not become a member"
            );
            assert_eq!(
                node.members().len(),
                usize::from(members),
                "and no other member is added"
            );
        }
    }

    #[test]
    fn answers_that_are_lost_are_asked_for_again() {
        for lost in [0.1, 0.5] {
            let view = run(&mut node(1000), lost).0.expect("it answers");
            assert!(view.is_whole, "{lost}: {} members", view.members.len());
            assert_eq!(view.members.len(), 1000);
        }
    }

    #[test]
    fn a_small_table_takes_one_answer() {
        let (view, datagrams) = run(&mut node(5), 0.0);
        assert!(view.expect("it answers").is_whole);
        assert_eq!(datagrams, 1);
    }

    #[test]
    fn an_instance_without_an_answer_is_given_up() {
        let (view, _) = run(&mut node(5), 1.0);
        assert_eq!(view.expect_err("it does not answer"), QueryError::Closed);
    }
}
