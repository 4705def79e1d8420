//! Which parts of two tables differ.

use crate::table::digest::BUCKETS_MAX;

/// A set of buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    pub(super) bits: Vec<u8>,
}

impl Buckets {
    /// The buckets in which two lists of sums differ; `None` if they are not of one length.
    pub fn differing(one: &[u32], other: &[u32]) -> Option<Self> {
        if one.len() != other.len() {
            return None;
        }
        let mut bits = vec![0; one.len().div_ceil(8)];
        for index in 0..one.len() {
            if one[index] != other[index] {
                bits[index / 8] |= 1 << (index % 8);
            }
        }
        Some(Self { bits })
    }

    /// How many there could be.
    pub fn count(&self) -> usize {
        self.bits.len() * 8
    }

    /// Those that are in the set.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        (0..self.count()).filter(|index| self.bits[index / 8] & 1 << (index % 8) != 0)
    }
}

/// How many sums a comparison may have: a power of two that fills whole bytes of bits.
pub(super) fn is_bucket_count(count: usize) -> bool {
    // The buckets that are kept are folded onto so many, by the remainder of their index: so it has to
    // divide their number, which is a power of two.
    count.is_power_of_two() && (8..=BUCKETS_MAX).contains(&count)
}
