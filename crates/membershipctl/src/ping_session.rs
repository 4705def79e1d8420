//! The query that pings an instance.

use core::time::Duration;
use std::collections::VecDeque;

use swim::identity::uri::Uri;
use swim::time::{Micros, Now};
use swim::wire::{Body, Message};

use crate::client::{Query, Request};
use crate::error::QueryError;

/// How soon the request for the name of the instance is repeated.
const REPEAT: Duration = Duration::from_millis(500);

/// Pings an instance by the name that it has for itself, and asks for that name first if need be.
#[derive(Debug)]
pub struct PingSession {
    plan: Plan,
    /// The name of the instance for itself: it ignores pings for another.
    name: Option<Uri>,
    pending: VecDeque<Pending>,
    sent: u32,
    next: Micros,
    /// When to stop asking for the name.
    give_up_at: Option<Micros>,
    is_over: bool,
    events: VecDeque<PingEvent>,
}

/// How often to ping, and how long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many pings to send; `None` is until Ctrl-C.
    pub count: Option<u32>,
    /// The time from one ping to the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

#[derive(Debug)]
struct Pending {
    sequence: u32,
    ts: u64,
    at: Micros,
}

/// A result.
#[derive(Clone, Debug, PartialEq)]
pub enum PingEvent {
    /// The instance has told the name that it has for itself.
    Named(Uri),
    /// A ping was answered.
    Answered {
        /// The number of the ping, from 1 on.
        sequence: u32,
        /// How long it took.
        round_trip: Duration,
        /// How far its clock is ahead of the one of this machine, in µs.
        clock_delta: Option<f64>,
    },
    /// A ping was not answered.
    Lost {
        /// The number of the ping, from 1 on.
        sequence: u32,
    },
    /// A ping could not be sent, or its answer could not be decoded.
    Failed(QueryError),
}

impl PingSession {
    /// Pings an instance that may have another name for itself than the one in the command line.
    pub fn with_unknown_name(plan: Plan) -> Self {
        Self::begin(None, plan)
    }

    /// Pings the member `name`.
    pub fn new(name: Uri, plan: Plan) -> Self {
        Self::begin(Some(name), plan)
    }

    fn begin(name: Option<Uri>, plan: Plan) -> Self {
        Self {
            plan,
            name,
            pending: VecDeque::new(),
            sent: 0,
            next: Micros(0),
            give_up_at: None,
            is_over: false,
            events: VecDeque::new(),
        }
    }

    /// The next thing that has events.
    pub fn poll_event(&mut self) -> Option<PingEvent> {
        self.events.pop_front()
    }

    /// How many pings have been sent.
    pub const fn sent(&self) -> u32 {
        self.sent
    }

    fn ask_for_name(&mut self, now: Now) -> Option<Request> {
        let give_up_at = *self
            .give_up_at
            .get_or_insert(now.monotonic + self.plan.timeout);
        self.is_over = now.monotonic >= give_up_at;
        if self.is_over || now.monotonic < self.next {
            return None;
        }
        self.next = now.monotonic + REPEAT;
        Some(Request::Table)
    }

    fn lose_overdue(&mut self, now: Now) {
        let overdue = |ping: &mut Pending| ping.at + self.plan.timeout <= now.monotonic;
        while let Some(ping) = self.pending.pop_front_if(overdue) {
            let sequence = ping.sequence;
            self.events.push_back(PingEvent::Lost { sequence });
        }
    }

    fn has_sent_all(&self) -> bool {
        match self.plan.count {
            Some(count) => self.sent >= count,
            None => false,
        }
    }
}

impl Query for PingSession {
    fn poll_request(&mut self, now: Now) -> Option<Request> {
        if self.is_over {
            return None;
        }
        let Some(dst) = self.name.clone() else {
            return self.ask_for_name(now);
        };
        self.lose_overdue(now);
        if self.has_sent_all() {
            self.is_over = self.pending.is_empty();
            return None;
        }
        if now.monotonic < self.next {
            return None;
        }
        self.next = now.monotonic + self.plan.interval;
        self.sent += 1;
        let (sequence, ts) = (self.sent, now.wall.0);
        self.pending.push_back(Pending {
            sequence,
            ts,
            at: now.monotonic,
        });
        Some(Request::Ping {
            ts,
            dst,
            asks_keys: false,
        })
    }

    fn handle_message(&mut self, message: &Message<'_>, now: Now) {
        if self.name.is_none() {
            let Some(name) = Uri::from_wire(&message.sender) else {
                return;
            };
            self.name = Some(name.clone());
            self.events.push_back(PingEvent::Named(name));
            self.next = now.monotonic;
        }
        let Body::Ack(data) = &message.body else {
            return;
        };
        let asked = |ping: &Pending| data.ts == Some(ping.ts) && data.dst == self.name.as_deref();
        let Some(index) = self.pending.iter().position(asked) else {
            return;
        };
        let Some(ping) = self.pending.remove(index) else {
            return;
        };
        let middle = (ping.ts as f64 + now.wall.0 as f64) / 2.0;
        let clock_delta = match data.ats {
            Some(ats) if ats.is_finite() => Some(ats - middle),
            _ => None,
        };
        self.events.push_back(PingEvent::Answered {
            sequence: ping.sequence,
            round_trip: now.monotonic.since(ping.at),
            clock_delta,
        });
    }

    fn handle_error(&mut self, error: QueryError) {
        self.is_over |= self.name.is_none();
        // It is the last ping that has failed.
        self.pending.pop_back();
        self.events.push_back(PingEvent::Failed(error));
    }

    fn deadline(&self) -> Option<Micros> {
        if self.is_over {
            return None;
        }
        let mut deadlines = Vec::new();
        if let Some(ping) = self.pending.front() {
            deadlines.push(ping.at + self.plan.timeout);
        }
        if !self.has_sent_all() {
            deadlines.push(self.next);
        }
        if self.name.is_none() {
            deadlines.extend(self.give_up_at);
        }
        // With nothing to wait for, it is to be called at once, and will find that all is over.
        Some(deadlines.into_iter().min().unwrap_or(Micros(0)))
    }
}
