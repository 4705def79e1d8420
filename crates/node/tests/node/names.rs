//! Names, addresses, and resolvers that take their time.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use node::{Families, Line, Node};
use swim::PingOutcome;
use swim::identity::uri::Uri;
use swim::log_event::Level;
use swim::table::claim::Status;

use crate::{LOCALHOST, add, assign, eventually, outcome, sees, uri};

#[test]
fn names_and_ipv6_work_like_ipv4_numbers() {
    let named = [Node::new(), Node::new()];
    named[0].init("localhost", 33_110, None).unwrap();
    named[1]
        .init("localhost", 33_111, Some("127.0.0.1"))
        .unwrap();
    add(&named[0], &uri("localhost", 33_111));
    sees(&named[1], &uri("localhost", 33_110), Status::Alive);
    assert_eq!(
        outcome(&named[1], &uri("localhost", 33_110)),
        PingOutcome::Answered
    );

    let loopback = |_: &str, _: Families| Ok(vec![([0, 0, 0, 0, 0, 0, 0, 1], 0).into()]);
    let six = [Node::new(), Node::with_lookup(loopback)];
    six[0].init("[::1]", 33_112, None).unwrap();
    // A port as above: a socket of one family does not exclude one of the other.
    six[1].init("[::1]", 33_111, Some("[::1]")).unwrap();
    add(&six[0], &uri("[::1]", 33_111));
    sees(&six[1], &uri("[::1]", 33_112), Status::Alive);
    assert_eq!(
        outcome(&six[1], &uri("[::1]", 33_112)),
        PingOutcome::Answered
    );
    assert_eq!(
        outcome(&six[1], &uri("127.0.0.1", 33_110)),
        PingOutcome::Unsent,
        "not an address of its family"
    );
    assert_eq!(
        outcome(&named[0], &uri("[::1]", 33_111)),
        PingOutcome::Answered,
        "an instance with a name has both"
    );
    sees(&six[1], &uri("localhost", 33_110), Status::Alive);
}

#[test]
fn a_name_that_has_only_ipv6_is_served_in_ipv6() {
    let six = |_: &str, _: Families| Ok(vec![([0, 0, 0, 0, 0, 0, 0, 1], 0).into()]);
    let nodes = [Node::with_lookup(six), Node::with_lookup(six)];
    nodes[0].init("pod-0", 33_200, None).unwrap();
    nodes[1].init("pod-1", 33_201, None).unwrap();
    add(&nodes[0], &uri("pod-1", 33_201));
    sees(&nodes[1], &uri("pod-0", 33_200), Status::Alive);
    for own in [("pod-0", 33_200), ("pod-1", 33_201)] {
        let own = uri(own.0, own.1);
        assert_eq!(outcome(&nodes[0], &own), PingOutcome::Answered);
    }
}

#[test]
fn a_port_that_is_taken_in_ipv6_leaves_ipv4() {
    let held = Node::new();
    held.init("[::1]", 33_210, None).unwrap();
    let node = Node::new();
    node.init("localhost", 33_210, None).unwrap();
    let text = "Listening on IPv4 only: another process has port 33210 of IPv6".into();
    let level = Level::Warn;
    assert_eq!(node.take_lines().0, [Line { level, text }]);
    assert_eq!(
        outcome(&node, &uri("localhost", 33_210)),
        PingOutcome::Answered
    );
    node.init("localhost", 33_210, None).unwrap();
    assert_eq!(node.take_lines().0, [], "nothing has changed");
    // To a literal address and back: its own socket is in the way, and the other process still.
    node.init("127.0.0.1", 33_210, None).unwrap();
    node.init("localhost", 33_210, None).unwrap();
    assert_eq!(node.take_lines().0.len(), 1);
}

#[test]
fn leave_does_not_wait_for_a_resolver() {
    let (release, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let node = Node::with_lookup(move |_, _| {
        let _ = hold.lock().unwrap().recv();
        Ok(vec![LOCALHOST])
    });
    node.init("127.0.0.1", 33_150, None).unwrap();
    add(&node, &uri("hangs", 33_151));
    // It returns, although the lookup goes on.
    assert_eq!(node.leave(), Ok(true));
    node.init("127.0.0.1", 33_150, None).unwrap();
    drop(release);
}

#[test]
fn a_name_that_hangs_delays_nothing_else() {
    let (release, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let node = Node::with_lookup(move |host, _| {
        if host == "hangs" {
            let _ = hold.lock().unwrap().recv();
        }
        Ok(vec![LOCALHOST])
    });
    node.init("127.0.0.1", 33_160, None).unwrap();
    let other = Node::with_lookup(|_, _| Ok(vec![LOCALHOST]));
    other.init("other", 33_161, None).unwrap();
    add(&node, &uri("hangs", 33_169));
    assert_eq!(
        outcome(&node, &uri("127.0.0.1", 33_160)),
        PingOutcome::Answered
    );
    assert_eq!(
        outcome(&node, &uri("other", 33_161)),
        PingOutcome::Answered,
        "another name"
    );
    assert_eq!(
        outcome(&other, &uri("127.0.0.1", 33_160)),
        PingOutcome::Answered
    );
    drop(release);
}

#[test]
fn a_name_that_does_not_resolve_is_reported_once() {
    let node = Node::with_lookup(|_, _| Err("Name or service not known".into()));
    node.init("127.0.0.1", 33_170, None).unwrap();
    let nowhere = uri("nowhere", 33_171);
    for _ in 0..3 {
        assert_eq!(outcome(&node, &nowhere), PingOutcome::Unsent);
    }
    let text = "getaddrinfo: Name or service not known (nowhere:33171)".into();
    assert_eq!(
        node.take_lines(),
        (
            vec![Line {
                level: Level::Warn,
                text
            }],
            0
        )
    );
}

#[test]
fn a_member_that_moves_is_found_at_its_new_address() {
    let last_byte = Arc::new(AtomicU8::new(2));
    let resolver = Arc::clone(&last_byte);
    let lookup = move |_: &str, _: Families| {
        Ok(vec![SocketAddr::from((
            [127, 0, 0, resolver.load(Ordering::Relaxed)],
            0,
        ))])
    };
    let node = Node::with_lookup(lookup);
    node.init("127.0.0.1", 33_180, None).unwrap();
    assign(&node, "SUSPECT_TIMEOUT_SECONDS", 0.2);
    let pod = uri("pod", 33_181);
    let first = Node::with_lookup(|_, _| Ok(vec![LOCALHOST]));
    first.init("pod", 33_181, Some("127.0.0.2")).unwrap();
    add(&node, &pod);
    eventually("the pod has answered", || {
        let delta = node.view(|swim| swim.member(&pod).and_then(|member| member.clock_delta));
        delta.unwrap().is_some()
    });
    drop(first);
    sees(&node, &pod, Status::Dead);

    let second = Node::with_lookup(|_, _| Ok(vec![LOCALHOST]));
    second.init("pod", 33_181, Some("127.0.0.3")).unwrap();
    last_byte.store(3, Ordering::Relaxed);
    // It knows no member: it must be found.
    sees(&node, &pod, Status::Alive);
}

/// Has this address, and answers nothing.
fn silent(last: u8, port: u16) -> (UdpSocket, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, last], port));
    (UdpSocket::bind(address).unwrap(), address)
}

#[test]
fn a_name_of_which_one_address_is_stale_leads_to_its_member() {
    let (_held, stale) = silent(9, 33_191);
    let lookup = move |_: &str, _: Families| Ok(vec![stale, ([127, 0, 0, 2], 0).into()]);
    let node = Node::with_lookup(lookup);
    node.init("127.0.0.1", 33_190, None).unwrap();
    assign(&node, "ACK_TIMEOUT_SECONDS", 10.0);
    let store = uri("store", 33_191);
    let other = Node::with_lookup(|_, _| Ok(vec![LOCALHOST]));
    other.init("store", 33_191, Some("127.0.0.2")).unwrap();
    assert_eq!(outcome(&node, &store), PingOutcome::Answered, "at once");
    sees(&node, &store, Status::Alive);
}

#[test]
fn a_member_is_reached_where_its_datagrams_come_from_if_its_name_leads_elsewhere() {
    let (_held, stale) = silent(9, 33_196);
    let node = Node::with_lookup(move |_, _| Ok(vec![stale]));
    node.init("127.0.0.1", 33_195, None).unwrap();
    assign(&node, "SUSPECT_TIMEOUT_SECONDS", 0.2);
    let moved = uri("moved", 33_196);
    add(&node, &moved);
    sees(&node, &moved, Status::Dead);
    let other = Node::with_lookup(|_, _| Ok(vec![([127, 0, 0, 2], 0).into()]));
    other.init("moved", 33_196, Some("127.0.0.2")).unwrap();
    add(&other, &uri("127.0.0.1", 33_195));
    sees(&node, &moved, Status::Alive);
    eventually("it answers", || outcome_or_silence(&node, &moved));
    let hint = "it has 2 addresses: 127.0.0.9 did not answer, 127.0.0.2:33196, \
                where its datagrams come from, does";
    let hints = || node.diagnose(&moved).unwrap().unwrap().hints;
    eventually("the hint says so", || {
        hints().iter().any(|known| known == hint)
    });
}

/// Whether a ping is answered soon.
fn outcome_or_silence(node: &Node, member: &Uri) -> bool {
    let ping = node
        .with_swim(|swim, now| swim.probe(member, now))
        .unwrap()
        .unwrap();
    std::thread::sleep(Duration::from_millis(50));
    node.view(|swim| swim.outcome(ping)).unwrap() == PingOutcome::Answered
}
