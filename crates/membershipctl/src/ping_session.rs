//! The talk in which an instance is pinged.

use core::time::Duration;
use std::collections::VecDeque;

use swim::identity::uri::Uri;
use swim::time::{Micros, Now};
use swim::wire::{Body, Message};

use crate::client::{Query, Request};
use crate::error::QueryError;

/// When the question for its name is repeated.
const REPEAT: Duration = Duration::from_millis(500);

/// Pings on their way, and what has become of those before.
#[derive(Debug)]
pub struct PingSession {
    plan: Plan,
    /// A ping has to name it as it names itself.
    name: Option<Uri>,
    pending: VecDeque<Pending>,
    sent: u32,
    next: Micros,
    /// When to give up asking for its name.
    give_up: Option<Micros>,
    is_over: bool,
    happened: VecDeque<Happening>,
}

/// What is intended.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many pings there are to be.
    pub count: Option<u32>,
    /// From one to the next.
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

/// What has become of something.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// The instance has said its name.
    Named(Uri),
    /// A ping was answered.
    Answered {
        /// Which one.
        sequence: u32,
        /// How long it took.
        round_trip: Duration,
        /// How far its clock is ahead of ours, in µs.
        clock_delta: Option<f64>,
    },
    /// A ping was not answered.
    Lost {
        /// Which one.
        sequence: u32,
    },
    /// Something is in the way.
    QueryError(QueryError),
}

impl PingSession {
    /// Pings one that may call itself otherwise than it was called by us.
    pub fn of_unknown(plan: Plan) -> Self {
        Self::new(None, plan)
    }

    /// Pings one whose name is known.
    pub fn of(name: Uri, plan: Plan) -> Self {
        Self::new(Some(name), plan)
    }

    fn new(name: Option<Uri>, plan: Plan) -> Self {
        Self {
            plan,
            name,
            pending: VecDeque::new(),
            sent: 0,
            next: Micros(0),
            give_up: None,
            is_over: false,
            happened: VecDeque::new(),
        }
    }

    /// The next thing that has happened.
    pub fn poll_happening(&mut self) -> Option<Happening> {
        self.happened.pop_front()
    }

    /// How many pings have been sent.
    pub const fn sent(&self) -> u32 {
        self.sent
    }

    fn ask_for_name(&mut self, now: Now) -> Option<Request> {
        let give_up = *self
            .give_up
            .get_or_insert(now.monotonic + self.plan.timeout);
        self.is_over = now.monotonic >= give_up;
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
            self.happened.push_back(Happening::Lost { sequence });
        }
    }

    fn has_sent_all(&self) -> bool {
        self.plan.count.is_some_and(|count| self.sent >= count)
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
        Some(Request::Ping { ts, dst })
    }

    fn handle_message(&mut self, message: &Message<'_>, now: Now) {
        if self.name.is_none() {
            self.name = Uri::from_wire(message.sender);
            self.happened
                .extend(self.name.clone().map(Happening::Named));
            self.next = now.monotonic;
        }
        let Body::Ack(echo) = &message.body else {
            return;
        };
        let asked = |ping: &Pending| echo.ts == Some(ping.ts) && echo.dst == self.name.as_deref();
        let Some(ping) = self.pending.iter().position(asked) else {
            return;
        };
        let ping = self.pending.remove(ping).expect("just found");
        let middle = (ping.ts as f64 + now.wall.0 as f64) / 2.0;
        self.happened.push_back(Happening::Answered {
            sequence: ping.sequence,
            round_trip: now.monotonic.since(ping.at),
            clock_delta: echo
                .ats
                .filter(|ats| ats.is_finite())
                .map(|ats| ats - middle),
        });
    }

    fn handle_trouble(&mut self, trouble: QueryError) {
        self.is_over |= self.name.is_none();
        // The last one has met with it.
        self.pending.pop_back();
        self.happened.push_back(Happening::QueryError(trouble));
    }

    fn deadline(&self) -> Option<Micros> {
        if self.is_over {
            return None;
        }
        let overdue = self.pending.front().map(|ping| ping.at + self.plan.timeout);
        let next = (!self.has_sent_all()).then_some(self.next);
        // With nothing to wait for it is over, which it is to be told at once.
        [overdue, next, self.give_up.filter(|_| self.name.is_none())]
            .into_iter()
            .flatten()
            .min()
            .or(Some(Micros(0)))
    }
}
