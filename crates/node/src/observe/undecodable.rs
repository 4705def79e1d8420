//! Senders of which nothing can be decoded, time after time: probably instances with another encryption key.

use core::net::SocketAddr;
use core::time::Duration;

use crate::resolve::cache::Cache;
use swim::time::Micros;

/// How many senders are watched.
const SENDERS_MAX: usize = 64;

/// How many datagrams of one sender it takes. A datagram that was damaged on its way is no reason for a line.
const DATAGRAMS_MIN: u64 = 3;

/// Over which time they come at least. An instance pings each period; noise comes and goes.
const TIME_MIN: Duration = Duration::from_secs(3);

/// After this time a sender begins anew.
const TIME_MAX: Duration = Duration::from_secs(60);

/// The pause between two lines, whatever senders there are.
const PAUSE: Duration = Duration::from_secs(60);

/// What was sent lately and could not be decoded.
#[derive(Debug)]
pub struct Undecodable {
    senders: Cache<SocketAddr, Option<Streak>>,
    /// When the newest datagram came that could not be decoded.
    newest: Option<Micros>,
    told: Option<Micros>,
}

/// The datagrams of a sender since one of it was understood.
#[derive(Debug)]
struct Streak {
    since: Micros,
    datagrams: u64,
}

impl Default for Undecodable {
    fn default() -> Self {
        Self {
            senders: Cache::new(SENDERS_MAX),
            newest: None,
            told: None,
        }
    }
}

impl Undecodable {
    /// Notes a datagram. Returns how many there were if that is worth a line in the log.
    pub fn note(&mut self, source: SocketAddr, now: Micros) -> Option<u64> {
        self.newest = Some(now);
        let entry = self.senders.entry(&source);
        if let Some(streak) = entry
            && now.since(streak.since) > TIME_MAX
        {
            *entry = None;
        }
        let streak = entry.get_or_insert(Streak {
            since: now,
            datagrams: 0,
        });
        streak.datagrams += 1;
        let is_telling = streak.datagrams >= DATAGRAMS_MIN && now.since(streak.since) >= TIME_MIN;
        let was_told = match self.told {
            Some(told) => now.since(told) < PAUSE,
            None => false,
        };
        if !is_telling || was_told {
            return None;
        }
        self.told = Some(now);
        Some(streak.datagrams)
    }

    /// A datagram of `source` was understood.
    pub fn note_understood(&mut self, source: SocketAddr, now: Micros) {
        // Nearly always there is nothing to be forgotten, and each datagram comes here.
        if let Some(newest) = self.newest
            && now.since(newest) <= TIME_MAX
            && let Some(entry) = self.senders.get_mut(&source)
        {
            *entry = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Micros {
        Micros(seconds * 1_000_000)
    }

    fn sender(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn a_sender_that_is_never_understood_is_told_of_once_a_minute() {
        let mut undecodable = Undecodable::default();
        let told: Vec<u64> = (10..200)
            .filter(|second| undecodable.note(sender(1), at(*second)).is_some())
            .collect();
        assert_eq!(told, [13, 74, 135, 196]);
    }

    #[test]
    fn noise_and_senders_that_are_understood_are_not_told_of() {
        let mut undecodable = Undecodable::default();
        for _ in 0..1000 {
            assert_eq!(undecodable.note(sender(1), at(10)), None, "all at once");
        }
        for second in 20..40 {
            assert_eq!(undecodable.note(sender(2), at(second)), None);
            undecodable.note_understood(sender(2), at(second));
        }
    }
}
