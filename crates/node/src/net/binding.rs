//! Which address the socket is bound to, and how it moves to another without a gap.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::io;
use std::sync::Arc;

use crate::Node;
use crate::engine::Engine;
use crate::error::{Error, system_text};
use crate::net::socket::{self, Family, Socket};
use crate::notify::waker::Waker;
use swim::identity::uri::Uri;
use swim::log_event::Level;

impl Node {
    /// Listens at `bound` from now on. If that fails, all is as it was.
    pub(crate) fn rebind(
        &self,
        engine: &mut Option<Engine>,
        bound: SocketAddr,
    ) -> Result<(), Error> {
        let waker = self.waker()?;
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

    /// Goes from one address to all of them, or back, at the same port: the system does not let the
    /// two have it at a time, even for a moment. When it refuses the new one, the old one is opened
    /// again.
    fn rebind_own_port(
        &self,
        engine: &mut Option<Engine>,
        bound: SocketAddr,
        waker: &Arc<Waker>,
    ) -> Result<(), Error> {
        if let Some(engine) = engine.take() {
            engine.stop();
        }
        let old = self.shared.manage(|state| state.socket.take());
        let before = old.as_ref().map(|old| old.bound());
        old.into_iter().for_each(socket::close);
        self.send_away_children();
        let failure = match Socket::open(bound) {
            Ok(socket) => return self.serve(engine, socket, waker),
            Err(error) => self.cannot_bind(bound, &error),
        };
        if let Some(before) = before {
            let old = Socket::open(before).map_err(|error| self.cannot_bind(before, &error))?;
            self.serve(engine, old, waker)?;
        }
        Err(failure)
    }

    /// What wakes the engine, made when it is first wanted.
    pub(crate) fn waker(&self) -> Result<Arc<Waker>, Error> {
        if let Some(waker) = self.shared.manage(|state| state.waker.clone()) {
            return Ok(waker);
        }
        match Waker::new() {
            Ok(waker) => Ok(Arc::new(waker)),
            Err(error) => Err(Error::system("cannot make a waker", &error)),
        }
    }

    /// Goes on at `socket`, whatever it was that an engine served before.
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
            state.addresses.serve(Family::of(socket.bound().ip()));
            state.waker = Some(Arc::clone(waker));
            let old = state.socket.replace(Arc::clone(&socket));
            (old, state.lineage.leave())
        });
        // Closed here, where the lock is not held.
        drop(replaced);
        match Engine::start(&self.shared, &socket, waker) {
            Ok(started) => {
                *engine = Some(started);
                Ok(())
            }
            Err(error) => {
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
        let reason = system_text(error);
        let failure = Error::Bind {
            port: bound.port(),
            reason,
        };
        self.shared
            .manage(|state| state.lines.push(Level::Error, &failure));
        failure
    }
}

/// The address to bind: `bind`, or all of the kind that the host is. A name is looked up as the
/// kind that is bound.
pub(crate) fn address_to_bind(uri: &Uri, bind: Option<&str>) -> Result<IpAddr, Error> {
    let literal = uri
        .host()
        .parse()
        .ok()
        .map(Family::of)
        .or(uri.is_ipv6().then_some(Family::V6));
    let Some(bind) = bind else {
        return Ok(match literal {
            Some(Family::V6) => Ipv6Addr::UNSPECIFIED.into(),
            Some(Family::V4) | None => Ipv4Addr::UNSPECIFIED.into(),
        });
    };
    let bare = bind
        .strip_prefix('[')
        .and_then(|bind| bind.strip_suffix(']'))
        .unwrap_or(bind);
    let address: Option<IpAddr> = bare.parse().ok();
    let fits = |address: &IpAddr| literal.is_none_or(|kind| kind == Family::of(*address));
    address
        .filter(fits)
        .ok_or_else(|| Error::BadBind(bind.into()))
}
