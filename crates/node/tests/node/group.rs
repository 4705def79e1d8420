//! What members know of one another.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use swim::table::claim::Status;
use swim::wire::DropReason;

use crate::{add, assign, eventually, is_free, sees, started, status, uri};

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
    let malformed = |why: DropReason| node.view(|swim| swim.stats().dropped[why as usize]);
    // What is wrong with this one is no key: who sent it can be understood.
    let strange = b"\x94\xa5a:100\xa4WHAT\xc0\x90";
    successor.send_to(strange, "127.0.0.1:33190").unwrap();
    eventually("it was taken for what it is", || {
        malformed(DropReason::Type) == Ok(1)
    });
    assert_eq!(status(&node, &dead), Some(Status::Dead));
    stranger.send_to(b"\xc1", "127.0.0.1:33190").unwrap();
    eventually("the stranger was heard", || {
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
