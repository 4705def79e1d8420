//! The short form between native members.

use swim::security::seal::Cipher;
use swim::wire::is_short;

use crate::*;

/// All datagrams of so much time, sealed or not, and whether they are in the short form.
fn tape(world: &mut World, time: Duration) -> Vec<(Id, Vec<u8>, bool)> {
    world.tape = Some(Vec::new());
    world.run(time);
    let mut datagrams = Vec::new();
    for recording in world.tape.take().expect("it was put in") {
        let opened = swim(world, A)
            .peek(&recording.datagram)
            .expect("it is native");
        let short = is_short(&opened.plain);
        datagrams.push((recording.to, recording.datagram.clone(), short));
    }
    datagrams
}

#[test]
fn members_that_agree_leave_out_their_names() {
    let key = &b"a key for tests"[..];
    for (cipher, key, most) in [
        (Cipher::Cbc, None, 31),
        (Cipher::Cbc, Some(key), 32),
        (Cipher::Aead, Some(key), 31 + 60),
    ] {
        story(|seed| {
            let mut world = World::new(seed);
            world.config.encryption_cipher = cipher;
            world.config.group_label = b"label".to_vec();
            world.key = key.map(<[u8]>::to_vec);
            world.populate(6);
            world.acquaint();
            world.settle();
            world.run(round(6));
            let datagrams = tape(&mut world, round(6));
            assert!(datagrams.len() > 100);
            for (_, datagram, short) in datagrams {
                let size = datagram.len();
                assert!(short && size <= most, "{cipher:?}: {size} bytes");
            }
        });
    }
}

#[test]
fn a_member_whose_place_an_old_version_takes_is_understood_and_understands_at_once() {
    story(|seed| {
        let mut world = World::of(6, seed);
        world.settle();
        world.run(round(6));
        world.observer.reset([]);
        world.kill(B);
        world.host_mut(B).implementation = Implementation::Legacy;
        world.start(B);
        world.set_payload(B, 8);
        world.introduce(B, A);
        let known = |world: &World| world.all_see(B, Alive) && world.all_have(B, 8);
        assert!(world.run_until(round(6), known).is_some());
        world.run(round(6));
        assert!(known(&world));
        assert_eq!(world.observer.false_suspicions.len(), 0);
    });
}

#[test]
fn a_name_that_leads_to_another_member_does_not_answer() {
    story(|seed| {
        let mut world = World::of(4, seed);
        world.settle();
        world.run(round(4));
        let name = uri(&world, B);
        world.power_off(B);
        for id in [A, C, D] {
            world.lead(id, &name, C);
        }
        let dead = |world: &World| world.all_see(B, Dead);
        let limit = round(4) + PERIOD + SUSPICION + PERIOD;
        assert!(world.run_until(limit, dead).is_some());
    });
}

#[test]
fn a_damaged_datagram_in_the_short_form_changes_nothing() {
    for key in [None, Some(&b"a key for tests"[..])] {
        let mut world = World::new(1);
        world.key = key.map(<[u8]>::to_vec);
        world.populate(3);
        world.acquaint();
        world.settle();
        world.run(round(3));
        world.set_payload(B, 7);
        let now = world.host(A).clocks.at(world.now());
        let datagrams = tape(&mut world, round(3));
        let mut tried = 0;
        for (to, datagram, short) in datagrams {
            if to != A || !short {
                continue;
            }
            let engine = world.host_mut(A).engine.as_mut().expect("it runs");
            let swim = engine.swim_mut().expect("it is native");
            for bit in 0..8 * datagram.len() {
                let mut flipped = datagram.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let heard = swim.handle_datagram(&flipped, B.address(), now);
                assert!(heard.is_err(), "bit {bit} of {datagram:x?}");
                assert!(drain(swim).is_empty());
                tried += 1;
            }
        }
        assert!(tried > 1000, "{tried}");
    }
}
