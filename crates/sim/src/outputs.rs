//! What an engine has to say, on its way: to its log, to the resolver, to the network.

use core::time::Duration;

use crate::engine::Engine;
use crate::history::Happening;
use crate::host::{Id, Resolver, State};
use crate::invariants::{Checks, Input, Violation};
use crate::network::Fate;
use crate::world::{Event, World};
use swim::Transmit;
use swim::identity::uri::Uri;
use swim::log_event::LogEvent;

/// How many datagrams per member are not on their way at a time, unless each brings forth others
/// without end.
const STORM_PER_MEMBER: usize = 5000;

/// How long a resolver takes to find that there is no such name, in µs.
const NO_SUCH_NAME: u64 = 1000;

impl World {
    /// Takes everything out of an engine that an input or command has put there.
    pub(super) fn drain(&mut self, id: Id) {
        self.check(id, |checks, engine| {
            checks.note_own_claim(engine);
            Ok(())
        });
        while let Some(transmit) = self.poll(id, Engine::poll_transmit) {
            match self.bug {
                Some((victim, bug)) if victim == id => {
                    for datagram in bug.corrupt(&transmit.datagram) {
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
            self.history
                .note(self.now, Happening::Reported(id, &report));
            self.tell_onlooker(id, &report);
        }
    }

    fn tell_onlooker(&mut self, id: Id, report: &LogEvent) {
        let Some(engine) = &self.hosts[id.index()].engine else {
            return;
        };
        let well = |uri: &Uri| {
            let host = self.places.get(uri).map(|id| &self.hosts[id.index()]);
            host.is_some_and(|host| {
                let here = host.engine.as_ref().and_then(Engine::myself) == Some(uri);
                here && host.state == State::Up
            })
        };
        self.observer.hear(report, engine, well);
    }

    fn emit(&mut self, id: Id, transmit: Transmit) {
        let Transmit { to, datagram, .. } = &transmit;
        self.history
            .note(self.now, Happening::Sent(id, to, datagram));
        self.observer.count(datagram);
        self.check(id, |checks, engine| {
            checks.look_at_datagram(id, engine, to, datagram)
        });
        self.look_up(id, transmit);
    }

    pub(super) fn check(
        &mut self,
        id: Id,
        check: impl FnOnce(&mut Checks, &Engine) -> Result<(), Violation>,
    ) {
        let engine = self.hosts[id.index()].engine.as_ref();
        let Some((checks, engine)) = self.checks.as_mut().zip(engine) else {
            return;
        };
        if let Err(violation) = check(checks, engine) {
            let seconds = (self.now.0 / 1_000_000, self.now.0 % 1_000_000);
            panic!("at {}.{:06} {id} {violation}", seconds.0, seconds.1);
        }
    }

    fn poll<T>(&mut self, id: Id, poll: impl FnOnce(&mut Engine) -> Option<T>) -> Option<T> {
        poll(self.hosts[id.index()].engine.as_mut()?)
    }

    pub(super) fn arm(&mut self, id: Id) {
        let host = &mut self.hosts[id.index()];
        let deadline = host.engine.as_ref().and_then(Engine::next_deadline);
        let at = deadline.map(|deadline| host.clocks.time_of(deadline).max(self.now));
        if at != host.wake {
            host.wake = at;
            if let Some(at) = at {
                self.queue.push(at, Event::Wake(id));
            }
        }
    }

    fn look_up(&mut self, who: Id, transmit: Transmit) {
        let host = self.host(who);
        let (delay, found) = match host.resolver {
            _ if !self.places.contains_key(&transmit.to) => (NO_SUCH_NAME, false),
            Resolver::Slow(delay) if transmit.anew => (delay, true),
            Resolver::Failing(delay) if transmit.anew => (delay, false),
            _by_heart => return self.send(who, &transmit.to, transmit.datagram),
        };
        let life = host.lives;
        let event = Event::Resolved {
            who,
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

    pub(super) fn resolved(&mut self, who: Id, transmit: Transmit, found: bool) {
        if found {
            self.send(who, &transmit.to, transmit.datagram);
        } else {
            self.input(who, Input::Other, |engine, now| {
                engine.handle_unsent(&transmit.to, now)
            });
        }
    }

    pub(super) fn send(&mut self, from: Id, to: &Uri, mut datagram: Vec<u8>) {
        let to = self.places[to];
        let most = STORM_PER_MEMBER * self.hosts.len();
        assert!(
            self.queue.len() < most,
            "a storm: more and more datagrams are on their way"
        );
        match self.network.fate(from, to, self.now) {
            Fate::Lost => self
                .history
                .note(self.now, Happening::Lost(from, &datagram)),
            Fate::Arrives(first, again) => {
                let last = self.now + again.map_or(first, |again| again.max(first));
                self.last_arrival = self.last_arrival.max(last);
                if self.network.damage(&mut datagram)
                    && let Some(checks) = &mut self.checks
                {
                    checks.forgive(&datagram);
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
