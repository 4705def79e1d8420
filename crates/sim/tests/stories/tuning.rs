//! The effect of options.

use swim::config::{Config, Setting};
use swim::profile::Profile;
use swim::time::{Micros, Now};

use crate::*;

/// `count` members that know one another, with these options.
fn tuned(count: u32, seed: u64, options: &[(&str, Setting)]) -> World {
    let mut world = World::new(seed);
    for (name, setting) in options {
        world
            .config
            .assign(name, setting.clone())
            .expect("a good value");
    }
    world.populate(count);
    world.acquaint();
    world
}

#[test]
fn without_indirect_pings_the_probe_fails_when_the_ack_is_due() {
    story(|seed| {
        let mut world = tuned(
            2,
            seed,
            &[("NUM_FAILURE_DETECTION_SUBGROUPS", Setting::Number(0.0))],
        );
        world.power_off(B);
        let suspect = |world: &World| world.status(A, B) == Some(Suspect);
        loop {
            let probes = swim(&world, A).stats().probes;
            let probe = |world: &World| swim(world, A).stats().probes > probes;
            world.run_until(2 * PERIOD, probe).expect("it probes");
            if let Some(took) = world.run_until(PERIOD / 2, suspect) {
                assert_eq!(took, ACK_TIMEOUT);
                break;
            }
        }
    });
}

#[test]
fn an_ack_timeout_of_zero_sends_indirect_pings_at_once_and_causes_no_false_suspicion() {
    story(|seed| {
        let mut world = tuned(5, seed, &[("ACK_TIMEOUT_SECONDS", Setting::Number(0.0))]);
        let doubted = |world: &World| world.disagreement().is_some();
        assert_eq!(world.run_until(seconds(20), doubted), None);
        world.kill(B);
        let dead = |world: &World| world.all_see(B, Dead);
        assert!(
            world
                .run_until(round(5) + PERIOD + SUSPICION + MOMENT, dead)
                .is_some()
        );
    });
}

#[test]
fn an_ack_timeout_of_zero_without_indirect_pings_is_hasty_but_harmless() {
    story(|seed| {
        let options = [
            ("ACK_TIMEOUT_SECONDS", Setting::Number(0.0)),
            ("NUM_FAILURE_DETECTION_SUBGROUPS", Setting::Number(0.0)),
        ];
        let mut world = tuned(3, seed, &options);
        let dead = |world: &World| world.ids().any(|id| world.status(A, id) == Some(Dead));
        assert_eq!(
            world.run_until(seconds(30), dead),
            None,
            "all refute in time"
        );
    });
}

#[test]
fn no_option_is_so_small_that_an_instance_suspects_itself() {
    let tiny = [
        ("0", 0.0, 1.0, 0.0),
        ("1 ms", 0.001, 1.0, 0.0),
        ("period", 0.0, 0.001, 3.0),
    ];
    for (name, ack_timeout, period, relays) in tiny {
        (0..5).for_each(|seed| {
            let options = [
                ("ACK_TIMEOUT_SECONDS", Setting::Number(ack_timeout)),
                ("PROTOCOL_PERIOD_SECONDS", Setting::Number(period)),
                ("NUM_FAILURE_DETECTION_SUBGROUPS", Setting::Number(relays)),
            ];
            let mut world = World::new(seed);
            for (name, setting) in options {
                world.config.assign(name, setting).expect("a good value");
            }
            // Its own address may be far away: that of a router that sends everything back.
            world.network.weather.latency = Duration::from_millis(10);
            world.network.weather.jitter = Duration::from_millis(30);
            world.populate(1);
            let doubts = |world: &World| world.status(A, A) == Some(Suspect);
            assert_eq!(world.run_until(seconds(20), doubts), None, "{name} {seed}");
        });
    }
}

#[test]
fn an_instance_whose_own_address_does_not_answer_suspects_itself_with_any_options() {
    for (ack_timeout, period) in [(0.0, 1.0), (0.0, 0.001), (0.2, 1.0)] {
        let mut config = Config::default();
        let options = [
            ("ACK_TIMEOUT_SECONDS", ack_timeout),
            ("PROTOCOL_PERIOD_SECONDS", period),
            ("NUM_FAILURE_DETECTION_SUBGROUPS", 0.0),
        ];
        for (name, value) in options {
            config
                .assign(name, Setting::Number(value))
                .expect("a good value");
        }
        let (mut swim, mut now) = (Swim::new(config, 1), Now::default());
        let own = Uri::new("own", 1).expect("a URI");
        swim.init(own.clone(), now);
        let status = |swim: &Swim| swim.member(&own).map(|own| own.claim.status);
        while status(&swim) == Some(Alive) {
            now.monotonic = swim.next_deadline().expect("it takes part");
            assert!(
                now.monotonic < Micros(0) + seconds(2),
                "{ack_timeout} {period}"
            );
            swim.handle_timeout(now);
            while swim.poll_transmit().is_some() {}
        }
        assert!(
            now.monotonic >= Micros(0) + ACK_TIMEOUT,
            "{ack_timeout} {period}"
        );
    }
}

#[test]
fn without_suspiciousness_a_member_suspects_none_and_believes_others() {
    story(|seed| {
        let unsuspicious = [("SUSPICIOUSNESS", Setting::Flag(false))];
        let mut world = tuned(3, seed, &unsuspicious);
        world.kill(C);
        world.run(seconds(60));
        assert!(world.all_see(C, Alive));
        world.act(A, "may suspect", |engine, now| {
            let swim = engine.swim_mut().expect("it is native");
            swim.assign("SUSPICIOUSNESS", Setting::Flag(true), now)
                .expect("a flag");
        });
        let dead = |world: &World| world.all_see(C, Dead);
        assert!(
            world
                .run_until(round(3) + PERIOD + SUSPICION + MOMENT, dead)
                .is_some()
        );
    });
}

#[test]
fn an_option_takes_effect_at_once_on_deadlines_that_are_pending() {
    story(|seed| {
        let patient = [
            ("PROTOCOL_PERIOD_SECONDS", Setting::Number(3600.0)),
            ("SUSPECT_TIMEOUT_SECONDS", Setting::Number(3600.0)),
        ];
        let mut world = tuned(2, seed, &patient);
        world.power_off(B);
        let assign = |world: &mut World, name: &str, seconds: f64| {
            world.act(A, name, |engine, now| {
                let swim = engine.swim_mut().expect("it is native");
                swim.assign(name, Setting::Number(seconds), now)
                    .expect("a good value");
            });
        };
        assign(&mut world, "PROTOCOL_PERIOD_SECONDS", 1.0);
        let sees = |status| move |world: &World| world.status(A, B) == Some(status);
        let suspected = world.run_until(round(2) + PERIOD, sees(Suspect));
        assert!(suspected.is_some(), "the shorter period begins at once");
        assign(&mut world, "SUSPECT_TIMEOUT_SECONDS", 0.0);
        assert!(
            world.run_until(MOMENT, sees(Dead)).is_some(),
            "the suspicion ends at once"
        );
    });
}

#[test]
fn shorter_periods_detect_a_death_sooner() {
    story(|seed| {
        let options = [
            ("PROTOCOL_PERIOD_SECONDS", Setting::Number(0.2)),
            ("ACK_TIMEOUT_SECONDS", Setting::Number(0.05)),
            ("SUSPECT_TIMEOUT_SECONDS", Setting::Number(0.5)),
        ];
        let mut world = tuned(5, seed, &options);
        world.kill(C);
        let dead = |world: &World| world.all_see(C, Dead);
        let limit = (round(5) + PERIOD) / 5 + Duration::from_millis(500) + MOMENT;
        assert!(world.run_until(limit, dead).is_some());
    });
}

#[test]
fn members_with_another_key_are_dead_and_then_non_decryptable() {
    story(|seed| {
        let mut world = World::of(4, seed);
        let set_key = |world: &mut World, id, key: Option<&[u8]>| {
            world.act(id, "sets a key", |engine, now| {
                engine
                    .swim_mut()
                    .expect("it is native")
                    .set_encryption_key(key, now);
            });
        };
        [A, C, D]
            .into_iter()
            .for_each(|id| set_key(&mut world, id, Some(b"a key")));
        let named = |world: &World| {
            [A, C, D]
                .into_iter()
                .all(|id| world.status(id, B) == Some(NonDecryptable))
        };
        assert!(
            world.run_until(3 * round(4) + SUSPICION, named).is_some(),
            "{seed} {:?}",
            [A, C, D].map(|id| world.status(id, B))
        );
        set_key(&mut world, B, Some(b"a key"));
        world.settle();
    });
}

#[test]
fn all_members_know_why_one_is_dead_that_was_left_out_when_the_key_was_changed() {
    let old: &[u8] = b"the old key";
    let new: &[u8] = b"the new key";
    story(|seed| {
        let mut world = World::new(seed);
        world.key = Some(old.to_vec());
        world.populate(4);
        world.acquaint();
        for id in [A, C, D] {
            world.act(id, "takes in a key", |engine, now| {
                let swim = engine.swim_mut().expect("it is native");
                swim.add_encryption_key(new, now).expect("there is room");
            });
        }
        for id in [A, C, D] {
            world.act(id, "uses the key", |engine, now| {
                let swim = engine.swim_mut().expect("it is native");
                swim.use_encryption_key(new, now).expect("it has it");
                swim.remove_encryption_key(old, now).expect("it has it");
            });
        }
        let others_see = |world: &World, status| {
            [A, C, D]
                .iter()
                .all(|id| world.status(*id, B) == Some(status))
        };
        let dead = world.run_until(3 * round(4) + SUSPICION, |world| others_see(world, Dead));
        assert!(dead.is_some(), "seed {seed}");
        let name = uri(&world, B);
        for id in [A, C, D] {
            let now = world.host(id).clocks.at(world.now());
            let diagnosis = swim(&world, id).diagnose(&name, now);
            let hints = diagnosis.expect("it is known").hints;
            let other_key =
                |hint: &String| hint.contains("encrypts with another key than this instance");
            assert!(
                hints.iter().any(other_key),
                "seed {seed}, {id:?}: {hints:?}"
            );
        }
    });
}

#[test]
fn members_that_are_far_away_are_a_hint_until_a_profile_allows_for_it() {
    story(|seed| {
        for (profile, is_hinted) in [(Profile::Lan, true), (Profile::Wan, false)] {
            let mut world = World::new(seed);
            world.config.use_profile(profile);
            world.network.weather.latency = Duration::from_millis(85);
            world.populate(3);
            world.acquaint();
            world.run(seconds(60));
            let now = world.host(A).clocks.at(world.now());
            let diagnosis = swim(&world, A).diagnose(&uri(&world, B), now);
            let hints = diagnosis.expect("it is known").hints;
            let hint = "its answers take 0.17 s, close to ACK_TIMEOUT_SECONDS (0.20 s) or more: \
                with more delay pings are repeated in vain. Use the profile wan, or raise ACK_TIMEOUT_SECONDS";
            let is_there = hints.iter().any(|said| said == hint);
            assert_eq!(is_there, is_hinted, "seed {seed}, {profile:?}: {hints:?}");
        }
    });
}

#[test]
fn a_profile_leaves_the_payload_the_room_that_it_needs() {
    let mut swim = Swim::new(Config::default(), 1);
    swim.init(Uri::new("a", 1).expect("a URI"), at(0));
    let size = "MAX_PACKET_SIZE";
    swim.assign(size, Setting::Number(4000.0), at(0))
        .expect("a good value");
    let payload = [&[0x91, 0xda, 0x0b, 0xb8][..], &[b'x'; 3000]].concat();
    swim.set_payload(&payload, at(0)).expect("there is room");
    let remark = swim.reset_option(size, at(0)).expect("an option");
    assert!(remark.is_some(), "the default has no room for it");
    for profile in Profile::ALL {
        swim.use_profile(profile, at(0));
        let limit = swim.payload_limit();
        assert!(payload.len() <= limit, "{}: {limit}", profile.name());
    }
}
