//! Invented payloads that are let in, read by a real Tarantool: that of the environment variable
//! `TARANTOOL`, or else the one that is on the `PATH`.
//!
//! ```sh
//! cargo test --test payloads -- --ignored                           # always the same 200,000
//! PAYLOAD_SECONDS=600 cargo test --release --test payloads -- --ignored --nocapture    # for so long, each time others
//! ```
//!
//! Tarantool decodes, copies, prints and encodes each of them as the module does and as programs do
//! that use it. One that it does not read, or that ends the process, is printed in hexadecimal.

mod invent;
mod reader;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use swim::config::Config;
use swim::identity::uri::Uri;
use swim::table::claim::Status;
use swim::table::payload::{Payload, Unfit};
use swim::time::{Micros, Now};
use swim::{Refused, Swim};

use invent::invent;
use reader::{Read, Reader};

/// How many payloads are read when nothing says for how long.
const PAYLOADS: usize = 200_000;

/// How many are read at once.
const BATCH: usize = 500;

/// When to stop.
enum Bound {
    Payloads(usize),
    Time(Duration),
}

impl Bound {
    fn from_environment() -> Self {
        let seconds = std::env::var("PAYLOAD_SECONDS").ok();
        seconds.map_or(Self::Payloads(PAYLOADS), |seconds| {
            Self::Time(Duration::from_secs(
                seconds.parse().expect("a number of seconds"),
            ))
        })
    }

    /// The same payloads every time, unless it is about finding new ones.
    fn seed(&self) -> u64 {
        match self {
            Self::Payloads(_) => 1,
            Self::Time(_) => getrandom::u64().expect("the system has entropy"),
        }
    }
}

/// Where the datagrams come from.
const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3301);

const NOW: Now = Now {
    monotonic: Micros(0),
    wall: Micros(0),
};

/// A member that hears of another's payloads, and one that sets the same itself.
struct Pair {
    hearing: Swim,
    setting: Swim,
    incarnation: u64,
}

impl Pair {
    fn new() -> Self {
        let init = |name| {
            let mut swim = Swim::new(Config::default(), 1);
            swim.init(Uri::new(name, 1).expect("a URI"), NOW);
            swim
        };
        Self {
            hearing: init("hearing"),
            setting: init("setting"),
            incarnation: 0,
        }
    }

    /// Whether the payload is let in, on which both have to agree; if not, why.
    fn judge(&mut self, bytes: &[u8]) -> Result<(), Unfit> {
        let verdict = Payload::new(bytes).map(drop);
        let set = self.setting.set_payload(bytes, NOW);
        assert_eq!(set, verdict.map_err(Refused::PayloadUnfit));
        assert_eq!(self.hears(bytes), verdict.is_ok(), "it is taken in");
        while self.setting.poll_transmit().is_some() {}
        verdict.map_err(|flaw| {
            let text = flaw.describe(bytes);
            assert!(text.ends_with(&flaw.why.to_string()), "{text}");
            flaw.why
        })
    }

    /// Whether the payload is known after a datagram with it.
    fn hears(&mut self, payload: &[u8]) -> bool {
        self.incarnation += 1;
        let from = Uri::new("other", 1).expect("a URI");
        let mut datagram = b"\x94\xa7other:1\xa5LEAVE\xc0\x91\x95\xa7other:1".to_vec();
        datagram.extend([Status::Alive.number(), 0xcf]);
        datagram.extend(self.incarnation.to_be_bytes());
        datagram.extend(payload);
        datagram.push(1);
        self.hearing.handle_datagram(&datagram, SOMEWHERE, NOW).ok();
        while self.hearing.poll_transmit().is_some() {}
        let known = self.hearing.member(&from);
        let known = known.and_then(|member| member.payload.as_ref());
        known.is_some_and(|known| known.bytes() == payload)
    }
}

/// How often each outcome was seen.
#[derive(Debug, Default)]
struct Tally {
    read: usize,
    unknown: usize,
    refused: [usize; Unfit::NAMES.len()],
}

impl Tally {
    fn note(&mut self, payload: &[u8], read: &Read) {
        match read {
            Read::Fine { again } => {
                // Holes in an array are filled up with nils, which may make it too much.
                let why = Payload::new(again).err().map(|flaw| flaw.why);
                assert!(
                    matches!(why, None | Some(Unfit::Values)),
                    "{} is encoded again as {}, which {why:?}",
                    hex(payload),
                    hex(again)
                );
                self.read += 1;
            }
            Read::UnknownExtension => self.unknown += 1,
            Read::Failed { why } => panic!("{} is not read: {why}", hex(payload)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Looks for the one among these payloads that ends the process which reads it.
fn find_lethal(batch: &[Vec<u8>]) -> String {
    let lethal = batch
        .iter()
        .find(|payload| Reader::start().read(&[(*payload).clone()]).is_err());
    lethal.map_or("all of them together".into(), |payload| hex(payload))
}

#[test]
fn what_is_heard_and_what_is_set_is_judged_alike() {
    let (mut rng, mut pair) = (StdRng::seed_from_u64(2), Pair::new());
    let judged = (0..20_000).map(|_| pair.judge(&invent(&mut rng)));
    let harmless = judged.filter(Result::is_ok).count();
    assert!((5_000..15_000).contains(&harmless), "{harmless} are let in");
}

#[test]
#[ignore = "takes a Tarantool"]
#[expect(clippy::disallowed_methods, reason = "how long to go on")]
fn tarantool_reads_each_payload_that_is_let_in() {
    let bound = Bound::from_environment();
    let (seed, start) = (bound.seed(), Instant::now());
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut pair, mut reader, mut tally) = (Pair::new(), Reader::start(), Tally::default());
    let goes_on = |tally: &Tally| match bound {
        Bound::Payloads(most) => tally.read < most,
        Bound::Time(most) => start.elapsed() < most,
    };
    while goes_on(&tally) {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let payload = invent(&mut rng);
            match pair.judge(&payload) {
                Ok(()) => batch.push(payload),
                Err(why) => tally.refused[why.index()] += 1,
            }
        }
        let Ok(read) = reader.read(&batch) else {
            panic!("Tarantool ends when it reads {}", find_lethal(&batch));
        };
        for (payload, read) in batch.iter().zip(&read) {
            tally.note(payload, read);
        }
    }
    println!("seed {seed}, in {:.0?}: {tally:?}", start.elapsed());
    assert!(
        tally.read > tally.unknown,
        "most are of types that it knows"
    );
    assert!(
        tally.refused.iter().all(|count| *count > 0),
        "each reason is met: {tally:?}"
    );
}
