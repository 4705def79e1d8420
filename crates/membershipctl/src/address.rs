//! Addresses: of an instance, and of this machine on the way there.

use core::net::{IpAddr, SocketAddr};
use std::io;
use std::net::UdpSocket;

use node::net::socket::Socket;
use node::resolve::getaddrinfo;
use node::resolve::resolver::Families;
use socket2::SockRef;
use swim::identity::uri::Uri;

use crate::error::QueryError;

/// Resolves a name as instances do: to addresses of IPv4, or of IPv6 if there are none. All are of one
/// family. Returns the first one, and all of them.
pub fn resolve(node: &Uri) -> Result<(SocketAddr, Vec<SocketAddr>), QueryError> {
    let families = if node.is_ipv6() {
        Families::V6
    } else {
        Families::V4First
    };
    let mut found = getaddrinfo::resolve(node.host(), families).map_err(QueryError::Unresolved)?;
    for address in &mut found {
        address.set_port(node.port());
    }
    match found.first() {
        Some(first) => Ok((*first, found)),
        None => Err(QueryError::Unresolved("no address".into())),
    }
}

/// The URI by which an answer from `node` reaches the socket.
pub fn local_uri(socket: &Socket, anywhere: IpAddr, node: SocketAddr) -> io::Result<Uri> {
    // Connecting a socket tells which local address is on the way there. Nothing is sent.
    let route = UdpSocket::bind((anywhere, 0))?;
    route.connect(node)?;
    let host = match route.local_addr()?.ip() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let port = match SockRef::from(socket).local_addr()?.as_socket() {
        Some(address) => address.port(),
        None => 0,
    };
    match Uri::new(&host, port) {
        Ok(uri) => Ok(uri),
        Err(_) => Err(io::Error::other("this machine has no address")),
    }
}
