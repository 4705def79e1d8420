//! Which address a member has: what the resolver said, for how long to believe it, and what waits
//! for it to answer. Asks nobody itself.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;

use crate::net::socket::Family;
use crate::observe::metrics::Lookups;
use crate::resolve::cache::Cache;
use crate::resolve::resolver::{Answer, Question};
use crate::resolve::shares::{Limits, Share};
use swim::Transmit;
use swim::identity::uri::Uri;
use swim::security::acquaintance::Acquaintance;
use swim::time::Micros;

/// How many hosts, and how many addresses, are remembered: as many as there may be members. With
/// the longest of names it comes to some 30 MiB. Names come from strangers.
const ENTRIES_MAX: usize = 65_536;

/// After this an address is looked up again, while the old one goes on being used.
const TIME_TO_LIVE: Duration = Duration::from_secs(30);

/// An answer younger than this is not doubted, whatever the member does.
const TIME_TO_TRUST: Duration = Duration::from_secs(1);

/// After a first failure a name is tried again after this, and each time after twice as long.
const RETRY_PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause between two tries.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// For how many ports of a host a failure is reported. No machine has that many instances.
const REPORTED_PORTS_MAX: usize = 64;

/// How many members may be met at one address: under its name, its number, and old names of it.
const NAMES_PER_ADDRESS_MAX: usize = 4;

/// The addresses of the members, for a socket of one [`Family`].
///
/// [`Self::route`] and [`Self::handle_answer`] are the inputs; [`Self::poll_question`] and
/// [`Self::poll_warning`] the outputs, to be drained after them.
#[derive(Debug)]
pub struct AddressBook {
    family: Family,
    /// By host: instances that share one share the answer.
    hosts: Cache<String, Host>,
    /// Who has been sent something at an address.
    residents: Cache<SocketAddr, Vec<Uri>>,
    /// By [`Acquaintance`].
    shares: [Share; Acquaintance::COUNT],
    questions: VecDeque<Question>,
    warnings: VecDeque<String>,
    lookups: Lookups,
}

/// What is known of a host that has a name.
#[derive(Debug, Default)]
struct Host {
    /// The address last heard of; kept when a later question fails. Its port means nothing.
    address: Option<SocketAddr>,
    /// A question is under way, in this share.
    asking: Option<Acquaintance>,
    /// When the last one was asked.
    asked: Micros,
    /// When the last question was answered, and how long that answer holds.
    answered: Option<(Micros, Duration)>,
    /// Why the last question failed, if it did.
    failure: Option<String>,
    /// The ports under which that has been reported.
    reported: Vec<u16>,
}

/// Tells how well a member is known.
pub type HowKnown<'a> = &'a dyn Fn(&Uri) -> Acquaintance;

/// Where a datagram goes.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Route {
    /// To this address.
    To(SocketAddr, Transmit),
    /// Nowhere yet: its recipient's name is being resolved.
    Waits,
    /// Nowhere at all: its recipient has no address that we could reach.
    Nowhere(Uri),
}

impl AddressBook {
    /// An empty one.
    pub fn new(family: Family) -> Self {
        Self {
            family,
            hosts: Cache::new(ENTRIES_MAX),
            residents: Cache::new(ENTRIES_MAX),
            shares: Acquaintance::ALL.map(|kind| Share::new(Limits::of(kind))),
            questions: VecDeque::new(),
            warnings: VecDeque::new(),
            lookups: Lookups::default(),
        }
    }

    /// What was asked so far.
    pub const fn lookups(&self) -> Lookups {
        self.lookups
    }

    /// Serves a socket of this family from now on.
    pub fn serve(&mut self, family: Family) {
        if self.family != family {
            self.family = family;
            self.hosts = Cache::new(ENTRIES_MAX);
            self.residents = Cache::new(ENTRIES_MAX);
            self.shares.iter_mut().for_each(Share::forget_waiting);
        }
    }

    /// Finds out where a datagram goes. Should its recipient's name have to be looked up for that, how
    /// well that is known decides what there is for it.
    pub fn route(&mut self, transmit: Transmit, how_known: HowKnown<'_>, now: Micros) -> Route {
        let to = &transmit.to;
        if let Some(address) = literal(to) {
            if Family::of(address.ip()) != self.family {
                return Route::Nowhere(transmit.to);
            }
            self.move_in(address, to);
            return Route::To(address, transmit);
        }
        let outdated = |host: &Host| host.is_outdated(transmit.anew, now);
        if self.hosts.peek(to.host()).is_none_or(outdated) {
            self.ask(to, how_known(to), now);
        }
        if self.hosts.peek(to.host()).is_none() {
            return Route::Nowhere(transmit.to);
        }
        let host = self.hosts.entry(to.host());
        if let Some(address) = host.address_of(to) {
            self.move_in(address, to);
            return Route::To(address, transmit);
        }
        if let Some(share) = host.asking {
            self.shares[share as usize].wait(transmit, now);
            return Route::Waits;
        }
        self.warnings.extend(host.complaint(to));
        Route::Nowhere(transmit.to)
    }

    /// Has a name looked up; unless it is already, or there is no room for one that is not known better.
    fn ask(&mut self, about: &Uri, known: Acquaintance, now: Micros) {
        let asking = self.hosts.peek(about.host()).and_then(|host| host.asking);
        // Behind those of strangers a question may wait for long.
        if asking.is_some_and(|share| share >= known) {
            return;
        }
        if !self.shares[known as usize].begin_question(now) {
            self.lookups.refused += 1;
            return;
        }
        // Only now, or strangers would have the hosts of members forgotten.
        let host = self.hosts.entry(about.host());
        (host.asking, host.asked) = (Some(known), now);
        self.lookups.queries += 1;
        self.questions.push_back(Question {
            about: about.clone(),
            family: self.family,
            share: known,
        });
    }

    /// Takes what the resolver has found out, and says where the datagrams go that waited for it.
    pub fn handle_answer(
        &mut self,
        answer: Answer,
        how_known: HowKnown<'_>,
        now: Micros,
    ) -> Vec<Route> {
        let Answer { question, result } = answer;
        let about = question.about;
        self.shares[question.share as usize].end_question();
        if question.family != self.family {
            return Vec::new();
        }
        if let Some(host) = self.hosts.get_mut(about.host()) {
            let took = now.since(host.asked);
            self.lookups.note_answer(result.is_ok(), took);
            host.learn(result, now);
            self.warnings.extend(host.complaint(&about));
        }
        let mut routes = Vec::new();
        for share in Acquaintance::ALL {
            for transmit in self.shares[share as usize].take_waiting(about.host(), now) {
                routes.push(self.route(transmit, how_known, now));
            }
        }
        routes
    }

    /// The next question for the resolver.
    pub fn poll_question(&mut self) -> Option<Question> {
        self.questions.pop_front()
    }

    /// The next line for the log.
    pub fn poll_warning(&mut self) -> Option<String> {
        self.warnings.pop_front()
    }

    /// Where `to` is, if that is known. Asks nothing.
    pub fn address(&self, to: &Uri) -> Option<SocketAddr> {
        let ours = |address: &SocketAddr| Family::of(address.ip()) == self.family;
        match literal(to) {
            Some(address) => Some(address).filter(ours),
            None => self.hosts.peek(to.host())?.address_of(to),
        }
    }

    /// Why nothing can be sent to `to`, in words, if that is so.
    pub fn trouble(&self, to: &Uri) -> Option<String> {
        match literal(to) {
            Some(address) if Family::of(address.ip()) != self.family => {
                Some("it has an address of the other kind, IPv4 or IPv6".into())
            }
            Some(_) => None,
            None => {
                let reason = self.hosts.peek(to.host())?.failure.as_ref()?;
                Some(format!("its name does not resolve: {reason}"))
            }
        }
    }

    /// Whether something waits for the address of `uri`.
    pub fn is_resolving(&self, uri: &str) -> bool {
        self.shares.iter().any(|share| share.is_resolving(uri))
    }

    /// Who has this address.
    pub fn residents(&self, address: SocketAddr) -> Vec<Uri> {
        let former = self.residents.peek(&address).into_iter().flatten();
        former
            .filter(|uri| self.address(uri) == Some(address))
            .cloned()
            .collect()
    }

    /// Forgets all questions and what waits for them: there will be no answers.
    pub fn forget_questions(&mut self) {
        self.hosts.values_mut().for_each(|host| host.asking = None);
        self.shares.iter_mut().for_each(Share::forget_questions);
        self.questions.clear();
    }

    fn move_in(&mut self, address: SocketAddr, uri: &Uri) {
        let residents = self.residents.entry(&address);
        if !residents.contains(uri) {
            residents.truncate(NAMES_PER_ADDRESS_MAX - 1);
            residents.insert(0, uri.clone());
        }
    }
}

impl Host {
    /// Whether the last answer is not to be relied on any more, if there was one.
    fn is_outdated(&self, anew: bool, now: Micros) -> bool {
        let Some((answered, holds)) = self.answered else {
            return true;
        };
        let doubted = anew && self.failure.is_none();
        let holds = if doubted { TIME_TO_TRUST } else { holds };
        now.since(answered) >= holds
    }

    fn learn(&mut self, result: Result<SocketAddr, String>, now: Micros) {
        self.asking = None;
        let holds = match result {
            Ok(address) => {
                self.address = Some(address);
                self.failure = None;
                self.reported.clear();
                TIME_TO_LIVE
            }
            Err(reason) => {
                let pause = self
                    .answered
                    .filter(|_| self.failure.is_some())
                    .map(|(_, pause)| pause * 2);
                self.failure = Some(reason);
                pause.map_or(RETRY_PAUSE_MIN, |pause| pause.min(RETRY_PAUSE_MAX))
            }
        };
        self.answered = Some((now, holds));
    }

    fn address_of(&self, uri: &Uri) -> Option<SocketAddr> {
        let mut address = self.address?;
        address.set_port(uri.port());
        Some(address)
    }

    /// The line that says why `uri` does not resolve, unless that is known.
    fn complaint(&mut self, uri: &Uri) -> Option<String> {
        let reason = self.failure.as_ref()?;
        if self.reported.contains(&uri.port()) || self.reported.len() == REPORTED_PORTS_MAX {
            return None;
        }
        self.reported.push(uri.port());
        Some(format!("getaddrinfo: {reason} ({uri})"))
    }
}

/// The address of one whose host is a number.
fn literal(uri: &Uri) -> Option<SocketAddr> {
    let ip: IpAddr = uri.host().parse().ok()?;
    Some(SocketAddr::new(ip, uri.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn uri(text: &str) -> Uri {
        Uri::from_wire(text).unwrap()
    }

    fn to(text: &str, anew: bool) -> Transmit {
        let datagram = text.into();
        Transmit {
            to: uri(text),
            datagram,
            anew,
        }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn book() -> AddressBook {
        AddressBook::new(Family::V4)
    }

    /// Members, all of them.
    fn known(_: &Uri) -> Acquaintance {
        Acquaintance::Known
    }

    fn stranger(_: &Uri) -> Acquaintance {
        Acquaintance::Stranger
    }

    fn answer(about: &str, result: Result<&str, &str>) -> Answer {
        let question = Question {
            about: uri(about),
            family: Family::V4,
            share: Acquaintance::Known,
        };
        let result = result.map(|ip| SocketAddr::new(ip.parse().unwrap(), 0));
        Answer {
            question,
            result: result.map_err(Into::into),
        }
    }

    /// A book that has learnt at second 100 what `result` says about host `a`.
    fn taught(result: Result<&str, &str>) -> AddressBook {
        let mut book = book();
        assert_eq!(
            book.route(to("a:1", false), &known, Micros(100 * SECOND)),
            Route::Waits
        );
        assert!(book.poll_question().is_some());
        let _ = book.handle_answer(answer("a:1", result), &known, Micros(100 * SECOND));
        book
    }

    #[test]
    fn numbers_need_no_resolver() {
        let mut book = book();
        let transmit = to("127.0.0.1:3301", true);
        let route = book.route(transmit.clone(), &known, Micros(0));
        assert_eq!(route, Route::To(address("127.0.0.1:3301"), transmit));
        assert_eq!(book.poll_question(), None);
    }

    #[test]
    fn an_address_of_the_other_kind_is_out_of_reach() {
        let mut book = book();
        assert_eq!(
            book.route(to("[::1]:1", false), &known, Micros(0)),
            Route::Nowhere(uri("[::1]:1"))
        );
        book.serve(Family::V6);
        assert!(matches!(
            book.route(to("[::1]:1", false), &known, Micros(0)),
            Route::To(..)
        ));
        assert!(matches!(
            book.route(to("127.0.0.1:1", false), &known, Micros(0)),
            Route::Nowhere(_)
        ));
    }

    #[test]
    fn the_members_of_one_host_share_one_question() {
        let mut book = book();
        for member in ["a:1", "a:2", "b:1"] {
            assert_eq!(
                book.route(to(member, true), &known, Micros(0)),
                Route::Waits
            );
        }
        let asked: Vec<_> = std::iter::from_fn(|| book.poll_question()).collect();
        assert_eq!(
            asked.iter().map(|asked| &*asked.about).collect::<Vec<_>>(),
            ["a:1", "b:1"]
        );
        let sent = book.handle_answer(answer("a:1", Ok("127.0.0.1")), &known, Micros(0));
        let routes = [("127.0.0.1:1", "a:1"), ("127.0.0.1:2", "a:2")];
        assert_eq!(
            sent,
            routes.map(|(there, it)| Route::To(address(there), to(it, true)))
        );
    }

    #[test]
    fn an_old_address_is_used_while_it_is_asked_for_again() {
        let mut book = taught(Ok("127.0.0.1"));
        let old = Route::To(address("127.0.0.1:1"), to("a:1", false));
        assert_eq!(
            book.route(to("a:1", false), &known, Micros(129 * SECOND)),
            old
        );
        assert_eq!(book.poll_question(), None);
        for _ in 0..2 {
            assert_eq!(
                book.route(to("a:1", false), &known, Micros(130 * SECOND)),
                old
            );
        }
        assert!(book.poll_question().is_some());
        assert_eq!(book.poll_question(), None, "one question at a time");
        let _ = book.handle_answer(answer("a:1", Err("no")), &known, Micros(131 * SECOND));
        assert_eq!(
            book.route(to("a:1", false), &known, Micros(131 * SECOND)),
            old,
            "better than none"
        );
        let _ = book.handle_answer(answer("a:1", Ok("127.0.0.2")), &known, Micros(132 * SECOND));
        assert_eq!(book.address(&uri("a:1")), Some(address("127.0.0.2:1")));
    }

    #[test]
    fn a_member_that_may_have_moved_is_asked_for_once_a_second() {
        let mut book = taught(Ok("127.0.0.1"));
        let _ = book.route(to("a:1", true), &known, Micros(101 * SECOND - 1));
        assert_eq!(book.poll_question(), None);
        let route = book.route(to("a:1", true), &known, Micros(101 * SECOND));
        assert!(
            matches!(route, Route::To(..)),
            "the old address does meanwhile"
        );
        assert!(book.poll_question().is_some());
    }

    #[test]
    fn a_name_that_fails_is_tried_more_and_more_rarely() {
        let mut book = taught(Err("no"));
        let mut now = 100;
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            let early = book.route(to("a:1", true), &known, Micros((now + pause) * SECOND - 1));
            assert_eq!(early, Route::Nowhere(uri("a:1")));
            assert_eq!(book.poll_question(), None);
            now += pause;
            assert_eq!(
                book.route(to("a:1", false), &known, Micros(now * SECOND)),
                Route::Waits
            );
            assert!(book.poll_question().is_some());
            let waited = book.handle_answer(answer("a:1", Err("no")), &known, Micros(now * SECOND));
            assert_eq!(
                waited,
                [Route::Nowhere(uri("a:1"))],
                "whoever waited is told"
            );
        }
    }

    #[test]
    fn a_failure_is_reported_once_for_each_member_until_it_resolves() {
        let mut book = taught(Err("Name or service not known"));
        let _ = book.route(to("a:2", false), &known, Micros(100 * SECOND));
        let _ = book.route(to("a:2", false), &known, Micros(100 * SECOND));
        let _ = book.route(to("a:2", false), &known, Micros(102 * SECOND));
        let _ = book.handle_answer(answer("a:2", Err("again")), &known, Micros(102 * SECOND));
        let warnings: Vec<_> = std::iter::from_fn(|| book.poll_warning()).collect();
        let expected = ["a:1", "a:2"];
        let expected =
            expected.map(|uri| format!("getaddrinfo: Name or service not known ({uri})"));
        assert_eq!(warnings, expected);
        let _ = book.handle_answer(answer("a:1", Ok("127.0.0.1")), &known, Micros(103 * SECOND));
        let _ = book.handle_answer(answer("a:1", Err("again")), &known, Micros(104 * SECOND));
        assert_eq!(
            book.poll_warning().as_deref(),
            Some("getaddrinfo: again (a:1)")
        );
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_age() {
        let (mut book, limits) = (book(), Limits::of(Acquaintance::Known));
        for number in 0..10 {
            let datagram = vec![number];
            let _ = book.route(
                Transmit {
                    datagram,
                    ..to("a:1", false)
                },
                &known,
                Micros(0),
            );
        }
        let sent = book.handle_answer(answer("a:1", Ok("127.0.0.1")), &known, Micros(SECOND - 1));
        let sent = sent.into_iter().map(|route| match route {
            Route::To(_, transmit) => transmit.datagram[0],
            other => panic!("{other:?}"),
        });
        assert_eq!(sent.collect::<Vec<_>>(), [6, 7, 8, 9], "the last ones");

        let _ = book.route(to("b:1", false), &known, Micros(0));
        assert_eq!(
            book.handle_answer(answer("b:1", Ok("127.0.0.1")), &known, Micros(SECOND)),
            []
        );

        for number in 0..2 * limits.questions {
            let _ = book.route(to(&format!("c{number}:1"), false), &known, Micros(0));
            let _ = book.route(to(&format!("c{number}:2"), false), &known, Micros(0));
        }
        let waiting = |number: &usize| book.is_resolving(&format!("c{number}:2"));
        let waiting = (0..2 * limits.questions).filter(waiting).count();
        assert_eq!(waiting, limits.waiting / 2);
    }

    #[test]
    fn questions_are_bounded_and_those_beyond_fail() {
        let mut book = book();
        for number in 0..Limits::of(Acquaintance::Known).questions {
            assert_eq!(
                book.route(to(&format!("a{number}:1"), false), &known, Micros(0)),
                Route::Waits
            );
        }
        assert_eq!(
            book.route(to("b:1", false), &known, Micros(0)),
            Route::Nowhere(uri("b:1"))
        );
        let _ = book.handle_answer(answer("a7:1", Ok("127.0.0.1")), &known, Micros(0));
        assert_eq!(
            book.route(to("b:1", false), &known, Micros(0)),
            Route::Waits
        );
    }

    #[test]
    fn names_of_strangers_keep_no_name_of_a_member_waiting() {
        let mut book = taught(Ok("127.0.0.1"));
        let _ = book.route(to("member:1", false), &known, Micros(100 * SECOND));
        assert!(book.poll_question().is_some());
        // 3,000 a second for 30 seconds, and no name server answers. More than are remembered.
        for number in 0..90_000 {
            let now = Micros(101 * SECOND + number * SECOND / 3000);
            let name = format!("x{number}.attacker.example:1");
            let _ = book.route(to(&name, true), &stranger, now);
        }
        assert!(book.is_resolving("member:1"), "it goes on waiting");
        let asked = std::iter::from_fn(|| book.poll_question()).count();
        assert_eq!(asked, Limits::of(Acquaintance::Stranger).questions);
        assert_eq!(book.lookups().refused, 90_000 - asked as u64);
        assert_eq!(book.address(&uri("a:1")), Some(address("127.0.0.1:1")));
        let now = Micros(131 * SECOND);
        assert!(matches!(
            book.route(to("a:1", false), &known, now),
            Route::To(..)
        ));
        assert_eq!(book.route(to("b:1", false), &known, now), Route::Waits);
        let asked: Vec<_> = std::iter::from_fn(|| book.poll_question()).collect();
        let asked: Vec<&str> = asked.iter().map(|question| &*question.about).collect();
        assert_eq!(asked, ["a:1", "b:1"]);
    }

    #[test]
    fn names_of_strangers_that_are_answered_at_once_are_ten_a_second() {
        let mut book = book();
        let mut asked = 0;
        for number in 0..36_000 {
            let now = Micros(100 * SECOND + number * SECOND / 3600);
            let _ = book.route(to(&format!("x{number}:1"), true), &stranger, now);
            while let Some(question) = book.poll_question() {
                asked += 1;
                let result = Err("no".into());
                let _ = book.handle_answer(Answer { question, result }, &stranger, now);
            }
        }
        assert!((100..=110).contains(&asked), "{asked} within ten seconds");
    }

    #[test]
    fn a_name_that_waits_among_those_of_strangers_is_asked_for_again_for_a_user() {
        let mut book = book();
        let now = Micros(100 * SECOND);
        assert_eq!(book.route(to("a:1", false), &stranger, now), Route::Waits);
        let first = book.poll_question().unwrap();
        assert_eq!(first.share, Acquaintance::Stranger);
        for _ in 0..2 {
            assert_eq!(book.route(to("a:1", false), &known, now), Route::Waits);
        }
        let second = book.poll_question().unwrap();
        assert_eq!(second.share, Acquaintance::Known);
        assert_eq!(book.poll_question(), None, "once");
        let result = Ok(address("127.0.0.1:0"));
        let answer = Answer {
            question: second,
            result,
        };
        let sent = book.handle_answer(answer, &known, now);
        assert_eq!(sent.len(), 3, "in whatever share they waited");
        let result = Err("no answer".into());
        let late = Answer {
            question: first,
            result,
        };
        let _ = book.handle_answer(late, &known, now + Duration::from_secs(60));
        assert_eq!(book.address(&uri("a:1")), Some(address("127.0.0.1:1")));
    }

    #[test]
    fn an_address_leads_back_to_those_who_have_it() {
        let mut book = taught(Ok("127.0.0.1"));
        for member in ["127.0.0.1:1", "127.0.0.1:2", "a:1"] {
            let _ = book.route(to(member, false), &known, Micros(100 * SECOND));
        }
        let mut residents = book.residents(address("127.0.0.1:1"));
        residents.sort();
        assert_eq!(residents, [uri("127.0.0.1:1"), uri("a:1")]);
        let _ = book.handle_answer(answer("a:1", Ok("127.0.0.9")), &known, Micros(101 * SECOND));
        assert_eq!(
            book.residents(address("127.0.0.1:1")),
            [uri("127.0.0.1:1")],
            "a has moved"
        );
    }

    #[test]
    fn without_answers_to_come_every_name_is_asked_for_anew() {
        let mut book = book();
        let _ = book.route(to("a:1", false), &known, Micros(0));
        book.forget_questions();
        assert_eq!(book.poll_question(), None);
        assert_eq!(
            book.route(to("a:1", false), &known, Micros(0)),
            Route::Waits
        );
        assert!(book.poll_question().is_some());
    }
}
