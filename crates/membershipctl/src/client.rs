//! The sockets, and the loop that sends requests and receives answers, for many instances at a time.
//! The tool itself is not a member.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::os::fd::AsFd;
use std::thread;

use node::clock::{self, Clock};
use node::entropy;
use node::net::family::Family;
use node::net::poll::{Errno, PollFd, PollFlags, poll};
use node::net::socket::{Filled, Inbox, Socket};
use swim::hashing::HashKey;
use swim::identity::uri::Uri;
use swim::time::Now;
use swim::wire::{Body, Extension, Message, MessageBuilder, MessageType, ack_data, ping_data};

use crate::address::{local_uri, resolve};
use crate::args::Access;
use crate::crypto::{Acceptance, Crypto, Exchange};
use crate::error::{Error, QueryError, unsent};
pub use crate::query::{Query, Request};

/// Set by Ctrl-C.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How soon Ctrl-C is noticed.
const INTERRUPT_CHECK: Duration = Duration::from_millis(100);

/// How many instances are asked at a time: each takes a socket.
const CONNECTIONS_MAX: usize = 64;

/// Sends requests to instances, with the key of the group.
#[derive(Debug)]
pub struct Client {
    /// The key of the group.
    pub crypto: Crypto,
    timeout: Duration,
    reply_to: Option<Uri>,
    clock: Clock,
    hash_key: HashKey,
}

/// A socket for one instance. No other instance knows its port.
pub struct Connection {
    socket: Socket,
    /// The addresses of the instance's name: all of them are asked, but for those where the port is closed.
    addresses: Vec<SocketAddr>,
    exchange: Exchange,
}

impl Client {
    /// Creates one. Fails if the key cannot be read, or the system has no random numbers.
    pub fn new(access: &Access) -> Result<Self, Error> {
        let seed = entropy::seed().map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self {
            crypto: Crypto::new(access)?,
            timeout: access.timeout,
            reply_to: access.reply_to.clone(),
            clock: Clock::default(),
            hash_key: HashKey::derive(&seed.0),
        })
    }

    /// How long to wait for an answer.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What the tables of instances are hashed with.
    pub const fn hash_key(&self) -> &HashKey {
        &self.hash_key
    }

    /// The present time.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// The error for an instance that has not answered.
    pub fn no_answer(&self) -> QueryError {
        QueryError::NoAnswer {
            with_key: self.crypto.has_key(),
        }
    }

    /// Whether Ctrl-C was pressed.
    pub fn is_interrupted(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }

    /// Waits for this time. Returns `false` if Ctrl-C ends it early.
    pub fn pause(&self, time: Duration) -> bool {
        let end = clock::monotonic() + time;
        while !self.is_interrupted() {
            let left = end.since(clock::monotonic());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(INTERRUPT_CHECK));
        }
        false
    }

    /// Opens a socket for `node`, and resolves its name.
    pub fn connect(&self, node: &Uri) -> Result<Connection, QueryError> {
        Connection::open(node, self.reply_to.as_ref())
    }

    /// Runs a query with each of `nodes`. Returns the query for each that has an address.
    pub fn query_all<T: Query + Send>(
        &self,
        nodes: &[Uri],
        new_query: impl Fn(&Uri) -> T + Sync,
    ) -> io::Result<Vec<(Uri, Result<T, QueryError>)>> {
        let at_a_time = if self.reply_to.is_some() {
            1
        } else {
            CONNECTIONS_MAX
        };
        let mut all = Vec::with_capacity(nodes.len());
        for some in nodes.chunks(at_a_time) {
            let mut outcomes = Vec::with_capacity(some.len());
            for (node, connection) in some.iter().zip(self.connect_all(some)) {
                outcomes.push(match connection {
                    Ok(connection) => (node, Ok((connection, new_query(node)))),
                    Err(error) => (node, Err(error)),
                });
            }
            let mut queries = Vec::with_capacity(some.len());
            for (_, outcome) in &mut outcomes {
                if let Ok((connection, query)) = outcome {
                    queries.push((connection, query));
                }
            }
            self.run(&mut queries, |_queries| Ok(()))?;
            for (node, outcome) in outcomes {
                all.push((node.clone(), outcome.map(|(_connection, query)| query)));
            }
        }
        Ok(all)
    }

    /// Connects to all of `nodes` at once, since resolving a name may take seconds.
    fn connect_all(&self, nodes: &[Uri]) -> Vec<Result<Connection, QueryError>> {
        thread::scope(|scope| {
            let mut threads = Vec::with_capacity(nodes.len());
            for node in nodes {
                threads.push(scope.spawn(|| self.connect(node)));
            }
            let mut connections = Vec::with_capacity(nodes.len());
            for thread in threads {
                connections.push(thread.join().expect("connecting does not panic"));
            }
            connections
        })
    }

    /// Runs these queries until all are over, or Ctrl-C. Calls `look` whenever they may have changed.
    pub fn run<T: Query>(
        &self,
        queries: &mut [(&mut Connection, &mut T)],
        mut look: impl FnMut(&mut [(&mut Connection, &mut T)]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut inbox = Inbox::new();
        while !self.is_interrupted() {
            let now = self.now();
            for (connection, query) in queries.iter_mut() {
                while let Some(request) = query.poll_request(now) {
                    self.send(connection, request, *query);
                }
            }
            look(queries)?;
            let mut deadlines = Vec::with_capacity(queries.len());
            for (_connection, query) in queries.iter() {
                deadlines.extend(query.deadline());
            }
            let Some(deadline) = deadlines.into_iter().min() else {
                return Ok(());
            };
            let timeout = deadline.since(clock::monotonic()).min(INTERRUPT_CHECK);
            for index in wait_for_any(queries, timeout)? {
                let (connection, query) = &mut queries[index];
                self.receive(connection, &mut inbox, *query);
            }
        }
        Ok(())
    }

    fn send(&self, connection: &mut Connection, request: Request, query: &mut impl Query) {
        let message = self.build(connection.exchange.myself(), request);
        let datagram = self
            .crypto
            .seal(&mut connection.exchange, message, self.now());
        connection.send(&datagram, query);
    }

    /// Builds a message with no events, so that no table takes anything from it.
    fn build(&self, myself: &Uri, request: Request) -> MessageBuilder {
        let capacity = self.crypto.capacity();
        let mut trailer = self.crypto.trailer();
        let message = match request {
            Request::Table => MessageBuilder::sync(MessageType::SyncReq, myself, capacity),
            Request::Differing(sums) => {
                trailer.note = Some(Extension::Compare(sums));
                MessageBuilder::leave(myself, capacity)
            }
            Request::History(since) => {
                trailer.note = Some(Extension::HistorySince(since));
                MessageBuilder::leave(myself, capacity)
            }
            Request::Ping { ts, dst, asks_keys } => {
                trailer.asks_keys = asks_keys;
                let data = ping_data(ts, myself, &dst, None);
                MessageBuilder::with_data(MessageType::Ping, myself, &data, capacity)
            }
        };
        message.trailed_by(&trailer)
    }

    /// Opens a datagram, and hands its message to the query if it is accepted.
    fn handle_datagram(
        &self,
        connection: &mut Connection,
        datagram: &[u8],
        source: SocketAddr,
        query: &mut impl Query,
    ) {
        let now = self.now();
        let with_key = self.crypto.has_key();
        let Ok(opened) = self.crypto.open(datagram) else {
            return query.handle_error(QueryError::Undecodable { with_key });
        };
        let Ok(message) = opened.message() else {
            return query.handle_error(QueryError::Undecodable { with_key });
        };
        let exchange = &mut connection.exchange;
        match exchange.check(&message, opened.sealed, source, now) {
            Acceptance::Accepted => {
                self.answer_ping(connection, &message, query, now);
                query.handle_message(&message, now);
            }
            Acceptance::Rejected => {}
            Acceptance::RepeatRequest => {
                let datagram = self.crypto.seal_last(exchange, now);
                connection.send(&datagram, query);
            }
        }
    }

    /// Answers a ping. An instance validates an address by that before it sends more than a few bytes
    /// there.
    fn answer_ping(
        &self,
        connection: &mut Connection,
        message: &Message<'_>,
        query: &mut impl Query,
        now: Now,
    ) {
        let myself = connection.exchange.myself();
        let Body::Ping(ping) = &message.body else {
            return;
        };
        if ping.dst != Some(&**myself) {
            return;
        }
        let data = ack_data(ping.raw, now.wall);
        let capacity = self.crypto.capacity();
        let answer = MessageBuilder::with_data(MessageType::Ack, myself, &data, capacity)
            .trailed_by(&self.crypto.trailer());
        if let Some(datagram) = self
            .crypto
            .seal_answer(&mut connection.exchange, answer, now)
        {
            connection.send(&datagram, query);
        }
    }

    fn receive(&self, connection: &mut Connection, inbox: &mut Inbox, query: &mut impl Query) {
        loop {
            // The kernel reports a closed port as an error of the socket. Asking costs little.
            let filled = inbox.fill(&connection.socket, true);
            for refused in inbox.closed_ports() {
                if connection.addresses[..] == [refused] {
                    query.handle_error(QueryError::Closed);
                } else {
                    connection.addresses.retain(|address| *address != refused);
                }
            }
            for (datagram, source) in inbox.iter() {
                self.handle_datagram(connection, datagram, source, query);
            }
            if filled != Filled::Full {
                return;
            }
        }
    }
}

/// Waits until some of the sockets have something to be received. Returns their indices.
fn wait_for_any<T: Query>(
    queries: &[(&mut Connection, &mut T)],
    timeout: Duration,
) -> io::Result<Vec<usize>> {
    let mut fds = Vec::with_capacity(queries.len());
    for (connection, _query) in queries {
        fds.push(PollFd::new(connection.socket.as_fd(), PollFlags::POLLIN));
    }
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut ready = Vec::new();
    for (index, fd) in fds.iter().enumerate() {
        // Errors as well, and what nix has no name for.
        if fd.any() != Some(false) {
            ready.push(index);
        }
    }
    Ok(ready)
}

impl Connection {
    fn send(&self, datagram: &[u8], query: &mut impl Query) {
        let give_up_at = clock::monotonic() + INTERRUPT_CHECK;
        let (mut is_sent, mut failure) = (false, None);
        for address in &self.addresses {
            match self.socket.send(datagram, *address, give_up_at) {
                Ok(()) => is_sent = true,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    failure = Some(QueryError::Closed);
                }
                Err(error) => failure = Some(unsent(&error)),
            }
        }
        if let Some(failure) = failure
            && !is_sent
        {
            query.handle_error(failure);
        }
    }

    fn open(node: &Uri, reply_to: Option<&Uri>) -> Result<Self, QueryError> {
        let (first, addresses) = resolve(node)?;
        let anywhere = match Family::of(first.ip()) {
            Family::V4 => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        };
        let port = match reply_to {
            Some(reply_to) => reply_to.port(),
            // Any that is free.
            None => 0,
        };
        let socket =
            Socket::open(SocketAddr::new(anywhere, port)).map_err(|error| unsent(&error))?;
        let myself = match reply_to {
            Some(reply_to) => reply_to.clone(),
            None => local_uri(&socket, anywhere, first).map_err(|error| unsent(&error))?,
        };
        let exchange = Exchange::new(myself, node.clone()).map_err(|error| unsent(&error))?;
        Ok(Self {
            socket,
            addresses,
            exchange,
        })
    }
}
