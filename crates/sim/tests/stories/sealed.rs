//! Groups that authenticate what they say.

use std::collections::BTreeSet;

use sim::world::Recording;
use swim::config::{Config, Setting};
use swim::security::seal::Cipher;
use swim::time::{Micros, Now};
use swim::wire::DropReason;

use crate::*;

const KEY: &[u8] = b"a key for tests";

/// Members that authenticate everything, and have not met.
fn strangers(count: u32, seed: u64) -> World {
    let mut world = World::new(seed);
    world.config.encryption_cipher = Cipher::Aead;
    world.key = Some(KEY.to_vec());
    world.populate(count);
    world
}

fn group(count: u32, seed: u64) -> World {
    let mut world = strangers(count, seed);
    world.acquaint();
    world
}

fn malformed(world: &World, id: Id, why: DropReason) -> u64 {
    swim(world, id).stats().dropped[why as usize]
}

#[test]
fn members_meet_and_a_payload_gets_around_at_once() {
    story(|seed| {
        let mut world = strangers(5, seed);
        for id in [B, C, D, E] {
            world.introduce(A, id);
        }
        let met = |world: &World| {
            let ids = [A, B, C, D, E];
            ids.into_iter().all(|id| world.all_see(id, Alive))
        };
        assert!(world.run_until(2 * PERIOD, met).is_some());
        world.set_payload(C, 7);
        world.run(MOMENT);
        let known = payload(7);
        for id in [A, B, D, E] {
            let shown = world
                .engine(id)
                .and_then(|engine| engine.shown_payload(&uri(&world, C)));
            assert_eq!(shown.map(Payload::bytes), Some(&known[..]), "{seed}");
        }
    });
}

#[test]
fn a_user_gets_his_answer_from_a_stranger_within_the_ack_timeout() {
    story(|seed| {
        let mut world = strangers(2, seed);
        let target = uri(&world, B);
        let ticket = world.act(A, "probes", |engine, now| {
            engine.swim_mut().expect("ours").probe(&target, now)
        });
        let ticket = ticket.expect("it runs").expect("it takes part");
        world.run(ACK_TIMEOUT);
        assert_eq!(swim(&world, A).outcome(ticket), PingOutcome::Answered);
    });
}

#[test]
fn a_death_is_found_and_a_quick_restart_is_not_taken_for_one() {
    story(|seed| {
        let mut world = group(5, seed);
        world.kill(C);
        world.start(C);
        world.introduce(C, A);
        world.run(MOMENT);
        assert!(world.all_see(C, Alive), "{seed}");
        world.settle();
        world.kill(C);
        let dead = |world: &World| world.all_see(C, Dead);
        let limit = round(5) + PERIOD + SUSPICION + MOMENT;
        assert!(world.run_until(limit, dead).is_some(), "{seed}");
    });
}

#[test]
fn what_is_not_sealed_with_the_key_changes_nothing_not_even_for_the_dead() {
    story(|seed| {
        let mut world = group(3, seed);
        world.kill(C);
        let dead = |world: &World| world.all_see(C, Dead);
        assert!(world.run_until(seconds(30), dead).is_some());
        let before = swim(&world, A).version();
        let lie = hearsay(&uri(&world, C), &uri(&world, B), Dead, 9);
        let mut forged = vec![0xc1, 1];
        forged.extend([0; 200]);
        for datagram in [&lie[..], b"noise", b"", &[0x5a; 64], &forged] {
            world.inject(C, A, datagram);
        }
        assert_eq!(swim(&world, A).version(), before);
        assert_ne!(world.status(A, C), Some(NonDecryptable));
        assert_eq!(malformed(&world, A, DropReason::NotSealed), 4);
        assert_eq!(malformed(&world, A, DropReason::OtherGroup), 0);
        assert_eq!(malformed(&world, A, DropReason::UnknownKey), 1);
    });
}

/// What a member knows: who there is, as what, with which payload, by which clock.
fn knowledge(world: &World, id: Id) -> Vec<(Uri, Claim, Option<Vec<u8>>)> {
    let members = swim(world, id).members().from(0);
    let mut known: Vec<_> = members
        .map(|member| {
            let payload = member
                .payload
                .as_ref()
                .map(|payload| payload.bytes().to_vec());
            (member.uri.clone(), member.claim, payload)
        })
        .collect();
    known.sort_by(|one, other| one.0.cmp(&other.0));
    known
}

/// The whole life of a group, as somebody who listens everywhere has it on tape: members meet, speak,
/// are suspected, die, come back, leave, and are forgotten: whoever believed any of it again would
/// remember them.
fn recorded_life(seed: u64) -> (World, Vec<Recording>) {
    let mut world = strangers(4, seed);
    world.tape = Some(Vec::new());
    world.acquaint();
    world.set_payload(A, 1);
    world.pause(B, 3 * PERIOD);
    world.run(seconds(5));
    world.kill(C);
    let dead = |world: &World| world.all_see(C, Dead);
    assert!(world.run_until(seconds(30), dead).is_some());
    world.start(C);
    world.introduce(C, A);
    world.set_payload(C, 2);
    world.settle();
    world.leave(D);
    world.settle();
    let tape = world.tape.take().expect("it was put in");
    world.run(seconds(5));
    let gone = uri(&world, D);
    for id in [A, B, C] {
        world.act(id, "forgets", |engine, _now| {
            engine.swim_mut().expect("ours").remove_member(&gone);
        });
    }
    (world, tape)
}

/// The tape as it was, backwards, and in no order.
fn orders(tape: &[Recording], seed: u64) -> [Vec<Recording>; 3] {
    let backwards = tape.iter().rev().cloned().collect();
    let mut shuffled = tape.to_vec();
    let mut number = seed;
    for place in (1..shuffled.len()).rev() {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        shuffled.swap(place, (number >> 33) as usize % (place + 1));
    }
    [tape.to_vec(), backwards, shuffled]
}

/// Plays the tape to these, each datagram to each of them, whomever it was for.
fn replay(world: &mut World, tape: &[Recording], audience: &[Id]) {
    for Recording { from, datagram, .. } in tape {
        for to in audience {
            let before = swim(world, *to).version();
            world.inject(*from, *to, datagram);
            assert_eq!(
                swim(world, *to).version(),
                before,
                "{to} has believed something"
            );
        }
    }
}

/// Plays it, lets what comes of it happen, and looks whether anybody knows anything else then.
fn replay_in_vain(world: &mut World, tape: &[Recording], audience: &[Id]) {
    let know = |world: &World| {
        audience
            .iter()
            .map(|id| knowledge(world, *id))
            .collect::<Vec<_>>()
    };
    let before = know(world);
    replay(world, tape, audience);
    world.run(seconds(5));
    assert_eq!(know(world), before);
}

#[test]
fn a_recorded_life_played_to_those_who_have_lived_it_changes_nothing() {
    (0..3).for_each(|seed| {
        let (mut world, tape) = recorded_life(seed);
        assert!(tape.len() > 100, "it was a life");
        for order in orders(&tape, seed) {
            replay_in_vain(&mut world, &order, &[A, B, C]);
        }
    });
}

#[test]
fn a_recorded_life_played_to_members_who_have_been_restarted_changes_nothing() {
    (0..3).for_each(|seed| {
        let (mut world, tape) = recorded_life(seed);
        for order in orders(&tape, seed) {
            world.kill(A);
            world.start(A);
            replay(&mut world, &order, &[A]);
            world.introduce(A, B);
            world.settle();
            replay_in_vain(&mut world, &order, &[A, B, C]);
        }
        // Nobody of those who have spoken on the tape is there any more.
        [A, B, C].into_iter().for_each(|id| world.kill(id));
        [A, B, C].into_iter().for_each(|id| world.start(id));
        for order in orders(&tape, seed) {
            replay_in_vain(&mut world, &order, &[A, B, C]);
        }
        assert_eq!(swim(&world, A).members().len(), 1, "they have not even met");
    });
}

const F: Id = Id(5);
const G: Id = Id(6);
const H: Id = Id(7);

/// Whether nobody of one group has heard of anybody of the other.
fn are_apart(world: &World, one: &[Id], other: &[Id]) -> bool {
    let knows = |id: &Id, others: &[Id]| others.iter().any(|it| world.status(*id, *it).is_some());
    !one.iter().any(|id| knows(id, other)) && !other.iter().any(|id| knows(id, one))
}

#[test]
fn a_recorded_life_played_to_another_group_with_the_same_key_changes_nothing() {
    (0..3).for_each(|seed| {
        // Those who were recorded are alive all the time, and would answer a challenge.
        let (mut world, tape) = recorded_life(seed);
        world.populate(4);
        for order in orders(&tape, seed) {
            replay_in_vain(&mut world, &order, &[E, F, G, H]);
        }
        [F, G, H].into_iter().for_each(|id| world.introduce(E, id));
        world.run(seconds(5));
        assert_eq!(world.status(H, F), Some(Alive), "they are a group");
        for order in orders(&tape, seed) {
            replay_in_vain(&mut world, &order, &[E, F, G, H]);
        }
        assert!(are_apart(&world, &[A, B, C], &[E, F, G, H]), "{seed}");
    });
}

#[test]
fn what_two_groups_with_the_same_key_say_now_played_to_each_other_does_not_merge_them() {
    story(|seed| {
        let mut world = strangers(4, seed);
        let (one, other) = ([A, B], [C, D]);
        world.introduce(A, B);
        world.introduce(C, D);
        world.run(MOMENT);
        for _ in 0..30 {
            world.tape = Some(Vec::new());
            world.run(MOMENT);
            let tape = world.tape.take().expect("it was put in");
            for Recording { from, datagram, .. } in &tape {
                let audience = if one.contains(from) { other } else { one };
                audience
                    .into_iter()
                    .for_each(|to| world.inject(*from, to, datagram));
            }
            assert!(are_apart(&world, &one, &other), "{seed}");
        }
        world.run(seconds(5));
        assert!(are_apart(&world, &one, &other), "{seed}");
        assert_eq!(world.status(A, B), Some(Alive));
        assert_eq!(incarnation(&world, A, B), 1, "never in doubt");
    });
}

#[test]
fn a_member_is_met_by_another_name_than_its_own() {
    story(|seed| {
        let mut world = strangers(2, seed);
        let alias = uri(&world, B);
        world.init(B, "its-own-name");
        world.act(A, "adds the alias", |engine, now| {
            engine.add_member(alias.clone(), now)
        });
        let met =
            |world: &World| world.status(A, B) == Some(Alive) && world.status(B, A) == Some(Alive);
        assert!(world.run_until(MOMENT, met).is_some(), "{seed}");
    });
}

#[test]
fn two_groups_with_other_labels_that_are_introduced_to_each_other_do_not_merge() {
    let labels: [(&[u8], &[u8]); 2] = [(b"one", b"other"), (b"", b"other")];
    let ciphers = [
        (Cipher::Cbc, None),
        (Cipher::Cbc, Some(KEY.to_vec())),
        (Cipher::Aead, Some(KEY.to_vec())),
        (Cipher::PlainAndAead, Some(KEY.to_vec())),
    ];
    for (seed, (cipher, key)) in ciphers.into_iter().enumerate() {
        for (one, other) in labels {
            let mut world = World::new(seed as u64);
            (world.config.encryption_cipher, world.key) = (cipher, key.clone());
            world.config.group_label = one.to_vec();
            world.populate(2);
            world.config.group_label = other.to_vec();
            world.populate(2);
            world.introduce(A, B);
            world.introduce(C, D);
            world.run(seconds(5));
            world.introduce(A, C);
            world.introduce(D, B);
            world.run(seconds(30));
            for (id, friend, strangers) in [(A, B, [C, D]), (B, A, [C, D]), (C, D, [A, B])] {
                assert_eq!(world.status(id, friend), Some(Alive), "{id} {friend}");
                assert_eq!(incarnation(&world, id, friend), 1, "never in doubt");
                for stranger in strangers {
                    let met = world.status(id, stranger);
                    assert!(
                        met.is_none_or(|status| status == Dead),
                        "{id} {stranger} {met:?}"
                    );
                }
            }
            assert!(malformed(&world, C, DropReason::OtherGroup) > 0);
            assert!(malformed(&world, B, DropReason::OtherGroup) > 0);
        }
    }
}

/// A member that is duplicated without notice, like a virtual machine that is cloned: the copies have all
/// in common but what the system draws for each from then on. What they send to others whom they ping.
fn sent_by_copies(salts: [Option<u64>; 2]) -> Vec<Vec<u8>> {
    let now = |seconds: u64| Now {
        monotonic: Micros(1_000_000_000 + seconds * 1_000_000),
        wall: Micros(1_795_372_926_000_000 + seconds * 1_000_000),
    };
    let mut sent = Vec::new();
    for (copy, salt) in (1..).zip(salts) {
        let config = Config {
            encryption_cipher: Cipher::Aead,
            ..Config::default()
        };
        let mut swim = Swim::new(config, 1);
        swim.set_encryption_key(Some(KEY));
        swim.init(Uri::new("own", 1).expect("a URI"), now(0));
        swim.handle_timeout(now(0));
        while swim.poll_transmit().is_some() {}
        // Here it is duplicated.
        for second in 1..20 {
            if let Some(salt) = salt {
                swim.set_salt(salt + second);
            }
            let other = Uri::new("other", copy).expect("a URI");
            swim.probe(&other, now(second)).expect("initialized");
            swim.handle_timeout(now(second));
            sent.extend(std::iter::from_fn(|| swim.poll_transmit()).map(|it| it.datagram));
        }
    }
    sent
}

#[test]
fn copies_of_a_member_that_know_nothing_of_it_use_no_nonce_twice() {
    let reused = |sent: &[Vec<u8>]| {
        let nonces: BTreeSet<_> = sent.iter().map(|datagram| &datagram[10..34]).collect();
        sent.len() - nonces.len()
    };
    assert_eq!(reused(&sent_by_copies([Some(1000), Some(2000)])), 0);
    assert!(reused(&sent_by_copies([None, None])) > 0, "that is why");
}

#[test]
fn no_nonce_is_used_twice_not_even_by_who_is_restarted_or_forks() {
    let nonce = |datagram: &[u8]| datagram[10..34].to_vec();
    (0..3).for_each(|seed| {
        let (_, tape) = recorded_life(seed);
        let nonces: BTreeSet<_> = tape.iter().map(|played| nonce(&played.datagram)).collect();
        assert_eq!(nonces.len(), tape.len());
        let sessions: BTreeSet<_> = nonces.iter().map(|nonce| nonce[..8].to_vec()).collect();
        assert_eq!(sessions.len(), 5, "C has lived twice");
    });
    let mut world = group(2, 1);
    world.tape = Some(Vec::new());
    world.run(3 * PERIOD);
    world.act(A, "forks", |engine, _now| {
        engine.swim_mut().expect("ours").reseed_after_fork(2);
    });
    world.run(3 * PERIOD);
    let tape = world.tape.take().expect("it was put in");
    let of_a = tape.iter().filter(|played| played.from == A);
    let sessions: BTreeSet<_> = of_a
        .map(|played| nonce(&played.datagram)[..8].to_vec())
        .collect();
    assert_eq!(sessions.len(), 2, "parent and child");
    assert!(
        world.all_see(A, Alive) && incarnation(&world, B, A) == 1,
        "unnoticed"
    );
}

#[test]
fn who_greets_everybody_gets_acquainted() {
    story(|seed| {
        let mut world = strangers(2, seed);
        let greeting = world.act(A, "greets", |engine, now| {
            engine.swim_mut().expect("ours").broadcast_ping(now)
        });
        let greeting = greeting.flatten().expect("it takes part");
        world.inject(A, B, &greeting);
        world.run(MOMENT);
        assert_eq!(world.status(A, B), Some(Alive));
        assert_eq!(world.status(B, A), Some(Alive));
    });
}

#[test]
fn the_largest_payload_gets_around_in_every_form() {
    for cipher in Cipher::ALL {
        let mut world = World::new(1);
        world.config.encryption_cipher = cipher;
        world.config.group_label = vec![b'x'; 64];
        world.key = Some(KEY.to_vec());
        world.populate(3);
        world.acquaint();
        let limit = swim(&world, A).payload_limit();
        let mut payload = vec![0x91, 0xc5];
        payload.extend((limit as u16 - 4).to_be_bytes());
        payload.resize(limit, 7);
        world.act(A, "says much", |engine, now| {
            engine.set_payload(&payload, now)
        });
        world.run(MOMENT);
        for id in [B, C] {
            let shown = world
                .engine(id)
                .and_then(|engine| engine.shown_payload(&uri(&world, A)));
            assert_eq!(shown.map(Payload::bytes), Some(&payload[..]), "{cipher:?}");
        }
    }
}

fn set_cipher(world: &mut World, id: Id, cipher: Cipher) {
    let name = Setting::Text(cipher.name().into());
    let set = world.act(id, "changes its cipher", |engine, now| {
        engine
            .swim_mut()
            .expect("ours")
            .assign("ENCRYPTION_CIPHER", name, now)
    });
    assert_eq!(set, Some(Ok(None)));
}

#[test]
fn a_group_changes_its_form_though_datagrams_are_lost_and_nobody_is_in_doubt() {
    story(|seed| {
        for (old, both) in [
            (Cipher::Cbc, Cipher::CbcAndAead),
            (Cipher::PlainAndAead, Cipher::PlainAndAead),
        ] {
            let mut world = World::new(seed);
            world.config.encryption_cipher = old;
            world.key = Some(KEY.to_vec());
            world.populate(5);
            world.acquaint();
            world.network.weather.loss = 0.02;
            for cipher in [both, Cipher::Aead, both, old] {
                for id in [C, A, E, D, B] {
                    set_cipher(&mut world, id, cipher);
                    world.run(MOMENT);
                }
                world.run(round(5));
            }
            world.network.weather.loss = 0.0;
            world.settle();
            for id in [A, B, C, D, E] {
                assert!(world.all_see(id, Alive), "{seed} {id} {old:?}");
                assert_eq!(
                    incarnation(&world, A, id),
                    1,
                    "{seed} {id} {old:?}: in doubt"
                );
            }
        }
    });
}

#[test]
fn a_hurried_change_of_form_leaves_nobody_in_doubt_either() {
    story(|seed| {
        let mut world = World::new(seed);
        world.config.encryption_cipher = Cipher::Cbc;
        world.key = Some(KEY.to_vec());
        let count = if seed < 10 { 2 } else { 8 };
        world.populate(count);
        world.acquaint();
        let hurry = Duration::from_millis(20);
        for cipher in [
            Cipher::CbcAndAead,
            Cipher::Aead,
            Cipher::CbcAndAead,
            Cipher::Cbc,
        ] {
            for id in world.ids() {
                set_cipher(&mut world, id, cipher);
                // Who is ahead of the others is probed by them all.
                let ahead = cipher == Cipher::Aead && id == A;
                world.run(if ahead { round(count) } else { hurry });
            }
        }
        world.run(round(count));
        for id in world.ids() {
            assert!(world.all_see(id, Alive), "{seed} {id}");
            assert_eq!(incarnation(&world, A, id), 1, "{seed} {id} was in doubt");
        }
        // A datagram that is on its way to a member which just changes its form is lost: pings are
        // asked again.
        let failed = world.ids().map(|id| swim(&world, id).stats().probes_failed);
        assert_eq!(failed.sum::<u64>(), 0, "{seed}");
    });
}

#[test]
fn who_is_restarted_as_the_first_to_change_is_not_taken_for_one_with_another_key() {
    story(|seed| {
        let mut world = World::of(3, seed);
        world.kill(C);
        let dead = |world: &World| world.all_see(C, Dead);
        assert!(world.run_until(seconds(30), dead).is_some());
        world.config.encryption_cipher = Cipher::PlainAndAead;
        world.key = Some(KEY.to_vec());
        world.start(C);
        world.introduce(C, A);
        let mistaken = |world: &World| {
            let by = |id| world.status(id, C) == Some(NonDecryptable);
            by(A) || by(B)
        };
        assert_eq!(world.run_until(round(3), mistaken), None, "{seed}");
        assert!(world.all_see(C, Alive), "{seed}");
    });
}

#[test]
fn who_is_still_on_the_way_meets_those_who_have_arrived() {
    story(|seed| {
        let mut world = group(3, seed);
        world.config.encryption_cipher = Cipher::PlainAndAead;
        world.populate(1);
        world.introduce(D, A);
        let met = |world: &World| world.all_see(D, Alive) && world.all_see(A, Alive);
        // Its ping comes within a period, and the introduction takes some datagrams more.
        assert!(world.run_until(PERIOD + MOMENT, met).is_some(), "{seed}");
    });
}

#[test]
fn a_ping_that_the_response_overtakes_is_asked_again() {
    for seed in 0..200 {
        let mut world = World::new(seed);
        world.config.encryption_cipher = Cipher::Aead;
        world.key = Some(KEY.to_vec());
        // The verdict falls as soon as the ACK is due, so each datagram counts.
        world.config.relays = 0;
        world.network.weather.latency = Duration::from_millis(5);
        world.network.weather.jitter = Duration::from_millis(25);
        world.populate(6);
        world.preload_all();
        let doubt = |world: &World| world.ids().any(|id| !world.all_see(id, Alive));
        assert_eq!(world.run_until(round(6), doubt), None, "{seed}");
    }
}
