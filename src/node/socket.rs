//! The UDP socket.

use core::net::{IpAddr, SocketAddr};
use core::ops::Range;
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};
use socket2::{Domain, Protocol, Type};

use super::clock;

/// How much may wait to be received: the datagrams of a second from a thousand members that all
/// have something to tell. The system may grant less.
const RECEIVE_BUFFER_SIZE: usize = 4 << 20;

/// How much may wait to be sent: a good-bye to some thousand members.
const SEND_BUFFER_SIZE: usize = 1 << 20;

/// A bound UDP socket that never blocks.
#[derive(Debug)]
pub struct Socket {
    udp: UdpSocket,
    bound: SocketAddr,
}

impl Socket {
    /// Opens one at `bound`. An address that somebody else has is not shared with him.
    pub fn open(bound: SocketAddr) -> io::Result<Self> {
        let socket =
            socket2::Socket::new(Domain::for_address(bound), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.set_broadcast(true)?;
        if bound.is_ipv6() {
            // Who wants IPv4 as well has another instance at the same port of it.
            socket.set_only_v6(true)?;
        }
        // Best effort: with less, a flood drowns more.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_SIZE);
        let _ = socket.set_send_buffer_size(SEND_BUFFER_SIZE);
        socket.bind(&bound.into())?;
        Ok(Self {
            udp: socket.into(),
            bound,
        })
    }

    /// Where it was to be bound.
    pub const fn bound(&self) -> SocketAddr {
        self.bound
    }

    /// Hands a datagram to the kernel. When the buffer is full, waits for room until `give_up`, by
    /// the monotonic clock; the datagram is then lost, as it could be anywhere further on.
    pub fn send(&self, datagram: &[u8], to: SocketAddr, give_up: super::Micros) -> io::Result<()> {
        loop {
            match self
                .udp
                .send_to(datagram, to)
                .map_err(|error| (error.kind(), error))
            {
                Ok(_) => return Ok(()),
                Err((ErrorKind::Interrupted, _)) => {}
                Err((ErrorKind::WouldBlock, _)) => {
                    let left = give_up.since(clock::monotonic());
                    if left.is_zero() {
                        return Ok(());
                    }
                    self.wait_for_room(left);
                }
                Err((_, error)) => return Err(error),
            }
        }
    }

    fn wait_for_room(&self, patience: Duration) {
        let mut fds = [PollFd::new(&self.udp, PollFlags::OUT)];
        let _ = poll(&mut fds, patience.try_into().ok().as_ref());
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.udp.as_fd()
    }
}

/// Which kind of addresses a socket can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Those of IPv4.
    V4,
    /// Those of IPv6.
    V6,
}

impl Family {
    /// The kind of `address`.
    pub const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }
}

/// Datagrams that were received together.
pub struct Inbox {
    buffer: Box<[u8]>,
    datagrams: Vec<(Range<usize>, SocketAddr)>,
}

/// Why an inbox was not filled any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Filled {
    /// Nothing more has come.
    Dry,
    /// There is no more room; more may be waiting.
    Full,
    /// The system refuses to say.
    Broken,
}

impl Inbox {
    /// How many datagrams are handled at a time, under one hold of the lock: some hundred µs.
    pub const DATAGRAMS_MAX: usize = 32;

    /// The largest datagram of UDP. A shorter buffer would cut it off, and it would be malformed.
    const DATAGRAM_SIZE_MAX: usize = 1 << 16;

    /// An empty one. It is large: make one and reuse it.
    pub fn new() -> Self {
        // Room for the usual datagrams, and for one of any size after them.
        let size = Self::DATAGRAM_SIZE_MAX + Self::DATAGRAMS_MAX * 2048;
        Self {
            buffer: vec![0; size].into(),
            datagrams: Vec::with_capacity(Self::DATAGRAMS_MAX),
        }
    }

    /// Replaces the contents by what has come.
    pub fn fill(&mut self, socket: &Socket) -> Filled {
        self.datagrams.clear();
        let mut free = 0;
        // An error takes a turn too, so that a stream of them comes to an end.
        for _ in 0..Self::DATAGRAMS_MAX {
            let room = &mut self.buffer[free..];
            if room.len() < Self::DATAGRAM_SIZE_MAX {
                return Filled::Full;
            }
            match socket.udp.recv_from(room).map_err(|error| error.kind()) {
                Ok((size, source)) => {
                    self.datagrams.push((free..free + size, source));
                    free += size;
                }
                Err(ErrorKind::WouldBlock) => return Filled::Dry,
                // What an earlier datagram has met with: reading it takes it away.
                Err(ErrorKind::Interrupted | ErrorKind::ConnectionRefused) => {}
                Err(_) => return Filled::Broken,
            }
        }
        Filled::Full
    }

    /// Leaves nothing in it.
    pub fn clear(&mut self) {
        self.datagrams.clear();
    }

    /// What has come, and from where.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], SocketAddr)> {
        self.datagrams
            .iter()
            .map(|(range, source)| (&self.buffer[range.clone()], *source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(one: u16, other: u16) -> [Socket; 2] {
        [one, other].map(|port| Socket::open(SocketAddr::from(([127, 0, 0, 1], port))).unwrap())
    }

    #[test]
    fn a_socket_is_not_shared_and_not_inherited() {
        let [socket, other] = pair(33_000, 33_001);
        let taken = Socket::open(socket.bound()).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        let flags = rustix::io::fcntl_getfd(&other).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[test]
    fn the_largest_datagram_arrives_whole_and_a_flood_in_portions() {
        let [sender, receiver] = pair(33_002, 33_003);
        let mut inbox = Inbox::new();
        assert_eq!(inbox.fill(&receiver), Filled::Dry);
        let largest = vec![7; 65_507];
        sender
            .send(b"small", receiver.bound(), super::super::Micros(0))
            .unwrap();
        sender
            .send(&largest, receiver.bound(), super::super::Micros(0))
            .unwrap();
        // Loopback delivers before `sendto` returns.
        let mut got = Vec::new();
        while got.len() < 2 {
            let _ = inbox.fill(&receiver);
            got.extend(
                inbox
                    .iter()
                    .map(|(datagram, source)| (datagram.to_vec(), source)),
            );
        }
        assert_eq!(
            got,
            [
                (b"small".to_vec(), sender.bound()),
                (largest, sender.bound())
            ]
        );

        for _ in 0..Inbox::DATAGRAMS_MAX + 1 {
            sender
                .send(b"x", receiver.bound(), super::super::Micros(0))
                .unwrap();
        }
        assert_eq!(inbox.fill(&receiver), Filled::Full);
        assert_eq!(inbox.iter().count(), Inbox::DATAGRAMS_MAX);
        assert_eq!(inbox.fill(&receiver), Filled::Dry);
        assert_eq!(inbox.iter().count(), 1);
    }
}
