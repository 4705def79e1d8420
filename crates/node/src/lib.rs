//! The machine around the protocol: one lock, one thread, one UDP socket, one resolver, two clocks.
//! All system calls of the module are made in this crate.
//!
//! | file | part |
//! |---|---|
//! | `shared`, `state`, `effects` | the lock: act on the state under it, then make system calls without it |
//! | `engine`, `receive`, `threads` | the thread: waits for datagrams and deadlines, and handles them |
//! | [`net`] | the socket, and what the kernel says about it |
//! | [`resolve`] | the addresses of members |
//! | [`notify`] | wakes Lua, keeps its log lines, and watches whether it runs |
//! | [`observe`] | what operators see |
//! | [`clock`], [`entropy`] | time and random numbers |
//! | [`state_file`] | what is remembered over a restart, and the thread that writes it |
//! | `error` | why a call failed, in words for the user |
//! | `fork`, `handover` | how to survive `box.cfg{background = true}`, and which process goes on with the socket |

pub mod clock;
mod effects;
mod engine;
pub mod entropy;
mod error;
mod fork;
mod handover;
pub mod net;
pub mod notify;
pub mod observe;
mod receive;
pub mod resolve;
mod shared;
mod state;
pub mod state_file;
mod threads;

use core::net::{SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::path::Path;
use std::ptr;
use std::sync::{Arc, OnceLock};

use clock::{LuaTime, ThreadClock};
use error::system_text;
pub use error::{Error, shown};
use net::binding::where_to_listen;
use net::interfaces::interfaces;
use notify::event_loop::ThreadId;
pub use notify::log_queue::{Line, LogQueue};
use notify::lua_states::LuaThread;
pub use notify::waker::Waker;
pub use resolve::resolver::Families;
pub use shared::Progress;
use shared::Shared;
use state::State;
use swim::config::Config;
use swim::identity::uri::{Uri, UriError};
use swim::time::{Micros, Now};
use swim::{Seed, Swim};

static NODE: OnceLock<Node> = OnceLock::new();

/// The node of this process. The first call makes it, without a thread or a socket.
pub fn node() -> &'static Node {
    NODE.get_or_init(Node::new)
}

/// A member of a group: the protocol, and what it takes to run it.
///
/// Each method may be called from any thread. None blocks for longer than it takes to send the datagrams
/// that it leads to.
pub struct Node {
    shared: Arc<Shared>,
}

impl Node {
    /// How long [`Self::leave`] may wait for room in the send buffer and for the disk, together. It is called from shutdown
    /// triggers, which have three seconds together.
    const LEAVE_TIME_MAX: Duration = Duration::from_millis(200);

    /// Makes a node with the name resolver of the system.
    pub fn new() -> Self {
        Self::with_lookup(resolve::getaddrinfo::resolve)
    }

    /// Makes a node with another name resolver: it returns addresses of the families that it is asked for,
    /// whose ports have no meaning, or says why there are none. It may block.
    pub fn with_lookup(
        lookup: impl Fn(&str, Families) -> Result<Vec<SocketAddr>, String> + Send + Sync + 'static,
    ) -> Self {
        let make = |seed| {
            let swim = Swim::new(Config::default(), seed);
            let state = State::new(swim, Arc::new(lookup));
            Arc::new(Shared::new(state))
        };
        let shared = match entropy::seed() {
            Ok(seed) => make(seed),
            Err(failure) => {
                // A node that has failed makes no use of its seed.
                let shared = make(Seed([0; 32]));
                shared.fail(failure);
                shared
            }
        };
        Self { shared }
    }

    /// Opens the socket, starts the engine, and takes part in the group as `host:port`.
    ///
    /// If the port or the address to bind has changed, opens the new socket before it closes the old one,
    /// unless the old one is in its way. If that fails, nothing has changed.
    pub fn init(&self, host: &str, port: u16, bind: Option<&str>) -> Result<(), Error> {
        self.init_remembering(host, port, bind, None)
    }

    /// Like [`Self::init`], and remembers other members and the own incarnation in a file. If that cannot be used, the
    /// log says so, and nothing else changes.
    pub fn init_remembering(
        &self,
        host: &str,
        port: u16,
        bind: Option<&str>,
        state_file: Option<&Path>,
    ) -> Result<(), Error> {
        let uri = match Uri::new(host, port) {
            Ok(uri) => uri,
            Err(UriError::Host) => return Err(Error::BadHost(host.into())),
            Err(UriError::Port) => return Err(Error::BadPort(port)),
            Err(UriError::NotOneMachine(stands_for)) => {
                let host = host.into();
                return Err(Error::NotOneMachine { host, stands_for });
            }
        };
        let listen = where_to_listen(&uri, bind)?;
        // Tests have other nodes as well, and what runs at a fork knows but this one.
        if let Some(node) = NODE.get()
            && ptr::eq(node, self)
        {
            fork::register();
        }
        let mut engine = self.shared.engine();
        // First: a child that gives up what is its parent's has no state file any more.
        let is_served = self
            .shared
            .run(|state, now| state.serves(listen, &uri, now))?;
        let opened = self.open_state_file(state_file, &uri);
        if !is_served {
            self.rebind(&mut engine, listen)?;
        }
        self.give_up_state_file(&opened);
        self.with_swim(|swim, now| opened.init(swim, uri, now))?;
        self.keep_state_file(opened);
        Ok(())
    }

    /// Leaves the group: when this returns, the kernel has the datagrams that tell it. Then stops the engine
    /// and closes the socket. Returns false if there was no group to leave.
    pub fn leave(&self) -> Result<bool, Error> {
        let mut engine = self.shared.engine();
        let give_up = clock::monotonic() + Self::LEAVE_TIME_MAX;
        let last = self.last_record();
        let left = self
            .shared
            .run_until(give_up, |state, now| state.leave(now))?;
        if let Some(engine) = engine.take() {
            engine.stop();
        }
        let closed = self.shared.run(|state, _| {
            state.engine_watch.stop();
            (state.socket.take(), state.close_resolver())
        })?;
        // Where the lock is not held: to close a socket is a system call.
        drop(closed);
        self.wait_for_children();
        self.close_state_file(last, give_up);
        Ok(left)
    }

    /// Waits until the children have closed the socket that this process gives up.
    fn wait_for_children(&self) {
        let closing = self
            .shared
            .manage(|state| state.handover.dismiss_children());
        if let Some(closing) = closing {
            closing.wait();
        }
    }

    /// Asks all instances at `port` in the networks of this machine to ping this one, by which both get to know
    /// each other. Returns the result for each address; IPv4 only. The inner error says why the system does
    /// not tell the networks.
    pub fn broadcast(&self, port: u16) -> Result<Result<Vec<BroadcastPing>, String>, Error> {
        let (datagram, socket) = self.shared.run(|state, now| {
            let datagram = state.swim.broadcast_ping(now);
            let socket = state.socket.clone();
            match (datagram, socket) {
                // A child of a fork must not use the socket while its parent does.
                (Some(datagram), Some(socket)) if !state.handover.is_waiting() => {
                    Ok((datagram, socket))
                }
                _ => Err(Error::NotInitialized),
            }
        })??;
        let interfaces = match interfaces() {
            Ok(interfaces) => interfaces,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut pings = Vec::with_capacity(interfaces.len());
        for interface in interfaces {
            let to = SocketAddrV4::new(interface.widest_address(), port);
            // At once or not at all: this is Tarantool's thread.
            let sent = match socket.send(&datagram, to.into(), Micros(0)) {
                Ok(()) => Ok(()),
                Err(error) => Err(system_text(&error)),
            };
            pings.push(BroadcastPing { to, sent });
        }
        Ok(Ok(pings))
    }

    /// Runs `act` on the protocol, and sends what it leads to.
    ///
    /// `act` runs under the lock: it must not touch a Lua value, nor call the node.
    pub fn with_swim<T>(&self, act: impl FnOnce(&mut Swim, Now) -> T) -> Result<T, Error> {
        self.shared.run(|state, now| act(&mut state.swim, now))
    }

    /// Looks at the protocol. Cheaper than [`Self::with_swim`]: nothing is sent.
    ///
    /// `look` runs under the lock: it must not touch a Lua value, nor call the node.
    pub fn view<T>(&self, look: impl FnOnce(&Swim) -> T) -> Result<T, Error> {
        self.shared.look(|state| look(&state.swim))
    }

    /// The versions of the member table, read without the lock.
    pub fn progress(&self) -> &Progress {
        self.shared.progress()
    }

    /// The address of [`Progress`] in memory. It is valid as long as this node exists.
    pub fn progress_address(&self) -> usize {
        ptr::from_ref(self.progress()).addr()
    }

    /// Makes a waker for one Lua state: its descriptor turns readable when there is something to see,
    /// until [`Self::close_waker`].
    pub fn open_waker(&self) -> Result<Arc<Waker>, Error> {
        let waker = match Waker::new() {
            Ok(waker) => Arc::new(waker),
            Err(error) => return Err(Error::system("cannot make a waker", &error)),
        };
        self.shared
            .manage(|state| state.lua_states.open(Arc::clone(&waker)));
        Ok(waker)
    }

    /// Forgets the waker of a Lua state that is closed.
    pub fn close_waker(&self, waker: &Arc<Waker>) {
        self.shared.manage(|state| state.lua_states.close(waker));
    }

    /// To be called by the fiber that waits for `waker`: notes that Lua runs, and what its clock,
    /// `fiber.time64()`, shows. Returns what the fiber has to do. Takes the lock once.
    ///
    /// To be called on the thread that Lua runs on. After the first call, the node expects one whenever it
    /// has woken the fiber: see `TX_STALL_TIMEOUT_SECONDS`, [`Config::tx_stall_timeout`].
    pub fn heartbeat(&self, waker: &Arc<Waker>, lua_time: Option<LuaTime>) -> HeartbeatReply {
        // Before looking for news, so that later news wakes the fiber again.
        waker.clear();
        let thread = LuaThread {
            is_tx: threads::is_first(),
            clock: ThreadClock::of_this_thread(),
            id: ThreadId::of_this_thread(),
        };
        let reply = self.shared.run(|state, now| {
            state.heartbeat(waker, thread, lua_time, now);
            state.collect_log_lines(now.monotonic);
            state.reply(waker)
        });
        match reply {
            Ok(reply) => reply,
            // The error is among the lines.
            Err(_failure) => self.shared.manage(|state| state.reply(waker)),
        }
    }

    /// Notes what Lua's clock shows, before a call that depends on it.
    pub fn follow_clock(&self, lua_time: LuaTime) {
        // It fails if the node has failed, and then so does that call.
        let _ = self.shared.run(|state, _| state.clock.follow(lua_time));
    }

    /// Notes that no heartbeat of this Lua state follows, although it runs.
    pub fn end_heartbeats(&self, waker: &Arc<Waker>) {
        let _ = self
            .shared
            .run(|state, now| state.end_heartbeats(waker, now));
    }

    /// Whether a Lua state writes the log: see [`notify::lua_states`].
    pub fn is_log_written(&self) -> bool {
        self.shared.manage(|state| state.lua_states.have_speaker())
    }

    /// Takes the lines that are to be logged, and the number of those that were left out.
    pub fn take_lines(&self) -> (Vec<Line>, u64) {
        self.shared.manage(|state| state.log_queue.take())
    }
}

/// What the fiber `membership.main` has to do after a heartbeat.
#[derive(Debug)]
pub struct HeartbeatReply {
    /// The lines to log, oldest first.
    pub lines: Vec<Line>,
    /// How many lines were left out since the last heartbeat, because there was no room.
    pub left_out: u64,
    /// Whether the Lua state is the one that writes the log. The others get no lines.
    pub writes_log: bool,
    /// Whether the node takes part in a group. If not, the fiber ends.
    pub is_initialized: bool,
}

/// A ping to all hosts of a network.
#[derive(Debug)]
pub struct BroadcastPing {
    /// The address that it was for.
    pub to: SocketAddrV4,
    /// Why it was not sent: the error of the system.
    pub sent: Result<(), String>,
}

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.drop_keeper();
        if let Some(engine) = self.shared.engine().take() {
            engine.stop();
        }
    }
}
