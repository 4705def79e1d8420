//! Groups that authenticate their datagrams.

use std::collections::BTreeSet;

use sim::world::Recording;
use swim::config::{Config, Setting};
use swim::security::seal::Cipher;
use swim::time::{Micros, Now};
use swim::wire::DropReason;

use crate::*;

const KEY: &[u8] = b"a key for tests";

/// Members with the cipher that authenticates, which have not met.
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
fn members_meet_and_a_payload_spreads_at_once() {
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
fn a_probe_of_a_stranger_is_answered_within_the_ack_timeout() {
    story(|seed| {
        let mut world = strangers(2, seed);
        let target = uri(&world, B);
        let ticket = world.act(A, "probes", |engine, now| {
            engine.swim_mut().expect("it is native").probe(&target, now)
        });
        let ticket = ticket.expect("it runs").expect("it takes part");
        world.run(ACK_TIMEOUT);
        assert_eq!(swim(&world, A).outcome(ticket), PingOutcome::Answered);
    });
}

#[test]
fn a_death_is_detected_and_a_quick_restart_is_not_taken_for_one() {
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
fn a_datagram_not_sealed_with_the_key_changes_nothing_not_even_about_dead_members() {
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

/// What a member knows: members, claims, payloads and clocks.
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

/// Records all datagrams of a group whose members meet, change payloads, are suspected, die, come back,
/// leave, and are forgotten. A member that accepted any of them again would know the forgotten ones.
fn recording(seed: u64) -> (World, Vec<Recording>) {
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
    let recording = world.tape.take().expect("it was put in");
    world.run(seconds(5));
    let gone = uri(&world, D);
    for id in [A, B, C] {
        world.act(id, "forgets", |engine, now| {
            engine
                .swim_mut()
                .expect("it is native")
                .remove_member(&gone, now);
        });
    }
    (world, recording)
}

/// The recording as it was, backwards, and shuffled.
fn orders(recording: &[Recording], seed: u64) -> [Vec<Recording>; 3] {
    let backwards = recording.iter().rev().cloned().collect();
    let mut shuffled = recording.to_vec();
    let mut number = seed;
    for place in (1..shuffled.len()).rev() {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        shuffled.swap(place, (number >> 33) as usize % (place + 1));
    }
    [recording.to_vec(), backwards, shuffled]
}

/// Replays each datagram to each of these machines, whatever its recipient was.
fn replay(world: &mut World, recording: &[Recording], audience: &[Id]) {
    for Recording { from, datagram, .. } in recording {
        for to in audience {
            let before = swim(world, *to).version();
            world.inject(*from, *to, datagram);
            assert_eq!(
                swim(world, *to).version(),
                before,
                "{to} has accepted a datagram"
            );
        }
    }
}

/// Replays a recording, lets time pass, and asserts that no member knows anything new.
fn replay_in_vain(world: &mut World, recording: &[Recording], audience: &[Id]) {
    let know = |world: &World| {
        audience
            .iter()
            .map(|id| knowledge(world, *id))
            .collect::<Vec<_>>()
    };
    let before = know(world);
    replay(world, recording, audience);
    world.run(seconds(5));
    assert_eq!(know(world), before);
}

#[test]
fn a_recording_replayed_to_its_own_group_changes_nothing() {
    (0..3).for_each(|seed| {
        let (mut world, recording) = recording(seed);
        assert!(recording.len() > 100, "it is long enough");
        for order in orders(&recording, seed) {
            replay_in_vain(&mut world, &order, &[A, B, C]);
        }
    });
}

#[test]
fn a_recording_replayed_to_restarted_members_changes_nothing() {
    (0..3).for_each(|seed| {
        let (mut world, recording) = recording(seed);
        for order in orders(&recording, seed) {
            world.kill(A);
            world.start(A);
            replay(&mut world, &order, &[A]);
            world.introduce(A, B);
            world.settle();
            replay_in_vain(&mut world, &order, &[A, B, C]);
        }
        // None of the recorded processes runs any more.
        [A, B, C].into_iter().for_each(|id| world.kill(id));
        [A, B, C].into_iter().for_each(|id| world.start(id));
        for order in orders(&recording, seed) {
            replay_in_vain(&mut world, &order, &[A, B, C]);
        }
        assert_eq!(swim(&world, A).members().len(), 1, "they have not even met");
    });
}

const F: Id = Id(5);
const G: Id = Id(6);
const H: Id = Id(7);

/// Whether no member of one group knows a member of the other.
fn are_apart(world: &World, one: &[Id], other: &[Id]) -> bool {
    let knows = |id: &Id, others: &[Id]| others.iter().any(|it| world.status(*id, *it).is_some());
    !one.iter().any(|id| knows(id, other)) && !other.iter().any(|id| knows(id, one))
}

#[test]
fn a_recording_replayed_to_another_group_with_the_same_key_changes_nothing() {
    (0..3).for_each(|seed| {
        // The recorded members are alive all the time, and would answer a challenge.
        let (mut world, recording) = recording(seed);
        world.populate(4);
        for order in orders(&recording, seed) {
            replay_in_vain(&mut world, &order, &[E, F, G, H]);
        }
        [F, G, H].into_iter().for_each(|id| world.introduce(E, id));
        world.run(seconds(5));
        assert_eq!(world.status(H, F), Some(Alive), "they are a group");
        for order in orders(&recording, seed) {
            replay_in_vain(&mut world, &order, &[E, F, G, H]);
        }
        assert!(are_apart(&world, &[A, B, C], &[E, F, G, H]), "{seed}");
    });
}

#[test]
fn live_traffic_replayed_between_two_groups_with_the_same_key_does_not_merge_them() {
    story(|seed| {
        let mut world = strangers(4, seed);
        let (one, other) = ([A, B], [C, D]);
        world.introduce(A, B);
        world.introduce(C, D);
        world.run(MOMENT);
        for _ in 0..30 {
            world.tape = Some(Vec::new());
            world.run(MOMENT);
            let recording = world.tape.take().expect("it was put in");
            for Recording { from, datagram, .. } in &recording {
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
fn two_groups_with_different_labels_that_are_introduced_do_not_merge() {
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

/// Duplicates a member that does not notice it, as when a virtual machine is cloned: the copies have all
/// in common but the salts that the system draws for each. Returns what they send.
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
        swim.set_encryption_key(Some(KEY), now(0));
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
fn unnoticed_copies_of_a_member_use_no_nonce_twice() {
    let reused = |sent: &[Vec<u8>]| {
        let nonces: BTreeSet<_> = sent.iter().map(|datagram| &datagram[10..34]).collect();
        sent.len() - nonces.len()
    };
    assert_eq!(reused(&sent_by_copies([Some(1000), Some(2000)])), 0);
    assert!(reused(&sent_by_copies([None, None])) > 0, "that is why");
}

#[test]
fn no_nonce_is_used_twice_after_a_restart_or_a_fork() {
    let nonce = |datagram: &[u8]| datagram[10..34].to_vec();
    (0..3).for_each(|seed| {
        let (_, recording) = recording(seed);
        let nonces: BTreeSet<_> = recording
            .iter()
            .map(|played| nonce(&played.datagram))
            .collect();
        assert_eq!(nonces.len(), recording.len());
        let sessions: BTreeSet<_> = nonces.iter().map(|nonce| nonce[..8].to_vec()).collect();
        assert_eq!(sessions.len(), 5, "C has lived twice");
    });
    let mut world = group(2, 1);
    world.tape = Some(Vec::new());
    world.run(3 * PERIOD);
    world.act(A, "forks", |engine, _now| {
        engine
            .swim_mut()
            .expect("it is native")
            .reseed_after_fork(2);
    });
    world.run(3 * PERIOD);
    let recording = world.tape.take().expect("it was put in");
    let of_a = recording.iter().filter(|played| played.from == A);
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
fn a_broadcast_ping_joins_the_group() {
    story(|seed| {
        let mut world = strangers(2, seed);
        let greeting = world.act(A, "greets", |engine, now| {
            engine.swim_mut().expect("it is native").broadcast_ping(now)
        });
        let greeting = greeting.flatten().expect("it takes part");
        world.inject(A, B, &greeting);
        world.run(MOMENT);
        assert_eq!(world.status(A, B), Some(Alive));
        assert_eq!(world.status(B, A), Some(Alive));
    });
}

#[test]
fn the_largest_payload_spreads_with_every_cipher() {
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
            .expect("it is native")
            .assign("ENCRYPTION_CIPHER", name, now)
    });
    assert_eq!(set, Some(Ok(None)));
}

/// Five members that know each other, and the key, and have this cipher.
fn with_cipher(cipher: Cipher, seed: u64) -> World {
    let mut world = World::new(seed);
    world.config.encryption_cipher = cipher;
    world.key = Some(KEY.to_vec());
    world.populate(5);
    world.acquaint();
    world
}

/// Gives all five this cipher, one after the other, and lets a round pass.
fn change_cipher(world: &mut World, cipher: Cipher) {
    for id in [C, A, E, D, B] {
        set_cipher(world, id, cipher);
        world.run(MOMENT);
    }
    world.run(round(5));
}

#[test]
fn a_group_changes_its_cipher_despite_loss_and_no_member_is_suspected() {
    story(|seed| {
        for (old, both) in [
            (Cipher::Cbc, Cipher::CbcAndAead),
            (Cipher::PlainAndAead, Cipher::PlainAndAead),
        ] {
            let mut world = with_cipher(old, seed);
            world.network.weather.loss = 0.02;
            for cipher in [both, Cipher::Aead, both, old] {
                change_cipher(&mut world, cipher);
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
fn no_datagram_of_a_correct_change_is_taken_for_a_recording() {
    story(|seed| {
        for (old, both) in [
            (Cipher::Cbc, Cipher::CbcAndAead),
            (Cipher::PlainAndAead, Cipher::PlainAndAead),
        ] {
            let mut world = with_cipher(old, seed);
            for cipher in [both, Cipher::Aead] {
                change_cipher(&mut world, cipher);
            }
            for id in [A, B, C, D, E] {
                let recorded = malformed(&world, id, DropReason::Unconfirmed);
                assert_eq!(recorded, 0, "{seed} {id} {old:?}");
            }
        }
    });
}

#[test]
fn a_hurried_change_of_the_cipher_causes_no_suspicion_either() {
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
                // The member that is ahead is probed by all others.
                let ahead = cipher == Cipher::Aead && id == A;
                world.run(if ahead { round(count) } else { hurry });
            }
        }
        world.run(round(count));
        for id in world.ids() {
            assert!(world.all_see(id, Alive), "{seed} {id}");
            assert_eq!(incarnation(&world, A, id), 1, "{seed} {id} was in doubt");
        }
        // A datagram that is on its way to a member which just changes the cipher is lost: pings are
        // repeated.
        let failed = world.ids().map(|id| swim(&world, id).stats().probes_failed);
        assert_eq!(failed.sum::<u64>(), 0, "{seed}");
    });
}

#[test]
fn the_first_member_with_a_new_cipher_is_not_taken_for_one_with_another_key() {
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
fn a_member_that_still_changes_its_cipher_meets_those_that_have_finished() {
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
fn a_ping_that_is_overtaken_by_the_response_is_repeated() {
    for seed in 0..200 {
        let mut world = World::new(seed);
        world.config.encryption_cipher = Cipher::Aead;
        world.key = Some(KEY.to_vec());
        // The probe fails as soon as the ACK is due, so each datagram counts.
        world.config.relays = 0;
        world.network.weather.latency = Duration::from_millis(5);
        world.network.weather.jitter = Duration::from_millis(25);
        world.populate(6);
        world.preload_all();
        let doubt = |world: &World| world.ids().any(|id| !world.all_see(id, Alive));
        assert_eq!(world.run_until(round(6), doubt), None, "{seed}");
    }
}

#[test]
fn a_change_of_the_form_is_shown_to_the_other_live_members_at_once() {
    let mut swim = listener();
    let peers = [1, 2, 3].map(|port| Uri::new("a", port).expect("a URI"));
    for peer in &peers {
        acquaint(&mut swim, peer, at(0));
    }
    let gone = Uri::new("gone", 1).expect("a URI");
    swim.generate(&gone, Left, None, None, at(0));
    drain(&mut swim);
    swim.set_encryption_key(Some(KEY), at(1));
    assert_eq!(drain(&mut swim), [], "the form is that of the option");
    let both = Setting::Text(Cipher::CbcAndAead.name().into());
    swim.assign("ENCRYPTION_CIPHER", both, at(1))
        .expect("it is one");
    let told = |swim: &mut Swim| {
        let mut told: Vec<Uri> = drain(swim).into_iter().map(|it| it.to).collect();
        told.sort();
        told
    };
    assert_eq!(told(&mut swim), peers);
    swim.set_encryption_key(Some(b"another key"), at(1));
    assert_eq!(told(&mut swim), peers, "it offers another key");
    swim.set_encryption_key(Some(b"another key"), at(1));
    assert_eq!(told(&mut swim), [], "it is the same key");
}

/// The only member that the other one of a pair knows, but for its aliases.
fn one_of_a_pair(host: &str, seed: u64) -> Swim {
    let config = Config {
        encryption_cipher: Cipher::Aead,
        ..Config::default()
    };
    let mut swim = Swim::new(config, seed);
    swim.set_encryption_key(Some(KEY), at(0));
    swim.init(Uri::new(host, 1).expect("a URI"), at(0));
    swim
}

/// Two members that know each other.
fn pair() -> (Swim, Swim) {
    let (mut one, mut other) = (one_of_a_pair("one", 1), one_of_a_pair("other", 2));
    one.add_member(Uri::new("other", 1).expect("a URI"), at(0));
    for _ in 0..10 {
        for sent in drain(&mut one) {
            let _ = other.handle_datagram(&sent.datagram, SOMEWHERE, at(0));
        }
        for sent in drain(&mut other) {
            let _ = one.handle_datagram(&sent.datagram, ELSEWHERE, at(0));
        }
    }
    (one, other)
}

#[test]
fn a_datagram_for_another_name_is_dropped_if_its_sender_is_a_member_that_knows_the_right_one() {
    let (mut one, mut other) = pair();
    one.add_member(Uri::new("alias", 1).expect("a URI"), at(1));
    let misdirected = drain(&mut one).pop().expect("it is told").datagram;
    let challenges = |swim: &Swim| swim.stats().challenges;
    let before = challenges(&other);
    let heard = other.handle_datagram(&misdirected, SOMEWHERE, at(1));
    assert_eq!(heard, Err(DropReason::Misdirected));
    assert_eq!(challenges(&other), before);

    // Not so soon that it has just been challenged.
    let later = at(1_000_000);
    // It was confirmed, and is no member any more: it has to learn the right name.
    other.remove_member("one:1", later);
    let heard = other.handle_datagram(&misdirected, SOMEWHERE, later);
    assert_eq!(heard, Ok(()));
    assert_eq!(challenges(&other), before + 1, "no member");

    // It is a member, and was not confirmed in this life of the recipient.
    let mut other = one_of_a_pair("other", 3);
    other.add_member(Uri::new("one", 1).expect("a URI"), at(0));
    let heard = other.handle_datagram(&misdirected, SOMEWHERE, at(1));
    assert_eq!(heard, Ok(()));
    assert_eq!(challenges(&other), 1, "not confirmed");
}
