//! A group whose members have known one another for long, and the datagrams that they send.

use std::iter;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use swim::Swim;
use swim::Transmit;
use swim::config::Config;
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Incarnation};
use swim::table::digest::hash_of;
use swim::table::preload::Preloaded;
use swim::time::{Micros, Now};
use swim::wire::{
    Body, CHECKSUM_SIZE, MessageBuilder, MessageType, ShortHead, Trailer, ack_data, checked_short,
    checksummed, cookie_echo, decode, decode_short, is_short, pair_id,
};

/// How many members there are, the one that is measured included.
pub const MEMBERS: usize = 10_000;

/// `MAX_PACKET_SIZE`, by default.
pub const DATAGRAM_SIZE: usize = 1472;

/// The source address of its datagrams.
pub const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3301);

/// What is left of a datagram for a message and its trailer.
const MESSAGE_SIZE: usize = DATAGRAM_SIZE - CHECKSUM_SIZE;

/// The time from a ping to its answer.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// The members of the group that are not measured.
pub struct Group {
    uris: Vec<Uri>,
    now: Now,
    /// The present incarnation of all members.
    incarnation: Incarnation,
    /// The index of the member that the next event is about.
    next: usize,
    /// The digest of all tables.
    digest: u64,
}

/// Whether the recipient of a datagram knows its claims.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Claims {
    /// It knows none of them.
    News,
    /// It knows all of them.
    Known,
}

impl Group {
    /// Creates a group with these URIs.
    pub fn new(uri: impl Fn(usize) -> String) -> Self {
        let uris = (0..MEMBERS).map(|index| Uri::parse(&uri(index)).expect("a URI"));
        Self {
            uris: uris.collect(),
            now: Now {
                monotonic: Micros(1_000_000_000),
                wall: Micros(1_700_000_000_000_000),
            },
            incarnation: Incarnation::FIRST,
            next: 0,
            digest: 0,
        }
    }

    /// Creates the first member, which knows all others.
    pub fn member(&mut self) -> Swim {
        let mut swim = Swim::new(Config::default(), 1);
        swim.init(self.uris[0].clone(), self.now);
        let others = self.uris[1..].iter().map(|uri| Preloaded {
            uri: uri.clone(),
            claim: Claim::alive(self.incarnation),
            payload: None,
            is_native: true,
        });
        swim.recall(others, self.now);
        self.digest = swim.members().digest().total();
        swim
    }

    /// The present time.
    pub const fn now(&self) -> Now {
        self.now
    }

    /// The other members, over and over.
    pub fn others(&self) -> impl Iterator<Item = Uri> + use<> {
        let others = self.uris[1..].to_vec();
        others.into_iter().cycle()
    }

    /// Lets time pass until `swim` has something to do.
    pub fn wait(&mut self, swim: &Swim) -> Now {
        let deadline = swim
            .next_deadline()
            .expect("there is always something to do");
        self.pass(deadline.since(self.now.monotonic))
    }

    fn pass(&mut self, time: Duration) -> Now {
        self.now.monotonic = self.now.monotonic + time;
        self.now.wall = self.now.wall + time;
        self.now
    }

    /// Builds a datagram with as many events as fit, each about another member.
    pub fn full_datagram(&mut self, claims: Claims) -> Vec<u8> {
        self.datagram_of(MEMBERS, claims)
    }

    /// Gives `swim` news about `count` members, always the same ones, which it then gossips.
    pub fn start_rumors(&mut self, swim: &mut Swim, count: usize) {
        (self.next, self.incarnation) = (1, self.incarnation.next());
        while self.next <= count {
            let datagram = self.datagram_of(count + 1 - self.next, Claims::News);
            let handled = swim.handle_datagram(&datagram, SOMEWHERE, self.now);
            handled.expect("it is well formed");
        }
        assert_eq!(swim.rumors(), count);
    }

    /// Ends all rumors of `swim`.
    pub fn end_rumors(&self, swim: &mut Swim) {
        swim.recall(iter::empty(), self.now);
        assert_eq!(swim.rumors(), 0);
    }

    /// Builds a datagram with up to `count` events, each about another member.
    fn datagram_of(&mut self, count: usize, claims: Claims) -> Vec<u8> {
        let mut draft =
            MessageBuilder::leave(&self.uris[1], MESSAGE_SIZE).trailed_by(&self.trailer());
        for _ in 0..count {
            if self.next == 0 {
                self.next = 1;
                if claims == Claims::News {
                    self.incarnation = self.incarnation.next();
                }
            }
            let claim = Claim::alive(self.incarnation);
            if !draft.event(&self.uris[self.next], claim, None, 30) {
                break;
            }
            self.next = (self.next + 1) % MEMBERS;
        }
        checksummed(draft.finish().expect("it fits"))
    }

    /// Builds the answer of the recipient of `ping`, in the form in which it was asked.
    pub fn answer(&mut self, ping: &Transmit) -> (Vec<u8>, Now) {
        if is_short(&ping.datagram) {
            return self.answer_short(&ping.datagram);
        }
        let message = decode(&ping.datagram).expect("what was encoded");
        let Body::Ping(echo) = message.body else {
            panic!("not a PING: {message:?}")
        };
        let now = self.pass(ROUND_TRIP);
        (
            self.datagram(MessageType::Ack, &ping.to, &ack_data(echo.raw, now.wall)),
            now,
        )
    }

    fn answer_short(&mut self, ping: &[u8]) -> (Vec<u8>, Now) {
        let plain = checked_short(ping).expect("what was encoded");
        let short = decode_short(plain).expect("what was encoded");
        let ShortHead::Ping { cookie, .. } = short.head else {
            panic!("not a PING: {short:?}")
        };
        let now = self.pass(ROUND_TRIP);
        let head = ShortHead::Ack {
            cookie: cookie_echo(cookie),
            answered: now.wall.0,
        };
        // An ACK tells the digest only if that is not the one of its PING.
        let ack = MessageBuilder::short(head, MESSAGE_SIZE).trailed_by(&Trailer::default());
        (checksummed(ack.finish().expect("it fits")), now)
    }

    /// Builds the PING of one of the others, in the short form.
    pub fn ping(&mut self) -> Vec<u8> {
        self.next = self.next % (MEMBERS - 1) + 1;
        let head = ShortHead::Ping {
            pair: pair_id(hash_of(&self.uris[self.next]), &self.uris[0], b""),
            cookie: self.now.wall.0,
            sent: self.now.wall.0,
        };
        let ping = MessageBuilder::short(head, MESSAGE_SIZE).trailed_by(&self.trailer());
        checksummed(ping.finish().expect("it fits"))
    }

    fn datagram(&self, kind: MessageType, from: &Uri, data: &[u8]) -> Vec<u8> {
        let draft = MessageBuilder::with_data(kind, from, data, MESSAGE_SIZE);
        checksummed(draft.trailed_by(&self.trailer()).finish().expect("it fits"))
    }

    fn trailer(&self) -> Trailer {
        Trailer {
            digest: Some(self.digest),
            ..Trailer::default()
        }
    }
}
