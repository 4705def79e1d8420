//! The networks that are allowed: `ALLOWED_NETWORKS`.
//!
//! A datagram from elsewhere is dropped before anything of it is read, and an address elsewhere is not sent to. A
//! member whose URI leads elsewhere is not taken in: it would not be answered, and so be called dead here, though it
//! is alive for others. Loopback is always allowed: nothing from outside of this machine comes from there.

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

use crate::hashing::{HashKey, KeyedMap};
use crate::identity::uri::Uri;
use crate::time::Micros;

/// How many networks there may be: each datagram is compared with all of them.
pub const NETWORKS_MAX: usize = 64;

/// Of how many names it is remembered that they lead elsewhere. Each is looked up before, and unknown senders have ten
/// names a second looked up.
const NAMES_MAX: usize = 4096;

/// For how long that is remembered. Then the name is looked up again, should its member still be told of.
const MEMORY: Duration = Duration::from_secs(600);

/// Networks; none stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Arc<[IpNet]>);

/// Why these are no networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadNetworks {
    /// This entry of the list, counted from 1 on, is none.
    #[error("a network like 10.0.0.0/8 or fd00::/8 expected as entry {0}")]
    Entry(usize),
    /// They are more than there may be.
    #[error("at most {NETWORKS_MAX} networks expected")]
    TooMany,
}

impl Networks {
    /// Reads networks like `10.0.0.0/8`; an address alone is a network of one.
    pub fn parse(texts: &[String]) -> Result<Self, BadNetworks> {
        if texts.len() > NETWORKS_MAX {
            return Err(BadNetworks::TooMany);
        }
        let mut networks = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let Some(network) = parse(text) else {
                return Err(BadNetworks::Entry(index + 1));
            };
            networks.push(network);
        }
        Ok(Self(networks.into()))
    }

    /// The networks, as text.
    pub fn to_texts(&self) -> Vec<String> {
        self.0.iter().map(IpNet::to_string).collect()
    }

    /// Whether all are allowed.
    pub fn are_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is in one of them, or is one of this machine.
    pub fn allow(&self, address: IpAddr) -> bool {
        // An address of IPv4 that came in by a socket of IPv6.
        let address = address.to_canonical();
        self.are_all()
            || address.is_loopback()
            || self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether the host of a URI is an address elsewhere. A name may lead anywhere.
    pub fn exclude(&self, uri: &str) -> bool {
        if self.are_all() {
            return false;
        }
        let (host, _port) = uri.rsplit_once(':').unwrap_or((uri, ""));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let (address, _zone) = host.split_once('%').unwrap_or((host, ""));
        match address.parse() {
            Ok(address) => !self.allow(address),
            Err(_) => false,
        }
    }
}

fn parse(text: &str) -> Option<IpNet> {
    let network = match text.parse() {
        Ok(network) => network,
        Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    // An IPv4 network in IPv6, as some programs write it.
    if let IpNet::V6(mapped) = network
        && let Some(address) = mapped.addr().to_ipv4_mapped()
        && let Some(prefix) = mapped.prefix_len().checked_sub(96)
    {
        return Some(Ipv4Net::new(address, prefix).ok()?.into());
    }
    Some(network)
}

/// The names that lead elsewhere, as far as it was found out.
#[derive(Debug)]
pub struct Elsewhere {
    names: KeyedMap<Uri, Micros>,
    /// Where to make room next, when there is none.
    hand: usize,
}

impl Elsewhere {
    /// None are known.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            names: KeyedMap::with_hasher(hash_key.clone()),
            hand: 0,
        }
    }

    /// Notes that the name of `uri` leads elsewhere.
    pub fn note(&mut self, uri: &Uri, now: Micros) {
        if self.names.len() >= NAMES_MAX && !self.names.contains_key(uri) {
            let hand = self.hand % NAMES_MAX;
            self.hand = self.hand.wrapping_add(1);
            self.names.swap_remove_index(hand);
        }
        self.names.insert(uri.clone(), now);
    }

    /// Whether the name of `uri` led elsewhere lately.
    pub fn has(&self, uri: &str, now: Micros) -> bool {
        if self.names.is_empty() {
            return false;
        }
        match self.names.get(uri) {
            Some(noted) => now.since(*noted) < MEMORY,
            None => false,
        }
    }

    /// Forgets one name, which is to be tried.
    pub fn forget(&mut self, uri: &Uri) {
        self.names.swap_remove(uri);
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.names.clear();
    }

    /// Whether there are no more than may be; for audits.
    pub fn is_bounded(&self) -> bool {
        self.names.len() <= NAMES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Result<Networks, BadNetworks> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).into()).collect();
        Networks::parse(&texts)
    }

    #[test]
    fn an_address_is_allowed_in_its_network_however_it_is_written() {
        let some = networks(&[
            "10.0.0.0/8",
            "fd00::/8",
            "192.0.2.7",
            "::ffff:172.16.0.0/108",
        ])
        .unwrap();
        for (address, is_allowed) in [
            ("10.255.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("11.0.0.1", false),
            ("::ffff:11.0.0.1", false),
            ("fd12::1", true),
            ("fe80::1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("127.9.9.9", true),
            ("::1", true),
        ] {
            assert!(!some.exclude("name:1") && some.exclude("[fe80::1%eth0]:1"));
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(some.allow(parsed), is_allowed, "{address}");
            assert!(Networks::default().allow(parsed), "{address}");
            let uri = match parsed {
                IpAddr::V4(_) => format!("{address}:1"),
                IpAddr::V6(_) => format!("[{address}]:1"),
            };
            assert_eq!(some.exclude(&uri), !is_allowed, "{uri}");
        }
    }

    #[test]
    fn what_is_no_network_is_named_by_its_place() {
        for bad in [
            "10.0.0.0/33",
            "10.0.0/8",
            "a",
            "",
            "fd00::/129",
            "10.0.0.0/8 ",
        ] {
            let refused = networks(&["10.0.0.0/8", bad]);
            assert_eq!(refused, Err(BadNetworks::Entry(2)), "{bad}");
        }
        let many = ["10.0.0.0/8"; NETWORKS_MAX + 1];
        assert_eq!(networks(&many), Err(BadNetworks::TooMany));
    }

    #[test]
    fn names_that_lead_elsewhere_are_bounded_in_number_and_age() {
        let mut elsewhere = Elsewhere::new(&HashKey::derive(&[1; 32]));
        for port in 1..=5000 {
            elsewhere.note(&Uri::new("a", port).unwrap(), Micros(0));
            assert!(elsewhere.is_bounded());
        }
        assert!(elsewhere.has("a:5000", Micros(0)));
        assert!(!elsewhere.has("a:5000", Micros(0) + MEMORY));
    }
}
