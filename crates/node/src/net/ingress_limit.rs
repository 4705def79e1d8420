//! Limits what is received: from all unknown senders together, from each neighbour, and from all neighbours
//! together.
//!
//! To read a datagram and drop it costs a microsecond. To handle it costs many times as much, in proportion
//! to its length and to that of the answer: so bytes are counted, and a fixed cost for each datagram. The
//! sender is told by the address that the kernel reports. It can be forged, but not chosen as freely as the
//! URI in the datagram.
//!
//! A *neighbour* is the address of a live member that has answered a ping of this node. All other addresses
//! are those of unknown senders.

use core::net::SocketAddr;
use core::time::Duration;

use swim::hashing::{HashKey, KeyedMap};
use swim::time::Micros;

/// How long costs are counted before the count begins again.
const SLICE: Duration = Duration::from_millis(100);

/// What a datagram costs besides its bytes, in bytes: to read it, to decode its head, to send an answer.
const DATAGRAM_COST: usize = 128;

/// What all unknown senders together may send in a slice, in bytes.
///
/// By `cargo bench -- hostile`, the worst datagram of 1472 bytes costs 37 µs with a table of 60,000 members,
/// 23 µs with 100: 25 and 15 ns a byte. So unknown senders take an eighth of a core at most. It is enough
/// for the pings of 15,000 of them a second.
const UNKNOWN_MAX: usize = 512 << 10;

/// What one neighbour may send in a slice, in bytes: a fifteenth of a core, by the same figures. In ordinary
/// operation a member sends less in a second.
const NEIGHBOUR_MAX: usize = 256 << 10;

/// What all neighbours together may send in a slice, in bytes, before each of them is limited to an equal
/// share of it: a quarter of a core.
const NEIGHBOURS_MAX: usize = 1 << 20;

/// How many neighbours are counted one by one. Further ones count as unknown senders.
const COUNTED_MAX: usize = 4096;

/// Counts the cost of what is received.
#[derive(Debug)]
pub struct IngressLimit {
    /// When the slice began.
    since: Micros,
    unknown: usize,
    all_neighbours: usize,
    neighbours: KeyedMap<SocketAddr, usize>,
    turned_away: u64,
}

impl IngressLimit {
    /// Nothing has been received. The key keeps senders from choosing addresses that collide in the table.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            since: Micros(0),
            unknown: 0,
            all_neighbours: 0,
            neighbours: KeyedMap::with_hasher(hash_key.clone()),
            turned_away: 0,
        }
    }

    /// Whether to handle another datagram from `source`.
    pub fn admits(
        &mut self,
        source: SocketAddr,
        is_neighbour: bool,
        size: usize,
        now: Micros,
    ) -> bool {
        if now.since(self.since) >= SLICE {
            self.since = now;
            self.unknown = 0;
            self.all_neighbours = 0;
            self.neighbours.clear();
        }
        let cost = DATAGRAM_COST + size;
        let has_room = self.neighbours.len() < COUNTED_MAX;
        let admits = if is_neighbour && (has_room || self.neighbours.contains_key(&source)) {
            self.admits_neighbour(source, cost)
        } else {
            self.unknown += cost;
            self.unknown <= UNKNOWN_MAX
        };
        self.turned_away += u64::from(!admits);
        admits
    }

    fn admits_neighbour(&mut self, source: SocketAddr, cost: usize) -> bool {
        let own = self.neighbours.entry(source).or_default();
        *own += cost;
        let own = *own;
        let limit = if self.all_neighbours < NEIGHBOURS_MAX {
            NEIGHBOUR_MAX
        } else {
            NEIGHBOUR_MAX.min(NEIGHBOURS_MAX / self.neighbours.len())
        };
        let admits = own <= limit;
        if admits {
            self.all_neighbours += cost;
        }
        admits
    }

    /// Counts what was sent because of a datagram from `source` that was admitted.
    pub fn charge(&mut self, source: SocketAddr, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if let Some(own) = self.neighbours.get_mut(&source) {
            *own = own.saturating_add(bytes);
            self.all_neighbours = self.all_neighbours.saturating_add(bytes);
        } else {
            self.unknown = self.unknown.saturating_add(bytes);
        }
    }

    /// How many datagrams were not admitted so far.
    pub const fn turned_away(&self) -> u64 {
        self.turned_away
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1472;
    const NOW: Micros = Micros(1_000_000);

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// How many of 20,000 datagrams are admitted.
    fn admitted(limit: &mut IngressLimit, port: u16, is_neighbour: bool, size: usize) -> usize {
        (0..20_000)
            .filter(|_| limit.admits(address(port), is_neighbour, size, NOW))
            .count()
    }

    #[test]
    fn unknown_senders_share_a_limit_and_each_neighbour_has_its_own() {
        let mut limit = IngressLimit::new(&HashKey::derive(&[7; 32]));
        let cost = SIZE + DATAGRAM_COST;
        assert_eq!(admitted(&mut limit, 1, false, SIZE), UNKNOWN_MAX / cost);
        assert_eq!(admitted(&mut limit, 2, false, SIZE), 0);
        assert_eq!(admitted(&mut limit, 3, true, SIZE), NEIGHBOUR_MAX / cost);
        assert_eq!(admitted(&mut limit, 4, true, SIZE), NEIGHBOUR_MAX / cost);
        let taken = (UNKNOWN_MAX / cost + 2 * (NEIGHBOUR_MAX / cost)) as u64;
        assert_eq!(limit.turned_away(), 4 * 20_000 - taken);
        let later = NOW + SLICE;
        assert!(limit.admits(address(2), false, SIZE, later));
    }

    #[test]
    fn small_datagrams_are_cheaper_but_not_free() {
        let mut limit = IngressLimit::new(&HashKey::derive(&[7; 32]));
        let empty = admitted(&mut limit, 1, false, 0);
        assert_eq!(empty, UNKNOWN_MAX / DATAGRAM_COST);
    }

    #[test]
    fn answers_count_too() {
        let mut limit = IngressLimit::new(&HashKey::derive(&[7; 32]));
        for (port, is_neighbour, max) in [(1, false, UNKNOWN_MAX), (2, true, NEIGHBOUR_MAX)] {
            assert!(limit.admits(address(port), is_neighbour, 0, NOW));
            limit.charge(address(port), max as u64);
            assert!(!limit.admits(address(port), is_neighbour, 0, NOW));
        }
        assert!(
            limit.admits(address(3), true, 0, NOW),
            "the answers were to others"
        );
    }

    #[test]
    fn a_neighbour_has_its_share_when_many_others_flood() {
        let mut limit = IngressLimit::new(&HashKey::derive(&[7; 32]));
        let ports = (1..=60).cycle().take(60 * 200);
        let flooded = ports.filter(|port| limit.admits(address(*port), true, SIZE, NOW));
        let cost = (SIZE + DATAGRAM_COST) * flooded.count();
        assert!(cost < 2 * NEIGHBOURS_MAX, "{cost}");
        let quiet = admitted(&mut limit, 61, true, 60);
        assert_eq!(quiet, NEIGHBOURS_MAX / 61 / (60 + DATAGRAM_COST));
    }

    #[test]
    fn neighbours_beyond_those_that_are_counted_are_unknown_senders() {
        let mut limit = IngressLimit::new(&HashKey::derive(&[7; 32]));
        for port in 1..=60_000 {
            limit.admits(address(port), true, SIZE, NOW);
        }
        assert_eq!(limit.neighbours.len(), COUNTED_MAX);
        assert!(!limit.admits(address(60_001), true, SIZE, NOW));
        assert!(limit.unknown > UNKNOWN_MAX);
    }
}
