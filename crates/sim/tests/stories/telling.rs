//! What a member tells of itself and of others with what it sends, and to which members.

use swim::config::Config;
use swim::wire::{Event, Extension, Trailer, checksummed};

use crate::*;

fn peer(port: u16) -> Uri {
    Uri::new("a", port).expect("a URI")
}

/// A PING of a native member that shows this digest of its table.
fn native_ping(from: &Uri, dst: &Uri, ts: u64, digest: u64) -> Vec<u8> {
    let data = ping_data(ts, from, dst, None);
    let trailer = Trailer {
        digest: Some(digest),
        ..Trailer::default()
    };
    let draft = MessageBuilder::with_data(MessageType::Ping, from, &data, 1472);
    checksummed(draft.trailed_by(&trailer).finish().expect("it fits"))
}

/// Whether `swim` answers the second ping of a native peer with what it says of itself.
fn tells_of_itself(digest: impl Fn(u64) -> u64) -> bool {
    let (mut swim, peer) = (listener(), peer(1));
    acquaint(&mut swim, &peer, at(0));
    let myself = swim.myself().expect("it takes part").clone();
    let shown = digest(swim.members().digest().total());
    let mut told = None;
    // The first one shows what the peer is.
    for ts in [1, 2] {
        let ping = native_ping(&peer, &myself, ts, shown);
        swim.handle_datagram(&ping, SOMEWHERE, at(ts))
            .expect("well formed");
        for sent in drain(&mut swim) {
            let message = decode(&sent.datagram).expect("its own");
            if matches!(message.body, Body::Ack(_)) {
                told = Some(message.events.iter().any(|it| *it.uri == *myself));
            }
        }
    }
    told.expect("answered")
}

#[test]
fn a_native_peer_is_told_of_the_member_that_it_pings_unless_their_tables_are_the_same() {
    assert!(tells_of_itself(|own| own ^ 1));
    assert!(!tells_of_itself(|own| own));
}

#[test]
fn a_member_that_is_alone_does_not_wake_up_again_and_again_to_tell_its_news() {
    let mut swim = Swim::new(Config::default(), 1);
    swim.init(peer(1), at(0));
    let mut wakeups = 0;
    while let Some(now) = swim.next_deadline()
        && now < Micros(900_000)
    {
        swim.handle_timeout(now_at(now));
        for sent in drain(&mut swim) {
            assert_eq!(sent.to, peer(1), "it knows no other");
            swim.handle_datagram(&sent.datagram, ELSEWHERE, now_at(now))
                .expect("its own");
        }
        wakeups += 1;
    }
    assert!(wakeups < 5, "{wakeups}");
}

#[test]
fn news_is_not_pushed_to_a_member_whose_table_is_the_same() {
    for agrees in [true, false] {
        let (mut swim, peer) = (listener(), peer(1));
        acquaint(&mut swim, &peer, at(0));
        let myself = swim.myself().expect("it takes part").clone();
        swim.set_payload(&payload(7), at(1)).expect("it fits");
        let own = swim.members().digest().total();
        let shown = if agrees { own } else { own ^ 1 };
        let ping = native_ping(&peer, &myself, 1, shown);
        swim.handle_datagram(&ping, SOMEWHERE, at(1))
            .expect("well formed");
        drain(&mut swim);
        let mut pushes = 0;
        while let Some(now) = swim.next_deadline()
            && now < Micros(500_000)
        {
            swim.handle_timeout(now_at(now));
            for sent in drain(&mut swim) {
                let message = decode(&sent.datagram).expect("its own");
                pushes += usize::from(matches!(message.body, Body::Leave) && sent.to == peer);
            }
        }
        assert_eq!(pushes == 0, agrees, "{pushes}");
    }
}

/// Runs `swim`, whose pings are all answered, until it sends its table. Returns when that is.
fn await_sync(swim: &mut Swim) -> Micros {
    loop {
        let now = swim.next_deadline().expect("there are periods");
        swim.handle_timeout(now_at(now));
        let mut is_sync = false;
        for sent in drain(swim) {
            let message = decode(&sent.datagram).expect("its own");
            match message.body {
                // Any that answers is of membership 2.x.
                Body::SyncReq(_) => is_sync = true,
                Body::Ping(_) if Some(&sent.to) == swim.myself() => {
                    // It answers itself, as no other process could.
                    swim.handle_datagram(&sent.datagram, SOMEWHERE, now_at(now))
                        .expect("well formed");
                    for own in drain(swim) {
                        swim.handle_datagram(&own.datagram, SOMEWHERE, now_at(now))
                            .expect("well formed");
                    }
                }
                Body::Ping(_) => {
                    swim.handle_datagram(&answer(&sent), SOMEWHERE, now_at(now))
                        .expect("well formed");
                }
                _ => {}
            }
        }
        if is_sync {
            return now;
        }
    }
}

/// The answer of `sender`, a peer on membership 2.x, that knows this of `subject`.
fn table(sender: &Uri, subject: &Uri, status: Status, incarnation: u64) -> Vec<u8> {
    let incarnation = Incarnation::from_wire(incarnation).expect("admissible");
    let claim = Claim {
        incarnation,
        status,
    };
    let mut draft = MessageBuilder::sync(MessageType::SyncAck, sender, 1472);
    assert!(draft.record(subject, claim, None));
    draft.finish().expect("it fits")
}

#[test]
fn tables_are_compared_again_in_a_period_if_that_has_brought_news_and_later_if_not() {
    let (mut swim, partner) = (listener(), peer(1));
    acquaint(&mut swim, &partner, at(0));
    let mut asked = await_sync(&mut swim);
    for (subject, brings_news) in [(peer(2), true), (peer(2), false), (peer(3), true)] {
        let answer = table(&partner, &subject, Alive, 1);
        swim.handle_datagram(&answer, SOMEWHERE, now_at(asked))
            .expect("well formed");
        drain(&mut swim);
        let again = await_sync(&mut swim);
        let pause = if brings_news { PERIOD } else { 10 * PERIOD };
        assert_eq!(again.since(asked), pause, "{subject}");
        asked = again;
    }
}

#[test]
fn a_member_that_is_dead_in_the_table_of_another_is_suspected_if_it_was_live_here() {
    let cases = [
        (Alive, Suspect),
        (Suspect, Suspect),
        (NonDecryptable, Dead),
        (Left, Dead),
    ];
    for (held, then) in cases {
        let (mut swim, partner, subject) = (listener(), peer(1), peer(2));
        acquaint(&mut swim, &partner, at(0));
        swim.generate(&subject, held, Incarnation::from_wire(1), None, at(0));
        let answer = table(&partner, &subject, Dead, 2);
        swim.handle_datagram(&answer, SOMEWHERE, at(1))
            .expect("well formed");
        let status = swim.member(&subject).expect("known").claim.status;
        assert_eq!(status, then, "{held}");
    }
}

/// A LEAVE of a native member, in which it tells its payload and shows this digest of its table.
fn native_leave(from: &Uri, payload: Option<&Payload>, digest: u64) -> Vec<u8> {
    let trailer = Trailer {
        digest: Some(digest),
        ..Trailer::default()
    };
    let mut draft = MessageBuilder::leave(from, 1472).trailed_by(&trailer);
    let first = Incarnation::from_wire(1).expect("admissible");
    assert!(draft.event(from, Claim::alive(first), payload, 0));
    checksummed(draft.finish().expect("it fits"))
}

/// Whether `swim` asks `peer` where their tables differ when it gets `datagram` from it.
fn is_asked_to_compare(swim: &mut Swim, peer: &Uri, datagram: &[u8]) -> bool {
    swim.handle_datagram(datagram, SOMEWHERE, at(3))
        .expect("well formed");
    let mut asked = false;
    for sent in drain(swim) {
        let message = decode(&sent.datagram).expect("its own");
        let note = message.trailer.and_then(|trailer| trailer.note);
        asked |= sent.to == *peer && matches!(note, Some(Extension::Compare(_)));
    }
    asked
}

#[test]
fn of_two_members_whose_tables_differ_the_one_that_pings_begins_to_compare_them() {
    let (mut swim, peer) = (listener(), peer(1));
    acquaint(&mut swim, &peer, at(0));
    let myself = swim.myself().expect("it takes part").clone();
    let own = swim.members().digest().total();
    let agreeing = native_leave(&peer, None, own);
    assert!(!is_asked_to_compare(&mut swim, &peer, &agreeing));
    let ping = native_ping(&peer, &myself, 1, own ^ 1);
    // Its news would explain the difference.
    while swim.rumors() > 0 {
        swim.handle_timeout(now_at(swim.next_deadline().expect("news to tell")));
        drain(&mut swim);
    }
    assert!(!is_asked_to_compare(&mut swim, &peer, &ping));
    let said = native_leave(&peer, None, own ^ 1);
    assert!(is_asked_to_compare(&mut swim, &peer, &said));
}

#[test]
fn a_member_that_passes_a_suspicion_on_does_not_announce_its_own() {
    let mut swim = listener();
    let (teller, suspect) = (peer(1), peer(2));
    for uri in [&teller, &suspect] {
        acquaint(&mut swim, uri, at(0));
    }
    let announces = |swim: &Swim, uri: &Uri| {
        let member = swim.member(uri).expect("known");
        member.self_suspicion().is_some()
    };
    for (sender, announced) in [(&teller, false), (&suspect, true)] {
        let rumor = hearsay(sender, &suspect, Suspect, 1);
        swim.handle_datagram(&rumor, SOMEWHERE, at(1))
            .expect("well formed");
        assert!(!announces(&swim, &teller));
        assert_eq!(announces(&swim, &suspect), announced);
    }
}

/// A member that has forgotten `gone`, which was dead at incarnation 4, and knows `peers`.
fn forgetful(gone: &Uri, peers: &[Uri]) -> Swim {
    let config = Config {
        reap_timeout: seconds(1),
        ..Config::default()
    };
    let mut swim = Swim::new(config, 1);
    swim.init(Uri::new("localhost", 13301).expect("a URI"), at(0));
    swim.generate(gone, Dead, Incarnation::from_wire(4), None, at(0));
    while swim.member(gone).is_some() {
        let now = now_at(swim.next_deadline().expect("it is to be forgotten"));
        swim.handle_timeout(now);
        for sent in drain(&mut swim) {
            if sent.to != *gone {
                swim.handle_datagram(&sent.datagram, ELSEWHERE, now)
                    .expect("its own");
            }
        }
    }
    drain(&mut swim);
    for peer in peers {
        acquaint(&mut swim, peer, at(1_000_001));
    }
    swim
}

/// What `swim` tells `to` of `subject` in answer to `datagram`.
fn told_of(swim: &mut Swim, datagram: &[u8], to: &Uri, subject: &Uri) -> Option<Claim> {
    swim.handle_datagram(datagram, SOMEWHERE, at(1_000_002))
        .expect("well formed");
    let mut told = None;
    for sent in drain(swim) {
        let message = decode(&sent.datagram).expect("its own");
        let records = match &message.body {
            Body::SyncAck(records) => &records[..],
            _ => &[],
        };
        for event in message.events.iter().chain(records) {
            if sent.to == *to && *event.uri == **subject {
                told = Some(event.claim);
            }
        }
    }
    told
}

#[test]
fn a_peer_that_speaks_of_a_forgotten_member_is_told_what_became_of_it() {
    let (gone, partner) = (peer(1), peer(2));
    let dead = Claim {
        incarnation: Incarnation::from_wire(4).expect("admissible"),
        status: Dead,
    };
    // The member itself is back, and learns which incarnation it has to beat.
    let mut swim = forgetful(&gone, &[]);
    let ping = ping(&gone, swim.myself().expect("it takes part"), 7);
    assert_eq!(told_of(&mut swim, &ping, &gone, &gone), Some(dead));
    assert_eq!(swim.member(&gone).expect("restored").claim, dead);

    let mut swim = forgetful(&gone, std::slice::from_ref(&partner));
    let mut table = MessageBuilder::sync(MessageType::SyncReq, &partner, 1472);
    let alive = Claim::alive(Incarnation::from_wire(3).expect("admissible"));
    assert!(table.record(&gone, alive, None));
    let table = table.finish().expect("it fits");
    assert_eq!(told_of(&mut swim, &table, &partner, &gone), Some(dead));
    assert!(swim.member(&gone).is_none(), "it stays forgotten");
}

#[test]
fn of_the_members_in_the_table_of_another_those_that_are_gone_already_are_not_taken_in() {
    let partner = peer(2);
    for (status, is_taken) in [(Alive, true), (Suspect, true), (Dead, false), (Left, false)] {
        let mut swim = forgetful(&peer(1), std::slice::from_ref(&partner));
        let answer = table(&partner, &peer(3), status, 1);
        swim.handle_datagram(&answer, SOMEWHERE, at(1_000_002))
            .expect("well formed");
        assert_eq!(swim.member(&peer(3)).is_some(), is_taken, "{status}");
    }
}

/// Whether a ping tells its recipient its own payload and that of the sender, if they are so large.
fn payloads_told(theirs: usize, own: usize) -> (bool, bool) {
    let of_size = |size: usize| {
        let mut bytes = vec![0x91, 0xc5];
        bytes.extend((size as u16).to_be_bytes());
        bytes.resize(4 + size, 7);
        bytes
    };
    let (mut swim, peer) = (listener(), peer(1));
    let myself = swim.myself().expect("it takes part").clone();
    swim.set_payload(&of_size(own), at(0)).expect("it fits");
    acquaint(&mut swim, &peer, at(0));
    let payload = Payload::new(&of_size(theirs)).expect("a payload");
    let said = native_leave(&peer, Some(&payload), 1);
    swim.handle_datagram(&said, SOMEWHERE, at(1))
        .expect("well formed");
    drain(&mut swim);
    loop {
        let now = now_at(swim.next_deadline().expect("there are periods"));
        swim.handle_timeout(now);
        for sent in drain(&mut swim) {
            let message = decode(&sent.datagram).expect("its own");
            if sent.to == myself {
                swim.handle_datagram(&sent.datagram, ELSEWHERE, now)
                    .expect("its own");
            } else if matches!(message.body, Body::Ping(_)) {
                let tells = |uri: &Uri| {
                    let of = |it: &&Event<'_>| *it.uri == **uri && it.payload.is_some();
                    message.events.iter().find(of).is_some()
                };
                return (tells(&peer), tells(&myself));
            }
        }
    }
}

#[test]
fn a_ping_tells_the_recipient_its_own_payload_unless_that_of_the_sender_needs_the_room() {
    assert_eq!(payloads_told(20, 20), (true, true));
    assert_eq!(payloads_told(900, 20), (true, true));
    assert_eq!(payloads_told(900, 900), (false, true));
}

#[test]
fn a_single_piece_of_news_goes_from_member_to_member_without_a_wait() {
    story(|seed| {
        let mut world = World::of(40, seed);
        world.settle();
        world.run(3 * PERIOD);
        world.set_payload(B, 7);
        // A datagram takes up to 0.8 ms, and four members become sixteen with each.
        let known = |world: &World| world.all_have(B, 7);
        let took = world.run_until(Duration::from_millis(20), known);
        assert!(took.is_some(), "{seed}");
    });
}
