//! The talk in which an instance tells its table.
//!
//! One of ours says by a digest what its table is, and is asked for what differs until ours is the
//! same. A peer of the Lua rock answers with as many members as go into a datagram, drawn at random:
//! it is asked until nothing new has come for so long that hardly anybody can be missing.

use core::time::Duration;

use swim::identity::uri::Uri;
use swim::table::claim::Status;
use swim::table::member::Member;
use swim::table::members::Members;
use swim::time::{Micros, Now};
use swim::wire::{Body, Event, Extension, Message};

use crate::client::{Query, Request};
use crate::error::QueryError;

/// What a table may hold: as many as one of ours remembers at most by default.
const MEMBERS_MAX: usize = 65_536;

/// Into how many buckets tables are divided to be compared: as many as there may be.
const BUCKETS: usize = 256;

/// After so long a silence an answer that may take several datagrams is over.
const QUIET: Duration = Duration::from_millis(40);

/// The pause between two requests that were answered. Who is asked has other things to do.
const PAUSE: Duration = Duration::from_millis(30);

/// When a request that was not answered is repeated first; the pause doubles each time.
const REPEAT: Duration = Duration::from_millis(200);

/// How often one of ours may have nothing new, although its table is another: what is new may have got
/// lost, and what never will be equal is no reason to go on for ever.
const VAIN_MAX: u32 = 10;

/// How likely it may be that a given member of a peer of the Lua rock is missed.
const MISSED_MAX: f64 = 1e-4;

/// What an instance has told so far.
#[derive(Debug)]
pub struct Table {
    name: Option<Uri>,
    members: Members,
    is_ours: bool,
    digest: Option<u64>,
    /// The most records that came in one datagram.
    sample: usize,
    round: Round,
    /// How many rounds in a row had nothing new.
    vain: u32,
    end: Option<End>,
    timeout: Duration,
    give_up: Option<Micros>,
    silence: QueryError,
}

/// A request and its answer.
#[derive(Debug)]
enum Round {
    /// The next one begins then.
    Pausing(Micros),
    /// Not answered yet.
    Asked { repeat: Micros, pause: Duration },
    /// Something has come; it is over then, unless more comes.
    Hearing { over: Micros, news: bool },
}

#[derive(Debug)]
enum End {
    Whole,
    Partial,
    QueryError(QueryError),
}

/// Who is in a table, and as what.
#[derive(Debug)]
pub struct View {
    /// What the instance calls itself.
    pub name: Uri,
    /// Whether nobody is missing, as far as can be told.
    pub is_whole: bool,
    /// In the order of their names.
    pub members: Vec<Member>,
}

impl Table {
    /// The talk with one of whom nothing has been heard.
    pub fn new(timeout: Duration, silence: QueryError) -> Self {
        Self {
            name: None,
            members: Members::default(),
            is_ours: false,
            digest: None,
            sample: 0,
            round: Round::Pausing(Micros(0)),
            vain: 0,
            end: None,
            timeout,
            give_up: None,
            silence,
        }
    }

    /// What has been told; or why nothing has.
    pub fn finish(self) -> Result<View, QueryError> {
        let Some(name) = self.name else {
            return Err(match self.end {
                Some(End::QueryError(trouble)) => trouble,
                _ => self.silence,
            });
        };
        let mut members: Vec<_> = self.members.from(0).cloned().collect();
        members.sort_by(|one, other| one.uri.cmp(&other.uri));
        Ok(View {
            name,
            is_whole: matches!(self.end, Some(End::Whole)),
            members,
        })
    }

    fn is_equal(&self) -> bool {
        self.is_ours && self.digest == Some(self.members.digest().total())
    }

    /// How many rounds with nothing new show that there is no more.
    fn vain_max(&self) -> u32 {
        if self.is_ours {
            return VAIN_MAX;
        }
        // Were there one more, it would not be among the `sample` drawn with this probability.
        let unseen = 1.0 - self.sample.max(1) as f64 / (self.members.len() + 1) as f64;
        (MISSED_MAX.ln() / unseen.ln()).ceil() as u32
    }

    fn hear(&mut self, records: &[Event<'_>], now: Now) -> bool {
        let before = self.members.version();
        for record in records {
            let _ = self.members.apply(record, now.wall, MEMBERS_MAX);
        }
        self.members.version() != before
    }

    fn end_round(&mut self, news: bool, now: Now) {
        self.vain = if news { 0 } else { self.vain + 1 };
        if self.is_equal() {
            self.end = Some(End::Whole);
        } else if self.vain >= self.vain_max() {
            self.end = Some(if self.is_ours {
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
        let give_up = *self.give_up.get_or_insert(now.monotonic + self.timeout);
        if self.end.is_some() {
            return None;
        }
        if now.monotonic >= give_up {
            self.end = Some(End::Partial);
            return None;
        }
        let pause = match self.round {
            Round::Hearing { over, news } if over <= now.monotonic => {
                self.end_round(news, now);
                return None;
            }
            Round::Pausing(until) if until <= now.monotonic => REPEAT,
            Round::Asked { repeat, pause } if repeat <= now.monotonic => 2 * pause,
            _ => return None,
        };
        let repeat = now.monotonic + pause;
        self.round = Round::Asked { repeat, pause };
        Some(if self.is_ours {
            Request::Differing(self.members.digest().sums(BUCKETS))
        } else {
            Request::Table
        })
    }

    fn handle_message(&mut self, message: &Message<'_>, now: Now) {
        let Body::SyncAck(records) = &message.body else {
            return;
        };
        if self.end.is_some() {
            return;
        }
        self.name = Uri::from_wire(message.sender);
        self.is_ours = message.trailer.is_some();
        self.digest = message.trailer.as_ref().and_then(|trailer| trailer.digest);
        self.sample = self.sample.max(records.len());
        self.give_up = Some(now.monotonic + self.timeout);
        let heard_before = matches!(self.round, Round::Hearing { news: true, .. });
        let news = self.hear(records, now) || heard_before;
        let note = message
            .trailer
            .as_ref()
            .and_then(|trailer| trailer.note.as_ref());
        let is_last = !self.is_ours || matches!(note, Some(Extension::Differ { last: true, .. }));
        if is_last || self.is_equal() {
            self.end_round(news, now);
        } else {
            let over = now.monotonic + QUIET;
            self.round = Round::Hearing { over, news };
        }
    }

    fn handle_trouble(&mut self, trouble: QueryError) {
        // Once it has answered, it is there.
        if self.name.is_none() && self.end.is_none() {
            self.end = Some(End::QueryError(trouble));
        }
    }

    fn deadline(&self) -> Option<Micros> {
        if self.end.is_some() {
            return None;
        }
        let next = match self.round {
            Round::Pausing(at)
            | Round::Asked { repeat: at, .. }
            | Round::Hearing { over: at, .. } => at,
        };
        Some(self.give_up.map_or(next, |give_up| give_up.min(next)))
    }
}

impl View {
    /// What is known of `uri`.
    pub fn get(&self, uri: &Uri) -> Option<&Member> {
        let found = self.members.binary_search_by(|member| member.uri.cmp(uri));
        found.ok().map(|place| &self.members[place])
    }

    /// Whether everybody is alive, or has left.
    pub fn is_healthy(&self) -> bool {
        let well = |member: &Member| matches!(member.claim.status, Status::Alive | Status::Left);
        self.members.iter().all(well)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{IpAddr, Ipv4Addr, SocketAddr};
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use swim::Swim;
    use swim::config::{Config, Setting};
    use swim::wire::{
        MessageBuilder, MessageType, PingData, Trailer, ack_data, checksummed, decode,
    };

    const TIMEOUT: Duration = Duration::from_secs(2);

    /// Where the tool is.
    const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9999);

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a port")
    }

    fn at(micros: u64) -> Now {
        Now {
            monotonic: Micros(micros),
            wall: Micros(micros),
        }
    }

    /// One of ours that knows so many members.
    fn node(members: u16) -> Swim {
        let mut node = Swim::new(Config::default(), 1);
        node.init(uri(1), at(0));
        // Who does not answer stays what it is for the time of the test.
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
            Request::Ping { .. } => panic!("a table is no ping"),
        };
        checksummed(draft.finish().expect("it is short"))
    }

    fn answer(ping: &PingData<'_>, tool: &Uri) -> Vec<u8> {
        let data = ack_data(ping.raw, Micros(1));
        let draft = MessageBuilder::with_data(MessageType::Ack, tool, &data, 1472);
        draft.finish().expect("it is short") // as a peer of the Lua rock would
    }

    /// Lets them talk until it is over; of what the node says this share gets lost.
    fn talk(node: &mut Swim, lost: f64) -> (Result<View, QueryError>, usize) {
        let tool = uri(9999);
        let mut table = Table::new(TIMEOUT, QueryError::Closed);
        let mut chance = StdRng::seed_from_u64(7);
        let (mut micros, mut said) = (0, 0);
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
                    said += usize::from(matches!(message.body, Body::SyncAck(_)));
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
        (table.finish(), said)
    }

    #[test]
    fn a_table_is_told_whole_however_large_it_is() {
        for members in [1, 2, 30, 300, 5000] {
            let mut node = node(members);
            let (view, _) = talk(&mut node, 0.0);
            let view = view.expect("it answers");
            assert!(view.is_whole, "{members}");
            assert_eq!(view.members.len(), usize::from(members));
            assert_eq!(view.name, uri(1));
            assert!(
                node.member(&uri(9999)).is_none(),
                "who asks does not become a member"
            );
            assert_eq!(
                node.members().len(),
                usize::from(members),
                "nor does anybody else"
            );
        }
    }

    #[test]
    fn what_gets_lost_is_asked_for_again() {
        for lost in [0.1, 0.5] {
            let view = talk(&mut node(1000), lost).0.expect("it answers");
            assert!(view.is_whole, "{lost}: {} members", view.members.len());
            assert_eq!(view.members.len(), 1000);
        }
    }

    #[test]
    fn a_small_table_takes_one_answer() {
        let (view, datagrams) = talk(&mut node(5), 0.0);
        assert!(view.expect("it answers").is_whole);
        assert_eq!(datagrams, 1);
    }

    #[test]
    fn who_says_nothing_is_given_up() {
        let (view, _) = talk(&mut node(5), 1.0);
        assert_eq!(view.expect_err("it is silent"), QueryError::Closed);
    }
}
