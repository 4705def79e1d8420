//! The addresses of the members: what the resolver says, what came of trying, and the datagrams that wait
//! for an answer. Makes no system call: the caller asks the resolver.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use crate::net::family::Reach;
use crate::observe::metrics::Lookups;
use crate::resolve::cache::Cache;
use crate::resolve::choice::{Choice, Failed};
use crate::resolve::host::{Host, literal};
use crate::resolve::permit::Permit;
use crate::resolve::quota::{Limits, Quota};
use crate::resolve::resolver::{Answer, Question};
use crate::resolve::route::{HowKnown, Route};
use swim::Transmit;
use swim::identity::uri::Uri;
use swim::security::acquaintance::Acquaintance;
use swim::time::Micros;

/// How many hosts, and how many addresses, are remembered: as many as there may be members. With the longest
/// names, which unknown senders may choose, that takes some 30 MiB.
const ENTRIES_MAX: usize = 65_536;

/// How many members may be known at one address: under its name, its number, and old names of it.
const NAMES_PER_ADDRESS_MAX: usize = 4;

/// The addresses of the members, for a socket that reaches one family or both.
///
/// [`Self::route`] and [`Self::handle_answer`] are the inputs; [`Self::poll_question`] and
/// [`Self::poll_warning`] the outputs, to be drained after them.
#[derive(Debug)]
pub struct AddressBook {
    reach: Reach,
    /// Where datagrams may be sent to.
    pub permit: Permit,
    /// How long an answer to a datagram is waited for: `ACK_TIMEOUT_SECONDS`.
    ack_timeout: Duration,
    /// By host: instances on the same host share the answer.
    hosts: Cache<String, Host>,
    /// The members that have more than one address.
    choices: Cache<Uri, Choice>,
    /// The members to which datagrams were sent at an address.
    members_by_address: Cache<SocketAddr, Vec<Uri>>,
    /// By [`Acquaintance`].
    quotas: [Quota; Acquaintance::COUNT],
    questions: VecDeque<Question>,
    warnings: VecDeque<String>,
    lookups: Lookups,
}

impl AddressBook {
    /// Makes an empty book.
    pub fn new(reach: Reach) -> Self {
        Self {
            reach,
            permit: Permit::default(),
            ack_timeout: Duration::ZERO,
            hosts: Cache::new(ENTRIES_MAX),
            choices: Cache::new(ENTRIES_MAX),
            members_by_address: Cache::new(ENTRIES_MAX),
            quotas: Acquaintance::ALL.map(|kind| Quota::new(Limits::of(kind))),
            questions: VecDeque::new(),
            warnings: VecDeque::new(),
            lookups: Lookups::default(),
        }
    }

    /// The number of questions so far, and what came of them.
    pub const fn lookups(&self) -> Lookups {
        self.lookups
    }

    /// Prepares for a socket that reaches this.
    pub fn serve(&mut self, reach: Reach) {
        if self.reach != reach {
            self.reach = reach;
            self.hosts = Cache::new(ENTRIES_MAX);
            self.choices = Cache::new(ENTRIES_MAX);
            self.members_by_address = Cache::new(ENTRIES_MAX);
            for quota in &mut self.quotas {
                quota.forget_waiting();
            }
        }
    }

    /// From now on, an answer to a datagram is waited for that long.
    pub const fn set_ack_timeout(&mut self, ack_timeout: Duration) {
        self.ack_timeout = ack_timeout;
    }

    /// Whether `uri` has addresses, and none of them is in a network that is allowed.
    pub fn is_excluded(&self, uri: &Uri) -> bool {
        self.permit.excludes(uri, &self.all_of(uri))
    }

    /// Finds out where a datagram goes. If the name of the recipient has to be looked up for that, how well
    /// the recipient is known decides which quota that is charged to.
    pub fn route(&mut self, transmit: Transmit, how_known: HowKnown<'_>, now: Micros) -> Route {
        let to = &transmit.to;
        if let Some(at) = transmit.at {
            return if self.reach.includes(at.ip()) {
                Route::To(at, transmit)
            } else {
                Route::Nowhere(transmit.to)
            };
        }
        if literal(to).is_none() && !self.look_up(to, transmit.anew, how_known, now) {
            return Route::Nowhere(transmit.to);
        }
        let resolved = self.resolved(to);
        let is_first_try = match self.choices.peek(to) {
            Some(choice) => choice.is_first_try(transmit.anew, now),
            None => true,
        };
        if resolved.len() > 1 && is_first_try && how_known(to) == Acquaintance::Known {
            return self.route_to_all(resolved, transmit, now);
        }
        if let Some(address) = self.pick(to, &resolved, transmit.anew, now) {
            self.note_member_at(address, to);
            return Route::To(address, transmit);
        }
        let Some(host) = self.hosts.get_mut(to.host()) else {
            return Route::Nowhere(transmit.to);
        };
        if let Some(acquaintance) = host.asking {
            self.quotas[acquaintance as usize].wait(transmit, self.ack_timeout, now);
            return Route::Waits;
        }
        self.warnings.extend(host.poll_warning(to));
        Route::Nowhere(transmit.to)
    }

    /// Asks for the addresses of a name, unless they are known. Returns false if nothing is known of the name,
    /// and the question was refused.
    fn look_up(&mut self, to: &Uri, anew: bool, how_known: HowKnown<'_>, now: Micros) -> bool {
        let is_outdated = match self.hosts.get_mut(to.host()) {
            Some(host) => {
                let is_outdated = host.is_outdated(anew, now);
                host.in_doubt |= anew && is_outdated && host.is_resolved();
                is_outdated
            }
            None => true,
        };
        if is_outdated {
            self.ask(to, how_known(to), now);
        }
        // Without an entry the question was refused. `entry` would make one, in the place of a member's.
        if self.hosts.peek(to.host()).is_none() {
            return false;
        }
        self.hosts.entry(to.host());
        true
    }

    /// Returns the address that a datagram goes to, if one is known.
    fn pick(
        &mut self,
        to: &Uri,
        resolved: &[SocketAddr],
        in_doubt: bool,
        now: Micros,
    ) -> Option<SocketAddr> {
        if resolved.len() < 2 && self.choices.peek(to).is_none() {
            return resolved.first().copied();
        }
        self.choices.entry(to).pick(in_doubt, resolved, now)
    }

    /// Sends the first datagrams to all addresses of a name: the ping of a program is not repeated, and may have
    /// no time for one after the other. Only where a program has named the recipient: others could have that much
    /// more sent to a victim.
    fn route_to_all(
        &mut self,
        resolved: Vec<SocketAddr>,
        transmit: Transmit,
        now: Micros,
    ) -> Route {
        self.choices.entry(&transmit.to).note_all_asked(now);
        for address in &resolved {
            self.note_member_at(*address, &transmit.to);
        }
        Route::ToAll(resolved, transmit)
    }

    /// Asks for the addresses of a host, unless a question of a kind that is known as well is open, or the quota
    /// is used up.
    fn ask(&mut self, about: &Uri, known: Acquaintance, now: Micros) {
        // A question for an unknown sender may wait for long, and so does not do for a member.
        if let Some(host) = self.hosts.peek(about.host())
            && let Some(asking) = host.asking
            && asking >= known
        {
            return;
        }
        if !self.quotas[known as usize].try_begin_question(now) {
            self.lookups.refused += 1;
            return;
        }
        // Only now: else unknown senders could fill the cache, and the hosts of members would be forgotten.
        let host = self.hosts.entry(about.host());
        (host.asking, host.asked) = (Some(known), now);
        self.lookups.queries += 1;
        self.questions.push_back(Question {
            about: about.clone(),
            reach: self.reach,
            in_doubt: host.in_doubt,
            acquaintance: known,
        });
    }

    /// Takes an answer of the resolver. Returns where the datagrams go that waited for it.
    pub fn handle_answer(
        &mut self,
        answer: Answer,
        how_known: HowKnown<'_>,
        now: Micros,
    ) -> Vec<Route> {
        let Answer { question, result } = answer;
        let about = question.about;
        self.quotas[question.acquaintance as usize].end_question();
        // It was asked for the socket before this one, and its addresses are of no use here.
        if question.reach != self.reach {
            return Vec::new();
        }
        if let Some(host) = self.hosts.get_mut(about.host()) {
            let took = now.since(host.asked);
            self.lookups.note_answer(result.is_ok(), took);
            host.learn(result, now);
            self.warnings.extend(host.poll_warning(&about));
        }
        let mut routes = Vec::new();
        for kind in Acquaintance::ALL {
            for transmit in self.quotas[kind as usize].take_waiting(about.host(), now) {
                routes.push(self.route(transmit, how_known, now));
            }
        }
        routes
    }

    /// Returns the next question for the resolver.
    pub fn poll_question(&mut self) -> Option<Question> {
        self.questions.pop_front()
    }

    /// Returns the next line for the log.
    pub fn poll_warning(&mut self) -> Option<String> {
        self.warnings.pop_front()
    }

    /// Returns the address of `to` that is in use, if one is known. Asks no question.
    pub fn address(&self, to: &Uri) -> Option<SocketAddr> {
        let resolved = self.resolved(to);
        match self.choices.peek(to) {
            Some(choice) => choice.address(&resolved),
            None => resolved.first().copied(),
        }
    }

    /// The addresses that the URI leads to, as far as they are known, allowed, and the socket reaches them.
    fn resolved(&self, uri: &Uri) -> Vec<SocketAddr> {
        let mut addresses = self.all_of(uri);
        self.permit.retain_allowed(uri, &mut addresses);
        addresses
    }

    /// The addresses that the URI leads to, allowed or not.
    fn all_of(&self, uri: &Uri) -> Vec<SocketAddr> {
        if let Some(address) = literal(uri) {
            return if self.reach.includes(address.ip()) {
                vec![address]
            } else {
                Vec::new()
            };
        }
        match self.hosts.peek(uri.host()) {
            Some(host) => host.addresses_of(uri),
            None => Vec::new(),
        }
    }

    /// A datagram in the name of `member` came from `source`, which proves nothing: the member is tried there
    /// when it does not answer where its URI leads to.
    pub fn note_source(&mut self, member: &Uri, source: SocketAddr) {
        let resolved = self.resolved(member);
        let leads_nowhere = resolved.is_empty();
        if leads_nowhere || resolved[..] == [source] && self.choices.peek(member).is_none() {
            return;
        }
        self.choices.entry(member).note_source(source, &resolved);
        self.note_member_at(source, member);
    }

    /// `member` has answered a question of the local node from `source`. Where datagrams are sealed, a question
    /// that comes twice is answered once.
    pub fn note_answer(&mut self, member: &Uri, source: SocketAddr, is_sealed: bool) {
        let resolved = self.resolved(member);
        let leads_nowhere = resolved.is_empty();
        if leads_nowhere || resolved[..] == [source] && self.choices.peek(member).is_none() {
            return;
        }
        let choice = self.choices.entry(member);
        if is_sealed {
            choice.forget_all_asked();
        }
        choice.note_answer(source, &resolved);
        self.note_member_at(source, member);
    }

    /// No process has the port at `address`. Returns the members that have no other address to be tried at.
    pub fn note_refused(&mut self, address: SocketAddr) -> Vec<Uri> {
        let mut members = self.members_at(address);
        members.retain(|member| self.note_failed(member, address, Failed::Refused));
        members
    }

    /// Nothing can be sent to `member` at `address`. Returns whether it has no other address to be tried at.
    pub fn note_failed(&mut self, member: &Uri, address: SocketAddr, why: Failed) -> bool {
        let resolved = self.resolved(member);
        match self.choices.get_mut(member) {
            Some(choice) => choice.note_failed(address, why, &resolved),
            None => true,
        }
    }

    /// Explains why no datagram can be sent to `to`, or which of its addresses do not answer, if that is so.
    pub fn problem(&self, to: &Uri, now: Micros) -> Option<String> {
        if let Some(choice) = self.choices.peek(to)
            && let Some(explanation) = choice.explain(&self.resolved(to))
        {
            return Some(explanation);
        }
        if self.is_excluded(to) {
            return Some("its addresses are in none of ALLOWED_NETWORKS".into());
        }
        match literal(to) {
            Some(address) if !self.reach.includes(address.ip()) => {
                Some("it has an address of the other kind, IPv4 or IPv6".into())
            }
            Some(_) => None,
            None => self.hosts.peek(to.host())?.problem(now),
        }
    }

    /// Whether a datagram waits for the address of `uri`.
    #[cfg(test)]
    pub fn is_resolving(&self, uri: &str) -> bool {
        self.quotas.iter().any(|quota| quota.is_resolving(uri))
    }

    /// Returns the members that have this address.
    pub fn members_at(&self, address: SocketAddr) -> Vec<Uri> {
        let mut members = Vec::new();
        if let Some(known) = self.members_by_address.peek(&address) {
            for uri in known {
                let resolved = self.resolved(uri);
                let has_it = match self.choices.peek(uri) {
                    Some(choice) => choice.contains(address, &resolved),
                    None => resolved.contains(&address),
                };
                // Some may have moved since.
                if has_it {
                    members.push(uri.clone());
                }
            }
        }
        members
    }

    /// Forgets all questions and the datagrams that wait for them: there will be no answers.
    pub fn forget_questions(&mut self) {
        for host in self.hosts.values_mut() {
            host.asking = None;
        }
        for quota in &mut self.quotas {
            quota.forget_questions();
        }
        self.questions.clear();
    }

    fn note_member_at(&mut self, address: SocketAddr, uri: &Uri) {
        let members = self.members_by_address.entry(&address);
        if !members.contains(uri) {
            members.truncate(NAMES_PER_ADDRESS_MAX - 1);
            members.insert(0, uri.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::resolver::Families;

    const SECOND: u64 = 1_000_000;

    fn uri(text: &str) -> Uri {
        Uri::from_wire(text).unwrap()
    }

    fn to(text: &str, anew: bool) -> Transmit {
        let datagram = text.into();
        Transmit {
            to: uri(text),
            at: None,
            datagram,
            anew,
        }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn book() -> AddressBook {
        AddressBook::new(Reach::V4)
    }

    /// All are members.
    fn known(_: &Uri) -> Acquaintance {
        Acquaintance::Known
    }

    fn stranger(_: &Uri) -> Acquaintance {
        Acquaintance::Stranger
    }

    fn answer(about: &str, result: Result<&str, &str>) -> Answer {
        let question = Question {
            about: uri(about),
            reach: Reach::V4,
            in_doubt: false,
            acquaintance: Acquaintance::Known,
        };
        let result = result.map(|ips| {
            let parse = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 0);
            ips.split(' ').map(parse).collect()
        });
        Answer {
            question,
            result: result.map_err(Into::into),
        }
    }

    /// A book that was given this answer for host `a` at second 100.
    fn informed(result: Result<&str, &str>) -> AddressBook {
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
    fn addresses_need_no_resolver() {
        let mut book = book();
        let transmit = to("127.0.0.1:3301", true);
        let route = book.route(transmit.clone(), &known, Micros(0));
        assert_eq!(route, Route::To(address("127.0.0.1:3301"), transmit));
        assert_eq!(book.poll_question(), None);
    }

    #[test]
    fn an_address_of_the_other_family_cannot_be_reached() {
        let mut book = book();
        assert_eq!(
            book.route(to("[::1]:1", false), &known, Micros(0)),
            Route::Nowhere(uri("[::1]:1"))
        );
        book.serve(Reach::V6);
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
    fn an_old_address_is_used_while_its_host_is_looked_up_again() {
        let mut book = informed(Ok("127.0.0.1"));
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
    fn a_member_that_may_have_moved_is_looked_up_once_a_second() {
        let mut book = informed(Ok("127.0.0.1"));
        let _ = book.route(to("a:1", true), &known, Micros(101 * SECOND - 1));
        assert_eq!(book.poll_question(), None);
        let route = book.route(to("a:1", true), &known, Micros(101 * SECOND));
        assert!(
            matches!(route, Route::To(..)),
            "the old address is used meanwhile"
        );
        assert!(book.poll_question().is_some());
    }

    #[test]
    fn a_name_that_fails_is_tried_after_longer_and_longer_pauses() {
        let mut book = informed(Err("no"));
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
            assert_eq!(waited, [Route::Nowhere(uri("a:1"))], "the sender is told");
        }
    }

    #[test]
    fn a_failure_is_logged_once_for_each_member_until_its_name_resolves() {
        let mut book = informed(Err("Name or service not known"));
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
    fn a_name_server_that_hangs_is_a_hint() {
        let mut book = book();
        let _ = book.route(to("a:1", false), &known, Micros(100 * SECOND));
        let hint =
            |book: &AddressBook, seconds| book.problem(&uri("a:1"), Micros(seconds * SECOND));
        assert_eq!(hint(&book, 100), None, "it may answer at once");
        let hangs = "its name is being resolved, for 7 s: does the name server answer?";
        assert_eq!(hint(&book, 107).as_deref(), Some(hangs));
        let _ = book.handle_answer(answer("a:1", Err("no")), &known, Micros(108 * SECOND));
        let fails = "its name does not resolve: no";
        assert_eq!(hint(&book, 109).as_deref(), Some(fails));
        let _ = book.handle_answer(answer("a:1", Ok("127.0.0.1")), &known, Micros(110 * SECOND));
        assert_eq!(hint(&book, 111), None);
    }

    #[test]
    fn waiting_datagrams_are_bounded_in_number_and_age() {
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

        for (ack_timeout, arrives) in [(0, false), (1, false), (2, true)] {
            book.set_ack_timeout(Duration::from_secs(ack_timeout));
            let _ = book.route(to("b:1", false), &known, Micros(0));
            let routes = book.handle_answer(answer("b:1", Ok("127.0.0.1")), &known, Micros(SECOND));
            assert_eq!(!routes.is_empty(), arrives);
            book.hosts = Cache::new(ENTRIES_MAX);
        }

        for number in 0..2 * limits.questions {
            let _ = book.route(to(&format!("c{number}:1"), false), &known, Micros(0));
            let _ = book.route(to(&format!("c{number}:2"), false), &known, Micros(0));
        }
        let waiting = |number: &usize| book.is_resolving(&format!("c{number}:2"));
        let waiting = (0..2 * limits.questions).filter(waiting).count();
        assert_eq!(waiting, limits.waiting / 2);
    }

    #[test]
    fn questions_are_bounded_and_further_names_fail() {
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
    fn names_of_unknown_senders_keep_no_name_of_a_member_waiting() {
        let mut book = informed(Ok("127.0.0.1"));
        let _ = book.route(to("member:1", false), &known, Micros(100 * SECOND));
        assert!(book.poll_question().is_some());
        // 3,000 a second for 30 seconds, more than are remembered, while no name server answers.
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
    fn ten_names_of_unknown_senders_are_looked_up_in_a_second() {
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
    fn a_name_that_waits_for_an_unknown_sender_is_looked_up_again_for_a_user() {
        let mut book = book();
        let now = Micros(100 * SECOND);
        assert_eq!(book.route(to("a:1", false), &stranger, now), Route::Waits);
        let first = book.poll_question().unwrap();
        assert_eq!(first.acquaintance, Acquaintance::Stranger);
        for _ in 0..2 {
            assert_eq!(book.route(to("a:1", false), &known, now), Route::Waits);
        }
        let second = book.poll_question().unwrap();
        assert_eq!(second.acquaintance, Acquaintance::Known);
        assert_eq!(book.poll_question(), None, "once");
        let result = Ok(vec![address("127.0.0.1:0")]);
        let answer = Answer {
            question: second,
            result,
        };
        let sent = book.handle_answer(answer, &known, now);
        assert_eq!(sent.len(), 3, "those of both quotas");
        let result = Err("no answer".into());
        let late = Answer {
            question: first,
            result,
        };
        let _ = book.handle_answer(late, &known, now + Duration::from_secs(60));
        assert_eq!(book.address(&uri("a:1")), Some(address("127.0.0.1:1")));
    }

    #[test]
    fn the_members_at_an_address_are_found() {
        let mut book = informed(Ok("127.0.0.1"));
        for member in ["127.0.0.1:1", "127.0.0.1:2", "a:1"] {
            let _ = book.route(to(member, false), &known, Micros(100 * SECOND));
        }
        let mut members = book.members_at(address("127.0.0.1:1"));
        members.sort();
        assert_eq!(members, [uri("127.0.0.1:1"), uri("a:1")]);
        let _ = book.handle_answer(answer("a:1", Ok("127.0.0.9")), &known, Micros(101 * SECOND));
        assert_eq!(
            book.members_at(address("127.0.0.1:1")),
            [uri("127.0.0.1:1")],
            "a has moved"
        );
    }

    /// Where the next datagram to a member goes.
    fn next(book: &mut AddressBook, member: &str, anew: bool, now: u64) -> Vec<SocketAddr> {
        match book.route(to(member, anew), &known, Micros(now * SECOND)) {
            Route::To(address, _) => vec![address],
            Route::ToAll(addresses, _) => addresses,
            Route::Waits | Route::Nowhere(_) => Vec::new(),
        }
    }

    #[test]
    fn a_name_with_two_addresses_is_asked_at_both_and_then_where_it_answers() {
        let mut book = informed(Ok("10.0.0.1 10.0.0.2"));
        let [one, two] = ["10.0.0.1:1", "10.0.0.2:1"].map(address);
        let another = ["10.0.0.1:2", "10.0.0.2:2"].map(address);
        assert_eq!(next(&mut book, "a:2", true, 100), another);
        assert_eq!(
            next(&mut book, "a:2", true, 101),
            [another[1]],
            "then one by one"
        );
        assert_eq!(
            next(&mut book, "a:1", false, 101),
            [one, two],
            "no answer has come yet"
        );
        book.note_answer(&uri("a:1"), two, false);
        assert_eq!(next(&mut book, "a:1", false, 102), [two]);
        assert_eq!(book.address(&uri("a:1")), Some(two));
        assert_eq!(
            next(&mut book, "a:1", true, 103),
            [one],
            "when it does not answer"
        );
        let hint = "its name has 2 addresses: 10.0.0.1 did not answer, 10.0.0.2 did not answer";
        let _ = next(&mut book, "a:1", true, 104);
        let problem = book.problem(&uri("a:1"), Micros(104 * SECOND));
        assert_eq!(problem.as_deref(), Some(hint));
        book.note_answer(&uri("a:1"), two, false);
        let hint = "its name has 2 addresses: 10.0.0.1 did not answer, 10.0.0.2 does";
        let problem = book.problem(&uri("a:1"), Micros(104 * SECOND));
        assert_eq!(problem.as_deref(), Some(hint));
    }

    #[test]
    fn strangers_cannot_have_more_than_one_address_of_a_name_asked() {
        let mut book = informed(Ok("10.0.0.1 10.0.0.2"));
        let now = Micros(100 * SECOND);
        let route = book.route(to("a:1", true), &stranger, now);
        assert_eq!(route, Route::To(address("10.0.0.1:1"), to("a:1", true)));
    }

    #[test]
    fn a_member_that_does_not_answer_is_tried_where_its_datagrams_come_from() {
        let (mut book, member) = (book(), uri("10.0.0.1:1"));
        let (literal, source) = (address("10.0.0.1:1"), address("10.0.0.1:40000"));
        assert_eq!(next(&mut book, &member, false, 100), [literal]);
        book.note_source(&member, source);
        assert_eq!(next(&mut book, &member, false, 101), [literal]);
        assert_eq!(next(&mut book, &member, true, 102), [source]);
        assert_eq!(next(&mut book, &member, true, 103), [literal]);
        assert_eq!(next(&mut book, &member, true, 104), [source]);
        book.note_answer(&member, source, false);
        assert_eq!(next(&mut book, &member, false, 105), [source]);
        assert_eq!(book.members_at(source), [member]);
    }

    #[test]
    fn a_name_that_does_not_answer_is_looked_up_in_both_families() {
        let mut book = AddressBook::new(Reach::Both);
        let question = |book: &mut AddressBook| book.poll_question().unwrap().families();
        assert_eq!(next(&mut book, "a:1", true, 100), []);
        assert_eq!(question(&mut book), Families::V4First);
        let answer = |book: &mut AddressBook, result, now: u64| {
            let question = Question {
                reach: Reach::Both,
                ..answer("a:1", Err("")).question
            };
            let result = answer("a:1", Ok(result)).result;
            let _ = book.handle_answer(Answer { question, result }, &known, Micros(now * SECOND));
        };
        answer(&mut book, "10.0.0.1", 100);
        assert_eq!(next(&mut book, "a:1", false, 130), [address("10.0.0.1:1")]);
        assert_eq!(question(&mut book), Families::V4First);
        answer(&mut book, "10.0.0.1", 130);
        assert_eq!(next(&mut book, "a:1", true, 132), [address("10.0.0.1:1")]);
        assert_eq!(question(&mut book), Families::Both);
        answer(&mut book, "10.0.0.1 fd00::1", 132);
        let both = ["10.0.0.1:1", "[fd00::1]:1"].map(address);
        assert_eq!(next(&mut book, "a:1", true, 132), both);
        assert_eq!(next(&mut book, "[fe80::1%lo]:1", false, 132), []);
        assert_eq!(
            question(&mut book),
            Families::V6,
            "only the resolver reads a zone"
        );
    }

    #[test]
    fn a_port_is_closed_when_it_is_closed_at_all_addresses() {
        let mut book = informed(Ok("10.0.0.1 10.0.0.2"));
        let [one, two] = ["10.0.0.1:1", "10.0.0.2:1"].map(address);
        assert_eq!(book.note_refused(one), []);
        assert_eq!(
            next(&mut book, "a:1", false, 100),
            [two],
            "the other one is tried at once"
        );
        assert_eq!(book.note_refused(two), [uri("a:1")]);
    }

    #[test]
    fn after_questions_were_forgotten_each_name_is_looked_up_again() {
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
