//! A member as the Lua rock `membership` 2.5.3 behaves: to simulate mixed groups, and to compare with.
//!
//! It does what its peers can observe, its defects included: every datagram is filled up with random
//! members; a rumor comes with a count of how often it is still to be told, so that late hearers tell
//! it once; one record too large ends the selection; a partner for anti-entropy may be oneself; what a
//! table says of oneself is believed; a datagram larger than the buffer is cut off and dropped.
//!
//! Left out is what no simulation needs: encryption, broadcast, `set_allowed_members`, and the time
//! that everything takes on the one thread of Tarantool.

mod packing;
mod probing;
mod rumours;
mod tables;

use std::collections::VecDeque;

use indexmap::{IndexMap, IndexSet};
use rand::SeedableRng;
use rand::rngs::StdRng;

use probing::Step;
use swim::Transmit;
use swim::config::Config;
use swim::identity::uri::Uri;
use swim::log_event::LogEvent;
use swim::table::claim::{Claim, Incarnation, Status};
use swim::table::payload::Payload;
use swim::table::preload::Preloaded;
use swim::time::{Micros, Now};
use swim::wire::{Body, MessageType, PingData, ack_data, decode_first};
use tables::Entropy;

/// A member of the Lua rock.
pub struct Legacy {
    options: Config,
    rng: StdRng,
    myself: Option<Uri>,
    members: IndexMap<Uri, Record>,
    /// Those of them who are suspect.
    suspects: IndexSet<Uri>,
    rumours: IndexMap<Uri, Rumour>,
    /// The rest of the round, by their indices among the members, who never go.
    round: Vec<u32>,
    step: Step,
    entropy: Entropy,
    outbox: VecDeque<Transmit>,
    reports: VecDeque<LogEvent>,
}

/// What is known of one member.
#[derive(Clone, Debug)]
struct Record {
    claim: Claim,
    payload: Option<Payload>,
    /// When the claim changed last, or an answer came.
    since: Micros,
}

/// Something to be told.
#[derive(Clone, Debug)]
struct Rumour {
    claim: Claim,
    payload: Option<Payload>,
    /// How often it is still to be told, by whoever tells it.
    ttl: f64,
}

impl Legacy {
    /// One who is nobody yet.
    pub fn new(options: Config, seed: u64) -> Self {
        Self {
            options,
            rng: StdRng::seed_from_u64(seed),
            myself: None,
            members: IndexMap::new(),
            suspects: IndexSet::new(),
            rumours: IndexMap::new(),
            round: Vec::new(),
            step: Step::default(),
            entropy: Entropy::default(),
            outbox: VecDeque::new(),
            reports: VecDeque::new(),
        }
    }

    // Inputs.

    /// A datagram came from the address of `source`.
    pub fn handle_datagram(&mut self, datagram: &[u8], source: &Uri, now: Now) {
        let Some(myself) = self.myself.clone() else {
            return;
        };
        // What is larger than the buffer is cut off, and then it is broken.
        let fits = datagram.len() <= self.options.max_packet_size;
        let Some((message, _behind)) = decode_first(datagram).ok().filter(|_| fits) else {
            return self.hear_noise(source, now);
        };
        let sender = Uri::from_wire(message.sender).expect("checked when decoded");
        for event in &message.events {
            self.hear(event, now);
        }
        match &message.body {
            Body::Ping(echo) if echo.dst == Some(&*myself) => {
                let data = ack_data(echo.raw, now.wall);
                self.tell(MessageType::Ack, &data, &sender);
            }
            Body::Ping(_) if sender == myself => {}
            Body::Ping(echo) => self.pass_on(MessageType::Ping, echo.dst, echo),
            Body::Ack(echo) if echo.src == Some(&*myself) => self.hear_answer(echo, now),
            Body::Ack(echo) => self.pass_on(MessageType::Ack, echo.src, echo),
            Body::SyncReq(records) => self.answer_table(&sender, records, now),
            Body::SyncAck(records) => self.end_sync(records, now),
            Body::Leave => {}
        }
    }

    fn hear_noise(&mut self, source: &Uri, now: Now) {
        let Some(record) = self.members.get(source) else {
            return;
        };
        if record.claim.status == Status::Dead {
            let claim = record.claim.with(Status::NonDecryptable);
            self.generate(source, claim, None, now);
        }
    }

    fn pass_on(&mut self, kind: MessageType, to: Option<&str>, echo: &PingData<'_>) {
        if let Some(to) = to.and_then(Uri::from_wire) {
            self.tell(kind, echo.raw, &to);
        }
    }

    /// Nothing could be sent to `uri`: its name does not resolve.
    pub fn handle_unsent(&mut self, uri: &Uri, now: Now) {
        self.give_up_direct(uri, now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.myself.is_some() {
            self.go_on_probing(now);
            self.go_on_comparing(now);
        }
    }

    // Outputs.

    /// The next datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    /// The next line for the log.
    pub fn poll_report(&mut self) -> Option<LogEvent> {
        self.reports.pop_front()
    }

    /// When to call [`Legacy::handle_timeout`] next.
    pub fn next_deadline(&self) -> Option<Micros> {
        let deadline = self.step.deadline().min(self.entropy.deadline());
        self.myself.is_some().then_some(deadline)
    }

    // Commands.

    /// Becomes `uri` and takes part in the group.
    pub fn init(&mut self, uri: Uri, now: Now) {
        self.myself = Some(uri.clone());
        self.step = Step::starting(now.monotonic);
        self.entropy = Entropy::starting(now.monotonic);
        let first = Claim::alive(Incarnation::FIRST);
        self.generate(&uri, first, Some(Payload::empty()), now);
    }

    /// Says good-bye, once, and forgets everybody.
    pub fn leave(&mut self) {
        let Some(myself) = self.myself.take() else {
            return;
        };
        if let Some(own) = self.members.get(&myself).map(|record| record.claim) {
            let alive = |(_, record): &(&Uri, &Record)| record.claim.status == Status::Alive;
            let targets = self
                .members
                .iter()
                .filter(alive)
                .map(|(uri, _)| uri.clone());
            let targets: Vec<Uri> = targets.filter(|uri| *uri != myself).collect();
            let ttl = self.members.len() as f64 - 1.0;
            let rumour = Rumour {
                claim: own.with(Status::Left),
                payload: None,
                ttl,
            };
            for to in &targets {
                self.send_leave(&myself, &rumour, to);
            }
        }
        self.members.clear();
        self.suspects.clear();
        self.rumours.clear();
        self.round.clear();
    }

    /// Adds a member.
    pub fn add_member(&mut self, uri: &Uri, now: Now) {
        let claim = match self.members.get(uri).map(|record| record.claim) {
            None => Claim::alive(Incarnation::FIRST),
            Some(left) if left.status == Status::Left => Claim::alive(left.incarnation.next()),
            Some(_known) => return,
        };
        self.generate(uri, claim, None, now);
    }

    /// Replaces the payload.
    pub fn set_payload(&mut self, payload: Payload, now: Now) {
        let Some(myself) = self.myself.clone() else {
            return;
        };
        let own = self.members.get(&myself).map(|record| record.claim);
        let own = own.unwrap_or(Claim::alive(Incarnation::FIRST));
        let incarnation = own.incarnation.next();
        self.generate(&myself, Claim { incarnation, ..own }, Some(payload), now);
    }

    /// Takes up what is known of others, as if all of them had known it for long.
    pub fn recall(&mut self, memories: impl Iterator<Item = Preloaded>, now: Now) {
        let since = now.monotonic;
        for memory in memories {
            let Preloaded {
                uri,
                claim,
                payload,
                ..
            } = memory;
            self.members.insert(
                uri,
                Record {
                    claim,
                    payload,
                    since,
                },
            );
        }
        self.rumours.clear();
    }

    // Views.

    /// Who it is, if it takes part.
    pub const fn myself(&self) -> Option<&Uri> {
        self.myself.as_ref()
    }

    /// What it holds of `uri`.
    pub fn view(&self, uri: &str) -> Option<(Claim, Option<&Payload>)> {
        let record = self.members.get(uri)?;
        Some((record.claim, record.payload.as_ref()))
    }

    /// How many members it holds to be alive.
    pub fn alive(&self) -> usize {
        let alive = |member: &&Record| member.claim.status == Status::Alive;
        self.members.values().filter(alive).count()
    }

    /// Everybody it has heard of.
    pub fn known(&self) -> impl Iterator<Item = &Uri> {
        self.members.keys()
    }
}
