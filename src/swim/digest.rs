//! A fingerprint of the table, kept up to date change by change: two members whose digests are equal
//! have nothing to tell each other.

use xxhash_rust::xxh3::xxh3_64;

use super::claim::Status;
use super::member::Member;
use super::members::Place;
use super::uri::Uri;

/// Into how many buckets the members are divided at most, by the hash of their URIs. A power of two.
pub const BUCKETS_MAX: usize = 256;

/// A sum of hashes of records, as a whole and by bucket. Sums don't depend on an order, and what is
/// added can be subtracted again.
#[derive(Debug)]
pub struct Digest {
    total: u64,
    buckets: Vec<Bucket>,
}

#[derive(Clone, Debug, Default)]
struct Bucket {
    sum: u64,
    /// Few: to look through them takes no longer than to look one up.
    members: Vec<Place>,
}

impl Default for Digest {
    fn default() -> Self {
        Self {
            total: 0,
            buckets: vec![Bucket::default(); BUCKETS_MAX],
        }
    }
}

impl Digest {
    /// Adds the record at this place of the table, in place of the one whose [`fingerprint`] was
    /// `before`.
    pub fn put(&mut self, place: Place, member: &Member, before: Option<u64>) {
        let bucket = &mut self.buckets[bucket_of(&member.uri)];
        if before.is_none() {
            bucket.members.push(place);
        }
        self.shift(
            member,
            fingerprint(member).wrapping_sub(before.unwrap_or(0)),
        );
    }

    /// Takes a record out, `member` being as it was when it was put in.
    pub fn remove(&mut self, place: Place, member: &Member) {
        let bucket = &mut self.buckets[bucket_of(&member.uri)];
        bucket.members.retain(|other| *other != place);
        self.subtract(member);
    }

    /// Adds the record of one who has no place in the table.
    pub fn add(&mut self, member: &Member) {
        self.shift(member, fingerprint(member));
    }

    /// Takes out what [`Self::add`] has added.
    pub fn subtract(&mut self, member: &Member) {
        self.shift(member, fingerprint(member).wrapping_neg());
    }

    fn shift(&mut self, member: &Member, difference: u64) {
        let bucket = &mut self.buckets[bucket_of(&member.uri)];
        bucket.sum = bucket.sum.wrapping_add(difference);
        self.total = self.total.wrapping_add(difference);
    }

    /// `member` has moved from place `from` of the table to place `to`.
    pub fn rename(&mut self, member: &Member, from: Place, to: Place) {
        let members = &mut self.buckets[bucket_of(&member.uri)].members;
        if let Some(place) = members.iter_mut().find(|place| **place == from) {
            *place = to;
        }
    }

    /// The whole table in one number.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The table in `count` numbers, a power of two up to [`BUCKETS_MAX`].
    pub fn sums(&self, count: usize) -> Vec<u32> {
        let mut sums = vec![0_u64; count];
        for (index, bucket) in self.buckets.iter().enumerate() {
            let sum = &mut sums[index % count];
            *sum = sum.wrapping_add(bucket.sum);
        }
        // Half of the bits do: a difference that hides once in four billion times shows in the total,
        // and is found with the next change.
        sums.into_iter().map(|sum| sum as u32).collect()
    }

    /// The members that are in bucket `index` of `count`.
    pub fn members(&self, index: usize, count: usize) -> impl Iterator<Item = Place> {
        let buckets = self.buckets.iter().skip(index).step_by(count);
        buckets.flat_map(|bucket| &bucket.members).copied()
    }
}

/// URI, incarnation, status, and meaning of the payload.
const RECORD_SIZE_MAX: usize = Uri::LENGTH_MAX + 8 + 1 + 8;

/// In which of [`BUCKETS_MAX`] buckets the record of `uri` is.
pub fn bucket_of(uri: &str) -> usize {
    xxh3_64(uri.as_bytes()) as usize % BUCKETS_MAX
}

/// A hash of what others could learn from the record.
// A suspect counts as alive: a suspicion is on its way to be settled, by gossip, on every member for
// itself, and comparing tables would only get in between.
pub fn fingerprint(member: &Member) -> u64 {
    let settled = match member.claim.status {
        Status::Suspect => Status::Alive,
        status => status,
    };
    let payload = member
        .current_payload()
        .map_or(0, |payload| payload.meaning().wrapping_add(1));
    let parts: [&[u8]; 4] = [
        member.uri.as_bytes(),
        &member.claim.incarnation.get().to_be_bytes(),
        &[settled.number()],
        &payload.to_be_bytes(),
    ];
    // In one go, which takes a small part of what it takes part by part.
    let (mut record, mut length) = ([0; RECORD_SIZE_MAX], 0);
    for part in parts {
        record[length..length + part.len()].copy_from_slice(part);
        length += part.len();
    }
    xxh3_64(&record[..length])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swim::claim::{Claim, Incarnation};
    use crate::swim::payload::Payload;
    use crate::swim::time::Micros;

    fn member(port: u16, status: Status, payload: Option<Payload>) -> Member {
        let claim = Claim::alive(Incarnation::FIRST).with(status);
        let uri = Uri::new("a", port).unwrap();
        Member {
            payload,
            ..Member::new(uri, claim, Micros(0))
        }
    }

    fn digest(members: &[Member]) -> Digest {
        let mut digest = Digest::default();
        (0..)
            .zip(members)
            .for_each(|(place, member)| digest.put(place, member, None));
        digest
    }

    #[test]
    fn the_order_does_not_matter_and_what_is_added_can_be_taken_out() {
        let [one, two] = [1, 2].map(|port| member(port, Status::Alive, None));
        let both = digest(&[one.clone(), two.clone()]);
        assert_eq!(both.total(), digest(&[two.clone(), one.clone()]).total());
        let mut rest = both;
        rest.remove(1, &two);
        assert_eq!(rest.total(), digest(&[one]).total());
        assert_eq!((0..16).flat_map(|index| rest.members(index, 16)).count(), 1);
    }

    #[test]
    fn every_difference_shows_but_a_suspicion() {
        let alive = digest(&[member(1, Status::Alive, None)]).total();
        assert_eq!(digest(&[member(1, Status::Suspect, None)]).total(), alive);
        assert_ne!(digest(&[member(1, Status::Dead, None)]).total(), alive);
        assert_ne!(digest(&[member(2, Status::Alive, None)]).total(), alive);
        let known = digest(&[member(1, Status::Alive, Some(Payload::empty()))]).total();
        assert_ne!(known, alive);
    }

    #[test]
    fn differing_buckets_lead_to_the_members_that_differ() {
        let same: Vec<_> = (1..100)
            .map(|port| member(port, Status::Alive, None))
            .collect();
        let mut changed = same.clone();
        changed[41] = member(42, Status::Left, None);
        let (one, other) = (digest(&same), digest(&changed));
        for count in [1, 16, 256] {
            let differing: Vec<_> = (0..count)
                .filter(|index| one.sums(count)[*index] != other.sums(count)[*index])
                .collect();
            assert_eq!(differing.len(), 1, "one bucket of {count}");
            assert!(one.members(differing[0], count).any(|place| place == 41));
        }
    }
}
