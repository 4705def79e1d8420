//! When Lua is woken.

use std::time::Duration;

use node::Node;
use swim::PingOutcome;

use crate::{add, started, turns_readable, uri};

#[test]
fn lua_is_woken_for_news_and_for_the_outcome_of_a_ping() {
    let (node, other) = (started(33_200), started(33_201));
    let member = uri("127.0.0.1", 33_201);
    let wakers = [node.open_waker().unwrap(), node.open_waker().unwrap()];
    add(&node, &member);
    for waker in &wakers {
        assert!(turns_readable(waker, Duration::from_secs(30)));
    }
    let ticket = node
        .with_swim(|swim, now| swim.probe(&member, now))
        .unwrap()
        .unwrap();
    let outcome = || node.view(|swim| swim.outcome(ticket)).unwrap();
    while outcome() == PingOutcome::Waiting {
        assert!(
            turns_readable(&wakers[0], Duration::from_secs(30)),
            "not woken for the answer"
        );
        wakers[0].clear();
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
            turns_readable(&wakers[0], Duration::from_secs(30)),
            "not woken for the payload"
        );
        wakers[0].clear();
    }
}

#[test]
fn lua_is_woken_without_an_engine_too() {
    let node = Node::new();
    let waker = node.open_waker().unwrap();
    for port in 33_211..33_215 {
        add(&node, &uri("127.0.0.1", port));
        assert!(
            turns_readable(&waker, Duration::ZERO),
            "no engine would wake it later"
        );
        waker.clear();
    }
}
