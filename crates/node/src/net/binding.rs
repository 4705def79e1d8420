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
        let in_the_way = |old: &Arc<Socket>| old.is_in_the_way_of(bound);
        match Socket::open(bound) {
            Ok(socket) => self.serve(engine, socket, &waker),
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && self.shared.lock().socket.as_ref().is_some_and(in_the_way) =>
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
        let old = self.shared.lock().socket.take();
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
        let waker = self.shared.lock().waker.clone();
        waker.map_or_else(
            || {
                let waker = Waker::new();
                waker
                    .map(Arc::new)
                    .map_err(|error| Error::system("cannot make a waker", &error))
            },
            Ok,
        )
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
        let mut state = self.shared.lock();
        state.addresses.serve(Family::of(socket.bound().ip()));
        state.waker = Some(Arc::clone(waker));
        let old = state.socket.replace(Arc::clone(&socket));
        let _children = state.lineage.leave();
        drop(state);
        drop(old);
        let started = Engine::start(&self.shared, &socket, waker);
        *engine = Some(started.map_err(|error| {
            self.shared.lock().socket = None;
            Error::system("cannot start a thread", &error)
        })?);
        Ok(())
    }

    fn cannot_bind(&self, bound: SocketAddr, error: &io::Error) -> Error {
        let reason = system_text(error);
        let failure = Error::Bind {
            port: bound.port(),
            reason,
        };
        self.shared.lock().lines.push(Level::Error, &failure);
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
