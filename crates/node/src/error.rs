//! Why a call failed, in words for the user.

use core::fmt;
use std::any::Any;
use std::io;
use std::sync::Arc;

use swim::Refused;

/// Why a call failed. `Display` is the text for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Nothing that could be looked up.
    BadHost(String),
    /// Not in 1..=65535.
    BadPort(u16),
    /// No address, or not of the kind that the host is.
    BadBind(String),
    /// The system does not let us have the socket.
    Bind {
        /// The port that was asked for.
        port: u16,
        /// The system's own words.
        reason: String,
    },
    /// Only who takes part can do that.
    NotInitialized,
    /// The system has run out of something.
    System {
        /// What we wanted to do.
        action: &'static str,
        /// The system's own words.
        reason: String,
    },
    /// A mistake of ours: the engine has stopped for good, with this message.
    Engine(Arc<str>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadHost(host) => {
                write!(
                    f,
                    "bad host '{host}': a name, an IPv4 address, or an IPv6 address in brackets expected"
                )
            }
            Self::BadPort(port) => write!(f, "bad port {port}: 1..65535 expected"),
            Self::BadBind(bind) => {
                write!(
                    f,
                    "bad address to bind '{bind}': an IPv4 or IPv6 address of the host's kind expected"
                )
            }
            Self::Bind { port, reason } => write!(f, "Socket bind error ({port}/udp): {reason}"),
            Self::NotInitialized => Refused::NotInitialized.fmt(f),
            Self::System { action, reason } => write!(f, "{action}: {reason}"),
            Self::Engine(message) => write!(f, "membership engine failed: {message}"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// `action` failed with `error`.
    pub(super) fn system(action: &'static str, error: &io::Error) -> Self {
        Self::System {
            action,
            reason: system_text(error),
        }
    }

    /// What a panic left behind.
    pub(super) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let message = panic.downcast_ref::<&str>().copied();
        let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::Engine(message.unwrap_or("unknown reason").into())
    }
}

/// The text of `strerror`, which people know, without the number that Rust adds.
pub fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(number) => text
            .strip_suffix(&format!(" (os error {number})"))
            .unwrap_or(&text)
            .into(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_quoted_verbatim() {
        let reason = system_text(&io::Error::from_raw_os_error(libc::EADDRINUSE));
        let failure = Error::Bind {
            port: 13302,
            reason,
        };
        assert_eq!(
            failure.to_string(),
            "Socket bind error (13302/udp): Address already in use"
        );
    }
}
