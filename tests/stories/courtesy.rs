//! What strangers can have sent to addresses of their choice: so much and no more, whatever they ask
//! for and whoever they say they are.

use membership::swim::config::Config;
use membership::swim::time::{Micros, Now};
use membership::swim::wire::{Body, ack_data, decode, ping_data};

use crate::*;

/// What is promised: 1 MiB at once after a quiet time, 256 KiB a second then.
const BURST: usize = 1 << 20;
const RATE: usize = 256 << 10;

/// What is sent unasked every second to members, whoever they are: the pings of a probe without an
/// answer, and what is new to three of them, every 10 ms at most.
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

/// One who takes part since long ago, and knows nobody.
fn listener() -> Swim {
    let mut swim = Swim::new(Config::default(), 1);
    swim.init(own(), at(0));
    swim.handle_timeout(at(0));
    sent_to(&mut swim, "nobody");
    swim
}

/// How many bytes `swim` has to send to this host.
fn sent_to(swim: &mut Swim, host: &str) -> usize {
    while swim.poll_report().is_some() {}
    let datagrams = std::iter::from_fn(|| swim.poll_transmit());
    let there = datagrams.filter(|transmit| transmit.to.host() == host);
    there.map(|transmit| transmit.datagram.len()).sum()
}

fn alive(uri: &Uri, draft: &mut Draft) {
    assert!(draft.event(uri, Claim::alive(Incarnation::FIRST), None, 0));
}

fn ping(from: &Uri, dst: &Uri, ts: u64) -> Vec<u8> {
    let draft = Draft::with_data(Kind::Ping, from, &ping_data(ts, from, dst), 1472);
    draft.finish().expect("it fits")
}

/// What somebody sends who wants as much as possible to be sent to `victim`.
fn lure(kind: u64, victim: &Uri, ts: u64) -> Vec<u8> {
    match kind {
        0 => ping(victim, &own(), ts),
        1 => {
            let data = ping_data(ts, victim, &own());
            let mut draft = Draft::with_data(Kind::Ping, victim, &data, 1472);
            alive(victim, &mut draft);
            draft.finish().expect("it fits")
        }
        2 => ping(&name("asker", victim.port()), victim, ts),
        3 => {
            let draft = Draft::sync(Kind::SyncReq, victim, 1472);
            draft.finish().expect("it fits")
        }
        _ => hearsay(victim, &own(), Dead, ts),
    }
}

/// Has `swim` lured for so many seconds, and says how much it has sent to `victim`.
fn flood(swim: &mut Swim, begin: u64, seconds: u64, kinds: std::ops::Range<u64>) -> usize {
    let (mut sent, step) = (0, 50);
    for number in 0..seconds * SECOND / step {
        let now = at(begin + number * step);
        let victim = name("victim", 1 + (number % 60_000) as u16);
        let kind = kinds.start + number % (kinds.end - kinds.start);
        let _refused = swim.handle_datagram(&lure(kind, &victim, 1 + number), now);
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
fn whatever_strangers_ask_for_no_more_is_sent_than_promised() {
    for kinds in [0..1, 1..2, 2..3, 3..4, 4..5, 0..5] {
        let mut swim = listener();
        let crowd = (1..=2000).map(|port| name("somebody", port));
        for uri in crowd {
            let rumor = hearsay(&name("somebody", 9), &uri, Alive, 1);
            swim.handle_datagram(&rumor, at(1)).expect("well formed");
            sent_to(&mut swim, "victim");
        }
        let sent = flood(&mut swim, 0, 10, kinds.clone());
        let members = if kinds.contains(&1) { UNASKED } else { 0 };
        let most = BURST + 10 * (RATE + members) + 1472;
        assert!(
            sent <= most,
            "{kinds:?}: {sent} bytes, and {most} are promised"
        );
        // Pings for others have a bound of their own, below this one.
        let declined = swim.stats().declined > 0;
        assert!(declined || kinds == (2..3), "{kinds:?}: {sent} bytes");
        swim.audit().expect("sound");
    }
}

#[test]
fn those_who_are_called_dead_all_at_once_are_not_all_told() {
    let mut swim = listener();
    for port in 1..=30_000 {
        let victim = name("victim", port);
        let rumor = hearsay(&own(), &victim, Suspect, 1);
        swim.handle_datagram(&rumor, at(1)).expect("well formed");
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
fn a_stranger_gets_the_table_and_an_answer_without_news() {
    let mut swim = listener();
    for port in 1..=40 {
        let rumor = hearsay(&name("somebody", 1), &name("somebody", port), Alive, 1);
        swim.handle_datagram(&rumor, at(1)).expect("well formed");
    }
    sent_to(&mut swim, "asker");
    let asker = name("asker", 1);
    let question = Draft::sync(Kind::SyncReq, &asker, 1472).finish();
    swim.handle_datagram(&question.expect("it fits"), at(2))
        .expect("well formed");
    let answer = swim.poll_transmit().expect("an answer");
    let table = decode(&answer.datagram).expect("ours");
    let Body::SyncAck(records) = table.body else {
        panic!("{table:?}");
    };
    assert_eq!((answer.to, records.len()), (asker.clone(), 41));
    let question = ping(&asker, &own(), 7);
    swim.handle_datagram(&question, at(3)).expect("well formed");
    let answer = swim.poll_transmit().expect("an ACK");
    assert!(answer.datagram.len() < 2 * question.len(), "{answer:?}");
    assert_eq!(swim.members().len(), 41, "who only asks is no member");
}

#[test]
fn one_who_says_that_he_is_a_member_is_a_stranger_until_he_has_answered() {
    for answers in [false, true] {
        let mut swim = listener();
        let joiner = name("joiner", 1);
        let hello = hearsay(&joiner, &joiner, Alive, 1);
        swim.handle_datagram(&hello, at(1)).expect("well formed");
        sent_to(&mut swim, "joiner");
        if answers {
            let ticket = swim.probe(&joiner, at(SECOND)).expect("initialized");
            let asked = swim.poll_transmit().expect("a ping");
            let asked = decode(&asked.datagram).expect("ours");
            let Body::Ping(echo) = asked.body else {
                panic!("{asked:?}");
            };
            let data = ack_data(echo.raw, at(SECOND).wall);
            let answer = Draft::with_data(Kind::Ack, &joiner, &data, 1472);
            let answer = answer.finish().expect("it fits");
            swim.handle_datagram(&answer, at(SECOND + 1))
                .expect("well formed");
            assert_eq!(swim.outcome(ticket), Outcome::Answered);
        }
        flood(&mut swim, 2 * SECOND, 1, 0..1);
        let question = ping(&joiner, &own(), 7);
        swim.handle_datagram(&question, at(3 * SECOND))
            .expect("well formed");
        assert_eq!(sent_to(&mut swim, "joiner") > 0, answers);
    }
}

#[test]
fn members_stay_alive_and_hear_news_while_one_of_them_is_flooded() {
    for seed in 0..3 {
        let mut world = World::of(4, seed);
        world.run(round(4));
        world.onlooker.count_anew([]);
        for number in 0..20_000 {
            for ts in 4 * number..4 * number + 4 {
                let stranger = name("victim", 1 + (ts % 60_000) as u16);
                let question = ping(&stranger, &uri(&world, B), 1 + ts);
                world.inject(A, B, &question);
            }
            world.run(Duration::from_micros(500));
            if number % 4000 == 0 {
                world.set_payload(B, number);
                let known = |world: &World| world.everyone_has(B, number);
                assert!(world.run_until(MOMENT, known).is_some());
            }
        }
        assert!(swim(&world, B).stats().declined > 0);
        assert!(world.onlooker.wronged.is_empty() && world.onlooker.buried.is_empty());
        // The bucket fills again.
        world.run(seconds(5));
        let joiner = world.add();
        world.start(joiner);
        world.introduce(joiner, B);
        let met = |world: &World| world.everyone_sees(joiner, Alive);
        assert!(world.run_until(MOMENT, met).is_some());
    }
}
