//! Groups that change their key: with which of its keys a member is sent what.

use sim::world::Recording;
use swim::config::Config;
use swim::security::rotation::{KeyRefused, MemberKeys};
use swim::security::seal::keyring::{BadKey, Key, KeyId, Keyring};
use swim::security::seal::{Cipher, Seal};

use crate::*;

const OLD: &[u8] = b"the old key";
const NEW: &[u8] = b"the new key";

/// Each story is told with either cipher.
fn with_each_cipher(run: impl Fn(Cipher, u64)) {
    for cipher in [Cipher::Cbc, Cipher::Aead] {
        (0..10).for_each(|seed| run(cipher, seed));
    }
}

/// A group of so many, with the old key.
fn group(count: u32, cipher: Cipher, seed: u64) -> World {
    let mut world = World::new(seed);
    world.config.encryption_cipher = cipher;
    world.key = Some(OLD.to_vec());
    world.populate(count);
    world.acquaint();
    world
}

/// A group of four that sends with the new key and accepts the old one.
fn group_that_uses_the_new_key(cipher: Cipher, seed: u64) -> World {
    let mut world = group(4, cipher, seed);
    let all = [A, B, C, D];
    add(&mut world, &all);
    world.run(2 * round(4));
    use_new(&mut world, &all);
    world.run(2 * round(4));
    world
}

fn change(
    world: &mut World,
    ids: &[Id],
    what: &str,
    change: impl Fn(&mut Swim, Now) -> Result<(), BadKey>,
) {
    for id in ids {
        world.act(*id, what, |engine, now| {
            let swim = engine.swim_mut().expect("it is native");
            change(swim, now).expect("the keys allow it");
        });
    }
}

fn add(world: &mut World, ids: &[Id]) {
    change(world, ids, "adds the new key", |swim, now| {
        swim.add_encryption_key(NEW, now)
    });
}

fn use_new(world: &mut World, ids: &[Id]) {
    change(world, ids, "uses the new key", |swim, now| {
        swim.use_encryption_key(NEW, now)
    });
}

fn remove_old(world: &mut World, ids: &[Id]) {
    change(world, ids, "removes the old key", |swim, now| {
        swim.remove_encryption_key(OLD, now)
    });
}

/// Whether no member was ever suspected: all are alive at their first incarnation.
fn is_undisturbed(world: &World) -> bool {
    let first = |observer| move |subject| incarnation(world, observer, subject) == 1;
    world
        .ids()
        .all(|id| world.all_see(id, Alive) && world.ids().all(first(id)))
}

fn all_are_alive(world: &World) -> bool {
    world.ids().all(|id| world.all_see(id, Alive))
}

/// With which key a datagram was encrypted.
fn key_of(recording: &Recording, cipher: Cipher) -> KeyId {
    let mut keys = Keyring::default();
    keys.set([OLD, NEW]).expect("there is room for two");
    let seal = Seal {
        keys: &keys,
        cipher,
        iv: &Config::default().encryption_init,
        label: b"",
    };
    let opened = seal.open(&recording.datagram).expect("one of these keys");
    opened.key.expect("it is encrypted")
}

fn new_id() -> KeyId {
    Key::new(NEW).id()
}

/// The keys of all datagrams that arrive within `time`, without those to oneself.
fn keys_on_the_wire(world: &mut World, cipher: Cipher, time: Duration) -> Vec<(Id, Id, KeyId)> {
    world.tape = Some(Vec::new());
    world.run(time);
    let tape = world.tape.take().expect("it runs");
    let between_two = tape
        .iter()
        .filter(|recording| recording.from != recording.to);
    between_two
        .map(|recording| (recording.from, recording.to, key_of(recording, cipher)))
        .collect()
}

#[test]
fn a_member_that_has_only_the_old_key_goes_on_undisturbed_while_the_others_accept_that() {
    with_each_cipher(|cipher, seed| {
        let mut world = group(4, cipher, seed);
        add(&mut world, &[A, B, C]);
        use_new(&mut world, &[A, B, C]);
        world.run(5 * round(4));
        assert!(is_undisturbed(&world), "{cipher:?} {seed}");
        for (from, to, key) in keys_on_the_wire(&mut world, cipher, 2 * round(4)) {
            let is_new = from != D && to != D;
            assert_eq!(key == new_id(), is_new, "{cipher:?} {seed}: {from} to {to}");
        }
    });
}

#[test]
fn a_member_that_was_stopped_while_the_others_went_on_is_not_stranded() {
    with_each_cipher(|cipher, seed| {
        let mut world = group(4, cipher, seed);
        let others = [A, B, C];
        let stop = |world: &mut World| {
            world.pause(D, seconds(20));
            let dead = |world: &World| others.iter().all(|id| world.status(*id, D) == Some(Dead));
            assert!(
                world.run_until(seconds(15), dead).is_some(),
                "{cipher:?} {seed}"
            );
        };
        let resume = |world: &mut World| {
            world.run(seconds(20));
            let back = world.run_until(2 * round(4), all_are_alive);
            assert!(
                back.is_some(),
                "{cipher:?} {seed}: {:?}",
                world.disagreement()
            );
        };
        stop(&mut world);
        add(&mut world, &others);
        use_new(&mut world, &others);
        resume(&mut world);
        add(&mut world, &[D]);
        stop(&mut world);
        world.run(PERIOD);
        resume(&mut world);
        use_new(&mut world, &[D]);
        stop(&mut world);
        remove_old(&mut world, &others);
        resume(&mut world);
        remove_old(&mut world, &[D]);
        world.settle();
    });
}

#[test]
fn once_all_accept_the_new_key_nothing_is_sent_with_the_old_one() {
    with_each_cipher(|cipher, seed| {
        let mut world = group(4, cipher, seed);
        let all = [A, B, C, D];
        add(&mut world, &all);
        // Each hears from each that it accepts both.
        world.run(2 * round(4));
        use_new(&mut world, &[A, B]);
        world.deliver_all();
        for (from, to, key) in keys_on_the_wire(&mut world, cipher, 2 * round(4)) {
            // An answer has the key of its question.
            let users = [from, to].iter().filter(|id| [A, B].contains(id)).count();
            if users != 1 {
                assert_eq!(
                    key == new_id(),
                    users == 2,
                    "{cipher:?} {seed}: {from} to {to}"
                );
            }
        }
        use_new(&mut world, &[C, D]);
        world.deliver_all();
        for (from, to, key) in keys_on_the_wire(&mut world, cipher, 2 * round(4)) {
            assert_eq!(key, new_id(), "{cipher:?} {seed}: {from} to {to}");
        }
        remove_old(&mut world, &all);
        world.run(2 * round(4));
        assert!(is_undisturbed(&world), "{cipher:?} {seed}");
    });
}

#[test]
fn a_member_that_restarts_with_the_old_key_alone_is_found_by_those_that_send_with_the_new_one() {
    with_each_cipher(|cipher, seed| {
        let mut world = group_that_uses_the_new_key(cipher, seed);
        world.kill(D);
        let dead = |world: &World| {
            [A, B, C]
                .iter()
                .all(|id| world.status(*id, D) == Some(Dead))
        };
        assert!(world.run_until(seconds(30), dead).is_some());
        // It knows no other member: the others have to ask it.
        world.start(D);
        let back = world.run_until(3 * round(4), all_are_alive);
        assert!(back.is_some(), "{cipher:?} {seed}");
    });
}

#[test]
fn a_member_that_restarts_quickly_with_the_old_key_alone_is_not_suspected() {
    with_each_cipher(|cipher, seed| {
        let mut world = group_that_uses_the_new_key(cipher, seed);
        world.kill(D);
        world.start(D);
        world.introduce(D, A);
        world.run(3 * round(4));
        assert!(all_are_alive(&world), "{cipher:?} {seed}");
        for id in [A, B, C] {
            assert_eq!(swim(&world, id).stats().suspicions, 0, "{cipher:?} {seed}");
        }
    });
}

#[test]
fn a_member_with_a_key_that_was_removed_is_not_heard_and_nothing_is_sent_with_it() {
    with_each_cipher(|cipher, seed| {
        let mut world = group(4, cipher, seed);
        let others = [A, B, C];
        add(&mut world, &others);
        use_new(&mut world, &others);
        world.run(round(4));
        remove_old(&mut world, &others);
        let gone = |world: &World| others.iter().all(|id| world.status(*id, D) != Some(Alive));
        assert!(world.run_until(3 * round(4), gone).is_some());
        for (from, to, key) in keys_on_the_wire(&mut world, cipher, 2 * round(4)) {
            assert_eq!(
                key == new_id(),
                from != D,
                "{cipher:?} {seed}: {from} to {to}"
            );
        }
    });
}

/// Asks from A which keys the members accept, and returns what is found once all have answered, or do not.
fn survey(world: &mut World) -> Vec<MemberKeys> {
    let id = world.act(A, "asks for keys", |engine, now| {
        let swim = engine.swim_mut().expect("it is native");
        swim.ask_keys(now)
    });
    let id = id.expect("it runs").expect("there are others");
    let ended = |world: &World| swim(world, A).has_key_survey_ended(id);
    assert!(world.run_until(seconds(3), ended).is_some());
    swim(world, A).member_keys()
}

fn keys_of(found: &[MemberKeys], uri: &Uri) -> MemberKeys {
    let found = found.iter().find(|keys| keys.uri == *uri);
    found.expect("it is a member").clone()
}

#[test]
fn a_survey_finds_what_each_accepts_and_uses_and_which_do_not_answer() {
    with_each_cipher(|cipher, seed| {
        let mut world = group(5, cipher, seed);
        let (old, new) = (Key::new(OLD).id(), new_id());
        add(&mut world, &[A, B, C]);
        use_new(&mut world, &[C]);
        world.pause(E, seconds(4));
        let found = survey(&mut world);
        for (id, accepts) in [
            (A, vec![old, new]),
            (B, vec![old, new]),
            (C, vec![new, old]),
            (D, vec![old]),
        ] {
            let keys = keys_of(&found, &uri(&world, id));
            assert_eq!(keys.uses, Some(accepts[0]), "{cipher:?} {seed} {id}");
            assert_eq!(keys.accepts, Some(accepts), "{cipher:?} {seed} {id}");
        }
        let silent = keys_of(&found, &uri(&world, E));
        assert!(silent.is_silent && silent.accepts.is_none());
        assert!(world.run_until(seconds(15), all_are_alive).is_some());
        world.run(seconds(4));
        let found = survey(&mut world);
        let back = keys_of(&found, &uri(&world, E));
        assert_eq!((back.is_silent, back.accepts), (false, Some(vec![old])));
    });
}

#[test]
fn keys_are_not_told_where_nothing_is_encrypted() {
    story(|seed| {
        let mut world = World::of(3, seed);
        let asked = world.act(A, "asks for keys", |engine, now| {
            let swim = engine.swim_mut().expect("it is native");
            swim.ask_keys(now)
        });
        assert_eq!(asked, Some(None), "there is nothing to ask for");
        assert_eq!(swim(&world, A).member_keys(), []);
    });
}

#[test]
fn a_step_is_refused_until_all_have_done_the_one_before() {
    with_each_cipher(|cipher, seed| {
        let mut world = group(3, cipher, seed);
        let try_to = |world: &mut World, step: fn(&mut Swim, Now) -> Result<(), KeyRefused>| {
            survey(world);
            let done = world.act(A, "does a step", |engine, now| {
                step(engine.swim_mut().expect("it is native"), now)
            });
            done.expect("it runs")
        };
        add(&mut world, &[A, B]);
        let refused = try_to(&mut world, |swim, now| swim.use_accepted_key(NEW, now));
        let why = refused.expect_err("C has not added it").to_string();
        assert!(why.contains("it is not accepted by node-2:3301."), "{why}");
        add(&mut world, &[C]);
        let done = try_to(&mut world, |swim, now| swim.use_accepted_key(NEW, now));
        assert_eq!(done, Ok(()));
        let refused = try_to(&mut world, |swim, now| swim.remove_unused_key(OLD, now));
        let why = refused.expect_err("others use it").to_string();
        assert!(
            why.contains("still used by node-1:3301 and node-2:3301"),
            "{why}"
        );
        use_new(&mut world, &[B, C]);
        let done = try_to(&mut world, |swim, now| swim.remove_unused_key(OLD, now));
        assert_eq!(done, Ok(()));
    });
}
