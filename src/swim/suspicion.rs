//! When a suspect is to be called dead (§4.2).

use core::time::Duration;
use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::time::Micros;
use super::uri::Uri;

/// A deadline for each suspect, counted from when *this* node learnt of the suspicion.
#[derive(Debug, Default)]
pub struct Suspicions {
    deadlines: IndexMap<Uri, Micros>,
    queue: BTreeSet<(Micros, Uri)>,
}

impl Suspicions {
    /// Suspects `uri` until `deadline`. A suspicion that runs already keeps its deadline.
    pub fn start(&mut self, uri: &Uri, deadline: Micros) {
        if !self.deadlines.contains_key(uri) {
            self.deadlines.insert(uri.clone(), deadline);
            self.queue.insert((deadline, uri.clone()));
        }
    }

    /// No longer suspects `uri`.
    pub fn stop(&mut self, uri: &str) {
        if let Some((uri, deadline)) = self.deadlines.swap_remove_entry(uri) {
            self.queue.remove(&(deadline, uri));
        }
    }

    /// Gives every suspect that much more time.
    pub fn postpone(&mut self, by: Duration) {
        self.deadlines
            .values_mut()
            .for_each(|deadline| *deadline = *deadline + by);
        let deadlines = self.deadlines.iter();
        self.queue = deadlines
            .map(|(uri, deadline)| (*deadline, uri.clone()))
            .collect();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        debug_assert_eq!(self.deadlines.len(), self.queue.len());
        self.deadlines.len()
    }

    /// When the next one ripens.
    pub fn next(&self) -> Option<Micros> {
        self.queue.first().map(|(deadline, _uri)| *deadline)
    }

    /// Takes a suspect whose time is over.
    pub fn pop_ripe(&mut self, now: Micros) -> Option<Uri> {
        let (_, uri) = self
            .queue
            .first()
            .filter(|(deadline, _uri)| *deadline <= now)?;
        let uri = uri.clone();
        self.stop(&uri);
        Some(uri)
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.deadlines.clear();
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspicions_ripen_in_order_and_are_not_prolonged_by_repetition() {
        let [a, b] = [1, 2].map(|port| Uri::new("a", port).unwrap());
        let mut suspicions = Suspicions::default();
        suspicions.start(&a, Micros(5));
        suspicions.start(&b, Micros(3));
        suspicions.start(&b, Micros(9));
        assert_eq!(suspicions.next(), Some(Micros(3)));
        assert_eq!(suspicions.pop_ripe(Micros(2)), None);
        assert_eq!(suspicions.pop_ripe(Micros(9)), Some(b.clone()));
        suspicions.stop(&a);
        suspicions.stop(&a);
        assert_eq!(
            (suspicions.next(), suspicions.pop_ripe(Micros(99))),
            (None, None)
        );
        suspicions.start(&b, Micros(20));
        assert_eq!(suspicions.next(), Some(Micros(20)), "suspected anew");
        suspicions.postpone(Duration::from_micros(5));
        assert_eq!(suspicions.pop_ripe(Micros(24)), None);
        assert_eq!(suspicions.pop_ripe(Micros(25)), Some(b));
    }
}
