//! What the lock guards.

use core::iter;
use core::mem;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::clock::{self, Clock, ThreadClock};
use crate::effects::{Effects, Refused};
use crate::entropy;
use crate::error::{Error, system_text};
use crate::lineage::Lineage;
use crate::net::ingress_limit::IngressLimit;
use crate::net::socket::{Family, Inbox, Socket};
use crate::notify::log_queue::{LogQueue, Topic};
use crate::notify::waker::{Noise, WakeThrottle, Waker};
use crate::notify::watchdog::{EngineWatch, Watchdog};
use crate::observe::delivery_errors::{DeliveryError, DeliveryErrors};
use crate::resolve::address_book::{AddressBook, Route};
use crate::resolve::resolver::{Lookup, Resolver};
use swim::identity::uri::Uri;
use swim::log_event::Level;
use swim::time::{Micros, Now};
use swim::wire::DropReason;
use swim::{Swim, Transmit};

/// The protocol, and what it takes to serve it. Makes no system call that could wait.
pub struct State {
    pub swim: Swim,
    pub clock: Clock,
    /// Open from `init` to `leave`, unless the engine fails.
    pub socket: Option<Arc<Socket>>,
    pub ingress: IngressLimit,
    pub addresses: AddressBook,
    pub resolver: Option<Resolver>,
    lookup: Lookup,
    /// Wakes the engine. Made by the first `init`.
    pub waker: Option<Arc<Waker>>,
    /// Wake Lua, each its own state of it.
    pub wakers: Vec<Arc<Waker>>,
    wake_throttle: WakeThrottle,
    pub lines: LogQueue,
    pub watchdog: Watchdog,
    pub engine_watch: EngineWatch,
    /// Of the thread that beats.
    pub beater: Option<ThreadClock>,
    /// Whose the socket is, after a fork.
    pub lineage: Lineage,
    /// What an heir has to send once the socket is its own.
    pub held: Vec<Transmit>,
    /// Until when the engine sleeps, if nothing wakes it; `None` is for ever.
    sleeps_until: Option<Micros>,
    /// What was wrong with members of late.
    pub delivery_errors: DeliveryErrors,
    /// Datagrams that the system refused to send.
    pub send_errors: u64,
    /// The longest time for which the lock was held.
    pub longest_hold: Duration,
    /// Why nothing works any more.
    pub failure: Option<Error>,
    /// Datagrams that are ready to be sent.
    outbox: Vec<(SocketAddr, Transmit)>,
    /// Whom something could not be sent to, and the protocol does not know yet.
    stuck: Vec<Uri>,
    #[cfg(test)]
    pub sabotaged: bool,
    #[cfg(test)]
    pub turns: u64,
}

/// On whose thread something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The engine's, which looks at the deadlines itself before it sleeps.
    Engine,
    /// Somebody else's: the engine may sleep.
    External,
}

impl State {
    /// What the protocol does when its datagrams cannot be sent may lead to datagrams that cannot
    /// be sent. So often per turn; the rest comes with the next one.
    const ROUNDS_MAX: usize = 4;

    /// How many datagrams an heir keeps: what a program may say between a fork and the parent's end.
    const HELD_MAX: usize = 1024;

    pub fn new(swim: Swim, lookup: Lookup) -> Self {
        Self {
            swim,
            clock: Clock::default(),
            socket: None,
            ingress: IngressLimit::default(),
            addresses: AddressBook::new(Family::V4),
            resolver: None,
            lookup,
            waker: None,
            wakers: Vec::new(),
            wake_throttle: WakeThrottle::default(),
            lines: LogQueue::default(),
            watchdog: Watchdog::default(),
            engine_watch: EngineWatch::default(),
            beater: None,
            lineage: Lineage::default(),
            held: Vec::new(),
            sleeps_until: None,
            delivery_errors: DeliveryErrors::default(),
            send_errors: 0,
            longest_hold: Duration::ZERO,
            failure: None,
            outbox: Vec::new(),
            stuck: Vec::new(),
            #[cfg(test)]
            sabotaged: false,
            #[cfg(test)]
            turns: 0,
        }
    }

    /// Takes in what has come, then lets time pass unless more is waiting: an answer that came in
    /// time must be heard before it is missed.
    pub fn take_in(&mut self, inbox: &Inbox, timers: bool, now: Now) {
        #[cfg(test)]
        {
            assert!(!self.sabotaged, "sabotage");
            self.turns += 1;
        }
        while let Some(answer) = self.resolver.as_ref().and_then(Resolver::poll_answer) {
            let how_known = |uri: &Uri| self.swim.acquaintance(uri);
            let routes = self
                .addresses
                .handle_answer(answer, &how_known, now.monotonic);
            routes.into_iter().for_each(|route| self.dispatch(route));
        }
        let turned_away = self.ingress.turned_away();
        for (datagram, source) in inbox.iter() {
            let (is_neighbour, size) = (self.is_neighbour(source), datagram.len());
            if !self
                .ingress
                .admits(source, is_neighbour, size, now.monotonic)
            {
                continue;
            }
            let sent = self.swim.stats().sent.bytes();
            let taken = self.swim.handle_datagram(datagram, source, now);
            let sent = self.swim.stats().sent.bytes() - sent;
            self.ingress.charge(source, sent);
            if let Err(why) = taken {
                self.handle_dropped(source, why, now);
            }
            if let Some(advice) = taken.err().and_then(DropReason::explanation) {
                let line = format!("Ignoring datagrams from {source}: {advice}");
                self.lines
                    .tell(Topic::Stranger, Level::Warn, line, now.monotonic);
            }
        }
        if self.ingress.turned_away() > turned_away {
            let line = "Receive overload: dropping datagrams, those of unknown senders first";
            self.lines
                .tell(Topic::Flood, Level::Warn, line, now.monotonic);
        }
        for recipient in inbox.refusals() {
            for uri in self.addresses.residents(recipient) {
                self.delivery_errors
                    .note(&uri, DeliveryError::Refused, now.monotonic);
                self.swim.handle_refused(&uri, now);
            }
        }
        let (timeout, ran) = (self.swim.config().tx_stall_timeout, self.ran());
        self.watchdog.look(timeout, ran, now.monotonic);
        self.swim.set_stalled(self.watchdog.is_stalled(), now);
        let due = self
            .swim
            .next_deadline()
            .is_some_and(|deadline| deadline <= now.monotonic);
        if timers && due {
            self.swim.handle_timeout(now);
        }
    }

    /// Whether a live member has answered a ping from `source`.
    fn is_neighbour(&self, source: SocketAddr) -> bool {
        let residents = self.addresses.residents(source);
        let members = self.swim.members();
        residents
            .iter()
            .any(|uri| members.validated_at(uri) == Some(source))
    }

    /// A datagram was dropped. Where that has to do with a key or a label, whoever has the address is
    /// told of, and perhaps it is why it is dead.
    fn handle_dropped(&mut self, source: SocketAddr, why: DropReason, now: Now) {
        let explains = why.may_be_wrong_key() || why.explanation().is_some();
        if !explains {
            return;
        }
        for uri in self.addresses.residents(source) {
            let trouble = DeliveryError::Dropped(why);
            self.delivery_errors.note(&uri, trouble, now.monotonic);
            if why.may_be_wrong_key() {
                self.swim.handle_undecodable(&uri, now);
            }
        }
    }

    /// Draws what the datagrams of this turn are sealed with. A copy of this process, be it made while the
    /// turn lasts, has the same only if it says the same.
    pub fn refresh_salt(&mut self) -> Result<(), Error> {
        if self.swim.needs_salt() {
            self.swim.set_salt(entropy::salt()?);
        }
        Ok(())
    }

    /// The system has refused to do this.
    pub fn handle_refused(&mut self, refused: &Refused, now: Now) {
        self.send_errors += refused.sends.len() as u64;
        for (uri, error) in &refused.sends {
            let trouble = DeliveryError::Unsent(system_text(error));
            self.delivery_errors.note(uri, trouble, now.monotonic);
            self.swim.handle_unsent(uri);
        }
        if let Some(error) = &refused.waker {
            // The watchdog rings again, until there is a beat; then this is read as well.
            let line = format!("Could not wake Tarantool's thread: {}", system_text(error));
            self.lines
                .tell(Topic::Waker, Level::Warn, line, now.monotonic);
        }
    }

    /// The lock is held since `began`, and about to be released.
    pub fn note_hold(&mut self, began: Micros) {
        let held = clock::monotonic().since(began);
        self.longest_hold = self.longest_hold.max(held);
    }

    /// Says good-bye to those whose addresses are known: there is no time to resolve any.
    pub fn say_goodbye(&mut self) -> bool {
        if self.lineage.is_heir() {
            self.let_go();
            return true;
        }
        let left = self.swim.leave();
        self.watchdog.dismiss();
        self.lines.release_all();
        while let Some(transmit) = self.swim.poll_transmit() {
            if let Some(address) = self.addresses.address(&transmit.to) {
                self.outbox.push((address, transmit));
            }
        }
        left
    }

    /// Drains the protocol after whatever was done to it. What is left to do needs no lock.
    pub fn collect_effects(&mut self, caller: Caller, now: Now) -> Effects {
        self.drain(now.monotonic);
        self.collect_log_lines(now.monotonic);
        let mut effects = Effects::default();
        while let Some(question) = self.addresses.poll_question() {
            effects.questions.push(question);
        }
        if !effects.questions.is_empty() {
            effects.desk = self.open_resolver().map(Resolver::desk);
        }
        if !self.outbox.is_empty() {
            effects.sends = mem::take(&mut self.outbox);
            effects.socket = self.socket.clone();
        }
        // All of them are told that it rings.
        let asks_for_clock = self.swim.poll_clock_request();
        if self.strikes(now.monotonic) | self.watchdog.poll_question() | asks_for_clock {
            effects.wakers = self.wakers.clone();
        }
        effects.deadline = self.next_deadline();
        if caller == Caller::Engine {
            // An heir has turns to take only later.
            if !self.lineage.is_heir() {
                self.engine_watch.turn(now.monotonic);
            }
            self.sleeps_until = effects.deadline;
        } else if self.sleeps_too_long(effects.deadline) || self.is_engine_missing(now.monotonic) {
            self.sleeps_until = effects.deadline;
            effects.waker = self.waker.clone();
        }
        effects
    }

    /// Moves what the protocol and the address book have to say to the log queue.
    pub fn collect_log_lines(&mut self, now: Micros) {
        while let Some(report) = self.swim.poll_report() {
            let (topic, level) = (Topic::from(&report), report.level());
            self.lines.tell(topic, level, report, now);
        }
        while let Some(warning) = self.addresses.poll_warning() {
            self.lines.tell(Topic::Resolver, Level::Warn, warning, now);
        }
        self.lines.poll(now);
    }

    /// Ends everything but the way to tell Lua of it.
    pub fn fail(&mut self, failure: Error) -> Effects {
        self.socket = None;
        let _ = self.lineage.leave();
        self.outbox.clear();
        self.lines.release_all();
        self.lines.push(Level::Error, &failure);
        self.failure = Some(failure);
        Effects {
            wakers: self.wakers.clone(),
            waker: self.waker.clone(),
            ..Effects::default()
        }
    }

    /// Forgets the resolver, and what was asked of it.
    pub fn close_resolver(&mut self) -> Option<Resolver> {
        self.addresses.forget_questions();
        self.resolver.take()
    }

    fn drain(&mut self, now: Micros) {
        if self.lineage.is_heir() {
            let room = Self::HELD_MAX.saturating_sub(self.held.len());
            let new = iter::from_fn(|| self.swim.poll_transmit());
            self.held.extend(new.take(room));
            while self.swim.poll_transmit().is_some() {}
            return;
        }
        for transmit in mem::take(&mut self.held) {
            self.send(transmit, now);
        }
        for _ in 0..Self::ROUNDS_MAX {
            while let Some(transmit) = self.swim.poll_transmit() {
                self.send(transmit, now);
            }
            if self.stuck.is_empty() {
                break;
            }
            for uri in mem::take(&mut self.stuck) {
                self.swim.handle_unsent(&uri);
            }
        }
    }

    fn send(&mut self, transmit: Transmit, now: Micros) {
        if self.socket.is_some() {
            let how_known = |uri: &Uri| self.swim.acquaintance(uri);
            let route = self.addresses.route(transmit, &how_known, now);
            self.dispatch(route);
        }
    }

    fn dispatch(&mut self, route: Route) {
        match route {
            Route::To(address, transmit) => self.outbox.push((address, transmit)),
            Route::Waits => {}
            Route::Nowhere(uri) => self.stuck.push(uri),
        }
    }

    fn open_resolver(&mut self) -> Option<&Resolver> {
        if self.resolver.is_none() {
            let waker = Arc::clone(self.waker.as_ref()?);
            self.resolver = Some(Resolver::new(Arc::clone(&self.lookup), waker));
        }
        self.resolver.as_ref()
    }

    fn strikes(&mut self, now: Micros) -> bool {
        let noise = Noise {
            news: self.swim.news(),
            decided: self.swim.decided(),
            lines: self.lines.written(),
        };
        // Only the engine comes back for what has been held back.
        if self.socket.is_some() {
            self.wake_throttle.strike(noise, now)
        } else {
            self.wake_throttle.strike_at_once(noise, now)
        }
    }

    fn next_deadline(&self) -> Option<Micros> {
        if self.lineage.is_heir() {
            return None;
        }
        let watch = self.watchdog.next_look(self.swim.config().tx_stall_timeout);
        [
            self.swim.next_deadline(),
            self.wake_throttle.next_deadline(),
            self.lines.next_deadline(),
            watch,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn sleeps_too_long(&self, deadline: Option<Micros>) -> bool {
        let sleeps_until = self.sleeps_until.unwrap_or(Micros(u64::MAX));
        deadline.is_some_and(|deadline| deadline < sleeps_until)
    }
}
