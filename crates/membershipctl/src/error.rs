//! What can go wrong, and what the operator can do about it.

use std::io;
use std::path::PathBuf;

use swim::identity::uri::Uri;
use thiserror::Error;

/// Why an instance could not be asked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum QueryError {
    /// Its name has no address, in the words of the system.
    #[error("{0}")]
    Unresolved(String),
    /// The system does not send there.
    #[error("{0}")]
    Unsent(String),
    /// Its machine answers that no process has the port.
    #[error("its port is closed")]
    Closed,
    /// No datagram came back.
    #[error("no answer")]
    NoAnswer {
        /// Whether the request was made with a key.
        with_key: bool,
    },
    /// A datagram came back that cannot be decoded.
    #[error("its answer cannot be decoded")]
    Undecodable {
        /// Whether the request was made with a key.
        with_key: bool,
    },
}

impl QueryError {
    /// What the operator can do.
    const fn advice(&self) -> &'static str {
        match self {
            Self::Unresolved(_) => "check the name, or use the address",
            Self::Unsent(_) => "check the network of this machine",
            Self::Closed => "is the instance running, and has it called init with this port?",
            Self::NoAnswer { with_key: false } => {
                "is it running? Do firewalls let UDP through, both ways? \
                 If the group has an encryption key, use --key-file FILE; if it has a label, --label"
            }
            Self::NoAnswer { with_key: true } => {
                "is it running? Do firewalls let UDP through, both ways? \
                 Does the group use this key, with this --cipher and --label?"
            }
            Self::Undecodable { with_key: false } => {
                "if the group has an encryption key, use --key-file FILE"
            }
            Self::Undecodable { with_key: true } => {
                "the group uses another key or --cipher, or none"
            }
        }
    }
}

/// Why the command was not carried out.
#[derive(Debug, Error)]
pub enum Error {
    /// The file with the key cannot be read.
    #[error("cannot read the key {}: {}", .0.display(), .1)]
    Key(PathBuf, #[source] io::Error),
    /// The command needs a key.
    #[error(
        "keys are told to those that have one: use --key-file FILE, with a key that all members accept"
    )]
    NoKey,
    /// The command asks one instance, and that one could not be asked.
    #[error("{}: {}\n  {}", .0, .1, .1.advice())]
    NoAnswer(Uri, #[source] QueryError),
    /// The command asks several instances, and none could be asked.
    #[error("no instance has answered")]
    NoAnswers,
    /// An error of this machine.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// The exit code of the process.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Key(..) | Self::NoKey => 2,
            Self::NoAnswer(..) | Self::NoAnswers => 3,
            Self::Io(_) => 4,
        }
    }
}

/// The system has not sent a request.
pub fn unsent(error: &io::Error) -> QueryError {
    QueryError::Unsent(system_text(error))
}

/// The text of an error, without the number that Rust appends.
fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_owned()
}
