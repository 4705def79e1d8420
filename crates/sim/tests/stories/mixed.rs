//! Groups in which some machines, or all, run membership 2.x.

use crate::*;

/// `count` members that know one another; this share of them runs membership 2.x.
fn group(count: u32, legacy_share: f64, seed: u64) -> World {
    let mut world = World::new(seed);
    world.legacy_share = legacy_share;
    world.populate(count);
    (1..count).for_each(|index| world.introduce(A, Id(index)));
    let met = world.run_until(seconds(60), |world| world.disagreement().is_none());
    assert!(met.is_some(), "{:?}", world.disagreement());
    world
}

#[test]
fn both_implementations_find_one_another() {
    for share in [1.0, 0.5, 0.2] {
        story(|seed| drop(group(6, share, seed)));
    }
}

#[test]
fn a_member_of_either_implementation_that_is_gone_is_dead_for_both() {
    for share in [1.0, 0.5] {
        story(|seed| {
            let mut world = group(6, share, seed);
            let gone = Id(seed as u32 % 6);
            world.power_off(gone);
            let dead = |world: &World| world.all_see(gone, Dead);
            let limit = round(6) + PERIOD + SUSPICION + 5 * PERIOD;
            assert!(
                world.run_until(limit, dead).is_some(),
                "{:?}",
                world.disagreement()
            );
        });
    }
}

#[test]
fn payloads_reach_both_implementations() {
    story(|seed| {
        let mut world = group(6, 0.5, seed);
        for (id, number) in [(A, 7), (B, 8)] {
            world.set_payload(id, number);
            let known = |world: &World| world.all_have(id, number);
            assert!(world.run_until(3 * round(6), known).is_some());
        }
    });
}

#[test]
fn a_member_of_either_implementation_that_leaves_has_left_for_both() {
    story(|seed| {
        for id in [A, B] {
            let mut world = group(6, 0.5, seed);
            world.leave(id);
            let left = |world: &World| world.all_see(id, Left);
            assert!(world.run_until(3 * round(6), left).is_some());
        }
    });
}

#[test]
fn no_member_is_suspected_in_a_calm_group() {
    story(|seed| {
        let mut world = group(6, 0.5, seed);
        let disagree = |world: &World| world.disagreement().is_some();
        assert_eq!(world.run_until(seconds(60), disagree), None);
    });
}

#[test]
fn a_member_that_is_upgraded_rejoins_as_native() {
    story(|seed| {
        let mut world = group(6, 0.5, seed);
        world.set_payload(B, 7);
        world.run(5 * PERIOD);
        assert_eq!(world.host(B).implementation, Implementation::Legacy);
        world.leave(B);
        world.kill(B);
        world.host_mut(B).implementation = Implementation::Native;
        world.start(B);
        world.set_payload(B, 8);
        world.introduce(B, A);
        let back = |world: &World| world.all_see(B, Alive) && world.all_have(B, 8);
        assert!(world.run_until(3 * round(6), back).is_some());
    });
}
