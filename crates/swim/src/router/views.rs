//! What the application is shown, and what of it the router itself looks at.

use core::net::SocketAddr;
use core::time::Duration;

use crate::config::Config;
use crate::detector::app_ping::{PingId, PingOutcome};
use crate::detector::candidates::{Memory, Worth};
use crate::detector::self_check::SelfSuspicion;
use crate::diagnosis::{Diagnosis, Settings};
use crate::identity::duplicates::MEMORY_MIN;
use crate::identity::lifecycle::{Application, payload_limit};
use crate::identity::uri::Uri;
use crate::security::acquaintance::Acquaintance;
use crate::security::key_survey::SurveyId;
use crate::security::rotation::MemberKeys;
use crate::security::seal::keyring::{BadKey, Key, KeyId, Keyring};
use crate::security::seal::{Opened, Seal};
use crate::stats::{Gauges, Stats};
use crate::table::changelog::Position;
use crate::table::changes::{Changes, Part};
use crate::table::claim::{Claim, Status};
use crate::table::history::{Change, Excerpt};
use crate::table::member::Member;
use crate::table::members::Members;
use crate::table::payload;
use crate::time::{Micros, Now};
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

    /// The keys of all members that have not left, as the last survey has found them. None if nothing is
    /// encrypted.
    pub fn member_keys(&self) -> Vec<MemberKeys> {
        let own: Vec<KeyId> = self.security.keys.ids().collect();
        let mut all = Vec::new();
        if own.is_empty() || self.me.uri.is_none() {
            return all;
        }
        for member in self.members.from(0) {
            if member.claim.status == Status::Left {
                continue;
            }
            let mut keys = MemberKeys::of(member, self.security.key_survey.answer(&member.uri));
            if self.me.is(&member.uri) {
                keys.uses = own.first().copied();
                keys.accepts = Some(own.clone());
                keys.is_silent = false;
            }
            all.push(keys);
        }
        all
    }

    /// Whether all have answered, or do not.
    pub const fn has_key_survey_ended(&self, id: SurveyId) -> bool {
        self.security.key_survey.has_ended(id)
    }

    /// How many live members use another key than the local node, as far as their datagrams show.
    pub(crate) fn count_other_keys(&self) -> usize {
        let Some(own) = self.security.keys.sending().map(Key::id) else {
            return 0;
        };
        let mut count = 0;
        for member in self.members.live() {
            let uses = member.keys.uses();
            count += usize::from(!self.me.is(&member.uri) && uses.is_some() && uses != Some(own));
        }
        count
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

    /// Why a user cannot have this member, if that is known.
    pub fn refusal(&self, uri: &Uri) -> Option<Refused> {
        if self.me.is(uri) {
            return None;
        }
        if self.allowed.refuses(uri) {
            return Some(Refused::NotAllowed);
        }
        let is_excluded = self.config.allowed_networks.exclude(uri);
        is_excluded.then_some(Refused::Elsewhere)
    }

    /// Whether nothing that comes from there is taken in, unless it is an address of the local node.
    pub fn is_elsewhere(&self, source: SocketAddr) -> bool {
        !self.config.allowed_networks.allow(source.ip())
    }

    /// Whether the name of `uri` was found to lead elsewhere.
    pub fn leads_elsewhere(&self, uri: &Uri, now: Now) -> bool {
        self.security.elsewhere.has(uri, now.monotonic)
    }

    /// What is to be remembered of the members from number `start` on, at most so many. A member that
    /// only strangers have mentioned is left out.
    pub fn memories(&self, start: usize, count: usize) -> Vec<Memory> {
        let mut memories = Vec::new();
        for member in self.members.from(start).take(count) {
            if let Some(worth) = self.worth(member) {
                let uri = member.uri.clone();
                memories.push(Memory { worth, uri });
            }
        }
        memories
    }

    /// The members of a former life that have not answered yet.
    pub fn candidates(&self) -> Vec<Memory> {
        let mut memories = Vec::new();
        for uri in self.detector.candidates.iter() {
            memories.push(Memory {
                worth: Worth::Candidate,
                uri: uri.clone(),
            });
        }
        memories
    }

    fn worth(&self, member: &Member) -> Option<Worth> {
        let is_of_strangers = !member.has_answered && member.acquaintance == Acquaintance::Stranger;
        if self.me.is(&member.uri) || is_of_strangers {
            return None;
        }
        match member.claim.status {
            Status::Left => None,
            Status::Dead | Status::NonDecryptable => Some(Worth::Gone),
            Status::Alive | Status::Suspect => Some(match member.evidence.answered() {
                Micros(0) => Worth::Told,
                answered => Worth::Heard(answered),
            }),
        }
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
