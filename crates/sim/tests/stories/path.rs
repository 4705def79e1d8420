//! Networks that carry less than members send, and do not say so.

use std::net::Ipv6Addr;

use crate::*;
use swim::config::Setting;
use swim::table::preload::Preloaded;
use swim::wire::{Extension, Trailer, checksummed};

/// What the path between the members of these stories carries, and which of the sizes tried that is.
const CARRIED: usize = 1000;
const FOUND: usize = 972;

/// An array of some zeros and the number that [`World::payload`] looks for.
fn large_payload(size: u16, number: u64) -> Vec<u8> {
    let mut bytes = vec![0x92, 0xc5];
    bytes.extend(size.to_be_bytes());
    bytes.resize(bytes.len() + usize::from(size), 0);
    bytes.push(0xcf);
    bytes.extend(number.to_be_bytes());
    bytes
}

fn set_large_payload(world: &mut World, id: Id, number: u64) {
    world.act(id, "sets a large payload", |engine, now| {
        engine.set_payload(&large_payload(1180, number), now);
    });
}

/// Lets no datagram above `size` pass between any two members.
fn limit_all(world: &mut World, size: usize) {
    let ids: Vec<Id> = world.ids().collect();
    for from in &ids {
        for to in ids.iter().filter(|to| *to != from) {
            world.network.limit_size(*from, *to, size);
        }
    }
}

/// What `observer` says of the size of datagrams to `subject`, if anything.
fn hint(world: &World, observer: Id, subject: Id) -> Option<String> {
    let now = world.host(observer).clocks.at(world.now());
    let diagnosis = swim(world, observer).diagnose(&uri(world, subject), now);
    let mut hints = diagnosis.expect("it is known").hints;
    hints.retain(|hint| hint.starts_with("datagrams above"));
    hints.pop()
}

fn suspicions(world: &World) -> u64 {
    let of = |id| swim(world, id).stats().suspicions;
    world.ids().map(of).sum()
}

#[test]
fn a_large_payload_arrives_where_only_small_datagrams_pass_and_no_member_is_suspected() {
    for key in [None, Some(vec![7; 32])] {
        story(|seed| {
            let mut world = World::new(seed);
            world.key.clone_from(&key);
            if key.is_some() {
                let cipher = b"xchacha20-poly1305".to_vec();
                let cipher = Setting::Text(cipher);
                world
                    .config
                    .assign("ENCRYPTION_CIPHER", cipher)
                    .expect("a cipher");
            }
            world.populate(3);
            world.acquaint();
            // Each member has answered each other.
            world.run(round(3));
            limit_all(&mut world, CARRIED);
            set_large_payload(&mut world, A, 7);
            set_large_payload(&mut world, B, 8);
            let arrived = |world: &World| world.all_have(A, 7) && world.all_have(B, 8);
            let took = world.run_until(8 * PERIOD, arrived);
            assert!(took.is_some(), "seed {seed}: {:?}", world.disagreement());
            world.settle();
            assert_eq!(suspicions(&world), 0);
            let said = [hint(&world, A, B), hint(&world, A, C)];
            let right =
                format!("datagrams above {FOUND} bytes do not reach it: lower MAX_PACKET_SIZE");
            assert!(said.contains(&Some(right)), "{said:?}");
        });
    }
}

#[test]
fn a_newcomer_is_told_of_all_members_where_only_small_datagrams_pass() {
    story(|seed| {
        let mut world = World::of(6, seed);
        for id in world.ids() {
            world.act(id, "sets a payload", |engine, now| {
                engine.set_payload(&large_payload(300, 7), now);
            });
        }
        world.settle();
        let newcomer = world.add();
        limit_all(&mut world, CARRIED);
        world.start(newcomer);
        world.introduce(newcomer, A);
        let others: Vec<Id> = world.ids().filter(|id| *id != newcomer).collect();
        let knows = |world: &World| {
            others
                .iter()
                .all(|id| world.payload(newcomer, *id) == Some(7))
        };
        let took = world.run_until(10 * PERIOD, knows);
        assert!(took.is_some(), "seed {seed}: {:?}", world.disagreement());
        assert_eq!(suspicions(&world), 0);
    });
}

#[test]
fn a_size_is_forgotten_when_all_sizes_pass_again() {
    story(|seed| {
        let mut world = World::of(2, seed);
        world.run(round(2));
        limit_all(&mut world, CARRIED);
        set_large_payload(&mut world, A, 7);
        let found = |world: &World| hint(world, A, B).is_some();
        assert!(world.run_until(8 * PERIOD, found).is_some());
        world.network.heal();
        let forgotten = |world: &World| hint(world, A, B).is_none();
        assert!(world.run_until(seconds(660), forgotten).is_some());
        assert!(world.now() > Micros(600_000_000), "not before");
    });
}

#[test]
fn losses_are_not_taken_for_a_path_that_carries_less() {
    story(|seed| {
        let mut world = World::of(5, seed);
        world.run(round(5));
        world.network.weather.loss = 0.1;
        for number in 0..10 {
            set_large_payload(&mut world, A, number);
            world.run(PERIOD);
        }
        for id in [B, C, D, E] {
            assert_eq!(hint(&world, A, id), None);
        }
    });
}

#[test]
fn members_that_were_parted_find_one_another_where_only_small_datagrams_pass() {
    story(|seed| {
        let mut world = World::of(2, seed);
        world.network.partition(&[B]);
        world.run(10 * PERIOD);
        assert_eq!(world.status(A, B), Some(Dead));
        set_large_payload(&mut world, A, 7);
        set_large_payload(&mut world, B, 8);
        world.network.heal();
        limit_all(&mut world, CARRIED);
        let arrived = |world: &World| world.all_have(A, 7) && world.all_have(B, 8);
        let took = world.run_until(10 * PERIOD, arrived);
        assert!(took.is_some(), "seed {seed}: {:?}", world.disagreement());
        assert!(world.all_see(A, Alive) && world.all_see(B, Alive));
    });
}

/// The largest datagram that a peer at `source` gets from a member with a large table, as all in it differs
/// from its own.
fn largest_to(source: SocketAddr, packet_size: f64) -> usize {
    let mut swim = listener();
    let size = Setting::Number(packet_size);
    swim.assign("MAX_PACKET_SIZE", size, at(0)).expect("good");
    let members = (0..200).map(|port| Preloaded {
        uri: Uri::new("member", 1000 + port).expect("a URI"),
        claim: Claim::alive(Incarnation::FIRST),
        payload: Some(Payload::new(&large_payload(port, 7)).expect("harmless")),
        is_native: true,
    });
    swim.recall(members, at(1));
    let peer = Uri::new("peer", 1).expect("a URI");
    let compare = |sum| {
        let note = Some(Extension::Compare(vec![sum; 256]));
        let trailer = Trailer {
            note,
            ..Trailer::default()
        };
        let compare = MessageBuilder::leave(&peer, 1472).trailed_by(&trailer);
        checksummed(compare.finish().expect("it fits"))
    };
    let hello = hearsay(&peer, &peer, Alive, 1);
    swim.handle_datagram(&hello, source, at(1)).expect("good");
    let ping = swim.poll_transmit().expect("a ping");
    swim.handle_datagram(&answer(&ping), source, at(1))
        .expect("good");
    drain(&mut swim);
    let mut largest = 0;
    for sum in 1..20 {
        swim.handle_datagram(&compare(sum), source, at(1))
            .expect("good");
        for transmit in drain(&mut swim) {
            largest = largest.max(transmit.datagram.len());
        }
    }
    largest
}

#[test]
fn datagrams_are_as_large_as_ethernet_carries_in_either_family_unless_the_option_says_otherwise() {
    let four = SOMEWHERE;
    let six = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 3301);
    for (source, option, least, most) in [
        (four, 1472.0, 1453, 1472),
        (six, 1472.0, 1430, 1452),
        (six, 1300.0, 1280, 1300),
        (six, 4000.0, 3900, 4000),
    ] {
        let largest = largest_to(source, option);
        assert!(
            (least..=most).contains(&largest),
            "{source} {option}: {largest}"
        );
    }
}
