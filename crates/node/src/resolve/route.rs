//! Where a datagram goes.

use core::net::SocketAddr;

use swim::Transmit;
use swim::identity::uri::Uri;
use swim::security::acquaintance::Acquaintance;

/// A function that tells how well a member is known.
pub type HowKnown<'a> = &'a dyn Fn(&Uri) -> Acquaintance;

/// Where a datagram goes.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Route {
    /// To this address.
    To(SocketAddr, Transmit),
    /// To all of these addresses: it is unknown which of them the recipient has.
    ToAll(Vec<SocketAddr>, Transmit),
    /// Nowhere yet: the name of the recipient is being resolved.
    Waits,
    /// Nowhere: the recipient has no address that the socket could reach.
    Nowhere(Uri),
}
