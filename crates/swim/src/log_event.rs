//! What operators are to read of it.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use crate::detector::self_check::Announced;
use crate::dissemination::merges::Newcomer;
use crate::identity::uri::Uri;
use crate::security::rotation::Names;
use crate::security::seal::keyring::KeyId;
use crate::table::claim::Status;

/// Something worth a line in the log. The texts are those of membership 2.x, which people grep for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// A probe failed, and its target is now suspected.
    Suspected {
        /// The target.
        uri: Uri,
        /// The members that were asked to ping it, in vain.
        relays: Vec<Uri>,
    },
    /// A probe failed, but this node suspects no member: an option says so.
    Ignored {
        /// The target.
        uri: Uri,
    },
    /// A probe failed, but this node is itself in doubt.
    Doubted {
        /// The target.
        uri: Uri,
        /// What this node is itself.
        myself: Status,
    },
    /// A newcomer has brought other members along.
    Merged {
        /// The newcomer.
        newcomer: Newcomer,
    },
    /// No datagrams are received.
    Isolated,
    /// Datagrams are received, and none can be decoded.
    Undecodable,
    /// Datagrams are received, and no member answers.
    Unanswered,
    /// A suspect did not refute in time.
    TimedOut {
        /// The suspect.
        uri: Uri,
        /// Whether the suspect itself has announced the suspicion.
        announced: Option<Announced>,
        /// Whether anything has ever come from the suspect.
        was_heard: bool,
    },
    /// A member is alive of which the log said that it is gone.
    Returned {
        /// The member.
        uri: Uri,
        /// What it was before.
        was: Status,
        /// For how long.
        lasted: Duration,
    },
    /// A member said of this node what is not so.
    Refuted {
        /// What was said.
        rumor: Status,
    },
    /// A member that is not allowed is not there any more, and was forgotten.
    Unwanted {
        /// The member.
        uri: Uri,
        /// What it is.
        status: Status,
    },
    /// A member was forgotten, because its name leads elsewhere.
    Elsewhere {
        /// The member.
        uri: Uri,
    },
    /// Large datagrams do not reach a member.
    LargeLost {
        /// The member.
        uri: Uri,
        /// The largest size that is known to reach it.
        size: usize,
    },
    /// Two processes use one URI.
    Duplicate {
        /// The URI.
        uri: Uri,
        /// Where one of them is, if that is known. It is this one if the URI is its own.
        one: Option<SocketAddr>,
        /// Where the other one is.
        other: SocketAddr,
    },
    /// This node sends with another key than before, which some members are not known to accept.
    KeyNotAccepted {
        /// The key.
        key: KeyId,
        /// The members.
        members: Vec<Uri>,
    },
    /// This node has removed keys, and some members are not known to accept any that remains.
    KeyRemoved {
        /// The members.
        members: Vec<Uri>,
    },
    /// A dead member sends what cannot be decoded.
    Undecryptable {
        /// The member.
        uri: Uri,
    },
}

/// How loud to say it, by the functions of Tarantool's `log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `options.log_debug`.
    Debug,
    /// `log.info`.
    Info,
    /// `log.warn`.
    Warn,
    /// `log.error`.
    Error,
}

impl Level {
    /// The name of the function.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl LogEvent {
    /// How loud to say it.
    pub const fn level(&self) -> Level {
        match self {
            Self::Ignored { .. } | Self::Doubted { .. } | Self::Unwanted { .. } => Level::Debug,
            Self::Isolated
            | Self::Undecodable
            | Self::Unanswered
            | Self::Merged { .. }
            | Self::Elsewhere { .. }
            | Self::LargeLost { .. }
            | Self::Duplicate { .. }
            | Self::KeyNotAccepted { .. }
            | Self::KeyRemoved { .. } => Level::Warn,
            Self::Suspected { .. }
            | Self::TimedOut { .. }
            | Self::Returned { .. }
            | Self::Refuted { .. }
            | Self::Undecryptable { .. } => Level::Info,
        }
    }
}

/// What is said of a member that has never sent anything, as far as is known here.
pub(crate) const NEVER_HEARD: &str = "it has never been heard: is it running, with the same encryption key and label, and does UDP get through?";

/// How many of the relays are named that were asked in vain.
const RELAYS_NAMED_MAX: usize = 9;

fn write_duplicate(
    f: &mut fmt::Formatter<'_>,
    uri: &Uri,
    one: Option<SocketAddr>,
    other: SocketAddr,
) -> fmt::Result {
    write!(f, "Two processes use the URI {uri}: ")?;
    match one {
        Some(one) => write!(f, "one at {one}")?,
        None => write!(f, "this one")?,
    }
    write!(f, ", another at {other}. Give each its own")
}

fn write_suspected(f: &mut fmt::Formatter<'_>, uri: &Uri, relays: &[Uri]) -> fmt::Result {
    write!(f, "Could not reach node: {uri} - suspect")?;
    if relays.is_empty() {
        return write!(f, " (no other member to ask)");
    }
    let named: Vec<&str> = relays.iter().map(|relay| &**relay).collect();
    let named = &named[..named.len().min(RELAYS_NAMED_MAX)];
    write!(f, " (nor could {}", named.join(", "))?;
    match relays.len() - named.len() {
        0 => write!(f, ")"),
        others => write!(f, " and {others} others)"),
    }
}

fn write_unaccepted(f: &mut fmt::Formatter<'_>, key: KeyId, members: &[Uri]) -> fmt::Result {
    write!(
        f,
        "Encryption key {key} is used now, and not known to be accepted by {}: \
         an older one is used there as long as both accept it. Add the key there before that is removed",
        Names(members)
    )
}

fn write_unheard(f: &mut fmt::Formatter<'_>, members: &[Uri]) -> fmt::Result {
    write!(
        f,
        "Encryption keys are removed, and no other is known to be accepted by {}: \
         what comes from there is not understood. Add a key there that this instance accepts",
        Names(members)
    )
}

impl fmt::Display for LogEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suspected { uri, relays } => write_suspected(f, uri, relays),
            Self::Ignored { uri } => write!(f, "Could not reach node: {uri} (ignored)"),
            Self::Doubted { uri, myself } => {
                write!(
                    f,
                    "Could not reach node: {uri} ({} myself)",
                    myself.number()
                )
            }
            Self::Merged { newcomer } => write!(
                f,
                "{} other members came in with {} (at {}), which was not in this group: \
                 two groups are one now. If that was not meant, give each a GROUP_LABEL",
                newcomer.brought, newcomer.uri, newcomer.source
            ),
            Self::Isolated => write!(
                f,
                "No datagrams received: withholding suspicions. \
                 Check that the firewall lets UDP in"
            ),
            Self::Undecodable => write!(
                f,
                "Datagrams received, and none can be decoded: withholding suspicions. \
                 Has the group another encryption key, cipher or label?"
            ),
            Self::Unanswered => write!(
                f,
                "Datagrams received, and no member answers: what this instance sends does not arrive. \
                 Check that the firewall lets UDP out"
            ),
            Self::TimedOut {
                uri,
                announced,
                was_heard,
            } => {
                write!(f, "Node timed out: {uri} - dead")?;
                match announced {
                    Some(announced) => write!(f, " (it {announced})"),
                    None if !was_heard => write!(f, " ({NEVER_HEARD})"),
                    None => Ok(()),
                }
            }
            Self::Returned { uri, was, lasted } => write!(
                f,
                "Node is back: {uri} - alive (was {was} for {:.1} s)",
                lasted.as_secs_f64()
            ),
            Self::Refuted { rumor } => write!(f, "Refuting the rumor that we are {rumor}"),
            Self::Unwanted { uri, status } => {
                write!(f, "Ignoring member {uri} with status {status}")
            }
            Self::Elsewhere { uri } => write!(
                f,
                "The addresses of {uri} are in none of ALLOWED_NETWORKS: it is not taken in. \
                 Add its network to the option, or correct its name"
            ),
            Self::LargeLost { uri, size } => write!(
                f,
                "Datagrams above {size} bytes do not reach {uri}: sending it smaller ones. \
                 Lower MAX_PACKET_SIZE, or let the network carry more"
            ),
            Self::Duplicate { uri, one, other } => write_duplicate(f, uri, *one, *other),
            Self::KeyNotAccepted { key, members } => write_unaccepted(f, *key, members),
            Self::KeyRemoved { members } => write_unheard(f, members),
            Self::Undecryptable { uri } => {
                write!(f, "Broken UDP packet from {uri} - non-decryptable")
            }
        }
    }
}
