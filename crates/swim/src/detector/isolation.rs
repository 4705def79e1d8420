//! Whether I hear anybody. Who hears nobody at all is ill himself, and shall not tell others who is
//! gone: behind a firewall that lets nothing in, one would accuse somebody every period.

use crate::Swim;
use crate::log_event::LogEvent;
use crate::time::Micros;

/// After how many probes in a row that failed while I heard nothing, from nobody, I take myself for
/// deaf. One may have met somebody who is gone, in a period in which nobody pinged me: with many
/// members that happens once in e times.
const SILENT_PROBES_MAX: u32 = 2;

/// What I have heard of late.
#[derive(Debug, Default)]
pub struct Isolation {
    last: Option<Micros>,
    silent_probes: u32,
}

impl Isolation {
    /// Something came from somebody else.
    pub fn heard(&mut self, now: Micros) {
        self.last = Some(now);
        self.silent_probes = 0;
    }

    /// Whether I hear nobody.
    pub const fn is_isolated(&self) -> bool {
        self.silent_probes >= SILENT_PROBES_MAX
    }
}

impl Swim {
    /// A probe that began at `began` has failed: looks whether that is because I hear nobody.
    ///
    /// With one other member there is nobody to mislead, and nobody else to hear.
    pub(crate) fn notice_isolation(&mut self, began: Micros) {
        let silent = self.isolation.last.is_none_or(|last| last < began);
        if !silent || self.members.live().len() < 3 || !self.config.mechanisms.deaf_discretion {
            return;
        }
        self.isolation.silent_probes += 1;
        if self.isolation.silent_probes == SILENT_PROBES_MAX {
            self.stats.isolations += 1;
            self.report(LogEvent::Deaf);
        }
    }

    /// Keeps what I think of `uri` to myself, if I am deaf.
    pub(crate) fn withhold_if_isolated(&mut self, uri: &str) {
        if self.isolation.is_isolated() {
            self.rumors.stop(uri);
        }
    }
}
