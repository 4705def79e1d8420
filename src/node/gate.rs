//! Whom to listen to when more comes than there is time for: members before strangers, and no member
//! to the exclusion of others.
//!
//! A datagram that is read and left at that costs a microsecond; what is said in it may cost a hundred
//! times as much. So who floods us is not listened to, and the members still are. The kernel shows
//! where a datagram came from: nobody can choose that as freely as the name that he gives himself.

use core::net::SocketAddr;
use core::time::Duration;

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use crate::swim::time::Micros;

/// For how long datagrams are counted before the count begins anew.
const SLICE: Duration = Duration::from_millis(100);

/// How many datagrams of strangers are taken in per slice, all together: 10,000 a second, of which the
/// most laborious take a fifth of a processor. A thousand members may join at once.
const STRANGERS_MAX: u32 = 1000;

/// How many are taken in per slice from each address at which a member may be: ten times as many as a
/// thousand fibers there can have it send.
const NEIGHBOUR_MAX: u32 = 1000;

/// Of how many such addresses they are counted; further ones count as strangers.
const NEIGHBOURS_MAX: usize = 4096;

/// Counts what comes while the inbox is full.
#[derive(Debug, Default)]
pub struct Gate {
    /// When the slice began.
    since: Micros,
    strangers: u32,
    neighbours: IndexMap<SocketAddr, u32, RandomState>,
    /// How many were turned away since somebody asked.
    turned_away: u64,
}

impl Gate {
    /// Whether to take in another datagram from `source`, where a member is as far as is `known`.
    pub fn admits(&mut self, source: SocketAddr, known: bool, now: Micros) -> bool {
        if now.since(self.since) >= SLICE {
            self.since = now;
            self.strangers = 0;
            self.neighbours.clear();
        }
        let counted = self.neighbours.len() < NEIGHBOURS_MAX;
        let (count, limit) = if known && (counted || self.neighbours.contains_key(&source)) {
            let count = self.neighbours.entry(source).or_default();
            (count, NEIGHBOUR_MAX)
        } else {
            (&mut self.strangers, STRANGERS_MAX)
        };
        *count = count.saturating_add(1);
        let admits = *count <= limit;
        self.turned_away += u64::from(!admits);
        admits
    }

    /// How many were turned away since this was called last.
    pub fn take_turned_away(&mut self) -> u64 {
        core::mem::take(&mut self.turned_away)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn admitted(gate: &mut Gate, source: SocketAddr, known: bool, now: Micros) -> usize {
        (0..5000)
            .filter(|_| gate.admits(source, known, now))
            .count()
    }

    #[test]
    fn strangers_share_what_each_member_has_for_itself() {
        let (mut gate, now) = (Gate::default(), Micros(1_000_000));
        assert_eq!(admitted(&mut gate, address(1), false, now), 1000);
        assert_eq!(admitted(&mut gate, address(2), false, now), 0);
        assert_eq!(admitted(&mut gate, address(3), true, now), 1000);
        assert_eq!(admitted(&mut gate, address(4), true, now), 1000);
        assert_eq!(gate.take_turned_away(), 4 * 5000 - 3 * 1000);
        assert_eq!(gate.take_turned_away(), 0);
        let later = now + SLICE;
        assert_eq!(admitted(&mut gate, address(2), false, later), 1000);
    }

    #[test]
    fn whoever_has_many_addresses_is_a_stranger_in_the_end() {
        let mut gate = Gate::default();
        for port in 1..=60_000 {
            gate.admits(address(port), true, Micros(0));
        }
        assert_eq!(gate.neighbours.len(), NEIGHBOURS_MAX);
        assert!(!gate.admits(address(60_001), true, Micros(0)));
        assert!(gate.admits(address(1), true, Micros(0)));
    }
}
