//! Which datagrams of a session have come already (RFC 4303 §3.4.3, with the blocks of RFC 6479).

const BLOCK_BITS: u64 = u64::BITS as u64;

/// A power of two. A member's counter is for all its recipients together, so between two datagrams
/// for one of them there may be hundreds for others.
const BLOCKS: u64 = 16;

/// The highest counter there was, and which of about a thousand below it.
#[derive(Clone, Debug)]
pub struct Window {
    newest: u64,
    seen: [u64; BLOCKS as usize],
}

impl Window {
    /// One that takes what is after `counter` and nothing before.
    pub const fn after(counter: u64) -> Self {
        // All that is older counts as seen, and of the block of `counter` what is up to it.
        let mut seen = [u64::MAX; BLOCKS as usize];
        seen[(counter / BLOCK_BITS % BLOCKS) as usize] =
            u64::MAX >> (BLOCK_BITS - 1 - counter % BLOCK_BITS);
        Self {
            newest: counter,
            seen,
        }
    }

    /// Whether this one has not come before, as far as can be told; from now on it has.
    #[must_use]
    pub fn admit(&mut self, counter: u64) -> bool {
        let (newest, block) = (self.newest / BLOCK_BITS, counter / BLOCK_BITS);
        if counter > self.newest {
            // A jump may be longer than the window, which need not be emptied more than once.
            for skipped in (newest + 1..=block).take(BLOCKS as usize) {
                self.seen[(skipped % BLOCKS) as usize] = 0;
            }
            self.newest = counter;
        } else if newest - block >= BLOCKS {
            // Its place has been given to another block: whether it has come cannot be told.
            return false;
        }
        let seen = &mut self.seen[(block % BLOCKS) as usize];
        let bit = 1 << (counter % BLOCK_BITS);
        let fresh = *seen & bit == 0;
        *seen |= bit;
        fresh
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn nothing_is_admitted_twice_and_nothing_recent_is_lost() {
        for seed in 0..50 {
            let mut rng = StdRng::seed_from_u64(seed);
            let start = rng.random_range(0..1000);
            let mut window = Window::after(start);
            let (mut seen, mut newest) = (BTreeSet::new(), start);
            for _ in 0..5000 {
                let step = [3, 100, 2000, 100_000][rng.random_range(0..4)];
                let counter = (newest + step / 3).saturating_sub(rng.random_range(0..step));
                let admitted = window.admit(counter);
                let fresh = counter > start && seen.insert(counter);
                newest = newest.max(counter);
                let recent = newest - counter <= (BLOCKS - 1) * BLOCK_BITS;
                assert!(fresh || !admitted, "{counter} again, or from before");
                assert!(admitted || !fresh || !recent, "{counter} at {newest}");
            }
        }
    }

    #[test]
    fn the_last_counters_there_are_do_no_harm() {
        let mut window = Window::after(0);
        assert!(window.admit(u64::MAX) && !window.admit(u64::MAX));
        assert!(window.admit(u64::MAX - 1) && !window.admit(1));
    }
}
