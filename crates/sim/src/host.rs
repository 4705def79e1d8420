//! A machine: its clocks, its socket buffer, and whether it runs.

use core::fmt;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::collections::VecDeque;

use crate::engine::{Engine, Implementation};
use crate::world::PORT;
use swim::identity::uri::Uri;
use swim::time::{Micros, Now};

/// The addresses of the machines begin here.
const FIRST_ADDRESS: u32 = Ipv4Addr::new(10, 0, 0, 0).to_bits();

/// The number of a machine, from 0 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u32);

impl Id {
    /// The index of the machine.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The source address of its datagrams.
    pub const fn address(self) -> SocketAddr {
        SocketAddr::V4(self.address_v4())
    }

    /// The same, which is one of IPv4.
    pub const fn address_v4(self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::from_bits(FIRST_ADDRESS + self.0), PORT)
    }

    /// The machine that has this address.
    pub const fn at(ip: Ipv4Addr) -> Self {
        Self(ip.to_bits() - FIRST_ADDRESS)
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
    /// The process is paused, as by SIGSTOP or with its virtual machine. The kernel still receives
    /// datagrams, while there is room in the buffer.
    Paused,
    /// No process runs, and the kernel answers datagrams with an error.
    Down,
    /// The whole machine is off: datagrams vanish.
    Off,
}

/// A machine.
pub struct Host {
    /// The URI that its process joins with.
    pub uri: Uri,
    /// Which implementation its processes run.
    pub implementation: Implementation,
    /// Whether it runs.
    pub state: State,
    /// The running process, if there is one.
    pub engine: Option<Engine>,
    /// Its clocks at the beginning of the world.
    pub clocks: Clocks,
    /// Datagrams that were received while it is paused.
    pub inbox: Inbox,
    /// When its next timeout is due.
    pub wake: Option<Micros>,
    /// How it resolves names.
    pub resolver: Resolver,
    /// How many processes have been started on it.
    pub lives: u32,
}

/// The clocks of a machine at the beginning of the world, in µs.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// How long it had been running.
    pub monotonic: u64,
    /// Its wall clock. May be set later, as administrators and NTP do.
    pub wall: u64,
}

impl Clocks {
    /// Both clocks at this time of the world.
    pub const fn at(self, time: Micros) -> Now {
        Now {
            monotonic: Micros(self.monotonic + time.0),
            wall: Micros(self.wall + time.0),
        }
    }

    /// The time of the world at which the monotonic clock shows `deadline`.
    pub const fn time_of(self, deadline: Micros) -> Micros {
        Micros(deadline.0.saturating_sub(self.monotonic))
    }
}

/// How a machine resolves names. It always has the addresses of members that are alive.
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
    /// Adds a datagram of `from` if there is room. Returns whether there was.
    pub fn push(&mut self, from: Id, datagram: Vec<u8>) -> bool {
        let cost = datagram.len() + INBOX_OVERHEAD;
        let fits = self.bytes + cost <= INBOX_SIZE;
        if fits {
            self.bytes += cost;
            self.datagrams.push_back((from, datagram));
        }
        fits
    }

    /// Removes all datagrams, in the order in which they came.
    pub fn take(&mut self) -> impl Iterator<Item = (Id, Vec<u8>)> + use<> {
        self.bytes = 0;
        core::mem::take(&mut self.datagrams).into_iter()
    }
}
