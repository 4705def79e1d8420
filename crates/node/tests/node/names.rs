//! Names, addresses, and resolvers that take their time.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use node::{Family, Line, Node};
use swim::PingOutcome;
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

    let six = [Node::new(), Node::new()];
    // The same port as above: a socket of one family does not exclude one of the other.
    six[0].init("[::1]", 33_110, None).unwrap();
    six[1].init("[::1]", 33_111, Some("[::1]")).unwrap();
    add(&six[0], &uri("[::1]", 33_111));
    sees(&six[1], &uri("[::1]", 33_110), Status::Alive);
    assert_eq!(
        outcome(&six[1], &uri("[::1]", 33_110)),
        PingOutcome::Answered
    );
    assert_eq!(
        outcome(&six[1], &uri("127.0.0.1", 33_110)),
        PingOutcome::Unsent,
        "not an address of its family"
    );
}

#[test]
fn leave_does_not_wait_for_a_resolver() {
    let (release, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let node = Node::with_lookup(move |_, _| {
        let _ = hold.lock().unwrap().recv();
        Ok(LOCALHOST)
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
        Ok(LOCALHOST)
    });
    node.init("127.0.0.1", 33_160, None).unwrap();
    let other = Node::with_lookup(|_, _| Ok(LOCALHOST));
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
    let lookup = move |_: &str, _: Family| {
        Ok(SocketAddr::from((
            [127, 0, 0, resolver.load(Ordering::Relaxed)],
            0,
        )))
    };
    let node = Node::with_lookup(lookup);
    node.init("127.0.0.1", 33_180, None).unwrap();
    assign(&node, "SUSPECT_TIMEOUT_SECONDS", 0.2);
    let pod = uri("pod", 33_181);
    let first = Node::with_lookup(|_, _| Ok(LOCALHOST));
    first.init("pod", 33_181, Some("127.0.0.2")).unwrap();
    add(&node, &pod);
    eventually("the pod has answered", || {
        let delta = node.view(|swim| swim.member(&pod).and_then(|member| member.clock_delta));
        delta.unwrap().is_some()
    });
    drop(first);
    sees(&node, &pod, Status::Dead);

    let second = Node::with_lookup(|_, _| Ok(LOCALHOST));
    second.init("pod", 33_181, Some("127.0.0.3")).unwrap();
    last_byte.store(3, Ordering::Relaxed);
    // It knows no member: it must be found.
    sees(&node, &pod, Status::Alive);
}
