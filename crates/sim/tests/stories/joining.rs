//! How members find one another.

use crate::*;

#[test]
fn all_members_find_one_another_at_once_whichever_add_which() {
    for pairs in [
        [(A, B), (B, C), (C, D), (D, E)],
        [(A, B), (A, C), (A, D), (A, E)],
        [(B, A), (C, A), (D, A), (E, A)],
        [(E, A), (B, E), (B, C), (D, C)],
    ] {
        story(|seed| {
            let mut world = World::of_strangers(5, seed);
            for (one, other) in pairs {
                world.introduce(one, other);
            }
            let agree = |world: &World| world.disagreement().is_none();
            assert!(
                world.run_until(MOMENT, agree).is_some(),
                "{:?}",
                world.disagreement()
            );
        });
    }
}

#[test]
fn a_payload_reaches_all_members_and_newcomers() {
    story(|seed| {
        let mut world = World::of(4, seed);
        world.set_payload(B, 7);
        assert!(
            world
                .run_until(MOMENT, |world| world.all_have(B, 7))
                .is_some()
        );
        let newcomer = world.add();
        world.start(newcomer);
        world.introduce(newcomer, A);
        let knows = |world: &World| world.payload(newcomer, B) == Some(7);
        assert!(world.run_until(MOMENT, knows).is_some());
    });
}

#[test]
fn a_stranger_that_is_probed_joins_only_if_it_answers() {
    story(|seed| {
        let mut world = World::of_strangers(2, seed);
        let absent = world.add();
        let probe = |world: &mut World, id| {
            let uri = uri(world, id);
            let asked = world.act(A, "probes", |engine, now| {
                engine
                    .swim_mut()
                    .expect("it is native")
                    .probe(&uri, now)
                    .expect("initialized")
            });
            asked.expect("it runs")
        };
        let (present, missing) = (probe(&mut world, B), probe(&mut world, absent));
        world.run(seconds(5));
        assert_eq!(swim(&world, A).outcome(present), PingOutcome::Answered);
        assert_eq!(swim(&world, A).outcome(missing), PingOutcome::Waiting);
        assert!(world.all_see(B, Alive) && world.all_see(A, Alive));
        assert_eq!(world.status(A, absent), None);
    });
}

#[test]
fn a_payload_that_a_claim_came_without_is_fetched() {
    story(|seed| {
        let mut world = World::of(3, seed);
        world.set_payload(B, 7);
        world.settle();
        let newcomer = world.add();
        world.start(newcomer);
        let rumor = hearsay(
            &uri(&world, A),
            &uri(&world, B),
            Alive,
            incarnation(&world, A, B),
        );
        world.inject(A, newcomer, &rumor);
        assert_eq!(world.status(newcomer, B), Some(Alive));
        assert_eq!(world.payload(newcomer, B), None);
        let knows = |world: &World| world.payload(newcomer, B) == Some(7);
        assert!(world.run_until(2 * PERIOD, knows).is_some());
    });
}

#[test]
fn a_full_table_refuses_strangers_and_keeps_working_for_its_members() {
    story(|seed| {
        let mut world = World::new(seed);
        world.config.max_members = 10;
        world.populate(3);
        world.acquaint();
        for port in 1..=100 {
            let stranger = Uri::new("stranger", port).unwrap();
            let rumor = hearsay(&stranger, &stranger, Alive, 1);
            world.inject(B, A, &rumor);
        }
        assert_eq!(swim(&world, A).members().len(), 10);
        assert_eq!(swim(&world, A).stats().members_refused, 100 - 7);
        world.set_payload(B, 7);
        world.kill(C);
        world.run(round(10) + PERIOD + SUSPICION + MOMENT);
        assert!(world.all_have(B, 7));
        assert!(world.all_see(C, Dead));
    });
}

#[test]
fn two_groups_that_become_one_are_told_of_and_a_group_that_starts_is_not() {
    story(|seed| {
        let mut world = World::new(seed);
        world.populate(8);
        let (one, other) = ([A, B, C, D], [E, Id(5), Id(6), Id(7)]);
        for group in [one, other] {
            for id in &group[1..] {
                world.introduce(*id, group[0]);
            }
        }
        world.run(seconds(60));
        assert_eq!(world.observer.merges, [0; 0], "{seed}: at the start");
        world.introduce(B, Id(6));
        world.run(seconds(10));
        assert!(world.ids().all(|id| world.all_see(id, Alive)), "{seed}");
        let merges = world.observer.merges.clone();
        assert!(!merges.is_empty(), "{seed}: it is told");
        // One of the three may be faster than the word of it, and come by itself.
        assert!(
            merges.iter().all(|brought| (2..=3).contains(brought)),
            "{seed}: {merges:?}"
        );

        world.populate(1);
        world.introduce(Id(8), A);
        world.run(seconds(10));
        let told = merges.len();
        assert_eq!(
            world.observer.merges.len(),
            told,
            "{seed}: one that joins alone"
        );
    });
}

#[test]
fn a_crowd_that_joins_through_one_member_knows_itself_at_once_and_then_is_quiet() {
    (0..5).for_each(|seed| {
        let count = 400;
        let mut world = World::of_strangers(count, seed).unchecked();
        for index in 1..count {
            world.introduce(Id(index), A);
        }
        let took = world.try_reunion(3 * PERIOD / 2);
        assert!(took.is_some(), "{seed}");
        world.run(seconds(5));
        // Each has learnt 400 records, of 20 bytes, and told some.
        let each = world.observer.bytes / u64::from(count);
        assert!(each < 24_000, "{seed}: {each} bytes");
        // 48 bytes are the question and the answer of a period.
        let calm = world.try_calm(seconds(5));
        assert!(calm.bytes < 55.0, "{seed}: {} bytes a second", calm.bytes);
    });
}
