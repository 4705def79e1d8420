//! The events to come, in the order of time.

use core::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use swim::time::Micros;

/// Events to come. Of two at the same time, the one that was added first comes first.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    added: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Micros,
    number: u64,
    what: T,
}

impl<T> Queue<T> {
    /// Creates an empty queue.
    pub const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            added: 0,
        }
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Adds an event.
    pub fn push(&mut self, at: Micros, what: T) {
        self.added += 1;
        let number = self.added;
        self.heap.push(Reverse(Entry { at, number, what }));
    }

    /// Removes the next event, unless it is after `end`.
    pub fn pop_until(&mut self, end: Micros) -> Option<(Micros, T)> {
        let Reverse(next) = self.heap.peek()?;
        if next.at > end {
            return None;
        }
        let Reverse(Entry { at, what, .. }) = self.heap.pop()?;
        Some((at, what))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_broken_by_the_order_of_adding() {
        let mut queue = Queue::new();
        for (at, what) in [(5, 'd'), (3, 'a'), (3, 'b'), (9, 'e'), (3, 'c')] {
            queue.push(Micros(at), what);
        }
        let order: String =
            core::iter::from_fn(|| queue.pop_until(Micros(5)).map(|(_, what)| what)).collect();
        assert_eq!(order, "abcd");
        assert_eq!(queue.pop_until(Micros(9)), Some((Micros(9), 'e')));
    }
}
