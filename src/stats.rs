//! The counters and gauges, as a tree for Lua.

use mlua::{BString, Lua};

use super::tree::Node;
use super::tree::Node::{Count, Flag, Table};
use super::{Answer, message};
use node::node;
use node::observe::metrics::Metrics;
use swim::stats::{Stats, Traffic};
use swim::table::payload::Unfit;
use swim::wire::{DropReason, MessageType};

/// All of them: nested maps with numbers, times being in seconds.
pub fn stats(_: &Lua, (): ()) -> Answer<BString> {
    let figures = node().metrics().map_err(message)?;
    Ok(encode(&figures).into())
}

fn encode(figures: &Metrics) -> Vec<u8> {
    let mut entries = protocol(figures);
    entries.extend(traffic(figures));
    entries.extend(machine(figures));
    let mut blob = Vec::with_capacity(2048);
    Table(entries).write(&mut blob);
    blob
}

type Entries = Vec<(&'static str, Node)>;

/// Who there is, and how that is found out.
fn protocol(figures: &Metrics) -> Entries {
    let Metrics { stats, gauges, .. } = figures;
    let members = gauges
        .members
        .map(|(status, count)| (status.name(), count as u64));
    let by_relay = stats.probes_answered_by_relay;
    let probes = [
        ("sent", stats.probes),
        ("answered_directly", stats.probes_answered - by_relay),
        ("answered_by_relay", by_relay),
        ("failed", stats.probes_failed),
    ];
    let round_trip = vec![
        ("last_seconds", Node::time(stats.round_trips.last())),
        ("smoothed_seconds", Node::time(gauges.round_trip)),
        ("p99_seconds", Node::time(stats.round_trips.p99())),
    ];
    let suspicions = [
        ("raised", stats.suspicions),
        ("refuted", stats.suspicions_refuted),
        ("turned_dead", stats.suspicions_ripened),
    ];
    let rumors = [
        ("queued", gauges.rumors as u64),
        ("sent", gauges.rumors_sent),
        ("expired", gauges.rumors_expired),
    ];
    let syncs = [("begun", stats.syncs), ("answered", stats.syncs_answered)];
    let repairs = [
        ("begun", stats.repairs),
        ("answered", stats.repairs_answered),
    ];
    vec![
        ("members", Node::counts(members)),
        ("members_refused", Count(stats.members_refused)),
        ("members_displaced", Count(stats.members_displaced)),
        ("probes", Node::counts(probes)),
        ("round_trip", Table(round_trip)),
        ("suspicions", Node::counts(suspicions)),
        ("refutations", Count(stats.refutations)),
        ("rumors", Node::counts(rumors)),
        ("syncs", Node::counts(syncs)),
        ("repairs", Node::counts(repairs)),
    ]
}

/// What is sent and received.
fn traffic(figures: &Metrics) -> Entries {
    let Metrics { stats, .. } = figures;
    let relays = [
        ("passed_on", stats.relayed),
        ("refused", stats.relays_refused),
    ];
    vec![
        ("sent", by_type(&stats.sent)),
        ("received", by_type(&stats.received)),
        ("dropped", dropped(stats)),
        ("events_skipped", Count(stats.events_skipped)),
        ("payloads_refused", payloads_refused(stats)),
        ("challenges", Count(stats.challenges)),
        ("acks_unsolicited", Count(stats.acks_unsolicited)),
        ("oversized", Count(stats.oversized)),
        ("amplification_limited", Count(stats.amplification_limited)),
        ("send_errors", Count(figures.send_errors)),
        ("turned_away", Count(figures.turned_away)),
        ("relays", Node::counts(relays)),
    ]
}

/// Whether this process is as it should be.
fn machine(figures: &Metrics) -> Entries {
    let Metrics {
        stats,
        gauges,
        lookups,
        ..
    } = figures;
    let stalls = vec![
        ("count", Count(stats.stalls)),
        ("longest_seconds", Node::time(figures.longest_stall)),
    ];
    let isolation = vec![
        ("count", Count(stats.isolations)),
        ("now", Flag(gauges.isolated)),
    ];
    let resolver = vec![
        ("queries", Count(lookups.queries)),
        ("failures", Count(lookups.failures)),
        ("refused", Count(lookups.refused)),
        ("longest_seconds", Node::time(lookups.longest)),
    ];
    let lock = vec![("longest_seconds", Node::time(figures.longest_hold))];
    vec![
        ("stalls", Table(stalls)),
        ("pauses", Count(stats.pauses)),
        ("isolation", Table(isolation)),
        ("resolver", Table(resolver)),
        ("lock", Table(lock)),
    ]
}

fn by_type(traffic: &Traffic) -> Node {
    let each = |part: fn((u64, u64)) -> u64| {
        Node::counts(MessageType::ALL.map(|kind| (kind.name(), part(traffic.of(kind)))))
    };
    Table(vec![
        ("datagrams", each(|(datagrams, _)| datagrams)),
        ("bytes", each(|(_, bytes)| bytes)),
    ])
}

fn payloads_refused(stats: &Stats) -> Node {
    let refused = &stats.payloads_refused;
    let too_large = ("too_large", Count(refused.too_large));
    let unfit = Unfit::NAMES.into_iter().zip(refused.unfit.map(Count));
    Table(unfit.chain([too_large]).collect())
}

fn dropped(stats: &Stats) -> Node {
    Node::counts(DropReason::ALL.map(|why| (why.name(), stats.dropped[why as usize])))
}
