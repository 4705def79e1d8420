//! Measures what the protocol costs in a group of 10,000.
//!
//! ```text
//! cargo bench
//! cargo bench -- PING    # benches with "PING" in their names
//! ```
//!
//! Each figure is printed beside its goal at the end. None is asserted, as figures depend on the machine
//! and its load.

mod goals;
mod group;
mod hostile;

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use nix::time::{ClockId, clock_gettime};
use swim::Swim;
use swim::security::seal::aead::{PacketNumber, SESSION_SIZE, SealedHeader};
use swim::security::seal::keyring::Keyring;
use swim::security::seal::{Cipher, Seal};
use xxhash_rust::xxh3::xxh3_64;

use goals::{Goal, Goals};
use group::{Claims, DATAGRAM_SIZE, Group, MEMBERS, SOMEWHERE};
use hostile::{Attack, Victim};

/// The benches, and how long each may take.
fn goals() -> Vec<Goal> {
    let mut goals = vec![
        Goal::new(NEWS, 10_000),
        Goal::new(NEWS_DENSE, 10_000),
        Goal::new(OLD_NEWS, 10_000),
        Goal::new(OLD_NEWS_DENSE, 10_000),
        Goal::new(PING_BUSY, 2_000),
        Goal::new(PING_FULL, 2_000),
        Goal::new(IDLE, 2_000),
        Goal::none(SEAL),
        Goal::none(FORGET),
        Goal::none(FORGET_CROWDED),
    ];
    for (members, nanoseconds) in ATTACKED {
        let of_attack = |(_, name)| Goal::new(&attack_name(name, members), nanoseconds);
        goals.extend(Attack::ALL.map(of_attack));
    }
    goals
}

/// How many members the recipient of hostile datagrams knows, and how long a datagram may take.
const ATTACKED: [(usize, u64); 2] = [(100, 25_000), (60_000, 60_000)];

const NEWS: &str = "datagram of news heard";
const NEWS_DENSE: &str = "datagram of news heard, short URIs";
const OLD_NEWS: &str = "datagram of old news heard";
const OLD_NEWS_DENSE: &str = "datagram of old news heard, short URIs";
const PING_BUSY: &str = "PING in a busy group";
const PING_FULL: &str = "PING filled with rumors";
const IDLE: &str = "idle period";
const SEAL: &str = "full datagram sealed and opened";
const SEAL_AUTHENTICATED: &str = "full datagram sealed and opened, authenticated";

const FORGET: &str = "member forgotten";
const FORGET_CROWDED: &str = "member forgotten, all in one bucket";

fn attack_name(name: &str, members: usize) -> String {
    format!("hostile {name}, {members} members")
}

fn main() {
    let goals = goals();
    let figures = Goals::begin(&goals);
    let mut criterion = figures.criterion().configure_from_args();
    handle(&mut criterion, NEWS, Claims::News, usual);
    handle(&mut criterion, NEWS_DENSE, Claims::News, short);
    handle(&mut criterion, OLD_NEWS, Claims::Known, usual);
    handle(&mut criterion, OLD_NEWS_DENSE, Claims::Known, short);
    // Each member has news every ten minutes, which is gossiped for 0.7 s.
    send_ping(&mut criterion, PING_BUSY, 12);
    send_ping(&mut criterion, PING_FULL, 1000);
    idle(&mut criterion);
    seal(&mut criterion);
    forget(&mut criterion, FORGET, |index| format!("a:{}", 1 + index));
    forget(&mut criterion, FORGET_CROWDED, crowded);
    attack(&mut criterion);
    criterion.final_summary();
    figures.show(&goals);
}

/// A URI as in production.
fn usual(index: usize) -> String {
    format!("storage-{index:05}.prod.example.com:3301")
}

/// A short URI: more of them fit into a datagram.
fn short(index: usize) -> String {
    format!("10.0.{}.{}:3301", index / 256, index % 256)
}

/// Handles a full datagram.
fn handle(criterion: &mut Criterion, name: &str, claims: Claims, uri: fn(usize) -> String) {
    let mut group = Group::new(uri);
    let mut swim = group.member();
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|datagrams| {
            in_portions(datagrams, 32, |count| {
                // A thousand rumors are many; news about all 10,000 at once does not happen.
                group.end_rumors(&mut swim);
                let datagrams: Vec<_> = (0..count).map(|_| group.full_datagram(claims)).collect();
                let now = group.now();
                timed(|| {
                    for datagram in &datagrams {
                        let handled = swim.handle_datagram(black_box(datagram), SOMEWHERE, now);
                        handled.expect("it is well formed");
                    }
                })
            })
        });
    });
}

/// A URI of those that share a bucket of the digest.
fn crowded(index: usize) -> String {
    let mut number = 256 * index;
    loop {
        let uri = format!("a{}:{}", number / 60_000, 1 + number % 60_000);
        // Each index tries different numbers; one of 256 has the right hash.
        if xxh3_64(uri.as_bytes()) as u8 == 0 {
            return uri;
        }
        number += 256 * MEMBERS;
    }
}

/// Forgets a member.
fn forget(criterion: &mut Criterion, name: &str, uri: fn(usize) -> String) {
    let mut group = Group::new(uri);
    let mut swim = group.member();
    let mut next = group.others();
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|members| {
            in_portions(members, 32, |count| {
                let gone: Vec<_> = next.by_ref().take(count).collect();
                let now = group.now();
                let forget = || gone.iter().for_each(|uri| swim.remove_member(uri, now));
                let elapsed = timed(forget);
                gone.into_iter()
                    .for_each(|uri| swim.add_member(uri, group.now()));
                while swim.poll_transmit().is_some() {}
                group.end_rumors(&mut swim);
                elapsed
            })
        });
    });
}

/// Handles hostile datagrams.
fn attack(criterion: &mut Criterion) {
    for (members, _) in ATTACKED {
        for (attack, name) in Attack::ALL {
            criterion.bench_function(&attack_name(name, members), |bencher| {
                let mut victim = Victim::new(attack, members);
                bencher.iter_custom(|datagrams| {
                    in_portions(datagrams, Attack::PORTION, |count| {
                        victim.recover();
                        let datagrams: Vec<_> =
                            (0..count).map(|_| victim.datagram(attack)).collect();
                        timed(|| {
                            for datagram in &datagrams {
                                victim.take(black_box(datagram));
                            }
                        })
                    })
                });
            });
        }
    }
}

/// Encodes a PING with gossip.
fn send_ping(criterion: &mut Criterion, name: &str, rumors: usize) {
    let mut group = Group::new(usual);
    let (mut swim, now) = (group.member(), group.now());
    let mut to = group.others();
    // No rumor is sent so often in between that it expires.
    let portion = rumors.max(32);
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|pings| {
            in_portions(pings, portion, |count| {
                group.start_rumors(&mut swim, rumors);
                let to: Vec<_> = to.by_ref().take(count).collect();
                timed(|| {
                    for to in &to {
                        let ticket = swim.probe(to, now).expect("it takes part");
                        black_box(swim.poll_transmit());
                        swim.forget_probe(ticket);
                    }
                })
            })
        });
    });
}

/// A period in which nothing happens: it sends a probe and gets the answer, and answers another probe.
fn idle(criterion: &mut Criterion) {
    let mut group = Group::new(usual);
    let mut swim = group.member();
    criterion.bench_function(IDLE, |bencher| {
        bencher.iter_custom(|periods| {
            in_portions(periods, 1, |_one| idle_period(&mut group, &mut swim))
        });
    });
}

fn idle_period(group: &mut Group, swim: &mut Swim) -> Duration {
    let (mut elapsed, mut probe) = (Duration::ZERO, None);
    while probe.is_none() {
        let now = group.wait(swim);
        elapsed += timed(|| {
            swim.handle_timeout(now);
            probe = swim.poll_transmit();
        });
    }
    let (ack, now) = group.answer(&probe.expect("a PING"));
    let (ping, mut answer) = (group.ping(), None);
    elapsed += timed(|| {
        for datagram in [&ack, &ping] {
            let handled = swim.handle_datagram(datagram, SOMEWHERE, now);
            handled.expect("it is well formed");
        }
        answer = swim.poll_transmit();
    });
    assert!(answer.is_some() && swim.poll_transmit().is_none());
    elapsed
}

/// Measures `count` in portions. Returns the sum of the times.
fn in_portions(count: u64, portion: usize, mut measure: impl FnMut(usize) -> Duration) -> Duration {
    let (mut left, mut elapsed) = (count as usize, Duration::ZERO);
    while left > 0 {
        elapsed += measure(left.min(portion));
        left -= left.min(portion);
    }
    elapsed
}

/// Measures the CPU time of this thread only, as other load of the machine must not count, without what reading
/// its clock takes.
fn timed(act: impl FnOnce()) -> Duration {
    static READING: LazyLock<Duration> = LazyLock::new(|| {
        let readings = (0..1000).map(|_| with_clock(|| ()));
        readings.min().expect("there are some")
    });
    let reading = *READING;
    with_clock(act).saturating_sub(reading)
}

fn with_clock(act: impl FnOnce()) -> Duration {
    let now = || {
        let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
        Duration::from(time.expect("each thread has such a clock"))
    };
    let start = now();
    act();
    now() - start
}

/// Seals and opens a full datagram: with the cipher of membership 2.x, and authenticated.
fn seal(criterion: &mut Criterion) {
    let mut keys = Keyring::default();
    keys.set([&b"key"[..]]).expect("there is room for one");
    let seal = |cipher| Seal {
        keys: &keys,
        cipher,
        iv: b"init-key-16-byte",
        label: b"",
    };
    let cbc = seal(Cipher::Cbc);
    let plain = vec![b'x'; cbc.capacity(DATAGRAM_SIZE)];
    criterion.bench_function(SEAL, |bencher| {
        bencher.iter_batched(
            || plain.clone(),
            |plain| {
                let sealed = cbc.seal_old(plain);
                cbc.open(&sealed).map(|opened| opened.plain.len())
            },
            BatchSize::SmallInput,
        );
    });
    let aead = seal(Cipher::Aead);
    let plain = vec![b'x'; aead.capacity(DATAGRAM_SIZE)];
    let stamp = PacketNumber {
        session: [1; SESSION_SIZE],
        salt: 1,
        counter: 1,
    };
    criterion.bench_function(SEAL_AUTHENTICATED, |bencher| {
        bencher.iter_batched(
            || plain.clone(),
            |plain| {
                let sealed = aead.seal(stamp, &SealedHeader::default(), plain);
                aead.open(&sealed).map(|opened| opened.plain.len())
            },
            BatchSize::SmallInput,
        );
    });
}
