//! `REAP_TIMEOUT_SECONDS`: those who are gone are forgotten in the end, and come back only if they do.

use crate::*;

const REAP: Duration = Duration::from_secs(10);

/// Members that forget, and know one another.
fn group(count: u32, seed: u64) -> World {
    let mut world = World::new(seed);
    world.config.reap_timeout = REAP;
    world.populate(count);
    world.acquaint();
    world
}

fn forgotten(world: &World, id: Id) -> bool {
    let mut others = world.participants();
    others.all(|other| world.status(other, id).is_none())
}

/// Waits until all have buried `id`, and then until all have forgotten it.
fn forget(world: &mut World, id: Id) {
    let dead = |world: &World| world.all_see(id, Dead);
    let limit = round(5) + PERIOD + SUSPICION + MOMENT;
    assert!(world.run_until(limit, dead).is_some());
    world.run(REAP - MOMENT);
    assert!(!forgotten(world, id), "not before its time");
    let gone = |world: &World| forgotten(world, id);
    assert!(world.run_until(2 * MOMENT, gone).is_some());
}

#[test]
fn who_is_dead_or_has_left_is_forgotten_after_the_timeout_and_stays_so() {
    story(|seed| {
        let mut world = group(4, seed);
        world.kill(D);
        forget(&mut world, D);
        world.leave(C);
        world.run(REAP + MOMENT);
        assert!(forgotten(&world, C) && forgotten(&world, D));
        world.settle();
        world.expect_quiet();
        assert!(forgotten(&world, C) && forgotten(&world, D));
    });
}

#[test]
fn without_a_timeout_nobody_is_forgotten() {
    let mut world = World::of(3, 1);
    world.kill(C);
    world.run(seconds(1000));
    assert!(world.all_see(C, Dead));
}

#[test]
fn old_gossip_brings_nobody_back() {
    story(|seed| {
        let mut world = group(4, seed);
        world.set_payload(D, 1);
        world.settle();
        let held = world.claim(A, &uri(&world, D)).expect("known");
        world.kill(D);
        forget(&mut world, D);
        for status in [Alive, Suspect, Dead, Left] {
            for incarnation in 1..=held.incarnation.get() {
                let rumor = hearsay(&uri(&world, A), &uri(&world, D), status, incarnation);
                world.inject(A, B, &rumor);
                assert!(forgotten(&world, D), "{status} {incarnation}");
                world.run(MOMENT);
            }
        }
        world.settle();
        assert!(forgotten(&world, D));
        let next = held.incarnation.get() + 1;
        let news = hearsay(&uri(&world, A), &uri(&world, D), Alive, next);
        world.inject(A, B, &news);
        assert_eq!(world.status(B, D), Some(Alive), "that is news");
    });
}

#[test]
fn who_returns_is_there_at_once_though_it_counts_from_one_again() {
    story(|seed| {
        let mut world = group(4, seed);
        for payload in 1..4 {
            world.set_payload(D, payload);
            world.run(PERIOD);
        }
        world.kill(D);
        forget(&mut world, D);
        world.start(D);
        world.set_payload(D, 9);
        world.introduce(D, B);
        let back = |world: &World| world.all_see(D, Alive) && world.all_have(D, 9);
        assert!(world.run_until(2 * MOMENT, back).is_some());
        world.settle();
    });
}

#[test]
fn who_is_added_again_by_those_who_have_forgotten_it_is_there_at_once() {
    story(|seed| {
        let mut world = group(4, seed);
        world.leave(D);
        world.run(REAP + seconds(1));
        assert!(forgotten(&world, D));
        world.init_again(D);
        world.introduce(A, D);
        let back = |world: &World| world.all_see(D, Alive);
        assert!(world.run_until(2 * MOMENT, back).is_some());
    });
}

#[test]
fn those_who_forget_and_those_who_do_not_compare_their_tables_no_longer_than_others() {
    story(|seed| {
        let mut world = World::of(2, seed);
        world.config.reap_timeout = REAP;
        world.populate(2);
        world.introduce(A, C);
        world.introduce(A, D);
        world.settle();
        let lost = world.add();
        world.start(lost);
        world.introduce(A, lost);
        world.settle();
        world.kill(lost);
        world.run(round(5) + PERIOD + SUSPICION + REAP + seconds(2));
        let seen = [A, B, C, D].map(|id| world.status(id, lost));
        assert_eq!(seen, [Some(Dead), Some(Dead), None, None]);
        let repairs = |world: &World| [A, B, C, D].map(|id| swim(world, id).stats().repairs);
        let before = repairs(&world);
        world.run(seconds(100));
        assert_eq!(repairs(&world), before);
        let seen = [A, B, C, D].map(|id| world.status(id, lost));
        assert_eq!(seen, [Some(Dead), Some(Dead), None, None]);
    });
}

#[test]
fn who_comes_later_never_hears_of_those_who_were_gone_before() {
    story(|seed| {
        let mut world = group(3, seed);
        world.kill(C);
        forget(&mut world, C);
        let late = world.add();
        world.start(late);
        world.introduce(late, A);
        world.settle();
        world.run(seconds(20));
        assert!(forgotten(&world, C));
        let repairs = |world: &World| [A, late].map(|id| swim(world, id).stats().repairs);
        let before = repairs(&world);
        world.run(seconds(100));
        assert_eq!(repairs(&world), before);
    });
}

#[test]
fn the_lua_rock_which_forgets_nobody_brings_nobody_back() {
    story(|seed| {
        let mut world = World::new(seed);
        world.config.reap_timeout = REAP;
        world.legacy_share = 0.5;
        world.populate(4);
        world.acquaint();
        let ours: Vec<Id> = world
            .ids()
            .filter(|id| world.host(*id).implementation == Implementation::Native)
            .collect();
        let gone = ours[0];
        world.kill(gone);
        world.run(round(5) * 2 + SUSPICION + REAP + seconds(30));
        for _ in 0..50 {
            world.run(seconds(2));
            assert_eq!(world.status(ours[1], gone), None);
        }
        world.start(gone);
        world.introduce(gone, ours[1]);
        world.settle();
        assert!(world.all_see(gone, Alive));
    });
}

#[test]
fn the_memory_of_the_forgotten_has_a_bound_too() {
    let config = swim::config::Config {
        reap_timeout: seconds(1),
        max_members: 50,
        ..Default::default()
    };
    let mut swim = Swim::new(config, 1);
    let own = Uri::new("own", 1).expect("a URI");
    let mut now = swim::time::Now::default();
    swim.init(own.clone(), now);
    for crowd in 0..20 {
        for port in 1..=40 {
            let uri = Uri::new(&format!("crowd-{crowd}"), port).expect("a URI");
            let rumor = hearsay(&own, &uri, Dead, 1);
            swim.handle_datagram(&rumor, SOMEWHERE, now)
                .expect("well formed");
        }
        now.monotonic = now.monotonic + seconds(2);
        swim.handle_timeout(now);
        while swim.poll_transmit().is_some() {}
        while swim.poll_report().is_some() {}
        swim.audit().expect("bounded");
    }
    assert_eq!(
        (swim.members().len(), swim.members().tombstone_count()),
        (1, 50)
    );
}

#[test]
fn who_was_not_understood_after_it_was_forgotten_may_come_back_too() {
    story(|seed| {
        let mut world = group(4, seed);
        let held = world.claim(A, &uri(&world, D)).expect("known");
        world.kill(D);
        forget(&mut world, D);
        let incarnation = held.incarnation.get();
        let rumor = hearsay(
            &uri(&world, A),
            &uri(&world, D),
            NonDecryptable,
            incarnation,
        );
        world.inject(A, B, &rumor);
        world.start(D);
        world.introduce(D, B);
        world.settle();
        assert!(world.all_see(D, Alive));
    });
}
