//! Why datagrams to and from members were lost lately, to explain to an operator why a member fails.

use core::time::Duration;

use crate::resolve::cache::Cache;
use swim::identity::uri::Uri;
use swim::time::Micros;
use swim::wire::DropReason;

/// How many members are remembered.
const ENTRIES_MAX: usize = 1024;

/// An error that is older says nothing about the present.
const AGE_MAX: Duration = Duration::from_secs(60);

/// The last error of each member.
#[derive(Debug)]
pub struct DeliveryErrors {
    last: Cache<Uri, Option<(DeliveryError, Micros)>>,
}

/// Why a datagram to or from a member was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The system did not send it, for this reason.
    #[error("the system sends nothing to it: {0}")]
    Unsent(String),
    /// The host answered that no process has the port.
    #[error("its port is closed: no process has it")]
    Refused,
    /// It came from the member's address, and was dropped.
    #[error("{}", explain(*.0))]
    Dropped(DropReason),
}

fn explain(reason: DropReason) -> String {
    match reason.explanation() {
        Some(explanation) => format!("what comes from its address is {explanation}"),
        None => {
            "what comes from its address cannot be decoded: has it another encryption key?".into()
        }
    }
}

impl Default for DeliveryErrors {
    fn default() -> Self {
        Self {
            last: Cache::new(ENTRIES_MAX),
        }
    }
}

impl DeliveryErrors {
    /// Notes an error.
    pub fn note(&mut self, uri: &Uri, error: DeliveryError, now: Micros) {
        *self.last.entry(uri) = Some((error, now));
    }

    /// Returns the last error of `uri`, unless it is old, or `uri` has answered since: `silence` ago.
    pub fn of(&self, uri: &Uri, silence: Option<Duration>, now: Micros) -> Option<&DeliveryError> {
        let (error, when) = self.last.peek(uri)?.as_ref()?;
        let age = now.since(*when);
        let has_answered_since = match silence {
            Some(silence) => silence <= age,
            None => false,
        };
        if age >= AGE_MAX || has_answered_since {
            return None;
        }
        Some(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_forgotten_after_an_answer_or_a_minute() {
        let uri = Uri::new("a", 1).unwrap();
        let mut delivery_errors = DeliveryErrors::default();
        let at = |seconds: u64| Micros(seconds * 1_000_000);
        let silent_for = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(delivery_errors.of(&uri, None, at(10)), None);
        delivery_errors.note(&uri, DeliveryError::Refused, at(10));
        assert_eq!(
            delivery_errors.of(&uri, None, at(20)),
            Some(&DeliveryError::Refused)
        );
        assert_eq!(
            delivery_errors.of(&uri, silent_for(15), at(20)),
            Some(&DeliveryError::Refused)
        );
        assert_eq!(
            delivery_errors.of(&uri, silent_for(5), at(20)),
            None,
            "it has answered"
        );
        assert_eq!(delivery_errors.of(&uri, None, at(70)), None, "long ago");
    }
}
