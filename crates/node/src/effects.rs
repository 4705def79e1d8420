//! What is left to do once the lock is released: the system calls.

use core::net::SocketAddr;
use std::io;
use std::sync::Arc;

use crate::net::socket::Socket;
use crate::notify::waker::Waker;
use crate::resolve::resolver::{Question, ResolverHandle};
use swim::Transmit;
use swim::identity::uri::Uri;
use swim::time::Micros;

/// What came of a turn at the protocol.
#[derive(Default)]
#[must_use = "datagrams are to be sent, and sleepers to be woken"]
pub struct Effects {
    /// Datagrams, and where they go.
    pub sends: Vec<(SocketAddr, Transmit)>,
    /// From where.
    pub socket: Option<Arc<Socket>>,
    /// Names that are to be resolved.
    pub questions: Vec<Question>,
    /// By whom.
    pub desk: Option<Arc<ResolverHandle>>,
    /// Lua is to look.
    pub wakers: Vec<Arc<Waker>>,
    /// The engine sleeps too long.
    pub waker: Option<Arc<Waker>>,
    /// When something is to be done next.
    pub deadline: Option<Micros>,
}

/// What the system refused to do.
#[derive(Debug, Default)]
#[must_use = "those who wait are to be told"]
pub struct Refused {
    /// Datagrams that were not sent: to whom, and why not.
    pub sends: Vec<(Uri, io::Error)>,
    /// Why Tarantool's thread was not woken.
    pub waker: Option<io::Error>,
}

impl Refused {
    /// Whether there is nothing.
    pub const fn is_empty(&self) -> bool {
        self.sends.is_empty() && self.waker.is_none()
    }
}

impl Effects {
    /// Does them, and returns what could not be done. Waits for room in the send buffer until `give_up`
    /// at most.
    pub fn perform(self, give_up: Micros) -> Refused {
        let mut refused = Refused::default();
        if let Some(socket) = self.socket {
            for (address, Transmit { to, datagram, .. }) in self.sends {
                if let Err(error) = socket.send(&datagram, address, give_up) {
                    refused.sends.push((to, error));
                }
            }
        }
        if let Some(desk) = self.desk {
            self.questions
                .into_iter()
                .for_each(|question| desk.ask(question));
        }
        for waker in &self.wakers {
            if let Err(error) = waker.ring() {
                refused.waker = Some(error);
            }
        }
        if let Some(waker) = self.waker {
            // The engine sleeps for `Driver::SLEEP_MAX` at most: it is late, and no more than that.
            let _ = waker.ring();
        }
        refused
    }
}
