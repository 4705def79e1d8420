//! Two members live through whatever the bytes say: datagrams of strangers and of one another,
//! commands of their users, time. After each step all that must hold of them is looked after.

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

/// The bytes that decide about a life.
type Bytes<'a> = Unstructured<'a>;

/// How many steps there are to a life: what takes more is better found by shorter ones.
const STEPS_MAX: usize = 400;

/// The largest datagram of UDP.
const DATAGRAM_SIZE_MAX: u16 = 65_507;

/// How many datagrams that were sent can still arrive.
const ON_THEIR_WAY_MAX: usize = 16;

/// Who there can be: the two, those they may hear of, and the longest name there is.
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

/// Keys that the members, and those who pretend to be members, may have.
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

/// What the target makes of one datagram: the first member gets it.
pub fn input(datagram: &[u8]) -> Vec<u8> {
    let size = u16::try_from(datagram.len()).expect("a UDP datagram");
    [&[0, 0], &size.to_le_bytes()[..], datagram].concat()
}

/// Steps, one after the other: of whom, of what kind, and what that kind needs.
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
        let who = bytes.choose_index(self.members.len())?;
        match bytes.int_in_range(0..=15)? {
            0 => {
                let size: u16 = bytes.arbitrary()?;
                let size = usize::from(size.min(DATAGRAM_SIZE_MAX)).min(bytes.len());
                let datagram = bytes.bytes(size)?;
                self.hand_over(who, datagram);
            }
            1..=4 => self.deliver(bytes)?,
            5..=7 => {
                let member = &self.members[who];
                let datagram = messages::message(bytes, &self.names, &member.swim)?;
                self.hand_over(who, &datagram);
            }
            8 | 9 => {
                let exponent = bytes.int_in_range(0..=41)?;
                self.pass_time(Duration::from_micros(1 << exponent));
            }
            10 | 11 => {
                let deadline = self.members[who].swim.next_deadline();
                let wait = deadline.map(|deadline| deadline.since(self.now.monotonic));
                self.pass_time(wait.unwrap_or_default());
            }
            12..=14 => {
                let member = &mut self.members[who];
                member
                    .commander
                    .command(bytes, &self.names, &mut member.swim, self.now)?;
                self.look_after(who);
            }
            _ => self.now.wall = Micros(bytes.arbitrary()?),
        }
        Ok(())
    }

    fn hand_over(&mut self, who: usize, datagram: &[u8]) {
        // Why it was not taken shows in the counters.
        let _taken = self.members[who]
            .swim
            .handle_datagram(datagram, address(1 - who), self.now);
        self.look_after(who);
    }

    /// What one has sent to the other arrives: in any order, once or again, whole or damaged.
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
            Some(who) => self.hand_over(who, &datagram),
            // It answers as if it were one of us who has that address.
            None => self.hand_over(bytes.choose_index(self.members.len())?, &datagram),
        }
        Ok(())
    }

    fn pass_time(&mut self, wait: Duration) {
        self.now.monotonic = self.now.monotonic + wait;
        self.now.wall = self.now.wall + wait;
        for who in 0..self.members.len() {
            let swim = &mut self.members[who].swim;
            swim.handle_timeout(self.now);
            let next = swim.next_deadline();
            assert!(
                next.is_none_or(|next| next > self.now.monotonic),
                "who has been told of the time is not to be told of it again at once"
            );
            self.look_after(who);
        }
    }

    /// Takes what a member has to say, and checks that all is well with it.
    fn look_after(&mut self, who: usize) {
        let Member { swim, watcher, .. } = &mut self.members[who];
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

/// Where the datagrams of a member come from.
fn address(who: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1 + who as u16)
}
