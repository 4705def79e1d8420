//! `host:port`, the identity of a member.

use core::borrow::Borrow;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Deref;
use std::sync::Arc;
use thiserror::Error;

/// A `host:port` that can be resolved: the host a name, an IPv4 address, or an IPv6 address in
/// brackets, of one machine; the port in 1..=65535. At most [`Uri::LENGTH_MAX`] bytes.
///
/// Two texts are two members, even when they name one address: nothing is normalised but what
/// [`Uri::parse`] says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uri(Arc<str>);

impl Uri {
    /// As long as a DNS name may be (RFC 1035 §2.3.4), port included: the longest real ones are half
    /// of this, and a table of 65,536 hostile ones stays below 32 MiB.
    pub const LENGTH_MAX: usize = 255;

    /// Admits an identity as peers write it, `host:port` and nothing else.
    pub fn from_wire(text: &str) -> Option<Self> {
        is_identity(text).then(|| Self(text.into()))
    }

    /// Reads what a person wrote: a scheme, login, password, path, query and fragment are dropped,
    /// as the `uri` module of Tarantool would tell them apart.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let mut identity = text;
        if let Some((_scheme, rest)) = identity.split_once("://") {
            identity = rest;
        }
        if let Some(end) = identity.find(['/', '?', '#']) {
            identity = &identity[..end];
        }
        // The last "@": a password may have others.
        if let Some((_login, host)) = identity.rsplit_once('@') {
            identity = host;
        }
        match split(identity) {
            Some((host, port)) if is_host(host) && identity.len() <= Self::LENGTH_MAX => {
                if is_port(port) {
                    Ok(Self(identity.into()))
                } else {
                    Err(UriError::Port)
                }
            }
            Some((host, _port)) => Err(match group_of_machines(host) {
                Some(group) => UriError::NotOneMachine(group),
                None => UriError::Host,
            }),
            None if is_host(identity) && identity.bytes().any(|b| !b.is_ascii_digit()) => {
                Err(UriError::Port)
            }
            _ => Err(UriError::Host),
        }
    }

    /// The identity made of `host` (an IPv6 address in brackets) and `port`.
    pub fn new(host: &str, port: u16) -> Result<Self, UriError> {
        if let Some(group) = group_of_machines(host) {
            return Err(UriError::NotOneMachine(group));
        }
        if !is_host(host) {
            return Err(UriError::Host);
        }
        if port == 0 {
            return Err(UriError::Port);
        }
        Self::from_wire(&format!("{host}:{port}")).ok_or(UriError::Host)
    }

    /// What to resolve: the host without the brackets of IPv6.
    pub fn host(&self) -> &str {
        let (host, _port) = split(&self.0).expect("a Uri has a port");
        match host.strip_prefix('[') {
            Some(address) => address.trim_end_matches(']'),
            None => host,
        }
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        let (_host, port) = split(&self.0).expect("a Uri has a port");
        port.parse().expect("a Uri has a port in range")
    }

    /// Whether the host is a literal IPv6 address.
    pub fn is_ipv6(&self) -> bool {
        self.0.starts_with('[')
    }
}

/// A text that is known to be a [`Uri`]: the parser of datagrams makes it, and nothing is copied until
/// the member is remembered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UriRef<'a>(&'a str);

impl<'a> UriRef<'a> {
    /// Admits an identity as peers write it, `host:port` and nothing else.
    pub fn from_wire(text: &'a str) -> Option<Self> {
        is_identity(text).then_some(Self(text))
    }

    /// The text, for as long as the datagram lives.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// A copy.
    pub fn to_uri(self) -> Uri {
        Uri(self.0.into())
    }
}

impl<'a> From<&'a Uri> for UriRef<'a> {
    fn from(uri: &'a Uri) -> Self {
        Self(&uri.0)
    }
}

impl Deref for UriRef<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.0
    }
}

impl fmt::Display for UriRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for UriRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

/// What is wrong with a text that should name a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UriError {
    /// There is no host in it, or none that could be looked up.
    #[error("no host")]
    Host,
    /// The host is fine, but the port is missing or not in 1..=65535.
    #[error("no port between 1 and 65535")]
    Port,
    /// The host is an address that no single machine has.
    #[error("{0}")]
    NotOneMachine(&'static str),
}

/// Whether `text` is exactly `host:port`.
pub fn is_identity(text: &str) -> bool {
    let Some((host, port)) = split(text) else {
        return false;
    };
    text.len() <= Uri::LENGTH_MAX && is_host(host) && is_port(port)
}

fn split(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    // "::1" and "a:b:c" have no port: an IPv6 address needs its brackets.
    (host.starts_with('[') || !host.contains(':')).then_some((host, port))
}

fn is_port(text: &str) -> bool {
    // `parse` alone would admit "+1" and "007", further texts for one and the same port.
    !text.starts_with(['0', '+']) && text.parse::<u16>().is_ok()
}

fn is_host(text: &str) -> bool {
    if group_of_machines(text).is_some() {
        return false;
    }
    match bracketed(text) {
        Some((address, zone)) => address.parse::<Ipv6Addr>().is_ok() && is_name(zone),
        None => is_name(text),
    }
}

/// The address and the zone of `[address%zone]`.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    match inner.split_once('%') {
        Some((address, zone)) => Some((address, zone)),
        // Any name will do: it is only looked at whether it is one.
        None => Some((inner, "0")),
    }
}

/// What `host` stands for, if it is the address of no machine or of many. A member with such an address
/// could not be told from others: on this machine `0.0.0.0` leads to whatever has the port.
fn group_of_machines(host: &str) -> Option<&'static str> {
    let ip: IpAddr = match bracketed(host) {
        Some((address, _zone)) => address.parse::<Ipv6Addr>().ok()?.to_canonical(),
        // Most hosts are names, or addresses of one machine, and need not be parsed: an IPv4 address that is neither
        // begins with 0, or with 224 to 255.
        None if host.starts_with(['0', '2'])
            && host.ends_with(|last: char| last.is_ascii_digit()) =>
        {
            host.parse::<Ipv4Addr>().ok()?.into()
        }
        None => return None,
    };
    not_one_machine(ip)
}

/// What `ip` stands for, if it is the address of no machine or of many.
pub fn not_one_machine(ip: IpAddr) -> Option<&'static str> {
    if ip.is_unspecified() {
        Some("the unspecified address")
    } else if ip.is_multicast() {
        Some("a multicast address")
    } else if ip == Ipv4Addr::BROADCAST {
        Some("the broadcast address")
    } else {
        None
    }
}

fn is_name(text: &str) -> bool {
    // Underscores are no part of DNS, but Docker Compose makes names with them.
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.bytes().all(allowed)
}

impl Deref for Uri {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Uri {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_host_and_port_and_nothing_else() {
        for good in [
            "localhost:3301",
            "127.0.0.1:1",
            "[::1]:65535",
            "a_b.c-d:80",
            "[fe80::1%eth0]:1",
            "10.0.0.255:1",
            "0.0.0.0.example.org:1",
        ] {
            assert!(Uri::from_wire(good).is_some(), "{good}");
        }
        let bad = [
            "",
            "5",
            "foo",
            ":1",
            "a:0",
            "a:65536",
            "a:-1",
            "a:+1",
            "a:01",
            "a b:1",
            "::1",
            "a:b:c",
            "[::1]",
            "[::1:1",
            "[x]:1",
            "cdata<void *>: NULL",
            "u@h:1",
            "http://a:1",
            "a:1/p",
            "a:1\n",
            "ä:1",
            "0.0.0.0:1",
            "255.255.255.255:1",
            "224.0.0.1:1",
            "[::]:1",
            "[::%eth0]:1",
            "[ff02::1]:1",
            "[::ffff:0.0.0.0]:1",
        ];
        for bad in bad {
            assert!(Uri::from_wire(bad).is_none(), "{bad}");
        }
        assert!(Uri::from_wire(&format!("{}:1", "a".repeat(253))).is_some());
        assert!(Uri::from_wire(&format!("{}:1", "a".repeat(254))).is_none());
    }

    #[test]
    fn what_a_person_wrote_is_stripped_to_the_identity() {
        let parsed = |text| Uri::parse(text).map(|uri| uri.to_string());
        assert_eq!(
            parsed("http://u:p@localhost:1/p").as_deref(),
            Ok("localhost:1")
        );
        assert_eq!(parsed("u@localhost:1?q#f").as_deref(), Ok("localhost:1"));
        assert_eq!(parsed("[::1]:1").as_deref(), Ok("[::1]:1"));
        assert_eq!(parsed("[FE80::A]:1").as_deref(), Ok("[FE80::A]:1"));
        for no_port in [
            "foo",
            "localhost:0",
            "localhost:-1",
            "localhost:99999",
            "unix/:/dev/null",
        ] {
            assert!(parsed(no_port).is_err(), "{no_port}");
        }
        assert_eq!(parsed("foo"), Err(UriError::Port));
        assert_eq!(parsed("localhost:99999"), Err(UriError::Port));
        for bad in ["", " ", ":::", "::1", "a:b:c", ":1", "33705", "a b:1"] {
            assert_eq!(parsed(bad), Err(UriError::Host), "{bad}");
        }
        let unspecified = UriError::NotOneMachine("the unspecified address");
        assert_eq!(parsed("u@0.0.0.0:1"), Err(unspecified));
        assert_eq!(Uri::new("[::]", 1), Err(unspecified));
    }

    #[test]
    fn the_host_to_resolve_has_no_brackets() {
        let uri = Uri::from_wire("[::1]:3301").unwrap();
        assert_eq!((uri.host(), uri.port(), uri.is_ipv6()), ("::1", 3301, true));
        let uri = Uri::from_wire("localhost:3301").unwrap();
        assert_eq!(
            (uri.host(), uri.port(), uri.is_ipv6()),
            ("localhost", 3301, false)
        );
    }
}
