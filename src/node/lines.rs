//! Lines for the log, kept until Lua writes them: no other thread may call Tarantool's `say`.

use core::fmt;
use core::mem;
use std::collections::VecDeque;

use crate::swim::report::Level;

/// A line for the log, to be written by Lua.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How loudly.
    pub level: Level,
    /// What it says.
    pub text: String,
}

/// What is to be logged. Bounded, since Lua may be busy for as long as it likes.
#[derive(Debug, Default)]
pub struct Lines {
    queue: VecDeque<Line>,
    left_out: u64,
    written: u64,
}

impl Lines {
    /// How many lines wait at most: at some hundred bytes each, some hundred kilobytes.
    pub const MAX: usize = 1024;

    /// Adds a line, or counts it when there is no room.
    pub fn push(&mut self, level: Level, text: impl fmt::Display) {
        self.written += 1;
        if self.queue.len() < Self::MAX {
            self.queue.push_back(Line {
                level,
                text: text.to_string(),
            });
        } else {
            self.left_out += 1;
        }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut lines = Lines::default();
        for number in 0..Lines::MAX + 5 {
            lines.push(Level::Info, number);
        }
        let (taken, left_out) = lines.take();
        assert_eq!((taken.len(), left_out), (Lines::MAX, 5));
        assert_eq!(
            taken[0],
            Line {
                level: Level::Info,
                text: "0".into()
            }
        );
        assert_eq!(lines.take(), (Vec::new(), 0));
    }
}
