//! Two processes with one URI.

use swim::security::seal::Cipher;
use swim::wire::{Duplicate, Trailer, checksummed};

use crate::*;

/// Where the URI leads that two machines have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leads {
    /// To each machine itself, as `localhost` does.
    Home,
    /// To the first of the two: a configuration was copied.
    ToFirst,
}

const BOTH: [Leads; 2] = [Leads::Home, Leads::ToFirst];

/// A and B have the URI of A, and C is right. A and B know C, with payloads of their own.
fn doubles(seed: u64, leads: Leads, kinds: [Implementation; 2], key: Option<&[u8]>) -> World {
    let mut world = World::new(seed).unchecked();
    if let Some(key) = key {
        world.config.encryption_cipher = Cipher::Aead;
        world.key = Some(key.to_vec());
    }
    for id in [A, B, C] {
        assert_eq!(world.add(), id);
    }
    let shared = uri(&world, A);
    world.host_mut(B).uri = shared.clone();
    for (id, kind) in [A, B].into_iter().zip(kinds) {
        world.host_mut(id).implementation = kind;
    }
    if leads == Leads::Home {
        for id in [A, B, C] {
            world.lead(id, &shared, id);
        }
    }
    for id in [C, A, B] {
        world.start(id);
        world.run(MOMENT);
    }
    for id in [A, B] {
        world.set_payload(id, id.0.into());
        world.introduce(id, C);
    }
    world
}

const NATIVE: [Implementation; 2] = [Implementation::Native; 2];

/// What `id` hints at about the URI that A and B have.
fn hints(world: &World, id: Id) -> Vec<String> {
    let now = world.host(id).clocks.at(world.now());
    match swim(world, id).diagnose(&uri(world, A), now) {
        Some(diagnosis) => diagnosis.hints,
        None => Vec::new(),
    }
}

/// Whether `id` hints at two processes, and names this one.
fn knows(world: &World, id: Id, other: Id) -> bool {
    let address = other.address().to_string();
    hints(world, id)
        .iter()
        .any(|hint| hint.starts_with("two processes") && hint.contains(&address))
}

/// Lets 20 seconds pass, in which C is alive to all.
fn run_and_watch(world: &mut World, seed: u64) {
    let healthy = uri(world, C);
    for _ in 0..200 {
        world.run(PERIOD / 10);
        for id in [A, B, C] {
            let claim = world.claim(id, &healthy);
            let status = claim.map(|claim| claim.status);
            assert_eq!(status, Some(Alive), "{seed}: {id} at {:?}", world.now());
        }
    }
}

#[test]
fn two_processes_with_one_uri_learn_of_each_other_and_so_does_a_third_member() {
    for (leads, key) in [
        (Leads::Home, None),
        (Leads::ToFirst, None),
        (Leads::Home, Some(&b"a key for tests"[..])),
        (Leads::ToFirst, Some(b"a key for tests")),
    ] {
        story(|seed| {
            let mut world = doubles(seed, leads, NATIVE, key);
            let all_know = |world: &World| {
                knows(world, A, B) && knows(world, B, A) && knows(world, C, A) && knows(world, C, B)
            };
            let took = world.run_until(12 * PERIOD, all_know);
            assert!(
                took.is_some(),
                "{leads:?} {seed}: {:?}",
                [A, B, C].map(|id| hints(&world, id))
            );
            for id in [A, B, C] {
                assert_eq!(
                    swim(&world, id).stats().duplicates,
                    1,
                    "{leads:?} {seed} {id}"
                );
            }
        });
    }
}

#[test]
fn a_member_in_good_order_is_never_suspected_because_two_others_share_a_uri() {
    for leads in BOTH {
        for key in [None, Some(&b"a key for tests"[..])] {
            story(|seed| {
                let mut world = doubles(seed, leads, NATIVE, key);
                run_and_watch(&mut world, seed);
                // It began with 1, and the payload of each made it 2.
                let risen = incarnation(&world, C, A) - 2;
                assert!(risen < 8, "{leads:?} {seed}: by {risen}");
            });
        }
    }
}

#[test]
fn a_member_sees_that_two_peers_of_which_one_or_both_run_membership_2_share_a_uri() {
    use Implementation::{Legacy, Native};
    for (leads, kinds) in [
        (Leads::Home, [Native, Legacy]),
        (Leads::ToFirst, [Native, Legacy]),
        (Leads::ToFirst, [Legacy, Native]),
        (Leads::ToFirst, [Legacy, Legacy]),
    ] {
        story(|seed| {
            let mut world = doubles(seed, leads, kinds, None);
            let is_known = |world: &World| knows(world, C, A) && knows(world, C, B);
            // Two of membership 2.x are seen only when they are not in step, and without clocks that agree.
            let took = world.run_until(60 * PERIOD, is_known);
            assert!(took.is_some(), "{leads:?} {kinds:?} {seed}");
            // The native one is told with its next ping.
            world.run(round(3));
            for ((id, kind), other) in [A, B].into_iter().zip(kinds).zip([B, A]) {
                assert!(
                    kind == Legacy || knows(&world, id, other),
                    "{kinds:?} {seed}"
                );
            }
            run_and_watch(&mut world, seed);
        });
    }
}

#[test]
fn a_member_that_moves_or_restarts_or_is_upgraded_is_not_taken_for_two() {
    story(|seed| {
        let mut world = World::of(3, seed).unchecked();
        let moved = uri(&world, B);
        for life in 0..6 {
            let (from, to) = if life % 2 == 0 { (B, D) } else { (D, B) };
            if life == 0 {
                assert_eq!(world.add(), D);
            }
            world.kill(from);
            world.host_mut(to).uri = moved.clone();
            for id in [A, B, C, D] {
                world.lead(id, &moved, to);
            }
            world.start(to);
            world.introduce(to, A);
            world.run(round(3));
        }
        for id in [A, B, C] {
            assert_eq!(swim(&world, id).stats().duplicates, 0, "{seed}: {id}");
        }
    });
}

/// The member `own:1`, in a group with `peer:1` at [`SOMEWHERE`].
fn acquainted() -> (Swim, Uri, Uri) {
    let [own, peer] = ["own", "peer"].map(|host| Uri::new(host, 1).expect("a URI"));
    let mut swim = Swim::new(Config::default(), 1);
    swim.init(own.clone(), at(0));
    acquaint(&mut swim, &peer, at(0));
    (swim, own, peer)
}

fn warnings(swim: &mut Swim) -> Vec<String> {
    let lines = std::iter::from_fn(|| swim.poll_report()).map(|event| event.to_string());
    lines.filter(|line| line.starts_with("Two")).collect()
}

/// A PING in the name of `uri`, as another process than `swim` asks.
fn foreign_ping(uri: &Uri, process: u64, ts: u64) -> Vec<u8> {
    let mut other = Swim::new(Config::default(), process);
    other.init(uri.clone(), at(ts));
    other.probe(uri, at(ts)).expect("initialized");
    let ping = other.poll_transmit().expect("a PING");
    ping.datagram
}

#[test]
fn a_sender_that_makes_up_a_double_causes_one_line_and_a_datagram_a_period_and_hides_no_suspicion()
{
    let (mut swim, own, peer) = acquainted();
    let mut sent = 0;
    for second in 1..=20 {
        for tick in 0..10 {
            let now = at(second * 1_000_000 + tick);
            let forged = foreign_ping(&own, 7, now.monotonic.0);
            swim.handle_datagram(&forged, ELSEWHERE, now)
                .expect("heard");
            while let Some(transmit) = swim.poll_transmit() {
                assert_eq!(transmit.at, Some(ELSEWHERE));
                assert!(transmit.datagram.len() < forged.len());
                sent += 1;
            }
        }
    }
    assert_eq!(sent, 20);
    let expected =
        "Two processes use the URI own:1: this one, another at 192.0.2.2:3301. Give each its own";
    assert_eq!(warnings(&mut swim), [expected]);
    // What is said of it besides is heard as ever.
    for incarnation in 1..=50 {
        let now = at(21_000_000 + incarnation);
        let rumor = hearsay(&peer, &own, Suspect, incarnation);
        swim.handle_datagram(&rumor, SOMEWHERE, now).expect("heard");
        let claim = swim.member(&own).expect("itself").claim;
        assert_eq!(
            (claim.status, claim.incarnation.get()),
            (Alive, incarnation + 1)
        );
        drain(&mut swim);
    }
}

#[test]
fn that_another_process_has_its_uri_a_member_believes_of_validated_addresses_only() {
    let (mut swim, own, peer) = acquainted();
    let trailer = Trailer {
        duplicates: vec![Duplicate {
            uri: own.clone(),
            one: Some(SOMEWHERE),
            other: Some(ELSEWHERE),
        }],
        ..Trailer::default()
    };
    let told = MessageBuilder::leave(&peer, 1472).trailed_by(&trailer);
    let told = checksummed(told.finish().expect("it fits"));
    swim.handle_datagram(&told, ELSEWHERE, at(1))
        .expect("heard");
    assert_eq!(warnings(&mut swim), [""; 0]);
    swim.handle_datagram(&told, SOMEWHERE, at(2))
        .expect("heard");
    let expected = "Two processes use the URI own:1: one at 192.0.2.1:3301, another at 192.0.2.2:3301. Give each its own";
    assert_eq!(warnings(&mut swim), [expected]);
    drain(&mut swim);
}

#[test]
fn a_ping_is_answered_where_it_came_from_and_a_ping_for_another_where_its_name_leads() {
    let (mut swim, own, peer) = acquainted();
    for source in [SOMEWHERE, ELSEWHERE] {
        swim.handle_datagram(&ping(&peer, &own, 1), source, at(1))
            .expect("heard");
        let answers = drain(&mut swim);
        assert_eq!(answers[0].to, peer);
        assert_eq!(answers[0].at, Some(source));
    }
    // Forwarded by another member: only the name of the asker is known.
    let other = Uri::new("other", 1).expect("a URI");
    let data = ping_data(1, &peer, &own, None);
    let draft = MessageBuilder::with_data(MessageType::Ping, &other, &data, 1472);
    let forwarded = draft.finish().expect("it fits");
    swim.handle_datagram(&forwarded, ELSEWHERE, at(2))
        .expect("heard");
    let answers = drain(&mut swim);
    assert_eq!((&answers[0].to, answers[0].at), (&other, None));
}
