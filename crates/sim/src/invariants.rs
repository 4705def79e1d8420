//! What must be so, at every moment and whatever happens: looked after with every input, or a bad
//! state could hide behind the next good one.
//!
//! 1. In nobody's table the claim about anybody gets weaker, unless it is forgotten altogether, or could
//!    not be contradicted otherwise.
//! 2. Nobody holds, and nobody says, of anybody an incarnation that he never had: only he himself
//!    raises it.
//! 3. No datagram is larger than `MAX_PACKET_SIZE`, and all can be decoded.
//! 4. No rumor is sent more often than λ·⌈log2(N + 1)⌉ times.
//! 5. Nobody wants to be woken in the past, nor again for what it has just been woken for.
//! 6. What is kept in two places is the same in both, digests are those of tables, and everything
//!    has its bound ([`Swim::audit`]).

use std::collections::BTreeSet;

use indexmap::IndexMap;
use xxhash_rust::xxh3::xxh3_64;

use crate::engine::Engine;
use crate::host::Id;
use swim::dissemination::hearsay::LEAP_MAX;
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Incarnation, Status};
use swim::time::{Micros, Now};
use swim::wire::{Body, Event, Message, MessageType, decode_first};
use swim::{Changes, Position, Swim};

/// What is known of the past, to judge the present by.
#[derive(Default)]
pub struct Checks {
    /// The incarnations that everybody has had, by URI.
    had: IndexMap<Uri, BTreeSet<Incarnation>>,
    watches: Vec<Watch>,
}

/// How many members are read at once: few, so that readers are often in the midst of it.
const PART: usize = 3;

/// What is known of one process.
#[derive(Default)]
struct Watch {
    /// How far its table is known.
    position: Position,
    table: IndexMap<Uri, Claim>,
    /// When it wanted to be woken.
    deadline: Option<Micros>,
    /// What it has spread last of everybody, and how often.
    spread: IndexMap<Uri, Spread>,
    /// The largest limit there was for that.
    spread_max: u32,
}

struct Spread {
    claim: Claim,
    payload: Option<u64>,
    times: u32,
}

/// A rule that was broken, for people to read.
pub type Violation = String;

/// What an input was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed.
    Timeout,
    /// Anything else.
    Other,
}

impl Checks {
    /// A new process runs on `id`.
    pub fn begin(&mut self, id: Id) {
        let count = self.watches.len().max(id.index() + 1);
        self.watches.resize_with(count, Watch::default);
        self.watches[id.index()] = Watch::default();
    }

    /// `uri` is about to be added by somebody who holds this of it: he makes that claim in its place.
    pub fn grant(&mut self, uri: &Uri, held: Option<Claim>) {
        let claimed = held.map_or(Incarnation::FIRST, |held| held.incarnation.next());
        self.had.entry(uri.clone()).or_default().insert(claimed);
    }

    /// Something comes from outside of the world: whatever it says may be believed.
    pub fn forgive(&mut self, datagram: &[u8]) {
        let Ok((message, _behind)) = decode_first(datagram) else {
            return;
        };
        for event in statements(&message) {
            let uri = Uri::from_wire(event.uri).expect("checked when decoded");
            self.had
                .entry(uri)
                .or_default()
                .insert(event.claim.incarnation);
        }
    }

    /// Notes what somebody says of himself, before he can say it to others.
    pub fn note_own_claim(&mut self, engine: &Engine) {
        let own = engine
            .myself()
            .and_then(|uri| Some((uri, engine.view(uri)?)));
        if let Some((uri, (claim, _payload))) = own
            && !self.has_had(uri, claim)
        {
            let had = self.had.entry(uri.clone()).or_default();
            had.insert(claim.incarnation);
        }
    }

    fn has_had(&self, uri: &str, claim: Claim) -> bool {
        let had = self.had.get(uri);
        had.is_some_and(|had| had.contains(&claim.incarnation))
    }

    /// `id` has had an input, and its outputs are drained.
    pub fn look(
        &mut self,
        id: Id,
        engine: &Engine,
        input: Input,
        now: Now,
    ) -> Result<(), Violation> {
        let Some(swim) = engine.swim() else {
            return Ok(());
        };
        self.look_at_changes(id, swim)?;
        let watch = &mut self.watches[id.index()];
        watch.look_at_deadline(swim.next_deadline(), input, now.monotonic)?;
        swim.audit()
            .map_err(|broken| format!("no longer so: {broken}"))
    }

    /// Reads as Lua does, but in smaller parts.
    fn look_at_changes(&mut self, id: Id, swim: &Swim) -> Result<(), Violation> {
        let read_up_to = |watch: &Watch| watch.position.version;
        while read_up_to(&self.watches[id.index()]) != swim.version() {
            let position = self.watches[id.index()].position;
            self.look_at_part(id, swim.changes_since(position, PART))?;
        }
        let (read, there) = (self.watches[id.index()].table.len(), swim.members().len());
        if read != there {
            return Err(format!(
                "a reader knows {read} members, and there are {there}"
            ));
        }
        Ok(())
    }

    fn look_at_part(&mut self, id: Id, changes: Changes<'_>) -> Result<(), Violation> {
        let watch = &mut self.watches[id.index()];
        watch.position = changes.position;
        if changes.reset {
            watch.table.clear();
            watch.spread.clear();
        }
        for uri in &changes.part.gone {
            watch.table.swap_remove(uri);
            watch.spread.swap_remove(uri);
        }
        for member in changes.part.members {
            let (uri, claim) = (&member.uri, member.claim);
            let weaker = |held: &&Claim| claim < **held && !may_replace(claim, **held);
            if let Some(held) = watch.table.get(uri).filter(weaker) {
                return Err(format!(
                    "the claim about {uri} fell from {held:?} to {claim:?}"
                ));
            }
            let had = self.had.get(uri);
            if !had.is_some_and(|had| had.contains(&claim.incarnation)) {
                return Err(format!("holds {claim:?} of {uri}, which it never was"));
            }
            watch.table.insert(uri.clone(), claim);
        }
        Ok(())
    }

    /// `id` sends something.
    pub fn look_at_datagram(
        &mut self,
        id: Id,
        engine: &Engine,
        to: &Uri,
        datagram: &[u8],
    ) -> Result<(), Violation> {
        let Some(swim) = engine.swim() else {
            return Ok(());
        };
        let (size, limit) = (datagram.len(), swim.config().max_packet_size);
        if size > limit {
            return Err(format!("sends {size} bytes, and the limit is {limit}"));
        }
        let opened = swim
            .peek(datagram)
            .ok_or("sends what it cannot open itself")?;
        let message = opened
            .message()
            .map_err(|why| format!("sends what is malformed: {why:?}"))?;
        for event in statements(&message) {
            if !self.has_had(event.uri, event.claim) {
                let Event { uri, claim, .. } = event;
                return Err(format!("says {claim:?} of {uri}, which it never was"));
            }
        }
        self.watches[id.index()].count_rumors(swim, to, &message)
    }
}

impl Watch {
    fn look_at_deadline(
        &mut self,
        deadline: Option<Micros>,
        input: Input,
        now: Micros,
    ) -> Result<(), Violation> {
        let passed = |deadline: Option<Micros>| deadline.is_some_and(|at| at < now);
        let late = match input {
            Input::Timeout => deadline.is_some_and(|at| at <= now),
            // Who was late before may be so until the timeout is handled.
            Input::Other => passed(deadline) && !passed(self.deadline),
        };
        self.deadline = deadline;
        if late {
            return Err(format!(
                "wants to be woken at {deadline:?}, and it is {now:?}"
            ));
        }
        Ok(())
    }

    /// Counts everything that was not said because of who the sender or the recipient is.
    fn count_rumors(
        &mut self,
        swim: &Swim,
        to: &Uri,
        message: &Message<'_>,
    ) -> Result<(), Violation> {
        if matches!(
            message.body.kind(),
            MessageType::SyncReq | MessageType::SyncAck
        ) {
            return Ok(());
        }
        self.spread_max = self.spread_max.max(spread_limit(swim));
        for event in &message.events {
            if event.uri == message.sender || *event.uri == **to {
                continue;
            }
            let payload = event.payload.map(xxh3_64);
            let uri = Uri::from_wire(event.uri).expect("checked when decoded");
            let spread = self.spread.entry(uri).or_insert(Spread {
                claim: event.claim,
                payload,
                times: 0,
            });
            if (spread.claim, spread.payload) != (event.claim, payload) {
                (spread.claim, spread.payload, spread.times) = (event.claim, payload, 0);
            }
            spread.times += 1;
            if spread.times > self.spread_max {
                let (times, limit) = (spread.times, self.spread_max);
                let Event { uri, claim, .. } = event;
                return Err(format!(
                    "spreads {claim:?} of {uri} {times} times, the limit being {limit}"
                ));
            }
        }
        Ok(())
    }
}

/// λ·⌈log2(N + 1)⌉, where N is as large as it can have been amid the input: who left just now was
/// present before.
fn spread_limit(swim: &Swim) -> u32 {
    let multiplier = u32::try_from(swim.config().retransmit_multiplier).unwrap_or(u32::MAX);
    let known = swim.members().len();
    multiplier.saturating_mul((usize::BITS - known.leading_zeros()).max(1))
}

/// Whether a claim may take the place of a stronger one: by the member's own word, which is far below
/// it, or by its answer at the last incarnation.
fn may_replace(claim: Claim, held: Claim) -> bool {
    let last = claim.incarnation == held.incarnation && held.incarnation.is_last();
    claim.incarnation.leaps_to(held.incarnation, LEAP_MAX) || last && claim.status == Status::Alive
}

/// Everything that is said of anybody, in events and records.
fn statements<'a, 'b>(message: &'b Message<'a>) -> impl Iterator<Item = &'b Event<'a>> {
    let records = match &message.body {
        Body::SyncReq(records) | Body::SyncAck(records) => &records[..],
        Body::Ping(_) | Body::Ack(_) | Body::Leave => &[],
    };
    records.iter().chain(&message.events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use swim::config::Config;
    use swim::wire::{CHECKSUM_SIZE, MessageBuilder, checksummed};

    const A: Id = Id(0);

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a URI")
    }

    fn claim(incarnation: u64, status: Status) -> Claim {
        let incarnation = Incarnation::from_wire(incarnation).expect("admissible");
        Claim {
            incarnation,
            status,
        }
    }

    /// `a:1`, who has heard of `a:2`, and all is as it should be.
    fn scene() -> (Checks, Engine, Now) {
        let now = Now::default();
        let mut swim = Swim::new(Config::default(), 1);
        let mut checks = Checks::default();
        checks.begin(A);
        swim.init(uri(1), now);
        checks.grant(&uri(2), None);
        swim.add_member(uri(2), now);
        while swim.poll_transmit().is_some() {}
        let engine = Engine::Swim(Box::new(swim));
        checks.note_own_claim(&engine);
        assert_eq!(checks.look(A, &engine, Input::Other, now), Ok(()));
        (checks, engine, now)
    }

    fn sent(events: &[(u16, Claim)], size: usize) -> Vec<u8> {
        let mut draft = MessageBuilder::leave(&uri(1), 65_000);
        for (port, claim) in events {
            assert!(draft.event(&uri(*port), *claim, None, 1));
        }
        let datagram = draft.finish().expect("it fits");
        // A trailer with a label of this size, and the checksum, behind it.
        let rest = size.saturating_sub(datagram.len());
        match rest.checked_sub(5 + CHECKSUM_SIZE) {
            None => datagram,
            Some(label) => {
                let head = [0x81, 6, 0xc5, (label >> 8) as u8, label as u8];
                checksummed([&datagram[..], &head, &vec![0; label]].concat())
            }
        }
    }

    #[test]
    fn a_claim_that_gets_weaker_is_found() {
        let (mut checks, mut engine, now) = scene();
        checks.watches[0]
            .table
            .insert(uri(2), claim(1, Status::Dead));
        checks.watches[0].position = Position::default();
        let found = checks.look(A, &engine, Input::Other, now).unwrap_err();
        assert!(found.contains("fell"), "{found}");

        // To forget somebody altogether is no such thing.
        engine.swim_mut().expect("ours").remove_member(&uri(2));
        assert_eq!(checks.look(A, &engine, Input::Other, now), Ok(()));
    }

    #[test]
    fn an_incarnation_that_nobody_had_is_found_in_tables_and_datagrams() {
        let (mut checks, mut engine, now) = scene();
        let rumor = sent(&[(2, claim(2, Status::Alive))], 0);
        let found = checks
            .look_at_datagram(A, &engine, &uri(3), &rumor)
            .unwrap_err();
        assert!(found.contains("says"), "{found}");
        engine.handle_datagram(&rumor, Id(3), &uri(3), now);
        while engine.poll_transmit().is_some() {}
        let found = checks.look(A, &engine, Input::Other, now).unwrap_err();
        assert!(found.contains("holds"), "{found}");
    }

    #[test]
    fn a_datagram_too_large_or_malformed_is_found() {
        let (mut checks, engine, _) = scene();
        let mut look = |datagram: &[u8]| checks.look_at_datagram(A, &engine, &uri(2), datagram);
        assert_eq!(look(&sent(&[], 1472)), Ok(()));
        assert!(look(&sent(&[], 1473)).unwrap_err().contains("1473 bytes"));
        assert!(look(b"\x93").unwrap_err().contains("malformed"));
    }

    #[test]
    fn a_rumor_without_end_is_found() {
        let (mut checks, engine, _) = scene();
        let rumor = sent(&[(2, claim(1, Status::Suspect))], 0);
        let mut look = |to| checks.look_at_datagram(A, &engine, &uri(to), &rumor);
        // Two members, three times ⌈log2(2 + 1)⌉.
        assert!((0..6).all(|_| look(3).is_ok()));
        assert!(look(3).unwrap_err().contains("7 times"));
        assert_eq!(
            look(2),
            Ok(()),
            "what is told to whom it is about is no rumor"
        );
    }

    #[test]
    fn a_wish_to_be_woken_in_the_past_is_found() {
        let mut watch = Watch::default();
        let [early, now, late] = [1, 2, 3].map(Micros);
        let mut look = |deadline, input| watch.look_at_deadline(Some(deadline), input, now);
        assert_eq!(look(late, Input::Timeout), Ok(()));
        assert!(look(now, Input::Timeout).is_err());
        assert_eq!(look(now, Input::Other), Ok(()));
        assert!(look(early, Input::Other).is_err());
        assert_eq!(look(early, Input::Other), Ok(()), "it is late already");
    }

    #[test]
    fn what_the_audit_says_is_heard() {
        let (mut checks, mut engine, now) = scene();
        engine.add_member(uri(3), now);
        checks.grant(&uri(3), None);
        let found = checks.look(A, &engine, Input::Other, now).unwrap_err();
        assert!(found.contains("outputs"), "{found}");
    }
}
