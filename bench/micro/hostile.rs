//! Datagrams of a stranger that cost their recipient as much as possible.

use std::iter;
use std::time::Duration;

use rmp::encode as msgpack;
use swim::Swim;
use swim::config::Config;
use swim::identity::uri::Uri;
use swim::table::claim::Claim;
use swim::table::claim::Incarnation;
use swim::table::preload::Preloaded;
use swim::time::{Micros, Now};
use swim::wire::{
    Body, CHECKSUM_SIZE, Extension, MessageBuilder, MessageType, Trailer, ack_data, checksummed,
    decode_first, ping_data,
};

use crate::group::{DATAGRAM_SIZE, SOMEWHERE};

/// The content of a hostile datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Status changes of members with URIs of 15 bytes.
    Changes,
    /// Status changes of members with the shortest URIs there are, in the shortest encoding.
    ShortestChanges,
    /// The same as records of a table: they claim that members are dead.
    Deaths,
    /// Unknown members.
    Inventions,
    /// Claims that the recipient is dead, each at a higher incarnation than the one before.
    Accusations,
    /// One claim about the recipient, with a payload that is an array of nils.
    Nils,
    /// A PING to forward.
    IndirectPing,
    /// A request for the table, with records that are news.
    SyncRequest,
    /// A comparison in which all buckets differ.
    Comparison,
}

impl Attack {
    /// All attacks, with their names.
    pub const ALL: [(Self, &str); 9] = [
        (Self::Changes, "status changes"),
        (Self::ShortestChanges, "status changes, shortest URIs"),
        (Self::Deaths, "deaths in a SYNC_ACK"),
        (Self::Inventions, "invented members"),
        (Self::Accusations, "accusations"),
        (Self::Nils, "array of nils about me"),
        (Self::IndirectPing, "PING to pass on"),
        (Self::SyncRequest, "SYNC_REQ"),
        (Self::Comparison, "comparison"),
    ];

    /// How many datagrams are measured at a time. In between the victim recovers.
    pub const PORTION: usize = 8;
}

/// The recipient, and the state of its attacker.
pub struct Victim {
    swim: Swim,
    now: Now,
    /// The other members, with URIs as the attack needs them.
    members: Vec<Uri>,
    invented: Vec<Uri>,
    /// How many claims were made so far.
    claims: u64,
    /// How many datagrams were sent so far.
    datagrams: u64,
}

/// The number of a member with a validated address, which asks for much.
const ASKER: usize = 60_000;

/// A letter of a host name.
fn letter(index: usize) -> char {
    char::from(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[index % 54])
}

/// The shortest URIs: 54² hosts of two letters, with ports of up to two digits.
fn shortest(index: usize) -> String {
    let (host, port) = (index % 2916, 1 + index / 2916);
    format!("{}{}:{port}", letter(host / 54), letter(host))
}

/// URIs of strangers on one machine.
fn usual(index: usize) -> String {
    format!("127.0.0.2:{}", 1 + index)
}

impl Victim {
    /// Creates a member that knows this number of members, all of them alive.
    pub fn new(attack: Attack, members: usize) -> Self {
        let name = if attack == Attack::ShortestChanges {
            shortest
        } else {
            usual
        };
        let uri = |index| Uri::parse(&name(index)).expect("a URI");
        let mut victim = Self {
            swim: Swim::new(Config::default(), 1),
            now: Now {
                monotonic: Micros(1_000_000_000),
                wall: Micros(1_700_000_000_000_000),
            },
            members: (1..members).map(uri).collect(),
            invented: Vec::new(),
            claims: 0,
            datagrams: 0,
        };
        let own = Uri::parse("127.0.0.1:3301").expect("a URI");
        victim.swim.init(own, victim.now);
        let others = victim.members.iter().map(|uri| Preloaded {
            uri: uri.clone(),
            claim: Claim::alive(Incarnation::FIRST),
            payload: None,
            is_native: true,
        });
        victim.swim.recall(others, victim.now);
        victim.acquaint(&Uri::parse(&usual(ASKER)).expect("a URI"));
        victim.recover();
        victim
    }

    /// Has `asker` join and answer the ping that validates its address: requests of others are limited.
    fn acquaint(&mut self, asker: &Uri) {
        let mut hello = MessageBuilder::leave(asker, DATAGRAM_SIZE);
        assert!(hello.event(asker, Claim::alive(Incarnation::FIRST), None, 0));
        let hello = hello.finish().expect("it fits");
        let taken = self.swim.handle_datagram(&hello, SOMEWHERE, self.now);
        taken.expect("it is well formed");
        let ping = self.swim.poll_transmit().expect("a ping");
        let Ok((message, _)) = decode_first(&ping.datagram) else {
            panic!("not a message");
        };
        let Body::Ping(echo) = message.body else {
            panic!("not a PING: {message:?}");
        };
        let data = ack_data(echo.raw, self.now.wall);
        let answer =
            MessageBuilder::with_data(MessageType::Ack, asker, &data, DATAGRAM_SIZE).finish();
        self.take(&answer.expect("it fits"));
    }

    /// Handles a datagram, and drains the outputs.
    pub fn take(&mut self, datagram: &[u8]) {
        let taken = self.swim.handle_datagram(datagram, SOMEWHERE, self.now);
        taken.expect("it is well formed");
        self.drain();
    }

    fn drain(&mut self) {
        while self.swim.poll_transmit().is_some() {}
        while self.swim.poll_report().is_some() {}
    }

    /// Lets a second pass, removes invented members, and ends all rumors.
    pub fn recover(&mut self) {
        for uri in self.invented.drain(..) {
            self.swim.remove_member(&uri, self.now);
        }
        self.swim.recall(iter::empty(), self.now);
        let until = self.now.monotonic + Duration::from_secs(1);
        while let Some(deadline) = self.swim.next_deadline().filter(|next| *next <= until) {
            self.pass(deadline.since(self.now.monotonic));
        }
        self.pass(until.since(self.now.monotonic));
        self.swim.recall(iter::empty(), self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now.monotonic = self.now.monotonic + time;
        self.now.wall = self.now.wall + time;
        self.swim.handle_timeout(self.now);
        self.drain();
    }

    /// Builds the next datagram of this attack.
    pub fn datagram(&mut self, attack: Attack) -> Vec<u8> {
        self.datagrams += 1;
        let asks = matches!(
            attack,
            Attack::SyncRequest | Attack::IndirectPing | Attack::Comparison
        );
        let sender = if asks {
            usual(ASKER)
        } else {
            usual(ASKER + 1 + (self.datagrams % 5000) as usize)
        };
        match attack {
            Attack::Changes | Attack::ShortestChanges => {
                let brief = attack == Attack::ShortestChanges;
                self.statements("LEAVE", &sender, |victim| {
                    let (member, number) = victim.next_member();
                    // Alternately dead and alive again, each time at a higher incarnation.
                    let status = 3 - 2 * (number % 2) as u8;
                    (member, status, 2 + number, !brief)
                })
            }
            Attack::Deaths => self.statements("SYNC_ACK", &sender, |victim| {
                let (member, number) = victim.next_member();
                (member, 3, 2 + number, true)
            }),
            Attack::SyncRequest => self.statements("SYNC_REQ", &sender, |victim| {
                let (member, number) = victim.next_member();
                (member, 1, 2 + number, true)
            }),
            Attack::Inventions => self.statements("LEAVE", &sender, |victim| {
                let name = usual(victim.invented.len()).replace("127", "128");
                let uri = Uri::parse(&name).expect("a URI");
                victim.invented.push(uri.clone());
                (uri, 1, 1, false)
            }),
            Attack::Accusations => {
                let own = self.swim.myself().expect("it takes part").clone();
                let member = self.swim.member(&own).expect("it knows itself");
                // The datagrams of a portion are made before any of them is taken.
                let claimed = member.claim.incarnation.get() + 10_000;
                self.claims = self.claims.max(claimed);
                self.statements("LEAVE", &sender, |victim| {
                    victim.claims += 1;
                    (own.clone(), 3, victim.claims, false)
                })
            }
            Attack::Nils => self.nils(&sender),
            Attack::IndirectPing => {
                let (from, dst) = (uri(&sender), self.members[0].clone());
                let data = ping_data(self.datagrams, &from, &dst, None);
                let draft =
                    MessageBuilder::with_data(MessageType::Ping, &from, &data, DATAGRAM_SIZE);
                draft.finish().expect("it fits")
            }
            Attack::Comparison => {
                let trailer = Trailer {
                    digest: Some(self.datagrams),
                    note: Some(Extension::Compare(vec![self.datagrams as u32; 256])),
                    ..Trailer::default()
                };
                let draft = MessageBuilder::leave(&uri(&sender), DATAGRAM_SIZE - CHECKSUM_SIZE)
                    .trailed_by(&trailer);
                checksummed(draft.finish().expect("it fits"))
            }
        }
    }

    /// The next member in turn, and how many turns were completed.
    fn next_member(&mut self) -> (Uri, u64) {
        let count = self.members.len() as u64;
        let (index, number) = (self.claims % count, self.claims / count);
        self.claims += 1;
        (self.members[index as usize].clone(), number)
    }

    /// Builds a datagram of as many claims as fit: the subject, the status, the incarnation, and whether to
    /// encode that there is no payload.
    fn statements(
        &mut self,
        kind: &str,
        sender: &str,
        next: impl Fn(&mut Self) -> (Uri, u8, u64, bool),
    ) -> Vec<u8> {
        let (mut items, mut count) = (Vec::new(), 0);
        let room = DATAGRAM_SIZE - 10 - sender.len() - kind.len() - 2;
        loop {
            let (about, status, incarnation, nil) = next(self);
            let before = items.len();
            array(&mut items, if nil { 4 } else { 3 });
            text(&mut items, &about);
            number(&mut items, status.into());
            number(&mut items, incarnation);
            if nil {
                items.push(0xc0);
            }
            if items.len() > room {
                items.truncate(before);
                break;
            }
            count += 1;
        }
        let mut datagram = Vec::with_capacity(DATAGRAM_SIZE);
        array(&mut datagram, 4);
        text(&mut datagram, sender);
        text(&mut datagram, kind);
        if kind == "LEAVE" {
            datagram.push(0xc0);
        }
        array(&mut datagram, count);
        datagram.extend(items);
        if kind != "LEAVE" {
            datagram.push(0x90);
        }
        assert!(datagram.len() <= DATAGRAM_SIZE);
        datagram
    }

    fn nils(&self, sender: &str) -> Vec<u8> {
        let own = self.swim.myself().expect("it takes part");
        let member = self.swim.member(own).expect("it knows itself");
        let mut datagram = Vec::with_capacity(DATAGRAM_SIZE);
        array(&mut datagram, 4);
        text(&mut datagram, sender);
        text(&mut datagram, "LEAVE");
        datagram.push(0xc0);
        array(&mut datagram, 1);
        array(&mut datagram, 4);
        text(&mut datagram, own);
        number(&mut datagram, 1);
        number(&mut datagram, member.claim.incarnation.get());
        let nils = DATAGRAM_SIZE - 3 - datagram.len();
        array(&mut datagram, nils as u32);
        datagram.resize(DATAGRAM_SIZE, 0xc0);
        datagram
    }
}

fn uri(text: &str) -> Uri {
    Uri::parse(text).expect("a URI")
}

fn array(out: &mut Vec<u8>, count: u32) {
    msgpack::write_array_len(out, count).expect("memory can be written to");
}

fn text(out: &mut Vec<u8>, text: &str) {
    msgpack::write_str(out, text).expect("memory can be written to");
}

fn number(out: &mut Vec<u8>, number: u64) {
    msgpack::write_uint(out, number).expect("memory can be written to");
}
