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

/// A closed port is reported sooner than this after a datagram was sent to it, if it is reported at all.
const REPORT_TIME_MAX: Duration = Duration::from_secs(1);

/// The last error of each member, for as long as nothing contradicts it.
#[derive(Debug)]
pub struct DeliveryErrors {
    last: Cache<Uri, Option<Entry>>,
    /// When the newest error was noted: until it is old, each datagram is compared with the errors.
    newest: Option<Micros>,
}

#[derive(Debug)]
struct Entry {
    error: DeliveryError,
    when: Micros,
    /// When the first datagram was sent to the member after the error.
    sent: Option<Micros>,
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
        Some(explanation) => format!("datagrams from its address are {explanation}"),
        None => {
            "datagrams from its address cannot be decoded: has it another encryption key?".into()
        }
    }
}

impl Default for DeliveryErrors {
    fn default() -> Self {
        Self {
            last: Cache::new(ENTRIES_MAX),
            newest: None,
        }
    }
}

impl DeliveryErrors {
    /// Notes an error.
    pub fn note(&mut self, uri: &Uri, error: DeliveryError, now: Micros) {
        *self.last.entry(uri) = Some(Entry {
            error,
            when: now,
            sent: None,
        });
        self.newest = Some(now);
    }

    /// Notes that a datagram is sent to `uri`. Unless the system refuses it, or a closed port is reported,
    /// it contradicts an error that said so.
    pub fn note_sent(&mut self, uri: &Uri, now: Micros) {
        if let Some(Some(entry)) = self.last.get_mut(uri)
            && entry.sent.is_none()
        {
            entry.sent = Some(now);
        }
    }

    /// Whether there is an error that a datagram could contradict.
    pub fn is_contestable(&self, now: Micros) -> bool {
        match self.newest {
            Some(newest) => now.since(newest) < AGE_MAX,
            None => false,
        }
    }

    /// Notes that a datagram came from the address of `uri` and was understood: no error is true any more.
    pub fn note_received(&mut self, uri: &Uri) {
        if let Some(entry) = self.last.get_mut(uri) {
            *entry = None;
        }
    }

    /// Returns the last error of `uri`, unless it is old or was contradicted: by an answer, `silence` ago,
    /// or by what was sent since.
    pub fn of(&self, uri: &Uri, silence: Option<Duration>, now: Micros) -> Option<&DeliveryError> {
        let Entry { error, when, sent } = self.last.peek(uri)?.as_ref()?;
        let age = now.since(*when);
        let has_answered_since = match silence {
            Some(silence) => silence <= age,
            None => false,
        };
        let was_sent_since = match (error, sent) {
            (DeliveryError::Refused | DeliveryError::Unsent(_), Some(sent)) => {
                now.since(*sent) >= REPORT_TIME_MAX
            }
            _ => false,
        };
        if age >= AGE_MAX || has_answered_since || was_sent_since {
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
    #[test]
    fn a_send_that_is_not_refused_contradicts_a_closed_port() {
        let uri = Uri::new("a", 1).unwrap();
        let at = |seconds: u64| Micros(seconds * 1_000_000);
        let mut errors = DeliveryErrors::default();
        errors.note(&uri, DeliveryError::Refused, at(10));
        errors.note_sent(&uri, at(11));
        assert!(
            errors.of(&uri, None, at(11)).is_some(),
            "it may be refused yet"
        );
        errors.note(&uri, DeliveryError::Refused, at(11));
        assert!(errors.of(&uri, None, at(20)).is_some(), "it was");
        errors.note_sent(&uri, at(21));
        errors.note_sent(&uri, at(22));
        assert_eq!(errors.of(&uri, None, at(22)), None, "the port is open");

        let undecodable = DeliveryError::Dropped(DropReason::UnknownKey);
        errors.note(&uri, undecodable, at(30));
        errors.note_sent(&uri, at(31));
        assert!(
            errors.of(&uri, None, at(40)).is_some(),
            "what is sent says nothing about what comes"
        );
        assert!(errors.is_contestable(at(40)));
        errors.note_received(&uri);
        assert_eq!(errors.of(&uri, None, at(40)), None);
        assert!(!errors.is_contestable(at(90)), "all are old");
    }
}
