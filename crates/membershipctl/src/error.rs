//! What may be in the way, and what to do about it.

use core::fmt;
use std::io;
use std::path::PathBuf;

use swim::identity::uri::Uri;

/// Why an instance could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// Its name has no address, in the words of the system.
    Unresolved(String),
    /// The system does not send there.
    Unsent(String),
    /// Its machine is there, and nobody has the port.
    Closed,
    /// Nothing has come back.
    Silent {
        /// Whether we have used a key.
        with_key: bool,
    },
    /// Something has come back that cannot be read.
    Unreadable {
        /// Whether we have used a key.
        with_key: bool,
    },
}

impl QueryError {
    /// What has happened, in few words.
    pub fn name(&self) -> String {
        match self {
            Self::Unresolved(why) | Self::Unsent(why) => why.clone(),
            Self::Closed => "nobody has this port".to_owned(),
            Self::Silent { .. } => "no answer".to_owned(),
            Self::Unreadable { .. } => "its answer cannot be read".to_owned(),
        }
    }

    const fn advice(&self) -> &'static str {
        match self {
            Self::Unresolved(_) => "check the name, or write the address",
            Self::Unsent(_) => "check the network of this machine",
            Self::Closed => "is the instance running, and has it called init with this port?",
            Self::Silent { with_key: false } => {
                "is it running? Is UDP let through, both ways? \
                 If the group has an encryption key, say --key-file FILE; if it has a label, --label"
            }
            Self::Silent { with_key: true } => {
                "is it running? Is UDP let through, both ways? \
                 Does the group use this key, with this --cipher and --label?"
            }
            Self::Unreadable { with_key: false } => {
                "if the group has an encryption key, say --key-file FILE"
            }
            Self::Unreadable { with_key: true } => {
                "the group uses another key or --cipher, or none"
            }
        }
    }
}

/// Why the tool ends without having done what it was to do.
#[derive(Debug)]
pub enum Failure {
    /// The key could not be had.
    Key(PathBuf, io::Error),
    /// The only instance that was to be asked could not be.
    NoAnswer(Uri, QueryError),
    /// None of them could be.
    NoAnswers,
    /// This machine refuses something.
    Io(io::Error),
}

impl Failure {
    /// What the process ends with.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Key(..) => 2,
            Self::NoAnswer(..) | Self::NoAnswers => 3,
            Self::Io(_) => 4,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(path, error) => write!(f, "cannot read the key {}: {error}", path.display()),
            Self::NoAnswer(uri, trouble) => {
                write!(f, "{uri}: {}\n  {}", trouble.name(), trouble.advice())
            }
            Self::NoAnswers => write!(f, "nobody has answered"),
            Self::Io(error) => error.fmt(f),
        }
    }
}
