//! Bounds, and what happens beyond them.

use swim::config::Setting;
use swim::table::claim::{Claim, Incarnation};
use swim::table::payload::{Payload, Unfit};
use swim::time::{Micros, Now};
use swim::wire::{DropReason, MessageBuilder, decode};
use swim::{PingOutcome, Position, Refused};

use crate::*;

/// Datagrams of `from`: a message with an event, and a PING for `dst`.
fn leave(from: &Uri, about: &Uri, claim: Claim, payload: Option<&Payload>) -> Vec<u8> {
    let mut draft = MessageBuilder::leave(from, 1472);
    assert!(draft.event(about, claim, payload, 0));
    draft.finish().expect("it fits")
}

fn uri(port: u16) -> Uri {
    Uri::new("localhost", port).expect("a URI")
}

fn text(length: u16) -> Vec<u8> {
    let head = [&b"\x91\xda"[..], &length.to_be_bytes()].concat();
    [head, vec![b'x'; length.into()]].concat()
}

#[test]
fn indirect_pings_are_bounded_over_all_askers() {
    let mut swim = listener();
    acquaint(&mut swim, &uri(9), at(1));
    for sender in 11..=3010 {
        acquaint(&mut swim, &uri(sender), at(1));
        let ping = [ping(&uri(sender), &uri(9), 7), ping(&uri(9), &uri(10), 7)];
        for ping in ping {
            swim.handle_datagram(&ping, SOMEWHERE, at(1))
                .expect("well formed");
        }
        drain(&mut swim);
        swim.audit().expect("bounded");
    }
    assert_eq!(swim.stats().relayed, 1024);
}

#[test]
fn application_pings_beyond_the_bound_keep_the_true_outcome_of_the_others() {
    let mut swim = listener();
    let tickets: Vec<_> = (0..1500)
        .map(|_| swim.probe(&uri(9), at(1)).expect("initialized"))
        .collect();
    drain(&mut swim);
    swim.audit().expect("bounded");
    let outcomes = tickets.iter().map(|ticket| swim.outcome(*ticket));
    assert!(
        outcomes
            .into_iter()
            .all(|outcome| outcome == PingOutcome::Waiting)
    );
}

#[test]
fn a_large_payload_of_the_asker_leaves_room_for_the_claim_about_the_local_node() {
    let mut swim = listener();
    swim.set_payload(&text(700), at(1)).expect("it fits");
    let asker = uri(13302);
    let claim = Claim::alive(Incarnation::FIRST);
    let payload = Payload::new(&text(700)).expect("an array");
    acquaint(&mut swim, &asker, at(2));
    let hello = leave(&asker, &asker, claim, Some(&payload));
    swim.handle_datagram(&hello, SOMEWHERE, at(2))
        .expect("well formed");
    drain(&mut swim);
    let doubt = leave(&asker, &uri(13301), claim.with(Suspect), None);
    swim.handle_datagram(&doubt, SOMEWHERE, at(3))
        .expect("well formed");
    drain(&mut swim);
    let question = ping(&asker, &uri(13301), 7);
    swim.handle_datagram(&question, SOMEWHERE, at(4))
        .expect("well formed");
    let told = swim.poll_transmit().expect("an ACK");
    let message = decode(&told.datagram).expect("it is native");
    let subjects: Vec<_> = message
        .events
        .iter()
        .map(|event| event.uri.as_str())
        .collect();
    assert_eq!(subjects, ["localhost:13302", "localhost:13301"]);
}

/// `{x = error}`, of which the decoder of Tarantool 2.6 makes a wild pointer.
const LETHAL: &[u8] = b"\x81\xa1x\xc7\x0a\x03\x81\x00\x91\x81\x01\xdb\x7f\xff\xff\xff";

/// A message of this type with one claim about `b:1`, as a record or as an event.
fn tells_of_b(kind: &str, is_record: bool, status: Status, payload: &[u8]) -> Vec<u8> {
    let statement = [b"\x91\x94\xa3b:1", &[status.number(), 7][..], payload].concat();
    let (data, events): (&[u8], &[u8]) = if is_record {
        (&statement, b"\x90")
    } else {
        (b"\xc0", &statement)
    };
    let kind_size = 0xa0 | u8::try_from(kind.len()).expect("short");
    [
        b"\x94\xa3c:1",
        &[kind_size][..],
        kind.as_bytes(),
        data,
        events,
    ]
    .concat()
}

#[test]
fn a_harmful_payload_is_refused_everywhere_but_the_claim_with_it_is_applied() {
    for (kind, is_record, status) in [
        ("LEAVE", false, Alive),
        ("SYNC_ACK", true, Alive),
        ("SYNC_ACK", true, Dead), // a tombstone, since the subject was never known
    ] {
        let mut swim = listener();
        let forget = Setting::Number(60.0);
        swim.assign("REAP_TIMEOUT_SECONDS", forget, at(1))
            .expect("an option");
        let lethal = tells_of_b(kind, is_record, status, LETHAL);
        swim.handle_datagram(&lethal, SOMEWHERE, at(1))
            .expect("well formed");
        let known = |swim: &Swim| {
            let member = swim
                .member("b:1")
                .or_else(|| swim.members().tombstone("b:1"));
            let member = member.expect("it is known").clone();
            (
                member.claim.status,
                member.claim.incarnation.get(),
                member.payload,
            )
        };
        assert_eq!(known(&swim), (status, 7, None));
        let refused = swim.stats().payloads_refused.unfit;
        assert_eq!(refused.iter().sum::<u64>(), 1, "{kind}: {refused:?}");
        let harmless = tells_of_b(kind, is_record, status, b"\x81\xa1x\x01");
        swim.handle_datagram(&harmless, SOMEWHERE, at(2))
            .expect("well formed");
        let (_, _, payload) = known(&swim);
        assert_eq!(payload.expect("taken in").bytes(), b"\x81\xa1x\x01");
    }
    let mut swim = listener();
    let refused = swim.set_payload(LETHAL, at(1)).unwrap_err();
    assert!(matches!(refused, Refused::PayloadUnfit(flaw) if flaw.why == Unfit::Type("error")));
    swim.generate(&uri(9), Alive, None, Some(LETHAL), at(1));
    assert_eq!(swim.member(&uri(9)).expect("heard of").payload, None);
}

#[test]
fn a_reader_of_parts_misses_nothing_however_often_it_starts_over() {
    let mut swim = listener();
    let claim = Claim::alive(Incarnation::FIRST);
    let hear = |swim: &mut Swim, port| {
        let rumor = leave(&uri(1), &uri(port), claim, None);
        swim.handle_datagram(&rumor, SOMEWHERE, at(1))
            .expect("well formed");
        drain(swim);
    };
    (2..500).for_each(|port| hear(&mut swim, port));
    let mut position = Position::default();
    let mut table = std::collections::BTreeSet::new();
    let mut resets = 0;
    for turn in 0.. {
        let changes = swim.changes_since(position, 500);
        resets += usize::from(changes.reset);
        if changes.reset {
            table.clear();
        }
        table.retain(|uri| !changes.part.gone.contains(uri));
        table.extend(changes.part.members.iter().map(|member| member.uri.clone()));
        position = changes.position;
        // While it reads, more members are forgotten than the changelog keeps; some of them come back.
        let repeats = if turn < 3 { 200 } else { 0 };
        for port in (2..400).cycle().take(repeats * 398) {
            swim.remove_member(&uri(port), at(0));
            if turn < 2 || port % 2 == 0 {
                hear(&mut swim, port);
            }
        }
        if position.version == swim.version() {
            break;
        }
        assert!(turn < 1000, "it gets there");
    }
    let there = swim.members().from(0).map(|member| member.uri.clone());
    assert_eq!(table, there.collect());
    assert!(resets > 1, "it had to start over");
}

#[test]
fn packets_stay_large_enough_for_the_payload() {
    let mut swim = listener();
    swim.set_payload(&text(1000), at(1)).expect("it fits");
    let small = Setting::Number(512.0);
    let assigned = swim.assign("MAX_PACKET_SIZE", small.clone(), at(2));
    assert!(matches!(
        assigned,
        Ok(Some(Refused::PayloadTooLarge { size: 1004, .. }))
    ));
    let room = swim.payload_limit();
    assert!((1004..1020).contains(&room), "as large as it needs: {room}");
    let taken = swim.config().max_packet_size;
    let again = Setting::Number(taken as f64);
    assert_eq!(swim.assign("MAX_PACKET_SIZE", again, at(2)), Ok(None));
    assert_eq!(swim.config().max_packet_size, taken);
    swim.set_payload(b"\x90", at(3)).expect("it fits");
    assert_eq!(swim.assign("MAX_PACKET_SIZE", small, at(4)), Ok(None));
    assert_eq!(swim.config().max_packet_size, 512);
}

#[test]
fn an_option_that_membership_2_does_not_have_is_refused_if_the_payload_would_not_fit() {
    let mut swim = listener();
    let length = u16::try_from(swim.payload_limit() - 4).expect("a datagram");
    swim.set_payload(&text(length), at(1)).expect("it fits");
    let label = Setting::Text(b"a label".to_vec());
    let refused = swim.assign("GROUP_LABEL", label, at(2));
    assert!(matches!(refused, Err(Refused::PayloadTooLarge { .. })));
    assert!(swim.config().group_label.is_empty(), "as it was");
}

#[test]
fn a_number_out_of_bounds_is_assigned_as_the_nearest_one() {
    let mut swim = listener();
    let mut assign = |name, number| swim.assign(name, Setting::Number(number), at(1));
    let bad = assign("SUSPECT_TIMEOUT_SECONDS", 1e9);
    assert!(matches!(bad, Ok(Some(Refused::Option(_)))));
    assert_eq!(assign("SUSPECT_TIMEOUT_SECONDS", 3.0), Ok(None));
    assert!(assign("SUSPECT_TIMEOUT_SECONDS", f64::NAN).is_err());
    assert!(assign("MAX_MEMBERS", 1e9).is_err());
    let timeout = swim.config().suspect_timeout;
    assert_eq!(timeout, Duration::from_secs(3));
}

#[test]
fn rumors_cannot_use_up_the_incarnations_of_another_member() {
    let mut swim = listener();
    for last in [(1 << 53) - 2, (1 << 53) - 3, 1 << 52] {
        let last = Incarnation::from_wire(last).expect("one of the last");
        for status in [Alive, Suspect, Dead] {
            let rumor = Claim::alive(last).with(status);
            let rumor = leave(&uri(9), &uri(13301), rumor, None);
            swim.handle_datagram(&rumor, SOMEWHERE, at(1))
                .expect("well formed");
            drain(&mut swim);
        }
    }
    assert_eq!(swim.set_payload(b"\x91\x01", at(2)), Ok(()));
    let own = swim.member("localhost:13301").map(|own| own.claim);
    assert_eq!(own, Incarnation::from_wire(2).map(Claim::alive));
}

#[test]
fn at_the_last_incarnation_set_payload_is_refused_and_the_claim_stays() {
    let mut swim = listener();
    let last = Claim::alive(Incarnation::from_wire((1 << 53) - 2).expect("the last"));
    let rumor = leave(&uri(9), &uri(13301), last, None);
    swim.handle_datagram(&rumor, SOMEWHERE, at(1))
        .expect("well formed");
    let last = Incarnation::from_wire((1 << 53) - 2).expect("the last");
    // A program may claim that of its own instance.
    swim.generate(&uri(13301), Dead, Some(last), None, at(1));
    let last = Claim::alive(last);
    assert_eq!(
        swim.set_payload(b"\x91\x01", at(2)),
        Err(Refused::Exhausted)
    );
    assert!(
        swim.member("localhost:13301")
            .is_some_and(|own| own.claim == last)
    );
}

#[test]
fn a_member_that_stalls_at_the_last_incarnation_makes_no_claim_that_it_cannot_refute() {
    let mut swim = listener();
    let last = Incarnation::from_wire((1 << 53) - 2).expect("the last one");
    let rumor = Claim {
        incarnation: Incarnation::from_wire(last.get() - 1).expect("the one before"),
        status: Dead,
    };
    swim.handle_datagram(&leave(&uri(1), &uri(13301), rumor, None), SOMEWHERE, at(1))
        .expect("well formed");
    swim.generate(&uri(13301), Dead, Some(last), None, at(1));
    drain(&mut swim);
    let own = |swim: &Swim| swim.member("localhost:13301").map(|own| own.claim);
    assert_eq!(own(&swim), Some(Claim::alive(last)), "it has refuted");
    swim.set_stalled(true, at(2));
    drain(&mut swim);
    assert_eq!(own(&swim), Some(Claim::alive(last)));
    // Under its old name it would be suspect for ever.
    swim.init(uri(2), at(3));
    drain(&mut swim);
    assert_eq!(swim.audit(), Ok(()));
}

/// A group with tables of at most 30 members, which are filled up with invented members.
fn full(count: u32, seed: u64, status: Status) -> World {
    let mut world = World::new(seed);
    world.config.max_members = 30;
    world.populate(count);
    world.acquaint();
    for port in 1..=40 {
        let invented = Uri::new("invented", port).expect("a URI");
        let rumor = hearsay(&invented, &invented, status, 1);
        world.inject(A, A, &rumor);
    }
    let full = |world: &World| {
        let size = |id| swim(world, id).members().len();
        world.ids().all(|id| size(id) == 30)
    };
    let filled = world.run_until(seconds(2), full);
    assert!(filled.is_some(), "{status} {seed}");
    world
}

#[test]
fn a_newcomer_replaces_an_invented_member_that_is_dead() {
    for status in [Alive, Dead, Left, NonDecryptable] {
        (0..5).for_each(|seed| {
            let mut world = full(3, seed, status);
            let newcomer = world.add();
            world.start(newcomer);
            world.introduce(newcomer, A);
            let known = |world: &World| {
                let status = |id| world.status(id, newcomer);
                [A, B, C].into_iter().all(|id| status(id) == Some(Alive))
            };
            // Invented members that are alive at first have to be detected.
            assert!(
                world.run_until(seconds(60), known).is_some(),
                "{status} {seed}"
            );
            let doubted = |world: &World| !known(world);
            assert_eq!(world.run_until(seconds(60), doubted), None, "it stays");
            assert_eq!(swim(&world, A).members().len(), 30);
        });
    }
}

#[test]
fn members_that_have_answered_are_forgotten_last() {
    story(|seed| {
        let mut world = World::new(seed);
        world.config.max_members = 30;
        world.populate(4);
        world.acquaint();
        world.run(round(4));
        world.kill(D);
        let dead = |world: &World| world.all_see(D, Dead);
        assert!(world.run_until(seconds(30), dead).is_some());
        let tell = |world: &mut World, name: &str, status, count| {
            for port in 1..=count {
                let invented = Uri::new(name, port).expect("a URI");
                let rumor = hearsay(&invented, &invented, status, 1);
                world.inject(A, A, &rumor);
            }
        };
        tell(&mut world, "dead", Dead, 40);
        tell(&mut world, "alive", Alive, 26);
        assert_eq!(world.status(A, D), Some(Dead), "{seed}");
        tell(&mut world, "one-more", Alive, 1);
        assert_eq!(world.status(A, D), None, "{seed}");
        tell(&mut world, "too-many", Alive, 1);
        let counts = swim(&world, A).stats();
        assert_eq!((counts.members_displaced, counts.members_refused), (27, 15));
        // If it comes back, it is added again.
        world.start(D);
        world.introduce(D, A);
        let back = |world: &World| world.status(A, D) == Some(Alive);
        assert!(world.run_until(seconds(60), back).is_some(), "{seed}");
    });
}

#[test]
fn two_full_tables_with_different_invented_members_come_to_rest() {
    (0..5).for_each(|seed| {
        let mut world = full(2, seed, Dead);
        for port in 1..=40 {
            let invented = Uri::new("others", port).expect("a URI");
            let rumor = hearsay(&invented, &invented, Alive, 1);
            world.inject(B, B, &rumor);
        }
        world.run(seconds(120));
        let state = |world: &World| [A, B].map(|id| swim(world, id).members().news());
        let repairs = |world: &World| [A, B].map(|id| swim(world, id).stats().repairs);
        let (before, compared) = (state(&world), repairs(&world));
        world.run(seconds(100));
        assert_eq!(state(&world), before, "{seed}: there is news");
        for (before, after) in compared.into_iter().zip(repairs(&world)) {
            assert!(
                after - before <= 20,
                "{seed}: not more than one in five seconds"
            );
        }
    });
}

#[test]
fn pings_differ_even_at_the_end_of_time() {
    let mut swim = listener();
    let last = Now {
        wall: Micros(u64::MAX),
        ..at(1)
    };
    let mut ask = || swim.probe(&uri(2), last).expect("it takes part");
    let _tickets = [ask(), ask()];
    let mut asked = std::iter::from_fn(|| swim.poll_transmit()).map(|sent| sent.datagram);
    assert_ne!(asked.next(), asked.next());
}

#[test]
fn a_datagram_longer_than_the_largest_packet_is_dropped_undecoded() {
    // A datagram of the default size is always accepted.
    for (packet_size, taken) in [(512, 1472), (1472, 1472), (9000, 9000)] {
        let mut swim = listener();
        let setting = Setting::Number(f64::from(packet_size));
        swim.assign("MAX_PACKET_SIZE", setting, at(1))
            .expect("a good value");
        for size in [taken, taken + 1] {
            let mut datagram = ping(&uri(9), &uri(13301), 7);
            datagram.resize(size, 0xc0); // no trailer
            let result = swim.handle_datagram(&datagram, SOMEWHERE, at(2));
            let expected = if size == taken {
                DropReason::Corrupt
            } else {
                DropReason::Oversized
            };
            assert_eq!(result, Err(expected), "{size} of {packet_size}");
            drain(&mut swim);
        }
        assert_eq!(swim.stats().dropped[DropReason::Oversized as usize], 1);
    }
}
