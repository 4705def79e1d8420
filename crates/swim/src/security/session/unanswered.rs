//! Datagrams whose senders were asked to show that they live now, until they do.
//!
//! In a group that changes to authenticated encryption, or in which an instance was restarted, the first
//! datagrams of a sender are not believed, and the sender shows in the next one that it lives. Only what is
//! never followed by that was perhaps recorded.

use core::time::Duration;
use std::collections::VecDeque;

use crate::security::seal::aead::SessionId;
use crate::time::Micros;

/// How long a sender has to answer: longer than any round trip of a group that works.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many sessions may wait at a time. Recordings of more are counted sooner.
const SESSIONS_MAX: usize = 128;

/// The datagrams that wait.
#[derive(Debug, Default)]
pub struct Unanswered {
    waiting: VecDeque<Waiting>,
    /// The datagrams of sessions that made room for others.
    displaced: u64,
}

#[derive(Debug)]
struct Waiting {
    session: SessionId,
    since: Micros,
    datagrams: u64,
    /// The highest counter of those.
    newest: u64,
}

impl Unanswered {
    /// Notes the datagram with this counter, of a session that has been challenged.
    pub fn note(&mut self, session: &SessionId, counter: u64, now: Micros) {
        for waiting in &mut self.waiting {
            if waiting.session == *session {
                waiting.datagrams += 1;
                waiting.newest = waiting.newest.max(counter);
                return;
            }
        }
        if self.waiting.len() == SESSIONS_MAX
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.displaced += oldest.datagrams;
        }
        self.waiting.push_back(Waiting {
            session: *session,
            since: now,
            datagrams: 1,
            newest: counter,
        });
    }

    /// The session has shown that its sender lives. Returns the highest counter of the datagrams that were not
    /// believed, and never will be.
    pub fn end(&mut self, session: &SessionId) -> u64 {
        let mut newest = 0;
        for waiting in &self.waiting {
            if waiting.session == *session {
                newest = waiting.newest;
            }
        }
        self.waiting.retain(|waiting| waiting.session != *session);
        newest
    }

    /// Returns how many datagrams have waited in vain since it was asked last.
    pub fn take_expired(&mut self, now: Micros) -> u64 {
        let mut expired = core::mem::take(&mut self.displaced);
        while let Some(oldest) = self.waiting.front()
            && now.since(oldest.since) >= PATIENCE
        {
            expired += oldest.datagrams;
            self.waiting.pop_front();
        }
        expired
    }

    /// Whether there are no more than there may be; for audits.
    pub fn is_bounded(&self) -> bool {
        self.waiting.len() <= SESSIONS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Micros {
        Micros(seconds * 1_000_000)
    }

    #[test]
    fn what_is_answered_in_time_has_not_waited_in_vain() {
        let (answers, silent) = ([1; 8], [2; 8]);
        let mut unanswered = Unanswered::default();
        for (session, counter) in [(answers, 7), (answers, 5), (silent, 1), (silent, 2)] {
            unanswered.note(&session, counter, at(1));
        }
        assert_eq!(unanswered.take_expired(at(2)), 0, "there is time yet");
        assert_eq!((unanswered.end(&answers), unanswered.end(&answers)), (7, 0));
        assert_eq!(unanswered.take_expired(at(3)), 2);
        assert_eq!(unanswered.take_expired(at(4)), 0, "they are counted once");
    }

    #[test]
    fn the_oldest_make_room() {
        let mut unanswered = Unanswered::default();
        for number in 0..=SESSIONS_MAX as u64 {
            unanswered.note(&number.to_be_bytes(), 1, at(1));
        }
        assert!(unanswered.is_bounded());
        assert_eq!(unanswered.take_expired(at(1)), 1);
    }
}
