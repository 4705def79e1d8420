//! Why a call failed, in a text for the user.

use std::any::Any;
use std::io;
use std::sync::Arc;

use swim::Refused;

/// Why a call failed. `Display` is the text for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The host cannot be looked up: it is no name and no address.
    #[error("bad host '{}': a name, an IPv4 address, or an IPv6 address in brackets expected", shown(.0))]
    BadHost(String),
    /// No other instance can reach this one at the host: it is an address of no machine, or of many.
    #[error(
        "bad host '{host}': it is {stands_for}, and others could not reach this instance there"
    )]
    NotOneMachine {
        /// The host.
        host: String,
        /// What it stands for.
        stands_for: &'static str,
    },
    /// The port is not in 1..=65535.
    #[error("bad port {0}: 1..65535 expected")]
    BadPort(u16),
    /// The address to bind is none, or not of the host's family.
    #[error("bad address to bind '{}': an IPv4 or IPv6 address of the host's kind expected", shown(.0))]
    BadBind(String),
    /// The address to bind is of an interface that does not exist.
    #[error("bad address to bind '{}': there is no such network interface", shown(.0))]
    BadZone(String),
    /// The system refuses the socket.
    #[error("Socket bind error ({port}/udp): {reason}")]
    Bind {
        /// The port that was asked for.
        port: u16,
        /// The text of the system.
        reason: String,
    },
    /// The call needs a node that takes part in a group.
    #[error("{}", Refused::NotInitialized)]
    NotInitialized,
    /// The system has run out of something.
    #[error("{action}: {reason}")]
    System {
        /// What was attempted.
        action: &'static str,
        /// The text of the system.
        reason: String,
    },
    /// A bug of this program: the engine has stopped for good, with this message.
    #[error("membership engine failed: {0}")]
    Engine(Arc<str>),
}

impl Error {
    /// `action` failed with `error`.
    pub(crate) fn system(action: &'static str, error: &io::Error) -> Self {
        Self::System {
            action,
            reason: system_text(error),
        }
    }

    /// The engine failed with the message of a panic.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let message = if let Some(text) = panic.downcast_ref::<&str>() {
            text
        } else if let Some(text) = panic.downcast_ref::<String>() {
            text
        } else {
            "unknown reason"
        };
        Self::Engine(message.into())
    }
}

/// How many bytes of what a caller has given are shown.
const SHOWN_MAX: usize = 100;

/// What a caller has given, for an error of one line: without line breaks, and the beginning is enough.
pub fn shown(text: &str) -> String {
    let mut end = text.len().min(SHOWN_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let rest = if end < text.len() { "..." } else { "" };
    let mut shown = String::new();
    for character in text[..end].chars() {
        if character.is_control() {
            shown.push_str(&format!("\\{}", u32::from(character)));
        } else {
            shown.push(character);
        }
    }
    shown + rest
}

/// The text of `strerror`, which operators know, without the number that Rust adds.
pub fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    if let Some(number) = error.raw_os_error()
        && let Some(bare) = text.strip_suffix(&format!(" (os error {number})"))
    {
        return bare.into();
    }
    text
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
