//! A group that has known one another for long, and what its members say.

use std::iter;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use swim::Swim;
use swim::Transmit;
use swim::config::Config;
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Incarnation};
use swim::table::preload::Preloaded;
use swim::time::{Micros, Now};
use swim::wire::{
    Body, CHECKSUM_SIZE, MessageBuilder, MessageType, Trailer, ack_data, checksummed, decode,
    ping_data,
};

/// How many there are, the one that is measured included.
pub const MEMBERS: usize = 10_000;

/// `MAX_PACKET_SIZE`, by default.
pub const DATAGRAM_SIZE: usize = 1472;

/// Where its datagrams come from.
pub const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3301);
/// What is left of it for a message and its trailer.
const MESSAGE_SIZE: usize = DATAGRAM_SIZE - CHECKSUM_SIZE;

/// From a question to its answer.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// The group, as far as it is not measured.
pub struct Group {
    uris: Vec<Uri>,
    now: Now,
    /// What everybody is at.
    incarnation: Incarnation,
    /// Of whom to tell next.
    next: usize,
    /// What everybody's table comes to.
    digest: u64,
}

/// How much of what a datagram says its recipient does not know yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// All of it.
    News,
    /// Nothing.
    Known,
}

impl Group {
    /// A group with URIs as they are in production, or as short as they can be.
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

    /// The first of them, who knows everybody.
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

    /// What time it is.
    pub const fn now(&self) -> Now {
        self.now
    }

    /// One of them after the other, without end.
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

    /// A datagram with as many events as it can hold, each about another member.
    pub fn full_datagram(&mut self, said: Said) -> Vec<u8> {
        self.tell_of(MEMBERS, said)
    }

    /// Has `swim` spread fresh news about so many members, always the same ones.
    pub fn start_rumors(&mut self, swim: &mut Swim, count: usize) {
        (self.next, self.incarnation) = (1, self.incarnation.next());
        while self.next <= count {
            let datagram = self.tell_of(count + 1 - self.next, Said::News);
            let heard = swim.handle_datagram(&datagram, SOMEWHERE, self.now);
            heard.expect("it is well formed");
        }
        assert_eq!(swim.rumors(), count);
    }

    /// Has `swim` spread nothing any more.
    pub fn end_rumors(&self, swim: &mut Swim) {
        swim.recall(iter::empty(), self.now);
        assert_eq!(swim.rumors(), 0);
    }

    /// A datagram with up to `count` events, each about another member.
    fn tell_of(&mut self, count: usize, said: Said) -> Vec<u8> {
        let mut draft =
            MessageBuilder::leave(&self.uris[1], MESSAGE_SIZE).trailed_by(&self.trailer());
        for _ in 0..count {
            if self.next == 0 {
                self.next = 1;
                if said == Said::News {
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

    /// What the member that `ping` went to says to it.
    pub fn answer(&mut self, ping: &Transmit) -> (Vec<u8>, Now) {
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

    /// The PING of one of the others.
    pub fn ping(&mut self) -> Vec<u8> {
        self.next = self.next % (MEMBERS - 1) + 1;
        let from = &self.uris[self.next];
        let data = ping_data(self.now.wall.0, from, &self.uris[0], None);
        self.datagram(MessageType::Ping, from, &data)
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
