//! Members that are not taken in, though they are alive.

use crate::*;
use swim::config::Setting;
use swim::wire::DropReason;

fn swim_of(networks: &[&str]) -> Swim {
    let mut swim = Swim::new(Config::default(), 1);
    let networks = networks.iter().map(|network| (*network).into()).collect();
    swim.assign("ALLOWED_NETWORKS", Setting::List(networks), at(0))
        .expect("networks");
    swim.init(Uri::new("own", 1).expect("a URI"), at(0));
    swim
}

#[test]
fn a_member_whose_address_is_elsewhere_is_not_taken_in_and_counted() {
    let mut swim = swim_of(&["10.0.0.0/8"]);
    let friend = Uri::new("10.0.0.2", 1).expect("a URI");
    acquaint(&mut swim, &friend, at(0));
    let stranger = Uri::new("192.0.2.2", 1).expect("a URI");
    let told = hearsay(&friend, &stranger, Alive, 1);
    swim.handle_datagram(&told, SOMEWHERE, at(0))
        .expect("well formed");
    assert!(swim.member(&stranger).is_none());
    assert_eq!(swim.stats().members_elsewhere, 1);
    assert!(swim.refusal(&stranger).is_some() && swim.refusal(&friend).is_none());
    drain(&mut swim);
}

#[test]
fn a_name_that_leads_elsewhere_is_forgotten_for_a_while_and_then_tried_again() {
    let mut swim = swim_of(&["10.0.0.0/8"]);
    let friend = Uri::new("10.0.0.2", 1).expect("a URI");
    acquaint(&mut swim, &friend, at(0));
    let name = Uri::new("name", 1).expect("a URI");
    let told = hearsay(&friend, &name, Alive, 1);
    let hear = |swim: &mut Swim, second: u64| {
        let now = at(second * 1_000_000);
        swim.handle_datagram(&told, SOMEWHERE, now)
            .expect("well formed");
        drain(swim);
        swim.member(&name).is_some()
    };
    assert!(hear(&mut swim, 0), "a name may lead anywhere");
    swim.handle_excluded(&name, at(0));
    while swim.poll_report().is_some() {}
    assert!(!hear(&mut swim, 599));
    assert!(hear(&mut swim, 601));
    swim.handle_excluded(&name, at(602_000_000));
    while swim.poll_report().is_some() {}
    swim.add_member(name.clone(), at(603_000_000));
    assert!(swim.member(&name).is_some(), "a user knows better");
    drain(&mut swim);
}

#[test]
fn a_strict_list_lets_no_stranger_in_and_nothing_of_it() {
    story(|seed| {
        let mut world = World::of(4, seed);
        let [b, c, d] = [B, C, D].map(|id| uri(&world, id));
        world.act(A, "is strict", |engine, now| {
            let allowed = vec![b.clone(), c.clone()];
            engine
                .swim_mut()
                .expect("native")
                .set_allowed_members(allowed, true, now);
        });
        world.run(seconds(60));
        let swim = swim(&world, A);
        assert!(swim.member(&d).is_none(), "{seed}");
        assert!(swim.member(&b).is_some() && swim.member(&c).is_some());
        let dropped = swim.stats().dropped[DropReason::NotAllowed as usize];
        assert!(dropped > 0, "{seed}: it goes on to ping");
        assert!(swim.stats().members_not_allowed > 0, "{seed}");
        for id in [B, C] {
            assert_eq!(
                world.status(id, D),
                Some(Alive),
                "{seed}: it is well for others"
            );
            assert_eq!(world.status(id, A), Some(Alive), "{seed}: and so is A");
        }
    });
}

#[test]
fn the_former_name_of_the_local_node_dies_though_it_is_not_on_the_strict_list() {
    let mut swim = Swim::new(Config::default(), 1);
    let [former, own, friend] = ["former", "own", "friend"].map(|host| {
        let uri = Uri::new(host, 1);
        uri.expect("a URI")
    });
    swim.init(former.clone(), at(0));
    acquaint(&mut swim, &friend, at(0));
    swim.set_allowed_members(vec![friend], true, at(0));
    swim.init(own, at(0));
    drain(&mut swim);
    assert!(
        swim.member(&former).is_none(),
        "others are told that it is dead"
    );
}
