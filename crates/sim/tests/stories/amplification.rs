//! A sender that is not authenticated can have only a bounded amount sent to addresses of its choice,
//! whatever it asks for, and whatever URI it claims.

use swim::config::Config;
use swim::time::{Micros, Now};
use swim::wire::{Body, Event, Extension, Trailer, ack_data, checksummed, decode, ping_data};

use crate::*;

/// The limit: 1 MiB at once after a quiet time, then 256 KiB a second.
const BURST: usize = 1 << 20;
const RATE: usize = 256 << 10;

/// What is sent to members in a second without any request: the pings of a probe without an answer, and
/// news to three of them, every 10 ms at most.
const UNASKED: usize = (1 + 80 + 300) * 1472;

const SECOND: u64 = 1_000_000;

const fn at(micros: u64) -> Now {
    Now {
        monotonic: Micros(1_000_000 * SECOND + micros),
        wall: Micros(1_795_372_926_000_000 + micros),
    }
}

fn name(host: &str, port: u16) -> Uri {
    Uri::new(host, port).expect("a URI")
}

fn own() -> Uri {
    name("own", 1)
}

/// A member that has taken part for long, and knows no other.
fn listener() -> Swim {
    let mut swim = Swim::new(Config::default(), 1);
    swim.init(own(), at(0));
    swim.handle_timeout(at(0));
    sent_to(&mut swim, "none");
    swim
}

/// Drains the outputs. Returns how many bytes go to this host.
fn sent_to(swim: &mut Swim, host: &str) -> usize {
    while swim.poll_report().is_some() {}
    let datagrams = std::iter::from_fn(|| swim.poll_transmit());
    let there = datagrams.filter(|transmit| transmit.to.host() == host);
    there.map(|transmit| transmit.datagram.len()).sum()
}

fn alive(uri: &Uri, draft: &mut MessageBuilder) {
    assert!(draft.event(uri, Claim::alive(Incarnation::FIRST), None, 0));
}

/// A datagram that is to have as much as possible sent to `victim`.
fn lure(kind: u64, victim: &Uri, ts: u64) -> Vec<u8> {
    match kind {
        0 => ping(victim, &own(), ts),
        1 => {
            let data = ping_data(ts, victim, &own(), None);
            let mut draft = MessageBuilder::with_data(MessageType::Ping, victim, &data, 1472);
            alive(victim, &mut draft);
            draft.finish().expect("it fits")
        }
        2 => ping(&name("asker", victim.port()), victim, ts),
        3 => {
            let draft = MessageBuilder::sync(MessageType::SyncReq, victim, 1472);
            draft.finish().expect("it fits")
        }
        _ => hearsay(victim, &own(), Dead, ts),
    }
}

/// Sends such datagrams for some seconds. Returns how many bytes were sent to `victim`.
fn flood(swim: &mut Swim, begin: u64, seconds: u64, kinds: std::ops::Range<u64>) -> usize {
    let (mut sent, step) = (0, 50);
    for number in 0..seconds * SECOND / step {
        let now = at(begin + number * step);
        let victim = name("victim", 1 + (number % 60_000) as u16);
        let kind = kinds.start + number % (kinds.end - kinds.start);
        let _refused = swim.handle_datagram(&lure(kind, &victim, 1 + number), SOMEWHERE, now);
        if swim
            .next_deadline()
            .is_some_and(|deadline| deadline <= now.monotonic)
        {
            swim.handle_timeout(now);
        }
        sent += sent_to(swim, "victim");
    }
    sent
}

#[test]
fn datagrams_to_unvalidated_addresses_stay_within_the_limit_for_every_kind_of_request() {
    for kinds in [0..1, 1..2, 2..3, 3..4, 4..5, 0..5] {
        let mut swim = listener();
        let crowd = (1..=2000).map(|port| name("crowd", port));
        for uri in crowd {
            let rumor = hearsay(&name("crowd", 9), &uri, Alive, 1);
            swim.handle_datagram(&rumor, SOMEWHERE, at(1))
                .expect("well formed");
            sent_to(&mut swim, "victim");
        }
        let sent = flood(&mut swim, 0, 10, kinds.clone());
        let members = if kinds.contains(&1) { UNASKED } else { 0 };
        let most = BURST + 10 * (RATE + members) + 1472;
        assert!(
            sent <= most,
            "{kinds:?}: {sent} bytes, and the limit is {most}"
        );
        // Pings for others have a bound of their own, below this one.
        let declined = swim.stats().amplification_limited > 0;
        assert!(declined || kinds == (2..3), "{kinds:?}: {sent} bytes");
        swim.audit().expect("sound");
    }
}

/// Headers of IPv4 and UDP.
const HEADERS: usize = 28;

/// A listener with a table and a payload that are worth reflecting.
fn rich_listener() -> Swim {
    let mut swim = listener();
    let payload = [&b"\x91\xda\x03\xe8"[..], &[b'x'; 1000]].concat();
    swim.set_payload(&payload, at(0)).expect("it fits");
    acquaint(&mut swim, &name("friend", 1), at(0));
    for port in 1..=100 {
        let rumor = hearsay(&name("friend", 1), &name("member", port), Alive, 1);
        swim.handle_datagram(&rumor, SOMEWHERE, at(0))
            .expect("well formed");
    }
    while swim.poll_transmit().is_some() {}
    swim
}

/// A LEAVE of this sender that says nothing but this.
fn extension(sender: &Uri, note: Extension) -> Vec<u8> {
    let trailer = Trailer {
        note: Some(note),
        ..Trailer::default()
    };
    let draft = MessageBuilder::leave(sender, 1472).trailed_by(&trailer);
    checksummed(draft.finish().expect("it fits"))
}

#[test]
fn an_unvalidated_address_gets_at_most_three_times_what_came_from_it_and_no_other_address_any() {
    for victim in [name("victim", 1), name("member", 7), name("friend", 1)] {
        let extensions = [
            Extension::Compare(vec![1; 8]),
            Extension::HistorySince(Some(0)),
        ];
        let extensions = extensions.map(|note| extension(&victim, note));
        let lures = (0..5).map(|kind| lure(kind, &victim, 7));
        for lure in lures.chain(extensions) {
            let mut swim = rich_listener();
            swim.handle_datagram(&lure, ELSEWHERE, at(1))
                .expect("well formed");
            let sent: Vec<_> = std::iter::from_fn(|| swim.poll_transmit()).collect();
            let asker = decode(&lure).expect("well formed").sender;
            assert!(sent.iter().all(|sent| *sent.to == *asker), "{sent:?}");
            let bytes = sent.iter().map(|sent| sent.datagram.len() + HEADERS);
            assert!(
                bytes.sum::<usize>() <= 3 * (lure.len() + HEADERS),
                "{sent:?}"
            );
        }
    }
}

#[test]
fn a_request_is_served_once_its_sender_has_answered_from_the_same_address() {
    let asker = name("asker", 1);
    let compare = extension(&asker, Extension::Compare(vec![1; 8]));
    let history = extension(&asker, Extension::HistorySince(Some(0)));
    let requests = [
        (Some(compare), "asker"),
        (Some(history), "asker"),
        (
            MessageBuilder::sync(MessageType::SyncReq, &asker, 1472).finish(),
            "asker",
        ),
        (Some(ping(&asker, &own(), 7)), "asker"),
        (Some(ping(&asker, &name("member", 3), 7)), "member"),
    ];
    for (request, recipient) in requests {
        let request = request.expect("it fits");
        for from in [SOMEWHERE, ELSEWHERE] {
            let mut swim = rich_listener();
            swim.handle_datagram(&request, SOMEWHERE, at(1))
                .expect("well formed");
            let asked = swim.poll_transmit().expect("a ping");
            assert_eq!(swim.poll_transmit(), None, "it waits");
            swim.handle_datagram(&answer(&asked), from, at(1000))
                .expect("well formed");
            let served = std::iter::from_fn(|| swim.poll_transmit());
            let served: usize = served
                .filter(|sent| sent.to.host() == recipient)
                .map(|sent| sent.datagram.len())
                .sum();
            assert_eq!(served > 0, from == SOMEWHERE, "{request:x?}");
        }
    }
}

#[test]
fn a_member_cannot_answer_for_another() {
    let mut swim = listener();
    let (victim, attacker) = (name("victim", 1), name("attacker", 1));
    for uri in [&victim, &attacker] {
        swim.handle_datagram(&hearsay(uri, uri, Alive, 1), ELSEWHERE, at(1))
            .expect("well formed");
    }
    let pings: Vec<_> = std::iter::from_fn(|| swim.poll_transmit()).collect();
    let [to_victim, to_attacker] = [&victim, &attacker].map(|uri| {
        let found = pings.iter().find(|ping| ping.to == *uri);
        found.expect("it is pinged").clone()
    });
    // The attacker answers its ping in the name of the victim: as sender, and as recipient.
    let misnamed = Transmit {
        to: victim.clone(),
        ..to_attacker.clone()
    };
    let Body::Ping(echo) = decode(&to_victim.datagram).expect("it is native").body else {
        panic!("not a ping");
    };
    let guessed = ping_data(echo.ts.expect("a time"), &own(), &victim, Some(7));
    let guessed = MessageBuilder::with_data(MessageType::Ack, &victim, &guessed, 1472).finish();
    for forged in [answer(&misnamed), guessed.expect("it fits")] {
        swim.handle_datagram(&forged, ELSEWHERE, at(2))
            .expect("well formed");
    }
    let request = MessageBuilder::sync(MessageType::SyncReq, &victim, 1472).finish();
    swim.handle_datagram(&request.expect("it fits"), ELSEWHERE, at(200_000))
        .expect("well formed");
    let sent: Vec<_> = std::iter::from_fn(|| swim.poll_transmit()).collect();
    for sent in sent {
        let message = decode(&sent.datagram).expect("it is native");
        assert!(!matches!(message.body, Body::SyncAck(_)), "{message:?}");
    }
    assert!(
        swim.member(&victim)
            .is_some_and(|member| member.clock_delta.is_none())
    );
}

#[test]
fn an_answered_probe_has_given_both_sides_the_newest_payload() {
    story(|seed| {
        let mut world = World::of(6, seed);
        world.run(round(6));
        for number in 1..=20 {
            world.set_payload(A, number);
            world.set_payload(B, 100 + number);
            let dst = uri(&world, B);
            let probe = world.act(A, "probes", |engine, now| {
                let swim = engine.swim_mut().expect("it is native");
                swim.probe(&dst, now).expect("initialized")
            });
            let ticket = probe.expect("it runs");
            let answered = |world: &World| swim(world, A).outcome(ticket) == PingOutcome::Answered;
            assert!(world.run_until(MOMENT, answered).is_some());
            assert_eq!(world.payload(A, B), Some(100 + number));
            assert_eq!(world.payload(B, A), Some(number));
        }
    });
}

#[test]
fn a_suspicion_in_a_ping_is_refuted_in_the_answer() {
    story(|seed| {
        let mut world = World::of(6, seed);
        world.run(round(6));
        let doubt = hearsay(&uri(&world, C), &uri(&world, B), Suspect, 1);
        world.inject(C, A, &doubt);
        let (to, from) = (uri(&world, B), uri(&world, A));
        let claim = world.claim(A, &to).expect("known");
        assert_eq!(claim.status, Suspect);
        let mut told = MessageBuilder::with_data(
            MessageType::Ping,
            &from,
            &ping_data(7, &from, &to, None),
            1472,
        );
        assert!(told.event(&to, claim, None, 0));
        let heard = world.act(B, "hears", |engine, now| {
            let swim = engine.swim_mut().expect("it is native");
            swim.handle_datagram(&told.finish().expect("it fits"), A.address(), now)
                .expect("well formed");
            swim.poll_transmit().expect("an ACK")
        });
        let ack = heard.expect("it runs");
        let message = decode(&ack.datagram).expect("it is native");
        assert!(matches!(message.body, Body::Ack(_)));
        let refutes = |event: &&Event<'_>| *event.uri == *to && event.claim.status == Alive;
        let refutation = message.events.iter().find(refutes).expect("a refutation");
        assert_eq!(refutation.claim.incarnation.get(), 2);
    });
}

#[test]
fn members_that_die_all_at_once_are_not_all_sent_the_news() {
    let mut swim = listener();
    for port in 1..=30_000 {
        let victim = name("victim", port);
        let rumor = hearsay(&name("attacker", 1), &victim, Suspect, 1);
        swim.handle_datagram(&rumor, SOMEWHERE, at(1))
            .expect("well formed");
        sent_to(&mut swim, "victim");
    }
    let mut sent = 0;
    for tick in 0..4000 {
        swim.handle_timeout(at(tick * SECOND / 1000));
        sent += sent_to(&mut swim, "victim");
    }
    assert_eq!(swim.members().count(Dead), 30_000);
    assert!(sent <= BURST + 4 * (RATE + UNASKED), "{sent}");
}

#[test]
fn a_validated_stranger_gets_the_table_and_an_answer_without_gossip() {
    let mut swim = listener();
    for port in 1..=40 {
        let rumor = hearsay(&name("crowd", 1), &name("crowd", port), Alive, 1);
        swim.handle_datagram(&rumor, SOMEWHERE, at(1))
            .expect("well formed");
    }
    sent_to(&mut swim, "asker");
    let asker = name("asker", 1);
    let question = MessageBuilder::sync(MessageType::SyncReq, &asker, 1472).finish();
    swim.handle_datagram(&question.expect("it fits"), SOMEWHERE, at(2))
        .expect("well formed");
    let asked = swim.poll_transmit().expect("a ping");
    assert!(swim.poll_transmit().is_none(), "not before it has answered");
    swim.handle_datagram(&answer(&asked), SOMEWHERE, at(2))
        .expect("well formed");
    let told = swim.poll_transmit().expect("an answer");
    let table = decode(&told.datagram).expect("it is native");
    let Body::SyncAck(records) = table.body else {
        panic!("{table:?}");
    };
    assert_eq!((told.to, records.len()), (asker.clone(), 41));
    let question = ping(&asker, &own(), 7);
    swim.handle_datagram(&question, SOMEWHERE, at(3))
        .expect("well formed");
    let told = swim.poll_transmit().expect("an ACK");
    assert!(told.datagram.len() < 2 * question.len(), "{told:?}");
    assert_eq!(
        swim.members().len(),
        41,
        "a peer that only asks is no member"
    );
}

#[test]
fn a_member_is_limited_like_a_stranger_until_it_has_answered() {
    for answers in [false, true] {
        let mut swim = listener();
        let joiner = name("joiner", 1);
        let hello = hearsay(&joiner, &joiner, Alive, 1);
        swim.handle_datagram(&hello, SOMEWHERE, at(1))
            .expect("well formed");
        sent_to(&mut swim, "joiner");
        if answers {
            let ticket = swim.probe(&joiner, at(SECOND)).expect("initialized");
            let asked = swim.poll_transmit().expect("a ping");
            let asked = decode(&asked.datagram).expect("it is native");
            let Body::Ping(echo) = asked.body else {
                panic!("{asked:?}");
            };
            let data = ack_data(echo.raw, at(SECOND).wall);
            let answer = MessageBuilder::with_data(MessageType::Ack, &joiner, &data, 1472);
            let answer = answer.finish().expect("it fits");
            swim.handle_datagram(&answer, SOMEWHERE, at(SECOND + 1))
                .expect("well formed");
            assert_eq!(swim.outcome(ticket), PingOutcome::Answered);
        }
        flood(&mut swim, 2 * SECOND, 1, 0..1);
        let question = ping(&joiner, &own(), 7);
        swim.handle_datagram(&question, SOMEWHERE, at(3 * SECOND))
            .expect("well formed");
        assert_eq!(sent_to(&mut swim, "joiner") > 0, answers);
    }
}

#[test]
fn members_stay_alive_and_get_news_while_one_of_them_is_flooded() {
    for seed in 0..3 {
        let mut world = World::of(4, seed);
        world.run(round(4));
        world.observer.reset([]);
        for number in 0..20_000 {
            for ts in 4 * number..4 * number + 4 {
                let stranger = name("victim", 1 + (ts % 60_000) as u16);
                let question = ping(&stranger, &uri(&world, B), 1 + ts);
                world.inject(A, B, &question);
            }
            world.run(Duration::from_micros(500));
            if number % 4000 == 0 {
                world.set_payload(B, number);
                let known = |world: &World| world.all_have(B, number);
                assert!(world.run_until(MOMENT, known).is_some());
            }
        }
        assert!(swim(&world, B).stats().amplification_limited > 0);
        assert!(
            world.observer.false_suspicions.is_empty() && world.observer.false_deaths.is_empty()
        );
        // The bucket fills again.
        world.run(seconds(5));
        let joiner = world.add();
        world.start(joiner);
        world.introduce(joiner, B);
        let met = |world: &World| world.all_see(joiner, Alive);
        assert!(world.run_until(MOMENT, met).is_some());
    }
}
