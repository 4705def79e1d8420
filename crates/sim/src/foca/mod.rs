//! A member that runs the crate `foca`, to compare with.
//!
//! It is used as its documentation advises for a local network: [`Config::new_lan`] for the present size of
//! the group, an identity that is an address and a number for its life, and messages in `postcard`. A
//! payload is a custom broadcast. `foca` sends those with what it sends anyway; here it is also told to
//! broadcast whenever there is a new one, which is the soonest that it can.
//!
//! What it has no notion of is left out: refused ports, names that do not resolve, payloads of members that
//! join later.

mod names;

use core::num::NonZeroU32;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use foca::{AccumulatingRuntime, Config, OwnedNotification, PostcardCodec, State, Timer};
use indexmap::{IndexMap, IndexSet};
use rand::SeedableRng;
use rand::rngs::StdRng;

use names::{Arrived, Broadcast, Name, Payloads};
use swim::Transmit;
use swim::identity::uri::Uri;
use swim::log_event::LogEvent;
use swim::table::claim::{Claim, Incarnation, Status};
use swim::table::payload::Payload;
use swim::table::preload::Preloaded;
use swim::time::{Micros, Now};

/// A member that runs `foca`.
pub struct Foca {
    seed: u64,
    running: Option<Running>,
    outbox: VecDeque<Transmit>,
    reports: VecDeque<LogEvent>,
}

/// From `init` to `leave`.
struct Running {
    myself: Uri,
    protocol: foca::Foca<Name, PostcardCodec, StdRng, Payloads>,
    runtime: AccumulatingRuntime<Name>,
    /// By when they are due, and the order in which they were set.
    timers: BTreeMap<(Micros, u64), Timer<Name>>,
    timers_set: u64,
    members: IndexMap<Uri, Claim>,
    payloads: IndexMap<Uri, Payload>,
    arrived: Arrived,
    /// The number of its own payload.
    number: u64,
    suspects: IndexSet<Uri>,
    /// For how many members it is configured.
    configured_for: u32,
}

impl Foca {
    /// Creates a member with no identity.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            running: None,
            outbox: VecDeque::new(),
            reports: VecDeque::new(),
        }
    }

    /// Lets the protocol do something, and takes what it wants. What fails is no concern of the group: it
    /// says so of late messages and of those that are not for it.
    fn act(&mut self, now: Now, act: impl FnOnce(&mut Running) -> Result<(), foca::Error>) {
        let Some(running) = &mut self.running else {
            return;
        };
        let _ = act(running);
        if running.take_payloads() {
            let _ = running.protocol.broadcast(&mut running.runtime);
        }
        while let Some((name, datagram)) = running.runtime.to_send() {
            self.outbox.push_back(Transmit {
                to: name.uri(),
                at: None,
                datagram: datagram.to_vec(),
                anew: false,
            });
        }
        while let Some((delay, timer)) = running.runtime.to_schedule() {
            if let Timer::ChangeSuspectToDown { member_id, .. } = &timer {
                let uri = member_id.uri();
                running.suspects.insert(uri.clone());
                self.reports.push_back(LogEvent::Suspected {
                    uri,
                    relays: Vec::new(),
                });
            }
            running.timers_set += 1;
            let key = (now.monotonic + delay, running.timers_set);
            running.timers.insert(key, timer);
        }
        while let Some(notification) = running.runtime.to_notify() {
            let (name, status) = match notification {
                OwnedNotification::MemberUp(name) => (name, Status::Alive),
                OwnedNotification::MemberDown(name) => (name, Status::Dead),
                OwnedNotification::Rename(_, name) => (name, Status::Alive),
                _ => continue,
            };
            let uri = name.uri();
            if status == Status::Dead {
                self.reports.push_back(LogEvent::TimedOut {
                    uri: uri.clone(),
                    announced: None,
                    was_heard: true,
                });
            }
            running.hold(uri, name.life, 0, status);
        }
        running.look_at_suspects();
        running.configure();
    }
}

/// A life and an incarnation in it, as one number. `foca` counts from 0.
fn incarnation(life: u16, within: u16) -> Incarnation {
    let raw = (u64::from(life) << 16 | u64::from(within)) + 1;
    Incarnation::from_wire(raw).expect("it is small")
}

impl Running {
    /// Takes the payloads that have come. Returns whether there are any.
    fn take_payloads(&mut self) -> bool {
        let arrived = self.arrived.take();
        let are_any = !arrived.is_empty();
        self.payloads.extend(arrived);
        are_any
    }

    fn hold(&mut self, uri: Uri, life: u16, within: u16, status: Status) {
        let claim = Claim::alive(incarnation(life, within)).with(status);
        self.members.insert(uri, claim);
    }

    /// There is no notification of a suspicion, nor of its end.
    fn look_at_suspects(&mut self) {
        if self.suspects.is_empty() {
            return;
        }
        let mut seen = Vec::new();
        for member in self.protocol.iter_membership_state() {
            let uri = member.id().uri();
            if self.suspects.contains(&uri) {
                seen.push((uri, member.id().life, member.incarnation(), member.state()));
            }
        }
        for (uri, life, within, state) in seen {
            let status = match state {
                State::Alive => Status::Alive,
                State::Suspect => Status::Suspect,
                State::Down => Status::Dead,
            };
            if status != Status::Suspect {
                self.suspects.swap_remove(&uri);
            }
            self.hold(uri, life, within, status);
        }
    }

    /// Adapts the options to the size of the group, as it advises, whenever that has doubled.
    fn configure(&mut self) {
        let size = u32::try_from(self.protocol.num_members() + 1).unwrap_or(u32::MAX);
        if size < 2 * self.configured_for {
            return;
        }
        self.configured_for = size;
        let config = config(size);
        self.protocol
            .set_config(config)
            .expect("only the size is another");
    }
}

fn config(size: u32) -> Config {
    Config::new_lan(NonZeroU32::new(size).unwrap_or(NonZeroU32::MIN))
}

// As the other engines have it.
impl Foca {
    /// A datagram has come.
    pub fn handle_datagram(&mut self, datagram: &[u8], now: Now) {
        self.act(now, |running| {
            running.protocol.handle_data(datagram, &mut running.runtime)
        });
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        loop {
            let Some(running) = &mut self.running else {
                return;
            };
            let Some(entry) = running.timers.first_entry() else {
                return;
            };
            if entry.key().0 > now.monotonic {
                return;
            }
            let timer = entry.remove();
            self.act(now, |running| {
                running.protocol.handle_timer(timer, &mut running.runtime)
            });
        }
    }

    /// The next datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    /// The next event for the log.
    pub fn poll_report(&mut self) -> Option<LogEvent> {
        self.reports.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn next_deadline(&self) -> Option<Micros> {
        let (key, _timer) = self.running.as_ref()?.timers.first_key_value()?;
        Some(key.0)
    }

    /// How many members it holds alive, itself included. Suspects are among them, as everywhere in `foca`.
    pub fn alive(&self) -> usize {
        match &self.running {
            Some(running) => running.protocol.num_members() + 1,
            None => 0,
        }
    }

    /// Joins as `uri`.
    pub fn init(&mut self, uri: Uri, now: Now) {
        let name = Name::of(&uri).expect("a machine of the simulation");
        let rng = StdRng::seed_from_u64(self.seed);
        let payloads = Payloads::default();
        let arrived = Rc::clone(&payloads.arrived);
        let protocol =
            foca::Foca::with_custom_broadcast(name, config(1), rng, PostcardCodec, payloads);
        let mut running = Running {
            myself: uri.clone(),
            protocol,
            runtime: AccumulatingRuntime::new(),
            timers: BTreeMap::new(),
            timers_set: 0,
            members: IndexMap::new(),
            payloads: IndexMap::new(),
            arrived,
            number: 0,
            suspects: IndexSet::new(),
            configured_for: 1,
        };
        running.hold(uri, 0, 0, Status::Alive);
        self.running = Some(running);
        self.act(now, |_| Ok(()));
    }

    /// Leaves the group.
    pub fn leave(&mut self, now: Now) {
        self.act(now, |running| {
            running.protocol.leave_cluster(&mut running.runtime)
        });
        self.running = None;
    }

    /// Announces itself to a member.
    pub fn add_member(&mut self, uri: &Uri, now: Now) {
        if let Some(name) = Name::of(uri) {
            self.act(now, |running| {
                running.protocol.announce(name, &mut running.runtime)
            });
        }
    }

    /// Replaces the payload.
    pub fn set_payload(&mut self, bytes: &[u8], now: Now) {
        self.act(now, |running| {
            running.number += 1;
            let broadcast = Broadcast {
                owner: running.protocol.identity().clone(),
                number: running.number,
                bytes,
            };
            let data = postcard::to_allocvec(&broadcast).expect("it is encoded in memory");
            running.protocol.add_broadcast(&data).map(drop)
        });
    }

    /// Adds members to the table without gossip about them.
    pub fn preload(&mut self, members: impl Iterator<Item = Preloaded>, now: Now) {
        let names: Vec<foca::Member<Name>> = members
            .filter_map(|member| Name::of(&member.uri))
            .map(foca::Member::alive)
            .collect();
        self.act(now, |running| {
            running
                .protocol
                .apply_many(names.into_iter(), false, &mut running.runtime)
        });
    }

    /// Its own URI, if it takes part.
    pub fn myself(&self) -> Option<&Uri> {
        Some(&self.running.as_ref()?.myself)
    }

    /// What it holds of `uri`, and the payload if it has got it.
    pub fn view(&self, uri: &str) -> Option<(Claim, Option<&Payload>)> {
        let running = self.running.as_ref()?;
        let claim = running.members.get(uri)?;
        Some((*claim, running.payloads.get(uri)))
    }

    /// The URIs that it has heard of.
    pub fn known(&self) -> impl Iterator<Item = &Uri> {
        self.running
            .iter()
            .flat_map(|running| running.members.keys())
    }
}
