//! What calls return, and what they leave for the log.

use std::net::UdpSocket;
use std::time::Duration;

use node::{Line, LogQueue, Node};
use swim::PingOutcome;
use swim::identity::uri::Uri;
use swim::log_event::Level;
use swim::table::claim::Status;

use crate::{add, eventually, is_free, outcome, sees, started, status, turns_readable, uri};

#[test]
fn bad_arguments_are_named() {
    let node = Node::new();
    let refusal = |host, port, bind| node.init(host, port, bind).unwrap_err().to_string();
    for host in ["", "a b", ":::", "::1", "[::1"] {
        assert!(refusal(host, 33_120, None).starts_with(&format!("bad host '{host}'")));
    }
    assert!(refusal("localhost", 0, None).starts_with("bad port 0"));
    for bind in ["localhost", "", "::1", "1.2.3"] {
        let text = refusal("127.0.0.1", 33_120, Some(bind));
        assert!(
            text.starts_with(&format!("bad address to bind '{bind}'")),
            "{text}"
        );
    }
    assert_eq!(node.view(|swim| swim.myself().cloned()), Ok(None));
}

#[test]
fn a_busy_port_is_reported_and_nothing_changes() {
    let (node, other) = (started(33_130), started(33_131));
    let busy = UdpSocket::bind("0.0.0.0:33132").unwrap();
    let text = "Socket bind error (33132/udp): Address already in use";
    assert_eq!(
        node.init("127.0.0.1", 33_132, None)
            .unwrap_err()
            .to_string(),
        text
    );
    let line = Line {
        level: Level::Error,
        text: text.into(),
    };
    assert_eq!(node.take_lines(), (vec![line], 0));

    let myself = uri("127.0.0.1", 33_130);
    assert_eq!(
        node.view(|swim| swim.myself().cloned()),
        Ok(Some(myself.clone()))
    );
    assert_eq!(
        outcome(&other, &myself),
        PingOutcome::Answered,
        "at the old port"
    );

    drop(busy);
    node.init("127.0.0.1", 33_132, None).unwrap();
    assert!(
        is_free(33_130),
        "the old port is given back before init returns"
    );
    assert_eq!(
        status(&node, &uri("127.0.0.1", 33_131)),
        Some(Status::Alive),
        "members stay"
    );
    assert_eq!(
        outcome(&other, &uri("127.0.0.1", 33_132)),
        PingOutcome::Answered
    );
}

/// A node at `bind` that has a payload and sees `member` alive.
fn settled(port: u16, member: &Uri, bind: Option<&str>) -> Node {
    let node = Node::new();
    node.init("127.0.0.1", port, bind).unwrap();
    add(&node, member);
    node.with_swim(|swim, now| swim.set_payload(b"\x81\xa1x\x01", now))
        .unwrap()
        .unwrap();
    sees(&node, member, Status::Alive);
    node
}

fn has_lost_nothing(node: &Node, myself: &Uri, member: &Node, other: &Uri) {
    assert_eq!(status(node, other), Some(Status::Alive), "members stay");
    let payload = node.view(|swim| swim.member(myself).and_then(|me| me.payload.clone()));
    let payload = payload.unwrap().expect("the payload stays");
    assert_eq!(payload.bytes(), b"\x81\xa1x\x01");
    assert_eq!(outcome(member, myself), PingOutcome::Answered);
    assert_eq!(outcome(node, other), PingOutcome::Answered);
}

#[test]
fn the_own_port_can_be_bound_more_narrowly_and_more_widely() {
    let other = started(36_041);
    let [myself, member] = [36_040, 36_041].map(|port| uri("127.0.0.1", port));
    let node = settled(36_040, &member, None);
    for bind in [Some("127.0.0.1"), None, Some("127.0.0.1"), Some("0.0.0.0")] {
        node.init("127.0.0.1", 36_040, bind).unwrap();
        let elsewhere = UdpSocket::bind("127.0.0.2:36040").is_ok();
        assert_eq!(elsewhere, bind == Some("127.0.0.1"), "{bind:?}");
        has_lost_nothing(&node, &myself, &other, &member);
    }
    assert_eq!(node.take_lines(), (Vec::new(), 0));
}

#[test]
fn if_another_process_has_the_port_the_node_stays_where_it_was() {
    let other = started(36_043);
    let [myself, member] = [36_042, 36_043].map(|port| uri("127.0.0.1", port));
    let node = settled(36_042, &member, Some("127.0.0.1"));
    let busy = UdpSocket::bind("127.0.0.2:36042").unwrap();
    let text = "Socket bind error (36042/udp): Address already in use";
    let refusal = node.init("127.0.0.1", 36_042, None).unwrap_err();
    assert_eq!(refusal.to_string(), text);
    let line = Line {
        level: Level::Error,
        text: text.into(),
    };
    assert_eq!(node.take_lines(), (vec![line], 0));
    has_lost_nothing(&node, &myself, &other, &member);

    drop(busy);
    node.init("127.0.0.1", 36_042, None).unwrap();
    has_lost_nothing(&node, &myself, &other, &member);
}

#[test]
fn after_a_panic_each_call_fails_the_port_is_closed_and_one_line_says_why() {
    let node = started(33_220);
    let waker = node.open_waker().unwrap();
    let before = node.progress().version();
    let failed = node.with_swim(|_, _| panic!("this is part of the test"));
    let text = "membership engine failed: this is part of the test";
    assert_eq!(failed.unwrap_err().to_string(), text);
    assert_ne!(
        node.progress().version().to_bits(),
        before.to_bits(),
        "a reader that compares versions calls the node"
    );
    assert!(turns_readable(&waker, Duration::ZERO));
    waker.clear();
    let failures = [
        node.with_swim(|_, _| ()).unwrap_err(),
        node.view(|_| ()).unwrap_err(),
        node.leave().unwrap_err(),
        node.init("127.0.0.1", 33_220, None).unwrap_err(),
    ];
    for failure in failures {
        assert_eq!(failure.to_string(), text);
    }
    let line = Line {
        level: Level::Error,
        text: text.into(),
    };
    let turn = node.heartbeat(&waker, None);
    assert_eq!((turn.lines, turn.left_out), (vec![line], 0));
    assert!(!turn.is_initialized, "the fiber is to end");
    eventually("the socket is closed", || is_free(33_220));
}

#[test]
fn log_lines_are_bounded_while_none_are_taken() {
    let node = Node::new();
    let _busy = UdpSocket::bind("0.0.0.0:33230").unwrap();
    for _ in 0..LogQueue::MAX + 7 {
        node.init("127.0.0.1", 33_230, None).unwrap_err();
    }
    let (lines, left_out) = node.take_lines();
    assert_eq!((lines.len(), left_out), (LogQueue::MAX, 7));
}
