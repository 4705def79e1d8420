//! How members leave, return, and take other names.

use crate::*;

#[test]
fn a_member_that_leaves_has_left_for_all_at_once() {
    story(|seed| {
        let mut world = World::of(5, seed);
        world.set_payload(B, 7);
        world.settle();
        world.leave(B);
        assert!(!world.takes_part(B));
        assert!(
            world
                .run_until(MOMENT, |world| world.all_see(B, Left))
                .is_some()
        );
        world.run(seconds(30));
        assert!(world.all_see(B, Left), "and it is not probed");
        assert!(world.all_have(B, 7), "its payload is still known");
    });
}

#[test]
fn a_member_that_returns_is_alive_with_its_payload() {
    story(|seed| {
        let mut world = World::of(4, seed);
        world.set_payload(B, 7);
        world.settle();
        world.leave(B);
        world.run(seconds(5));
        world.init(B, "node-1");
        assert_eq!(world.payload(B, B), Some(7));
        world.introduce(B, A);
        let back = |world: &World| world.all_see(B, Alive) && world.all_have(B, 7);
        assert!(world.run_until(MOMENT, back).is_some());
        world.settle();
    });
}

#[test]
fn a_member_that_left_can_be_added_by_the_others_again() {
    story(|seed| {
        let mut world = World::of(4, seed);
        world.leave(B);
        world.run(seconds(5));
        world.init(B, "node-1");
        world.introduce(A, B);
        assert!(
            world
                .run_until(MOMENT, |world| world.disagreement().is_none())
                .is_some()
        );
    });
}

#[test]
fn a_process_that_is_killed_and_restarted_is_alive_again() {
    story(|seed| {
        let mut world = World::of(4, seed);
        world.set_payload(B, 7);
        world.kill(B);
        world.run(round(4) + PERIOD + SUSPICION + MOMENT);
        assert!(world.all_see(B, Dead));
        world.start(B);
        // It is not introduced to the others: they still probe it.
        assert!(
            world
                .run_until(round(1) + MOMENT, |world| world.all_see(B, Alive))
                .is_some()
        );
        world.settle();
        assert_eq!(
            world.payload(A, B),
            world.payload(B, B),
            "its payload was lost"
        );
    });
}

#[test]
fn a_quick_restart_is_noticed_by_its_new_payload() {
    story(|seed| {
        let mut world = World::of(5, seed);
        world.set_payload(B, 7);
        world.settle();
        let before = incarnation(&world, A, B);
        world.kill(B);
        world.run(PERIOD / 10);
        world.start(B);
        world.set_payload(B, 8);
        assert_eq!(
            incarnation(&world, B, B),
            before,
            "the incarnation does not tell the two processes apart"
        );
        world.introduce(B, A);
        assert!(
            world
                .run_until(2 * PERIOD, |world| world.all_have(B, 8))
                .is_some()
        );
        world.settle();
    });
}

#[test]
fn a_quick_restart_is_noticed_without_any_introduction() {
    story(|seed| {
        let mut world = World::of(5, seed);
        world.set_payload(B, 7);
        world.settle();
        world.kill(B);
        world.start(B);
        world.set_payload(B, 8);
        // It has to be pinged by a member that takes it for its former process.
        assert!(
            world
                .run_until(round(5) + MOMENT, |world| world.all_have(B, 8))
                .is_some()
        );
        world.settle();
    });
}

#[test]
fn the_payload_of_a_former_life_is_refuted_at_every_incarnation_that_members_hold() {
    story(|seed| {
        let mut world = World::of(4, seed);
        world.set_payload(B, 7);
        world.settle();
        // C alone holds a higher incarnation of it than the others.
        world.network.partition(&[C]);
        world.kill(B);
        let (name, former) = (
            uri(&world, B),
            Payload::new(&payload(7)).expect("a payload"),
        );
        let mut draft = MessageBuilder::leave(&name, 1472);
        let claim = world.claim(C, &name).expect("known");
        let later = Claim::alive(claim.incarnation.next());
        assert!(draft.event(&name, later, Some(&former), 0));
        world.inject(B, C, &draft.finish().expect("it fits"));
        world.start(B);
        world.set_payload(B, 8);
        world.introduce(B, A);
        world.run(MOMENT);
        assert_eq!(world.payload(A, B), Some(8));
        world.network.heal();
        world.settle();
        assert!(world.all_have(B, 8));
    });
}

#[test]
fn a_member_that_takes_another_name_is_dead_under_the_old_one() {
    story(|seed| {
        let mut world = World::of(4, seed);
        world.set_payload(B, 7);
        world.settle();
        let old = uri(&world, B);
        world.init(B, "elsewhere");
        let moved = |world: &World| {
            let status = |id| world.claim(id, &old).map(|claim| claim.status);
            world.participants().all(|id| status(id) == Some(Dead))
                && world.all_see(B, Alive)
                && world.all_have(B, 7)
        };
        assert!(world.run_until(MOMENT, moved).is_some());
        assert_eq!(
            world.run_until(3 * round(5), |world| !moved(world)),
            None,
            "and stays so"
        );
    });
}

#[test]
fn to_add_a_member_again_changes_nothing_unless_it_has_left() {
    let uri = Uri::new("a", 1).expect("a URI");
    for (held, then) in [
        (Alive, (Alive, 3)),
        (Suspect, (Suspect, 3)),
        (Dead, (Dead, 3)),
        (Left, (Alive, 4)),
    ] {
        let mut swim = listener();
        swim.generate(&uri, held, Incarnation::from_wire(3), None, at(0));
        swim.add_member(uri.clone(), at(0));
        let claim = swim.member(&uri).expect("known").claim;
        assert_eq!((claim.status, claim.incarnation.get()), then, "{held}");
    }
}

#[test]
fn a_member_that_is_removed_is_not_shown_any_more_but_the_local_one_stays() {
    let (mut swim, other) = (listener(), Uri::new("a", 1).expect("a URI"));
    let myself = swim.myself().expect("it takes part").clone();
    swim.add_member(other.clone(), at(0));
    swim.remove_member(&other, at(0));
    swim.remove_member(&myself, at(0));
    assert!(swim.member(&other).is_none());
    assert!(swim.member(&myself).is_some());
}

#[test]
fn what_the_local_node_says_to_itself_does_not_bring_back_a_member_that_is_removed() {
    let (mut swim, other) = (listener(), Uri::new("a", 1).expect("a URI"));
    let myself = swim.myself().expect("it takes part").clone();
    swim.add_member(other.clone(), at(0));
    swim.probe(&myself, at(0)).expect("it takes part");
    let mut on_their_way = Vec::new();
    while let Some(transmit) = swim.poll_transmit() {
        if transmit.to == myself {
            on_their_way.push(transmit.datagram);
        }
    }
    let tells = |datagram: &Vec<u8>| {
        datagram
            .windows(other.len())
            .any(|part| part == other.as_bytes())
    };
    assert!(
        on_their_way.iter().any(tells),
        "a ping to itself has the rumor"
    );
    swim.remove_member(&other, at(1));
    for datagram in on_their_way {
        let handled = swim.handle_datagram(&datagram, SOMEWHERE, at(2));
        handled.expect("it is its own");
    }
    assert!(swim.member(&other).is_none());
}
