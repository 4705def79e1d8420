//! Datagrams of strangers, hostile members and broken networks.

use sim::world::Recording;
use swim::config::{Config, Setting};
use swim::time::Micros;
use swim::wire::{DropReason, is_short};

use crate::*;

/// All datagrams that were recorded from membership 2.x, sealed ones included.
fn recordings() -> Vec<Vec<u8>> {
    let lines = include_str!("../../../../test/vectors/old-rock.jsonl").lines();
    let hex = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line["hex"].as_str().expect("hex").to_owned()
    };
    let byte = |pair: &[u8]| {
        let pair = str::from_utf8(pair).expect("ASCII");
        u8::from_str_radix(pair, 16).expect("hex")
    };
    lines
        .map(|line| hex(line).as_bytes().chunks(2).map(byte).collect())
        .collect()
}

/// A member that knows `a:1`, `a:2` and so on.
fn listener_among(count: u16) -> Swim {
    let mut swim = listener();
    for port in 1..=count {
        swim.add_member(other(port), at(0));
        drain(&mut swim);
    }
    swim
}

fn other(port: u16) -> Uri {
    Uri::new("a", port).expect("a URI")
}

fn drain(swim: &mut Swim) -> usize {
    std::iter::from_fn(|| swim.poll_transmit()).count()
}

/// The state that a malformed datagram must not change.
fn state(swim: &Swim) -> (u64, u64, usize, Option<Micros>) {
    (
        swim.version(),
        swim.news(),
        swim.members().len(),
        swim.next_deadline(),
    )
}

#[test]
fn a_malformed_datagram_changes_nothing_and_is_not_answered() {
    let mut swim = listener();
    let mut rejected = 0;
    for recording in recordings() {
        let prefixes = (0..recording.len()).map(|length| recording[..length].to_vec());
        let flips = (0..8 * recording.len()).map(|bit| {
            let mut flipped = recording.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        });
        for datagram in prefixes.chain(flips) {
            let before = state(&swim);
            if swim.handle_datagram(&datagram, SOMEWHERE, at(1)).is_err() {
                assert_eq!(state(&swim), before, "{datagram:x?}");
                assert_eq!(drain(&mut swim), 0, "{datagram:x?}");
                rejected += 1;
            } else {
                drain(&mut swim);
            }
        }
    }
    assert!(rejected > 100_000, "{rejected}");
    assert_eq!(swim.stats().dropped.iter().sum::<u64>(), rejected);
}

/// Datagrams of native members that meet, change payloads, and lose a member: one of each kind and size.
fn native_datagrams(key: Option<&[u8]>) -> Vec<(Uri, Vec<u8>)> {
    let mut world = World::new(1);
    world.key = key.map(<[u8]>::to_vec);
    world.config.group_label = b"label".to_vec();
    world.tape = Some(Vec::new());
    world.populate(4);
    world.acquaint();
    world.set_payload(A, 7);
    world.network.cut(A, B);
    world.set_payload(C, 8);
    world.kill(D);
    world.run(round(5) + SUSPICION);
    world.network.heal();
    world.settle();
    let tape = world.tape.take().expect("it was put in");
    let mut kinds = Vec::new();
    for Recording { to, datagram, .. } in tape {
        let opened = swim(&world, A).peek(&datagram).expect("it is native");
        // The short form is for those who know each other: see `short`.
        if is_short(&opened.plain) {
            continue;
        }
        let message = opened.message().expect("it is native");
        let trailer = message.trailer.as_ref().expect("a native one has it");
        let note = trailer.note.as_ref().map(std::mem::discriminant);
        let kind = (message.body.kind().name(), note, message.events.len());
        if kinds.iter().all(|(known, _)| *known != kind) {
            kinds.push((kind, (uri(&world, to), datagram.clone())));
        }
    }
    for name in MessageType::ALL.map(MessageType::name) {
        assert!(
            kinds.iter().any(|((known, ..), _)| *known == name),
            "{name}"
        );
    }
    let notes = kinds.iter().filter(|((_, note, _), _)| note.is_some());
    assert!(notes.count() >= 2, "to compare, and what differs");
    kinds.into_iter().map(|(_, said)| said).collect()
}

#[test]
fn a_native_datagram_with_a_flipped_bit_is_not_accepted() {
    for key in [None, Some(&b"a key"[..])] {
        for (to, datagram) in native_datagrams(key) {
            let config = Config {
                group_label: b"label".to_vec(),
                ..Config::default()
            };
            let mut swim = Swim::new(config, 1);
            swim.set_encryption_key(key, at(0));
            swim.init(to, at(0));
            swim.handle_timeout(at(0));
            drain(&mut swim);
            let before = state(&swim);
            for bit in 0..8 * datagram.len() {
                let mut flipped = datagram.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let heard = swim.handle_datagram(&flipped, SOMEWHERE, at(1));
                assert!(heard.is_err(), "bit {bit} of {datagram:x?}");
            }
            assert_eq!((state(&swim), drain(&mut swim)), (before, 0));
            let corrupt = swim.stats().dropped[DropReason::Corrupt as usize];
            assert!(corrupt > 0 || key.is_some());
            assert_eq!(swim.handle_datagram(&datagram, SOMEWHERE, at(1)), Ok(()));
        }
    }
}

#[test]
fn damaged_datagrams_do_no_lasting_harm() {
    story(|seed| {
        let mut world = World::of(4, seed);
        let mut broken = recordings().into_iter().skip(seed as usize).step_by(20);
        world.network.weather.damaged = 0.3;
        for id in [A, B, C, D].into_iter().cycle().take(40) {
            if let Some(datagram) = broken.next() {
                world.inject(A, id, &datagram);
            }
            world.set_payload(id, seed);
            world.run(PERIOD / 2);
        }
        world.network.weather.damaged = 0.0;
        world.settle();
    });
}

#[test]
fn a_member_that_is_up_refutes_every_claim_about_it() {
    let hearsays = [
        (Suspect, 1),
        (Dead, 3),
        (Left, 7),
        (NonDecryptable, 1 << 40),
        (Dead, MOST),
        (Dead, MOST + 1),
    ];
    for (status, incarnation) in hearsays {
        story(|seed| {
            let mut world = World::of(4, seed);
            let rumor = hearsay(&uri(&world, A), &uri(&world, B), status, incarnation);
            world.inject(A, C, &rumor);
            // A member that is held left is not probed: it learns of it when it pings another.
            let refuted = |world: &World| world.disagreement().is_none();
            assert!(
                world.run_until(2 * PERIOD, refuted).is_some(),
                "{status} {incarnation}"
            );
            assert!(world.all_see(B, Alive));
        });
    }
}

/// The last incarnation but one. It and the last one are not believed from other members: the subject
/// could not refute the next claim.
const MOST: u64 = (1 << 53) - 3;

/// Sends a claim about `B` to all others, from one of them, a stranger, or in the name of `B` itself.
fn send_to_all_but_b(world: &mut World, sender: &Uri, status: Status, incarnation: u64) {
    let rumor = hearsay(sender, &uri(world, B), status, incarnation);
    [A, C, D]
        .into_iter()
        .for_each(|id| world.inject(C, id, &rumor));
}

/// `B` changes its payload, dies, and comes back, and the others notice each.
fn is_noticed_in_all_it_does(world: &mut World) {
    world.set_payload(B, 7);
    let known = |world: &World| world.all_see(B, Alive) && world.all_have(B, 7);
    assert!(
        world.run_until(seconds(10), known).is_some(),
        "sets a payload"
    );
    world.kill(B);
    let dead = |world: &World| world.all_see(B, Dead);
    let limit = round(4) + PERIOD + SUSPICION + MOMENT;
    assert!(world.run_until(limit, dead).is_some(), "dies");
    world.start(B);
    world.set_payload(B, 8);
    world.introduce(B, A);
    let back = |world: &World| world.all_see(B, Alive) && world.all_have(B, 8);
    assert!(world.run_until(seconds(15), back).is_some(), "comes back");
    world.settle();
}

#[test]
fn rumors_of_others_cannot_make_a_member_immortal() {
    for (status, incarnation) in [
        (Alive, MOST + 1),
        (Suspect, MOST + 1),
        (Alive, MOST),
        (Dead, 1 << 50),
    ] {
        (0..5).for_each(|seed| {
            let mut world = World::of(4, seed);
            let stranger = Uri::new("stranger", 1).expect("a URI");
            for sender in [stranger, uri(&world, A)] {
                send_to_all_but_b(&mut world, &sender, status, incarnation);
                for id in [A, C, D] {
                    assert_eq!(
                        incarnation_of(&world, id),
                        Some(1),
                        "{status} {incarnation}"
                    );
                }
            }
            world.run(MOMENT);
            is_noticed_in_all_it_does(&mut world);
        });
    }
}

fn incarnation_of(world: &World, observer: Id) -> Option<u64> {
    let claim = world.claim(observer, &uri(world, B));
    claim.map(|claim| claim.incarnation.get())
}

#[test]
fn forged_claims_in_its_own_name_cannot_make_a_member_immortal() {
    for (status, incarnation) in [
        (Alive, MOST + 1),
        (Dead, MOST + 1),
        (Left, MOST + 1),
        (Alive, MOST),
    ] {
        (0..5).for_each(|seed| {
            let mut world = World::of(4, seed);
            let name = uri(&world, B);
            send_to_all_but_b(&mut world, &name, status, incarnation);
            // Without authentication it cannot be told from its own claim, and is believed until it refutes.
            assert_eq!(incarnation_of(&world, A), Some(incarnation));
            is_noticed_in_all_it_does(&mut world);
            // The same while it is gone: that is detected.
            world.kill(B);
            send_to_all_but_b(&mut world, &name, status, incarnation);
            let gone = |world: &World| {
                let status = |id| world.status(id, B);
                [A, C, D]
                    .into_iter()
                    .all(|id| status(id).is_some_and(|status| !status.is_live()))
            };
            let limit = round(4) + PERIOD + SUSPICION + seconds(1);
            assert!(
                world.run_until(limit, gone).is_some(),
                "{status} {incarnation}"
            );
        });
    }
}

#[test]
fn a_member_with_a_high_incarnation_is_believed_about_itself() {
    story(|seed| {
        let mut world = World::of(4, seed);
        let (name, far) = (uri(&world, B), Incarnation::from_wire(5_000_000));
        world.act(B, "comes far", |engine, now| {
            let swim = engine.swim_mut().expect("it is native");
            swim.generate(&name, Suspect, far, None, now);
        });
        let known = |world: &World| {
            [A, C, D]
                .into_iter()
                .all(|id| incarnation_of(world, id) == Some(5_000_001))
        };
        assert!(world.run_until(seconds(5), known).is_some(), "{seed}");
        world.settle();
    });
}

/// What `swim` holds of `subject`, after `sender` has said this of it.
fn told(swim: &mut Swim, sender: &Uri, subject: &Uri, status: Status, incarnation: u64) -> Claim {
    let rumor = hearsay(sender, subject, status, incarnation);
    swim.handle_datagram(&rumor, SOMEWHERE, at(1))
        .expect("well formed");
    drain(swim);
    swim.member(subject).expect("known").claim
}

#[test]
fn a_claim_far_below_what_is_held_is_taken_from_its_subject_alone_and_only_if_it_is_alive() {
    let mut swim = listener();
    let (subject, third) = (other(1), other(2));
    acquaint(&mut swim, &subject, at(0));
    acquaint(&mut swim, &third, at(0));
    let high = told(&mut swim, &subject, &subject, Alive, 5_000_000);
    assert_eq!(high.incarnation.get(), 5_000_000);
    for (sender, status) in [(&third, Alive), (&third, Dead), (&subject, Left)] {
        assert_eq!(told(&mut swim, sender, &subject, status, 7), high);
    }
    let low = told(&mut swim, &subject, &subject, Alive, 7);
    assert_eq!((low.incarnation.get(), low.status), (7, Alive));
}

#[test]
fn at_the_last_incarnation_a_member_is_alive_if_it_answers_and_dead_if_not() {
    story(|seed| {
        let mut world = World::of(4, seed);
        let (name, last) = (uri(&world, B), Incarnation::from_wire(MOST + 1));
        world.act(B, "comes to the end", |engine, now| {
            let swim = engine.swim_mut().expect("it is native");
            swim.generate(&name, Suspect, last, None, now);
        });
        let known = |world: &World| {
            [A, C, D]
                .into_iter()
                .all(|id| incarnation_of(world, id) == last.map(Incarnation::get))
        };
        assert!(world.run_until(seconds(5), known).is_some(), "{seed}");
        for status in [Suspect, Dead, NonDecryptable] {
            send_to_all_but_b(
                &mut world,
                &Uri::new("stranger", 1).expect("a URI"),
                status,
                MOST + 1,
            );
            let alive = |world: &World| world.all_see(B, Alive);
            assert!(
                world.run_until(2 * PERIOD, alive).is_some(),
                "{seed} {status}"
            );
            let doubted = |world: &World| !world.all_see(B, Alive);
            assert_eq!(
                world.run_until(seconds(20), doubted),
                None,
                "{seed} {status}: again"
            );
        }
        world.settle();
        world.kill(B);
        let dead = |world: &World| world.all_see(B, Dead);
        let limit = round(4) + PERIOD + SUSPICION + MOMENT;
        assert!(world.run_until(limit, dead).is_some(), "{seed}");
        world.act(A, "declares it gone", |engine, now| {
            assert!(
                engine
                    .swim_mut()
                    .expect("it is native")
                    .mark_left(&name, now)
            );
        });
        let left = |world: &World| world.all_see(B, Left);
        assert!(world.run_until(seconds(5), left).is_some(), "{seed}");
        world.act(A, "forgets it", |engine, now| {
            engine
                .swim_mut()
                .expect("it is native")
                .remove_member(&name, now);
        });
        world.run(seconds(1));
        assert_ne!(world.status(A, B), Some(Alive), "{seed}");
    });
}

#[test]
fn a_legacy_peer_at_the_last_incarnation_is_neither_immortal_nor_lost() {
    story(|seed| {
        let mut world = World::new(seed);
        world.legacy_share = 0.5;
        world.populate(4);
        world.acquaint();
        let legacy: Vec<Id> = world
            .ids()
            .filter(|id| world.host(*id).implementation == Implementation::Legacy)
            .collect();
        let native = world
            .ids()
            .find(|id| !legacy.contains(id))
            .expect("half of them");
        let name = uri(&world, legacy[0]);
        let rumor = hearsay(&uri(&world, native), &name, Alive, MOST);
        world.inject(native, legacy[0], &rumor);
        world.run(seconds(20));
        let claim = world.claim(native, &name).expect("known");
        assert_eq!(claim.incarnation.get(), MOST + 1, "it says so itself");
        world.inject(
            legacy[0],
            native,
            &hearsay(&uri(&world, legacy[1]), &name, Suspect, MOST + 1),
        );
        let alive = |world: &World| world.status(native, legacy[0]) == Some(Alive);
        assert!(world.run_until(2 * PERIOD, alive).is_some(), "{seed}");
        world.kill(legacy[0]);
        let dead = |world: &World| world.status(native, legacy[0]) == Some(Dead);
        assert!(
            world
                .run_until(2 * round(4) + SUSPICION + PERIOD, dead)
                .is_some(),
            "{seed}"
        );
    });
}

#[test]
fn a_record_about_the_local_node_is_refuted_like_any_rumor() {
    story(|seed| {
        let mut world = World::of(3, seed);
        world.set_payload(B, 7);
        world.settle();
        let stale = Payload::new(&payload(1)).expect("a payload");
        let claim = world.claim(A, &uri(&world, B)).expect("known");
        for claim in [claim.with(Dead), claim] {
            let mut draft = MessageBuilder::sync(MessageType::SyncAck, &uri(&world, A), 1472);
            assert!(draft.record(&uri(&world, B), claim, Some(&stale)));
            world.inject(A, B, &draft.finish().expect("it fits"));
            assert_eq!(
                (world.status(B, B), world.payload(B, B)),
                (Some(Alive), Some(7))
            );
        }
        let known = |world: &World| world.disagreement().is_none() && world.all_have(B, 7);
        assert!(world.run_until(MOMENT, known).is_some());
    });
}

#[test]
fn all_members_remember_the_same_payload_of_one_that_is_gone() {
    story(|seed| {
        let mut world = World::of(4, seed);
        let gone = Uri::new("gone", 1).expect("a URI");
        let incarnation = Incarnation::from_wire(2).expect("admissible");
        let claim = Claim::alive(incarnation).with(Dead);
        // It was restarted once, too quickly to learn of its first life.
        for (hearer, number) in [(A, 1), (B, 2)] {
            let bytes = Payload::new(&payload(number)).expect("a payload");
            let mut draft = MessageBuilder::leave(&uri(&world, C), 1472);
            assert!(draft.event(&gone, claim, Some(&bytes), 0));
            world.inject(C, hearer, &draft.finish().expect("it fits"));
        }
        world.settle();
    });
}

#[test]
fn a_payload_too_large_to_forward_does_not_keep_news_from_spreading() {
    story(|seed| {
        let mut world = World::new(seed);
        let small = world
            .config
            .assign("MAX_PACKET_SIZE", Setting::Number(512.0));
        small.expect("a good value");
        world.populate(4);
        world.acquaint();
        let text = [&b"\x91\xc5\x04\x00"[..], &[b'x'; 1024]].concat();
        let payload = Payload::new(&text).expect("a payload");
        for port in 1..=20 {
            let large = Uri::new("large", port).expect("a URI");
            let mut draft = MessageBuilder::leave(&large, 1472);
            assert!(draft.event(&large, Claim::alive(Incarnation::FIRST), Some(&payload), 0));
            world.inject(A, B, &draft.finish().expect("it fits"));
        }
        world.set_payload(B, 7);
        world.settle();
        assert!(world.all_have(B, 7));
    });
}

#[test]
fn a_member_that_never_existed_is_detected() {
    story(|seed| {
        let mut world = World::of(3, seed);
        let absent = Uri::new("absent", 1).expect("a URI");
        world.inject(A, B, &hearsay(&uri(&world, A), &absent, Alive, 5));
        let buried = |world: &World| {
            let status = |id| world.claim(id, &absent).map(|claim| claim.status);
            world.ids().all(|id| status(id) == Some(Dead))
        };
        assert!(
            world
                .run_until(round(4) + PERIOD + SUSPICION + MOMENT, buried)
                .is_some()
        );
        world.settle();
    });
}

#[test]
fn many_accusations_in_one_datagram_are_refuted_once() {
    let mut swim = listener();
    let own = Uri::new("localhost", 13301).expect("a URI");
    for kind in [MessageType::Leave, MessageType::SyncAck] {
        let (version, refuted) = (swim.version(), swim.stats().refutations);
        let first = swim.member(&own).expect("itself").claim.incarnation.get();
        let mut draft = match kind {
            MessageType::Leave => MessageBuilder::leave(&other(1), 1472),
            _ => MessageBuilder::sync(kind, &other(1), 1472),
        };
        for incarnation in first..first + 40 {
            let incarnation = Incarnation::from_wire(incarnation).expect("admissible");
            let claim = Claim::alive(incarnation).with(Dead);
            let fits = match kind {
                MessageType::Leave => draft.event(&own, claim, None, 0),
                _ => draft.record(&own, claim, None),
            };
            assert!(fits);
        }
        let datagram = draft.finish().expect("it fits");
        swim.handle_datagram(&datagram, SOMEWHERE, at(1))
            .expect("well formed");
        let claim = swim.member(&own).expect("itself").claim;
        assert_eq!((claim.status, claim.incarnation.get()), (Alive, first + 40));
        assert_eq!(swim.version(), version + 1, "{kind:?}");
        assert_eq!(swim.stats().refutations, refuted + 1, "{kind:?}");
        let reports = std::iter::from_fn(|| swim.poll_report()).count();
        assert_eq!(reports, 1, "{kind:?}");
        drain(&mut swim);
    }
}

#[test]
fn a_payload_that_the_local_node_could_not_have_set_is_not_refuted() {
    let mut swim = listener();
    let own = Uri::new("localhost", 13301).expect("a URI");
    let small = Setting::Number(512.0);
    swim.assign("MAX_PACKET_SIZE", small, at(1)).expect("good");
    let text = |length: u16| {
        let head = [&b"\x91\xda"[..], &length.to_be_bytes()].concat();
        [head, vec![b'x'; length.into()]].concat()
    };
    for (length, contradicts) in [(600, false), (100, true)] {
        let claim = swim.member(&own).expect("itself").claim;
        let payload = Payload::new(&text(length)).expect("an array");
        let mut draft = MessageBuilder::leave(&other(1), 1472);
        assert!(draft.event(&own, claim, Some(&payload), 0));
        let datagram = draft.finish().expect("it fits");
        swim.handle_datagram(&datagram, SOMEWHERE, at(2))
            .expect("well formed");
        drain(&mut swim);
        let now = swim.member(&own).expect("itself").claim;
        assert_eq!(now > claim, contradicts, "{length} bytes");
    }
}

#[test]
fn a_table_of_dead_members_is_not_answered_with_a_datagram_to_each() {
    let mut swim = listener_among(50);
    acquaint(&mut swim, &other(60), at(1));
    let mut draft = MessageBuilder::sync(MessageType::SyncAck, &other(60), 1472);
    for port in 1..=50 {
        let claim = Claim::alive(Incarnation::FIRST).with(Dead);
        assert!(draft.record(&other(port), claim, None));
    }
    let datagram = draft.finish().expect("it fits");
    swim.handle_datagram(&datagram, SOMEWHERE, at(1))
        .expect("well formed");
    assert_eq!(swim.members().count(Suspect), 50);
    let sent = drain(&mut swim);
    assert!((1..=2).contains(&sent), "{sent} datagrams");
}

#[test]
fn suspicions_that_end_all_at_once_are_expired_in_portions() {
    let mut swim = listener_among(1000);
    for port in 1..=1000 {
        let rumor = hearsay(&other(2000), &other(port), Suspect, 1);
        swim.handle_datagram(&rumor, SOMEWHERE, at(1))
            .expect("well formed");
    }
    drain(&mut swim);
    let (mut dead, mut steps, mut now) = (0, 0, at(0));
    while dead < 1000 {
        now = at(swim
            .next_deadline()
            .expect("it takes part")
            .0
            .max(now.monotonic.0));
        swim.handle_timeout(now);
        drain(&mut swim);
        let more = swim.members().count(Dead) - dead;
        assert!(more <= 64, "{more} at once");
        dead += more;
        steps += 1;
        assert!(steps < 1000, "{dead} dead");
    }
    let late = now.monotonic.since(Micros(1)).saturating_sub(SUSPICION);
    assert!(late < Duration::from_millis(50), "{late:?}");
}
