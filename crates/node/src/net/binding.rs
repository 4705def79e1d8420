//! The address that the socket is bound to, and its change without a gap.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::io;
use std::sync::Arc;

use nix::net::if_::if_nametoindex;

use crate::Node;
use crate::engine::Engine;
use crate::error::{Error, system_text};
use crate::net::family::{Family, Listen};
use crate::net::socket::{self, Socket};
use crate::notify::waker::Waker;
use swim::identity::uri::Uri;
use swim::log_event::Level;

impl Node {
    /// Moves the socket, to listen there. If that fails, nothing has changed.
    pub(crate) fn rebind(&self, engine: &mut Option<Engine>, listen: Listen) -> Result<(), Error> {
        let waker = self.engine_waker()?;
        match self.open(listen) {
            Ok(socket) => self.serve(engine, socket, &waker),
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && self.own_socket_is_in_the_way_of(listen) =>
            {
                self.rebind_own_port(engine, listen, &waker)
            }
            Err(error) => Err(self.cannot_bind(listen, &error)),
        }
    }

    /// Moves the socket from one address to all addresses, or back, at the same port. The system does not
    /// let both have the port at a time, so the old one is closed first. If the system then refuses the new
    /// one, opens the old one again.
    fn rebind_own_port(
        &self,
        engine: &mut Option<Engine>,
        listen: Listen,
        waker: &Arc<Waker>,
    ) -> Result<(), Error> {
        if let Some(engine) = engine.take() {
            engine.stop();
        }
        let mut before = None;
        if let Some(old) = self.shared.manage(|state| state.socket.take()) {
            before = Some(old.listen());
            socket::close(old);
        }
        // A child of a fork has the old socket as well, and with it the port.
        self.wait_for_children();
        let failure = match self.open(listen) {
            Ok(socket) => return self.serve(engine, socket, waker),
            Err(error) => self.cannot_bind(listen, &error),
        };
        if let Some(before) = before {
            match self.open(before) {
                Ok(old) => self.serve(engine, old, waker)?,
                Err(error) => return Err(self.cannot_bind(before, &error)),
            }
        }
        Err(failure)
    }

    /// Opens a socket. If it is to listen anywhere and another process has the port in IPv6, does without that, as
    /// membership 2.x does.
    fn open(&self, listen: Listen) -> io::Result<Socket> {
        match (Socket::open(listen), listen) {
            (Err(error), Listen::Anywhere(port))
                if error.kind() == io::ErrorKind::AddrInUse
                    && !self.own_socket_is_in_the_way_of(listen) =>
            {
                let socket = Socket::open_anywhere_in_ipv4(port)?;
                let line =
                    format!("Listening on IPv4 only: another process has port {port} of IPv6");
                self.shared
                    .manage(|state| state.log_queue.push(Level::Warn, line));
                Ok(socket)
            }
            (opened, _) => opened,
        }
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
            state.addresses.serve(socket.reach());
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

    fn own_socket_is_in_the_way_of(&self, listen: Listen) -> bool {
        self.shared.manage(|state| match &state.socket {
            Some(own) => own.is_in_the_way_of(listen),
            None => false,
        })
    }

    fn cannot_bind(&self, listen: Listen, error: &io::Error) -> Error {
        let failure = Error::Bind {
            port: listen.port(),
            reason: system_text(error),
        };
        self.shared
            .manage(|state| state.log_queue.push(Level::Error, &failure));
        failure
    }
}

/// Returns where to listen: at `bind`, or at all addresses of the host's family. A name may have addresses of
/// both families, now or later.
pub(crate) fn where_to_listen(uri: &Uri, bind: Option<&str>) -> Result<Listen, Error> {
    let (family, port) = (family_of_host(uri), uri.port());
    let Some(bind) = bind else {
        return Ok(match family {
            Some(Family::V6) => Listen::At((Ipv6Addr::UNSPECIFIED, port).into()),
            Some(Family::V4) => Listen::At((Ipv4Addr::UNSPECIFIED, port).into()),
            None => Listen::Anywhere(port),
        });
    };
    let bare = without_brackets(bind);
    if let Some((address, zone)) = bare.split_once('%')
        && let Ok(address) = address.parse()
        && family != Some(Family::V4)
    {
        let Some(zone) = interface_index(zone) else {
            return Err(Error::BadZone(bind.into()));
        };
        return Ok(Listen::At(SocketAddrV6::new(address, port, 0, zone).into()));
    }
    match bare.parse() {
        Ok(address) if family.is_none_or(|family| family == Family::of(address)) => {
            Ok(Listen::At(SocketAddr::new(address, port)))
        }
        _ => Err(Error::BadBind(bind.into())),
    }
}

/// The index of a network interface, which has a name or is given as a number.
fn interface_index(zone: &str) -> Option<u32> {
    if let Ok(index) = zone.parse() {
        return Some(index);
    }
    if_nametoindex(zone).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_served_in_both_families_and_an_address_in_its_own() {
        let listen = |host: &str, bind| where_to_listen(&Uri::new(host, 1).unwrap(), bind);
        let at = |text: &str| Ok(Listen::At(text.parse().unwrap()));
        assert_eq!(listen("a", None), Ok(Listen::Anywhere(1)));
        assert_eq!(listen("10.0.0.1", None), at("0.0.0.0:1"));
        assert_eq!(listen("[fd00::1]", None), at("[::]:1"));
        assert_eq!(listen("a", Some("127.0.0.1")), at("127.0.0.1:1"));
        assert_eq!(listen("a", Some("[::1]")), at("[::1]:1"));
        for (host, bind) in [
            ("10.0.0.1", "::1"),
            ("10.0.0.1", "fe80::1%1"),
            ("[fd00::1]", "127.0.0.1"),
            ("a", "b"),
            ("a", "127.0.0.1%1"),
        ] {
            assert_eq!(listen(host, Some(bind)), Err(Error::BadBind(bind.into())));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_address_to_bind_may_have_a_zone() {
        let listen = |bind| where_to_listen(&Uri::new("a", 1).unwrap(), Some(bind));
        // The loopback interface is the first.
        for bind in ["fe80::1%lo", "[fe80::1%lo]", "fe80::1%1"] {
            assert_eq!(
                listen(bind),
                Ok(Listen::At("[fe80::1%1]:1".parse().unwrap()))
            );
        }
        let missing = "fe80::1%nowhere";
        assert_eq!(listen(missing), Err(Error::BadZone(missing.into())));
    }
}
