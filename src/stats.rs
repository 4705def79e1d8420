//! The counters and gauges, for `stats` of Lua.
//!
//! The names of the fields are those that programs read. Times are in seconds; a time that is not
//! known yet is left out, so that Lua reads `nil` rather than `box.NULL`.

use std::collections::BTreeMap;

use mlua::{BString, Lua};
use serde::Serialize;

use super::Answer;
use super::diagnosis::seconds;
use node::node;
use node::observe::metrics::Metrics;
use swim::stats;
use swim::table::claim::Status;
use swim::table::payload::Unfit;
use swim::wire::{DropReason, MessageType};

/// Returns all of them as MessagePack.
pub fn stats(_: &Lua, (): ()) -> Answer<BString> {
    let metrics = node().metrics()?;
    let report = Report::new(&metrics);
    Ok(rmp_serde::to_vec_named(&report)?.into())
}

/// Counts by name.
type Counts = BTreeMap<&'static str, u64>;

#[derive(Serialize)]
struct Report {
    // The group, and how its members are watched.
    members: Counts,
    members_refused: u64,
    members_displaced: u64,
    members_elsewhere: u64,
    members_not_allowed: u64,
    probes: Probes,
    round_trip: RoundTrip,
    suspicions: Suspicions,
    refutations: u64,
    rumors: Rumors,
    syncs: Exchanges,
    repairs: Exchanges,
    history: History,

    // What is sent and received.
    sent: Traffic,
    received: Traffic,
    dropped: Counts,
    events_skipped: u64,
    payloads_refused: Counts,
    challenges: u64,
    acks_unsolicited: u64,
    oversized: u64,
    amplification_limited: u64,
    send_errors: u64,
    turned_away: u64,
    relays: Relays,

    // The state of this process.
    stalls: Stalls,
    pauses: u64,
    duplicates: u64,
    isolation: Isolation,
    other_keys: u64,
    resolver: Resolver,
    state_file: StateFile,
    lock: Lock,
}

#[derive(Serialize)]
struct Probes {
    sent: u64,
    answered_directly: u64,
    answered_by_relay: u64,
    failed: u64,
}

#[derive(Serialize)]
struct RoundTrip {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    smoothed_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Suspicions {
    raised: u64,
    confirmed: u64,
    refuted: u64,
    turned_dead: u64,
}

#[derive(Serialize)]
struct Rumors {
    queued: u64,
    sent: u64,
    expired: u64,
}

/// Comparisons of the table with that of another member.
#[derive(Serialize)]
struct Exchanges {
    begun: u64,
    answered: u64,
}

/// Changes, with their reasons.
#[derive(Serialize)]
struct History {
    kept: u64,
    forgotten: u64,
}

/// By type of message.
#[derive(Serialize)]
struct Traffic {
    datagrams: Counts,
    bytes: Counts,
}

#[derive(Serialize)]
struct Relays {
    passed_on: u64,
    refused: u64,
}

#[derive(Serialize)]
struct Stalls {
    count: u64,
    longest_seconds: f64,
}

#[derive(Serialize)]
struct Isolation {
    count: u64,
    now: bool,
}

#[derive(Serialize)]
struct Resolver {
    queries: u64,
    failures: u64,
    refused: u64,
    longest_seconds: f64,
}

#[derive(Serialize)]
struct StateFile {
    saves: u64,
    failures: u64,
}

#[derive(Serialize)]
struct Lock {
    longest_seconds: f64,
}

impl Report {
    fn new(metrics: &Metrics) -> Self {
        let Metrics { stats, gauges, .. } = metrics;
        Self {
            members: gauges.members.map(named_status).into(),
            members_refused: stats.members_refused,
            members_displaced: stats.members_displaced,
            members_elsewhere: stats.members_elsewhere,
            members_not_allowed: stats.members_not_allowed,
            probes: Probes::new(stats),
            round_trip: RoundTrip::new(metrics),
            suspicions: Suspicions {
                raised: stats.suspicions,
                confirmed: stats.suspicions_confirmed,
                refuted: stats.suspicions_refuted,
                turned_dead: stats.suspicions_ripened,
            },
            refutations: stats.refutations,
            rumors: Rumors {
                queued: gauges.rumors as u64,
                sent: gauges.rumors_sent,
                expired: gauges.rumors_expired,
            },
            syncs: Exchanges {
                begun: stats.syncs,
                answered: stats.syncs_answered,
            },
            repairs: Exchanges {
                begun: stats.repairs,
                answered: stats.repairs_answered,
            },
            history: History {
                kept: gauges.history_kept as u64,
                forgotten: gauges.history_forgotten,
            },
            sent: Traffic::new(&stats.sent),
            received: Traffic::new(&stats.received),
            dropped: dropped(stats),
            events_skipped: stats.events_skipped,
            payloads_refused: payloads_refused(stats),
            challenges: stats.challenges,
            acks_unsolicited: stats.acks_unsolicited,
            oversized: stats.oversized,
            amplification_limited: stats.amplification_limited,
            send_errors: metrics.send_errors,
            turned_away: metrics.turned_away,
            relays: Relays {
                passed_on: stats.relayed,
                refused: stats.relays_refused,
            },
            stalls: Stalls {
                count: stats.stalls,
                longest_seconds: metrics.longest_stall.as_secs_f64(),
            },
            pauses: stats.pauses,
            duplicates: stats.duplicates,
            isolation: Isolation {
                count: stats.isolations,
                now: gauges.isolated,
            },
            other_keys: gauges.other_keys as u64,
            resolver: Resolver::new(metrics),
            state_file: StateFile {
                saves: metrics.saves.saves,
                failures: metrics.saves.failures,
            },
            lock: Lock {
                longest_seconds: metrics.longest_hold.as_secs_f64(),
            },
        }
    }
}

impl Probes {
    const fn new(stats: &stats::Stats) -> Self {
        Self {
            sent: stats.probes,
            answered_directly: stats.probes_answered - stats.probes_answered_by_relay,
            answered_by_relay: stats.probes_answered_by_relay,
            failed: stats.probes_failed,
        }
    }
}

impl RoundTrip {
    fn new(metrics: &Metrics) -> Self {
        let round_trips = &metrics.stats.round_trips;
        Self {
            last_seconds: seconds(round_trips.last()),
            smoothed_seconds: seconds(metrics.gauges.round_trip),
            p99_seconds: seconds(round_trips.p99()),
        }
    }
}

impl Traffic {
    fn new(traffic: &stats::Traffic) -> Self {
        let mut by_type = Self {
            datagrams: Counts::new(),
            bytes: Counts::new(),
        };
        for kind in MessageType::ALL {
            let (datagrams, bytes) = traffic.of(kind);
            by_type.datagrams.insert(kind.name(), datagrams);
            by_type.bytes.insert(kind.name(), bytes);
        }
        by_type
    }
}

impl Resolver {
    const fn new(metrics: &Metrics) -> Self {
        let lookups = &metrics.lookups;
        Self {
            queries: lookups.queries,
            failures: lookups.failures,
            refused: lookups.refused,
            longest_seconds: lookups.longest.as_secs_f64(),
        }
    }
}

fn named_status((status, count): (Status, usize)) -> (&'static str, u64) {
    (status.name(), count as u64)
}

fn dropped(stats: &stats::Stats) -> Counts {
    DropReason::ALL
        .map(|why| (why.name(), stats.dropped[why as usize]))
        .into()
}

fn payloads_refused(stats: &stats::Stats) -> Counts {
    let refused = &stats.payloads_refused;
    let mut counts = Counts::new();
    for (name, count) in Unfit::NAMES.into_iter().zip(refused.unfit) {
        counts.insert(name, count);
    }
    counts.insert("too_large", refused.too_large);
    counts
}
