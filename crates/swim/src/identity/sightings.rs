//! Processes that were seen with one URI, and whether two of them live at the same time.

use core::net::SocketAddr;
use core::time::Duration;

use crate::security::cookie::ProcessTag;
use crate::table::claim::Incarnation;
use crate::time::Micros;

/// A datagram may be so late: one of a process that was replaced meanwhile shows no duplicate.
const LATENESS_MAX: Duration = Duration::from_secs(1);

/// What a PING shows of the process that has sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// A native one, with the tag of its cookies.
    Native(ProcessTag),
    /// One of membership 2.x, at this incarnation by its own word.
    Legacy(Incarnation),
}

/// A PING, as far as it shows which process has sent it, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The process.
    pub process: Process,
    /// Where it came from.
    pub source: SocketAddr,
    /// When it was sent, by the clock of its sender, in µs.
    pub sent: u64,
    /// When it came.
    pub at: Micros,
}

/// Where a process was seen, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sighting {
    last: Seen,
    /// The last time that counts: it came before the other process was seen, or has shown that both live.
    counted: Seen,
    first: Micros,
    /// When the first one was sent, by the clock of its sender, in µs.
    first_sent: u64,
    /// When it was told that there is another.
    told: Option<Micros>,
}

/// The last two processes that were seen with one URI.
#[derive(Clone, Debug, Default)]
pub struct Sightings {
    pair: [Option<Sighting>; 2],
    /// When they were last seen to live at the same time.
    proven: Option<Micros>,
    /// When the local node last suspected them.
    suspected: Option<Micros>,
}

impl Seen {
    /// Whether both are of one process, as far as can be told.
    pub fn is_of_same(&self, other: &Self) -> bool {
        match (self.process, other.process) {
            (Process::Native(one), Process::Native(other)) => one == other,
            (Process::Legacy(_), Process::Legacy(_)) => self.source == other.source,
            _ => false,
        }
    }
}

impl Sighting {
    const fn new(seen: Seen) -> Self {
        Self {
            last: seen,
            counted: seen,
            first: seen.at,
            first_sent: seen.sent,
            told: None,
        }
    }

    /// Whether the process lived for a while after it was first seen, by its own clock. What is seen once may be late,
    /// from a process that was replaced.
    fn has_lasted(&self) -> bool {
        let lasted = Duration::from_micros(self.last.sent.saturating_sub(self.first_sent));
        lasted >= LATENESS_MAX
    }

    /// Whether this process, of which another PING came, and the `other` one live at the same time.
    fn coexists_with(&self, seen: &Seen, other: &Self, memory: Duration) -> bool {
        let before = &self.counted;
        if let (Process::Legacy(_), Process::Legacy(_)) = (before.process, other.last.process) {
            return self.contradicts(seen, other, memory);
        }
        if !other.has_lasted() {
            return false;
        }
        // Of what came at once it is unknown what was sent first.
        if other.first <= before.at {
            return false;
        }
        // It was sent after the other one was seen: by the clock of its sender, so much later than the one
        // that came before that.
        let later = Duration::from_micros(seen.sent.saturating_sub(before.sent));
        if later < other.first.since(before.at) + LATENESS_MAX {
            return false;
        }
        match before.process {
            // A tag is never drawn again.
            Process::Native(_) => true,
            // It was upgraded, and the upgrade undone; that takes longer.
            Process::Legacy(_) => seen.at.since(before.at) < memory,
        }
    }

    /// The same of two of membership 2.x. One that has moved there and come back has other incarnations: it begins
    /// anew, or goes up.
    fn contradicts(&self, seen: &Seen, other: &Self, memory: Duration) -> bool {
        let (Process::Legacy(before), Process::Legacy(again), Process::Legacy(between)) =
            (self.last.process, seen.process, other.last.process)
        else {
            return false;
        };
        let is_between = other.last.at > self.last.at && seen.at.since(self.last.at) < memory;
        let is_late = seen.at.since(other.first) < LATENESS_MAX;
        is_between && !is_late && before <= again && again < between
    }
}

impl Sightings {
    /// Whether two processes were seen to live at the same time, not longer than `memory` ago.
    pub fn is_known(&self, memory: Duration, now: Micros) -> bool {
        match self.proven {
            Some(proven) => now.since(proven) < memory,
            None => false,
        }
    }

    /// Takes up a PING. Returns in which place the process is now.
    pub fn note(&mut self, seen: Seen, memory: Duration) -> usize {
        let is_same = |known: &Option<Sighting>| match known {
            Some(known) => known.last.is_of_same(&seen),
            None => false,
        };
        let Some(place) = self.pair.iter().position(is_same) else {
            return self.replace(seen);
        };
        let other = self.pair[1 - place];
        let Some(known) = &mut self.pair[place] else {
            return place;
        };
        let coexists = match &other {
            Some(other) => known.coexists_with(&seen, other, memory),
            None => false,
        };
        known.last = seen;
        match other {
            Some(_) if coexists => {
                self.proven = Some(seen.at);
                // The next proof begins here: with one of the other, and one of this again.
                (known.counted, known.first) = (seen, seen.at);
            }
            // Whatever came since may have been on its way for long.
            Some(other) if other.first > known.counted.at => {}
            _ => known.counted = seen,
        }
        place
    }

    /// Takes up a process that was not seen lately, in the place of the one that was not seen for longer.
    pub fn replace(&mut self, seen: Seen) -> usize {
        let place = match &self.pair {
            [Some(one), Some(other)] => usize::from(other.last.at < one.last.at),
            [None, _] => 0,
            [_, None] => 1,
        };
        self.pair[place] = Some(Sighting::new(seen));
        place
    }

    /// Where the other one is, if the one at `place` is to be told: once in `pause`. Notes that it is done.
    pub fn tell(&mut self, place: usize, pause: Duration, now: Micros) -> Option<SocketAddr> {
        let other = self.pair[1 - place]?.last.source;
        let sender = self.pair[place].as_mut()?;
        if let Some(told) = sender.told
            && now.since(told) < pause
        {
            return None;
        }
        sender.told = Some(now);
        Some(other)
    }

    /// Where the two are.
    pub fn sources(&self) -> Option<[SocketAddr; 2]> {
        let [Some(one), Some(other)] = &self.pair else {
            return None;
        };
        Some([one.last.source, other.last.source])
    }

    /// Whether it is so long ago that they were suspected. Notes that it is done now.
    pub fn may_suspect(&mut self, pause: Duration, now: Micros) -> bool {
        if let Some(suspected) = self.suspected
            && now.since(suspected) < pause
        {
            return false;
        }
        self.suspected = Some(now);
        true
    }
}
