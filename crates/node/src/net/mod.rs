//! The network: the socket and what the kernel says about it.
//!
//! | file | subject |
//! |---|---|
//! | [`socket`] | the UDP socket, and the datagrams that it has received |
//! | [`family`] | IPv4 and IPv6 |
//! | `binding` | the address of the socket, and its change |
//! | `icmp` | ICMP errors that come back for datagrams |
//! | `ingress_limit` | how much may be received, and from which senders |
//! | [`poll`] | waiting for descriptors |
//! | [`interfaces`] | the networks of this machine |

pub mod binding;
pub mod family;
pub mod icmp;
pub mod ingress_limit;
pub mod interfaces;
pub mod poll;
pub mod socket;
