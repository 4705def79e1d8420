//! One machine: its clocks, its socket, and whether it runs.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::VecDeque;

use crate::engine::{Engine, Implementation};
use crate::world::PORT;
use swim::identity::uri::Uri;
use swim::time::{Micros, Now};

/// A place in the world, from 0 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u32);

impl Id {
    /// Its number, for looking things up.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Where its datagrams come from.
    pub const fn address(self) -> SocketAddr {
        let ip = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + self.0);
        SocketAddr::new(IpAddr::V4(ip), PORT)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node-{}", self.0)
    }
}

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Up,
    /// It stands still: SIGSTOP, a paused virtual machine, a starved one. The kernel still takes in
    /// datagrams, while there is room.
    Paused,
    /// There is no process, and the kernel says so to who sends to it.
    Down,
    /// The whole machine is off, or off the network: nothing comes back.
    Off,
}

/// One machine.
pub struct Host {
    /// Where it can be reached.
    pub uri: Uri,
    /// Which implementation runs on it, when one does.
    pub kind: Implementation,
    /// Whether it runs.
    pub state: State,
    /// What runs on it, unless it is down.
    pub engine: Option<Engine>,
    /// Where its clocks stood when the world began.
    pub clocks: Clocks,
    /// Datagrams that wait for it to run again.
    pub inbox: Inbox,
    /// When it is to be woken.
    pub wake: Option<Micros>,
    /// How its names are resolved.
    pub resolver: Resolver,
    /// How many processes have run here.
    pub lives: u32,
}

/// What the clocks of a machine showed when the world began, in µs.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// How long it had been up.
    pub monotonic: u64,
    /// Its wall clock. May be set while the world turns, as administrators and NTP do.
    pub wall: u64,
}

impl Clocks {
    /// Both clocks, when the world's shows `time`.
    pub const fn at(self, time: Micros) -> Now {
        Now {
            monotonic: Micros(self.monotonic + time.0),
            wall: Micros(self.wall + time.0),
        }
    }

    /// The world's time at which the monotonic clock shows `deadline`.
    pub const fn time_of(self, deadline: Micros) -> Micros {
        Micros(deadline.0.saturating_sub(self.monotonic))
    }
}

/// How a machine turns names into addresses. Those of members that are alive it knows by heart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolver {
    /// At once.
    #[default]
    Prompt,
    /// After so many µs.
    Slow(u64),
    /// Not at all, after so many µs.
    Failing(u64),
}

/// The receive buffer of a socket.
#[derive(Debug, Default)]
pub struct Inbox {
    datagrams: VecDeque<(Id, Vec<u8>)>,
    bytes: usize,
}

/// Linux' default for `net.core.rmem_default`, in bytes.
const INBOX_SIZE: usize = 212_992;

/// What the kernel charges for a datagram beside its bytes, about.
const INBOX_OVERHEAD: usize = 512;

impl Inbox {
    /// Takes a datagram of `from` in, if there is room, and says whether there was.
    pub fn push(&mut self, from: Id, datagram: Vec<u8>) -> bool {
        let cost = datagram.len() + INBOX_OVERHEAD;
        let fits = self.bytes + cost <= INBOX_SIZE;
        if fits {
            self.bytes += cost;
            self.datagrams.push_back((from, datagram));
        }
        fits
    }

    /// Empties it.
    pub fn take(&mut self) -> impl Iterator<Item = (Id, Vec<u8>)> + use<> {
        self.bytes = 0;
        core::mem::take(&mut self.datagrams).into_iter()
    }
}
