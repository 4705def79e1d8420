//! Small groups in virtual time: one fact each, under several seeds.

mod amplification;
mod bounds;
mod confirming;
mod duplicates;
mod failing;
mod history;
mod hostile;
mod joining;
mod leaving;
mod mixed;
mod path;
mod probing;
mod reaping;
mod refusals;
mod remembered;
mod rhythm;
mod rotation;
mod sealed;
mod short;
mod telling;
mod tuning;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use sim::{Id, Implementation, World, payload};
use swim::config::Config;
use swim::identity::uri::Uri;
use swim::table::claim::Status::{self, Alive, Dead, Left, NonDecryptable, Suspect};
use swim::table::claim::{Claim, Incarnation};
use swim::table::payload::Payload;
use swim::time::{Micros, Now};
use swim::wire::{Body, MessageBuilder, MessageType, ack_data, decode, ping_data};
use swim::{PingOutcome, Swim, Transmit};

const A: Id = Id(0);
const B: Id = Id(1);
const C: Id = Id(2);
const D: Id = Id(3);
const E: Id = Id(4);

/// The protocol period and the suspicion timeout, by default.
const PERIOD: Duration = Duration::from_secs(1);
const SUSPICION: Duration = Duration::from_secs(3);
const ACK_TIMEOUT: Duration = Duration::from_millis(200);

/// More than a datagram and its answer take, and more than news takes to reach a small group.
const MOMENT: Duration = Duration::from_millis(300);

/// The source address of datagrams that no simulated machine has sent.
const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3301);

/// Another such address.
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 3301);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Runs a story under several seeds.
fn story(run: impl Fn(u64)) {
    (0..20).for_each(run);
}

/// The time in which each member of a group of `count` has been probed by each other (§4.3).
fn round(count: u32) -> Duration {
    PERIOD * (2 * count - 1)
}

fn swim(world: &World, id: Id) -> &Swim {
    world
        .engine(id)
        .and_then(|engine| engine.swim())
        .expect("it runs")
}

fn uri(world: &World, id: Id) -> Uri {
    world.host(id).uri.clone()
}

fn incarnation(world: &World, observer: Id, subject: Id) -> u64 {
    world
        .claim(observer, &world.host(subject).uri)
        .expect("known")
        .incarnation
        .get()
}

/// The answer of the recipient of `ping`.
fn answer(ping: &Transmit) -> Vec<u8> {
    let asked = decode(&ping.datagram).expect("it is native");
    let Body::Ping(echo) = asked.body else {
        panic!("not a PING: {asked:?}");
    };
    let answer = MessageBuilder::with_data(
        MessageType::Ack,
        &ping.to,
        &ack_data(echo.raw, Micros(1)),
        1472,
    );
    answer.finish().expect("it fits")
}

/// Has `peer` join the group of `swim` from [`SOMEWHERE`], and answer the ping that validates its address.
fn acquaint(swim: &mut Swim, peer: &Uri, now: Now) {
    let hello = hearsay(peer, peer, Alive, 1);
    swim.handle_datagram(&hello, SOMEWHERE, now)
        .expect("well formed");
    let ping = swim.poll_transmit().expect("a ping");
    assert_eq!(&ping.to, peer);
    swim.handle_datagram(&answer(&ping), SOMEWHERE, now)
        .expect("well formed");
    drain(swim);
}

/// A LEAVE in which `sender` makes this claim about `subject`.
fn hearsay(sender: &Uri, subject: &Uri, status: Status, incarnation: u64) -> Vec<u8> {
    let incarnation = Incarnation::from_wire(incarnation).expect("admissible");
    let mut draft = MessageBuilder::leave(sender, 1472);
    assert!(draft.event(
        subject,
        Claim {
            incarnation,
            status
        },
        None,
        0
    ));
    draft.finish().expect("it fits")
}

/// The member `localhost:13301`, which most of the recorded datagrams are about. It has nothing to send.
fn listener() -> Swim {
    let mut swim = Swim::new(Config::default(), 1);
    swim.init(Uri::new("localhost", 13301).expect("a URI"), at(0));
    swim.handle_timeout(at(0));
    drain(&mut swim);
    swim
}

fn ping(from: &Uri, dst: &Uri, ts: u64) -> Vec<u8> {
    let draft = MessageBuilder::with_data(
        MessageType::Ping,
        from,
        &ping_data(ts, from, dst, None),
        1472,
    );
    draft.finish().expect("it fits")
}

const fn now_at(monotonic: Micros) -> Now {
    Now {
        monotonic,
        wall: Micros(1_795_372_926_000_000 + monotonic.0),
    }
}

const fn at(micros: u64) -> Now {
    now_at(Micros(micros))
}

fn drain(swim: &mut Swim) -> Vec<Transmit> {
    let sent = std::iter::from_fn(|| swim.poll_transmit()).collect();
    while swim.poll_report().is_some() {}
    sent
}
