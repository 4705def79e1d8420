//! The machine around the protocol: one lock, one thread, one UDP socket, one resolver, two clocks.
//! Every system call of the crate is made in here.
//!
//! | file | part |
//! |---|---|
//! | `shared`, `state`, `effects` | the one door: act under the lock, then send without it |
//! | `engine`, `threads` | the thread: waits for datagrams and deadlines |
//! | [`net`] | the socket, and what the kernel says |
//! | [`resolve`] | from names to addresses, and back |
//! | [`notify`] | waking Lua, its log lines, and whether it runs at all |
//! | [`observe`] | what operators are shown |
//! | [`clock`], [`entropy`] | time and chance |
//! | `fork`, `lineage` | how to survive `box.cfg{background = true}`, and which process goes on with the socket |

pub mod clock;
mod effects;
mod engine;
pub mod entropy;
mod error;
mod fork;
mod lineage;
pub mod net;
pub mod notify;
pub mod observe;
pub mod resolve;
mod shared;
mod state;
mod threads;

use core::net::{SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::ptr;
use std::sync::{Arc, OnceLock};

use clock::LuaTime;
pub use error::Error;
use error::system_text;
use net::binding::address_to_bind;
use net::interfaces::{Interface, interfaces};
pub use net::socket::Family;
pub use notify::log_queue::{Line, LogQueue};
pub use notify::waker::Waker;
use shared::{Progress, Shared};
use state::State;
use swim::config::Config;
use swim::identity::uri::{Uri, UriError};
use swim::time::{Micros, Now};
use swim::{Seed, Swim};

static NODE: OnceLock<Node> = OnceLock::new();

/// The node of this process. Created by the first call, without a thread or a socket.
pub fn node() -> &'static Node {
    NODE.get_or_init(Node::new)
}

/// One member of the group, as far as this machine has a part in it.
///
/// Every method may be called from any thread, and none blocks for longer than it takes to send
/// what came of it.
pub struct Node {
    shared: Arc<Shared>,
}

impl Node {
    /// How long [`Self::leave`] may wait for room in the send buffer. It is called from shutdown
    /// triggers, which have three seconds together.
    const GOODBYE_TIME_MAX: Duration = Duration::from_millis(200);

    /// A node with the name resolver of the system.
    pub fn new() -> Self {
        Self::with_lookup(resolve::getaddrinfo::getaddrinfo)
    }

    /// A node with a name resolver of its own: it returns an address of the kind it is asked for,
    /// whose port means nothing, or says why not. It may take as long as it likes.
    pub fn with_lookup(
        lookup: impl Fn(&str, Family) -> Result<SocketAddr, String> + Send + Sync + 'static,
    ) -> Self {
        let seed = entropy::seed();
        let failure = seed.as_ref().err().cloned();
        // With a failure, nothing is done by chance or otherwise.
        let swim = Swim::new(Config::default(), seed.unwrap_or(Seed([0; 32])));
        let shared = Shared::new(State::new(swim, Arc::new(lookup)));
        failure.into_iter().for_each(|failure| shared.fail(failure));
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Opens the socket, starts the engine, and takes part as `host:port`.
    ///
    /// When the port or the address to bind has changed, the new socket is opened before the old
    /// one is closed, unless the old one is in its way: nothing is lost when that fails.
    pub fn init(&self, host: &str, port: u16, bind: Option<&str>) -> Result<(), Error> {
        let uri = Uri::new(host, port).map_err(|wrong| match wrong {
            UriError::Host => Error::BadHost(host.into()),
            UriError::Port => Error::BadPort(port),
        })?;
        let bound = SocketAddr::new(address_to_bind(&uri, bind)?, port);
        if NODE.get().is_some_and(|node| ptr::eq(node, self)) {
            fork::register();
        }
        let mut engine = self.shared.engine();
        let serves = |state: &mut State, _: Now| state.serves(bound, &uri);
        if !self.shared.run(serves)? {
            self.rebind(&mut engine, bound)?;
        }
        self.with_swim(|swim, now| swim.init(uri, now))
    }

    /// Tells the group good-bye: the kernel has the datagrams when this returns. Then stops the
    /// engine and closes the socket. False when there was nothing to leave.
    pub fn leave(&self) -> Result<bool, Error> {
        let mut engine = self.shared.engine();
        let goodbye = |state: &mut State, _: Now| state.say_goodbye();
        let give_up = clock::monotonic() + Self::GOODBYE_TIME_MAX;
        let left = self.shared.run_until(give_up, goodbye)?;
        if let Some(engine) = engine.take() {
            engine.stop();
        }
        let close = |state: &mut State, _: Now| {
            state.engine_watch.dismiss();
            (state.socket.take(), state.close_resolver())
        };
        drop(self.shared.run(close)?);
        self.send_away_children();
        Ok(left)
    }

    /// Waits until no child has the socket any more that this process gives up.
    fn send_away_children(&self) {
        let farewell = self.shared.manage(|state| state.lineage.leave());
        if let Some(farewell) = farewell {
            farewell.wait();
        }
    }

    /// Asks whoever has `port` in the networks of this machine to ping me, so that we get to know one
    /// another. Returns for each address that was tried what came of it; IPv4 only. The inner error
    /// is why the system does not tell which networks there are.
    pub fn broadcast(&self, port: u16) -> Result<Result<Vec<Greeting>, String>, Error> {
        let greet = |state: &mut State, now: Now| {
            let greeting = state
                .swim
                .broadcast_ping(now)
                .ok_or(Error::NotInitialized)?;
            let ours = state.socket.clone().filter(|_| !state.lineage.is_heir());
            let socket = ours.ok_or(Error::NotInitialized)?;
            Ok((greeting, socket))
        };
        let (datagram, socket) = self.shared.run(greet)??;
        let greet = |interface: Interface| {
            let to = SocketAddrV4::new(interface.everybody(), port);
            let sent = socket.send(&datagram, to.into(), Micros(0));
            Greeting {
                to,
                sent: sent.map_err(|error| system_text(&error)),
            }
        };
        Ok(interfaces().map(|all| all.into_iter().map(greet).collect()))
    }

    /// Runs `act` on the protocol and sends what came of it.
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

    /// Whether something for `uri` has not been sent yet, because its name is being resolved.
    ///
    /// A probe that is not answered in time was not even sent then.
    pub fn is_resolving(&self, uri: &str) -> bool {
        self.shared
            .manage(|state| state.addresses.is_resolving(uri))
    }

    /// How far the member table has got, read without the lock.
    pub fn progress(&self) -> &Progress {
        self.shared.progress()
    }

    /// Where [`Progress`] is in memory, as long as this node lives.
    pub fn progress_address(&self) -> usize {
        std::ptr::from_ref(self.progress()).addr()
    }

    /// Makes a waker for one Lua state: its descriptor turns readable when there is something to see,
    /// until [`Self::close_waker`].
    pub fn open_waker(&self) -> Result<Arc<Waker>, Error> {
        let waker = match Waker::new() {
            Ok(waker) => Arc::new(waker),
            Err(error) => return Err(Error::system("cannot make a waker", &error)),
        };
        self.shared
            .manage(|state| state.wakers.push(Arc::clone(&waker)));
        Ok(waker)
    }

    /// Forgets a waker whose Lua state goes away.
    pub fn close_waker(&self, waker: &Arc<Waker>) {
        self.shared
            .manage(|state| state.wakers.retain(|known| !Arc::ptr_eq(known, waker)));
    }

    /// A turn of the fiber that waits for `waker`: tells the node that Lua runs, and what its clock,
    /// `fiber.time64()`, shows; and returns what that fiber has to see to. Takes the lock once.
    ///
    /// To be called on the thread that Lua runs on. From the first call on, the node expects one
    /// whenever it has woken the fiber: see `TX_STALL_TIMEOUT_SECONDS`, [`Config::tx_stall_timeout`].
    pub fn heartbeat(&self, waker: &Waker, lua_time: Option<LuaTime>) -> Turn {
        // Quiet before looking: what happens in between wakes the fiber again.
        waker.hush();
        let turn = self.shared.run(|state, now| {
            state.heartbeat(lua_time, now);
            state.collect_log_lines(now.monotonic);
            let is_initialized = state.swim.myself().is_some();
            let (lines, left_out) = state.lines.take();
            Turn {
                lines,
                left_out,
                is_initialized,
            }
        });
        turn.unwrap_or_else(|_failed| {
            // The failure itself is among the lines.
            let (lines, left_out) = self.take_lines();
            Turn {
                lines,
                left_out,
                is_initialized: false,
            }
        })
    }

    /// Tells the node what Lua's clock shows, before something that depends on it.
    pub fn follow_clock(&self, lua_time: LuaTime) {
        let _ = self.shared.run(|state, _| state.clock.follow(lua_time));
    }

    /// Tells the node that there will be no more beats, although Lua is running.
    pub fn end_heartbeats(&self) {
        let _ = self.shared.run(State::end_heartbeats);
    }

    /// Takes the lines that are to be logged, and the number of those that found no room.
    pub fn take_lines(&self) -> (Vec<Line>, u64) {
        self.shared.manage(|state| state.lines.take())
    }
}

/// What the fiber `membership.main` has to see to in one turn.
#[derive(Debug)]
pub struct Turn {
    /// What it is to log, oldest first.
    pub lines: Vec<Line>,
    /// How many lines found no room since the last turn.
    pub left_out: u64,
    /// Whether the node takes part in a group: if not, the fiber ends.
    pub is_initialized: bool,
}

/// A datagram for everybody in a network.
#[derive(Debug)]
pub struct Greeting {
    /// Where it was to go.
    pub to: SocketAddrV4,
    /// Why it was not sent, in the words of the system.
    pub sent: Result<(), String>,
}

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(engine) = self.shared.engine().take() {
            engine.stop();
        }
    }
}
