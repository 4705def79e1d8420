//! What a member weighs, and that hearing about it over and over makes it no heavier.

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

/// How many others there are.
const OTHERS: usize = 10_000;

/// How many bytes each of them may take, payload apart.
const LIMIT: usize = 1024;

/// How many bytes a payload has here.
const PAYLOAD_SIZE: usize = 100;

#[global_allocator]
static COUNTING: Counting = Counting;

/// The system's allocator, which also counts what each thread has.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

/// What `malloc` takes of the heap for it: its size in front, and all in units of 16 bytes.
fn weight(layout: Layout) -> usize {
    (layout.size() + 8).next_multiple_of(16).max(32)
}

// SAFETY: all that is asked for is done by the system's allocator, in the same words. The counter is
// a constant to begin with and has no destructor, so that it allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get().wrapping_add(weight(layout)));
        // SAFETY: the caller keeps to the contract of this very method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.set(ALLOCATED.get().wrapping_sub(weight(layout)));
        // SAFETY: the caller keeps to the contract of this very method.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How many bytes this thread has allocated more than it had when the counter said `before`.
fn allocated_since(before: usize) -> usize {
    // What another thread has allocated may be freed here: the counter may be below zero.
    ALLOCATED.get().wrapping_sub(before)
}

/// Where its datagrams come from.
const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3301);

/// One who hears of all the others, and whatever else it takes.
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

    /// Hears this of all the others, in as many datagrams as it takes.
    fn hear_of_all(&mut self, claim: Claim, payload: Option<&Payload>) {
        let blank =
            || MessageBuilder::leave(&uri(1), 1472 - CHECKSUM_SIZE).trailed_by(&Trailer::default());
        let mut draft = blank();
        for other in (1..=OTHERS).map(uri) {
            if !draft.event(&other, claim, payload, 0) {
                self.hear(std::mem::replace(&mut draft, blank()));
                assert!(draft.event(&other, claim, payload, 0));
            }
        }
        self.hear(draft);
    }

    fn hear(&mut self, draft: MessageBuilder) {
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

/// A payload of [`PAYLOAD_SIZE`] bytes, another one for every `fill`.
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

fn assert_light(allocated: usize, limit: usize, what: &str) {
    let each = allocated / OTHERS;
    println!("{what}: {each} bytes a member");
    assert!(each <= limit, "{what}: {each} bytes a member");
}

#[test]
fn a_member_that_was_always_known_takes_a_kibibyte_at_most() {
    let before = ALLOCATED.get();
    let mut listener = Listener::new();
    let everybody = (1..=OTHERS).map(|index| Preloaded {
        uri: uri(index),
        claim: claim(1, Alive),
        payload: None,
        is_native: true,
    });
    listener.swim.recall(everybody, listener.now);
    assert_eq!(listener.count(Alive), 1 + OTHERS);
    assert_light(allocated_since(before), LIMIT, "always known");
}

#[test]
fn a_member_that_was_heard_of_takes_a_kibibyte_at_most_even_while_it_is_news() {
    let before = ALLOCATED.get();
    let mut listener = Listener::new();
    listener.hear_of_all(claim(1, Alive), None);
    assert_eq!(listener.swim.rumors(), 1 + OTHERS);
    assert_light(allocated_since(before), LIMIT, "just heard of");
}

#[test]
fn a_suspect_with_a_payload_takes_a_kibibyte_and_the_payload_at_most() {
    let before = ALLOCATED.get();
    let mut listener = Listener::new();
    listener.hear_of_all(claim(1, Suspect), Some(&payload(b'x')));
    assert_eq!(listener.count(Suspect), OTHERS);
    assert_light(allocated_since(before), LIMIT + PAYLOAD_SIZE, "suspect");
}

#[test]
fn who_is_heard_of_again_and_again_takes_no_more() {
    let before = ALLOCATED.get();
    let mut listener = Listener::new();
    let mut first = None;
    for round in 0..100 {
        let incarnation = 1 + u64::from(round);
        listener.hear_of_all(claim(incarnation, Alive), Some(&payload(round)));
        listener.hear_of_all(claim(incarnation, Suspect), None);
        listener.hear_of_all(claim(incarnation, Dead), None);
        listener.hear_of_all(claim(incarnation + 1, Alive), Some(&payload(round)));
        let allocated = allocated_since(before);
        // The nodes of a tree are now fuller and now emptier, which comes to less than a byte each.
        let most = *first.get_or_insert(allocated) + OTHERS;
        assert!(
            allocated <= most,
            "round {round}: {allocated} bytes of {most}"
        );
    }
}
