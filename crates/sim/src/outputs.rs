//! Carries out what an engine wants: log events, lookups of names, datagrams, timers.

use core::time::Duration;

use crate::engine::Engine;
use crate::host::{Id, Resolver, State};
use crate::invariants::{Input, Invariants, Violation};
use crate::network::Fate;
use crate::trace::Happening;
use crate::world::{Event, World};
use swim::Transmit;
use swim::identity::uri::Uri;
use swim::log_event::LogEvent;

/// More datagrams per member than this are on their way only if each causes others without end.
const STORM_PER_MEMBER: usize = 5000;

/// How long a resolver takes to find that a name does not exist, in µs.
const NO_SUCH_NAME: u64 = 1000;

impl World {
    /// Drains the outputs of an engine after an input or a command.
    pub(super) fn drain(&mut self, id: Id) {
        self.check(id, |invariants, engine| {
            invariants.note_own_claim(engine);
            Ok(())
        });
        while let Some(transmit) = self.poll(id, Engine::poll_transmit) {
            match self.mutant {
                Some((victim, mutant)) if victim == id => {
                    for datagram in mutant.corrupt(&transmit.datagram) {
                        self.emit(
                            id,
                            Transmit {
                                datagram,
                                ..transmit.clone()
                            },
                        );
                    }
                }
                _ => self.emit(id, transmit),
            }
        }
        while let Some(report) = self.poll(id, Engine::poll_report) {
            self.trace.note(self.now, Happening::Reported(id, &report));
            self.report_to_observer(id, &report);
        }
    }

    fn report_to_observer(&mut self, id: Id, report: &LogEvent) {
        let Some(engine) = &self.hosts[id.index()].engine else {
            return;
        };
        let is_up = |uri: &Uri| {
            let Some(id) = self.ids_by_uri.get(uri) else {
                return false;
            };
            let host = &self.hosts[id.index()];
            match &host.engine {
                Some(engine) => engine.myself() == Some(uri) && host.state == State::Up,
                None => false,
            }
        };
        self.observer.handle_report(report, engine, is_up);
    }

    fn emit(&mut self, id: Id, transmit: Transmit) {
        let Transmit { to, datagram, .. } = &transmit;
        self.trace.note(self.now, Happening::Sent(id, to, datagram));
        self.observer.count(datagram);
        self.check(id, |invariants, engine| {
            invariants.check_datagram(id, engine, to, datagram)
        });
        self.resolve(id, transmit);
    }

    pub(super) fn check(
        &mut self,
        id: Id,
        check: impl FnOnce(&mut Invariants, &Engine) -> Result<(), Violation>,
    ) {
        let (Some(invariants), Some(engine)) =
            (&mut self.invariants, &self.hosts[id.index()].engine)
        else {
            return;
        };
        if let Err(violation) = check(invariants, engine) {
            let seconds = (self.now.0 / 1_000_000, self.now.0 % 1_000_000);
            panic!("at {}.{:06} {id} {violation}", seconds.0, seconds.1);
        }
    }

    fn poll<T>(&mut self, id: Id, poll: impl FnOnce(&mut Engine) -> Option<T>) -> Option<T> {
        poll(self.hosts[id.index()].engine.as_mut()?)
    }

    pub(super) fn arm(&mut self, id: Id) {
        let host = &mut self.hosts[id.index()];
        let mut at = None;
        if let Some(engine) = &host.engine
            && let Some(deadline) = engine.next_deadline()
        {
            at = Some(host.clocks.time_of(deadline).max(self.now));
        }
        if at != host.wake {
            host.wake = at;
            if let Some(at) = at {
                self.queue.push(at, Event::Wake(id));
            }
        }
    }

    fn resolve(&mut self, from: Id, transmit: Transmit) {
        if let Some(at) = transmit.at {
            // No machine has any other address.
            if let Some(to) = self.ids().find(|id| id.address() == at) {
                self.send(from, to, transmit.datagram);
            }
            return;
        }
        let host = self.host(from);
        let (delay, found) = match host.resolver {
            _ if !self.ids_by_uri.contains_key(&transmit.to) => (NO_SUCH_NAME, false),
            Resolver::Slow(delay) if transmit.anew => (delay, true),
            Resolver::Failing(delay) if transmit.anew => (delay, false),
            _cached => {
                let to = self.destination(from, &transmit.to);
                return self.send(from, to, transmit.datagram);
            }
        };
        let life = host.lives;
        let event = Event::Resolved {
            from,
            life,
            transmit,
            found,
        };
        self.last_arrival = self
            .last_arrival
            .max(self.now + Duration::from_micros(delay));
        self.queue
            .push(self.now + Duration::from_micros(delay), event);
    }

    pub(super) fn resolved(&mut self, from: Id, transmit: Transmit, found: bool) {
        if found {
            let to = self.destination(from, &transmit.to);
            self.send(from, to, transmit.datagram);
        } else {
            self.input(from, Input::Other, |engine, now| {
                engine.handle_unsent(&transmit.to, now)
            });
        }
    }

    /// Where the name of `to` leads, as `from` sees it.
    fn destination(&self, from: Id, to: &Uri) -> Id {
        match self.aliases.get(&(from, to.clone())) {
            Some(id) => *id,
            None => self.ids_by_uri[to],
        }
    }

    pub(super) fn send(&mut self, from: Id, to: Id, mut datagram: Vec<u8>) {
        let most = STORM_PER_MEMBER * self.hosts.len();
        assert!(
            self.queue.len() < most,
            "a storm: datagrams cause ever more datagrams"
        );
        let fate = if self.network.carries(from, to, datagram.len()) {
            self.network.fate(from, to, self.now)
        } else {
            Fate::Lost
        };
        match fate {
            Fate::Lost => self.trace.note(self.now, Happening::Lost(from, &datagram)),
            Fate::Arrives(first, again) => {
                let mut last = first;
                if let Some(again) = again {
                    last = last.max(again);
                }
                self.last_arrival = self.last_arrival.max(self.now + last);
                if self.network.damage(&mut datagram)
                    && let Some(invariants) = &mut self.invariants
                {
                    invariants.allow_claims_of(&datagram);
                }
                if let Some(again) = again {
                    let datagram = datagram.clone();
                    self.queue
                        .push(self.now + again, Event::Arrival { from, to, datagram });
                }
                self.queue
                    .push(self.now + first, Event::Arrival { from, to, datagram });
            }
        }
    }
}
