//! The machine around the protocol: one lock, one thread, one UDP socket, one resolver, two clocks.
//! Every system call is made in here.

use std::fmt;
use std::os::fd::RawFd;

use crate::swim::Swim;
use crate::swim::report::Level;
use crate::swim::time::{Micros, Now};

/// The node of this process. Created by the first call, without a thread or a socket.
pub fn node() -> &'static Node {
    todo!()
}

/// One member of the group, as far as this machine has a part in it.
///
/// Every method may be called from any thread, and none blocks for longer than it takes to send
/// what came of it.
pub struct Node {}

impl Node {
    /// A node with the name resolver of the system.
    pub fn new() -> Self {
        todo!()
    }

    /// Opens the socket, starts the engine, and takes part as `host:port`.
    ///
    /// When the port or the address to bind has changed, the new socket is opened before the old
    /// one is closed: nothing is lost when that fails.
    pub fn init(&self, host: &str, port: u16, bind: Option<&str>) -> Result<(), Failure> {
        let _ = (host, port, bind);
        todo!()
    }

    /// Tells the group good-bye: the kernel has the datagrams when this returns. Then stops the
    /// engine and closes the socket. False when there was nothing to leave.
    pub fn leave(&self) -> Result<bool, Failure> {
        todo!()
    }

    /// Runs `act` on the protocol and sends what came of it.
    ///
    /// `act` runs under the lock: it must not touch a Lua value, nor call the node.
    pub fn with_swim<T>(&self, act: impl FnOnce(&mut Swim, Now) -> T) -> Result<T, Failure> {
        let _ = act;
        todo!()
    }

    /// Looks at the protocol. Cheaper than [`Self::with_swim`]: no clock is read, nothing is sent.
    ///
    /// `look` runs under the lock: it must not touch a Lua value, nor call the node.
    pub fn view<T>(&self, look: impl FnOnce(&Swim) -> T) -> Result<T, Failure> {
        let _ = look;
        todo!()
    }

    /// [`Swim::version`], read without the lock. `u64::MAX` once the engine has failed.
    pub fn version(&self) -> u64 {
        todo!()
    }

    /// Makes a bell for one Lua state: a descriptor that turns readable when there is something to
    /// see. It is the node's: close it with [`Self::close_bell`] only.
    pub fn open_bell(&self) -> Result<RawFd, Failure> {
        todo!()
    }

    /// Makes the bell quiet until it is rung again. To be called *before* looking what is new.
    pub fn hush_bell(&self, bell: RawFd) {
        let _ = bell;
    }

    /// Closes a bell whose Lua state goes away.
    pub fn close_bell(&self, bell: RawFd) {
        let _ = bell;
    }

    /// Tells the node that Lua is running, and what its clock, `fiber.time64()`, shows.
    pub fn beat(&self, lua_time: Micros) {
        let _ = lua_time;
    }

    /// Takes the lines that are to be logged, and the number of those that found no room.
    pub fn take_lines(&self) -> (Vec<Line>, u64) {
        todo!()
    }
}

/// A line for the log, to be written by Lua.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How loudly.
    pub level: Level,
    /// What it says.
    pub text: String,
}

/// Why a call failed. `Display` is the text for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}
