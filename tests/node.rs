//! Nodes on the loopback interface: real threads, sockets and clocks.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use membership::node::{Family, Line, Lines, Node, clock};
use membership::swim::Outcome;
use membership::swim::claim::Status;
use membership::swim::report::Level;
use membership::swim::uri::Uri;
use membership::swim::wire::Malformed;
use rustix::event::{PollFd, PollFlags, poll};

const LOCALHOST: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Waits until `holds`.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = clock::monotonic() + Duration::from_secs(30);
    while !holds() {
        assert!(clock::monotonic() < give_up, "not in time: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn uri(host: &str, port: u16) -> Uri {
    Uri::new(host, port).unwrap()
}

fn started(port: u16) -> Node {
    let node = Node::new();
    node.init("127.0.0.1", port, None).unwrap();
    node
}

fn add(node: &Node, member: &Uri) {
    node.with_swim(|swim, now| swim.add_member(member.clone(), now))
        .unwrap();
}

fn status(node: &Node, member: &Uri) -> Option<Status> {
    node.view(|swim| swim.member(member).map(|member| member.claim.status))
        .unwrap()
}

fn sees(node: &Node, member: &Uri, expected: Status) {
    eventually(&format!("{member} is {expected}"), || {
        status(node, member) == Some(expected)
    });
}

fn assign(node: &Node, option: &str, value: f64) {
    use membership::swim::config::Setting;
    node.with_swim(|swim, now| swim.assign(option, Setting::Number(value), now))
        .unwrap()
        .unwrap();
}

fn outcome(node: &Node, member: &Uri) -> Outcome {
    let ticket = node
        .with_swim(|swim, now| swim.probe(member, now))
        .unwrap()
        .unwrap();
    let ask = || node.view(|swim| swim.outcome(ticket)).unwrap();
    eventually(&format!("the probe of {member} is decided"), || {
        ask() != Outcome::Waiting
    });
    ask()
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind(("0.0.0.0", port)).is_ok()
}

fn is_rung(bell: i32, patience: Duration) -> bool {
    // SAFETY: the node that owns it outlives the call.
    let bell = unsafe { std::os::fd::BorrowedFd::borrow_raw(bell) };
    let mut fds = [PollFd::from_borrowed_fd(bell, PollFlags::IN)];
    poll(&mut fds, Some(&patience.try_into().unwrap())).unwrap() == 1
}

#[test]
fn nodes_find_one_another_and_see_payloads_deaths_and_good_byes() {
    let [a, b, c] = [33_100, 33_101, 33_102].map(started);
    let [ua, ub, uc] = [33_100, 33_101, 33_102].map(|port| uri("127.0.0.1", port));
    add(&a, &ub);
    add(&b, &uc);
    for node in [&a, &b, &c] {
        for member in [&ua, &ub, &uc] {
            sees(node, member, Status::Alive);
        }
    }
    a.with_swim(|swim, now| swim.set_payload(b"\x81\xa1x\x01", now))
        .unwrap()
        .unwrap();
    eventually("the payload is everywhere", || {
        let payload = c.view(|swim| swim.member(&ua).and_then(|member| member.payload.clone()));
        payload
            .unwrap()
            .is_some_and(|payload| payload.bytes() == b"\x81\xa1x\x01")
    });
    assert_eq!(c.leave(), Ok(true));
    assert_eq!(c.leave(), Ok(false), "left already");
    sees(&a, &uc, Status::Left);
    assign(&a, "SUSPECT_TIMEOUT_SECONDS", 0.5);
    drop(b);
    sees(&a, &ub, Status::Dead);
    c.init("127.0.0.1", 33_102, None).unwrap();
    add(&c, &ua);
    sees(&a, &uc, Status::Alive);
}

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
        Outcome::Answered
    );

    let six = [Node::new(), Node::new()];
    // The same port as above: sockets of the two kinds don't get into each other's way.
    six[0].init("[::1]", 33_110, None).unwrap();
    six[1].init("[::1]", 33_111, Some("[::1]")).unwrap();
    add(&six[0], &uri("[::1]", 33_111));
    sees(&six[1], &uri("[::1]", 33_110), Status::Alive);
    assert_eq!(outcome(&six[1], &uri("[::1]", 33_110)), Outcome::Answered);
    assert_eq!(
        outcome(&six[1], &uri("127.0.0.1", 33_110)),
        Outcome::Unsent,
        "out of its reach"
    );
}

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
fn a_busy_port_is_reported_and_the_node_stays_what_it_is() {
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
        Outcome::Answered,
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
        Outcome::Answered
    );
}

#[test]
fn the_kernel_has_the_good_byes_when_leave_returns() {
    let node = started(33_140);
    let members: Vec<UdpSocket> = (33_141..33_149)
        .map(|port| UdpSocket::bind(("127.0.0.1", port)).unwrap())
        .collect();
    for member in &members {
        member.set_nonblocking(true).unwrap();
        add(
            &node,
            &uri("127.0.0.1", member.local_addr().unwrap().port()),
        );
    }
    assert_eq!(node.leave(), Ok(true));
    assert!(is_free(33_140));
    // On the loopback interface what was sent has arrived.
    for member in &members {
        let mut good_byes = 0;
        let mut datagram = [0; 2048];
        while let Ok((size, _)) = member.recv_from(&mut datagram) {
            let text = datagram[..size].windows(5).any(|window| window == b"LEAVE");
            // A push is a LEAVE too, on the wire; the status in its event tells them apart.
            let left = b"\xaf127.0.0.1:33140\x05";
            good_byes +=
                usize::from(text && datagram[..size].windows(left.len()).any(|w| w == left));
        }
        assert!(good_byes > 0, "nothing at {:?}", member.local_addr());
    }
    assert_eq!(node.leave(), Ok(false));
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
    // Returns at all: nobody releases the lookup before.
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
    assert_eq!(outcome(&node, &uri("127.0.0.1", 33_160)), Outcome::Answered);
    assert_eq!(
        outcome(&node, &uri("other", 33_161)),
        Outcome::Answered,
        "another name"
    );
    assert_eq!(
        outcome(&other, &uri("127.0.0.1", 33_160)),
        Outcome::Answered
    );
    drop(release);
}

#[test]
fn a_name_that_does_not_resolve_is_reported_once() {
    let node = Node::with_lookup(|_, _| Err("Name or service not known".into()));
    node.init("127.0.0.1", 33_170, None).unwrap();
    let nowhere = uri("nowhere", 33_171);
    for _ in 0..3 {
        assert_eq!(outcome(&node, &nowhere), Outcome::Unsent);
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
    // It knows nobody: it must be found.
    sees(&node, &pod, Status::Alive);
}

#[test]
fn what_a_dead_member_sends_is_recognised_by_its_address() {
    let (node, other) = (started(33_190), started(33_191));
    assign(&node, "SUSPECT_TIMEOUT_SECONDS", 0.2);
    let dead = uri("127.0.0.1", 33_191);
    add(&node, &dead);
    sees(&other, &uri("127.0.0.1", 33_190), Status::Alive);
    drop(other);
    sees(&node, &dead, Status::Dead);
    let stranger = UdpSocket::bind("127.0.0.1:33192").unwrap();
    let successor = UdpSocket::bind("127.0.0.1:33191").unwrap();
    let malformed = |why: Malformed| node.view(|swim| swim.stats().malformed[why as usize]);
    // What is wrong with this one is no key: who sent it can be understood.
    let strange = b"\x94\xa5a:100\xa4WHAT\xc0\x90";
    successor.send_to(strange, "127.0.0.1:33190").unwrap();
    eventually("it was taken for what it is", || {
        malformed(Malformed::Type) == Ok(1)
    });
    assert_eq!(status(&node, &dead), Some(Status::Dead));
    stranger.send_to(b"\xc1", "127.0.0.1:33190").unwrap();
    eventually("the stranger was heard", || {
        malformed(Malformed::NotMsgpack) == Ok(1)
    });
    assert_eq!(status(&node, &dead), Some(Status::Dead));
    successor.send_to(b"\xc1", "127.0.0.1:33190").unwrap();
    sees(&node, &dead, Status::NonDecryptable);
}

#[test]
fn a_bell_is_rung_for_news_and_for_a_probe() {
    let (node, other) = (started(33_200), started(33_201));
    let member = uri("127.0.0.1", 33_201);
    let bells = [node.open_bell().unwrap(), node.open_bell().unwrap()];
    let hush = |bell| node.hush_bell(bell);
    add(&node, &member);
    for bell in bells {
        assert!(is_rung(bell, Duration::from_secs(30)));
    }
    let ticket = node
        .with_swim(|swim, now| swim.probe(&member, now))
        .unwrap()
        .unwrap();
    let outcome = || node.view(|swim| swim.outcome(ticket)).unwrap();
    while outcome() == Outcome::Waiting {
        assert!(
            is_rung(bells[0], Duration::from_secs(30)),
            "nobody says that it was answered"
        );
        hush(bells[0]);
    }
    assert_eq!(outcome(), Outcome::Answered);
    node.close_bell(bells[1]);
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
            is_rung(bells[0], Duration::from_secs(30)),
            "nobody tells of the payload"
        );
        hush(bells[0]);
    }
}

#[test]
fn a_bell_is_rung_without_an_engine_too() {
    let node = Node::new();
    let bell = node.open_bell().unwrap();
    for port in 33_211..33_215 {
        add(&node, &uri("127.0.0.1", port));
        assert!(
            is_rung(bell, Duration::ZERO),
            "nobody comes back to ring later"
        );
        node.hush_bell(bell);
    }
}

#[test]
fn after_a_panic_every_call_fails_the_port_is_silent_and_one_line_says_why() {
    let node = started(33_220);
    let bell = node.open_bell().unwrap();
    let before = node.version();
    let failed = node.with_swim(|_, _| panic!("this is part of the test"));
    let text = "membership engine failed: this is part of the test";
    assert_eq!(failed.unwrap_err().to_string(), text);
    assert_ne!(node.version(), before, "who compares versions is to look");
    assert!(is_rung(bell, Duration::ZERO));
    node.hush_bell(bell);
    let failures = [
        node.with_swim(|_, _| ()).unwrap_err(),
        node.view(|_| ()).unwrap_err(),
        node.leave().unwrap_err(),
        node.init("127.0.0.1", 33_220, None).unwrap_err(),
    ];
    for failure in failures {
        assert_eq!(failure.to_string(), text);
    }
    node.beat(clock::monotonic());
    let line = Line {
        level: Level::Error,
        text: text.into(),
    };
    assert_eq!(node.take_lines(), (vec![line], 0));
    eventually("the socket is closed", || is_free(33_220));
}

#[test]
fn log_lines_are_bounded_while_nobody_takes_them() {
    let node = Node::new();
    let _busy = UdpSocket::bind("0.0.0.0:33230").unwrap();
    for _ in 0..Lines::MAX + 7 {
        node.init("127.0.0.1", 33_230, None).unwrap_err();
    }
    let (lines, left_out) = node.take_lines();
    assert_eq!((lines.len(), left_out), (Lines::MAX, 7));
}

#[test]
fn a_flood_of_garbage_does_not_stop_the_clock() {
    let node = started(33_240);
    assign(&node, "SUSPECT_TIMEOUT_SECONDS", 0.2);
    let silent = uri("127.0.0.1", 33_241);
    let over = AtomicBool::new(false);
    let flood = || {
        let flooder = UdpSocket::bind("127.0.0.1:0").unwrap();
        while !over.load(Ordering::Relaxed) {
            // Refused while the buffer is full, which is what is wanted.
            let _ = flooder.send_to(&[0xc1; 8], "127.0.0.1:33240");
        }
    };
    thread::scope(|scope| {
        let flooders: [_; 4] = std::array::from_fn(|_| scope.spawn(flood));
        let _end = OnDrop(|| over.store(true, Ordering::Relaxed));
        add(&node, &silent);
        sees(&node, &silent, Status::Dead);
        assert!(flooders.iter().all(|flooder| !flooder.is_finished()));
    });
}

/// Does something at the end of a scope, however it comes.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}
