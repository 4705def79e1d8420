//! When Lua is to look.

use std::time::Duration;

use node::Node;
use swim::PingOutcome;

use crate::{add, is_rung, started, uri};

#[test]
fn a_bell_is_rung_for_news_and_for_a_probe() {
    let (node, other) = (started(33_200), started(33_201));
    let member = uri("127.0.0.1", 33_201);
    let wakers = [node.open_waker().unwrap(), node.open_waker().unwrap()];
    add(&node, &member);
    for waker in &wakers {
        assert!(is_rung(waker, Duration::from_secs(30)));
    }
    let ticket = node
        .with_swim(|swim, now| swim.probe(&member, now))
        .unwrap()
        .unwrap();
    let outcome = || node.view(|swim| swim.outcome(ticket)).unwrap();
    while outcome() == PingOutcome::Waiting {
        assert!(
            is_rung(&wakers[0], Duration::from_secs(30)),
            "nobody says that it was answered"
        );
        wakers[0].hush();
    }
    assert_eq!(outcome(), PingOutcome::Answered);
    node.close_waker(&wakers[1]);
    other
        .with_swim(|swim, now| swim.set_payload(b"\x91\x01", now))
        .unwrap()
        .unwrap();
    let payload = || {
        node.view(|swim| swim.member(&member)?.payload.clone())
            .unwrap()
    };
    while payload().is_none_or(|payload| payload.bytes() != b"\x91\x01") {
        assert!(
            is_rung(&wakers[0], Duration::from_secs(30)),
            "nobody tells of the payload"
        );
        wakers[0].hush();
    }
}

#[test]
fn a_bell_is_rung_without_an_engine_too() {
    let node = Node::new();
    let waker = node.open_waker().unwrap();
    for port in 33_211..33_215 {
        add(&node, &uri("127.0.0.1", port));
        assert!(
            is_rung(&waker, Duration::ZERO),
            "nobody comes back to ring later"
        );
        waker.hush();
    }
}
