//! The tunables, under the names that users give them.

use core::ops::RangeInclusive;
use core::time::Duration;

use thiserror::Error;

use crate::mechanisms::Mechanisms;
use crate::profile::{Assigned, Profile};
use crate::security::networks::{BadNetworks, Networks};
use crate::security::seal::{BLOCK_SIZE, Cipher};

/// What can be tuned while the protocol runs. A change takes effect with the next period.
#[derive(Clone, Debug)]
pub struct Config {
    /// `PROTOCOL_PERIOD_SECONDS`: T' of §3.1. One member is probed per period.
    pub protocol_period: Duration,
    /// `ACK_TIMEOUT_SECONDS`: how long an answer may take, at most, before others are asked to ask.
    pub ack_timeout: Duration,
    /// `ANTI_ENTROPY_PERIOD_SECONDS`: how often tables are compared with a member.
    pub anti_entropy_period: Duration,
    /// `SUSPECT_TIMEOUT_SECONDS`: how long a suspect has to refute (§4.2).
    pub suspect_timeout: Duration,
    /// `SUSPECT_TIMEOUT_MIN_SECONDS`: how long a suspect has at least, when several members have found that it does not
    /// answer; zero: as long as ever. No longer than `suspect_timeout`.
    pub suspect_timeout_min: Duration,
    /// `GOSSIP_INTERVAL_SECONDS`: how often news is pushed while there is any.
    pub gossip_interval: Duration,
    /// `SUSPICIOUSNESS`: whether to suspect members at all.
    pub suspiciousness: bool,
    /// `NUM_FAILURE_DETECTION_SUBGROUPS`: k of §3.1, how many others are asked to ask at a time.
    pub relays: usize,
    /// `RETRANSMIT_MULTIPLIER`: λ of §4.1. News is sent λ·⌈log2(N + 1)⌉ times by each member.
    pub retransmit_multiplier: usize,
    /// `MAX_PACKET_SIZE`: no datagram is larger, in bytes.
    pub max_packet_size: usize,
    /// `ENCRYPTION_INIT`: the initialisation vector of that of membership 2.x encryption.
    pub encryption_init: [u8; BLOCK_SIZE],
    /// `ENCRYPTION_CIPHER`: what is sent and taken, once there is a key.
    pub encryption_cipher: Cipher,
    /// `GROUP_LABEL`: members of groups with another one are ignored; empty is none.
    pub group_label: Vec<u8>,
    /// `ALLOWED_NETWORKS`: where members may be; none is anywhere.
    pub allowed_networks: Networks,
    /// `MAX_MEMBERS`: strangers beyond so many are refused.
    pub max_members: usize,
    /// `REAP_TIMEOUT_SECONDS`: members that are dead or have left are forgotten after this; zero is never.
    pub reap_timeout: Duration,
    /// `TX_STALL_TIMEOUT_SECONDS`: how long the application may hang before this member says itself
    /// that it is suspect; zero is for ever, and less than 0.25 s is refused: it shows that it runs
    /// four times a second. The node watches that.
    pub tx_stall_timeout: Duration,
    /// What is at work beyond plain SWIM; for simulations to change.
    pub mechanisms: Mechanisms,
    /// From which profile the options are that no program has assigned.
    pub profile: Profile,
    /// Which options a program has assigned: no profile changes them.
    pub assigned: Assigned,
}

const _: () = assert!(
    Config::NAMES.len() <= u32::BITS as usize,
    "there is a bit for each"
);

impl Default for Config {
    fn default() -> Self {
        Self {
            protocol_period: Duration::from_secs(1),
            ack_timeout: Duration::from_millis(200),
            anti_entropy_period: Duration::from_secs(10),
            suspect_timeout: Duration::from_secs(3),
            suspect_timeout_min: Duration::ZERO,
            gossip_interval: Duration::from_millis(50),
            suspiciousness: true,
            relays: 3,
            retransmit_multiplier: 3,
            max_packet_size: PACKET_SIZE_USUAL,
            encryption_init: *b"init-key-16-byte",
            encryption_cipher: Cipher::default(),
            group_label: Vec::new(),
            allowed_networks: Networks::default(),
            max_members: 65_536,
            reap_timeout: Duration::ZERO,
            tx_stall_timeout: Duration::from_secs(3),
            mechanisms: Mechanisms::ALL,
            profile: Profile::default(),
            assigned: Assigned::default(),
        }
    }
}

/// The value of an option, as Lua knows it.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// Seconds or a count.
    Number(f64),
    /// Yes or no.
    Flag(bool),
    /// Bytes.
    Text(Vec<u8>),
    /// Texts.
    List(Vec<String>),
}

/// An option, ready to be read or assigned.
enum Field<'a> {
    /// Seconds, more than none: a timer that were due again at once would never let go.
    Period(&'a mut Duration),
    /// Seconds, perhaps none.
    Wait(&'a mut Duration),
    /// Seconds, none for never, or so many that being late is not taken for hanging.
    Stall(&'a mut Duration),
    Flag(&'a mut bool),
    Count(&'a mut usize, RangeInclusive<usize>),
    Block(&'a mut [u8; BLOCK_SIZE]),
    Cipher(&'a mut Cipher),
    Label(&'a mut Vec<u8>),
    Networks(&'a mut Networks),
}

/// The shortest period: below it the engine would do nothing but keep time.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// The shortest time to hang: as long as it takes until the application shows again that it runs.
pub const STALL_MIN: Duration = Duration::from_millis(250);

/// The longest wait: a thousand years would overflow nothing, but is not meant.
const WAIT_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The longest label, in bytes: it goes with every datagram.
const LABEL_SIZE_MAX: usize = 64;

/// Every IPv4 host takes datagrams of 576 bytes, headers included; in less than 512 there is no room for
/// a payload, once URIs and authentication have theirs. The largest UDP can hold 65,507.
const PACKET_SIZES: RangeInclusive<usize> = 512..=65_507;

/// The options with numbers that membership 2.x has as well. It checks none of them, so programs assign
/// what they like: what cannot be is taken as the nearest number that can.
const LENIENT: [&str; 6] = [
    "PROTOCOL_PERIOD_SECONDS",
    "ACK_TIMEOUT_SECONDS",
    "ANTI_ENTROPY_PERIOD_SECONDS",
    "SUSPECT_TIMEOUT_SECONDS",
    "NUM_FAILURE_DETECTION_SUBGROUPS",
    "MAX_PACKET_SIZE",
];
/// Ethernet's 1500 bytes, less the headers of IPv4 (20) and UDP (8).
pub const PACKET_SIZE_USUAL: usize = 1500 - 20 - 8;

/// The same with the header of IPv6 (40).
pub const PACKET_SIZE_OF_IPV6: usize = 1500 - 40 - 8;

impl Config {
    /// Every name, in the order in which they are documented.
    pub const NAMES: [&str; 17] = [
        "PROTOCOL_PERIOD_SECONDS",
        "ACK_TIMEOUT_SECONDS",
        "ANTI_ENTROPY_PERIOD_SECONDS",
        "SUSPICIOUSNESS",
        "SUSPECT_TIMEOUT_SECONDS",
        "SUSPECT_TIMEOUT_MIN_SECONDS",
        "NUM_FAILURE_DETECTION_SUBGROUPS",
        "MAX_PACKET_SIZE",
        "ENCRYPTION_INIT",
        "ENCRYPTION_CIPHER",
        "GROUP_LABEL",
        "ALLOWED_NETWORKS",
        "GOSSIP_INTERVAL_SECONDS",
        "RETRANSMIT_MULTIPLIER",
        "MAX_MEMBERS",
        "REAP_TIMEOUT_SECONDS",
        "TX_STALL_TIMEOUT_SECONDS",
    ];

    /// The largest datagram that is taken in, in bytes. Peers may send more than this member does: those
    /// of membership 2.x, and those on which `MAX_PACKET_SIZE` has not been lowered yet.
    pub fn datagram_size_max(&self) -> usize {
        self.max_packet_size.max(PACKET_SIZE_USUAL)
    }

    fn field(&mut self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "PROTOCOL_PERIOD_SECONDS" => Field::Period(&mut self.protocol_period),
            "ACK_TIMEOUT_SECONDS" => Field::Wait(&mut self.ack_timeout),
            "ANTI_ENTROPY_PERIOD_SECONDS" => Field::Period(&mut self.anti_entropy_period),
            "SUSPICIOUSNESS" => Field::Flag(&mut self.suspiciousness),
            "SUSPECT_TIMEOUT_SECONDS" => Field::Wait(&mut self.suspect_timeout),
            "SUSPECT_TIMEOUT_MIN_SECONDS" => Field::Wait(&mut self.suspect_timeout_min),
            "NUM_FAILURE_DETECTION_SUBGROUPS" => Field::Count(&mut self.relays, 0..=64),
            "MAX_PACKET_SIZE" => Field::Count(&mut self.max_packet_size, PACKET_SIZES),
            "GOSSIP_INTERVAL_SECONDS" => Field::Period(&mut self.gossip_interval),
            "RETRANSMIT_MULTIPLIER" => Field::Count(&mut self.retransmit_multiplier, 1..=64),
            "ENCRYPTION_INIT" => Field::Block(&mut self.encryption_init),
            "ENCRYPTION_CIPHER" => Field::Cipher(&mut self.encryption_cipher),
            "GROUP_LABEL" => Field::Label(&mut self.group_label),
            "ALLOWED_NETWORKS" => Field::Networks(&mut self.allowed_networks),
            "MAX_MEMBERS" => Field::Count(&mut self.max_members, 1..=1 << 24),
            "REAP_TIMEOUT_SECONDS" => Field::Wait(&mut self.reap_timeout),
            "TX_STALL_TIMEOUT_SECONDS" => Field::Stall(&mut self.tx_stall_timeout),
            _ => return None,
        })
    }

    /// The value of an option, or `None` if there is no such option.
    pub fn get(&self, name: &str) -> Option<Setting> {
        // One list of fields serves for reading and writing.
        let mut copy = self.clone();
        Some(match copy.field(name)? {
            Field::Period(duration) | Field::Wait(duration) | Field::Stall(duration) => {
                Setting::Number(duration.as_secs_f64())
            }
            Field::Flag(flag) => Setting::Flag(*flag),
            Field::Block(block) => Setting::Text(block.to_vec()),
            Field::Cipher(cipher) => Setting::Text(cipher.name().into()),
            Field::Label(label) => Setting::Text(label.clone()),
            Field::Networks(networks) => Setting::List(networks.to_texts()),
            Field::Count(count, _) => Setting::Number(*count as f64),
        })
    }

    /// The number nearest to `number` that [`Self::assign`] takes, for an option of membership 2.x.
    ///
    /// `None` for other options, and for what is no number of anything: NaN, or less than nothing.
    pub fn nearest(&self, name: &str, number: f64) -> Option<f64> {
        if !LENIENT.contains(&name) || number.is_nan() || number < 0.0 {
            return None;
        }
        let (number, least, most) = match self.clone().field(name)? {
            Field::Period(_) => (number, PERIOD_MIN.as_secs_f64(), WAIT_MAX.as_secs_f64()),
            Field::Wait(_) => (number, 0.0, WAIT_MAX.as_secs_f64()),
            Field::Count(_, range) => {
                let (least, most) = range.into_inner();
                (number.round(), least as f64, most as f64)
            }
            _ => return None,
        };
        Some(number.clamp(least, most))
    }

    /// Assigns an option, or says why not and leaves it as it was. No profile changes it from then on.
    pub fn assign(&mut self, name: &str, setting: Setting) -> Result<(), BadOption> {
        self.set(name, setting)?;
        self.note_assigned(name, true);
        Ok(())
    }

    /// Whether a program has assigned this option.
    pub(crate) fn is_assigned(&self, name: &str) -> bool {
        match Self::NAMES.iter().position(|known| *known == name) {
            Some(index) => self.assigned.has(index),
            None => false,
        }
    }

    /// Notes whether a program has assigned this option.
    pub(crate) fn note_assigned(&mut self, name: &str, is_assigned: bool) {
        if let Some(index) = Self::NAMES.iter().position(|known| *known == name) {
            self.assigned.note(index, is_assigned);
        }
    }

    /// Sets an option, for a program or for a profile.
    pub(crate) fn set(&mut self, name: &str, setting: Setting) -> Result<(), BadOption> {
        let field = self.field(name).ok_or(BadOption::Unknown)?;
        match (field, setting) {
            (Field::Period(duration), Setting::Number(seconds)) => {
                *duration = match wait(seconds) {
                    Some(period) if period >= PERIOD_MIN => period,
                    _ => return Err(BadOption::Period),
                };
            }
            (Field::Wait(duration), Setting::Number(seconds)) => {
                *duration = wait(seconds).ok_or(BadOption::Wait)?;
            }
            (Field::Stall(duration), Setting::Number(seconds)) => {
                *duration = match wait(seconds) {
                    Some(stall) if stall.is_zero() || stall >= STALL_MIN => stall,
                    _ => return Err(BadOption::Stall),
                };
            }
            (Field::Count(count, range), Setting::Number(number)) => {
                let is_whole = number.fract() == 0.0 && number >= 0.0;
                if !is_whole || !range.contains(&(number as usize)) {
                    let (least, most) = (*range.start(), *range.end());
                    return Err(BadOption::Count { least, most });
                }
                *count = number as usize;
            }
            (Field::Flag(flag), Setting::Flag(value)) => *flag = value,
            (Field::Block(block), Setting::Text(text)) => {
                let Ok(text) = text.try_into() else {
                    return Err(BadOption::Block);
                };
                *block = text;
            }
            (Field::Cipher(cipher), Setting::Text(name)) => {
                *cipher = Cipher::from_name(&name).ok_or(BadOption::Cipher)?;
            }
            (Field::Label(label), Setting::Text(text)) if text.len() <= LABEL_SIZE_MAX => {
                *label = text;
            }
            (Field::Networks(networks), Setting::List(texts)) => {
                *networks = Networks::parse(&texts)?;
            }
            (Field::Networks(_), _) => return Err(BadOption::Type { expected: "table" }),
            (Field::Label(_), Setting::Text(_)) => return Err(BadOption::Label),
            (Field::Block(_) | Field::Cipher(_) | Field::Label(_), _) => {
                return Err(BadOption::Type { expected: "string" });
            }
            (Field::Flag(_), _) => {
                return Err(BadOption::Type {
                    expected: "boolean",
                });
            }
            (_, _) => return Err(BadOption::Type { expected: "number" }),
        }
        Ok(())
    }
}

fn wait(seconds: f64) -> Option<Duration> {
    match Duration::try_from_secs_f64(seconds) {
        Ok(wait) if wait <= WAIT_MAX => Some(wait),
        _ => None,
    }
}

/// Why an option was not assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadOption {
    /// There is none of this name.
    #[error("options table is readonly")]
    Unknown,
    /// It is of another type.
    #[error("{expected} expected")]
    Type {
        /// The type it is of, as Lua calls it.
        expected: &'static str,
    },
    /// Not a number of seconds that a period can last.
    #[error("seconds between {} and {} expected", PERIOD_MIN.as_secs_f64(), WAIT_MAX.as_secs())]
    Period,
    /// Not a number of seconds to wait.
    #[error("seconds between 0 and {} expected", WAIT_MAX.as_secs())]
    Wait,
    /// Neither zero nor a number of seconds after which something hangs.
    #[error("0 or seconds between {} and {} expected", STALL_MIN.as_secs_f64(), WAIT_MAX.as_secs())]
    Stall,
    /// Not as many bytes as a block of the cipher.
    #[error("string of {BLOCK_SIZE} bytes expected")]
    Block,
    /// Not the name of a cipher.
    #[error("one of {} expected", Cipher::ALL.map(Cipher::name).join(", "))]
    Cipher,
    /// More bytes than a label may have.
    #[error("string of at most {LABEL_SIZE_MAX} bytes expected")]
    Label,
    /// Not networks.
    #[error(transparent)]
    Networks(#[from] BadNetworks),
    /// Not a whole number between the bounds.
    #[error("whole number between {least} and {most} expected")]
    Count {
        /// The lower bound.
        least: usize,
        /// The upper bound.
        most: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_can_be_read_and_assigned_its_own_value() {
        let mut config = Config::default();
        for name in Config::NAMES {
            let setting = config.get(name).unwrap();
            assert_eq!(config.assign(name, setting.clone()), Ok(()), "{name}");
            assert_eq!(config.get(name), Some(setting), "{name}");
        }
    }

    #[test]
    fn a_bad_value_is_refused_and_changes_nothing() {
        let mut config = Config::default();
        let number = Setting::Number;
        let rows = [
            ("PROTOCOL_PERIOD_SECONDS", number(0.0), BadOption::Period),
            ("PROTOCOL_PERIOD_SECONDS", number(-1.0), BadOption::Period),
            (
                "PROTOCOL_PERIOD_SECONDS",
                number(f64::NAN),
                BadOption::Period,
            ),
            (
                "PROTOCOL_PERIOD_SECONDS",
                number(f64::INFINITY),
                BadOption::Period,
            ),
            ("GOSSIP_INTERVAL_SECONDS", number(1e-9), BadOption::Period),
            ("ACK_TIMEOUT_SECONDS", number(-0.1), BadOption::Wait),
            ("TX_STALL_TIMEOUT_SECONDS", number(0.249), BadOption::Stall),
            ("TX_STALL_TIMEOUT_SECONDS", number(-0.1), BadOption::Stall),
            (
                "SUSPECT_TIMEOUT_SECONDS",
                Setting::Flag(true),
                BadOption::Type { expected: "number" },
            ),
            (
                "SUSPICIOUSNESS",
                number(1.0),
                BadOption::Type {
                    expected: "boolean",
                },
            ),
            (
                "NUM_FAILURE_DETECTION_SUBGROUPS",
                number(1.5),
                BadOption::Count { least: 0, most: 64 },
            ),
            (
                "NUM_FAILURE_DETECTION_SUBGROUPS",
                number(-1.0),
                BadOption::Count { least: 0, most: 64 },
            ),
            (
                "ENCRYPTION_INIT",
                Setting::Text(b"short".to_vec()),
                BadOption::Block,
            ),
            (
                "ENCRYPTION_INIT",
                number(1.0),
                BadOption::Type { expected: "string" },
            ),
            (
                "MAX_PACKET_SIZE",
                number(70_000.0),
                BadOption::Count {
                    least: 512,
                    most: 65_507,
                },
            ),
            ("PROTOCOL_PERIOD", number(1.0), BadOption::Unknown),
        ];
        for (name, setting, why) in rows {
            let before = config.get(name);
            assert_eq!(config.assign(name, setting), Err(why), "{name}");
            assert_eq!(config.get(name), before, "{name}");
        }
    }

    #[test]
    fn a_number_that_membership_2_takes_has_a_nearest_one_here() {
        let mut config = Config::default();
        let year = 365.0 * 24.0 * 3600.0;
        for (name, number, nearest) in [
            ("PROTOCOL_PERIOD_SECONDS", 0.0, 0.001),
            ("PROTOCOL_PERIOD_SECONDS", -0.0, 0.001),
            ("PROTOCOL_PERIOD_SECONDS", 1e-300, 0.001),
            ("ANTI_ENTROPY_PERIOD_SECONDS", f64::INFINITY, year),
            ("ACK_TIMEOUT_SECONDS", f64::MAX, year),
            ("SUSPECT_TIMEOUT_SECONDS", 1e9, year),
            ("NUM_FAILURE_DETECTION_SUBGROUPS", 100.0, 64.0),
            ("NUM_FAILURE_DETECTION_SUBGROUPS", 2.5, 3.0),
            ("NUM_FAILURE_DETECTION_SUBGROUPS", f64::INFINITY, 64.0),
            ("MAX_PACKET_SIZE", 500.0, 512.0),
            ("MAX_PACKET_SIZE", 65_536.0, 65_507.0),
            ("MAX_PACKET_SIZE", 1472.4, 1472.0),
        ] {
            let refused = config.assign(name, Setting::Number(number));
            assert!(refused.is_err(), "{name} = {number}");
            assert_eq!(config.nearest(name, number), Some(nearest), "{name}");
            let assigned = config.assign(name, Setting::Number(nearest));
            assert_eq!(assigned, Ok(()), "{name} = {nearest}");
        }
    }

    #[test]
    fn what_is_no_number_of_anything_has_no_nearest_one_nor_has_a_new_option() {
        let config = Config::default();
        for name in LENIENT {
            assert_eq!(config.nearest(name, f64::NAN), None, "{name}");
            assert_eq!(config.nearest(name, -0.1), None, "{name}");
            assert!(config.nearest(name, 0.0).is_some(), "{name}");
        }
        for name in Config::NAMES {
            let is_lenient = config.nearest(name, 1e9).is_some();
            assert_eq!(is_lenient, LENIENT.contains(&name), "{name}");
        }
    }

    #[test]
    fn what_means_never_or_at_once_is_taken() {
        let mut config = Config::default();
        for (name, seconds) in [
            ("ACK_TIMEOUT_SECONDS", 0.0),
            ("REAP_TIMEOUT_SECONDS", 0.0),
            ("TX_STALL_TIMEOUT_SECONDS", 0.0),
            ("TX_STALL_TIMEOUT_SECONDS", 0.25),
        ] {
            let assigned = config.assign(name, Setting::Number(seconds));
            assert_eq!(assigned, Ok(()), "{name} = {seconds}");
        }
    }
}
