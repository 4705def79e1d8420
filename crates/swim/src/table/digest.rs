//! A fingerprint of the table, kept up to date change by change: two members whose digests are equal
//! have nothing to tell each other.

use xxhash_rust::xxh3::xxh3_64;

use crate::table::claim::Status;
use crate::table::index::MemberIndex;
use crate::table::member::Member;
use crate::wire::msgpack::mix;

/// Into how many buckets the members are divided at most, by the hash of their URIs. A power of two.
pub const BUCKETS_MAX: usize = 256;

/// A sum of hashes of records, as a whole and by bucket. Sums don't depend on an order, and what is
/// added can be subtracted again.
#[derive(Debug)]
pub struct Digest {
    total: u64,
    sums: [u64; BUCKETS_MAX],
    members: Catalog,
    tombstones: Catalog,
}

/// Which records are in which bucket, by their places in a table.
///
/// Others choose URIs, and with them the buckets: a bucket can hold the whole table, so no record is
/// ever looked for in it.
#[derive(Debug)]
struct Catalog {
    /// By place.
    cards: Vec<Card>,
    buckets: Vec<Vec<MemberIndex>>,
}

/// Where a record is, and what it adds to the digest.
#[derive(Clone, Copy, Debug, Default)]
struct Card {
    fingerprint: u64,
    /// The hash of the URI, by which it has its bucket.
    uri: u64,
    /// At which position of the bucket.
    position: u32,
}

impl Card {
    const fn bucket(&self) -> usize {
        bucket_of(self.uri)
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self {
            total: 0,
            sums: [0; BUCKETS_MAX],
            members: Catalog::default(),
            tombstones: Catalog::default(),
        }
    }
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            cards: Vec::new(),
            buckets: vec![Vec::new(); BUCKETS_MAX],
        }
    }
}

impl Catalog {
    /// Adds the record at a place where none is.
    fn insert(&mut self, place: MemberIndex, record: &Member) -> Card {
        let uri = hash_of(&record.uri);
        let places = &mut self.buckets[bucket_of(uri)];
        let card = Card {
            fingerprint: fingerprint(uri, record),
            uri,
            position: u32::try_from(places.len()).expect("less than 2^32 members"),
        };
        places.push(place);
        if place as usize >= self.cards.len() {
            self.cards.resize(place as usize + 1, Card::default());
        }
        self.cards[place as usize] = card;
        card
    }

    /// Removes the record at `place`, and says where it was.
    fn remove(&mut self, place: MemberIndex) -> Card {
        let card = core::mem::take(&mut self.cards[place as usize]);
        let places = &mut self.buckets[card.bucket()];
        places.swap_remove(card.position as usize);
        if let Some(moved) = places.get(card.position as usize) {
            self.cards[*moved as usize].position = card.position;
        }
        card
    }

    /// The record at place `from` has moved to place `to`, where none is.
    fn rename(&mut self, from: MemberIndex, to: MemberIndex) {
        let card = core::mem::take(&mut self.cards[from as usize]);
        self.buckets[card.bucket()][card.position as usize] = to;
        self.cards[to as usize] = card;
    }

    fn places(&self, index: usize, count: usize) -> impl Iterator<Item = MemberIndex> {
        let buckets = self.buckets.iter().skip(index).step_by(count);
        buckets.flatten().copied()
    }

    /// Whether these are all the records that there are, each of them where its card says.
    fn is_sound<'m>(&self, records: impl ExactSizeIterator<Item = &'m Member>) -> bool {
        let count: usize = self.buckets.iter().map(Vec::len).sum();
        if count != records.len() {
            return false;
        }
        for (place, record) in records.enumerate() {
            let card = self.cards[place];
            let bucket = &self.buckets[card.bucket()];
            if card.uri != hash_of(&record.uri)
                || card.fingerprint != fingerprint(card.uri, record)
                || bucket.get(card.position as usize) != Some(&(place as MemberIndex))
            {
                return false;
            }
        }
        true
    }
}

impl Digest {
    /// Adds the member that is new at this place of the table.
    pub fn insert(&mut self, place: MemberIndex, member: &Member) {
        let card = self.members.insert(place, member);
        self.shift(card.bucket(), card.fingerprint);
    }

    /// The member at this place of the table has changed.
    pub fn update(&mut self, place: MemberIndex, member: &Member) {
        let card = &mut self.members.cards[place as usize];
        let after = fingerprint(card.uri, member);
        let before = core::mem::replace(&mut card.fingerprint, after);
        let bucket = card.bucket();
        self.shift(bucket, after.wrapping_sub(before));
    }

    /// Removes the member at this place of the table.
    pub fn remove(&mut self, place: MemberIndex) {
        let card = self.members.remove(place);
        self.shift(card.bucket(), card.fingerprint.wrapping_neg());
    }

    /// A member has moved from place `from` of the table to place `to`, which is empty.
    pub fn rename(&mut self, from: MemberIndex, to: MemberIndex) {
        self.members.rename(from, to);
    }

    /// Adds the tombstone that is new at this place of theirs.
    pub fn insert_grave(&mut self, place: MemberIndex, grave: &Member) {
        let card = self.tombstones.insert(place, grave);
        self.shift(card.bucket(), card.fingerprint);
    }

    /// Removes the tombstone at this place; the one at place `last`, if it is another, takes the place.
    pub fn swap_remove_grave(&mut self, place: MemberIndex, last: MemberIndex) {
        let card = self.tombstones.remove(place);
        self.shift(card.bucket(), card.fingerprint.wrapping_neg());
        if place != last {
            self.tombstones.rename(last, place);
        }
    }

    fn shift(&mut self, bucket: usize, difference: u64) {
        let sum = &mut self.sums[bucket];
        *sum = sum.wrapping_add(difference);
        self.total = self.total.wrapping_add(difference);
    }

    /// The whole table in one number.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The table in `count` numbers, a power of two up to [`BUCKETS_MAX`].
    pub fn sums(&self, count: usize) -> Vec<u32> {
        let mut sums = vec![0_u64; count];
        for (index, of_bucket) in self.sums.iter().enumerate() {
            let sum = &mut sums[index % count];
            *sum = sum.wrapping_add(*of_bucket);
        }
        // Half of the bits do: a difference that hides once in four billion times shows in the total,
        // and is found with the next change.
        sums.into_iter().map(|sum| sum as u32).collect()
    }

    /// The members that are in bucket `index` of `count`.
    pub fn members(&self, index: usize, count: usize) -> impl Iterator<Item = MemberIndex> {
        self.members.places(index, count)
    }

    /// The tombstones that are in bucket `index` of `count`.
    pub fn tombstones(&self, index: usize, count: usize) -> impl Iterator<Item = MemberIndex> {
        self.tombstones.places(index, count)
    }

    /// Whether it is the digest of these members and tombstones, by place; for audits.
    pub fn is_sound<'m>(
        &self,
        members: impl ExactSizeIterator<Item = &'m Member>,
        tombstones: impl ExactSizeIterator<Item = &'m Member>,
    ) -> bool {
        let mut total = 0_u64;
        for card in self.members.cards.iter().chain(&self.tombstones.cards) {
            total = total.wrapping_add(card.fingerprint);
        }
        total == self.total
            && self.members.is_sound(members)
            && self.tombstones.is_sound(tombstones)
    }
}

/// Of how many members of a bucket the hashes are compared with that of a sender. A bucket of the largest table has
/// a quarter as many, unless others choose what is in it.
const LOOKUPS_MAX: usize = 1024;

impl Digest {
    /// The member whose URI has a hash that ends like this; `None` if there is none, or two of them.
    pub fn member_by_hash(&self, hash: u32) -> Option<MemberIndex> {
        let places = &self.members.buckets[bucket_of(hash.into())];
        if places.len() > LOOKUPS_MAX {
            return None;
        }
        let has_hash =
            |place: &&MemberIndex| self.members.cards[**place as usize].uri as u32 == hash;
        let mut found = places.iter().filter(has_hash);
        let first = found.next();
        if found.next().is_some() {
            return None;
        }
        first.copied()
    }
}

/// The hash of a URI, by which it has its bucket.
// Without a key: peers have to come to the same buckets.
pub fn hash_of(uri: &str) -> u64 {
    xxh3_64(uri.as_bytes())
}

/// The bucket of the record whose URI has this hash.
const fn bucket_of(hash: u64) -> usize {
    hash as usize % BUCKETS_MAX
}

/// A hash of what others could learn from the record, whose URI has the hash `uri`.
// A suspect counts as alive: a suspicion is on its way to be settled, by gossip, on every member for
// itself, and comparing tables would only get in between.
fn fingerprint(uri: u64, member: &Member) -> u64 {
    let settled = match member.claim.status {
        Status::Suspect => Status::Alive,
        status => status,
    };
    let payload = match member.current_payload() {
        // One more, so that a payload whose hash is 0 is told from none.
        Some(payload) => payload.semantic_hash().wrapping_add(1),
        None => 0,
    };
    let claim = mix(member.claim.incarnation.get(), settled.number().into());
    mix(mix(uri, claim), payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::uri::Uri;
    use crate::table::claim::{Claim, Incarnation};
    use crate::table::payload::Payload;
    use crate::time::Micros;

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
            .for_each(|(place, member)| digest.insert(place, member));
        digest
    }

    #[test]
    fn the_order_does_not_matter_and_what_is_added_can_be_taken_out() {
        let [one, two] = [1, 2].map(|port| member(port, Status::Alive, None));
        let both = digest(&[one.clone(), two.clone()]);
        assert_eq!(both.total(), digest(&[two.clone(), one.clone()]).total());
        let mut rest = both;
        rest.remove(1);
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
