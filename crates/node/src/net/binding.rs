//! The address that the socket is bound to, and its change without a gap.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::io;
use std::sync::Arc;

use crate::Node;
use crate::engine::Engine;
use crate::error::{Error, system_text};
use crate::net::family::Family;
use crate::net::socket::{self, Socket};
use crate::notify::waker::Waker;
use swim::identity::uri::Uri;
use swim::log_event::Level;

impl Node {
    /// Moves the socket to `bound`. If that fails, nothing has changed.
    pub(crate) fn rebind(
        &self,
        engine: &mut Option<Engine>,
        bound: SocketAddr,
    ) -> Result<(), Error> {
        let waker = self.engine_waker()?;
        match Socket::open(bound) {
            Ok(socket) => self.serve(engine, socket, &waker),
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && self.own_socket_is_in_the_way_of(bound) =>
            {
                self.rebind_own_port(engine, bound, &waker)
            }
            Err(error) => Err(self.cannot_bind(bound, &error)),
        }
    }

    /// Moves the socket from one address to all addresses, or back, at the same port. The system does not
    /// let both have the port at a time, so the old one is closed first. If the system then refuses the new
    /// one, opens the old one again.
    fn rebind_own_port(
        &self,
        engine: &mut Option<Engine>,
        bound: SocketAddr,
        waker: &Arc<Waker>,
    ) -> Result<(), Error> {
        if let Some(engine) = engine.take() {
            engine.stop();
        }
        let mut before = None;
        if let Some(old) = self.shared.manage(|state| state.socket.take()) {
            before = Some(old.bound());
            socket::close(old);
        }
        // A child of a fork has the old socket as well, and with it the port.
        self.wait_for_children();
        let failure = match Socket::open(bound) {
            Ok(socket) => return self.serve(engine, socket, waker),
            Err(error) => self.cannot_bind(bound, &error),
        };
        if let Some(before) = before {
            match Socket::open(before) {
                Ok(old) => self.serve(engine, old, waker)?,
                Err(error) => return Err(self.cannot_bind(before, &error)),
            }
        }
        Err(failure)
    }

    /// Returns what wakes the engine: made on first use, and kept once an engine has started.
    pub(crate) fn engine_waker(&self) -> Result<Arc<Waker>, Error> {
        if let Some(waker) = self.shared.manage(|state| state.engine_waker.clone()) {
            return Ok(waker);
        }
        match Waker::new() {
            Ok(waker) => Ok(Arc::new(waker)),
            Err(error) => Err(Error::system("cannot make a waker", &error)),
        }
    }

    /// Starts an engine for `socket`, in place of the one that runs.
    fn serve(
        &self,
        engine: &mut Option<Engine>,
        socket: Socket,
        waker: &Arc<Waker>,
    ) -> Result<(), Error> {
        let socket = Arc::new(socket);
        if let Some(engine) = engine.take() {
            engine.stop();
        }
        let replaced = self.shared.manage(|state| {
            state
                .addresses
                .serve(Family::of(socket.bound().ip()).into());
            state.engine_waker = Some(Arc::clone(waker));
            let old = state.socket.replace(Arc::clone(&socket));
            (old, state.handover.dismiss_children())
        });
        // Closes the old socket, where the lock is not held.
        drop(replaced);
        match Engine::start(&self.shared, &socket, waker) {
            Ok(started) => {
                *engine = Some(started);
                Ok(())
            }
            Err(error) => {
                // Nothing would read from it, and peers would wait for answers instead of being refused.
                drop(self.shared.manage(|state| state.socket.take()));
                Err(Error::system("cannot start a thread", &error))
            }
        }
    }

    fn own_socket_is_in_the_way_of(&self, bound: SocketAddr) -> bool {
        self.shared.manage(|state| match &state.socket {
            Some(own) => own.is_in_the_way_of(bound),
            None => false,
        })
    }

    fn cannot_bind(&self, bound: SocketAddr, error: &io::Error) -> Error {
        let failure = Error::Bind {
            port: bound.port(),
            reason: system_text(error),
        };
        self.shared
            .manage(|state| state.log_queue.push(Level::Error, &failure));
        failure
    }
}

/// Returns the address to bind: `bind`, or all addresses of the host's family. If the host is a name, the
/// family of the socket decides as which it is looked up.
pub(crate) fn address_to_bind(uri: &Uri, bind: Option<&str>) -> Result<IpAddr, Error> {
    let family = family_of_host(uri);
    let Some(bind) = bind else {
        return Ok(match family {
            Some(Family::V6) => Ipv6Addr::UNSPECIFIED.into(),
            Some(Family::V4) | None => Ipv4Addr::UNSPECIFIED.into(),
        });
    };
    match without_brackets(bind).parse() {
        Ok(address) if family.is_none_or(|family| family == Family::of(address)) => Ok(address),
        _ => Err(Error::BadBind(bind.into())),
    }
}

/// The family of a host that is an address; `None` if it is a name.
fn family_of_host(uri: &Uri) -> Option<Family> {
    if uri.is_ipv6() {
        return Some(Family::V6);
    }
    match uri.host().parse() {
        Ok(address) => Some(Family::of(address)),
        Err(_) => None,
    }
}

fn without_brackets(bind: &str) -> &str {
    if let Some(rest) = bind.strip_prefix('[')
        && let Some(bare) = rest.strip_suffix(']')
    {
        return bare;
    }
    bind
}
