//! What is left to do once the lock is released: the system calls.

use core::net::SocketAddr;
use std::io;
use std::sync::Arc;

use crate::net::socket::Socket;
use crate::notify::waker::Bell;
use crate::resolve::resolver::{Desk, Question};
use swim::Transmit;
use swim::identity::uri::Uri;
use swim::time::Micros;

/// What came of a turn at the protocol.
#[derive(Default)]
#[must_use = "datagrams are to be sent, and sleepers to be woken"]
pub struct Chores {
    /// Datagrams, and where they go.
    pub sends: Vec<(SocketAddr, Transmit)>,
    /// From where.
    pub socket: Option<Arc<Socket>>,
    /// Names that are to be resolved.
    pub questions: Vec<Question>,
    /// By whom.
    pub desk: Option<Arc<Desk>>,
    /// Lua is to look.
    pub bells: Vec<Arc<Bell>>,
    /// The engine sleeps too long.
    pub waker: Option<Arc<Bell>>,
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
    pub bell: Option<io::Error>,
}

impl Refused {
    /// Whether there is nothing.
    pub const fn is_empty(&self) -> bool {
        self.sends.is_empty() && self.bell.is_none()
    }
}

impl Chores {
    /// Does them, and returns what could not be done. Waits for room in the send buffer until `give_up`
    /// at most.
    pub fn run(self, give_up: Micros) -> Refused {
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
        for bell in &self.bells {
            if let Err(error) = bell.ring() {
                refused.bell = Some(error);
            }
        }
        if let Some(waker) = self.waker {
            // The engine sleeps for `Driver::SLEEP_MAX` at most: it is late, and no more than that.
            let _ = waker.ring();
        }
        refused
    }
}
