//! Members that are remembered over a restart.

use crate::*;
use swim::config::Setting;

/// Starts a process that remembers these members.
fn start(world: &mut World, id: Id, members: &[Id]) {
    world.start(id);
    let mut uris = Vec::new();
    for member in members {
        uris.push(uri(world, *member));
    }
    world.act(id, "remembers", |engine, _| {
        engine.swim_mut().expect("native").look_for(uris);
    });
}

#[test]
fn a_group_that_lost_power_finds_together_again_in_whatever_order_it_starts() {
    story(|seed| {
        let mut world = World::of(5, seed);
        let all: Vec<Id> = world.ids().collect();
        for id in &all {
            world.power_off(*id);
        }
        for id in &all {
            world.run(seconds(if seed % 2 == 0 { 0 } else { 400 }));
            start(&mut world, *id, &all);
        }
        let whole = |world: &World| world.ids().all(|id| world.all_see(id, Alive));
        let took = world.run_until(seconds(130), whole);
        assert!(took.is_some(), "seed {seed}");
    });
}

#[test]
fn a_remembered_member_that_is_not_there_is_in_no_table_and_forgotten() {
    story(|seed| {
        let mut world = World::of(4, seed);
        world.power_off(A);
        world.kill(B);
        for id in [C, D] {
            let (swim, gone) = (swim(&world, id), [uri(&world, A), uri(&world, B)]);
            assert_eq!(swim.members().len(), 4, "{seed}: {gone:?} are known");
        }
        world.kill(C);
        world.kill(D);
        start(&mut world, C, &[A, B, D]);
        start(&mut world, D, &[A, B]);
        world.run(seconds(400));
        for id in [C, D] {
            let swim = swim(&world, id);
            assert_eq!(swim.members().len(), 2, "{seed}: no member is told of them");
            assert!(
                swim.candidates().is_empty(),
                "{seed}: they are not looked for"
            );
        }
    });
}

#[test]
fn what_only_strangers_have_mentioned_is_not_remembered() {
    let mut swim = Swim::new(Config::default(), 1);
    swim.init(Uri::new("a", 1).expect("a URI"), at(0));
    let [stranger, friend] = ["b", "c"].map(|host| Uri::new(host, 1).expect("a URI"));
    let hello = hearsay(&stranger, &stranger, Alive, 1);
    swim.handle_datagram(&hello, SOMEWHERE, at(0))
        .expect("well formed");
    drain(&mut swim);
    acquaint(&mut swim, &friend, at(0));
    let memories = swim.memories(0, 10);
    let remembered: Vec<&Uri> = memories.iter().map(|memory| &memory.uri).collect();
    assert_eq!(remembered, [&friend]);
}

#[test]
fn a_remembered_member_that_is_not_allowed_any_more_is_not_looked_for() {
    let [own, allowed, named, elsewhere] = ["own", "b", "c", "192.0.2.1"].map(|host| {
        let uri = Uri::new(host, 1);
        uri.expect("a URI")
    });
    let mut swim = Swim::new(Config::default(), 1);
    swim.look_for([allowed.clone(), named.clone(), elsewhere.clone()]);
    swim.init(own, at(0));
    swim.set_allowed_members(vec![allowed.clone(), elsewhere.clone()], true, at(0));
    let networks = Setting::List(vec!["10.0.0.0/8".into()]);
    swim.assign("ALLOWED_NETWORKS", networks, at(0))
        .expect("networks");
    let mut asked = Vec::new();
    for second in 0..10 {
        swim.handle_timeout(at(second * 1_000_000));
        while let Some(transmit) = swim.poll_transmit() {
            asked.push(transmit.to);
        }
    }
    assert!(asked.contains(&allowed), "it is looked for");
    assert!(
        !asked.contains(&named),
        "its name is not on the strict list"
    );
    assert!(!asked.contains(&elsewhere), "its address is not allowed");
    assert_eq!(swim.candidates().len(), 1, "nor are they remembered");
}
