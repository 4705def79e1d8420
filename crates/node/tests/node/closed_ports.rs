//! Closed ports, on systems that report ICMP errors: no probe waits for an answer from one.

use std::time::Duration;

use node::{Node, clock};
use swim::identity::uri::Uri;
use swim::table::claim::Status;

use crate::{add, assign, eventually, sees, started, status, uri};

/// Longer than any test: nothing happens because this time has passed.
const FOR_EVER: f64 = 10_000.0;

/// Makes a node probe only in [`probe_once`], and wait for answers without limit.
fn passive(node: Node) -> Node {
    assign(&node, "ANTI_ENTROPY_PERIOD_SECONDS", FOR_EVER);
    assign(&node, "ACK_TIMEOUT_SECONDS", FOR_EVER);
    assign(&node, "SUSPECT_TIMEOUT_SECONDS", FOR_EVER);
    // It probes itself, which ends the period that has begun.
    probe_once(&node);
    node
}

/// Begins a period, which has no end, and waits for the outcome of its probe.
fn probe_once(node: &Node) {
    let count = || {
        let count = node.view(|swim| {
            let stats = swim.stats();
            (stats.probes, stats.probes_answered + stats.probes_failed)
        });
        count.unwrap()
    };
    let before = count().0;
    // A period is no shorter than its ACK timeout, but may begin sooner.
    assign(node, "PROTOCOL_PERIOD_SECONDS", 0.001);
    eventually("a period begins", || count().0 > before);
    eventually("its probe is decided", || count().1 == count().0);
}

fn finds_suspect(node: &Node, member: &Uri) {
    let give_up = clock::monotonic() + Duration::from_secs(30);
    while status(node, member) != Some(Status::Suspect) {
        assert!(clock::monotonic() < give_up, "{member} is not probed");
        probe_once(node);
    }
}

#[test]
fn a_closed_port_is_suspected_without_waiting_for_an_answer() {
    for (host, port) in [("127.0.0.1", 36_020), ("[::1]", 36_022)] {
        let node = Node::new();
        node.init(host, port, None).unwrap();
        let node = passive(node);
        let closed = uri(host, port + 1);
        add(&node, &closed);
        finds_suspect(&node, &closed);
    }
}

#[test]
fn a_closed_port_is_first_pinged_by_others_that_find_it_closed_too() {
    let [node, other] = [36_024, 36_025].map(|port| passive(started(port)));
    let (closed, relay) = (uri("127.0.0.1", 36_026), uri("127.0.0.1", 36_025));
    add(&node, &relay);
    sees(&other, &uri("127.0.0.1", 36_024), Status::Alive);
    add(&node, &closed);
    finds_suspect(&node, &closed);
    let relayed = other.view(|swim| swim.stats().relayed).unwrap();
    assert!(relayed > 0, "the other member was asked");
}
