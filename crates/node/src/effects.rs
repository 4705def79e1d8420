//! The system calls that are left to do once the lock is released.

use core::net::SocketAddr;
use std::io;
use std::sync::Arc;

use crate::net::socket::Socket;
use crate::notify::event_loop::EventLoop;
use crate::notify::lua_states::Asked;
use crate::notify::waker::Waker;
use crate::resolve::resolver::{Question, ResolverHandle};
use swim::Transmit;
use swim::time::Micros;

/// What a turn with the state leads to.
#[derive(Default)]
#[must_use = "datagrams are to be sent, and threads to be woken"]
pub struct Effects {
    /// Datagrams, and where they go.
    pub sends: Vec<(SocketAddr, Transmit)>,
    /// The socket to send them with.
    pub socket: Option<Arc<Socket>>,
    /// Names that are to be resolved.
    pub questions: Vec<Question>,
    /// The resolver to ask.
    pub resolver: Option<Arc<ResolverHandle>>,
    /// The wakers of Lua states that have something to see.
    pub lua_wakers: Vec<Arc<Waker>>,
    /// The Lua states that are asked for a heartbeat.
    pub asked: Vec<Asked>,
    /// The waker of the engine, if it would sleep for too long.
    pub engine_waker: Option<Arc<Waker>>,
    /// When something is to be done next.
    pub deadline: Option<Micros>,
}

/// What came of the system calls, as far as it matters.
#[derive(Debug, Default)]
#[must_use = "the protocol is to be told"]
pub struct Outcome {
    /// Datagrams that were not sent, where they were to go, and why not.
    pub sends: Vec<(SocketAddr, Transmit, io::Error)>,
    /// Why Tarantool's thread was not woken.
    pub wake: Option<io::Error>,
    /// The Lua states that were not woken for a heartbeat, as their threads rest in these event loops.
    pub at_rest: Vec<(Arc<Waker>, EventLoop)>,
}

impl Outcome {
    /// Whether nothing failed, and nothing was found.
    pub const fn is_empty(&self) -> bool {
        self.sends.is_empty() && self.wake.is_none() && self.at_rest.is_empty()
    }
}

impl Effects {
    /// Makes the system calls, and returns what came of them. Waits for room in the send buffer until `give_up`.
    pub fn perform(self, give_up: Micros) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(socket) = self.socket {
            for (address, transmit) in self.sends {
                if let Err(error) = socket.send(&transmit.datagram, address, give_up) {
                    outcome.sends.push((address, transmit, error));
                }
            }
        }
        if let Some(resolver) = self.resolver {
            for question in self.questions {
                resolver.ask(question);
            }
        }
        let mut lua_wakers = self.lua_wakers;
        for asked in self.asked {
            match asked.event_loop() {
                Some(event_loop) => outcome.at_rest.push((asked.waker, event_loop)),
                None => lua_wakers.push(asked.waker),
            }
        }
        for waker in &lua_wakers {
            if let Err(error) = waker.wake() {
                outcome.wake = Some(error);
            }
        }
        if let Some(waker) = self.engine_waker {
            // If that fails, the engine wakes by itself, `Driver::SLEEP_MAX` later at most.
            let _ = waker.wake();
        }
        outcome
    }
}
