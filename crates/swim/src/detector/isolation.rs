//! Whether the local node receives anything. If it receives nothing at all, the fault is probably its own
//! (a firewall that lets nothing in), and it must not accuse a member each period.

use crate::time::Micros;

/// After how many failed probes in a row, without any datagram received, the local node takes itself to
/// be isolated. One may have met a dead member in a period in which no other pinged: with many members
/// that happens once in e times.
const SILENT_PROBES_MAX: u32 = 2;

/// What was received lately.
#[derive(Debug, Default)]
pub struct Isolation {
    last: Option<Micros>,
    silent_probes: u32,
}

impl Isolation {
    /// A datagram came from another member.
    pub fn heard(&mut self, now: Micros) {
        self.last = Some(now);
        self.silent_probes = 0;
    }

    /// Whether no datagrams are received.
    pub const fn is_isolated(&self) -> bool {
        self.silent_probes >= SILENT_PROBES_MAX
    }

    /// A probe that began at `began` has failed. Returns whether the local node is isolated from now on.
    pub fn note_failed_probe(&mut self, began: Micros) -> bool {
        if self.last.is_some_and(|last| last >= began) {
            return false;
        }
        self.silent_probes += 1;
        self.silent_probes == SILENT_PROBES_MAX
    }
}
