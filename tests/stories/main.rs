//! Small groups in virtual time, one fact each, and each under several seeds.

mod bounds;
mod courtesy;
mod failing;
mod hostile;
mod joining;
mod leaving;
mod mixed;
mod reaping;
mod sealed;
mod tuning;

use std::time::Duration;

use membership::sim::{Id, Kind as Implementation, World, payload};
use membership::swim::claim::Status::{self, Alive, Dead, Left, NonDecryptable, Suspect};
use membership::swim::claim::{Claim, Incarnation};
use membership::swim::payload::Payload;
use membership::swim::uri::Uri;
use membership::swim::wire::{Draft, Kind};
use membership::swim::{Outcome, Swim};

const A: Id = Id(0);
const B: Id = Id(1);
const C: Id = Id(2);
const D: Id = Id(3);
const E: Id = Id(4);

/// The protocol period and the suspicion timeout, by default.
const PERIOD: Duration = Duration::from_secs(1);
const SUSPICION: Duration = Duration::from_secs(3);
const ACK_TIMEOUT: Duration = Duration::from_millis(200);

/// More than a datagram and its answer take, and than news takes to get around a small group.
const MOMENT: Duration = Duration::from_millis(300);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Tells one story under several seeds.
fn story(tell: impl Fn(u64)) {
    (0..20).for_each(tell);
}

/// Within which time everybody in a group of `count` has been probed by everybody (§4.3).
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

/// A LEAVE in which `sender` says this of `subject`.
fn hearsay(sender: &Uri, subject: &Uri, status: Status, incarnation: u64) -> Vec<u8> {
    let incarnation = Incarnation::from_wire(incarnation).expect("admissible");
    let mut draft = Draft::leave(sender, 1472);
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
