//! What is left to do once the lock is released: the system calls.

use core::net::SocketAddr;
use std::io;
use std::sync::Arc;

use super::doorbell::Bell;
use super::resolver::{Desk, Question};
use super::socket::Socket;
use crate::swim::Transmit;
use crate::swim::time::Micros;
use crate::swim::uri::Uri;

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

impl Chores {
    /// Does them. Waits for room in the send buffer until `give_up` at most. Returns what could not
    /// be sent: to whom, and why.
    pub fn run(self, give_up: Micros) -> Vec<(Uri, io::Error)> {
        let mut unsent = Vec::new();
        if let Some(socket) = self.socket {
            for (address, Transmit { to, datagram, .. }) in self.sends {
                if let Err(error) = socket.send(&datagram, address, give_up) {
                    unsent.push((to, error));
                }
            }
        }
        if let Some(desk) = self.desk {
            self.questions
                .into_iter()
                .for_each(|question| desk.ask(question));
        }
        self.bells.iter().for_each(|bell| bell.ring());
        self.waker.iter().for_each(|waker| waker.ring());
        unsent
    }
}
