//! What the resolver has said of a host, and how long it holds.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use swim::identity::uri::Uri;
use swim::security::acquaintance::Acquaintance;
use swim::time::Micros;

/// After this time a host is looked up again. Its old addresses are used meanwhile.
const TIME_TO_LIVE: Duration = Duration::from_secs(30);

/// An answer that is younger than this is believed, even if the member does not answer.
const TIME_TO_TRUST: Duration = Duration::from_secs(1);

/// The pause after the first failure of a name. It doubles with each further failure.
const RETRY_PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause after a failure.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// For how many ports of a host a failure is logged. No machine has that many instances.
const LOGGED_PORTS_MAX: usize = 64;

/// The address of a member whose host is an address.
pub fn literal(uri: &Uri) -> Option<SocketAddr> {
    let ip: IpAddr = uri.host().parse().ok()?;
    Some(SocketAddr::new(ip, uri.port()))
}

/// What is known of a host that has a name.
#[derive(Debug, Default)]
pub struct Host {
    /// The last addresses; kept when a later question fails. Their ports have no meaning.
    addresses: Vec<SocketAddr>,
    /// The quota that its open question belongs to, if there is one.
    pub asking: Option<Acquaintance>,
    /// When the last question was asked.
    pub asked: Micros,
    /// The addresses of one family did not answer: from then on, those of all families are looked up.
    pub in_doubt: bool,
    /// When the last question was answered, and how long the answer holds.
    answered: Option<(Micros, Duration)>,
    /// Why the last question failed, if it did.
    failure: Option<String>,
    /// The ports for which the failure has been logged.
    logged_ports: Vec<u16>,
}

impl Host {
    /// Whether there is no answer that still holds. A recipient that does not answer is to be looked up `anew`.
    pub fn is_outdated(&self, anew: bool, now: Micros) -> bool {
        let Some((answered, holds)) = self.answered else {
            return true;
        };
        // A failure has a pause of its own, which a member that does not answer must not shorten.
        let doubted = anew && self.failure.is_none();
        let holds = if doubted { TIME_TO_TRUST } else { holds };
        now.since(answered) >= holds
    }

    /// Takes an answer.
    pub fn learn(&mut self, result: Result<Vec<SocketAddr>, String>, now: Micros) {
        self.asking = None;
        let holds = match result {
            Ok(addresses) => {
                self.take(addresses);
                self.failure = None;
                self.logged_ports.clear();
                TIME_TO_LIVE
            }
            Err(reason) => match (self.failure.replace(reason), self.answered) {
                (Some(_), Some((_, pause))) => RETRY_PAUSE_MAX.min(pause * 2),
                _ => RETRY_PAUSE_MIN,
            },
        };
        self.answered = Some((now, holds));
    }

    /// Replaces the addresses. Name servers turn the list each time that they are asked: the order that was known
    /// is kept, or members would be looked for elsewhere each time.
    fn take(&mut self, addresses: Vec<SocketAddr>) {
        self.addresses.retain(|known| addresses.contains(known));
        for address in addresses {
            if !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
    }

    /// Whether it has an address.
    pub fn is_resolved(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// The addresses of the member on this host.
    pub fn addresses_of(&self, uri: &Uri) -> Vec<SocketAddr> {
        let mut addresses = self.addresses.clone();
        for address in &mut addresses {
            address.set_port(uri.port());
        }
        addresses
    }

    /// Explains why it has no address, if that is so.
    pub fn problem(&self, now: Micros) -> Option<String> {
        if let Some(reason) = &self.failure {
            return Some(format!("its name does not resolve: {reason}"));
        }
        let waited = now.since(self.asked).as_secs();
        let is_hanging = self.asking.is_some() && !self.is_resolved() && waited > 0;
        is_hanging.then(|| {
            format!("its name is being resolved, for {waited} s: does the name server answer?")
        })
    }

    /// Returns the line that says why `uri` does not resolve, once for each failure.
    pub fn poll_warning(&mut self, uri: &Uri) -> Option<String> {
        let reason = self.failure.as_ref()?;
        if self.logged_ports.contains(&uri.port()) || self.logged_ports.len() == LOGGED_PORTS_MAX {
            return None;
        }
        self.logged_ports.push(uri.port());
        Some(format!("getaddrinfo: {reason} ({uri})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_order_when_the_name_server_turns_the_list() {
        let uri = Uri::new("a", 1).unwrap();
        let at = |last: u8| SocketAddr::from(([10, 0, 0, last], 0));
        let mut host = Host::default();
        for (told, kept) in [
            (vec![1, 2, 3], vec![1, 2, 3]),
            (vec![3, 1, 2], vec![1, 2, 3]),
            (vec![4, 3, 2], vec![2, 3, 4]),
            (vec![5], vec![5]),
        ] {
            host.learn(Ok(told.into_iter().map(at).collect()), Micros(0));
            let known = host.addresses_of(&uri);
            let expected: Vec<_> = kept
                .into_iter()
                .map(|last| SocketAddr::from(([10, 0, 0, last], 1)))
                .collect();
            assert_eq!(known, expected);
        }
    }
}
