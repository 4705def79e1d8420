//! IPv4 and IPv6: which of them an address belongs to, and which a socket reaches.

use core::net::{IpAddr, SocketAddr, SocketAddrV6};

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `address`.
    pub const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }
}

/// The families of addresses that a socket reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// IPv4 and IPv6.
    Both,
}

impl Reach {
    /// Whether datagrams can be sent to `address`.
    pub const fn includes(self, address: IpAddr) -> bool {
        match self {
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
            Self::Both => true,
        }
    }

    /// Whether there is a family that both include.
    pub fn overlaps(self, other: Self) -> bool {
        self == other || self == Self::Both || other == Self::Both
    }
}

/// Where a socket listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// At this address, or, if it is unspecified, at all addresses of its family.
    At(SocketAddr),
    /// At all addresses with this port: those of IPv4, and those of IPv6 if the system has any.
    Anywhere(u16),
}

impl Listen {
    /// The port.
    pub const fn port(self) -> u16 {
        match self {
            Self::At(address) => address.port(),
            Self::Anywhere(port) => port,
        }
    }

    /// What the socket is to reach.
    pub fn reach(self) -> Reach {
        match self {
            Self::At(address) => Family::of(address.ip()).into(),
            Self::Anywhere(_) => Reach::Both,
        }
    }

    /// Whether it is more than one address.
    pub const fn is_unspecified(self) -> bool {
        match self {
            Self::At(address) => address.ip().is_unspecified(),
            Self::Anywhere(_) => true,
        }
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self::At(address)
    }
}

impl From<Family> for Reach {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self::V4,
            Family::V6 => Self::V6,
        }
    }
}

/// The form of an address that a socket of both families takes: `::ffff:10.0.0.1` for `10.0.0.1`.
pub fn to_mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
        SocketAddr::V6(_) => address,
    }
}

/// The address itself, where a socket of both families shows the form of [`to_mapped`].
pub fn from_mapped(address: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = address
        && let Some(v4) = v6.ip().to_ipv4_mapped()
    {
        return SocketAddr::new(v4.into(), v6.port());
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv4_is_mapped_and_back_and_one_of_ipv6_is_left_alone() {
        let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
        for (plain, mapped) in [
            ("10.0.0.1:3301", "[::ffff:10.0.0.1]:3301"),
            ("[fe80::1%3]:3301", "[fe80::1%3]:3301"),
            // Not mapped but compatible: an address of IPv6.
            ("[::1]:3301", "[::1]:3301"),
        ] {
            assert_eq!(to_mapped(at(plain)), at(mapped));
            assert_eq!(from_mapped(at(mapped)), at(plain));
        }
    }
}
