//! The recipients of the last datagrams, so that a challenge can be told from one that a replayed
//! datagram has provoked.

use core::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::hashing::{HashKey, KeyedMap};
use crate::identity::uri::Uri;
use crate::security::seal::aead::{SESSION_SIZE, SessionId};
use crate::time::Micros;

/// How long a recipient is remembered at least; twice that at most.
const RECIPIENT_LIFE: Duration = Duration::from_secs(10);

/// How many are remembered at least, should there be more in that time: as many as the largest groups
/// that are tested have members.
const RECIPIENTS_MAX: usize = 16_384;

/// The recipients of the last seconds, each by the mark that a challenge to such a datagram carries.
#[derive(Debug)]
pub struct Recipients {
    recent: KeyedMap<u64, Uri>,
    older: KeyedMap<u64, Uri>,
    /// When `recent` was begun.
    since: Micros,
}

impl Recipients {
    /// Nothing was sent.
    pub fn new(hash_key: &HashKey) -> Self {
        Self {
            recent: KeyedMap::with_hasher(hash_key.clone()),
            older: KeyedMap::with_hasher(hash_key.clone()),
            since: Micros::default(),
        }
    }

    /// Notes that something was sent to `to`.
    pub fn note(&mut self, mark: u64, to: &Uri, now: Micros) {
        // First, or what is noted after a long silence would be taken for what was noted before it.
        self.age(now);
        if self.recent.len() == RECIPIENTS_MAX && !self.recent.contains_key(&mark) {
            self.begin_anew();
        }
        self.recent.entry(mark).or_insert_with(|| to.clone());
    }

    /// Forgets recipients of long ago.
    pub fn age(&mut self, now: Micros) {
        let elapsed = now.since(self.since);
        if elapsed < RECIPIENT_LIFE {
            return;
        }
        self.begin_anew();
        if elapsed >= 2 * RECIPIENT_LIFE {
            self.older.clear();
        }
        self.since = now;
    }

    // All of one half at a time: no walk over thousands is needed to find what is old.
    fn begin_anew(&mut self) {
        core::mem::swap(&mut self.older, &mut self.recent);
        self.recent.clear();
    }

    /// The recipient of a datagram with this mark, if one was sent lately.
    pub fn get(&self, mark: u64) -> Option<&Uri> {
        match self.recent.get(&mark) {
            Some(recipient) => Some(recipient),
            None => self.older.get(&mark),
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.recent.clear();
        self.older.clear();
    }

    /// Whether there are no more than there may be; for audits.
    pub fn is_bounded(&self) -> bool {
        self.recent.len() <= RECIPIENTS_MAX && self.older.len() <= RECIPIENTS_MAX
    }
}

/// By what a challenge shows which datagrams it may have been provoked by: those of this session that
/// were sent to this address.
pub fn mark(session: &SessionId, to: u64) -> u64 {
    let mut what = [0; SESSION_SIZE + 8];
    what[..SESSION_SIZE].copy_from_slice(session);
    what[SESSION_SIZE..].copy_from_slice(&to.to_be_bytes());
    xxh3_64(&what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_is_remembered_for_some_seconds_and_they_have_a_bound() {
        let mut recipients = Recipients::new(&HashKey::derive(&[1; 32]));
        let uri = Uri::new("a", 1).expect("a URI");
        let at = |seconds: u64| Micros(seconds * 1_000_000);
        recipients.age(at(100));
        recipients.note(7, &uri, at(100));
        recipients.age(at(109));
        assert_eq!(recipients.get(7), Some(&uri));
        recipients.age(at(119));
        assert_eq!(recipients.get(7), Some(&uri), "not less than ten seconds");
        recipients.age(at(130));
        assert_eq!(recipients.get(7), None);
        recipients.note(8, &uri, at(500));
        recipients.age(at(501));
        assert_eq!(recipients.get(8), Some(&uri), "also after a long silence");
        (0..50_000).for_each(|mark| recipients.note(mark, &uri, at(501)));
        assert!(recipients.is_bounded());
        let last = (50_000 - RECIPIENTS_MAX as u64)..50_000;
        assert!(last.into_iter().all(|mark| recipients.get(mark).is_some()));
    }
}
