//! What one member makes of its probes: ports that are closed, pings that it forwards, datagrams that do not come.

use swim::config::Config;
use swim::log_event::LogEvent;
use swim::stats::Stats;
use swim::time::{Micros, Now};
use swim::wire::{Extension, Trailer, checksummed, ping_data};

use crate::*;

fn peer(port: u16) -> Uri {
    Uri::new("localhost", port).expect("a URI")
}

/// A probe of `target`, by a member that knows others to relay it.
struct Refused {
    swim: Swim,
    target: Uri,
    ts: u64,
    relays: Vec<Uri>,
    start: Micros,
}

impl Refused {
    /// The port of the target is found closed `times` times.
    fn new(relays: u16, times: usize, seed: u64) -> Self {
        let mut swim = Swim::new(Config::default(), seed);
        swim.init(peer(1), at(0));
        for port in 0..=relays {
            acquaint(&mut swim, &peer(2 + port), at(0));
        }
        // In some periods it probes itself, and hears itself answer.
        loop {
            let now = swim.next_deadline().expect("there are periods");
            swim.handle_timeout(now_at(now));
            while let Some(sent) = swim.poll_transmit() {
                let message = decode(&sent.datagram).expect("its own");
                if sent.to == peer(1) {
                    swim.handle_datagram(&sent.datagram, ELSEWHERE, now_at(now))
                        .expect("its own");
                } else if matches!(message.body, Body::Ping(_)) {
                    return Self::of(swim, &sent, times, now);
                }
            }
        }
    }

    fn of(mut swim: Swim, ping: &Transmit, times: usize, start: Micros) -> Self {
        let asked = decode(&ping.datagram).expect("ours");
        let Body::Ping(data) = asked.body else {
            panic!("not a PING: {asked:?}");
        };
        let (target, ts) = (ping.to.clone(), data.ts.expect("it has one"));
        for _ in 0..times {
            swim.handle_refused(&target, now_at(start));
        }
        let mut relays = Vec::new();
        for sent in drain(&mut swim) {
            let is_ping = matches!(decode(&sent.datagram).expect("ours").body, Body::Ping(_));
            if is_ping && sent.to != target {
                relays.push(sent.to);
            }
        }
        Self {
            swim,
            target,
            ts,
            relays,
            start,
        }
    }

    /// `relay` says that the port of `dst` is closed, to the question asked at `ts`.
    fn nack(&mut self, relay: &Uri, ts: u64, dst: &Uri) {
        let trailer = Trailer {
            note: Some(Extension::Nack {
                ts,
                dst: dst.clone(),
            }),
            ..Trailer::default()
        };
        let nack = MessageBuilder::leave(relay, 1472).trailed_by(&trailer);
        let nack = checksummed(nack.finish().expect("it fits"));
        let now = now_at(self.start);
        self.swim
            .handle_datagram(&nack, SOMEWHERE, now)
            .expect("well formed");
        drain(&mut self.swim);
    }

    fn is_suspect(&self) -> bool {
        let member = self.swim.member(&self.target).expect("known");
        member.claim.status == Suspect
    }

    fn stats(&self) -> &Stats {
        self.swim.stats()
    }
}

#[test]
fn a_refusal_goes_to_the_relays_at_once_and_all_of_them_have_to_confirm_it() {
    story(|seed| {
        let mut probe = Refused::new(3, 1, seed);
        assert_eq!(probe.relays.len(), 3, "asked before the retry is due");
        let (ts, target) = (probe.ts, probe.target.clone());
        let relays = probe.relays.clone();
        assert!(!probe.is_suspect(), "by its own word alone");
        for relay in [&relays[0], &relays[0], &relays[1], &relays[0]] {
            probe.nack(relay, ts, &target);
            assert!(!probe.is_suspect(), "one of the relays says nothing yet");
        }
        probe.nack(&relays[2], ts, &target);
        assert!(probe.is_suspect(), "all of them say so");
        assert_eq!(probe.stats().probes_failed, 1);
    });
}

#[test]
fn a_confirmation_of_another_question_confirms_nothing() {
    story(|seed| {
        let mut probe = Refused::new(3, 1, seed);
        let (ts, target) = (probe.ts, probe.target.clone());
        for relay in probe.relays.clone() {
            probe.nack(&relay, ts + 1, &target);
            probe.nack(&relay, ts, &peer(99));
        }
        assert!(!probe.is_suspect());
    });
}

#[test]
fn relays_alone_do_not_fail_a_probe() {
    story(|seed| {
        let mut probe = Refused::new(3, 0, seed);
        let retry = probe.swim.next_deadline().expect("no answer came");
        probe.swim.handle_timeout(now_at(retry));
        let (ts, target) = (probe.ts, probe.target.clone());
        for port in 2..=5 {
            probe.nack(&peer(port), ts, &target);
        }
        assert!(!probe.is_suspect(), "its own pings were not refused");
    });
}

#[test]
fn without_relays_the_second_refusal_is_enough_and_the_first_is_not() {
    story(|seed| {
        assert!(!Refused::new(0, 1, seed).is_suspect());
        assert!(Refused::new(0, 2, seed).is_suspect());
    });
}

#[test]
fn a_refusal_of_another_member_says_nothing_of_the_target() {
    story(|seed| {
        let mut probe = Refused::new(3, 0, seed);
        for port in 1..=5 {
            if peer(port) != probe.target {
                probe.swim.handle_refused(&peer(port), now_at(probe.start));
                probe.swim.handle_refused(&peer(port), now_at(probe.start));
            }
        }
        assert_eq!(probe.stats().suspicions, 0);
    });
}

#[test]
fn a_relay_tells_only_native_members_that_a_port_is_closed() {
    let mut swim = Swim::new(Config::default(), 1);
    swim.init(peer(1), at(0));
    let (native, legacy, target) = (peer(2), peer(3), peer(4));
    for uri in [&native, &legacy, &target] {
        acquaint(&mut swim, uri, at(0));
    }
    for asker in [&native, &legacy] {
        let data = ping_data(7, asker, &target, None);
        let ping = MessageBuilder::with_data(MessageType::Ping, asker, &data, 1472);
        let trailer = Trailer {
            digest: Some(1),
            ..Trailer::default()
        };
        let ping = if *asker == native {
            checksummed(ping.trailed_by(&trailer).finish().expect("it fits"))
        } else {
            ping.finish().expect("it fits")
        };
        swim.handle_datagram(&ping, SOMEWHERE, at(1))
            .expect("well formed");
    }
    drain(&mut swim);
    swim.handle_refused(&target, at(2));
    let mut told = Vec::new();
    for sent in drain(&mut swim) {
        let message = decode(&sent.datagram).expect("ours");
        let note = message.trailer.and_then(|trailer| trailer.note);
        if let Some(Extension::Nack { ts, dst }) = note {
            assert_eq!((ts, &dst), (7, &target));
            told.push(sent.to);
        }
    }
    assert_eq!(told, [native]);
}

/// A member that forwards pings, and knows so many others.
fn relay(peers: u16) -> Swim {
    let mut swim = Swim::new(Config::default(), 1);
    swim.init(peer(1), at(0));
    for port in 2..2 + peers {
        acquaint(&mut swim, &peer(port), at(0));
    }
    swim
}

/// Runs `swim` until its next protocol period has begun.
fn await_period(swim: &mut Swim) -> Now {
    let before = swim.stats().probes;
    while swim.stats().probes == before {
        let now = now_at(swim.next_deadline().expect("there are periods"));
        swim.handle_timeout(now);
        while let Some(sent) = swim.poll_transmit() {
            if sent.to == peer(1) {
                swim.handle_datagram(&sent.datagram, ELSEWHERE, now)
                    .expect("its own");
            }
        }
    }
    now_at(swim.next_deadline().expect("there are periods"))
}

/// `asker` has `swim` ping `target`, with a question asked at `ts`.
fn ask(swim: &mut Swim, asker: &Uri, target: &Uri, ts: u64, now: Now) -> Vec<Transmit> {
    let data = ping_data(ts, asker, target, None);
    let ping = MessageBuilder::with_data(MessageType::Ping, asker, &data, 1472);
    let ping = ping.finish().expect("it fits");
    swim.handle_datagram(&ping, SOMEWHERE, now)
        .expect("well formed");
    drain(swim)
}

/// `target` answers a question that `asker` has asked at `ts`.
fn acknowledge(swim: &mut Swim, asker: &Uri, target: &Uri, ts: u64, now: Now) -> Vec<Transmit> {
    let data = ack_data(&ping_data(ts, asker, target, None), Micros(1));
    let ack = MessageBuilder::with_data(MessageType::Ack, target, &data, 1472);
    let ack = ack.finish().expect("it fits");
    swim.handle_datagram(&ack, SOMEWHERE, now)
        .expect("well formed");
    drain(swim)
}

#[test]
fn no_member_has_more_than_its_share_of_pings_forwarded_in_a_period() {
    let mut swim = relay(2);
    for period in 1..=3 {
        let now = await_period(&mut swim);
        for ts in 0..100 {
            ask(&mut swim, &peer(2), &peer(3), ts, now);
        }
        assert_eq!(swim.stats().relayed, 32 * period);
        assert_eq!(swim.stats().relays_refused, 68 * period);
    }
    assert_eq!(ask(&mut swim, &peer(3), &peer(2), 7, at(0)).len(), 1);
}

#[test]
fn what_all_members_together_have_forwarded_is_bounded_in_each_period() {
    let askers = 40;
    let mut swim = relay(askers);
    for period in 1..=2 {
        let now = await_period(&mut swim);
        for asker in 3..2 + askers {
            for ts in 0..32 {
                ask(&mut swim, &peer(asker), &peer(2), ts, now);
            }
        }
        assert_eq!(swim.stats().relayed, 1024 * period);
    }
}

#[test]
fn an_answer_is_forwarded_only_if_its_ping_was() {
    let mut swim = relay(3);
    let now = await_period(&mut swim);
    let [asker, target, other] = [2, 3, 4].map(peer);
    assert_eq!(acknowledge(&mut swim, &asker, &target, 7, now).len(), 0);
    ask(&mut swim, &asker, &target, 7, now);
    assert_eq!(acknowledge(&mut swim, &other, &target, 7, now).len(), 0);
    assert_eq!(acknowledge(&mut swim, &asker, &other, 7, now).len(), 0);
    assert_eq!(acknowledge(&mut swim, &asker, &target, 8, now).len(), 0);
    assert_eq!(swim.stats().acks_unsolicited, 4);
    let forwarded = acknowledge(&mut swim, &asker, &target, 7, now);
    assert_eq!(forwarded.len(), 1);
    assert_eq!(forwarded[0].to, asker);
}

#[test]
fn an_answer_is_forwarded_until_the_next_period_ends() {
    let mut swim = relay(2);
    let (asker, target) = (peer(2), peer(3));
    let now = await_period(&mut swim);
    ask(&mut swim, &asker, &target, 7, now);
    let now = await_period(&mut swim);
    assert_eq!(acknowledge(&mut swim, &asker, &target, 7, now).len(), 1);
    let now = await_period(&mut swim);
    assert_eq!(acknowledge(&mut swim, &asker, &target, 7, now).len(), 0);
}

#[test]
fn a_ping_of_its_own_that_comes_back_is_not_forwarded() {
    let mut swim = relay(1);
    let now = await_period(&mut swim);
    let data = ping_data(7, &peer(1), &peer(2), None);
    let ping = MessageBuilder::with_data(MessageType::Ping, &peer(1), &data, 1472);
    let ping = ping.finish().expect("it fits");
    swim.handle_datagram(&ping, SOMEWHERE, now)
        .expect("well formed");
    let stats = swim.stats();
    assert_eq!((stats.relayed, stats.relays_refused), (0, 0));
}

/// Runs `swim` until one more probe has failed. In each period a datagram of `heard` comes.
fn await_failure(swim: &mut Swim, heard: Option<&Uri>) {
    let before = swim.stats().probes_failed;
    while swim.stats().probes_failed == before {
        await_period(swim);
        if let Some(sender) = heard {
            let now = now_at(swim.next_deadline().expect("there are periods"));
            let rumor = hearsay(sender, sender, Alive, 1);
            swim.handle_datagram(&rumor, SOMEWHERE, now)
                .expect("well formed");
        }
    }
}

#[test]
fn a_member_is_isolated_after_two_failed_probes_without_any_datagram_and_not_before() {
    let mut swim = relay(20);
    for _ in 0..4 {
        await_failure(&mut swim, Some(&peer(2)));
        assert_eq!(swim.stats().isolations, 0, "it receives datagrams");
    }
    // A datagram came during the probe that is running now.
    await_failure(&mut swim, None);
    await_failure(&mut swim, None);
    assert_eq!(swim.stats().isolations, 0, "one probe without any");
    assert!(!swim.gauges().isolated);
    await_failure(&mut swim, None);
    assert_eq!(swim.stats().isolations, 1, "two of them");
    assert!(swim.gauges().isolated);
    await_failure(&mut swim, Some(&peer(2)));
    assert!(!swim.gauges().isolated);
}

#[test]
fn each_retry_asks_other_members_while_there_are_any() {
    story(|seed| {
        let mut probe = Refused::new(9, 0, seed);
        let mut asked = Vec::new();
        while asked.len() < 9 {
            let retry = probe.swim.next_deadline().expect("no answer came");
            probe.swim.handle_timeout(now_at(retry));
            for sent in drain(&mut probe.swim) {
                let message = decode(&sent.datagram).expect("its own");
                if matches!(message.body, Body::Ping(_)) && sent.to != probe.target {
                    assert!(!asked.contains(&sent.to), "{} twice", sent.to);
                    asked.push(sent.to);
                }
            }
        }
    });
}

#[test]
fn a_sender_that_is_not_validated_is_pinged_once_for_requests_that_come_together() {
    let mut swim = relay(0);
    let stranger = peer(9);
    let mut pings = 0;
    for _ in 0..5 {
        let request = MessageBuilder::sync(MessageType::SyncReq, &stranger, 1472);
        let request = request.finish().expect("it fits");
        swim.handle_datagram(&request, SOMEWHERE, at(1))
            .expect("well formed");
        for sent in drain(&mut swim) {
            let message = decode(&sent.datagram).expect("its own");
            pings += usize::from(matches!(message.body, Body::Ping(_)));
        }
    }
    assert_eq!(pings, 1);
}

#[test]
fn a_legacy_member_is_not_told_about_itself_by_a_table() {
    let mut swim = relay(3);
    let asker = peer(2);
    let request = MessageBuilder::sync(MessageType::SyncReq, &asker, 1472);
    let request = request.finish().expect("it fits");
    swim.handle_datagram(&request, SOMEWHERE, at(1))
        .expect("well formed");
    let mut told = Vec::new();
    for sent in drain(&mut swim) {
        let message = decode(&sent.datagram).expect("its own");
        if let Body::SyncAck(records) = message.body {
            for record in records {
                told.push(record.uri.to_uri().to_string());
            }
        }
    }
    told.sort();
    assert_eq!(told, ["localhost:1", "localhost:3", "localhost:4"]);
}

/// Runs `swim` until it pings `target`. Returns the ping, and when it is sent.
fn await_ping(swim: &mut Swim, target: &Uri) -> (Transmit, Micros) {
    loop {
        let now = swim.next_deadline().expect("there are periods");
        swim.handle_timeout(now_at(now));
        for sent in drain(swim) {
            let message = decode(&sent.datagram).expect("its own");
            if matches!(message.body, Body::Ping(_)) && sent.to == *target {
                return (sent, now);
            }
            if sent.to == peer(1) {
                swim.handle_datagram(&sent.datagram, ELSEWHERE, now_at(now))
                    .expect("its own");
            }
        }
    }
}

#[test]
fn the_answer_to_a_probe_shows_the_clock_of_the_member_be_it_live_or_dead() {
    for status in [Alive, Dead] {
        let mut swim = relay(1);
        let target = peer(2);
        swim.generate(&target, status, None, None, at(0));
        drain(&mut swim);
        let (ping, asked) = await_ping(&mut swim, &target);
        let Body::Ping(question) = decode(&ping.datagram).expect("its own").body else {
            panic!("not a PING");
        };
        let answered = asked + Duration::from_millis(100);
        // Its clock is 5 s ahead. It has read it when half of the time was over.
        let middle = now_at(asked + Duration::from_millis(50)).wall;
        let data = ack_data(question.raw, middle + seconds(5));
        let ack = MessageBuilder::with_data(MessageType::Ack, &target, &data, 1472);
        swim.handle_datagram(&ack.finish().expect("it fits"), SOMEWHERE, now_at(answered))
            .expect("well formed");
        let member = swim.member(&target).expect("known");
        assert_eq!(member.clock_delta, Some(5_000_000.0), "{status}");
    }
}

#[test]
fn a_member_that_takes_another_uri_gives_the_member_that_it_probes_its_time() {
    let mut swim = relay(1);
    let (_ping, asked) = await_ping(&mut swim, &peer(2));
    swim.init(peer(9), now_at(asked));
    while let Some(now) = swim.next_deadline()
        && now < asked + PERIOD
    {
        swim.handle_timeout(now_at(now));
        drain(&mut swim);
    }
    assert_eq!(swim.stats().probes_failed, 0);
}

#[test]
fn a_member_that_knows_one_other_does_not_take_itself_to_be_isolated() {
    let mut swim = relay(1);
    for _ in 0..3 {
        await_failure(&mut swim, None);
        assert_eq!(swim.stats().isolations, 0);
    }
}

/// Runs `swim` until it suspects `target`. Returns whether the log says so.
fn suspicion_is_logged(swim: &mut Swim, target: &Uri) -> bool {
    let mut logged = false;
    while swim.member(target).expect("known").claim.status == Alive {
        let now = now_at(swim.next_deadline().expect("there are periods"));
        swim.handle_timeout(now);
        while let Some(event) = swim.poll_report() {
            logged |= matches!(&event, LogEvent::Suspected { uri, .. } if uri == target);
        }
        while let Some(sent) = swim.poll_transmit() {
            if sent.to == peer(1) {
                swim.handle_datagram(&sent.datagram, ELSEWHERE, now)
                    .expect("its own");
            }
        }
    }
    logged
}

#[test]
fn the_log_does_not_mention_a_suspicion_of_a_member_that_may_be_about_to_start() {
    let mut swim = relay(1);
    swim.add_member(peer(3), at(0));
    assert!(!suspicion_is_logged(&mut swim, &peer(3)), "just added");
    let mut swim = relay(1);
    assert!(suspicion_is_logged(&mut swim, &peer(2)), "it was there");
}
