//! The bytes decide the history of two members: datagrams of strangers and of one another, commands of
//! their users, time. After each step the invariants are checked.

mod commands;
mod messages;
mod watcher;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use swim::config::Config;
use swim::identity::uri::Uri;
use swim::time::{Micros, Now};
use swim::{Swim, Transmit};

use commands::Commander;
use watcher::Watcher;

/// The bytes that decide a history.
type Bytes<'a> = Unstructured<'a>;

/// How many steps a history has at most: a fuzzer finds more with many short ones.
const STEPS_MAX: usize = 400;

/// The largest datagram of UDP.
const DATAGRAM_SIZE_MAX: u16 = 65_507;

/// How many datagrams that were sent can still arrive.
const ON_THEIR_WAY_MAX: usize = 16;

/// All names: the two members, others that they may learn of, and the longest name that there is.
fn names() -> Vec<Uri> {
    let longest = format!("{}:65535", "x".repeat(Uri::LENGTH_MAX - 6));
    let names = [
        "localhost:13301",
        "127.0.0.1:14001",
        "localhost:13302",
        "[::1]:3301",
        "a:1",
        "b:2",
        "c:3",
        &longest,
    ];
    let uri = |name: &&str| Uri::from_wire(name).expect("a URI");
    names.iter().map(uri).collect()
}

/// Keys that the members, and hostile senders, may have.
const KEYS: [&[u8]; 3] = [b"secret", b"XXXXXX", b""];

struct World {
    members: [Member; 2],
    names: Vec<Uri>,
    now: Now,
    on_their_way: VecDeque<Transmit>,
}

struct Member {
    swim: Swim,
    commander: Commander,
    watcher: Watcher,
}

/// The input that hands this datagram to the first member.
pub fn input(datagram: &[u8]) -> Vec<u8> {
    let size = u16::try_from(datagram.len()).expect("a UDP datagram");
    [&[0, 0], &size.to_le_bytes()[..], datagram].concat()
}

/// The bytes are steps: which member, which kind of step, and what that kind needs.
pub fn target(bytes: &[u8]) {
    let mut world = World::new();
    let mut bytes = Unstructured::new(bytes);
    for _ in 0..STEPS_MAX {
        if bytes.is_empty() || world.step(&mut bytes).is_err() {
            break;
        }
    }
}

impl World {
    fn new() -> Self {
        let names = names();
        let now = Now {
            monotonic: Micros(0),
            wall: Micros(1_795_372_926_000_000),
        };
        let mut members = [1_u64, 2].map(|seed| Member {
            swim: Swim::new(Config::default(), seed),
            commander: Commander::default(),
            watcher: Watcher::default(),
        });
        for (member, name) in members.iter_mut().zip(&names) {
            member.swim.init(name.clone(), now);
        }
        let mut world = Self {
            members,
            names,
            now,
            on_their_way: VecDeque::new(),
        };
        world.pass_time(Duration::ZERO);
        world
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) -> Result<()> {
        let index = bytes.choose_index(self.members.len())?;
        match bytes.int_in_range(0..=15)? {
            0 => {
                let size: u16 = bytes.arbitrary()?;
                let size = usize::from(size.min(DATAGRAM_SIZE_MAX)).min(bytes.len());
                let datagram = bytes.bytes(size)?;
                self.hand_datagram_to(index, datagram);
            }
            1..=4 => self.deliver(bytes)?,
            5..=7 => {
                let member = &self.members[index];
                let datagram = messages::message(bytes, &self.names, &member.swim)?;
                self.hand_datagram_to(index, &datagram);
            }
            8 | 9 => {
                let exponent = bytes.int_in_range(0..=41)?;
                self.pass_time(Duration::from_micros(1 << exponent));
            }
            10 | 11 => {
                let deadline = self.members[index].swim.next_deadline();
                let wait = deadline.map(|deadline| deadline.since(self.now.monotonic));
                self.pass_time(wait.unwrap_or_default());
            }
            12..=14 => {
                let member = &mut self.members[index];
                member
                    .commander
                    .command(bytes, &self.names, &mut member.swim, self.now)?;
                self.check(index);
            }
            _ => self.now.wall = Micros(bytes.arbitrary()?),
        }
        Ok(())
    }

    fn hand_datagram_to(&mut self, index: usize, datagram: &[u8]) {
        // It may be dropped for any reason.
        let _dropped =
            self.members[index]
                .swim
                .handle_datagram(datagram, address(1 - index), self.now);
        self.check(index);
    }

    /// Delivers a datagram that a member has sent: in any order, once or again, whole or damaged.
    fn deliver(&mut self, bytes: &mut Bytes<'_>) -> Result<()> {
        if self.on_their_way.is_empty() {
            return Ok(());
        }
        let Transmit {
            to, mut datagram, ..
        } = self.on_their_way[bytes.choose_index(self.on_their_way.len())?].clone();
        if bytes.ratio(1, 8)? {
            let at = bytes.choose_index(datagram.len())?;
            datagram[at] = bytes.arbitrary()?;
        }
        let is_it = |member: &Member| member.swim.myself() == Some(&to);
        match self.members.iter().position(is_it) {
            Some(index) => self.hand_datagram_to(index, &datagram),
            // One of the two gets it, as if it had that address.
            None => self.hand_datagram_to(bytes.choose_index(self.members.len())?, &datagram),
        }
        Ok(())
    }

    fn pass_time(&mut self, wait: Duration) {
        self.now.monotonic = self.now.monotonic + wait;
        self.now.wall = self.now.wall + wait;
        for index in 0..self.members.len() {
            let swim = &mut self.members[index].swim;
            swim.handle_timeout(self.now);
            let next = swim.next_deadline();
            assert!(
                next.is_none_or(|next| next > self.now.monotonic),
                "after a timeout the next deadline is later"
            );
            self.check(index);
        }
    }

    /// Drains the outputs of a member, and checks its invariants.
    fn check(&mut self, index: usize) {
        let Member { swim, watcher, .. } = &mut self.members[index];
        let sent: Vec<Transmit> = std::iter::from_fn(|| swim.poll_transmit()).collect();
        while let Some(report) = swim.poll_report() {
            assert!(!report.to_string().is_empty());
        }
        for Transmit { datagram, .. } in &sent {
            let (size, limit) = (datagram.len(), swim.config().max_packet_size);
            assert!(size <= limit, "a datagram of {size} bytes, not of {limit}");
        }
        watcher.watch(swim, &self.names, self.now);
        self.on_their_way.extend(sent);
        let surplus = self.on_their_way.len().saturating_sub(ON_THEIR_WAY_MAX);
        self.on_their_way.drain(..surplus);
    }
}

/// The source address of the datagrams of a member.
fn address(index: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1 + index as u16)
}
