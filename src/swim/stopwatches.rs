//! Since when something is so of some members: that they are suspect (§4.2), that they are gone.

use core::time::Duration;
use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::time::Micros;
use super::uri::Uri;

/// Those of whom it is so, and since when *this* node has known that.
#[derive(Debug, Default)]
pub struct Stopwatches {
    since: IndexMap<Uri, Micros>,
    queue: BTreeSet<(Micros, Uri)>,
}

impl Stopwatches {
    /// It is so of `uri` from now on, unless it was before.
    pub fn start(&mut self, uri: &Uri, now: Micros) {
        if !self.since.contains_key(uri) {
            self.since.insert(uri.clone(), now);
            self.queue.insert((now, uri.clone()));
        }
    }

    /// It is no longer so of `uri`.
    pub fn stop(&mut self, uri: &str) {
        if let Some((uri, since)) = self.since.swap_remove_entry(uri) {
            self.queue.remove(&(since, uri));
        }
    }

    /// Gives everybody that much more time.
    pub fn postpone(&mut self, by: Duration) {
        self.since
            .values_mut()
            .for_each(|since| *since = *since + by);
        let since = self.since.iter();
        self.queue = since.map(|(uri, since)| (*since, uri.clone())).collect();
    }

    /// Of how many it is so.
    pub fn len(&self) -> usize {
        self.since.len()
    }

    /// When it has been so of the next one for `timeout`.
    pub fn next(&self, timeout: Duration) -> Option<Micros> {
        self.queue.first().map(|(since, _uri)| *since + timeout)
    }

    /// Takes one of whom it has been so for `timeout`.
    pub fn pop_ripe(&mut self, timeout: Duration, now: Micros) -> Option<Uri> {
        self.next(timeout).filter(|deadline| *deadline <= now)?;
        let (_since, uri) = self.queue.first()?;
        let uri = uri.clone();
        self.stop(&uri);
        Some(uri)
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.since.clear();
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspicions_ripen_in_order_and_are_not_prolonged_by_repetition() {
        let [a, b] = [1, 2].map(|port| Uri::new("a", port).unwrap());
        let timeout = Duration::from_micros(10);
        let mut suspicions = Stopwatches::default();
        suspicions.start(&b, Micros(3));
        suspicions.start(&a, Micros(5));
        suspicions.start(&b, Micros(9));
        assert_eq!(suspicions.next(timeout), Some(Micros(13)));
        assert_eq!(suspicions.pop_ripe(timeout, Micros(12)), None);
        assert_eq!(suspicions.pop_ripe(timeout, Micros(99)), Some(b.clone()));
        suspicions.stop(&a);
        suspicions.stop(&a);
        assert_eq!(suspicions.next(timeout), None);
        assert_eq!(suspicions.pop_ripe(timeout, Micros(99)), None);
        suspicions.start(&b, Micros(20));
        assert_eq!(suspicions.next(timeout), Some(Micros(30)), "suspected anew");
        suspicions.postpone(Duration::from_micros(5));
        assert_eq!(suspicions.pop_ripe(timeout, Micros(34)), None);
        assert_eq!(suspicions.pop_ripe(timeout, Micros(35)), Some(b));
    }
}
