//! The table: all members that were heard of, and the rounds in which they are probed.

use core::time::Duration;

use indexmap::map::Entry;
use rand::rngs::StdRng;

use crate::detector::probe_history::ProbeHistory;
use crate::hashing::{HashKey, KeyedMap};
use crate::identity::uri::Uri;
use crate::table::changelog::Changelog;
use crate::table::claim::{Claim, Status};
use crate::table::digest::Digest;
use crate::table::expiry_queue::ExpiryQueue;
use crate::table::history::{Change, History, Occasion};
use crate::table::index::{MemberIndex, member_index};
use crate::table::member::{Member, admit, better_payload};
use crate::table::payload::Payload;
use crate::table::probe_order::ProbeOrder;
use crate::table::tombstones::Tombstones;
use crate::time::Micros;
use crate::wire::Event;

/// All members that were heard of, the local node included.
#[derive(Debug)]
pub struct Members {
    pub(crate) table: KeyedMap<Uri, Member>,
    /// Alive and suspect members, to be probed in turn.
    pub(super) live: ProbeOrder,
    /// Dead and non-decryptable members: probed apart, so that they take no turns of the live ones.
    pub(super) unreachable: ProbeOrder,
    /// Members that are not live and have never answered: the first to go when the table is full.
    pub(super) unproven: ProbeOrder,
    /// The other members that are not live: the next to go.
    pub(super) gone: ProbeOrder,
    pub(super) by_status: [usize; Status::ALL.len()],
    pub(crate) tombstones: Tombstones,
    pub(crate) digest: Digest,
    /// Suspect members, in the order in which they have to refute.
    pub(crate) suspicions: ExpiryQueue,
    /// Members that are dead or have left, in the order in which they are forgotten.
    pub(crate) departures: ExpiryQueue,
    pub(crate) changelog: Changelog,
    pub(super) history: History,
}

/// What an event came to.
#[must_use = "news is to be passed on"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The member was unknown, or the claim beat what was held, which was `before`.
    News {
        /// Where it is.
        place: MemberIndex,
        /// What was held.
        before: Option<Claim>,
        /// For how long that was held.
        lasted: Duration,
    },
    /// The claim is what was held, but the payload of this incarnation was not known before.
    Payload {
        /// Where it is.
        place: MemberIndex,
    },
    /// What was held is at least as good.
    Stale,
    /// A stranger, and the table is full.
    Refused,
}

impl Members {
    /// An empty table.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            table: KeyedMap::with_hasher(hash_key.clone()),
            live: ProbeOrder::default(),
            unreachable: ProbeOrder::default(),
            unproven: ProbeOrder::default(),
            gone: ProbeOrder::default(),
            by_status: [0; Status::ALL.len()],
            tombstones: Tombstones::new(hash_key),
            digest: Digest::default(),
            suspicions: ExpiryQueue::default(),
            departures: ExpiryQueue::default(),
            changelog: Changelog::default(),
            history: History::default(),
        }
    }

    /// What tables of members are hashed with.
    pub fn hash_key(&self) -> &HashKey {
        self.table.hasher()
    }

    /// Whether the digest is that of the table; for audits.
    pub fn is_sound_in_digest(&self) -> bool {
        self.digest.is_sound(self.table.values(), self.tombstones())
    }

    /// What is known of `uri`.
    pub fn get(&self, uri: &str) -> Option<&Member> {
        self.table.get(uri)
    }

    /// What is held of `uri`.
    pub fn claim(&self, uri: &str) -> Option<Claim> {
        Some(self.get(uri)?.claim)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// How many of this status there are.
    pub fn count(&self, status: Status) -> usize {
        self.by_status[index(status)]
    }

    /// N of the formulas: members that have not left.
    pub fn present(&self) -> usize {
        self.len() - self.count(Status::Left)
    }

    /// All of them, from `start` on and around, in no order that means anything.
    pub fn from(&self, start: usize) -> impl Iterator<Item = &Member> {
        let start = start % self.len().max(1);
        let table = self.table.as_slice();
        table[start..].values().chain(table[..start].values())
    }

    /// Applies an event about another member. At most `capacity` members are remembered.
    pub fn apply(
        &mut self,
        event: &Event<'_>,
        occasion: &Occasion<'_>,
        capacity: usize,
    ) -> Applied {
        let now = occasion.now.wall;
        let Some((index, _uri, member)) = self.table.get_full(event.uri.as_str()) else {
            if self
                .tombstones
                .absorb(event, now, capacity, &mut self.digest)
            {
                return Applied::Stale;
            }
            if self.len() >= capacity {
                return Applied::Refused;
            }
            self.tombstones.remove(&event.uri, &mut self.digest);
            let uri = event.uri.to_uri();
            let payload = admit(event.payload, None);
            let place = self.put(&uri, event.claim, payload, now, occasion);
            return Applied::News {
                place,
                before: None,
                lasted: Duration::ZERO,
            };
        };
        let (place, held, since) = (member_index(index), member.claim, member.since);
        if event.claim.overrides(Some(held)) {
            let payload = admit(event.payload, member.payload.as_ref());
            self.update(place, event.claim, payload, now, occasion);
            return Applied::News {
                place,
                before: Some(held),
                lasted: now.since(since),
            };
        }
        let Some(payload) = better_payload(event, member) else {
            return Applied::Stale;
        };
        self.update(place, held, Some(payload), since, occasion);
        Applied::Payload { place }
    }

    /// Notes what is claimed of `uri`, right or wrong, and says where it is. Keeps the payload that was
    /// known if there is no newer one. `since` is when the claim was made.
    pub fn put(
        &mut self,
        uri: &Uri,
        claim: Claim,
        payload: Option<Payload>,
        since: Micros,
        occasion: &Occasion<'_>,
    ) -> MemberIndex {
        let entry = self.table.entry(uri.clone());
        let place = member_index(entry.index());
        let Entry::Vacant(entry) = entry else {
            self.update(place, claim, payload, since, occasion);
            return place;
        };
        let member = entry.insert(Member {
            payload,
            ..Member::new(uri.clone(), claim, since)
        });
        self.digest.insert(place, member);
        self.note_change(place, None, false, occasion);
        place
    }

    /// Notes what is claimed of the member at `place`.
    fn update(
        &mut self,
        place: MemberIndex,
        claim: Claim,
        payload: Option<Payload>,
        since: Micros,
        occasion: &Occasion<'_>,
    ) {
        let member = &mut self.table[place as usize];
        let before = member.claim;
        let has_new_payload = match &payload {
            Some(payload) => is_other_payload(payload, member.payload.as_ref()),
            None => false,
        };
        if claim.status.is_live() && !before.status.is_live() {
            member.evidence = ProbeHistory::default(); // that of its last life
            member.validated = None;
            member.rhythm = None;
        }
        if claim.incarnation != before.incarnation {
            // Perhaps it was restarted, as another version.
            (member.knows_my, member.reads_short) = (None, false);
        }
        (member.claim, member.since) = (claim, since);
        if payload.is_some() {
            member.payload = payload;
            member.payload_of = claim.incarnation;
        }
        self.digest.update(place, member);
        self.note_change(place, Some(before), has_new_payload, occasion);
    }

    /// Notes that the member at `place` is new, or was thus `before`.
    fn note_change(
        &mut self,
        place: MemberIndex,
        before: Option<Claim>,
        has_new_payload: bool,
        occasion: &Occasion<'_>,
    ) {
        self.changelog.touch(place);
        let Member { uri, claim, .. } = &self.table[place as usize];
        let after = *claim;
        if before != Some(after) || has_new_payload {
            self.history.note(Change {
                number: self.changelog.version(),
                at: occasion.now,
                uri: uri.clone(),
                before,
                after: Some(after),
                has_new_payload,
                reason: occasion.reason.clone(),
            });
        }
        let status_before = before.map(|claim| claim.status);
        self.recount(place, status_before, Some(after.status));
        self.classify(place);
    }

    /// A fingerprint of the table.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The members of bucket `index` of `count`, as the digest divides them.
    pub fn in_bucket(&self, index: usize, count: usize) -> impl Iterator<Item = &Member> {
        self.digest
            .members(index, count)
            .map(|place| self.at(place))
    }

    /// Makes room for so many more.
    pub fn reserve(&mut self, additional: usize) {
        self.table.reserve_exact(additional);
    }

    pub(super) fn recount(
        &mut self,
        member: MemberIndex,
        before: Option<Status>,
        after: Option<Status>,
    ) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.by_status[index(before)] -= 1;
            if let Some(round) = self.round(before) {
                round.remove(member);
            }
        }
        if let Some(after) = after {
            self.by_status[index(after)] += 1;
            if let Some(round) = self.round(after) {
                round.insert(member);
            }
        }
    }

    /// Notes whether the member at this place can be spared, and how well.
    pub(crate) fn classify(&mut self, place: MemberIndex) {
        self.unproven.remove(place);
        self.gone.remove(place);
        let member = &self.table[place as usize];
        match (member.claim.status.is_live(), member.has_answered) {
            (true, _) => {}
            (false, false) => self.unproven.insert(place),
            (false, true) => self.gone.insert(place),
        }
    }

    /// The member that is missed least, if any is: it is not live, and has never answered if there is
    /// one that has not.
    pub fn most_expendable(&mut self, rng: &mut StdRng) -> Option<Uri> {
        let place = self.unproven.take(rng).or_else(|| self.gone.take(rng))?;
        Some(self.at(place).uri.clone())
    }

    /// Whether all members that can be spared are known as such; for audits.
    pub fn is_sound_in_expendable(&self) -> bool {
        let gone = |member: &&Member| !member.claim.status.is_live();
        let unproven = |member: &&Member| gone(member) && !member.has_answered;
        let unproven = self.from(0).filter(unproven).count();
        let gone = self.from(0).filter(gone).count() - unproven;
        (self.unproven.len(), self.gone.len()) == (unproven, gone)
    }

    fn round(&mut self, status: Status) -> Option<&mut ProbeOrder> {
        match status {
            Status::Alive | Status::Suspect => Some(&mut self.live),
            Status::Dead | Status::NonDecryptable => Some(&mut self.unreachable),
            Status::Left => None,
        }
    }

    /// What changed, and when.
    pub const fn changelog(&self) -> &Changelog {
        &self.changelog
    }

    /// Every change, with its reason, as far as it is remembered.
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// The number of the last change of anything that a user can see.
    pub const fn version(&self) -> u64 {
        self.changelog.version()
    }

    /// The number of the last change that subscribers are to hear of.
    pub const fn news(&self) -> u64 {
        self.changelog.news()
    }

    /// Where in the table `uri` is.
    pub fn place_of(&self, uri: &str) -> Option<MemberIndex> {
        Some(member_index(self.table.get_index_of(uri)?))
    }

    /// The member at this place of the table.
    pub fn at(&self, place: MemberIndex) -> &Member {
        &self.table[place as usize]
    }
}

/// Whether programs see another payload than before. One that was never heard is shown as an empty table.
fn is_other_payload(payload: &Payload, known: Option<&Payload>) -> bool {
    match known {
        Some(known) => payload != known,
        // An empty table takes one byte.
        None => payload.bytes().len() > 1,
    }
}

const fn index(status: Status) -> usize {
    status as usize - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::uri::UriRef;
    use crate::table::changelog::Position;
    use crate::table::claim::Incarnation;
    use crate::table::reason::Reason;
    use crate::time::Now;
    use rand::SeedableRng;

    fn event<'a>(incarnation: u64, status: Status, payload: Option<&'a [u8]>) -> Event<'a> {
        let incarnation = Incarnation::from_wire(incarnation).unwrap();
        Event {
            uri: UriRef::from_wire("a:1").unwrap(),
            claim: Claim {
                incarnation,
                status,
            },
            payload,
            ttl: 0.0,
            reads_short: false,
        }
    }

    /// The members themselves have said so, at 7 µs.
    fn occasion() -> Occasion<'static> {
        let now = Now {
            wall: Micros(7),
            ..Now::default()
        };
        let reason = &Reason::Announced;
        Occasion { now, reason }
    }

    fn apply(members: &mut Members, event: Event<'_>) -> Applied {
        members.apply(&event, &occasion(), 10)
    }

    const ONE: Option<&[u8]> = Some(b"\x91\x01");
    const TWO: Option<&[u8]> = Some(b"\x91\x02");

    #[test]
    fn a_payload_is_taken_at_an_equal_incarnation_where_none_was_known() {
        let mut members = Members::new(&HashKey::derive(&[1; 32]));
        let payload = |members: &Members| members.get("a:1").unwrap().payload.clone();
        assert!(matches!(
            apply(&mut members, event(1, Status::Alive, None)),
            Applied::News { before: None, .. }
        ));
        assert_eq!(payload(&members), None);
        let added = Applied::Payload { place: 0 };
        assert_eq!(apply(&mut members, event(1, Status::Alive, ONE)), added);
        assert_eq!(
            apply(&mut members, event(1, Status::Alive, TWO)),
            Applied::Stale
        );
        assert_eq!(payload(&members).unwrap().bytes(), ONE.unwrap());

        // News without a payload shows the old one on, but does not say that it is the present one.
        assert!(matches!(
            apply(&mut members, event(2, Status::Alive, None)),
            Applied::News {
                before: Some(_),
                ..
            }
        ));
        assert_eq!(payload(&members).unwrap().bytes(), ONE.unwrap());
        assert_eq!(members.get("a:1").unwrap().current_payload(), None);
        assert_eq!(apply(&mut members, event(2, Status::Alive, TWO)), added);
        assert_eq!(payload(&members).unwrap().bytes(), TWO.unwrap());
    }

    #[test]
    fn members_are_counted_and_probed_by_status() {
        let mut members = Members::new(&HashKey::derive(&[1; 32]));
        for status in [
            Status::Alive,
            Status::Suspect,
            Status::Dead,
            Status::NonDecryptable,
            Status::Left,
        ] {
            let _ = apply(&mut members, event(1, status, None));
            assert_eq!(members.count(status), 1);
            let rounds = (members.live().len(), members.unreachable());
            let expected = match status {
                Status::Alive | Status::Suspect => (1, 0),
                Status::Dead | Status::NonDecryptable => (0, 1),
                Status::Left => (0, 0),
            };
            assert_eq!((members.len(), rounds), (1, expected), "{status}");
        }
        assert_eq!(members.present(), 0);
        members.remove("a:1", &occasion());
        assert_eq!((members.len(), members.count(Status::Left)), (0, 0));
    }

    #[test]
    fn when_a_member_is_forgotten_the_others_are_found_and_probed_as_before() {
        let name = |port: u16| Uri::new("a", port).unwrap();
        for forgotten in 1..=5 {
            let mut members = Members::new(&HashKey::derive(&[1; 32]));
            for port in 1..=5 {
                let status = if port % 2 == 0 {
                    Status::Dead
                } else {
                    Status::Alive
                };
                let claim = Claim {
                    incarnation: Incarnation::FIRST,
                    status,
                };
                members.put(&name(port), claim, None, Micros(0), &occasion());
            }
            members.remove(&name(forgotten), &occasion());
            let left: Vec<Uri> = (1..=5)
                .filter(|port| *port != forgotten)
                .map(name)
                .collect();
            let missed = members.changelog().since(Position::default(), usize::MAX);
            let touched = missed
                .touched
                .iter()
                .map(|(_, place)| members.at(*place).uri.clone());
            assert_eq!(Vec::from_iter(touched), left);
            let mut in_buckets: Vec<_> = (0..8)
                .flat_map(|index| members.in_bucket(index, 8))
                .map(|m| m.uri.clone())
                .collect();
            in_buckets.sort();
            assert_eq!(in_buckets, left);
            let mut rng = StdRng::seed_from_u64(1);
            let live = members.live().len();
            let mut probed = Vec::from_iter((0..live).filter_map(|_| members.next_live(&mut rng)));
            let unreachable = members.unreachable();
            probed.extend(
                (0..unreachable).filter_map(|_| members.next_unreachable(&mut rng, Micros(0))),
            );
            probed.sort();
            assert_eq!(probed, left);
        }
    }

    #[test]
    fn a_full_table_refuses_strangers_only() {
        let mut members = Members::new(&HashKey::derive(&[1; 32]));
        let _ = members.apply(&event(1, Status::Alive, None), &occasion(), 1);
        let stranger = Event {
            uri: UriRef::from_wire("b:1").unwrap(),
            ..event(1, Status::Alive, None)
        };
        let heard = members.apply(&stranger, &occasion(), 1);
        assert_eq!(heard, Applied::Refused);
        assert!(matches!(
            members.apply(&event(2, Status::Dead, None), &occasion(), 1),
            Applied::News { .. }
        ));
    }

    #[test]
    fn a_clock_delta_is_a_change_but_no_news() {
        let mut members = Members::new(&HashKey::derive(&[1; 32]));
        let _ = apply(&mut members, event(1, Status::Alive, None));
        let (version, news) = (members.version(), members.news());
        members.set_clock_delta("a:1", 5.5);
        let position = Position { version, origin: 0 };
        assert_eq!(
            members
                .changelog()
                .since(position, usize::MAX)
                .touched
                .len(),
            1
        );
        assert_eq!(members.news(), news);
        assert_eq!(members.get("a:1").unwrap().since, Micros(7));
    }

    #[test]
    fn what_a_member_knew_is_not_taken_for_known_once_it_counts_anew() {
        let mut members = Members::new(&HashKey::derive(&[1; 32]));
        let knows = |members: &Members| members.get("a:1").unwrap().knows_my;
        let told = Incarnation::from_wire(5);
        let _news = apply(&mut members, event(1, Status::Alive, None));
        members.note_told("a:1", told.unwrap());
        let _news = apply(&mut members, event(1, Status::Suspect, None));
        assert_eq!(knows(&members), told, "it need not have been restarted");
        let _news = apply(&mut members, event(2, Status::Alive, None));
        assert_eq!(knows(&members), None, "perhaps it was restarted");
    }
}
