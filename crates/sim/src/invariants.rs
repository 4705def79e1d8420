//! Rules that hold at every moment, whatever happens. They are checked after every input, as the next good
//! state could hide a bad one.
//!
//! 1. The claim about a member in a table never gets weaker, unless the member is forgotten, or could not
//!    refute otherwise.
//! 2. No member holds or sends an incarnation that the subject never had: only the subject raises it.
//! 3. No datagram is larger than `MAX_PACKET_SIZE`, and all can be decoded.
//! 4. No rumor is sent more often than λ·⌈log2(N + 1)⌉ times.
//! 5. No deadline is in the past, nor is it the one that was just handled.
//! 6. State that is kept twice is equal, digests are those of the tables, and everything has its bound
//!    ([`Swim::audit`]).

use std::collections::BTreeSet;

use indexmap::IndexMap;
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use crate::engine::Engine;
use crate::host::Id;
use swim::dissemination::hearsay::LEAP_MAX;
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Incarnation, Status};
use swim::time::{Micros, Now};
use swim::wire::{Body, Event, Message, MessageType, Names, decode_first, decode_named};
use swim::{Changes, Position, Swim};

/// What the rules need to know of the past.
#[derive(Default)]
pub struct Invariants {
    /// The incarnations that each member has claimed, by URI.
    claimed: IndexMap<Uri, BTreeSet<Incarnation>>,
    processes: Vec<Process>,
}

/// How many members are read at once: few, so that there are often changes between two parts.
const PART: usize = 3;

/// The past of one process.
#[derive(Default)]
struct Process {
    /// Up to which change its table was read.
    position: Position,
    table: IndexMap<Uri, Claim>,
    /// Its last deadline.
    deadline: Option<Micros>,
    /// The last rumor that it has sent about each member, and how often.
    spread: IndexMap<Uri, Spread>,
    /// The largest limit that there was for that.
    spread_max: u32,
}

struct Spread {
    claim: Claim,
    payload: Option<u64>,
    times: u32,
}

/// A rule that was broken, in words.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Violation(String);

/// The kind of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed.
    Timeout,
    /// Anything else.
    Other,
}

impl Invariants {
    /// A new process was started on `id`.
    pub fn begin(&mut self, id: Id) {
        let count = self.processes.len().max(id.index() + 1);
        self.processes.resize_with(count, Process::default);
        self.processes[id.index()] = Process::default();
    }

    /// A user is about to add `uri` to a table that holds this claim about it. The adding member makes the
    /// next claim on its behalf.
    pub fn allow_claim_by_adding(&mut self, uri: &Uri, held: Option<Claim>) {
        let claimed = match held {
            Some(held) => held.incarnation.next(),
            None => Incarnation::FIRST,
        };
        self.claimed.entry(uri.clone()).or_default().insert(claimed);
    }

    /// A forged or damaged datagram arrives. Members may apply what it claims.
    pub fn allow_claims_of(&mut self, datagram: &[u8]) {
        let Ok((message, _behind)) = decode_first(datagram) else {
            return;
        };
        for event in statements(&message) {
            if let Some(uri) = Uri::from_wire(&event.uri) {
                let claimed = self.claimed.entry(uri).or_default();
                claimed.insert(event.claim.incarnation);
            }
        }
    }

    /// Notes the claim of a member about itself, before it can send that to others.
    pub fn note_own_claim(&mut self, engine: &Engine) {
        if let Some(uri) = engine.myself()
            && let Some((claim, _payload)) = engine.view(uri)
            && !self.has_claimed(uri, claim)
        {
            let claimed = self.claimed.entry(uri.clone()).or_default();
            claimed.insert(claim.incarnation);
        }
    }

    fn has_claimed(&self, uri: &str, claim: Claim) -> bool {
        match self.claimed.get(uri) {
            Some(claimed) => claimed.contains(&claim.incarnation),
            None => false,
        }
    }

    /// Checks the engine of `id` after an input, when its outputs are drained.
    pub fn check(
        &mut self,
        id: Id,
        engine: &Engine,
        input: Input,
        now: Now,
    ) -> Result<(), Violation> {
        let Some(swim) = engine.swim() else {
            return Ok(());
        };
        self.check_changes(id, swim)?;
        let process = &mut self.processes[id.index()];
        process.check_deadline(swim.next_deadline(), input, now.monotonic)?;
        match swim.audit() {
            Ok(()) => Ok(()),
            Err(broken) => Err(Violation(format!("the audit found: {broken}"))),
        }
    }

    /// Reads the changes of the table as Lua does, but in smaller parts.
    fn check_changes(&mut self, id: Id, swim: &Swim) -> Result<(), Violation> {
        let read_up_to = |process: &Process| process.position.version;
        while read_up_to(&self.processes[id.index()]) != swim.version() {
            let position = self.processes[id.index()].position;
            self.check_part(id, swim.changes_since(position, PART))?;
        }
        let (read, there) = (self.processes[id.index()].table.len(), swim.members().len());
        if read != there {
            return Err(Violation(format!(
                "a reader knows {read} members, and there are {there}"
            )));
        }
        Ok(())
    }

    fn check_part(&mut self, id: Id, changes: Changes<'_>) -> Result<(), Violation> {
        let process = &mut self.processes[id.index()];
        process.position = changes.position;
        if changes.reset {
            process.table.clear();
            process.spread.clear();
        }
        for uri in &changes.part.gone {
            process.table.swap_remove(uri);
            process.spread.swap_remove(uri);
        }
        for member in changes.part.members {
            let (uri, claim) = (&member.uri, member.claim);
            if let Some(held) = process.table.get(uri)
                && claim < *held
                && !may_replace(claim, *held)
            {
                return Err(Violation(format!(
                    "the claim about {uri} fell from {held:?} to {claim:?}"
                )));
            }
            let claimed = self.claimed.get(uri);
            if !claimed.is_some_and(|claimed| claimed.contains(&claim.incarnation)) {
                return Err(Violation(format!(
                    "holds {claim:?} of {uri}, which it never was"
                )));
            }
            let held = process.table.insert(uri.clone(), claim);
            // It has answered at the last incarnation: should it be suspected again, that is news again.
            if held.is_some_and(|held| claim < held) {
                process.spread.swap_remove(uri);
            }
        }
        Ok(())
    }

    /// Checks a datagram that `id` sends.
    pub fn check_datagram(
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
            return Err(Violation(format!(
                "sends {size} bytes, and the limit is {limit}"
            )));
        }
        let Some(opened) = swim.peek(datagram) else {
            return Err(Violation(
                "sends a datagram that it cannot open itself".into(),
            ));
        };
        // One that has just left has no name any more, and does not speak in the short form.
        let myself = swim.myself().unwrap_or(to);
        let names = Names::between(myself.clone(), to.clone());
        let message = match decode_named(&opened.plain, &names) {
            Ok(message) => message,
            Err(why) => return Err(Violation(format!("sends a malformed datagram: {why:?}"))),
        };
        for event in statements(&message) {
            if !self.has_claimed(&event.uri, event.claim) {
                let Event { uri, claim, .. } = event;
                return Err(Violation(format!(
                    "says {claim:?} of {uri}, which it never was"
                )));
            }
        }
        self.processes[id.index()].count_rumors(swim, to, &message)
    }
}

impl Process {
    fn check_deadline(
        &mut self,
        deadline: Option<Micros>,
        input: Input,
        now: Micros,
    ) -> Result<(), Violation> {
        let passed = |deadline: Option<Micros>| deadline.is_some_and(|at| at < now);
        let late = match input {
            Input::Timeout => deadline.is_some_and(|at| at <= now),
            // A deadline that had passed before may stay so until the timeout is handled.
            Input::Other => passed(deadline) && !passed(self.deadline),
        };
        self.deadline = deadline;
        if late {
            return Err(Violation(format!(
                "wants to be woken at {deadline:?}, and it is {now:?}"
            )));
        }
        Ok(())
    }

    /// Counts the rumors in a message. What it says of its sender and recipient is no rumor.
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
            let Some(uri) = Uri::from_wire(&event.uri) else {
                continue;
            };
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
                return Err(Violation(format!(
                    "spreads {claim:?} of {uri} {times} times, the limit being {limit}"
                )));
            }
        }
        Ok(())
    }
}

/// λ·⌈log2(N + 1)⌉, where N is as large as it can have been during the input: a member that has just left
/// was present before.
fn spread_limit(swim: &Swim) -> u32 {
    let multiplier = u32::try_from(swim.config().retransmit_multiplier).unwrap_or(u32::MAX);
    let known = swim.members().len();
    multiplier.saturating_mul((usize::BITS - known.leading_zeros()).max(1))
}

/// Whether a claim may replace a stronger one: it is the member's own, and far below; or the member has
/// answered at the last incarnation.
fn may_replace(claim: Claim, held: Claim) -> bool {
    let last = claim.incarnation == held.incarnation && held.incarnation.is_last();
    claim.incarnation.leaps_to(held.incarnation, LEAP_MAX) || last && claim.status == Status::Alive
}

/// All events and records of a message.
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

    /// `a:1`, which knows `a:2`, with no rule broken.
    fn scene() -> (Invariants, Engine, Now) {
        let now = Now::default();
        let mut swim = Swim::new(Config::default(), 1);
        let mut invariants = Invariants::default();
        invariants.begin(A);
        swim.init(uri(1), now);
        invariants.allow_claim_by_adding(&uri(2), None);
        swim.add_member(uri(2), now);
        while swim.poll_transmit().is_some() {}
        let engine = Engine::Native(Box::new(swim));
        invariants.note_own_claim(&engine);
        assert_eq!(invariants.check(A, &engine, Input::Other, now), Ok(()));
        (invariants, engine, now)
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
        let (mut invariants, mut engine, now) = scene();
        invariants.processes[0]
            .table
            .insert(uri(2), claim(1, Status::Dead));
        invariants.processes[0].position = Position::default();
        let found = invariants.check(A, &engine, Input::Other, now).unwrap_err();
        assert!(found.0.contains("fell"), "{found}");

        // Forgetting the member is allowed.
        let swim = engine.swim_mut().expect("native");
        swim.remove_member(&uri(2), now);
        assert_eq!(invariants.check(A, &engine, Input::Other, now), Ok(()));
    }

    #[test]
    fn an_incarnation_that_the_subject_never_had_is_found_in_tables_and_datagrams() {
        let (mut invariants, mut engine, now) = scene();
        let rumor = sent(&[(2, claim(2, Status::Alive))], 0);
        let found = invariants
            .check_datagram(A, &engine, &uri(3), &rumor)
            .unwrap_err();
        assert!(found.0.contains("says"), "{found}");
        // It hears that of another: in its own name, it would be of a double.
        let mut heard = MessageBuilder::leave(&uri(3), 65_000);
        assert!(heard.event(&uri(2), claim(2, Status::Alive), None, 1));
        let heard = heard.finish().expect("it fits");
        engine.handle_datagram(&heard, Id(3), &uri(3), now);
        while engine.poll_transmit().is_some() {}
        while engine.poll_report().is_some() {}
        let found = invariants.check(A, &engine, Input::Other, now).unwrap_err();
        assert!(found.0.contains("holds"), "{found}");
    }

    #[test]
    fn a_datagram_too_large_or_malformed_is_found() {
        let (mut invariants, engine, _) = scene();
        let mut look = |datagram: &[u8]| invariants.check_datagram(A, &engine, &uri(2), datagram);
        assert_eq!(look(&sent(&[], 1472)), Ok(()));
        assert!(look(&sent(&[], 1473)).unwrap_err().0.contains("1473 bytes"));
        assert!(look(b"\x93").unwrap_err().0.contains("malformed"));
    }

    #[test]
    fn a_rumor_that_is_sent_without_end_is_found() {
        let (mut invariants, engine, _) = scene();
        let rumor = sent(&[(2, claim(1, Status::Suspect))], 0);
        let mut look = |to| invariants.check_datagram(A, &engine, &uri(to), &rumor);
        // Two members, three times ⌈log2(2 + 1)⌉.
        assert!((0..6).all(|_| look(3).is_ok()));
        assert!(look(3).unwrap_err().0.contains("7 times"));
        assert_eq!(
            look(2),
            Ok(()),
            "what a message says of its recipient is no rumor"
        );
    }

    #[test]
    fn a_deadline_in_the_past_is_found() {
        let mut process = Process::default();
        let [early, now, late] = [1, 2, 3].map(Micros);
        let mut look = |deadline, input| process.check_deadline(Some(deadline), input, now);
        assert_eq!(look(late, Input::Timeout), Ok(()));
        assert!(look(now, Input::Timeout).is_err());
        assert_eq!(look(now, Input::Other), Ok(()));
        assert!(look(early, Input::Other).is_err());
        assert_eq!(look(early, Input::Other), Ok(()), "it is late already");
    }

    #[test]
    fn what_the_audit_finds_is_reported() {
        let (mut invariants, mut engine, now) = scene();
        engine.add_member(uri(3), now);
        invariants.allow_claim_by_adding(&uri(3), None);
        let found = invariants.check(A, &engine, Input::Other, now).unwrap_err();
        assert!(found.0.contains("outputs"), "{found}");
    }
}
