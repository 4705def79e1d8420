//! LogQueue for the log, kept until Lua writes them: no other thread may call Tarantool's `say`.
//!
//! What one datagram can make us say, a thousand can. Of lines that may recur so, a few are told as
//! they come; then one a second, with the number of those that it stands for.

use core::fmt;
use core::mem;
use core::time::Duration;
use std::collections::VecDeque;

use swim::log_event::{Level, LogEvent};
use swim::time::Micros;

/// A line for the log, to be written by Lua.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How loudly.
    pub level: Level,
    /// What it says.
    pub text: String,
}

/// What a line is about. Each has an allowance of its own, so that none drowns another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// That nobody at all is heard.
    Deafness,
    /// A member that does not answer, and is suspected.
    Suspicion,
    /// A member that does not answer, of which nothing is concluded.
    Silence,
    /// A member that is dead.
    Death,
    /// A member that is not wanted.
    Removal,
    /// A member that is not understood.
    Gibberish,
    /// Somebody who is not of this group.
    Stranger,
    /// More datagrams than there is time for.
    Flood,
    /// A name that does not resolve.
    Resolver,
    /// What was said of this node.
    Refutation,
    /// A thread that was not woken, or did not come.
    Waker,
}

impl Topic {
    const ALL: [Self; 11] = [
        Self::Deafness,
        Self::Suspicion,
        Self::Silence,
        Self::Death,
        Self::Removal,
        Self::Gibberish,
        Self::Stranger,
        Self::Flood,
        Self::Resolver,
        Self::Refutation,
        Self::Waker,
    ];

    /// How many lines are told as they come, after a quiet time.
    const fn burst(self) -> u32 {
        match self {
            // There is one only, and a flood may be a short one that comes again and again.
            Self::Flood | Self::Waker => 1,
            // There are few different ones, and strangers send as many datagrams as they like.
            Self::Refutation | Self::Stranger => 5,
            // Each names another member: when a rack loses power, people want to know who was in it.
            _ => 100,
        }
    }
}

impl From<&LogEvent> for Topic {
    fn from(report: &LogEvent) -> Self {
        match report {
            LogEvent::Suspected { .. } => Self::Suspicion,
            LogEvent::Ignored { .. } | LogEvent::Doubted { .. } => Self::Silence,
            LogEvent::Deaf => Self::Deafness,
            LogEvent::TimedOut { .. } => Self::Death,
            LogEvent::Unwanted { .. } => Self::Removal,
            LogEvent::Undecryptable { .. } => Self::Gibberish,
            LogEvent::Refuted { .. } => Self::Refutation,
        }
    }
}

/// What is to be logged. Bounded, since Lua may be busy for as long as it likes.
#[derive(Debug, Default)]
pub struct LogQueue {
    queue: VecDeque<Line>,
    left_out: u64,
    written: u64,
    restraints: [Restraint; Topic::ALL.len()],
}

impl LogQueue {
    /// How many lines wait at most: at some hundred bytes each, some hundred kilobytes.
    pub const MAX: usize = 1024;

    /// Adds a line that cannot come too often.
    pub fn push(&mut self, level: Level, text: impl fmt::Display) {
        let text = text.to_string();
        self.add(Line { level, text }, 1);
    }

    /// Adds a line; or holds it back, when there were many about this of late.
    pub fn tell(&mut self, topic: Topic, level: Level, text: impl fmt::Display, now: Micros) {
        let text = text.to_string();
        self.restraints[topic as usize].hold(Line { level, text });
        self.release(topic, now);
    }

    /// Adds the lines that have been held back for long enough.
    pub fn poll(&mut self, now: Micros) {
        for topic in Topic::ALL {
            self.release(topic, now);
        }
    }

    /// Adds all lines that have been held back: nobody will ask again.
    pub fn release_all(&mut self) {
        for topic in Topic::ALL {
            if let Some(held) = self.restraints[topic as usize].held.take() {
                self.add_held(held);
            }
        }
    }

    /// When there is a line to be added by [`Self::poll`].
    pub fn next_deadline(&self) -> Option<Micros> {
        let deadlines = Topic::ALL
            .into_iter()
            .filter_map(|topic| self.restraints[topic as usize].deadline(topic.burst()));
        deadlines.min()
    }

    /// Takes the lines, oldest first, and the number of those left out since the last time.
    pub fn take(&mut self) -> (Vec<Line>, u64) {
        (
            mem::take(&mut self.queue).into(),
            mem::take(&mut self.left_out),
        )
    }

    /// Rises with every line.
    pub const fn written(&self) -> u64 {
        self.written
    }

    fn release(&mut self, topic: Topic, now: Micros) {
        if let Some(held) = self.restraints[topic as usize].release(topic.burst(), now) {
            self.add_held(held);
        }
    }

    fn add_held(&mut self, held: Held) {
        let count = held.count;
        self.add(held.into_line(), count);
    }

    /// Adds a line that stands for `count`, or counts them when there is no room. Debug lines are not
    /// counted: most logs do not take them anyway.
    fn add(&mut self, line: Line, count: u64) {
        self.written += 1;
        if self.queue.len() < Self::MAX {
            self.queue.push_back(line);
        } else if line.level != Level::Debug {
            self.left_out += count;
        }
    }
}

/// Keeps the lines about one topic from being too many.
#[derive(Debug, Default)]
struct Restraint {
    /// Each line uses up [`Self::PAUSE`], and time pays for it: up to here it is used up.
    used_up: Micros,
    held: Option<Held>,
}

/// LogQueue that wait to be told in one: the last of them, and their number.
#[derive(Debug)]
struct Held {
    line: Line,
    count: u64,
    alike: bool,
}

impl Restraint {
    /// Between two lines, once the burst is over.
    const PAUSE: Duration = Duration::from_secs(1);

    fn hold(&mut self, line: Line) {
        match &mut self.held {
            None => {
                self.held = Some(Held {
                    line,
                    count: 1,
                    alike: true,
                });
            }
            Some(held) => {
                held.count += 1;
                held.alike &= held.line == line;
                held.line = line;
            }
        }
    }

    fn release(&mut self, burst: u32, now: Micros) -> Option<Held> {
        self.deadline(burst).filter(|deadline| *deadline <= now)?;
        self.used_up = self.used_up.max(now) + Self::PAUSE;
        self.held.take()
    }

    fn deadline(&self, burst: u32) -> Option<Micros> {
        let ready = self.used_up + Self::PAUSE - Self::PAUSE * burst;
        self.held.as_ref().map(|_| ready)
    }
}

impl Held {
    fn into_line(self) -> Line {
        let Self {
            line: Line { level, text },
            count,
            alike,
        } = self;
        let text = match (count, alike) {
            (1, _) => text,
            (_, true) => format!("{text} ({count} more times)"),
            (_, false) => format!("{text} (and {} more)", count - 1),
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
    fn what_finds_no_room_is_counted() {
        let mut lines = LogQueue::default();
        for number in 0..LogQueue::MAX + 5 {
            lines.push(Level::Info, number);
        }
        for _ in 0..25 {
            lines.tell(Topic::Refutation, Level::Info, "refuted", at(0));
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
    fn of_a_flood_some_are_told_then_one_a_second_with_their_number() {
        let mut lines = LogQueue::default();
        let burst = Topic::Refutation.burst() as usize;
        // A thousand a second, for two seconds and a half.
        for ms in 0..2500 {
            lines.tell(Topic::Refutation, Level::Info, "refuted", at(ms));
        }
        let mut expected = vec!["refuted".to_owned(); burst];
        expected.push(format!("refuted ({} more times)", 1001 - burst));
        expected.push("refuted (1000 more times)".into());
        assert_eq!(texts(&mut lines), expected);
        // Nobody has said anything since, but the rest is told all the same.
        assert_eq!(lines.next_deadline(), Some(at(3000)));
        lines.poll(at(2999));
        assert!(texts(&mut lines).is_empty());
        lines.poll(at(3000));
        assert_eq!(texts(&mut lines), ["refuted (499 more times)"]);
        assert_eq!(lines.next_deadline(), None);
        // As many as before are told as they come only after as many seconds.
        for _ in 0..burst {
            lines.tell(Topic::Refutation, Level::Info, "refuted", at(5000));
        }
        assert_eq!(texts(&mut lines), ["refuted"; 2]);
        lines.poll(at(6000));
        assert_eq!(texts(&mut lines), ["refuted (3 more times)"]);
    }

    #[test]
    fn deaths_are_told_one_by_one_or_counted_and_drown_nothing_else() {
        let mut lines = LogQueue::default();
        let burst = u64::from(Topic::Death.burst());
        for member in 0..burst + 30 {
            let text = format!("{member} is dead");
            lines.tell(Topic::Death, Level::Info, text, at(0));
        }
        lines.tell(Topic::Suspicion, Level::Info, "x is suspect", at(0));
        let mut expected: Vec<_> = (0..burst).map(|it| format!("{it} is dead")).collect();
        expected.push("x is suspect".into());
        assert_eq!(texts(&mut lines), expected);
        lines.release_all();
        let last = format!("{} is dead (and 29 more)", burst + 29);
        assert_eq!(texts(&mut lines), [last]);
    }
}
