//! How much is sent at the word of strangers: so many bytes a second, and no more.
//!
//! Who sends a datagram says himself who he is, and with that where the answer goes. Answers are larger
//! than questions: an answer for everybody would make every member a reflector, by which anybody can
//! send a lot to whom he likes, unseen. Nor does it help to be in the table, since it takes a word to get
//! there. Only who has answered a ping of mine has shown that he is where he says; all others share one
//! token bucket, however many they are.
//!
//! What I say of my own accord is not counted: the pings of the rounds and the pushes of news are so
//! many a second whoever there is, and users know whom they ask for. Nor is what follows from an
//! authenticated datagram: strangers have no key.

use core::time::Duration;

use super::Swim;
use super::gossip::COALESCING;
use super::member::Member;
use super::time::{Micros, Now};
use super::timers::Timer;
use super::uri::Uri;

/// How many bytes a second are sent to whoever has not shown that he is there: no more than a single
/// telephone with a camera sends by itself. It answers some thousand pings.
const BYTES_PER_SECOND: u64 = 256 << 10;

/// How many bytes may be sent at once after a quiet time: a thousand members that join through me at the
/// same time are told enough to go on by themselves.
const BURST: u64 = 1 << 20;

/// How long it takes to earn as much as may be spent at once.
const BURST_TIME: Duration = Duration::from_micros(BURST * 1_000_000 / BYTES_PER_SECOND);

/// The token bucket.
#[derive(Debug, Default)]
pub struct Courtesy {
    /// Each byte takes its time to be earned; up to here the time is spent.
    spent_until: Micros,
    /// When the input came that is being dealt with, if what follows from it counts.
    counting: Option<Micros>,
    /// When news was pushed last.
    pushed: Micros,
}

impl Courtesy {
    fn is_exhausted(&self, now: Micros) -> bool {
        self.spent_until.since(now) >= BURST_TIME
    }

    fn spend(&mut self, bytes: usize, now: Micros) {
        let time = (bytes as u64 * 1_000_000).div_ceil(BYTES_PER_SECOND);
        self.spent_until = self.spent_until.max(now) + Duration::from_micros(time);
    }
}

impl Swim {
    /// Does what others had me do: what it sends to strangers counts.
    pub(super) fn oblige<T>(&mut self, now: Now, act: impl FnOnce(&mut Self) -> T) -> T {
        self.courtesy.counting = Some(now.monotonic);
        let done = act(self);
        self.courtesy.counting = None;
        done
    }

    /// Whether nothing is sent to `to` for now, and counts that. To be asked before anything is made
    /// up to be sent.
    pub(super) fn declines(&mut self, to: &Uri) -> bool {
        let exhausted = |now| self.courtesy.is_exhausted(now);
        let declines = self.courtesy.counting.is_some_and(exhausted) && !self.is_there(to);
        self.stats.declined += u64::from(declines);
        declines
    }

    /// Counts what is sent to `to`.
    pub(super) fn count_courtesy(&mut self, to: &Uri, bytes: usize) {
        if let Some(now) = self.courtesy.counting
            && !self.is_there(to)
        {
            self.courtesy.spend(bytes, now);
        }
    }

    /// Notes that news is pushed.
    pub(super) fn note_push(&mut self, now: Now) {
        self.courtesy.pushed = now.monotonic;
    }

    /// Pushes news at once; but not at once again, as often as somebody wants to be contradicted.
    pub(super) fn hurry_push(&mut self, now: Now) {
        let soonest = self.courtesy.pushed + COALESCING;
        self.timers
            .advance(Timer::Gossip, soonest.max(now.monotonic));
    }

    /// Whether `to` has shown that it is where it says.
    fn is_there(&self, to: &Uri) -> bool {
        let live = |member: &&Member| member.claim.status.is_live();
        let member = self.members.get(to).filter(live);
        self.myself.as_ref() == Some(to) || member.is_some_and(Member::has_answered)
    }
}
