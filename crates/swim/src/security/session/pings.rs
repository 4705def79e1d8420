//! The last pings, to be sent again when their recipient did not believe them.

use std::collections::VecDeque;

use crate::identity::uri::Uri;

/// How many are remembered.
const PINGS_MAX: usize = 64;

/// The last pings, and to whom they were sent.
#[derive(Debug, Default)]
pub struct LastPings {
    pings: VecDeque<(Uri, Vec<u8>)>,
}

impl LastPings {
    /// Remembers a ping, in case its recipient does not believe it yet.
    pub fn remember(&mut self, to: &Uri, data: &[u8]) {
        if self.pings.len() == PINGS_MAX {
            self.pings.pop_front();
        }
        self.pings.push_back((to.clone(), data.to_vec()));
    }

    /// Whether a ping to `to` is remembered.
    pub fn has(&self, to: &Uri) -> bool {
        self.pings.iter().any(|(known, _)| known == to)
    }

    /// The last ping to `to` that is remembered.
    pub fn take(&mut self, to: &Uri) -> Option<Vec<u8>> {
        let last = self.pings.iter().rposition(|(known, _)| known == to)?;
        let (_to, data) = self.pings.remove(last)?;
        Some(data)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.pings.clear();
    }

    /// Whether there are no more than there may be; for audits.
    pub fn is_bounded(&self) -> bool {
        self.pings.len() <= PINGS_MAX
    }
}
