//! Two processes with one URI: how they are told apart, and what is known of them.
//!
//! A configuration was copied, two hosts call themselves `localhost`, or a name leads to two processes.
//! Each of the two takes what others say of the other one for lies about itself, and contradicts.
//!
//! - A process recognizes a *double* by a datagram with its own URI that it has not sent itself.
//! - Another member sees PINGs of one URI from two processes in turn: of one, of the other, and of the first
//!   again. So the first was not replaced by the other, as it is when a member restarts at another
//!   address. Processes are told apart by the tags of their cookies ([`crate::security::cookie`]). Those of
//!   membership 2.x have none: they are told apart by their addresses, and by incarnations that go down
//!   from one address to the other and are not those of a process that begins anew.
//!
//! Without authentication all of this can be forged. So it decides as little as it can: see
//! [`Duplicates::may_contradict`] and [`Duplicates::may_suspect`].

use core::net::SocketAddr;
use core::time::Duration;

use super::sightings::{Seen, Sightings};
use super::uri::Uri;
use crate::hashing::{HashKey, KeyedMap};
use crate::time::{Micros, Now};
use crate::wire::Duplicate;

/// Of how many URIs the processes are remembered whose PINGs came lately. One that has a single process
/// is remembered only after it was restarted.
const URIS_MAX: usize = 1024;

/// After how long without a sign of it a duplicate is forgotten, at least.
pub const MEMORY_MIN: Duration = Duration::from_secs(30);

/// How often the local node contradicts at once what its double says of itself.
const CONTRADICTIONS_MAX: u32 = 3;

/// The pause between two contradictions then. Each of the two would go on from the incarnation of the
/// other as fast as news travels.
const CONTRADICTION_PAUSE: Duration = Duration::from_secs(10);

/// The other process that uses the URI of the local node.
#[derive(Clone, Copy, Debug)]
struct Double {
    /// Where it is.
    at: SocketAddr,
    /// When it was last heard of.
    heard: Micros,
}

/// What is to be done because of a PING.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// It was not known before that two processes use this URI.
    pub is_news: bool,
    /// The sender is to be told where the other one is.
    pub tell: Option<SocketAddr>,
}

/// The URIs that two processes use.
#[derive(Debug)]
pub struct Duplicates {
    others: KeyedMap<Uri, Sightings>,
    /// Where to make room next, when there is none.
    hand: usize,
    double: Option<Double>,
    /// When the double was last told of the local node.
    told: Option<Micros>,
    /// When the local node began to have its URI.
    began: Now,
    /// Where the local node is, as others see it.
    seen_at: Option<SocketAddr>,
    /// Where the local node's own pings come from.
    own_source: Option<SocketAddr>,
    contradictions: Contradictions,
}

/// How often the local node has contradicted what was said of its own life.
#[derive(Debug, Default)]
struct Contradictions {
    /// Each takes [`CONTRADICTION_PAUSE`] to be allowed again; up to here that time is used up.
    used_up: Micros,
}

impl Duplicates {
    /// Nothing was seen.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            others: KeyedMap::with_hasher(hash_key.clone()),
            hand: 0,
            double: None,
            told: None,
            began: Now::default(),
            seen_at: None,
            own_source: None,
            contradictions: Contradictions::default(),
        }
    }

    /// Whether the processes of `uri` are remembered.
    pub fn watches(&self, uri: &Uri) -> bool {
        !self.others.is_empty() && self.others.contains_key(uri)
    }

    /// Whether there are no more than there may be; for audits.
    pub fn is_bounded(&self) -> bool {
        self.others.len() <= URIS_MAX
    }

    /// Forgets all that was seen: the local node begins to have a URI, or has none any more.
    pub fn begin(&mut self, now: Now) {
        *self = Self {
            began: now,
            ..Self::new(self.others.hasher())
        };
    }

    /// Whether what has the local URI, and was `sent` then by the clock of its sender, may have been sent by
    /// the local node in a former life. The clock of a double may be behind: so only for a while.
    pub fn may_be_former_life(&self, sent: u64, now: Micros) -> bool {
        sent < self.began.wall.0 && now.since(self.began.monotonic) < MEMORY_MIN
    }

    /// Takes up a PING of `uri`; `former` is the last one before, by which its processes begin to be
    /// remembered. Each of two processes is told of the other once in `pause`.
    pub fn note_ping(
        &mut self,
        uri: &Uri,
        former: Option<Seen>,
        seen: Seen,
        memory: Duration,
        pause: Duration,
    ) -> Found {
        if !self.others.contains_key(uri) {
            self.make_room();
            let mut sightings = Sightings::default();
            if let Some(former) = former {
                sightings.replace(former);
            }
            self.others.insert(uri.clone(), sightings);
        }
        let Some(sightings) = self.others.get_mut(uri) else {
            return Found::default();
        };
        let now = seen.at;
        let was_known = sightings.is_known(memory, now);
        let place = sightings.note(seen, memory);
        if !sightings.is_known(memory, now) {
            return Found::default();
        }
        Found {
            is_news: !was_known,
            tell: sightings.tell(place, pause, now),
        }
    }

    fn make_room(&mut self) {
        if self.others.len() >= URIS_MAX {
            let hand = self.hand % URIS_MAX;
            self.hand = self.hand.wrapping_add(1);
            self.others.swap_remove_index(hand);
        }
    }

    /// Where the two processes are that use `uri`, if that is known of a member.
    pub fn of(&self, uri: &Uri, memory: Duration, now: Micros) -> Option<Duplicate> {
        let sightings = self.others.get(uri)?;
        if !sightings.is_known(memory, now) {
            return None;
        }
        let [one, other] = sightings.sources()?;
        Some(Duplicate {
            uri: uri.clone(),
            one: Some(one),
            other: Some(other),
        })
    }

    /// Those of members, up to `count`.
    pub fn first(&self, count: usize, memory: Duration, now: Micros) -> Vec<Duplicate> {
        let mut found = Vec::new();
        for uri in self.others.keys() {
            if found.len() == count {
                break;
            }
            found.extend(self.of(uri, memory, now));
        }
        found
    }

    /// Whether to suspect `uri`, which does not answer. Each of two processes contradicts a suspicion, wherever
    /// their URI leads: so those of a duplicate are rare. Notes that it is done.
    ///
    /// A sender that makes a duplicate up so delays a suspicion by `CONTRADICTION_PAUSE` after one that
    /// was contradicted, and no more.
    pub fn may_suspect(&mut self, uri: &Uri, memory: Duration, now: Micros) -> bool {
        let Some(sightings) = self.others.get_mut(uri) else {
            return true;
        };
        let is_known = sightings.is_known(memory, now);
        sightings.may_suspect(CONTRADICTION_PAUSE, now) || !is_known
    }

    /// Notes where the local node's own pings come from.
    pub const fn note_own_ping(&mut self, source: SocketAddr) {
        self.own_source = Some(source);
    }

    /// Another process uses the local URI, `at` this address; the local node is `seen_at` that one, as the
    /// sender of the datagram at hand sees it. Returns whether that is news.
    pub fn note_double(
        &mut self,
        at: SocketAddr,
        seen_at: Option<SocketAddr>,
        memory: Duration,
        now: Micros,
    ) -> bool {
        let is_news = self.double(memory, now).is_none();
        self.seen_at = seen_at.or(self.seen_at);
        self.double = Some(Double { at, heard: now });
        is_news
    }

    /// Whether to tell the double of the local node now: once in `pause`.
    pub fn may_tell_double(&mut self, pause: Duration, now: Micros) -> bool {
        if let Some(told) = self.told
            && now.since(told) < pause
        {
            return false;
        }
        self.told = Some(now);
        true
    }

    /// Where another process is that uses the local URI, if that is known.
    pub fn double(&self, memory: Duration, now: Micros) -> Option<SocketAddr> {
        let Double { at, heard } = self.double?;
        (now.since(heard) < memory).then_some(at)
    }

    /// Where the local node is, as far as it knows.
    pub const fn own_address(&self) -> Option<SocketAddr> {
        match self.seen_at {
            Some(seen_at) => Some(seen_at),
            None => self.own_source,
        }
    }

    /// Whether to contradict a peer that says that the local node is alive, but otherwise than it is. A
    /// double does the same, so with one that is done a few times and then rarely. Notes that it is done.
    ///
    /// A sender that makes a double up so delays what is only rarely needed, and no more: what is not
    /// alive is contradicted at once, always.
    pub fn may_contradict(&mut self, memory: Duration, now: Micros) -> bool {
        let used_up = self.contradictions.used_up.max(now) + CONTRADICTION_PAUSE;
        let is_many = used_up.since(now) > CONTRADICTION_PAUSE * CONTRADICTIONS_MAX;
        if is_many && self.double(memory, now).is_some() {
            return false;
        }
        if !is_many {
            self.contradictions.used_up = used_up;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::identity::sightings::Process;
    use crate::security::cookie::ProcessTag;
    use crate::security::cookie::{Cookies, Path};
    use crate::table::claim::Incarnation;

    const MEMORY: Duration = MEMORY_MIN;
    const PAUSE: Duration = Duration::from_secs(1);

    /// After none of the pings.
    const NEVER: [usize; 0] = [];

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).unwrap()
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 3301))
    }

    const fn at(seconds: u64) -> Micros {
        Micros(seconds * 1_000_000)
    }

    fn native(seed: u64) -> Process {
        let cookies = Cookies::new(&mut StdRng::seed_from_u64(seed));
        Process::Native(ProcessTag::of(cookies.make(1, "a:1", Path::Direct)).unwrap())
    }

    fn legacy(incarnation: u64) -> Process {
        Process::Legacy(Incarnation::from_wire(incarnation).unwrap())
    }

    /// A PING that takes no time, of a sender whose clock is behind by a second.
    fn ping(process: Process, last: u8, at: Micros) -> Seen {
        Seen {
            process,
            source: address(last),
            sent: at.0 - 1_000_000,
            at,
        }
    }

    /// Sees these PINGs, one a second, each of a process from an address; says after which of them a duplicate
    /// was news.
    fn seen(pings: &[(Process, u8)]) -> Vec<usize> {
        let mut duplicates = Duplicates::new(&HashKey::derive(&[1; 32]));
        let mut news = Vec::new();
        for (index, (process, last)) in pings.iter().enumerate() {
            let now = at(100 + index as u64);
            let found =
                duplicates.note_ping(&uri(1), None, ping(*process, *last, now), MEMORY, PAUSE);
            if found.is_news {
                news.push(index);
            }
        }
        news
    }

    #[test]
    fn two_processes_are_known_when_the_first_is_seen_again() {
        let (one, other) = (native(1), native(2));
        let twice = [(one, 1), (other, 2), (one, 1), (other, 2), (one, 1)];
        assert_eq!(seen(&twice[..3]), NEVER, "it may have been late");
        assert_eq!(seen(&twice), [4]);
        // A given address twice: the packets of both come from it.
        assert_eq!(
            seen(&[(one, 1), (other, 1), (one, 1), (other, 1), (one, 1)]),
            [4]
        );
        let mixed = [(one, 1), (legacy(1), 2), (one, 1), (legacy(1), 2), (one, 1)];
        assert_eq!(seen(&mixed), [4]);
    }

    #[test]
    fn a_member_that_restarts_or_moves_or_whose_address_is_translated_is_no_duplicate() {
        let lives = [native(1), native(2), native(3), native(4)];
        let moved: Vec<_> = lives.into_iter().zip([1, 2, 1, 2]).collect();
        assert_eq!(seen(&moved), NEVER);
        let restarted: Vec<_> = lives.into_iter().zip([1, 1, 1, 1]).collect();
        assert_eq!(seen(&restarted), NEVER);
        let translated = [(lives[0], 1), (lives[0], 2), (lives[0], 1)];
        assert_eq!(seen(&translated), NEVER);
        let upgraded = [(legacy(3), 1), (lives[0], 1), (lives[0], 1)];
        assert_eq!(seen(&upgraded), NEVER);
    }

    #[test]
    fn peers_of_membership_2_are_two_when_incarnations_go_down_and_up_with_the_address() {
        let twice = [(legacy(5), 1), (legacy(6), 2), (legacy(5), 1)];
        assert_eq!(seen(&twice), [2]);
        let two_ways = [
            (legacy(5), 1),
            (legacy(5), 2),
            (legacy(5), 1),
            (legacy(6), 2),
        ];
        assert_eq!(seen(&two_ways), NEVER, "one host with two addresses");
        let restarted = [(legacy(5), 1), (legacy(6), 2), (legacy(1), 1)];
        assert_eq!(seen(&restarted), NEVER, "it has moved there and back");
    }

    #[test]
    fn datagrams_of_a_process_that_was_replaced_show_nothing_however_late_they_are() {
        let mut duplicates = Duplicates::new(&HashKey::derive(&[1; 32]));
        let mut note = |seed, sent, at| {
            let seen = Seen {
                sent,
                ..ping(native(seed), 1, Micros(at))
            };
            duplicates.note_ping(&uri(1), None, seen, MEMORY, PAUSE)
        };
        let _ = note(1, 1_000_000, 10_000_000);
        let _ = note(2, 2_000_000, 11_000_000);
        // Sent in the time up to then, and the last ones come after two seconds.
        for late in 1..20 {
            let (sent, at) = (1_000_000 + late * 50_000, 11_000_000 + late * 100_000);
            assert_eq!(note(1, sent, at), Found::default(), "{late}");
        }
        let _ = note(2, 4_000_000, 13_000_000);
        assert!(note(1, 4_100_000, 13_100_000).is_news, "it lives");
    }

    #[test]
    fn each_is_told_of_the_other_once_in_a_period_and_all_is_forgotten_when_one_falls_silent() {
        let mut duplicates = Duplicates::new(&HashKey::derive(&[1; 32]));
        let mut note = |seed: u64, now: Micros| {
            let seen = ping(native(seed), seed as u8, now);
            let found = duplicates.note_ping(&uri(1), None, seen, MEMORY, PAUSE);
            (found.is_news, found.tell)
        };
        let quiet = (false, None);
        assert_eq!(note(2, at(8)), quiet);
        assert_eq!(note(1, at(9)), quiet);
        assert_eq!(note(1, at(10)), quiet);
        assert_eq!(note(2, at(11)), (true, Some(address(1))));
        assert_eq!(note(1, at(12)), (false, Some(address(2))));
        assert_eq!(note(1, at(12)), quiet);
        assert_eq!(note(2, at(12)), (false, Some(address(1))));
        assert_eq!(note(1, at(13)), (false, Some(address(2))));
        for second in 14..100 {
            let _ = note(1, at(second));
        }
        assert_eq!(note(1, at(100)), quiet);
        assert_eq!(duplicates.of(&uri(1), MEMORY, at(100)), None);
        assert_eq!(duplicates.first(4, MEMORY, at(13)).len(), 1);
    }

    #[test]
    fn what_the_local_node_has_sent_in_a_former_life_is_no_sign_of_a_double() {
        let mut duplicates = Duplicates::new(&HashKey::derive(&[1; 32]));
        duplicates.begin(Now {
            monotonic: at(5),
            wall: at(1000),
        });
        let former = at(999).0;
        assert!(duplicates.may_be_former_life(former, at(34)));
        assert!(
            !duplicates.may_be_former_life(former, at(35)),
            "its clock is behind"
        );
        assert!(!duplicates.may_be_former_life(at(1000).0, at(6)));
    }

    #[test]
    fn what_came_before_a_member_is_watched_counts_as_well() {
        let mut duplicates = Duplicates::new(&HashKey::derive(&[1; 32]));
        let mut note = |former, seen| {
            let found = duplicates.note_ping(&uri(1), former, seen, MEMORY, PAUSE);
            found.is_news
        };
        let former = ping(native(1), 1, at(10));
        assert!(!note(Some(former), ping(native(2), 2, at(11))));
        assert!(!note(None, ping(native(2), 2, at(12))));
        assert!(note(None, ping(native(1), 1, at(13))));
    }

    #[test]
    fn of_pings_that_are_read_at_once_it_is_unknown_which_came_first() {
        let (one, other) = (native(1), native(2));
        let mut duplicates = Duplicates::new(&HashKey::derive(&[1; 32]));
        for (process, sent) in [
            (one, 100),
            (other, 101),
            (other, 103),
            (other, 105),
            (other, 107),
        ] {
            let seen = Seen {
                sent: at(sent).0,
                ..ping(process, 1, at(sent.max(104)))
            };
            let found = duplicates.note_ping(&uri(1), None, seen, MEMORY, PAUSE);
            assert_eq!(found, Found::default());
        }
    }

    #[test]
    fn the_uris_that_are_watched_are_bounded() {
        let mut duplicates = Duplicates::new(&HashKey::derive(&[1; 32]));
        for number in 0..3 * URIS_MAX {
            let uri = Uri::new(&format!("a{number}"), 1).unwrap();
            let _ = duplicates.note_ping(&uri, None, ping(native(1), 1, at(1)), MEMORY, PAUSE);
            assert!(duplicates.is_bounded() && duplicates.watches(&uri));
        }
    }

    #[test]
    fn a_duplicate_is_suspected_once_in_ten_seconds_and_any_other_member_whenever_it_is_silent() {
        let mut duplicates = Duplicates::new(&HashKey::derive(&[1; 32]));
        for second in [8, 9, 10, 11, 12] {
            let seed = second % 2 + 1;
            let seen = ping(native(seed), seed as u8, at(second));
            let _ = duplicates.note_ping(&uri(1), None, seen, MEMORY, PAUSE);
        }
        let mut suspected = |port, second| duplicates.may_suspect(&uri(port), MEMORY, at(second));
        assert!(suspected(1, 13));
        assert!(!suspected(1, 22) && suspected(1, 23));
        assert!(suspected(2, 13) && suspected(2, 14));
        assert!(suspected(1, 100) && suspected(1, 101), "it is forgotten");
    }

    #[test]
    fn with_a_double_contradictions_are_few_and_without_as_many_as_it_takes() {
        let mut duplicates = Duplicates::new(&HashKey::derive(&[1; 32]));
        let allowed = |duplicates: &mut Duplicates, second| {
            let try_again = |_: &u32| duplicates.may_contradict(MEMORY, at(second));
            (0..9).filter(try_again).count()
        };
        assert_eq!(allowed(&mut duplicates, 100), 9);
        assert!(duplicates.note_double(address(2), None, MEMORY, at(200)));
        assert_eq!(allowed(&mut duplicates, 200), 3);
        assert_eq!(allowed(&mut duplicates, 209), 0);
        assert!(!duplicates.note_double(address(2), None, MEMORY, at(209)));
        assert_eq!(allowed(&mut duplicates, 210), 1);
        assert_eq!(duplicates.double(MEMORY, at(239)), None, "it is forgotten");
        assert_eq!(allowed(&mut duplicates, 239), 9);
    }
}
