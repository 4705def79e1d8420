//! `REAP_TIMEOUT_SECONDS`: members that are gone are forgotten at last, and are restored only if they come
//! back.

use crate::*;

const REAP: Duration = Duration::from_secs(10);

/// Members that know one another, and forget those that are gone.
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

/// Waits until `id` is dead for all, and then until all have forgotten it.
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
fn dead_and_left_members_are_forgotten_after_the_timeout_and_stay_forgotten() {
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
fn without_a_timeout_no_member_is_forgotten() {
    let mut world = World::of(3, 1);
    world.kill(C);
    world.run(seconds(1000));
    assert!(world.all_see(C, Dead));
}

#[test]
fn old_gossip_does_not_restore_a_forgotten_member() {
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
fn a_forgotten_member_that_returns_is_restored_at_once_although_its_incarnation_is_one_again() {
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
fn a_forgotten_member_that_is_added_again_is_restored_at_once() {
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

/// A split that outlived the timeout does not end by itself: no member remembers the other side.
#[test]
fn sides_that_have_forgotten_each_other_unite_when_one_member_is_told_of_one() {
    story(|seed| {
        let mut world = group(6, seed);
        world.network.partition(&[A, B, C]);
        world.run(round(6) + PERIOD + SUSPICION + REAP + seconds(2));
        world.network.heal();
        world.run(seconds(60));
        assert_eq!(world.status(A, D), None, "seed {seed}");
        assert_eq!(world.status(D, A), None, "seed {seed}");
        world.introduce(A, D);
        let united = |world: &World| world.ids().all(|id| world.all_see(id, Alive));
        assert!(world.run_until(seconds(3), united).is_some(), "seed {seed}");
    });
}

#[test]
fn members_that_forget_and_members_that_do_not_repair_nothing_for_ever() {
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
fn a_newcomer_never_learns_of_members_that_were_gone_before() {
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
fn legacy_peers_which_forget_no_member_restore_none() {
    story(|seed| {
        let mut world = World::new(seed);
        world.config.reap_timeout = REAP;
        world.legacy_share = 0.5;
        world.populate(4);
        world.acquaint();
        let native: Vec<Id> = world
            .ids()
            .filter(|id| world.host(*id).implementation == Implementation::Native)
            .collect();
        let gone = native[0];
        world.kill(gone);
        world.run(round(5) * 2 + SUSPICION + REAP + seconds(30));
        for _ in 0..50 {
            world.run(seconds(2));
            assert_eq!(world.status(native[1], gone), None);
        }
        world.start(gone);
        world.introduce(gone, native[1]);
        world.settle();
        assert!(world.all_see(gone, Alive));
    });
}

#[test]
fn tombstones_are_bounded() {
    let config = swim::config::Config {
        reap_timeout: seconds(1),
        max_members: 50,
        ..Default::default()
    };
    let mut swim = Swim::new(config, 1);
    let own = Uri::new("own", 1).expect("a URI");
    let mut now = swim::time::Now::default();
    swim.init(own, now);
    let peer = Uri::new("peer", 1).expect("a URI");
    for crowd in 0..20 {
        for port in 1..=40 {
            let uri = Uri::new(&format!("crowd-{crowd}"), port).expect("a URI");
            let rumor = hearsay(&peer, &uri, Dead, 1);
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
fn a_forgotten_member_whose_datagrams_could_not_be_decoded_may_come_back() {
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
