//! A model of membership 2.5.3, the rock in Lua: to simulate mixed groups, and to compare with.
//!
//! It does what its peers can observe, its defects included:
//!
//! - every datagram is filled up with random members;
//! - a rumor carries a count of how often it is still to be sent, so that members that get it late send it
//!   once;
//! - one record that does not fit ends the selection;
//! - it may choose itself as the peer of anti-entropy;
//! - it applies what a table says about itself;
//! - a datagram larger than the buffer is cut off and dropped.
//!
//! No simulation needs encryption, broadcast, `set_allowed_members`, and the time that everything takes on
//! the only thread of Tarantool: they are left out.

mod packet;
mod probing;
mod rumors;
mod sync;

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
use sync::SyncState;

/// A member that runs membership 2.x.
pub struct Legacy {
    options: Config,
    rng: StdRng,
    myself: Option<Uri>,
    members: IndexMap<Uri, Record>,
    /// The suspects among the members.
    suspects: IndexSet<Uri>,
    rumors: IndexMap<Uri, Rumor>,
    /// The rest of the round, as indices of members. Members are never removed.
    round: Vec<u32>,
    step: Step,
    sync: SyncState,
    outbox: VecDeque<Transmit>,
    reports: VecDeque<LogEvent>,
}

/// A member as it is held in the table.
#[derive(Clone, Debug)]
struct Record {
    claim: Claim,
    payload: Option<Payload>,
    /// When the claim changed last, or an ACK came.
    since: Micros,
}

/// A claim that is to be sent.
#[derive(Clone, Debug)]
struct Rumor {
    claim: Claim,
    payload: Option<Payload>,
    /// How often it is still to be sent, also by the members that receive it.
    ttl: f64,
}

impl Legacy {
    /// Creates a member with no identity and an empty table.
    pub fn new(options: Config, seed: u64) -> Self {
        Self {
            options,
            rng: StdRng::seed_from_u64(seed),
            myself: None,
            members: IndexMap::new(),
            suspects: IndexSet::new(),
            rumors: IndexMap::new(),
            round: Vec::new(),
            step: Step::default(),
            sync: SyncState::default(),
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
        // A datagram larger than the buffer is cut off, and so cannot be decoded.
        if datagram.len() > self.options.max_packet_size {
            return self.handle_undecodable(source, now);
        }
        let Ok((message, _trailer)) = decode_first(datagram) else {
            return self.handle_undecodable(source, now);
        };
        let sender = message.sender.to_uri();
        for event in &message.events {
            self.apply_event(event, now);
        }
        match &message.body {
            Body::Ping(data) if data.dst == Some(&*myself) => {
                let data = ack_data(data.raw, now.wall);
                self.send_with_gossip(MessageType::Ack, &data, &sender);
            }
            Body::Ping(_) if sender == myself => {}
            Body::Ping(data) => self.forward(MessageType::Ping, data.dst, data),
            Body::Ack(data) if data.src == Some(&*myself) => self.handle_ack(data, now),
            Body::Ack(data) => self.forward(MessageType::Ack, data.src, data),
            Body::SyncReq(records) => self.handle_sync_request(&sender, records, now),
            Body::SyncAck(records) => self.handle_sync_answer(records, now),
            Body::Leave => {}
        }
    }

    fn handle_undecodable(&mut self, source: &Uri, now: Now) {
        let Some(record) = self.members.get(source) else {
            return;
        };
        if record.claim.status == Status::Dead {
            let claim = record.claim.with(Status::NonDecryptable);
            self.generate(source, claim, None, now);
        }
    }

    fn forward(&mut self, kind: MessageType, to: Option<&str>, data: &PingData<'_>) {
        if let Some(to) = to
            && let Some(to) = Uri::from_wire(to)
        {
            self.send_with_gossip(kind, data.raw, &to);
        }
    }

    /// A datagram to `uri` could not be sent, as its name does not resolve.
    pub fn handle_unsent(&mut self, uri: &Uri, now: Now) {
        self.fail_direct(uri, now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.myself.is_some() {
            self.continue_probing(now);
            self.continue_sync(now);
        }
    }

    // Outputs.

    /// The next datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    /// The next event for the log.
    pub fn poll_report(&mut self) -> Option<LogEvent> {
        self.reports.pop_front()
    }

    /// When to call [`Legacy::handle_timeout`] next.
    pub fn next_deadline(&self) -> Option<Micros> {
        self.myself.as_ref()?;
        Some(self.step.deadline().min(self.sync.deadline()))
    }

    // Commands.

    /// Joins as `uri`.
    pub fn init(&mut self, uri: Uri, now: Now) {
        self.myself = Some(uri.clone());
        self.step = Step::starting(now.monotonic);
        self.sync = SyncState::starting(now.monotonic);
        let first = Claim::alive(Incarnation::FIRST);
        self.generate(&uri, first, Some(Payload::empty()), now);
    }

    /// Sends LEAVE to all alive members, once, and forgets all members.
    pub fn leave(&mut self) {
        let Some(myself) = self.myself.take() else {
            return;
        };
        if let Some(own) = self.claim(&myself) {
            let mut recipients = Vec::new();
            for (uri, record) in &self.members {
                if record.claim.status == Status::Alive && *uri != myself {
                    recipients.push(uri.clone());
                }
            }
            let ttl = self.members.len() as f64 - 1.0;
            let rumor = Rumor {
                claim: own.with(Status::Left),
                payload: None,
                ttl,
            };
            for to in &recipients {
                self.send_leave(&myself, &rumor, to);
            }
        }
        self.members.clear();
        self.suspects.clear();
        self.rumors.clear();
        self.round.clear();
    }

    /// Adds a member.
    pub fn add_member(&mut self, uri: &Uri, now: Now) {
        let claim = match self.claim(uri) {
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
        let own = match self.claim(&myself) {
            Some(own) => own,
            None => Claim::alive(Incarnation::FIRST),
        };
        let incarnation = own.incarnation.next();
        self.generate(&myself, Claim { incarnation, ..own }, Some(payload), now);
    }

    /// Adds members to the table without gossip about them.
    pub fn preload(&mut self, members: impl Iterator<Item = Preloaded>, now: Now) {
        let since = now.monotonic;
        for member in members {
            let Preloaded {
                uri,
                claim,
                payload,
                ..
            } = member;
            self.members.insert(
                uri,
                Record {
                    claim,
                    payload,
                    since,
                },
            );
        }
        self.rumors.clear();
    }

    // Views.

    /// Its own URI, if it takes part.
    pub const fn myself(&self) -> Option<&Uri> {
        self.myself.as_ref()
    }

    /// The claim that it holds of `uri`.
    pub(super) fn claim(&self, uri: &str) -> Option<Claim> {
        Some(self.members.get(uri)?.claim)
    }

    /// The claim and payload that it holds of `uri`.
    pub fn view(&self, uri: &str) -> Option<(Claim, Option<&Payload>)> {
        let record = self.members.get(uri)?;
        Some((record.claim, record.payload.as_ref()))
    }

    /// How many members it holds alive.
    pub fn alive(&self) -> usize {
        let alive = |member: &&Record| member.claim.status == Status::Alive;
        self.members.values().filter(alive).count()
    }

    /// The URIs in its table.
    pub fn known(&self) -> impl Iterator<Item = &Uri> {
        self.members.keys()
    }
}
