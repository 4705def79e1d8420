//! Newcomers that bring other members along: perhaps another group, which was not meant to become one
//! with this one.
//!
//! Nothing is decided by this. Two groups become one when one member of each hears of one of the other,
//! as they do on purpose; the log says that it has happened, and by way of which address.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use crate::identity::uri::Uri;
use crate::time::Micros;

/// For how long the local node must have been a member. Before, all of its group is new to it.
const ESTABLISHED: Duration = Duration::from_secs(30);

/// How long members that a newcomer tells of are taken for its own.
const TIME: Duration = Duration::from_secs(3);

/// How many it must bring to be worth a word.
const BROUGHT_MIN: usize = 2;

/// How many newcomers are watched at a time.
const NEWCOMERS_MAX: usize = 16;

/// The newcomers of the last seconds.
#[derive(Debug, Default)]
pub struct Merges {
    /// When the local node became a member.
    joined: Option<Micros>,
    newcomers: VecDeque<Newcomer>,
}

/// A member that was not there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// Its URI.
    pub uri: Uri,
    /// Where its first datagram came from.
    pub source: SocketAddr,
    /// How many members have come in by way of it.
    pub brought: usize,
    since: Micros,
}

impl Merges {
    /// The local node becomes a member, unless it is one.
    pub fn begin(&mut self, now: Micros) {
        self.joined.get_or_insert(now);
    }

    /// Notes a member that was unknown, or not alive, when this datagram of it came.
    pub fn note_newcomer(&mut self, uri: &Uri, source: SocketAddr, now: Micros) {
        let Some(joined) = self.joined else {
            return;
        };
        let is_known = self.newcomers.iter().any(|known| known.uri == *uri);
        if now.since(joined) < ESTABLISHED || is_known || self.newcomers.len() == NEWCOMERS_MAX {
            return;
        }
        self.newcomers.push_back(Newcomer {
            uri: uri.clone(),
            source,
            brought: 0,
            since: now,
        });
    }

    /// Notes how many members came in by a datagram of `uri`.
    pub fn note_brought(&mut self, uri: &Uri, count: usize) {
        for newcomer in &mut self.newcomers {
            if newcomer.uri == *uri {
                newcomer.brought += count;
            }
        }
    }

    /// Returns the next newcomer that has brought others, once it has had the time to.
    pub fn poll(&mut self, now: Micros) -> Option<Newcomer> {
        while let Some(first) = self.newcomers.front()
            && now.since(first.since) >= TIME
        {
            let newcomer = self.newcomers.pop_front()?;
            if newcomer.brought >= BROUGHT_MIN {
                return Some(newcomer);
            }
        }
        None
    }

    /// Whether there are no more than there may be; for audits.
    pub fn is_bounded(&self) -> bool {
        self.newcomers.len() <= NEWCOMERS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Micros {
        Micros(seconds * 1_000_000)
    }

    const SOURCE: SocketAddr = SocketAddr::new(
        core::net::IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1)),
        3301,
    );

    #[test]
    fn a_newcomer_that_brings_others_is_told_of_once() {
        let [alone, leader] = [1, 2].map(|port| Uri::new("a", port).expect("a URI"));
        let mut merges = Merges::default();
        merges.begin(at(100));
        for uri in [&alone, &leader] {
            merges.note_newcomer(uri, SOURCE, at(150));
        }
        merges.note_brought(&alone, 1);
        merges.note_brought(&leader, 2);
        merges.note_brought(&leader, 3);
        assert_eq!(merges.poll(at(151)), None, "it has time yet");
        let told = merges.poll(at(153)).expect("it has brought some");
        assert_eq!((told.uri, told.brought), (leader, 5));
        assert_eq!(merges.poll(at(200)), None);
    }

    #[test]
    fn a_node_that_has_just_joined_tells_of_none() {
        let uri = Uri::new("a", 1).expect("a URI");
        let mut merges = Merges::default();
        merges.begin(at(100));
        merges.note_newcomer(&uri, SOURCE, at(120));
        merges.note_brought(&uri, 40);
        assert_eq!(merges.poll(at(200)), None);
    }
}
