//! Every change in order, with its reason: what an operator reads at night.

use swim::config::Setting;
use swim::table::history::Change;
use swim::table::reason::Reason;

use crate::*;

/// What `observer` remembers of `subject`.
fn history(world: &World, observer: Id, subject: Id) -> Vec<Change> {
    swim(world, observer).history_of(&uri(world, subject), usize::MAX)
}

fn statuses(changes: &[Change]) -> Vec<Option<Status>> {
    let mut statuses = Vec::new();
    for change in changes {
        statuses.push(change.after.map(|claim| claim.status));
    }
    statuses
}

fn last(world: &World, observer: Id, subject: Id) -> Change {
    history(world, observer, subject).pop().expect("it changed")
}

/// Whether one change leads to the next.
fn is_without_gap(changes: &[Change]) -> bool {
    changes.windows(2).all(|pair| {
        let is_later =
            pair[0].number < pair[1].number && pair[0].at.monotonic <= pair[1].at.monotonic;
        is_later && pair[0].after == pair[1].before
    })
}

#[test]
fn of_a_member_that_was_killed_it_is_known_which_members_did_not_reach_it_and_that_its_time_was_up()
{
    story(|seed| {
        let mut world = World::of(5, seed);
        world.power_off(C);
        let dead = |world: &World| world.all_see(C, Dead);
        world
            .run_until(round(5) + 3 * SUSPICION, dead)
            .expect("it is gone");
        let (mut probers, mut judges) = (0, 0);
        for observer in [A, B, D, E] {
            let changes = history(&world, observer, C);
            assert!(is_without_gap(&changes), "{changes:?}");
            let [.., suspicion, death] = &changes[..] else {
                panic!("{seed}: {changes:?}");
            };
            assert_eq!(
                statuses(&changes[changes.len() - 2..]),
                [Some(Suspect), Some(Dead)]
            );
            match &suspicion.reason {
                Reason::ProbeFailed { relays } => {
                    probers += 1;
                    let (prober, suspect) = (uri(&world, observer), uri(&world, C));
                    assert!(!relays.is_empty(), "there are others to ask");
                    assert!(!relays.contains(&prober) && !relays.contains(&suspect));
                }
                Reason::Told { by } => assert_ne!(*by, uri(&world, C)),
                other => panic!("{other:?}"),
            }
            match &death.reason {
                Reason::TimedOut => {
                    judges += 1;
                    let lasted = death.at.monotonic.since(suspicion.at.monotonic);
                    assert!(
                        lasted >= SUSPICION && lasted < SUSPICION + MOMENT,
                        "{lasted:?}"
                    );
                }
                Reason::Told { by } => assert_ne!(*by, uri(&world, C)),
                other => panic!("{other:?}"),
            }
        }
        assert!(probers > 0 && judges > 0, "news begins somewhere");
    });
}

#[test]
fn a_suspicion_that_was_refuted_before_a_reader_looked_is_remembered() {
    story(|seed| {
        let mut world = World::of(3, seed);
        let began = swim(&world, A).news();
        world.network.partition(&[B]);
        let doubted = |world: &World| world.status(A, B) == Some(Suspect);
        let limit = round(3) + PERIOD + MOMENT;
        assert!(world.run_until(limit, doubted).is_some());
        world.network.heal();
        let refuted = |world: &World| world.all_see(B, Alive);
        assert!(world.run_until(SUSPICION, refuted).is_some());
        let told = swim(&world, A)
            .news_since(began, usize::MAX)
            .expect("it reaches back");
        let now_alive = |member: &&swim::table::member::Member| member.claim.status == Alive;
        assert!(
            told.members.iter().all(now_alive),
            "news shows nothing of it"
        );

        let excerpt = swim(&world, A).history_since(began, usize::MAX);
        assert!(!excerpt.lost && excerpt.reached == swim(&world, A).news());
        let of_b = |change: &&Change| change.uri == uri(&world, B);
        let changes: Vec<Change> = excerpt.changes.iter().filter(of_b).cloned().collect();
        assert_eq!(statuses(&changes), [Some(Suspect), Some(Alive)], "{seed}");
        assert!(is_without_gap(&changes));
        let refutation = last(&world, B, B);
        assert!(
            matches!(
                refutation.reason,
                Reason::Refuted {
                    said: Suspect,
                    by: Some(_)
                }
            ),
            "{refutation}"
        );
    });
}

#[test]
fn a_member_that_leaves_says_so_and_others_name_the_member_that_has_told_them() {
    story(|seed| {
        let mut world = World::of(3, seed);
        world.leave(C);
        world.run(MOMENT);
        for observer in [A, B] {
            let change = last(&world, observer, C);
            assert_eq!(change.reason, Reason::Left);
            assert_eq!(change.after.map(|claim| claim.status), Some(Left));
        }
        let left = last(&world, C, C);
        assert_eq!(
            (left.reason, left.after),
            (Reason::Left, None),
            "its table is empty"
        );

        let (name, marker) = (uri(&world, B), uri(&world, A));
        world.network.partition(&[B]);
        world.act(A, "declares it gone", |engine, now| {
            assert!(engine.swim_mut().expect("native").mark_left(&name, now));
        });
        assert_eq!(last(&world, A, B).reason, Reason::Marked);
        world.network.heal();
        let contradicted = |world: &World| world.status(A, B) == Some(Alive);
        world
            .run_until(round(3), contradicted)
            .expect("it contradicts");
        let refutation = last(&world, B, B).reason;
        let expected = Reason::Refuted {
            said: Left,
            by: Some(marker),
        };
        assert_eq!(refutation, expected, "{seed}");
    });
}

#[test]
fn payloads_stalls_and_what_the_application_does_have_their_reasons() {
    let mut world = World::of(2, 1);
    world.set_payload(B, 7);
    world.run(MOMENT);
    assert_eq!(last(&world, B, B).reason, Reason::PayloadSet);
    let heard = last(&world, A, B);
    assert!(heard.has_new_payload, "{heard}");
    assert_eq!(heard.reason, Reason::Announced);

    for (stalled, status, reason) in [
        (true, Suspect, Reason::Stalled),
        (false, Alive, Reason::Resumed),
    ] {
        world.act(B, "stalls or resumes", |engine, now| {
            engine.swim_mut().expect("native").set_stalled(stalled, now);
        });
        let seen = |world: &World| world.status(A, B) == Some(status);
        world.run_until(PERIOD + MOMENT, seen).expect("it says so");
        assert_eq!(last(&world, B, B).reason, reason);
        assert_eq!(last(&world, A, B).reason, Reason::Announced);
    }

    let (mut swim, other) = (listener(), Uri::new("a", 1).expect("a URI"));
    let last = |swim: &Swim| swim.history_of("a:1", 1).pop().expect("it changed");
    swim.add_member(other.clone(), at(1));
    assert_eq!(
        (last(&swim).reason, last(&swim).before),
        (Reason::Added, None)
    );
    swim.remove_member(&other, at(2));
    assert_eq!(
        (last(&swim).reason, last(&swim).after),
        (Reason::Removed, None)
    );
    assert_eq!(last(&swim).at.monotonic, at(2).monotonic);
    swim.add_member(other.clone(), at(3));
    swim.set_allowed_members(vec![Uri::new("b", 1).expect("a URI")], false, at(4));
    assert_eq!(
        (last(&swim).reason, last(&swim).after),
        (Reason::NotAllowed, None)
    );
}

#[test]
fn a_member_that_was_gone_for_long_enough_is_forgotten_for_that_reason_and_known_again_when_it_speaks()
 {
    let mut swim = listener();
    let other = Uri::new("a", 1).expect("a URI");
    let reap = Setting::Number(60.0);
    swim.assign("REAP_TIMEOUT_SECONDS", reap, at(0))
        .expect("it is an option");
    let dead = hearsay(&Uri::new("b", 1).expect("a URI"), &other, Dead, 1);
    let alive = hearsay(&Uri::new("b", 1).expect("a URI"), &other, Alive, 1);
    for heard in [alive, dead] {
        swim.handle_datagram(&heard, SOMEWHERE, at(1))
            .expect("well formed");
    }
    let mut now = at(1);
    while swim.member(&other).is_some() {
        now = now_at(swim.next_deadline().expect("it waits"));
        swim.handle_timeout(now);
        drain(&mut swim);
    }
    let own = hearsay(&other, &other, Alive, 2);
    swim.handle_datagram(&own, SOMEWHERE, now)
        .expect("well formed");
    let reasons: Vec<Reason> = swim
        .history_of(&other, 3)
        .into_iter()
        .map(|change| change.reason)
        .collect();
    assert_eq!(reasons, [Reason::Reaped, Reason::Heard, Reason::Announced]);
}

#[test]
fn a_suspicion_that_others_confirm_ends_for_that_reason() {
    story(|seed| {
        let mut world = World::of(5, seed);
        for id in [A, B, C, D, E] {
            world.act(id, "wants a fast failover", |engine, now| {
                let swim = engine.swim_mut().expect("native");
                let least = Setting::Number(0.5);
                swim.assign("SUSPECT_TIMEOUT_MIN_SECONDS", least, now)
                    .expect("an option");
            });
        }
        world.run(PERIOD);
        world.kill(C);
        let dead = |world: &World| world.all_see(C, Dead);
        world
            .run_until(round(5) + 3 * SUSPICION, dead)
            .expect("it is gone");
        let mut confirmed = 0;
        for observer in [A, B, D, E] {
            if let Reason::Confirmed { by } = last(&world, observer, C).reason {
                confirmed += 1;
                assert!(!by.is_empty() && !by.contains(&uri(&world, C)), "{seed}");
            }
        }
        assert!(confirmed > 0, "{seed}");
    });
}

#[test]
fn what_unknown_senders_make_up_does_not_let_it_grow_and_it_says_what_was_lost() {
    let mut swim = listener();
    let began = swim.news();
    let host = "h".repeat(249);
    for port in 1..=20_000 {
        let stranger = Uri::new(&host, port).expect("a URI");
        let told = hearsay(&stranger, &stranger, Alive, 1);
        swim.handle_datagram(&told, SOMEWHERE, at(u64::from(port)))
            .expect("well formed");
        drain(&mut swim);
    }
    assert_eq!(swim.audit(), Ok(()), "the past has its bound");
    let history = swim.members().history();
    assert!(history.forgotten() > 10_000, "{}", history.forgotten());
    let excerpt = swim.history_since(began, usize::MAX);
    assert!(excerpt.lost);
    assert_eq!(excerpt.changes.len(), history.len());
    let rest = swim.history_since(excerpt.changes[0].number, usize::MAX);
    assert!(!rest.lost, "it has read up to where the history begins");
}
