//! What is known of a member that may be sick, and what to make of it: for people, in words.
//!
//! Nothing here decides anything, and nothing is said without evidence.

use core::net::SocketAddr;
use core::time::Duration;

use crate::detector::isolation::Isolation;
use crate::detector::probe_history::Answer;
use crate::detector::rtt::RoundTrip;
use crate::identity::lifecycle::Application;
use crate::identity::uri::Uri;
use crate::log_event::NEVER_HEARD;
use crate::security::seal::keyring::Keyring;
use crate::table::claim::Status;
use crate::table::member::{Dialect, Member};
use crate::time::Now;
use crate::wire::Duplicate;

/// What is known of one member.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// The member.
    pub uri: Uri,
    /// What it is held to be.
    pub status: Status,
    /// How long its answers take, smoothed.
    pub round_trip: Option<Duration>,
    /// How long ago it has answered a probe.
    pub silence: Option<Duration>,
    /// How far its clock is ahead of the local one, in µs.
    pub clock_delta: Option<f64>,
    /// What the last probes of it have come to, if there were any.
    pub probes: Option<Probes>,
    /// What is wrong with it, as far as can be told from here.
    pub hints: Vec<String>,
}

/// Which part of the last probes of a member, from 0 to 1, was not answered at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probes {
    /// It has answered, but not to the first ping, or late.
    pub late: f32,
    /// An answer came, but through another member.
    pub relayed: f32,
    /// No answer came.
    pub failed: f32,
}

/// What of the settings of the local node explains a failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings<'a> {
    /// How long an answer to a probe is waited for.
    pub patience: Duration,
    /// How long the answer to a ping may take: `ACK_TIMEOUT_SECONDS`.
    pub ack_timeout: Duration,
    /// The keys that are accepted.
    pub keys: &'a Keyring,
    /// The largest datagram that reaches the member, if not all sizes do.
    pub path_size: Option<usize>,
}

const UNDECODABLE: &str = "its datagrams cannot be decoded: has it another encryption key?";

/// Clocks that differ by less, in µs, are worth no words.
const CLOCK_DELTA_MAX: f64 = 1e6;

/// From which part of the probes on one can speak of loss: one that was lost, of the last four or more.
const LOSS_MIN: f32 = 0.25;

/// One missing answer may have been a pause: two weigh more than this.
const ONE_MISS: f32 = 1.5;

/// How many probes it takes to speak of loss.
const PROBES_MIN: f32 = 3.0;

impl Diagnosis {
    /// That of another member than the local node.
    pub(crate) fn of_member(member: &Member, settings: Settings<'_>, now: Now) -> Self {
        let probes = Probes::of(member);
        let mut diagnosis = Self::new(member, now);
        diagnosis.hints.extend(says_so_itself(member));
        diagnosis.hints.extend(undecodable(member));
        diagnosis.hints.extend(never_heard(member, probes));
        // What comes too late is not lost, and neither is what is not understood.
        if let Some(hint) = slow(member, settings.patience) {
            diagnosis.hints.push(hint);
        } else if let Some(hint) = other_key(member, probes, settings.keys) {
            diagnosis.hints.push(hint);
        } else {
            diagnosis.hints.extend(one_way(member, probes));
            diagnosis.hints.extend(lossy(member, probes));
            diagnosis.hints.extend(rotating(member, settings.keys));
        }
        diagnosis.hints.extend(far_away(member, &settings));
        diagnosis.hints.extend(large_is_lost(settings.path_size));
        diagnosis.hints.extend(clock_is_off(member));
        diagnosis
    }

    /// That of the local node, in a group of so many `others`.
    pub(crate) fn of_self(
        own: &Member,
        isolation: &Isolation,
        others: usize,
        application: Application,
        now: Now,
    ) -> Self {
        let mut diagnosis = Self::new(own, now);
        let mut hint = |text: &str| diagnosis.hints.push(text.into());
        if isolation.is_undecodable() {
            hint(
                "datagrams received, and none can be decoded: has the group another encryption key, cipher or label?",
            );
        } else if isolation.is_isolated() {
            hint("no datagrams received: check that the firewall lets UDP in");
        } else if isolation.is_unanswered(others) {
            hint("datagrams received, and no member answers: check that the firewall lets UDP out");
        }
        if let Application::Stalled(_) = application {
            hint("the Tarantool thread of this instance does not respond");
        } else if own.claim.status == Status::Suspect {
            hint(
                "the URI of this instance does not lead to it: check advertise_host, port and firewall",
            );
        }
        diagnosis
    }

    /// The same, if two processes use the URI. That comes first, for it may be the reason of all else.
    pub(crate) fn with_duplicate(mut self, duplicate: Option<Duplicate>) -> Self {
        let Some(Duplicate { one, other, .. }) = duplicate else {
            return self;
        };
        let name = |address: Option<SocketAddr>| match address {
            Some(address) => address.to_string(),
            None => "this one".into(),
        };
        let (one, other) = (name(one), name(other));
        let hint = format!("two processes use this URI: {one} and {other}");
        self.hints.insert(0, hint);
        self
    }

    /// The same, if it is known why datagrams from its address are dropped: without the hints that guess as much, or
    /// ask whether there are any.
    pub fn without_guesses(mut self) -> Self {
        self.hints
            .retain(|hint| hint != UNDECODABLE && hint != NEVER_HEARD);
        self
    }

    fn new(member: &Member, now: Now) -> Self {
        let evidence = &member.evidence;
        Self {
            uri: member.uri.clone(),
            status: member.claim.status,
            round_trip: member.round_trip.map(RoundTrip::smoothed),
            silence: evidence.silence(now.monotonic),
            clock_delta: member.clock_delta,
            probes: if evidence.probes() > 0.0 {
                Some(Probes::of(member))
            } else {
                None
            },
            hints: Vec::new(),
        }
    }
}

impl Probes {
    fn of(member: &Member) -> Self {
        Self {
            late: member.evidence.share(Answer::Late),
            relayed: member.evidence.share(Answer::Relayed),
            failed: member.evidence.share(Answer::Missing),
        }
    }
}

fn says_so_itself(member: &Member) -> Option<String> {
    if !matches!(member.claim.status, Status::Suspect | Status::Dead) {
        return None;
    }
    Some(format!("it {}", member.self_suspicion()?))
}

fn undecodable(member: &Member) -> Option<String> {
    if member.claim.status != Status::NonDecryptable {
        return None;
    }
    Some(UNDECODABLE.into())
}

fn never_heard(member: &Member, probes: Probes) -> Option<String> {
    let misses = probes.failed * member.evidence.probes();
    if member.dialect != Dialect::Unknown || misses < 1.0 {
        return None;
    }
    Some(NEVER_HEARD.into())
}

fn slow(member: &Member, patience: Duration) -> Option<String> {
    let round_trip = member.round_trip?.smoothed();
    if round_trip < patience {
        return None;
    }
    Some(format!(
        "its answers take {:.1} s, and probes wait {:.1} s: \
         set ACK_TIMEOUT_SECONDS higher than its answers take",
        round_trip.as_secs_f64(),
        patience.as_secs_f64(),
    ))
}

/// Answers that take less are near enough for any setting: a machine that is short of CPU answers as late.
const FAR_MIN: Duration = Duration::from_millis(100);

/// Its answers take four fifths of the time that they may take, or more: some of them come too late.
fn far_away(member: &Member, settings: &Settings<'_>) -> Option<String> {
    let round_trip = member.round_trip?.smoothed();
    let ack_timeout = settings.ack_timeout;
    if round_trip < FAR_MIN.max(ack_timeout * 4 / 5) || round_trip >= settings.patience {
        return None;
    }
    Some(format!(
        "its answers take {:.2} s, close to ACK_TIMEOUT_SECONDS ({:.2} s) or more: \
         with more delay pings are repeated in vain. Use the profile wan, or raise ACK_TIMEOUT_SECONDS",
        round_trip.as_secs_f64(),
        ack_timeout.as_secs_f64(),
    ))
}

fn other_key(member: &Member, probes: Probes, ours: &Keyring) -> Option<String> {
    // With a key that is accepted it is spoken to.
    if ours.get(member.keys.last()?).is_some() {
        return None;
    }
    // One that others have suspected we may not have probed often enough ourselves, and need not.
    let suspected = matches!(member.claim.status, Status::Suspect | Status::Dead);
    let misses = probes.failed * member.evidence.probes();
    if !suspected && misses <= ONE_MISS {
        return None;
    }
    let words = "it encrypts with another key than this instance, and does not answer: give both the same key";
    Some(words.into())
}

fn rotating(member: &Member, ours: &Keyring) -> Option<String> {
    let (uses, own) = (member.keys.uses()?, ours.sending()?.id());
    if uses == own || member.claim.status != Status::Alive {
        return None;
    }
    Some(format!(
        "it uses encryption key {uses}, and this instance {own}: finish the change of the key, see membership.keys()"
    ))
}

fn is_one_way(member: &Member, probes: Probes) -> bool {
    member.evidence.probes() >= 2.0 && probes.relayed >= 0.5
}

fn one_way(member: &Member, probes: Probes) -> Option<String> {
    let alive = member.claim.status == Status::Alive;
    let misses = probes.failed * member.evidence.probes();
    if is_one_way(member, probes) {
        Some("it answers through other members only: datagrams between it and this instance are lost".into())
    } else if alive && probes.failed >= LOSS_MIN && misses > ONE_MISS {
        let words =
            "it refutes suspicions, but does not answer: its datagrams to this instance are lost";
        Some(words.into())
    } else {
        None
    }
}

fn lossy(member: &Member, probes: Probes) -> Option<String> {
    let share = probes.late + probes.relayed;
    let enough = member.evidence.probes() >= PROBES_MIN && share >= LOSS_MIN;
    if !enough || is_one_way(member, probes) {
        return None;
    }
    let percent = 100.0 * share;
    Some(format!(
        "{percent:.0} % of the last probes took more than one ping: datagrams are lost, or it is slow"
    ))
}

fn large_is_lost(path_size: Option<usize>) -> Option<String> {
    let size = path_size?;
    Some(format!(
        "datagrams above {size} bytes do not reach it: lower MAX_PACKET_SIZE"
    ))
}

fn clock_is_off(member: &Member) -> Option<String> {
    let delta = member.clock_delta?;
    if delta.abs() <= CLOCK_DELTA_MAX {
        return None;
    }
    let direction = if delta > 0.0 { "ahead of" } else { "behind" };
    let seconds = delta.abs() / 1e6;
    Some(format!(
        "its clock is {seconds:.1} s {direction} the local clock"
    ))
}
