//! The UDP socket.

use core::mem;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ops::Range;
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};
use std::sync::Arc;
use std::thread;

use socket2::{Domain, Protocol, Type};

use crate::net::family::{Listen, Reach, from_mapped, to_mapped};
use crate::net::icmp::{IcmpError, enable_icmp_errors, take_icmp_error};
use crate::net::poll::{PollFd, PollFlags, poll};
use crate::{Micros, clock};

/// How many bytes may wait to be received: the datagrams of a second from a thousand members that all have
/// news. The system may grant less.
const RECEIVE_BUFFER_SIZE: usize = 4 << 20;

/// How many bytes may wait to be sent: those of `leave` to some thousand members.
const SEND_BUFFER_SIZE: usize = 1 << 20;

/// A bound UDP socket that never blocks.
#[derive(Debug)]
pub struct Socket {
    udp: UdpSocket,
    listen: Listen,
    reach: Reach,
}

impl Socket {
    /// How often a datagram is offered to the system. A call may fail with the ICMP error of an earlier
    /// datagram, once for each, and there may be two: one of another thread.
    const OFFERS_MAX: u32 = 3;

    /// Opens a socket. Fails if another process has the address, or, of all addresses, one.
    pub fn open(listen: impl Into<Listen>) -> io::Result<Self> {
        let listen = listen.into();
        let Listen::Anywhere(port) = listen else {
            return Self::open_for(listen, listen.reach());
        };
        match Self::open_for(listen, Reach::Both) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => Err(error),
            // The system has no IPv6, or it was switched off.
            Err(_) => Self::open_anywhere_in_ipv4(port),
            opened => opened,
        }
    }

    /// Opens a socket at all addresses of IPv4 only.
    pub fn open_anywhere_in_ipv4(port: u16) -> io::Result<Self> {
        Self::open_for(Listen::Anywhere(port), Reach::V4)
    }

    fn open_for(listen: Listen, reach: Reach) -> io::Result<Self> {
        let bound = match (listen, reach) {
            (Listen::At(address), _) => address,
            (Listen::Anywhere(port), Reach::V4) => (Ipv4Addr::UNSPECIFIED, port).into(),
            (Listen::Anywhere(port), Reach::V6 | Reach::Both) => {
                (Ipv6Addr::UNSPECIFIED, port).into()
            }
        };
        let socket =
            socket2::Socket::new(Domain::for_address(bound), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // Or the system refuses to send to the addresses that `broadcast` of Lua does.
        socket.set_broadcast(true)?;
        if bound.is_ipv6() {
            // Without IPv4, another instance may have the same port there.
            socket.set_only_v6(reach != Reach::Both)?;
        }
        // Best effort: with smaller buffers, more datagrams are lost in an overload.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_SIZE);
        let _ = socket.set_send_buffer_size(SEND_BUFFER_SIZE);
        // Best effort, too: without it, a closed port looks like a host that does not answer.
        let _ = enable_icmp_errors(&socket, reach);
        socket.bind(&bound.into())?;
        Ok(Self {
            udp: socket.into(),
            listen,
            reach,
        })
    }

    /// Takes the socket out of its `Arc`, whatever other references there are.
    ///
    /// # Safety
    /// No other reference is ever used or dropped.
    pub unsafe fn reclaimed(self: Arc<Self>) -> Self {
        let (listen, reach) = (self.listen, self.reach);
        let descriptor = self.udp.as_raw_fd();
        mem::forget(self);
        // SAFETY: the descriptor is open, and the caller promises that nothing else closes it.
        let udp = unsafe { UdpSocket::from_raw_fd(descriptor) };
        Self { udp, listen, reach }
    }

    /// Where it was to listen.
    pub const fn listen(&self) -> Listen {
        self.listen
    }

    /// The addresses that datagrams can be sent to.
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// Whether a socket for `listen` cannot be opened as long as this one is open.
    pub fn is_in_the_way_of(&self, listen: Listen) -> bool {
        let overlap = self.listen.is_unspecified() || listen.is_unspecified();
        // A socket of one family leaves the other alone.
        let is_same_family = self.reach.overlaps(listen.reach());
        self.listen.port() == listen.port() && is_same_family && overlap
    }

    /// Hands a datagram to the kernel. If the send buffer is full, waits for room until `give_up`, by the
    /// monotonic clock. If there is none by then, the datagram is lost, as it may be on its way.
    pub fn send(&self, datagram: &[u8], to: SocketAddr, give_up: Micros) -> io::Result<()> {
        let to = match self.reach {
            Reach::Both => to_mapped(to),
            Reach::V4 | Reach::V6 => to,
        };
        let mut refused_offers = 0;
        loop {
            let Err(error) = self.udp.send_to(datagram, to) else {
                return Ok(());
            };
            match error.kind() {
                // The engine has all signals blocked, but not Tarantool's thread.
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock => {
                    let left = give_up.since(clock::monotonic());
                    if left.is_zero() {
                        return Ok(());
                    }
                    self.wait_for_room(left);
                }
                _ => {
                    refused_offers += 1;
                    if refused_offers == Self::OFFERS_MAX {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn wait_for_room(&self, patience: Duration) {
        let mut fds = [PollFd::new(self.udp.as_fd(), PollFlags::POLLOUT)];
        // If that fails, the next offer tells whether there is room.
        let _ = poll(&mut fds, patience);
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.udp.as_fd()
    }
}

/// Closes a socket as soon as no other thread sends with it, so that its port is free. That takes no longer
/// than sending one datagram, which does not block. If a thread takes longer, the port stays taken until it
/// is done.
pub fn close(socket: Arc<Socket>) {
    const PATIENCE: Duration = Duration::from_millis(200);
    let give_up = clock::monotonic() + PATIENCE;
    while Arc::strong_count(&socket) > 1 && clock::monotonic() < give_up {
        thread::yield_now();
    }
}

/// The datagrams that were received together.
pub struct Inbox {
    buffer: Box<[u8]>,
    datagrams: Vec<(Range<usize>, SocketAddr)>,
    closed_ports: Vec<SocketAddr>,
    size_max: usize,
}

/// Why an inbox was not filled further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Filled {
    /// No more datagrams wait.
    Dry,
    /// There is no more room; datagrams may wait.
    Full,
    /// The system returns errors.
    Broken,
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Inbox {
    /// How many datagrams are handled while the lock is held once: for some hundred µs.
    pub const DATAGRAMS_MAX: usize = 32;

    /// How many ICMP errors are taken at a time.
    const ICMP_ERRORS_MAX: usize = 64;

    /// How often in a row the system may return an error in place of a datagram. Each ICMP error is returned
    /// so, once.
    const ERRORS_MAX: usize = 4;

    /// The room that the largest datagram of UDP takes.
    const DATAGRAM_SIZE_MAX: usize = 1 << 16;

    /// Makes an empty inbox. It is large: make one and reuse it.
    pub fn new() -> Self {
        // There is room for the usual datagrams, and for one of any size after them.
        let size = Self::DATAGRAM_SIZE_MAX + Self::DATAGRAMS_MAX * 2048;
        Self {
            buffer: vec![0; size].into(),
            datagrams: Vec::with_capacity(Self::DATAGRAMS_MAX),
            closed_ports: Vec::new(),
            size_max: Self::DATAGRAM_SIZE_MAX - 1,
        }
    }

    /// From now on, reads one byte more than `size` of each datagram: enough to see that it is too long.
    pub fn set_size_max(&mut self, size: usize) {
        self.size_max = size.min(Self::DATAGRAM_SIZE_MAX - 1);
    }

    /// Replaces the contents by the datagrams that wait, and, if the socket `has_error`, by ICMP errors.
    pub fn fill(&mut self, socket: &Socket, has_error: bool) -> Filled {
        self.clear();
        let explained = has_error && self.take_icmp_errors(socket);
        let filled = self.take_datagrams(socket);
        let found_nothing = filled == Filled::Dry && self.datagrams.is_empty();
        if has_error && !explained && found_nothing {
            // The socket would be ready again at once, and the engine would spin.
            return Filled::Broken;
        }
        filled
    }

    /// Returns whether there was an error.
    fn take_icmp_errors(&mut self, socket: &Socket) -> bool {
        let mut count = 0;
        while count < Self::ICMP_ERRORS_MAX
            && let Some(error) = take_icmp_error(socket)
        {
            count += 1;
            if let IcmpError::PortClosed(recipient) = error {
                self.closed_ports.push(from_mapped(recipient));
            }
        }
        count > 0
    }

    fn take_datagrams(&mut self, socket: &Socket) -> Filled {
        let (mut free, mut errors) = (0, 0);
        while self.datagrams.len() < Self::DATAGRAMS_MAX && errors < Self::ERRORS_MAX {
            let Some(room) = self.buffer.get_mut(free..=free + self.size_max) else {
                return Filled::Full;
            };
            match socket.udp.recv_from(room) {
                Ok((size, source)) => {
                    let source = from_mapped(source);
                    self.datagrams.push((free..free + size, source));
                    free += size;
                    errors = 0;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Filled::Dry,
                Err(_) => errors += 1,
            }
        }
        if errors < Self::ERRORS_MAX {
            Filled::Full
        } else {
            Filled::Broken
        }
    }

    /// Empties the inbox.
    pub fn clear(&mut self) {
        self.datagrams.clear();
        self.closed_ports.clear();
    }

    /// The datagrams, and their senders.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], SocketAddr)> {
        self.datagrams
            .iter()
            .map(|(range, source)| (&self.buffer[range.clone()], *source))
    }

    /// The addresses of recipients whose port was closed.
    pub fn closed_ports(&self) -> impl Iterator<Item = SocketAddr> {
        self.closed_ports.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    use super::*;

    impl Socket {
        fn bound(&self) -> SocketAddr {
            let Listen::At(address) = self.listen else {
                panic!("{:?}", self.listen)
            };
            address
        }
    }

    fn pair(one: u16, other: u16) -> [Socket; 2] {
        [one, other].map(|port| Socket::open(SocketAddr::from(([127, 0, 0, 1], port))).unwrap())
    }

    #[test]
    fn a_socket_is_not_shared_and_not_inherited() {
        let [socket, other] = pair(33_000, 33_001);
        let taken = Socket::open(socket.bound()).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        let flags = fcntl(&other, FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags, FdFlag::FD_CLOEXEC.bits());
    }

    #[test]
    fn the_largest_datagram_arrives_whole_and_a_flood_in_portions() {
        let [sender, receiver] = pair(33_002, 33_003);
        let mut inbox = Inbox::new();
        assert_eq!(inbox.fill(&receiver, false), Filled::Dry);
        let largest = vec![7; 65_507];
        sender.send(b"small", receiver.bound(), Micros(0)).unwrap();
        sender.send(&largest, receiver.bound(), Micros(0)).unwrap();
        // Loopback delivers before `sendto` returns.
        let mut got = Vec::new();
        while got.len() < 2 {
            let _ = inbox.fill(&receiver, false);
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

        inbox.set_size_max(4);
        for size in [5, 6] {
            sender
                .send(&b"longer"[..size], receiver.bound(), Micros(0))
                .unwrap();
        }
        assert_eq!(inbox.fill(&receiver, false), Filled::Dry);
        let read: Vec<_> = inbox.iter().map(|(datagram, _)| datagram).collect();
        assert_eq!(read, [b"longe"; 2], "no more than shows that it is longer");

        for _ in 0..Inbox::DATAGRAMS_MAX + 1 {
            sender.send(b"x", receiver.bound(), Micros(0)).unwrap();
        }
        assert_eq!(inbox.fill(&receiver, false), Filled::Full);
        assert_eq!(inbox.iter().count(), Inbox::DATAGRAMS_MAX);
        assert_eq!(inbox.fill(&receiver, false), Filled::Dry);
        assert_eq!(inbox.iter().count(), 1);
    }

    /// If the port is on this machine, the ICMP error comes at once.
    #[cfg(target_os = "linux")]
    fn refused(socket: &Socket, closed: SocketAddr, times: usize) -> usize {
        let mut inbox = Inbox::new();
        let mut refusals = 0;
        while inbox.fill(socket, true) != Filled::Broken {
            assert!(inbox.closed_ports().all(|recipient| recipient == closed));
            refusals += inbox.closed_ports().count();
            assert!(refusals <= times, "{refusals} of {times}");
        }
        refusals
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn closed_ports_are_found_in_portions_and_no_other_datagram_is_lost_to_them() {
        for host in ["127.0.0.1", "::1"] {
            let at = |port| SocketAddr::new(host.parse().unwrap(), port);
            let (sender, receiver) = (
                Socket::open(at(36_000)).unwrap(),
                Socket::open(at(36_001)).unwrap(),
            );
            let closed = at(36_002);
            let mut inbox = Inbox::new();
            for _ in 0..Inbox::ICMP_ERRORS_MAX {
                // Sending the third of these may fail with the error of the second.
                for to in [closed, closed, receiver.bound()] {
                    sender.send(b"x", to, Micros(0)).unwrap();
                }
                assert_eq!(inbox.fill(&receiver, false), Filled::Dry);
                assert_eq!(inbox.iter().count(), 1);
            }
            // So may the call that receives.
            receiver.send(b"x", sender.bound(), Micros(0)).unwrap();
            assert_eq!(inbox.fill(&sender, true), Filled::Dry);
            assert_eq!(inbox.iter().count(), 1);
            assert_eq!(
                inbox.closed_ports().count(),
                Inbox::ICMP_ERRORS_MAX,
                "and no more"
            );
            assert_eq!(
                refused(&sender, closed, Inbox::ICMP_ERRORS_MAX),
                Inbox::ICMP_ERRORS_MAX
            );
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_of_both_families_exchanges_datagrams_and_errors_with_each() {
        let both = Socket::open(Listen::Anywhere(36_005)).unwrap();
        assert_eq!(both.reach(), Reach::Both);
        let mut inbox = Inbox::new();
        for host in ["127.0.0.1", "::1"] {
            let at = |port| SocketAddr::new(host.parse().unwrap(), port);
            let one = Socket::open(at(36_006)).unwrap();
            one.send(b"question", at(36_005), Micros(0)).unwrap();
            assert_eq!(inbox.fill(&both, false), Filled::Dry);
            let got: Vec<_> = inbox.iter().collect();
            assert_eq!(
                got,
                [(&b"question"[..], at(36_006))],
                "where it came from, as one writes it"
            );
            both.send(b"answer", at(36_006), Micros(0)).unwrap();
            assert_eq!(inbox.fill(&one, false), Filled::Dry);
            let got: Vec<_> = inbox.iter().collect();
            assert_eq!(got, [(&b"answer"[..], at(36_005))]);
            both.send(b"x", at(36_007), Micros(0)).unwrap();
            let _ = inbox.fill(&both, true);
            assert_eq!(inbox.closed_ports().collect::<Vec<_>>(), [at(36_007)]);
        }
    }

    #[test]
    fn a_socket_is_in_the_way_of_those_that_share_a_family_and_an_address() {
        let at = |text: &str| Listen::At(text.parse().unwrap());
        let four = Socket::open(at("127.0.0.1:36008")).unwrap();
        let all = [
            (Listen::Anywhere(36_008), true),
            (at("0.0.0.0:36008"), true),
            (at("127.0.0.2:36008"), false),
            (at("[::]:36008"), false),
            (Listen::Anywhere(36_009), false),
        ];
        for (listen, expected) in all {
            assert_eq!(four.is_in_the_way_of(listen), expected, "{listen:?}");
            let is_taken = Socket::open(listen).is_err();
            assert_eq!(is_taken, expected, "the system says the same: {listen:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_sent_fails_and_shows_no_closed_port() {
        let [socket, _] = pair(36_003, 36_004);
        // A socket that is bound to the loopback interface reaches no other.
        let away = SocketAddr::from(([192, 0, 2, 1], 36_003));
        assert!(socket.send(b"x", away, Micros(0)).is_err());
        assert_eq!(refused(&socket, away, 0), 0);
    }
}
