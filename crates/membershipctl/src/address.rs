//! Addresses: of an instance, and of this machine on the way there.

use core::net::{IpAddr, SocketAddr};
use std::io;
use std::net::UdpSocket;

use node::net::socket::{Family, Socket};
use node::resolve::getaddrinfo::getaddrinfo;
use socket2::SockRef;
use swim::identity::uri::Uri;

use crate::error::QueryError;

/// Resolves a name as instances do: to IPv4, unless it is a literal address of IPv6. A name that has
/// no other address may have one of IPv6.
pub fn resolve(node: &Uri) -> Result<SocketAddr, QueryError> {
    let found = if node.is_ipv6() {
        getaddrinfo(node.host(), Family::V6)
    } else {
        let found = getaddrinfo(node.host(), Family::V4);
        found.or_else(|why| getaddrinfo(node.host(), Family::V6).map_err(|_| why))
    };
    let mut address = found.map_err(QueryError::Unresolved)?;
    address.set_port(node.port());
    Ok(address)
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
