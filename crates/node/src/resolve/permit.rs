//! Which addresses may be sent to: those in `ALLOWED_NETWORKS`, and that of the local node.

use core::net::SocketAddr;

use swim::identity::uri::Uri;
use swim::security::networks::Networks;

/// The networks in which addresses are used. At first these are all.
#[derive(Debug, Default)]
pub struct Permit {
    networks: Networks,
    own: Option<Uri>,
}

impl Permit {
    /// From now on, addresses in other networks are not used, but for those of the `own` URI.
    pub fn set(&mut self, networks: &Networks, own: Option<&Uri>) {
        if self.networks != *networks {
            self.networks = networks.clone();
        }
        if self.own.as_ref() != own {
            self.own = own.cloned();
        }
    }

    /// Whether any address of `uri` may be used.
    fn allows_all_of(&self, uri: &Uri) -> bool {
        self.networks.are_all() || self.own.as_ref() == Some(uri)
    }

    /// Leaves out the addresses of `uri` that may not be used.
    pub fn retain_allowed(&self, uri: &Uri, addresses: &mut Vec<SocketAddr>) {
        if !self.allows_all_of(uri) {
            addresses.retain(|address| self.networks.allow(address.ip()));
        }
    }

    /// Whether `uri` has addresses, and none of them may be used.
    pub fn excludes(&self, uri: &Uri, addresses: &[SocketAddr]) -> bool {
        let is_allowed = |address: &SocketAddr| self.networks.allow(address.ip());
        !self.allows_all_of(uri) && !addresses.is_empty() && !addresses.iter().any(is_allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_elsewhere_is_used_for_the_own_uri_alone() {
        let [own, other] = ["a:1", "b:1"].map(|uri| Uri::from_wire(uri).unwrap());
        let elsewhere = vec!["192.0.2.1:1".parse().unwrap()];
        let networks = Networks::parse(&["10.0.0.0/8".into()]).unwrap();
        let mut permit = Permit::default();
        assert!(!permit.excludes(&other, &elsewhere));
        permit.set(&networks, Some(&own));
        for (uri, is_excluded) in [(&own, false), (&other, true)] {
            let mut left = elsewhere.clone();
            permit.retain_allowed(uri, &mut left);
            assert_eq!(left.is_empty(), is_excluded, "{uri}");
            assert_eq!(permit.excludes(uri, &elsewhere), is_excluded, "{uri}");
            assert!(!permit.excludes(uri, &[]), "it was not resolved yet");
        }
    }
}
