//! What the application is shown, and what of it the router itself looks at.

use core::time::Duration;

use crate::config::Config;
use crate::detector::app_ping::{PingId, PingOutcome};
use crate::detector::self_check::SelfSuspicion;
use crate::diagnosis::{Diagnosis, Settings};
use crate::identity::duplicates::MEMORY_MIN;
use crate::identity::lifecycle::{Application, payload_limit};
use crate::identity::uri::Uri;
use crate::security::acquaintance::Acquaintance;
use crate::security::seal::keyring::{BadKey, Keyring};
use crate::security::seal::{Opened, Seal};
use crate::stats::{Gauges, Stats};
use crate::table::changelog::Position;
use crate::table::changes::{Changes, Part};
use crate::table::claim::{Claim, Status};
use crate::table::history::{Change, Excerpt};
use crate::table::member::Member;
use crate::table::members::Members;
use crate::table::payload;
use crate::time::Now;
use crate::wire::Duplicate;
use crate::{Refused, Swim, invariants};

impl Swim {
    /// The URI of the local node, if it has one.
    pub const fn myself(&self) -> Option<&Uri> {
        self.me.uri.as_ref()
    }

    /// The claim of the local node about itself.
    pub(crate) fn own_claim(&self) -> Option<Claim> {
        self.members.claim(self.me.uri.as_deref()?)
    }

    /// Why the local node announces itself as suspect, if it does.
    pub(crate) fn own_self_suspicion(&self) -> Option<SelfSuspicion> {
        if self.own_claim()?.status != Status::Suspect {
            return None;
        }
        Some(match self.me.application {
            Application::Stalled(_) => SelfSuspicion::Stalled,
            Application::Running => SelfSuspicion::Unreachable,
        })
    }

    /// What is known of `uri`.
    pub fn member(&self, uri: &str) -> Option<&Member> {
        self.members.get(uri)
    }

    /// The table.
    pub const fn members(&self) -> &Members {
        &self.members
    }

    /// The options.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// What has become of a probe; [`PingOutcome::Waiting`] for ever when it is forgotten.
    pub fn outcome(&self, ticket: PingId) -> PingOutcome {
        match self.detector.app_pings.outcome(ticket) {
            Some(outcome) => outcome,
            None => PingOutcome::Waiting,
        }
    }

    /// Rises with every change of anything that users can see of a member.
    pub const fn version(&self) -> u64 {
        self.members.version()
    }

    /// The number of the last change that subscribers are to hear of: what [`Self::version`] was then.
    pub const fn news(&self) -> u64 {
        self.members.news()
    }

    /// Rises whenever something is decided that a user waits for: a probe, or a survey of keys.
    pub const fn decided(&self) -> u64 {
        self.detector.app_pings.decided() + self.security.key_survey.ended()
    }

    /// The counters.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The gauges.
    pub fn gauges(&self) -> Gauges {
        let (rumors_sent, rumors_expired) = self.rumors.tally();
        Gauges {
            members: Status::ALL.map(|status| (status, self.members.count(status))),
            round_trip: self
                .detector
                .prober
                .round_trip()
                .map(crate::detector::rtt::RoundTrip::smoothed),
            rumors: self.rumors.len(),
            rumors_sent,
            rumors_expired,
            history_kept: self.members.history().len(),
            history_forgotten: self.members.history().forgotten(),
            isolated: self.detector.isolation.is_isolated(),
            other_keys: self.count_other_keys(),
        }
    }

    /// How many rumors are being spread.
    pub fn rumors(&self) -> usize {
        self.rumors.len()
    }

    /// The key to send with, as membership 2.x uses it: 32 bytes.
    pub fn encryption_key(&self) -> Option<&[u8]> {
        self.security.keys.sending().map(|key| &key.block()[..])
    }

    /// Whether [`Self::set_encryption_keys`] would change nothing.
    pub fn has_encryption_keys(&self, keys: &[&[u8]]) -> Result<bool, BadKey> {
        let mut wanted = Keyring::default();
        wanted.set(keys.iter().copied())?;
        Ok(self.security.keys.is_same(&wanted))
    }

    /// Whether this key is among those that are understood.
    pub fn understands_key(&self, key: &[u8]) -> bool {
        self.security.keys.has(key)
    }

    /// How datagrams are sealed and opened at this moment.
    pub(super) fn seal(&self) -> Seal<'_> {
        Seal {
            keys: &self.security.keys,
            cipher: self.config.encryption_cipher,
            iv: &self.config.encryption_init,
            label: &self.config.group_label,
        }
    }

    /// How many bytes of MessagePack a datagram can hold.
    pub(super) fn datagram_capacity(&self) -> usize {
        self.seal().capacity(self.config.max_packet_size)
    }

    /// How large the payload may be, in bytes.
    pub fn payload_limit(&self) -> usize {
        payload_limit(self.me.uri.as_ref(), &self.config)
    }

    /// Whether a member of this URI, with this configuration, could have this payload.
    pub fn check_payload(bytes: &[u8], uri: &Uri, config: &Config) -> Result<(), Refused> {
        let (size, limit) = (bytes.len(), payload_limit(Some(uri), config));
        if size > limit {
            return Err(Refused::PayloadTooLarge { size, limit });
        }
        payload::check(bytes).map_err(Refused::PayloadUnfit)
    }

    /// Whether what is sent may have to be sealed with a number that is never used twice.
    pub fn needs_salt(&self) -> bool {
        self.seal().takes_aead()
    }

    /// How well `uri` is known.
    pub fn acquaintance(&self, uri: &Uri) -> Acquaintance {
        if self.me.is(uri) || self.detector.app_pings.waits_for(uri) {
            return Acquaintance::Known;
        }
        match self.members.get(uri) {
            Some(member) if member.has_answered => Acquaintance::Known,
            Some(member) => member.acquaintance,
            None if self.detector.candidates.contains(uri) => Acquaintance::Introduced,
            None => Acquaintance::Stranger,
        }
    }

    /// Opens a datagram of this group as if it were sent now: for the observers of simulated groups.
    pub fn peek<'d>(&self, datagram: &'d [u8]) -> Option<Opened<'d>> {
        self.seal().open(datagram).ok()
    }

    /// What a reader that has read so far has missed, or the first part of it: at most `count` changes.
    pub fn changes_since(&self, position: Position, count: usize) -> Changes<'_> {
        self.members.changes_since(position, count)
    }

    /// The members that changed after change number `version`, in what subscribers are told of, or the
    /// first of them; `None` if the changelog does not reach back so far.
    pub fn news_since(&self, version: u64, count: usize) -> Option<Part<'_>> {
        self.members.news_since(version, count)
    }

    /// The first `count` changes after change number `version`, of those that subscribers are told of: each of them,
    /// in order and with its reason, as far as it is remembered.
    pub fn history_since(&self, version: u64, count: usize) -> Excerpt {
        self.members.history_since(version, count)
    }

    /// The last `count` changes of `uri`, known or not, as far as they are remembered; the oldest first.
    pub fn history_of(&self, uri: &str, count: usize) -> Vec<Change> {
        self.members.history().of(uri, count)
    }

    /// What is known of `uri`, and what is wrong with it as far as can be told from here.
    pub fn diagnose(&self, uri: &str, now: Now) -> Option<Diagnosis> {
        let member = self.members.get(uri)?;
        if !self.me.is(uri) {
            let settings = Settings {
                patience: self.config.protocol_period.max(self.config.ack_timeout),
                ack_timeout: self.config.ack_timeout,
                keys: &self.security.keys,
                path_size: self.detector.path_mtu.size_to(&member.uri),
            };
            let duplicate = self.duplicate_of(&member.uri, now);
            let diagnosis = Diagnosis::of_member(member, settings, now);
            return Some(diagnosis.with_duplicate(duplicate));
        }
        let others = self.members.live().len().saturating_sub(1);
        let (isolation, application) = (&self.detector.isolation, self.me.application);
        let diagnosis = Diagnosis::of_self(member, isolation, others, application, now);
        Some(diagnosis.with_duplicate(self.own_duplicate(now)))
    }

    /// For how long it counts that two processes were seen with one URI: until each should have pinged this
    /// member again.
    pub(super) fn duplicate_memory(&self) -> Duration {
        let rounds = u32::try_from(3 * self.members.live().len()).unwrap_or(u32::MAX);
        MEMORY_MIN + self.config.protocol_period.saturating_mul(rounds)
    }

    /// Where the two processes are that use the URI of another member, if there are two.
    fn duplicate_of(&self, uri: &Uri, now: Now) -> Option<Duplicate> {
        self.detector
            .duplicates
            .of(uri, self.duplicate_memory(), now.monotonic)
    }

    /// Where this process and another are that uses the local URI, if there is one.
    pub(super) fn own_duplicate(&self, now: Now) -> Option<Duplicate> {
        let memory = self.duplicate_memory();
        let other = self.detector.duplicates.double(memory, now.monotonic)?;
        Some(Duplicate {
            uri: self.me.uri.clone()?,
            one: self.detector.duplicates.own_address(),
            other: Some(other),
        })
    }

    /// Says what is wrong, if anything is: whether all that is kept in two places is the same in both,
    /// and everything that could grow is within its bound. Looks at the whole table.
    pub fn audit(&self) -> Result<(), &'static str> {
        invariants::audit(self)
    }
}
