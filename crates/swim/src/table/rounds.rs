//! Whom to probe next, and which members to choose at random.

use rand::rngs::StdRng;

use crate::detector::rhythm::Rhythm;
use crate::identity::uri::Uri;
use crate::table::member::Member;
use crate::table::members::Members;
use crate::time::Micros;

/// Of how many unreachable members one is looked for that is to be probed: there may be thousands, most of which
/// are left alone.
const LOOKS_MAX: usize = 16;

impl Members {
    /// The alive and suspect members, in no order that means anything.
    pub fn live(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.live.iter().map(|place| self.at(place))
    }

    /// The next of the alive and suspect members to be probed.
    pub fn next_live(&mut self, rng: &mut StdRng) -> Option<Uri> {
        let place = self.live.take(rng)?;
        Some(self.at(place).uri.clone())
    }

    /// How many dead and non-decryptable members are probed in turn.
    pub fn unreachable(&self) -> usize {
        self.unreachable.len()
    }

    /// The next of the dead and non-decryptable members to be probed, if there is one that is not left alone.
    pub fn next_unreachable(&mut self, rng: &mut StdRng, now: Micros) -> Option<Uri> {
        for _ in 0..LOOKS_MAX.min(self.unreachable.len()) {
            let place = self.unreachable.take(rng)?;
            let member = &mut self.table[place as usize];
            let rhythm = member.rhythm.get_or_insert_with(|| Rhythm::new(now).into());
            if rhythm.take_turn(rng, now) {
                return Some(member.uri.clone());
            }
        }
        None
    }

    /// Up to `count` different members that are alive or suspect, and `suitable`, at random. Among
    /// thousands of which few are suitable some may be missed.
    pub fn sample(
        &self,
        count: usize,
        rng: &mut StdRng,
        suitable: impl Fn(&Member) -> bool,
    ) -> Vec<Uri> {
        let mut uris = Vec::new();
        for place in self
            .live
            .sample(count, rng, |place| suitable(self.at(place)))
        {
            uris.push(self.at(place).uri.clone());
        }
        uris
    }
}
