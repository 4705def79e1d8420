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
        // Something was received since then: so it is the member that does not answer.
        if let Some(last) = self.last
            && last >= began
        {
            return false;
        }
        self.silent_probes += 1;
        self.silent_probes == SILENT_PROBES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_failed_probes_in_silence_make_it_isolated_and_one_datagram_ends_it() {
        let mut isolation = Isolation::default();
        assert!(!isolation.note_failed_probe(Micros(10)));
        assert!(!isolation.is_isolated());
        assert!(isolation.note_failed_probe(Micros(20)));
        assert!(isolation.is_isolated());
        assert!(!isolation.note_failed_probe(Micros(30)), "it is told once");
        isolation.heard(Micros(40));
        assert!(!isolation.is_isolated());
    }

    #[test]
    fn a_datagram_since_the_probe_began_means_that_something_is_received() {
        let mut isolation = Isolation::default();
        for began in [10, 20, 30] {
            isolation.heard(Micros(began));
            assert!(!isolation.note_failed_probe(Micros(began)));
        }
        assert!(!isolation.is_isolated());
        assert!(!isolation.note_failed_probe(Micros(31)));
        assert!(isolation.note_failed_probe(Micros(32)));
    }
}
