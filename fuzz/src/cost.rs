//! The cost of a datagram for its recipient is bounded: by a base, and an amount for each byte of it and of
//! what is sent because of it. The tables of the recipient are full of what strangers have put there.
//!
//! The CPU time of this thread is measured. The limits are several times the present costs. An input that
//! exceeds them is tried again on new members before it counts, so a reported input reproduces the
//! failure.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use nix::time::{ClockId, clock_gettime};
use swim::Swim;
use swim::config::{Config, Setting};
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Incarnation, Status};
use swim::table::payload::Payload;
use swim::time::{Micros, Now};
use swim::wire::{MessageBuilder, MessageType, ping_data};
use xxhash_rust::xxh3::xxh3_64;

/// The source address of the datagrams.
const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3301);

/// The largest datagram of UDP.
const DATAGRAM_SIZE_MAX: usize = 65_507;

/// How many other members it knows: its table is full.
const MEMBERS: usize = 50_000;

/// How many of them share a bucket of the digest.
const CROWDED: usize = 10_000;

/// How many tombstones it has.
const TOMBSTONES: usize = 40_000;

/// How much slower it may be without optimization, or with the sanitizer and the counters of a fuzzer.
const SLOWNESS: u32 = if cfg!(fuzzing) {
    32
} else if cfg!(debug_assertions) {
    8
} else {
    3
};

/// What any datagram may cost: less than a scan of one of the tables.
const BASE: Duration = Duration::from_micros(25);

/// What each byte may cost in addition, of the datagram and of what is sent because of it.
const PER_BYTE: Duration = Duration::from_nanos(60);

/// What a timeout may cost: it handles a portion of the suspicions and tombstones that are due.
const TIMERS: Duration = Duration::from_micros(250);

thread_local! {
    /// Kept from one input to the next, since making one takes longer than what is measured.
    static VICTIM: RefCell<Option<Victim>> = const { RefCell::new(None) };
}

/// A member with full tables.
struct Victim {
    swim: Swim,
    now: Now,
    members: Vec<Uri>,
    gone: Vec<Uri>,
    inputs: u16,
}

/// The input that stands for this datagram.
pub fn input(datagram: &[u8]) -> Vec<u8> {
    [&[0], datagram].concat()
}

/// Measures a datagram, or a large one made as the bytes say.
pub fn target(bytes: &[u8]) {
    VICTIM.with_borrow_mut(|victim| {
        let victim = victim.get_or_insert_with(Victim::new);
        let Ok(datagram) = victim.datagram(bytes) else {
            return;
        };
        let tries = 0..3;
        let costs = tries.map_while(|number| {
            if number > 0 {
                *victim = Victim::new();
            }
            victim.exceeds(&datagram)
        });
        let costs: Vec<String> = costs.collect();
        assert!(costs.len() < 3, "{} bytes: {costs:?}", datagram.len());
    });
}

fn uri(host: char, number: usize) -> Uri {
    let (host, port) = (format!("{host}{}", number / 60_000), 1 + number % 60_000);
    Uri::new(&host, u16::try_from(port).expect("a port")).expect("a URI")
}

/// Drains the outputs. Returns how many bytes are sent.
fn drain(swim: &mut Swim) -> usize {
    while swim.poll_report().is_some() {}
    let sent = std::iter::from_fn(|| swim.poll_transmit());
    sent.map(|transmit| transmit.datagram.len()).sum()
}

/// The CPU time of this thread.
fn cost(act: impl FnOnce()) -> Duration {
    let now = || {
        let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
        Duration::from(time.expect("each thread has such a clock"))
    };
    let start = now();
    act();
    now() - start
}

impl Victim {
    fn new() -> Self {
        let mut config = Config::default();
        for (name, number) in [
            ("MAX_PACKET_SIZE", DATAGRAM_SIZE_MAX as f64),
            ("REAP_TIMEOUT_SECONDS", 60.0),
            ("MAX_MEMBERS", 1.0 + MEMBERS as f64),
        ] {
            let assigned = config.assign(name, Setting::Number(number));
            assigned.expect("a good value");
        }
        let crowded = (0..).map(|number| uri('c', number));
        let crowded = crowded.filter(|uri| xxh3_64(uri.as_bytes()) as u8 == 0);
        let members = crowded
            .take(CROWDED)
            .chain((CROWDED..MEMBERS).map(|number| uri('m', number)));
        let mut victim = Self {
            swim: Swim::new(config, 1),
            now: Now {
                monotonic: Micros(1_000_000_000),
                wall: Micros(1_795_372_926_000_000),
            },
            members: members.collect(),
            gone: (0..TOMBSTONES).map(|number| uri('g', number)).collect(),
            inputs: 0,
        };
        victim.swim.init(uri('v', 0), victim.now);
        victim.fill();
        victim
    }

    /// Fills all tables and queues.
    fn fill(&mut self) {
        let (swim, now) = (&mut self.swim, self.now);
        let names = self.gone.iter().chain(&self.members);
        let claim = |uri: &Uri, number: usize| {
            let gone = uri.starts_with('g');
            let status = match number % 3 {
                _ if gone => Status::Dead,
                0 => Status::Suspect,
                _ => Status::Alive,
            };
            Claim::alive(Incarnation::FIRST).with(status)
        };
        let mut names = names.enumerate().peekable();
        while names.peek().is_some() {
            let mut draft =
                MessageBuilder::sync(MessageType::SyncAck, &uri('s', 0), DATAGRAM_SIZE_MAX);
            while names
                .next_if(|(number, uri)| draft.record(uri, claim(uri, *number), None))
                .is_some()
            {}
            let table = draft.finish().expect("it fits");
            swim.handle_datagram(&table, SOMEWHERE, now)
                .expect("well formed");
            drain(swim);
        }
        for member in self.members.iter().take(1024) {
            let data = ping_data(1, member, &self.members[2000], None);
            let ping =
                MessageBuilder::with_data(MessageType::Ping, member, &data, DATAGRAM_SIZE_MAX);
            let ping = ping.finish().expect("it fits");
            swim.handle_datagram(&ping, SOMEWHERE, now)
                .expect("well formed");
            let _id = swim.probe(member, now).expect("it takes part");
            drain(swim);
        }
        assert_eq!(swim.members().len(), 1 + MEMBERS);
        assert_eq!(swim.members().tombstone_count(), TOMBSTONES);
    }

    /// Handles a datagram, and a tenth of a second later what is due. If that costs too much, returns the
    /// times.
    fn exceeds(&mut self, datagram: &[u8]) -> Option<String> {
        let Self { swim, now, .. } = self;
        // Has the allocator join free chunks now. With tables this full it takes a millisecond, and would be
        // counted for the next large allocation.
        drop(black_box(Vec::<u8>::with_capacity(1 << 16)));
        let mut sent = 0;
        let handling = cost(|| {
            // It may be dropped for any reason.
            let _dropped = swim.handle_datagram(datagram, SOMEWHERE, *now);
            sent = drain(swim);
        });
        let limit = |base, bytes| SLOWNESS * (base + PER_BYTE * bytes as u32);
        let exceeds = handling > limit(BASE, datagram.len() + sent);
        let wait = Duration::from_millis(100);
        (now.monotonic, now.wall) = (now.monotonic + wait, now.wall + wait);
        let timers = cost(|| {
            swim.handle_timeout(*now);
            sent = drain(swim);
        });
        let exceeds = exceeds || timers > limit(TIMERS, sent);
        exceeds.then(|| format!("{handling:?}, then {timers:?}"))
    }

    fn datagram(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut bytes = Unstructured::new(bytes);
        match bytes.arbitrary::<u8>()? {
            0..=63 => Ok(bytes.take_rest().to_vec()),
            _ => self.large_datagram(&mut bytes),
        }
    }

    /// Builds a datagram of as many claims as fit, after the few patterns that the bytes describe.
    fn large_datagram(&mut self, bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
        let sender = self.subject(bytes.arbitrary()?, bytes.arbitrary()?);
        let kind = *bytes.choose(&MessageType::ALL)?;
        let is_sync = matches!(kind, MessageType::SyncReq | MessageType::SyncAck);
        let limit = bytes.int_in_range(512..=DATAGRAM_SIZE_MAX)?;
        let mut draft = match kind {
            MessageType::Ping | MessageType::Ack => {
                let (src, dst) = (self.subject(bytes.arbitrary()?, 0), self.subject(4, 0));
                let data = ping_data(bytes.arbitrary()?, &src, &dst, None);
                MessageBuilder::with_data(kind, &sender, &data, limit)
            }
            MessageType::SyncReq | MessageType::SyncAck => {
                MessageBuilder::sync(kind, &sender, limit)
            }
            MessageType::Leave => MessageBuilder::leave(&sender, limit),
        };
        let mut patterns = Vec::new();
        for _ in 0..bytes.int_in_range(1..=4)? {
            let (choice, first): (u8, u16) = (bytes.arbitrary()?, bytes.arbitrary()?);
            let status = *bytes.choose(&Status::ALL)?;
            let nils: u16 = *bytes.choose(&[0, 0, 0, 1, 100, 256])?;
            patterns.push((choice, first, status, nils));
        }
        self.inputs += 1;
        for number in 0..DATAGRAM_SIZE_MAX {
            let (choice, first, status, nils) = patterns[number % patterns.len()];
            let about = self.subject(choice, first.wrapping_add(number as u16));
            let incarnation = (u64::from(self.inputs) << 16) + number as u64;
            let incarnation = Incarnation::from_wire(incarnation).expect("admissible");
            let claim = Claim::alive(incarnation).with(status);
            let payload = (nils > 0).then(|| {
                let array = [&b"\xdc"[..], &nils.to_be_bytes(), &vec![0xc0; nils.into()]];
                Payload::new(&array.concat()).expect("an array")
            });
            let fits = if is_sync {
                draft.record(&about, claim, payload.as_ref())
            } else {
                draft.event(&about, claim, payload.as_ref(), 0)
            };
            if !fits {
                break;
            }
        }
        Ok(draft.finish().expect("it keeps its limit"))
    }

    /// Itself, a member, one in the crowded bucket, one that is forgotten, or one that is unknown.
    fn subject(&self, choice: u8, number: u16) -> Uri {
        let number = usize::from(number);
        match choice % 8 {
            0 => self.swim.myself().expect("it takes part").clone(),
            1 | 2 => self.members[CROWDED + number % (MEMBERS - CROWDED)].clone(),
            3 | 4 => self.members[number % CROWDED].clone(),
            5 => self.gone[number % TOMBSTONES].clone(),
            _ => uri('u', number),
        }
    }
}
