//! What was wrong with datagrams to and from members lately: for those who look for the sick one.

use core::time::Duration;

use crate::resolve::cache::Cache;
use swim::identity::uri::Uri;
use swim::time::Micros;
use swim::wire::DropReason;

/// Of how many members something is remembered.
const ENTRIES_MAX: usize = 1024;

/// What is older says nothing of how things are.
const LIFE: Duration = Duration::from_secs(60);

/// The last trouble with each member.
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
    /// Notes what was wrong.
    pub fn note(&mut self, uri: &Uri, trouble: DeliveryError, now: Micros) {
        *self.last.entry(uri) = Some((trouble, now));
    }

    /// What was wrong with `uri` of late, unless it has answered since.
    pub fn of(&self, uri: &Uri, silence: Option<Duration>, now: Micros) -> Option<&DeliveryError> {
        let (trouble, when) = self.last.peek(uri)?.as_ref()?;
        let age = now.since(*when);
        let answered_since = silence.is_some_and(|silence| silence <= age);
        (age < LIFE && !answered_since).then_some(trouble)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_not_told() {
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
            "it answers"
        );
        assert_eq!(delivery_errors.of(&uri, None, at(70)), None, "long ago");
    }
}
