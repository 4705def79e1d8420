//! How members fail, seem to fail, and come back.

use swim::config::Setting;

use crate::*;

#[test]
fn a_member_that_is_gone_is_suspect_first_and_then_dead_for_all() {
    for go in [World::kill, World::power_off] {
        story(|seed| {
            let mut world = World::of(5, seed);
            go(&mut world, C);
            let suspected = |world: &World| world.all_see(C, Suspect);
            let limit = round(5) + PERIOD + MOMENT;
            assert!(world.run_until(limit, suspected).is_some(), "suspected");
            // News takes a moment: the last member that learns of the suspicion ends it last.
            let dead = |world: &World| {
                let dead = |id| world.status(id, C) == Some(Dead);
                world.participants().any(dead)
            };
            let soon = world.run_until(SUSPICION - MOMENT, dead);
            assert_eq!(soon, None, "dead too soon");
            let dead = |world: &World| world.all_see(C, Dead);
            assert!(world.run_until(2 * MOMENT, dead).is_some(), "dead");
        });
    }
}

#[test]
fn a_closed_port_fails_the_probe_before_the_period_ends() {
    story(|seed| {
        let mut world = World::of(5, seed);
        world.kill(C);
        let refused = |world: &World| {
            let failed = |id| swim(world, id).stats().probes_failed > 0;
            world.participants().any(failed)
        };
        let suspected = |world: &World| world.all_see(C, Suspect);
        world.run_until(round(5), refused).expect("probed");
        assert!(world.run_until(MOMENT / 3, suspected).is_some());
    });
}

#[test]
fn a_false_suspicion_is_refuted_before_the_member_is_dead() {
    story(|seed| {
        let mut world = World::of(5, seed);
        let before = incarnation(&world, B, B);
        world.network.partition(&[B]);
        let doubted = |world: &World| world.status(A, B) == Some(Suspect);
        assert!(
            world
                .run_until(round(5) + PERIOD + MOMENT, doubted)
                .is_some()
        );
        world.network.heal();
        let dead = |world: &World| {
            world
                .participants()
                .any(|id| world.status(id, B) == Some(Dead))
        };
        assert_eq!(world.run_until(2 * SUSPICION, dead), None);
        assert!(world.all_see(B, Alive));
        assert!(incarnation(&world, A, B) > before);
        assert!(swim(&world, A).stats().suspicions_refuted > 0);
    });
}

#[test]
fn indirect_pings_keep_a_member_alive_that_one_other_does_not_receive() {
    story(|seed| {
        let mut world = World::of(5, seed);
        world.network.cut(B, A);
        let doubted = |world: &World| !world.all_see(B, Alive);
        assert_eq!(world.run_until(3 * round(5), doubted), None);
    });
}

#[test]
fn the_halves_of_a_partition_hold_each_other_dead_and_unite_when_it_heals() {
    story(|seed| {
        let mut world = World::of(6, seed);
        world.network.partition(&[A, B, C]);
        let parted =
            |world: &World| world.status(A, D) == Some(Dead) && world.status(D, A) == Some(Dead);
        assert!(world.run_until(2 * round(6) + SUSPICION, parted).is_some());
        world.set_payload(A, 7);
        world.network.heal();
        world.settle();
        assert!(world.all_have(A, 7));
    });
}

#[test]
fn a_paused_member_is_dead_and_comes_back_without_suspecting_others() {
    story(|seed| {
        let mut world = World::of(5, seed);
        world.pause(B, seconds(20));
        let dead = |world: &World| world.status(A, B) == Some(Dead);
        assert!(world.run_until(seconds(20), dead).is_some());
        let back = |world: &World| world.all_see(B, Alive);
        assert!(world.run_until(seconds(20), back).is_some());
        let accused = |world: &World| world.disagreement().is_some();
        assert_eq!(world.run_until(seconds(10), accused), None);
        assert_eq!(swim(&world, B).stats().suspicions, 0);
    });
}

/// Whether `id` says of itself that nothing of what it sends arrives.
fn says_that_nothing_gets_out(world: &World, id: Id) -> bool {
    let own = swim(world, id).diagnose(&world.host(id).uri, now_at(world.now()));
    let hints = own.expect("it knows itself").hints;
    hints.iter().any(|hint| hint.contains("no member answers"))
}

#[test]
fn a_member_of_which_nothing_gets_out_says_so_and_no_other_does() {
    story(|seed| {
        let mut world = World::of(4, seed);
        let others = [A, B, D];
        others.iter().for_each(|id| world.network.cut(C, *id));
        let said = |world: &World| {
            others
                .iter()
                .any(|id| says_that_nothing_gets_out(world, *id))
        };
        let limit = 2 * round(4);
        let noticed = world.run_until(limit, |world| {
            said(world) || says_that_nothing_gets_out(world, C)
        });
        assert!(noticed.is_some(), "C has not noticed it");
        assert_eq!(world.run_until(limit, said), None, "and is at fault itself");
    });
}

#[test]
fn one_of_three_that_does_not_answer_is_at_fault_and_not_the_others() {
    story(|seed| {
        let mut world = World::of(3, seed);
        [A, B].iter().for_each(|id| world.network.cut(C, *id));
        let said = |world: &World| {
            [A, B]
                .iter()
                .any(|id| says_that_nothing_gets_out(world, *id))
        };
        assert_eq!(world.run_until(seconds(60), said), None);
    });
}

#[test]
fn a_member_that_receives_nothing_causes_no_suspicions_among_the_others() {
    story(|seed| {
        let mut world = World::of(5, seed);
        let others = [A, B, D, E];
        others.iter().for_each(|id| world.network.cut(*id, C));
        let detected = |world: &World| others.iter().all(|id| world.status(*id, C) == Some(Dead));
        let limit = round(5) + PERIOD + 2 * SUSPICION;
        assert!(world.run_until(limit, detected).is_some(), "detected");
        let suspected = |world: &World| {
            let pairs = others
                .iter()
                .flat_map(|one| others.map(|other| (*one, other)));
            pairs
                .filter(|(one, other)| world.status(*one, *other) != Some(Alive))
                .count()
                > 0
        };
        assert_eq!(world.run_until(seconds(60), suspected), None);
        world.network.heal();
        world.settle();
    });
}

#[test]
fn a_paused_half_of_the_group_is_back_at_once_and_suspects_no_member() {
    story(|seed| {
        let mut world = World::of(8, seed);
        for id in world.ids().take(4) {
            world.pause(id, seconds(10));
        }
        world.run(seconds(10));
        let all_alive = |world: &World| world.ids().all(|id| world.all_see(id, Alive));
        assert!(world.run_until(2 * MOMENT, all_alive).is_some(), "back");
        // The last deaths and refutations are still on their way.
        world.run(MOMENT);
        let suspected = |world: &World| !all_alive(world);
        assert_eq!(world.run_until(seconds(20), suspected), None);
    });
}

#[test]
fn a_member_that_was_paused_asks_for_what_it_has_missed_although_others_were_paused_too() {
    story(|seed| {
        let mut world = World::of(40, seed);
        for id in world.ids().take(20) {
            world.pause(id, seconds(10));
            world.run(Duration::from_millis(50));
        }
        // The last pause is over.
        world.run(seconds(9) + Duration::from_millis(950));
        let all_alive = |world: &World| world.ids().all(|id| world.all_see(id, Alive));
        assert!(world.run_until(MOMENT, all_alive).is_some(), "seed {seed}");
    });
}

#[test]
fn no_member_is_suspected_while_a_third_of_all_datagrams_is_lost() {
    story(|seed| {
        let mut world = World::of(8, seed);
        world.run(round(8));
        world.network.weather.loss = 0.33;
        let suspected = |world: &World| !world.ids().all(|id| world.all_see(id, Alive));
        assert_eq!(world.run_until(seconds(300), suspected), None);
    });
}

/// What A makes of B.
fn hints(world: &mut World) -> Vec<String> {
    let name = uri(world, B);
    let shown = world.act(A, "diagnoses", |engine, now| {
        let swim = engine.swim_mut().expect("it is native");
        swim.diagnose(&name, now)
    });
    shown.flatten().expect("it is known").hints
}

/// How many of the hints speak of loss. Others may say that a clock is off.
fn about_loss(hints: &[String]) -> usize {
    hints.iter().filter(|hint| hint.contains("lost")).count()
}

#[test]
fn a_member_that_is_far_away_is_given_the_time_that_its_answers_take() {
    story(|seed| {
        let mut world = World::of(4, seed);
        // Longer than ACK_TIMEOUT_SECONDS, shorter than half of a period.
        world.network.weather.latency = Duration::from_millis(180);
        world.run(4 * round(4));
        let relayed = |world: &World| {
            let each = world.ids().map(|id| swim(world, id).stats().relayed);
            each.sum::<u64>()
        };
        let before = relayed(&world);
        world.run(4 * round(4));
        assert_eq!(relayed(&world), before, "{seed}: no detours");
        assert_eq!(about_loss(&hints(&mut world)), 0, "{seed}");
        world.power_off(B);
        let suspected = |world: &World| world.status(A, B) != Some(Alive);
        assert!(world.run_until(2 * round(4), suspected).is_some(), "{seed}");
    });
}

#[test]
fn an_answer_that_comes_too_late_is_not_taken_for_one_that_is_lost() {
    story(|seed| {
        let mut world = World::of(2, seed);
        world.network.weather.latency = Duration::from_millis(750);
        world.run(seconds(20));
        let slow = "its answers take 1.5 s, and probes wait 1.0 s: \
                    set ACK_TIMEOUT_SECONDS higher than its answers take";
        let shown = hints(&mut world);
        assert!(shown.iter().any(|hint| hint == slow), "{seed}: {shown:?}");
        assert_eq!(about_loss(&shown), 0, "{seed}: {shown:?}");
        for id in [A, B] {
            world.act(id, "the operator", |engine, now| {
                let swim = engine.swim_mut().expect("it is native");
                swim.assign("ACK_TIMEOUT_SECONDS", Setting::Number(2.0), now)
                    .expect("an option");
            });
        }
        world.run(seconds(10));
        let suspected = |world: &World| world.status(A, B) != Some(Alive);
        assert_eq!(world.run_until(seconds(60), suspected), None, "{seed}");
        let shown = hints(&mut world);
        assert!(
            !shown.iter().any(|hint| hint.contains("answers")),
            "{seed}: {shown:?}"
        );
    });
}

#[test]
fn the_probe_history_of_a_member_that_comes_back_begins_anew() {
    story(|seed| {
        let mut world = World::of(3, seed);
        world.power_off(C);
        let dead = |world: &World| world.status(A, C) == Some(Dead);
        world.run_until(seconds(20), dead).expect("detected");
        world.run(seconds(10));
        let failed = |world: &mut World| {
            let name = uri(world, C);
            let shown = world.act(A, "diagnoses", |engine, now| {
                let swim = engine.swim_mut().expect("it is native");
                swim.diagnose(&name, now)
            });
            shown
                .flatten()
                .and_then(|shown| shown.probes)
                .map_or(0.0, |probes| probes.failed)
        };
        world.start(C);
        world.introduce(C, A);
        let back = |world: &World| world.status(A, C) == Some(Alive);
        world.run_until(seconds(10), back).expect("it is seen");
        assert_eq!(failed(&mut world), 0.0, "it has missed none in this life");
    });
}

#[test]
fn a_member_whose_application_hangs_says_so_and_takes_it_back_when_it_runs_again() {
    story(|seed| {
        let mut world = World::of(5, seed);
        let set_stalled = |world: &mut World, stalled: bool| {
            world.act(C, "its application", |engine, now| {
                let swim = engine.swim_mut().expect("it is native");
                swim.set_stalled(stalled, now);
            });
        };
        set_stalled(&mut world, true);
        let suspect = |world: &World| world.all_see(C, Suspect);
        world.run_until(MOMENT, suspect).expect("told at once");
        let dead = |world: &World| {
            [A, B, D, E]
                .into_iter()
                .all(|id| world.status(id, C) == Some(Dead))
        };
        world
            .run_until(SUSPICION + MOMENT, dead)
            .expect("dead in time");
        world.run(seconds(5));
        assert!(dead(&world), "its engine answers, and that does not count");
        // The others have heard worse of it meanwhile, which it has to beat.
        let (accuser, accused) = (uri(&world, A), uri(&world, C));
        let worse = hearsay(&accuser, &accused, Dead, 7);
        for id in [A, B, C, D, E] {
            world.inject(A, id, &worse);
        }
        world.run(MOMENT);
        set_stalled(&mut world, false);
        let alive = |world: &World| world.all_see(C, Alive);
        world.run_until(MOMENT, alive).expect("refuted at once");
    });
}

#[test]
fn a_suspicion_is_raised_once_however_many_probes_fail_during_it() {
    story(|seed| {
        let mut world = World::of(2, seed);
        world.power_off(B);
        let dead = |world: &World| world.status(A, B) == Some(Dead);
        world.run_until(seconds(20), dead).expect("detected");
        let stats = swim(&world, A).stats();
        assert!(stats.probes_failed > 0);
        assert_eq!((stats.suspicions, stats.suspicions_ripened), (1, 1));
    });
}
