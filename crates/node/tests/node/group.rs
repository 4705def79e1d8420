//! What the members of a group know of each other.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use swim::table::claim::Status;
use swim::wire::DropReason;

use crate::{add, assign, eventually, is_free, sees, started, status, uri};

#[test]
fn nodes_find_each_other_and_see_payloads_deaths_and_leaves() {
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
fn the_kernel_has_the_leave_datagrams_when_leave_returns() {
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
    // On the loopback interface a datagram arrives before the call that sends it returns.
    for member in &members {
        let mut leaves = 0;
        let mut datagram = [0; 2048];
        while let Ok((size, _)) = member.recv_from(&mut datagram) {
            let text = datagram[..size].windows(5).any(|window| window == b"LEAVE");
            // A rumor is a LEAVE, too, on the wire. The status in its event is another.
            let left = b"\xaf127.0.0.1:33140\x05";
            leaves += usize::from(text && datagram[..size].windows(left.len()).any(|w| w == left));
        }
        assert!(leaves > 0, "nothing at {:?}", member.local_addr());
    }
    assert_eq!(node.leave(), Ok(false));
}

#[test]
fn undecodable_datagrams_of_a_dead_member_are_recognised_by_its_address() {
    let (node, other) = (started(33_190), started(33_191));
    assign(&node, "SUSPECT_TIMEOUT_SECONDS", 0.2);
    let dead = uri("127.0.0.1", 33_191);
    add(&node, &dead);
    sees(&other, &uri("127.0.0.1", 33_190), Status::Alive);
    drop(other);
    sees(&node, &dead, Status::Dead);
    let unknown = UdpSocket::bind("127.0.0.1:33192").unwrap();
    let successor = UdpSocket::bind("127.0.0.1:33191").unwrap();
    let malformed = |why: DropReason| node.view(|swim| swim.stats().dropped[why as usize]);
    // This one is wrong for another reason than a key: its sender can be decoded.
    let strange = b"\x94\xa5a:100\xa4WHAT\xc0\x90";
    successor.send_to(strange, "127.0.0.1:33190").unwrap();
    eventually("it was dropped for its type", || {
        malformed(DropReason::Type) == Ok(1)
    });
    assert_eq!(status(&node, &dead), Some(Status::Dead));
    unknown.send_to(b"\xc1", "127.0.0.1:33190").unwrap();
    eventually("the datagram of the unknown sender was dropped", || {
        malformed(DropReason::NotMsgpack) == Ok(1)
    });
    assert_eq!(status(&node, &dead), Some(Status::Dead));
    successor.send_to(b"\xc1", "127.0.0.1:33190").unwrap();
    sees(&node, &dead, Status::NonDecryptable);
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
            // It fails while the buffer is full, as it is to be.
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

/// Calls a function at the end of a scope, also after a panic.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}
