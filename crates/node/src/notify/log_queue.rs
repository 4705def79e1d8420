//! Lines for the log, kept until Lua writes them: only Tarantool's own thread may call its `say`.
//!
//! One datagram can cause a line, and so a thousand datagrams a thousand lines. Of the lines about a topic
//! that may recur, a few are added as they come, then one a second, with the number of those that it stands
//! for.

use core::fmt;
use core::mem;
use core::time::Duration;
use std::collections::VecDeque;

use swim::log_event::{Level, LogEvent};
use swim::time::Micros;

/// A line for the log, to be written by Lua.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The level to write it at.
    pub level: Level,
    /// What it says.
    pub text: String,
}

/// What a line is about. Each topic has a limit of its own, so that one does not crowd out another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// This node receives no datagrams.
    Isolation,
    /// A member does not answer, and is suspected.
    Suspicion,
    /// A member does not answer, which has no consequence.
    Silence,
    /// A member is dead.
    Death,
    /// A member is back.
    Return,
    /// Two groups have become one.
    Merge,
    /// A member is not allowed.
    Removal,
    /// Large datagrams do not reach a member.
    PathSize,
    /// Datagrams of a member cannot be decrypted.
    Undecryptable,
    /// Datagrams come from a sender outside of this group.
    UnknownSender,
    /// More datagrams come than there is time for.
    Overload,
    /// A name does not resolve.
    Resolver,
    /// A rumor about this node was refuted.
    Refutation,
    /// A thread was not woken, or did not run when it was.
    Waker,
    /// Two processes use one URI.
    Duplicate,
    /// Members are left behind by a change of the keys.
    Keys,
}

impl Topic {
    const ALL: [Self; 16] = [
        Self::Isolation,
        Self::Suspicion,
        Self::Silence,
        Self::Death,
        Self::Return,
        Self::Merge,
        Self::Removal,
        Self::PathSize,
        Self::Undecryptable,
        Self::UnknownSender,
        Self::Overload,
        Self::Resolver,
        Self::Refutation,
        Self::Waker,
        Self::Duplicate,
        Self::Keys,
    ];

    /// How many lines are added as they come, after a quiet time.
    const fn burst(self) -> u32 {
        match self {
            // All lines are alike, and a short overload may recur.
            Self::Overload | Self::Waker => 1,
            // There are few different lines, and unknown senders can cause any number of them.
            Self::Refutation | Self::UnknownSender | Self::Duplicate => 5,
            // Each names another member: when a rack loses power, an operator wants to see all of them.
            _ => 100,
        }
    }
}

impl From<&LogEvent> for Topic {
    fn from(event: &LogEvent) -> Self {
        match event {
            LogEvent::Suspected { .. } => Self::Suspicion,
            LogEvent::Ignored { .. } | LogEvent::Doubted { .. } => Self::Silence,
            LogEvent::Isolated | LogEvent::Undecodable | LogEvent::Unanswered => Self::Isolation,
            LogEvent::Duplicate { .. } => Self::Duplicate,
            LogEvent::TimedOut { .. } => Self::Death,
            LogEvent::Returned { .. } => Self::Return,
            LogEvent::Unwanted { .. } => Self::Removal,
            LogEvent::Merged { .. } => Self::Merge,
            LogEvent::Elsewhere { .. } => Self::UnknownSender,
            LogEvent::LargeLost { .. } => Self::PathSize,
            LogEvent::Undecryptable { .. } => Self::Undecryptable,
            LogEvent::Refuted { .. } => Self::Refutation,
            LogEvent::KeyNotAccepted { .. } | LogEvent::KeyRemoved { .. } => Self::Keys,
        }
    }
}

/// The lines that Lua has to write. Bounded, because Lua may be busy for any time.
#[derive(Debug, Default)]
pub struct LogQueue {
    queue: VecDeque<Line>,
    left_out: u64,
    written: u64,
    limits: [RateLimit; Topic::ALL.len()],
}

impl LogQueue {
    /// How many lines wait at most: at some hundred bytes each, some hundred kilobytes.
    pub const MAX: usize = 1024;

    /// Adds a line that cannot come too often.
    pub fn push(&mut self, level: Level, text: impl fmt::Display) {
        let text = text.to_string();
        self.add(Line { level, text }, 1);
    }

    /// Adds a line, or holds it back if there were many about its topic lately.
    pub fn push_limited(
        &mut self,
        topic: Topic,
        level: Level,
        text: impl fmt::Display,
        now: Micros,
    ) {
        let text = text.to_string();
        self.limits[topic as usize].hold(Line { level, text });
        self.release(topic, now);
    }

    /// Adds the lines that have been held back for long enough.
    pub fn release_due(&mut self, now: Micros) {
        for topic in Topic::ALL {
            self.release(topic, now);
        }
    }

    /// Adds all lines that have been held back, because [`Self::release_due`] will not be called again.
    pub fn release_all(&mut self) {
        for topic in Topic::ALL {
            if let Some(held) = self.limits[topic as usize].held.take() {
                self.add_held(held);
            }
        }
    }

    /// When [`Self::release_due`] has a line to add.
    pub fn next_deadline(&self) -> Option<Micros> {
        let deadline = |topic: Topic| self.limits[topic as usize].deadline(topic.burst());
        Topic::ALL.into_iter().filter_map(deadline).min()
    }

    /// Takes the lines, oldest first, and the number of those left out since the last call.
    pub fn take(&mut self) -> (Vec<Line>, u64) {
        let lines = mem::take(&mut self.queue);
        (lines.into(), mem::take(&mut self.left_out))
    }

    /// The number of all lines so far.
    pub const fn written(&self) -> u64 {
        self.written
    }

    fn release(&mut self, topic: Topic, now: Micros) {
        if let Some(held) = self.limits[topic as usize].release(topic.burst(), now) {
            self.add_held(held);
        }
    }

    fn add_held(&mut self, held: Held) {
        let count = held.count;
        self.add(held.into_line(), count);
    }

    /// Adds a line that stands for `count` lines. If there is no room, counts them as left out, but for debug
    /// lines, which most logs do not show anyway.
    fn add(&mut self, line: Line, count: u64) {
        self.written += 1;
        if self.queue.len() < Self::MAX {
            self.queue.push_back(line);
        } else if line.level != Level::Debug {
            self.left_out += count;
        }
    }
}

/// Limits how often a line about one topic is added.
#[derive(Debug, Default)]
struct RateLimit {
    /// Each line uses up [`Self::PAUSE`] of time; it is used up until here.
    used_up: Micros,
    held: Option<Held>,
}

/// Lines that wait to be added as one: the last of them, and their number.
#[derive(Debug)]
struct Held {
    line: Line,
    count: u64,
    are_equal: bool,
}

impl RateLimit {
    /// The time between two lines, once the burst is over.
    const PAUSE: Duration = Duration::from_secs(1);

    fn hold(&mut self, line: Line) {
        if let Some(held) = &mut self.held {
            held.count += 1;
            held.are_equal &= held.line == line;
            held.line = line;
        } else {
            self.held = Some(Held {
                line,
                count: 1,
                are_equal: true,
            });
        }
    }

    fn release(&mut self, burst: u32, now: Micros) -> Option<Held> {
        if self.deadline(burst)? > now {
            return None;
        }
        self.used_up = self.used_up.max(now) + Self::PAUSE;
        self.held.take()
    }

    /// When the lines that are held may be added.
    fn deadline(&self, burst: u32) -> Option<Micros> {
        self.held.as_ref()?;
        // A burst is time that is used up in advance.
        Some(self.used_up + Self::PAUSE - Self::PAUSE * burst)
    }
}

impl Held {
    fn into_line(self) -> Line {
        let Line { level, text } = self.line;
        let text = match (self.count, self.are_equal) {
            (1, _) => text,
            (count, true) => format!("{text} ({count} more times)"),
            (count, false) => format!("{text} (and {} more)", count - 1),
        };
        Line { level, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &mut LogQueue) -> Vec<String> {
        lines.take().0.into_iter().map(|line| line.text).collect()
    }

    fn at(ms: u64) -> Micros {
        Micros(1_000_000_000 + ms * 1000)
    }

    #[test]
    fn lines_without_room_are_counted() {
        let mut lines = LogQueue::default();
        for number in 0..LogQueue::MAX + 5 {
            lines.push(Level::Info, number);
        }
        for _ in 0..25 {
            lines.push_limited(Topic::Refutation, Level::Info, "refuted", at(0));
        }
        lines.push(Level::Debug, "of use to few");
        lines.release_all();
        let (taken, left_out) = lines.take();
        assert_eq!((taken.len(), left_out), (LogQueue::MAX, 5 + 25));
        assert_eq!(
            taken[0],
            Line {
                level: Level::Info,
                text: "0".into()
            }
        );
        assert_eq!(lines.take(), (Vec::new(), 0));
    }

    #[test]
    fn many_lines_are_added_as_a_few_then_one_a_second_with_their_number() {
        let mut lines = LogQueue::default();
        let burst = Topic::Refutation.burst() as usize;
        // A thousand a second, for two seconds and a half.
        for ms in 0..2500 {
            lines.push_limited(Topic::Refutation, Level::Info, "refuted", at(ms));
        }
        let mut expected = vec!["refuted".to_owned(); burst];
        expected.push(format!("refuted ({} more times)", 1001 - burst));
        expected.push("refuted (1000 more times)".into());
        assert_eq!(texts(&mut lines), expected);
        // No line has come since, but the rest is added all the same.
        assert_eq!(lines.next_deadline(), Some(at(3000)));
        lines.release_due(at(2999));
        assert!(texts(&mut lines).is_empty());
        lines.release_due(at(3000));
        assert_eq!(texts(&mut lines), ["refuted (499 more times)"]);
        assert_eq!(lines.next_deadline(), None);
        // A burst of the same size is allowed again only after as many seconds.
        for _ in 0..burst {
            lines.push_limited(Topic::Refutation, Level::Info, "refuted", at(5000));
        }
        assert_eq!(texts(&mut lines), ["refuted"; 2]);
        lines.release_due(at(6000));
        assert_eq!(texts(&mut lines), ["refuted (3 more times)"]);
    }

    #[test]
    fn deaths_are_added_one_by_one_or_counted_and_crowd_out_no_other_topic() {
        let mut lines = LogQueue::default();
        let burst = u64::from(Topic::Death.burst());
        for member in 0..burst + 30 {
            let text = format!("{member} is dead");
            lines.push_limited(Topic::Death, Level::Info, text, at(0));
        }
        lines.push_limited(Topic::Suspicion, Level::Info, "x is suspect", at(0));
        let mut expected: Vec<_> = (0..burst).map(|it| format!("{it} is dead")).collect();
        expected.push("x is suspect".into());
        assert_eq!(texts(&mut lines), expected);
        lines.release_all();
        let last = format!("{} is dead (and 29 more)", burst + 29);
        assert_eq!(texts(&mut lines), [last]);
    }
}
