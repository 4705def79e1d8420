//! Tarantool's thread hangs, and the engine does not.

use node::Node;
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Status};

use crate::{add, assign, eventually, sees, started, uri};

const TIMEOUT: &str = "TX_STALL_TIMEOUT_SECONDS";

fn claim(node: &Node, member: &Uri) -> Claim {
    let claim = node.view(|swim| swim.member(member).map(|member| member.claim));
    claim.unwrap().unwrap()
}

#[test]
fn a_node_that_hangs_announces_itself_suspect_dies_and_is_back_with_the_next_heartbeat() {
    let [node, other] = [36_030, 36_031].map(started);
    let [myself, member] = [36_030, 36_031].map(|port| uri("127.0.0.1", port));
    for each in [&node, &other] {
        // On a busy machine, too, no member is suspected for another reason.
        assign(each, "ACK_TIMEOUT_SECONDS", 60.0);
        assign(each, "SUSPECT_TIMEOUT_SECONDS", 0.2);
    }
    add(&node, &member);
    sees(&other, &myself, Status::Alive);
    let before = claim(&other, &myself);

    assign(&node, TIMEOUT, 0.25);
    let waker = node.open_waker().unwrap();
    node.heartbeat(&waker, None);
    sees(&other, &myself, Status::Dead);
    assert_eq!(claim(&node, &myself), before.with(Status::Suspect));
    let lines = node.heartbeat(&waker, None).lines;
    eventually("it is back", || {
        let now = claim(&other, &myself);
        now.status == Status::Alive && now.incarnation > before.incarnation
    });
    let (start, end) = (
        // A test runs on a thread of its own, which is not the one of the database.
        "An application thread did not respond for ",
        " s: announced this instance suspect. Look for code that does not yield, or waits for a disk",
    );
    let is_told = |text: &str| text.starts_with(start) && text.ends_with(end);
    assert!(lines.iter().any(|line| is_told(&line.text)), "{lines:?}");
}

/// Lets time pass for two heartbeats with the shortest timeout.
fn stalls_in_a_while(node: &Node) -> u64 {
    assign(node, TIMEOUT, 0.25);
    assign(node, "PROTOCOL_PERIOD_SECONDS", 0.05);
    assign(node, "ACK_TIMEOUT_SECONDS", 0.05);
    let stats = || node.view(|swim| swim.stats().clone()).unwrap();
    let before = stats().probes;
    eventually("some periods pass", || stats().probes >= before + 20);
    stats().stalls
}

#[test]
fn a_node_that_expects_no_heartbeat_does_not_hang() {
    let node = started(36_032);
    assert_eq!(stalls_in_a_while(&node), 0, "no heartbeat has come");
    let waker = node.open_waker().unwrap();

    assign(&node, TIMEOUT, 60.0);
    node.heartbeat(&waker, None);
    node.end_heartbeats(&waker);
    assert_eq!(stalls_in_a_while(&node), 0, "no heartbeat was to follow");

    assign(&node, TIMEOUT, 60.0);
    assert!(node.heartbeat(&waker, None).is_initialized);
    node.leave().unwrap();
    assert!(!node.heartbeat(&waker, None).is_initialized);
    node.init("127.0.0.1", 36_032, None).unwrap();
    assert_eq!(stalls_in_a_while(&node), 0, "it has left in between");

    node.heartbeat(&waker, None);
    eventually("it hangs after another heartbeat", || {
        stalls_in_a_while(&node) == 1
    });
}
