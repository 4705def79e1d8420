//! Members that are unreachable for long: they are left alone for a while, and found all the same.

use crate::*;

/// When `swim` pings `to` within this time. It hears itself, and nothing else answers.
fn pings(swim: &mut Swim, to: &Uri, limit: Duration) -> Vec<Micros> {
    let mut pings = Vec::new();
    while let Some(deadline) = swim.next_deadline()
        && deadline <= Micros(0) + limit
    {
        let now = now_at(deadline);
        swim.handle_timeout(now);
        while let Some(sent) = swim.poll_transmit() {
            if Some(&sent.to) == swim.myself() {
                swim.handle_datagram(&sent.datagram, SOMEWHERE, now)
                    .expect("its own");
            } else if is_ping(&sent) && sent.to == *to {
                pings.push(deadline);
            }
        }
    }
    pings
}

fn is_ping(sent: &Transmit) -> bool {
    match decode(&sent.datagram) {
        Ok(message) => matches!(message.body, Body::Ping(_)),
        Err(_) => false,
    }
}

#[test]
fn an_entry_of_a_translated_address_expires_while_its_member_is_dead_for_long() {
    story(|seed| {
        let mut swim = Swim::new(Config::default(), seed);
        swim.init(Uri::new("a", 1).expect("a URI"), at(0));
        let gone = Uri::new("b", 1).expect("a URI");
        swim.add_member(gone.clone(), at(0));
        let pings = pings(&mut swim, &gone, seconds(7200));
        let gaps = || pings.windows(2).map(|pair| pair[1].since(pair[0]));
        let longest = gaps().max().expect("pings");
        assert!(
            (seconds(121)..seconds(130)).contains(&longest),
            "{longest:?}"
        );
        let silence = gaps().position(|gap| gap == longest).expect("a silence");
        assert!(
            pings[silence] > Micros(300_000_000),
            "not while a partition may heal"
        );
        assert!(gaps().take(silence).all(|gap| gap < 3 * PERIOD));
        for gap in gaps().skip(silence + 1) {
            assert!((seconds(30)..seconds(50)).contains(&gap), "{gap:?}");
        }
    });
}

#[test]
fn halves_that_were_parted_for_long_find_each_other_as_soon_as_after_a_short_time() {
    for parted in [60, 310, 700] {
        story(|seed| {
            let mut world = World::of(10, seed);
            let minority = [A, B, C, D];
            world.network.partition(&minority);
            world.run(seconds(parted));
            assert_eq!(world.status(A, Id(9)), Some(Dead));
            world.network.heal();
            let whole = |world: &World| world.ids().all(|id| world.all_see(id, Alive));
            let took = world.run_until(seconds(10), whole);
            assert!(took.is_some(), "parted for {parted} s");
        });
    }
}

#[test]
fn two_that_were_parted_for_long_find_each_other_within_three_quarters_of_a_minute() {
    story(|seed| {
        let mut world = World::of(2, seed);
        world.network.partition(&[A]);
        world.run(seconds(1100));
        world.network.heal();
        let whole = |world: &World| world.ids().all(|id| world.all_see(id, Alive));
        assert!(world.run_until(seconds(45), whole).is_some());
    });
}
