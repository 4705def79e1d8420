//! The state that the lock guards.

use core::mem;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::clock::{self, Clock};
use crate::effects::{Effects, Outcome};
use crate::entropy;
use crate::error::{Error, system_text};
use crate::handover::Handover;
use crate::net::family::Reach;
use crate::net::ingress_limit::IngressLimit;
use crate::net::socket::Socket;
use crate::notify::log_queue::{LogQueue, Topic};
use crate::notify::lua_states::LuaStates;
use crate::notify::waker::{Activity, WakeThrottle, Waker};
use crate::notify::watchdog::EngineWatch;
use crate::observe::delivery_errors::{DeliveryError, DeliveryErrors};
use crate::observe::undecodable::Undecodable;
use crate::resolve::address_book::AddressBook;
use crate::resolve::choice::Failed;
use crate::resolve::resolver::{Lookup, Resolver};
use crate::resolve::route::Route;
use crate::state_file::StateFile;
use swim::identity::uri::Uri;
use swim::log_event::Level;
use swim::time::{Micros, Now};
use swim::{Swim, Transmit};

/// The protocol, and what it takes to run it. Makes no system call that could wait.
pub struct State {
    pub swim: Swim,
    pub clock: Clock,
    /// Open from `init` to `leave`, unless the engine fails.
    pub socket: Option<Arc<Socket>>,
    pub ingress: IngressLimit,
    pub addresses: AddressBook,
    pub resolver: Option<Resolver>,
    lookup: Lookup,
    /// Wakes the engine. Kept from the first `init` on.
    pub engine_waker: Option<Arc<Waker>>,
    pub lua_states: LuaStates,
    wake_throttle: WakeThrottle,
    pub log_queue: LogQueue,
    pub engine_watch: EngineWatch,
    /// Which process may use the socket, after a fork.
    pub handover: Handover,
    /// Datagrams that a child keeps until it may use the socket.
    pub kept_back: Vec<Transmit>,
    /// Until when the engine sleeps, if nothing wakes it; `None`: without limit.
    sleeps_until: Option<Micros>,
    /// Why datagrams were lost lately.
    pub delivery_errors: DeliveryErrors,
    pub undecodable: Undecodable,
    /// When the log may tell again of a datagram from a network that is not allowed.
    pub next_elsewhere: Micros,
    /// What is remembered over a restart.
    pub state_file: StateFile,
    /// How many datagrams the system refused to send.
    pub send_errors: u64,
    /// The longest time that the lock was held.
    pub longest_hold: Duration,
    /// Why the node has failed for good, if it has.
    pub failure: Option<Error>,
    /// Datagrams that are ready to be sent.
    outbox: Vec<(SocketAddr, Transmit)>,
    /// Members without an address, of which the protocol has not been told.
    unroutable: Vec<Uri>,
    #[cfg(test)]
    pub sabotaged: bool,
    #[cfg(test)]
    pub turns: u64,
}

/// The thread on which the state is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The engine, which looks at the deadlines itself before it sleeps.
    Engine,
    /// Another thread: the engine may sleep.
    External,
}

impl State {
    /// How often in one turn the protocol is told of datagrams that cannot be sent: that may lead to more of
    /// them. The rest waits for the next turn.
    const ROUNDS_MAX: usize = 4;

    /// How many datagrams a child keeps back: what a program sends between a fork and the parent's end.
    const KEPT_BACK_MAX: usize = 1024;

    pub fn new(swim: Swim, lookup: Lookup) -> Self {
        let ingress = IngressLimit::new(swim.members().hash_key());
        Self {
            swim,
            clock: Clock::default(),
            socket: None,
            ingress,
            addresses: AddressBook::new(Reach::V4),
            resolver: None,
            lookup,
            engine_waker: None,
            lua_states: LuaStates::default(),
            wake_throttle: WakeThrottle::default(),
            log_queue: LogQueue::default(),
            engine_watch: EngineWatch::default(),
            handover: Handover::default(),
            kept_back: Vec::new(),
            sleeps_until: None,
            delivery_errors: DeliveryErrors::default(),
            undecodable: Undecodable::default(),
            next_elsewhere: Micros(0),
            state_file: StateFile::default(),
            send_errors: 0,
            longest_hold: Duration::ZERO,
            failure: None,
            outbox: Vec::new(),
            unroutable: Vec::new(),
            #[cfg(test)]
            sabotaged: false,
            #[cfg(test)]
            turns: 0,
        }
    }

    /// Draws the salt that the datagrams of this turn are sealed with. If the process is copied during the
    /// turn, the copy has the same salt only for the same datagrams.
    pub fn refresh_salt(&mut self) -> Result<(), Error> {
        if self.swim.needs_salt() {
            self.swim.set_salt(entropy::salt()?);
        }
        Ok(())
    }

    /// Tells the protocol, the watchdogs and the log what came of the system calls of a turn.
    pub fn handle_outcome(&mut self, outcome: Outcome, now: Now) {
        for (waker, event_loop) in outcome.at_rest {
            self.lua_states.note_rest(&waker, event_loop, now.monotonic);
        }
        self.send_errors += outcome.sends.len() as u64;
        for (address, transmit, error) in outcome.sends {
            // A stranger may have chosen that address. Its member has nothing to do with it.
            if transmit.at.is_some() {
                continue;
            }
            let uri = &transmit.to;
            if self.addresses.note_failed(uri, address, Failed::Unsent) {
                let error = DeliveryError::Unsent(system_text(&error));
                self.delivery_errors.note(uri, error, now.monotonic);
                self.swim.handle_unsent(uri);
            } else {
                self.route(transmit, now.monotonic);
            }
        }
        if let Some(error) = &outcome.wake {
            // The watchdog wakes the fiber again until there is a heartbeat, and then this is logged, too.
            let reason = system_text(error);
            let line = format!("Could not wake Tarantool's thread: {reason}. Trying again");
            self.log_queue
                .push_limited(Topic::Waker, Level::Warn, line, now.monotonic);
        }
    }

    /// Notes how long the lock was held: since `began`.
    pub fn note_hold(&mut self, began: Micros) {
        let held = clock::monotonic().since(began);
        self.longest_hold = self.longest_hold.max(held);
    }

    /// Leaves the group, and tells the members whose addresses are known: there is no time to resolve names.
    /// Returns false if there was no group to leave.
    pub fn leave(&mut self, now: Now) -> bool {
        if self.handover.is_waiting() {
            self.abandon_socket(now);
            return true;
        }
        let left = self.swim.leave(now);
        self.lua_states.stop();
        self.log_queue.release_all();
        while let Some(transmit) = self.swim.poll_transmit() {
            if let Some(address) = self.addresses.address(&transmit.to) {
                self.outbox.push((address, transmit));
            }
        }
        left
    }

    /// Drains the protocol after anything was done to it. What is left to do needs no lock.
    pub fn collect_effects(&mut self, caller: Caller, now: Now) -> Effects {
        self.drain(now);
        self.collect_log_lines(now.monotonic);
        let mut effects = Effects::default();
        while let Some(question) = self.addresses.poll_question() {
            effects.questions.push(question);
        }
        if !effects.questions.is_empty()
            && let Some(resolver) = self.open_resolver()
        {
            effects.resolver = Some(resolver.handle());
        }
        if !self.outbox.is_empty() {
            effects.sends = mem::take(&mut self.outbox);
            effects.socket = self.socket.clone();
        }
        // Both are asked in any case, because being asked is what resets them.
        let asked = self.lua_states.poll_asked();
        if self.should_wake_lua(now.monotonic) {
            effects.lua_wakers = self.lua_states.wakers();
        } else {
            effects.asked = asked;
        }
        effects.deadline = self.next_deadline();
        if caller == Caller::Engine {
            // While it waits for the parent to end, the engine takes no turns.
            if !self.handover.is_waiting() {
                self.engine_watch.turn(now.monotonic);
            }
            self.sleeps_until = effects.deadline;
        } else if self.sleeps_too_long(effects.deadline) || self.is_engine_overdue(now.monotonic) {
            self.sleeps_until = effects.deadline;
            effects.engine_waker = self.engine_waker.clone();
        }
        effects
    }

    /// Moves the messages of the protocol and of the address book to the log queue.
    pub fn collect_log_lines(&mut self, now: Micros) {
        while let Some(event) = self.swim.poll_report() {
            let (topic, level) = (Topic::from(&event), event.level());
            self.log_queue.push_limited(topic, level, event, now);
        }
        while let Some(warning) = self.addresses.poll_warning() {
            self.log_queue
                .push_limited(Topic::Resolver, Level::Warn, warning, now);
        }
        self.log_queue.release_due(now);
    }

    /// Ends everything but the log, and wakes Lua to write it.
    pub fn fail(&mut self, failure: Error) -> Effects {
        // Half a state must not go on answering pings: peers are to find this instance dead.
        self.socket = None;
        let _ = self.handover.dismiss_children();
        self.outbox.clear();
        self.log_queue.release_all();
        self.log_queue.push(Level::Error, &failure);
        self.failure = Some(failure);
        Effects {
            lua_wakers: self.lua_states.wakers(),
            engine_waker: self.engine_waker.clone(),
            ..Effects::default()
        }
    }

    /// Forgets the resolver and its open questions. Returns it, to be dropped where the lock is not held.
    pub fn close_resolver(&mut self) -> Option<Resolver> {
        self.addresses.forget_questions();
        self.resolver.take()
    }

    /// Takes the datagrams out of the protocol, and finds out where they go.
    fn drain(&mut self, now: Now) {
        self.addresses
            .set_ack_timeout(self.swim.config().ack_timeout);
        let networks = &self.swim.config().allowed_networks;
        self.addresses.permit.set(networks, self.swim.myself());
        if self.handover.is_waiting() {
            while let Some(transmit) = self.swim.poll_transmit() {
                if self.kept_back.len() < Self::KEPT_BACK_MAX {
                    self.kept_back.push(transmit);
                }
            }
            return;
        }
        for transmit in mem::take(&mut self.kept_back) {
            self.route(transmit, now.monotonic);
        }
        for _ in 0..Self::ROUNDS_MAX {
            while let Some(transmit) = self.swim.poll_transmit() {
                self.route(transmit, now.monotonic);
            }
            if self.unroutable.is_empty() {
                break;
            }
            for uri in mem::take(&mut self.unroutable) {
                self.swim.handle_unsent(&uri);
                if self.addresses.is_excluded(&uri) {
                    self.swim.handle_excluded(&uri, now);
                }
            }
        }
    }

    fn route(&mut self, transmit: Transmit, now: Micros) {
        if self.socket.is_some() {
            let how_known = |uri: &Uri| self.swim.acquaintance(uri);
            let route = self.addresses.route(transmit, &how_known, now);
            self.dispatch(route, now);
        }
    }

    /// Puts a datagram where its route leads.
    pub fn dispatch(&mut self, route: Route, now: Micros) {
        match route {
            Route::To(address, transmit) => {
                self.delivery_errors.note_sent(&transmit.to, now);
                self.outbox.push((address, transmit));
            }
            Route::ToAll(addresses, transmit) => {
                self.delivery_errors.note_sent(&transmit.to, now);
                for address in addresses {
                    self.outbox.push((address, transmit.clone()));
                }
            }
            Route::Waits => {}
            Route::Nowhere(uri) => self.unroutable.push(uri),
        }
    }

    fn open_resolver(&mut self) -> Option<&Resolver> {
        if self.resolver.is_none() {
            let waker = Arc::clone(self.engine_waker.as_ref()?);
            self.resolver = Some(Resolver::new(Arc::clone(&self.lookup), waker));
        }
        self.resolver.as_ref()
    }

    fn should_wake_lua(&mut self, now: Micros) -> bool {
        let activity = Activity {
            news: self.swim.news(),
            decided: self.swim.decided(),
            log_lines: self.log_queue.written(),
        };
        // Only the engine comes back for what was held back.
        let has_news = if self.socket.is_some() {
            self.wake_throttle.should_wake(activity, now)
        } else {
            self.wake_throttle.should_wake_without_engine(activity, now)
        };
        // Asked in any case, because that is what resets it.
        let wants_clock = self.swim.poll_clock_request();
        has_news || wants_clock
    }

    fn next_deadline(&self) -> Option<Micros> {
        if self.handover.is_waiting() {
            return None;
        }
        let stall_timeout = self.swim.config().tx_stall_timeout;
        let deadlines = [
            self.swim.next_deadline(),
            self.wake_throttle.next_deadline(),
            self.log_queue.next_deadline(),
            self.lua_states.next_check(stall_timeout),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn sleeps_too_long(&self, deadline: Option<Micros>) -> bool {
        match (deadline, self.sleeps_until) {
            (Some(deadline), Some(sleeps_until)) => deadline < sleeps_until,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}
