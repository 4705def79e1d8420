//! Sockets and deadlines: talks with instances, many at a time, without being one.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::thread;

use node::clock::{self, Clock};
use node::net::socket::{Family, Filled, Inbox, Socket};
use node::resolve::getaddrinfo::getaddrinfo;
use rustix::event::{PollFd, PollFlags, poll};
use socket2::SockRef;
use swim::identity::uri::Uri;
use swim::time::{Micros, Now};
use swim::wire::{Body, Extension, Message, MessageBuilder, MessageType, ack_data, ping_data};

use crate::args::Access;
use crate::crypto::{Credit, Crypto, Exchange};
use crate::error::{Failure, QueryError};

/// Set by Ctrl-C.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How soon Ctrl-C is noticed.
const ATTENTION: Duration = Duration::from_millis(100);

/// How many are talked to at a time: each takes a socket.
const LINES_MAX: usize = 64;

/// What to ask an instance.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// For its table, as peers of the Lua rock do.
    Table,
    /// For what is in the buckets whose sums are not these: only our own understand it.
    Differing(Vec<u32>),
    /// For a sign of life of `dst`, which must be its very name.
    Ping {
        /// A number to know the answer by: the time in µs.
        ts: u64,
        /// Of whom.
        dst: Uri,
    },
}

/// One side of a talk: says what to ask, and makes sense of the answers.
pub trait Query {
    /// What is to be asked now.
    fn poll_request(&mut self, now: Now) -> Option<Request>;
    /// An answer.
    fn handle_message(&mut self, message: &Message<'_>, now: Now);
    /// Something that is no answer.
    fn handle_trouble(&mut self, trouble: QueryError);
    /// When to be asked again for a request; `None` when the talk is over.
    fn deadline(&self) -> Option<Micros>;
}

/// Has the key, and knows for how long to wait.
#[derive(Debug)]
pub struct Client {
    envelope: Crypto,
    timeout: Duration,
    reply_to: Option<Uri>,
    clock: Clock,
}

/// A way to one instance, and to no other: it answers to a port that nobody else knows.
pub struct Connection {
    socket: Socket,
    node: SocketAddr,
    exchange: Exchange,
}

impl Client {
    /// One that reaches the group as it was told to.
    pub fn new(access: &Access) -> Result<Self, Failure> {
        Ok(Self {
            envelope: Crypto::new(access)?,
            timeout: access.timeout,
            reply_to: access.reply_to.clone(),
            clock: Clock::default(),
        })
    }

    /// For how long to wait for who does not answer.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What time it is.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// What to say of one that has not answered.
    pub fn silence(&self) -> QueryError {
        QueryError::Silent {
            with_key: self.envelope.has_key(),
        }
    }

    /// Whether Ctrl-C was pressed.
    pub fn is_interrupted(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }

    /// Lets so much time pass; `false` if Ctrl-C comes first.
    pub fn pause(&self, time: Duration) -> bool {
        let end = clock::monotonic() + time;
        while !self.is_interrupted() {
            let left = end.since(clock::monotonic());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(ATTENTION));
        }
        false
    }

    /// A way to `node`.
    pub fn connect(&self, node: &Uri) -> Result<Connection, QueryError> {
        Connection::open(node, self.reply_to.as_ref())
    }

    /// Has a talk with each of `nodes`, as far as they can be reached, and returns what has come of it.
    pub fn talk_to_all<T: Query + Send>(
        &self,
        nodes: &[Uri],
        begin: impl Fn(&Uri) -> T + Sync,
    ) -> io::Result<Vec<(Uri, Result<T, QueryError>)>> {
        let mut all = Vec::new();
        let at_a_time = if self.reply_to.is_some() {
            1
        } else {
            LINES_MAX
        };
        for some in nodes.chunks(at_a_time) {
            // A name may take its time to be resolved: they shall do so together.
            let mut lines: Vec<_> = thread::scope(|scope| {
                let connect = |node| scope.spawn(move || self.connect(node));
                let pending: Vec<_> = some.iter().map(connect).collect();
                let joined = pending.into_iter().map(|thread| thread.join());
                joined.map(|line| line.expect("no panic")).collect()
            });
            let mut talks: Vec<_> = some.iter().map(&begin).collect();
            let reached = lines.iter_mut().zip(&mut talks);
            let mut reached: Vec<(&mut Connection, &mut T)> = reached
                .filter_map(|(line, talk)| Some((line.as_mut().ok()?, talk)))
                .collect();
            self.talk(&mut reached, |_talks| Ok(()))?;
            let outcomes = lines.into_iter().zip(talks);
            let outcomes = outcomes.map(|(line, talk)| line.map(|_line| talk));
            all.extend(some.iter().cloned().zip(outcomes));
        }
        Ok(all)
    }

    /// Goes on with these talks until they are over, or Ctrl-C. `look` at them whenever something may
    /// have happened.
    pub fn talk<T: Query>(
        &self,
        talks: &mut [(&mut Connection, &mut T)],
        mut look: impl FnMut(&mut [(&mut Connection, &mut T)]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut inbox = Inbox::new();
        while !self.is_interrupted() {
            let now = self.now();
            for (line, talk) in talks.iter_mut() {
                while let Some(request) = talk.poll_request(now) {
                    self.send(line, request, *talk);
                }
            }
            look(talks)?;
            let deadlines = talks.iter().filter_map(|(_, talk)| talk.deadline());
            let Some(deadline) = deadlines.min() else {
                return Ok(());
            };
            let patience = deadline.since(clock::monotonic()).min(ATTENTION);
            for index in wait_for_any(talks, patience)? {
                let (line, talk) = &mut talks[index];
                self.receive(line, &mut inbox, *talk);
            }
        }
        Ok(())
    }

    fn send(&self, line: &mut Connection, request: Request, talk: &mut impl Query) {
        let draft = self.draft(line.exchange.myself(), request);
        let datagram = self.envelope.seal(&mut line.exchange, draft);
        line.send(&datagram, talk);
    }

    /// Nothing is said in it of anybody: there is nothing that a table could take up.
    fn draft(&self, myself: &Uri, request: Request) -> MessageBuilder {
        let capacity = self.envelope.capacity();
        let mut trailer = self.envelope.trailer();
        let draft = match request {
            Request::Table => MessageBuilder::sync(MessageType::SyncReq, myself, capacity),
            Request::Differing(sums) => {
                trailer.note = Some(Extension::Compare(sums));
                MessageBuilder::leave(myself, capacity)
            }
            Request::Ping { ts, dst } => {
                let data = ping_data(ts, myself, &dst, None);
                MessageBuilder::with_data(MessageType::Ping, myself, &data, capacity)
            }
        };
        draft.trailed_by(&trailer)
    }

    /// Takes one datagram.
    fn take(
        &self,
        line: &mut Connection,
        datagram: &[u8],
        source: SocketAddr,
        talk: &mut impl Query,
    ) {
        let now = self.now();
        let opened = self.envelope.open(datagram);
        let message = opened.as_ref().map_err(|why| *why);
        let message = message.and_then(|opened| Ok((opened.message()?, opened.sealed)));
        let Ok((message, sealed)) = message else {
            let with_key = self.envelope.has_key();
            return talk.handle_trouble(QueryError::Unreadable { with_key });
        };
        match line.exchange.check(&message, sealed, source, now) {
            Credit::Believed => {
                self.answer_ping(line, &message, talk, now);
                talk.handle_message(&message, now);
            }
            Credit::Refused => {}
            Credit::RepeatRequest => {
                let datagram = self.envelope.seal_again(&mut line.exchange);
                line.send(&datagram, talk);
            }
        }
    }

    /// Answers a ping: the instance tells more than a few bytes only to an address that has shown to be
    /// its asker's own.
    fn answer_ping(
        &self,
        line: &mut Connection,
        message: &Message<'_>,
        talk: &mut impl Query,
        now: Now,
    ) {
        let myself = line.exchange.myself();
        let Body::Ping(echo) = &message.body else {
            return;
        };
        if echo.dst != Some(&**myself) {
            return;
        }
        let data = ack_data(echo.raw, now.wall);
        let draft =
            MessageBuilder::with_data(MessageType::Ack, myself, &data, self.envelope.capacity());
        let draft = draft.trailed_by(&self.envelope.trailer());
        if let Some(datagram) = self.envelope.seal_answer(&mut line.exchange, draft) {
            line.send(&datagram, talk);
        }
    }

    fn receive(&self, line: &mut Connection, inbox: &mut Inbox, talk: &mut impl Query) {
        loop {
            // Word of a closed port comes as trouble with the socket; there is no harm in looking for it.
            let filled = inbox.fill(&line.socket, true);
            if inbox.refusals().any(|refused| refused == line.node) {
                talk.handle_trouble(QueryError::Closed);
            }
            for (datagram, source) in inbox.iter() {
                self.take(line, datagram, source, talk);
            }
            if filled != Filled::Full {
                return;
            }
        }
    }
}

/// Waits until there is something to be received, and returns where.
fn wait_for_any<T: Query>(
    talks: &[(&mut Connection, &mut T)],
    patience: Duration,
) -> io::Result<Vec<usize>> {
    let mut fds: Vec<_> = talks
        .iter()
        .map(|(line, _talk)| PollFd::from_borrowed_fd(line.socket.as_fd(), PollFlags::IN))
        .collect();
    let patience = patience.try_into().map_err(io::Error::other)?;
    match poll(&mut fds, Some(&patience)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let ready = fds.iter().enumerate();
    Ok(ready
        .filter(|(_, fd)| !fd.revents().is_empty())
        .map(|(index, _)| index)
        .collect())
}

impl Connection {
    fn send(&self, datagram: &[u8], talk: &mut impl Query) {
        let give_up = clock::monotonic() + ATTENTION;
        let trouble = match self.socket.send(datagram, self.node, give_up) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => QueryError::Closed,
            Err(error) => QueryError::Unsent(system_text(&error)),
        };
        talk.handle_trouble(trouble);
    }

    fn open(node: &Uri, reply_to: Option<&Uri>) -> Result<Self, QueryError> {
        let address = resolve(node)?;
        let unsent = |error: io::Error| QueryError::Unsent(system_text(&error));
        let anywhere = match Family::of(address.ip()) {
            Family::V4 => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        };
        let port = reply_to.map_or(0, |reply_to| reply_to.port());
        let socket = Socket::open((anywhere, port).into()).map_err(unsent)?;
        let myself = match reply_to {
            Some(reply_to) => reply_to.clone(),
            None => local_uri(&socket, anywhere, address).map_err(unsent)?,
        };
        Ok(Self {
            socket,
            node: address,
            exchange: Exchange::new(myself, node.clone()).map_err(unsent)?,
        })
    }
}

/// As instances do: IPv4, unless it is a literal address of IPv6. For a name that has no other, IPv6.
fn resolve(node: &Uri) -> Result<SocketAddr, QueryError> {
    let found = if node.is_ipv6() {
        getaddrinfo(node.host(), Family::V6)
    } else {
        let found = getaddrinfo(node.host(), Family::V4);
        found.or_else(|why| getaddrinfo(node.host(), Family::V6).map_err(|_| why))
    };
    let mut address = found.map_err(QueryError::Unresolved)?;
    address.set_port(node.port());
    Ok(address)
}

/// Where an answer from `node` reaches the socket.
fn local_uri(socket: &Socket, anywhere: IpAddr, node: SocketAddr) -> io::Result<Uri> {
    let port = SockRef::from(socket).local_addr()?.as_socket();
    // Connecting tells which address of ours is on the way there. Nothing is sent.
    let feeler = UdpSocket::bind((anywhere, 0))?;
    feeler.connect(node)?;
    let host = match feeler.local_addr()?.ip() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let port = port.map_or(0, |address| address.port());
    Uri::new(&host, port).map_err(|_| io::Error::other("this machine has no address"))
}

/// Without the number that Rust puts behind it.
fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_owned()
}
