//! How members fail, seem to fail, and come back.

use crate::*;

#[test]
fn a_killed_member_is_suspect_for_a_while_and_then_dead_for_everybody() {
    story(|seed| {
        let mut world = World::of(5, seed);
        world.kill(C);
        let suspected = |world: &World| world.everyone_sees(C, Suspect);
        let took = world.run_until(round(5) + PERIOD + MOMENT, suspected);
        assert!(took.is_some(), "suspected");
        // News takes a moment, and so those who heard last bury last.
        let buried = |world: &World| {
            world
                .participants()
                .any(|id| world.status(id, C) == Some(Dead))
        };
        assert_eq!(
            world.run_until(SUSPICION - MOMENT, buried),
            None,
            "dead too soon"
        );
        let dead = |world: &World| world.everyone_sees(C, Dead);
        assert!(world.run_until(2 * MOMENT, dead).is_some(), "dead");
    });
}

#[test]
fn a_false_suspicion_is_refuted_and_buries_nobody() {
    story(|seed| {
        let mut world = World::of(5, seed);
        let before = incarnation(&world, B, B);
        world.network.part(&[B]);
        let doubted = |world: &World| world.status(A, B) == Some(Suspect);
        assert!(
            world
                .run_until(round(5) + PERIOD + MOMENT, doubted)
                .is_some()
        );
        world.network.mend();
        let buried = |world: &World| {
            world
                .participants()
                .any(|id| world.status(id, B) == Some(Dead))
        };
        assert_eq!(world.run_until(2 * SUSPICION, buried), None);
        assert!(world.everyone_sees(B, Alive));
        assert!(incarnation(&world, A, B) > before);
    });
}

#[test]
fn where_one_is_not_heard_by_one_the_others_vouch_for_it() {
    story(|seed| {
        let mut world = World::of(5, seed);
        world.network.cut(B, A);
        let doubted = |world: &World| !world.everyone_sees(B, Alive);
        assert_eq!(world.run_until(3 * round(5), doubted), None);
    });
}

#[test]
fn both_halves_of_a_split_group_bury_each_other_and_unite_when_it_heals() {
    story(|seed| {
        let mut world = World::of(6, seed);
        world.network.part(&[A, B, C]);
        let parted =
            |world: &World| world.status(A, D) == Some(Dead) && world.status(D, A) == Some(Dead);
        assert!(world.run_until(2 * round(6) + SUSPICION, parted).is_some());
        world.set_payload(A, 7);
        world.network.mend();
        world.settle();
        assert!(world.everyone_has(A, 7));
    });
}

#[test]
fn a_paused_member_is_buried_and_comes_back_when_it_goes_on() {
    story(|seed| {
        let mut world = World::of(5, seed);
        world.pause(B, seconds(20));
        let dead = |world: &World| world.status(A, B) == Some(Dead);
        assert!(world.run_until(seconds(20), dead).is_some());
        assert!(
            world
                .run_until(seconds(20), |world| world.status(A, B) == Some(Alive))
                .is_some()
        );
        world.settle();
    });
}
