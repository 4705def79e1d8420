//! How much memory a member takes, and that repeated claims about it take no more.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use swim::Swim;
use swim::config::Config;
use swim::identity::uri::Uri;
use swim::table::claim::Status::{self, Alive, Dead, Suspect};
use swim::table::claim::{Claim, Incarnation};
use swim::table::payload::Payload;
use swim::table::preload::Preloaded;
use swim::time::Now;
use swim::wire::{CHECKSUM_SIZE, MessageBuilder, Trailer, checksummed};

/// How many other members there are.
const OTHERS: usize = 10_000;

/// How many bytes each of them may take, without its payload.
const LIMIT: usize = 1024;

/// The size of the payloads here, in bytes.
const PAYLOAD_SIZE: usize = 100;

#[global_allocator]
static COUNTING: Counting = Counting;

/// The system's allocator, which also counts the bytes of each thread.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

/// What `malloc` takes of the heap: it puts the size in front, and rounds up to 16 bytes.
fn weight(layout: Layout) -> usize {
    (layout.size() + 8).next_multiple_of(16).max(32)
}

// SAFETY: the system's allocator does the work, with the same arguments. The counter is initialized by a
// constant and has no destructor, so that it does not allocate itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get().wrapping_add(weight(layout)));
        // SAFETY: the caller keeps the contract of this method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.set(ALLOCATED.get().wrapping_sub(weight(layout)));
        // SAFETY: the caller keeps the contract of this method.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How many bytes this thread has allocated since the counter was `before`.
fn allocated_since(before: usize) -> usize {
    // Memory of another thread may be freed here, so the counter may be below zero.
    ALLOCATED.get().wrapping_sub(before)
}

/// The source address of all datagrams.
const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3301);

/// A member that receives claims about all others.
struct Listener {
    swim: Swim,
    now: Now,
}

impl Listener {
    fn new() -> Self {
        let mut swim = Swim::new(Config::default(), 1);
        let now = Now::default();
        swim.init(uri(0), now);
        Self { swim, now }
    }

    /// Receives this claim about all others, in as many datagrams as needed.
    fn receive_about_all(&mut self, claim: Claim, payload: Option<&Payload>) {
        let blank =
            || MessageBuilder::leave(&uri(1), 1472 - CHECKSUM_SIZE).trailed_by(&Trailer::default());
        let mut draft = blank();
        for other in (1..=OTHERS).map(uri) {
            if !draft.event(&other, claim, payload, 0) {
                self.receive(std::mem::replace(&mut draft, blank()));
                assert!(draft.event(&other, claim, payload, 0));
            }
        }
        self.receive(draft);
    }

    fn receive(&mut self, draft: MessageBuilder) {
        let datagram = checksummed(draft.finish().expect("it fits"));
        let heard = self.swim.handle_datagram(&datagram, SOMEWHERE, self.now);
        heard.expect("it is well formed");
        self.drain();
    }

    fn drain(&mut self) {
        while self.swim.poll_transmit().is_some() {}
        while self.swim.poll_report().is_some() {}
    }

    fn count(&self, status: Status) -> usize {
        self.swim.members().count(status)
    }
}

/// A URI as Kubernetes makes them.
fn uri(index: usize) -> Uri {
    let name = format!("storage-{index:05}.storage.production-eu-west.svc.cluster.local:3301");
    Uri::parse(&name).expect("a URI")
}

/// A payload of [`PAYLOAD_SIZE`] bytes, different for each `fill`.
fn payload(fill: u8) -> Payload {
    let text = PAYLOAD_SIZE - 3;
    let bytes = [&[0x91, 0xd9, text as u8][..], &vec![fill; text]].concat();
    Payload::new(&bytes).expect("an array")
}

fn claim(incarnation: u64, status: Status) -> Claim {
    let incarnation = Incarnation::from_wire(incarnation).expect("admissible");
    Claim {
        incarnation,
        status,
    }
}

fn assert_at_most(allocated: usize, limit: usize, what: &str) {
    let each = allocated / OTHERS;
    println!("{what}: {each} bytes a member");
    assert!(each <= limit, "{what}: {each} bytes a member");
}

#[test]
fn a_preloaded_member_takes_a_kibibyte_at_most() {
    let before = ALLOCATED.get();
    let mut listener = Listener::new();
    let members = (1..=OTHERS).map(|index| Preloaded {
        uri: uri(index),
        claim: claim(1, Alive),
        payload: None,
        is_native: true,
    });
    listener.swim.recall(members, listener.now);
    assert_eq!(listener.count(Alive), 1 + OTHERS);
    assert_at_most(allocated_since(before), LIMIT, "preloaded");
}

#[test]
fn a_member_takes_a_kibibyte_at_most_even_while_it_is_news() {
    let before = ALLOCATED.get();
    let mut listener = Listener::new();
    listener.receive_about_all(claim(1, Alive), None);
    assert_eq!(listener.swim.rumors(), 1 + OTHERS);
    assert_at_most(allocated_since(before), LIMIT, "news");
}

#[test]
fn a_suspect_with_a_payload_takes_a_kibibyte_and_the_payload_at_most() {
    let before = ALLOCATED.get();
    let mut listener = Listener::new();
    listener.receive_about_all(claim(1, Suspect), Some(&payload(b'x')));
    assert_eq!(listener.count(Suspect), OTHERS);
    assert_at_most(allocated_since(before), LIMIT + PAYLOAD_SIZE, "suspect");
}

#[test]
fn repeated_claims_about_a_member_take_no_more() {
    let before = ALLOCATED.get();
    let mut listener = Listener::new();
    let mut first = None;
    for round in 0..100 {
        let incarnation = 1 + u64::from(round);
        listener.receive_about_all(claim(incarnation, Alive), Some(&payload(round)));
        listener.receive_about_all(claim(incarnation, Suspect), None);
        listener.receive_about_all(claim(incarnation, Dead), None);
        listener.receive_about_all(claim(incarnation + 1, Alive), Some(&payload(round)));
        let allocated = allocated_since(before);
        // The nodes of a tree are more or less full at times, which is less than a byte a member.
        let most = *first.get_or_insert(allocated) + OTHERS;
        assert!(
            allocated <= most,
            "round {round}: {allocated} bytes of {most}"
        );
    }
}
