//! Options, assigned while the protocol runs.

use super::Turn;
use crate::config::{BadOption, Setting};
use crate::profile::Profile;
use crate::time::Now;
use crate::timers::Timer;
use crate::tuning::Changed;
use crate::{Refused, Swim};

/// The one option of membership 2.x on which it depends whether the payload fits.
const PACKET_SIZE: &str = "MAX_PACKET_SIZE";

impl Swim {
    /// Assigns an option. It takes effect at once: what is waited for is not waited for longer than it
    /// says now.
    ///
    /// A number that membership 2.x would take never fails: if it is out of bounds, the nearest one is
    /// assigned instead, and the answer is why. [`Self::config`] shows which one.
    pub fn assign(
        &mut self,
        name: &str,
        setting: Setting,
        now: Now,
    ) -> Result<Option<Refused>, Refused> {
        // Which of the options decide about the payload's room is known to `payload_limit` alone: so it is
        // tried, and taken back.
        let (before, form) = (self.config.clone(), self.seal().form());
        let mut why = self.assign_nearest(name, setting)?;
        let (size, limit) = (self.me.payload.bytes().len(), self.payload_limit());
        if size > limit {
            let too_large = Refused::PayloadTooLarge { size, limit };
            // Membership 2.x would take any number here, so this must not fail.
            if name != PACKET_SIZE {
                self.config = before;
                return Err(too_large);
            }
            self.enlarge_packets(before.max_packet_size);
            why = Some(too_large);
        }
        if before.allowed_networks != self.config.allowed_networks {
            Turn::new(self, now).forget_excluded();
        }
        self.retime(now);
        Turn::new(self, now).show_form(form);
        Ok(why)
    }

    /// Gives the options that no program has assigned the values of this profile.
    pub fn use_profile(&mut self, profile: Profile, now: Now) -> Changed {
        let changed = self.config.use_profile(profile);
        self.retime(now);
        changed
    }

    /// Gives an option that a program has assigned back the value that it has otherwise. It must be one on which the
    /// room for payloads does not depend, or a smaller payload is to be set before.
    pub fn reset_option(&mut self, name: &str, now: Now) -> Result<Option<Refused>, Refused> {
        let mut copy = self.config.clone();
        if !copy.reset(name) {
            return Err(Refused::Option(BadOption::Unknown));
        }
        let Some(value) = copy.get(name) else {
            return Err(Refused::Option(BadOption::Unknown));
        };
        let why = self.assign(name, value, now)?;
        self.config.note_assigned(name, false);
        Ok(why)
    }

    /// Waits for nothing longer than the options say now.
    fn retime(&mut self, now: Now) {
        if self.me.uri.is_some() {
            let config = &self.config;
            let (period, anti_entropy) = (config.protocol_period, config.anti_entropy_period);
            self.timers.advance(Timer::Period, now.monotonic + period);
            self.timers
                .advance(Timer::AntiEntropy, now.monotonic + anti_entropy);
            let mut turn = Turn::new(self, now);
            turn.watch_oldest_suspicion();
            turn.watch_oldest_departure();
        }
    }

    /// Assigns what is asked for, or else the number nearest to it. Says why it is not what was asked
    /// for.
    fn assign_nearest(&mut self, name: &str, setting: Setting) -> Result<Option<Refused>, Refused> {
        let number = match setting {
            Setting::Number(number) => self.config.nearest(name, number),
            Setting::Flag(_) | Setting::Text(_) | Setting::List(_) => None,
        };
        let Err(bad) = self.config.assign(name, setting) else {
            return Ok(None);
        };
        let bad = Refused::Option(bad);
        let Some(nearest) = number else {
            return Err(bad);
        };
        self.config
            .assign(name, Setting::Number(nearest))
            .map_err(Refused::Option)?;
        Ok(Some(bad))
    }

    /// Makes packets no larger than the payload needs: between the present size, in which it does not
    /// fit, and `most`, in which it did.
    fn enlarge_packets(&mut self, most: usize) {
        let (mut least, mut most) = (self.config.max_packet_size, most);
        while least < most {
            self.config.max_packet_size = least.midpoint(most);
            if self.me.payload.bytes().len() <= self.payload_limit() {
                most = self.config.max_packet_size;
            } else {
                least = self.config.max_packet_size + 1;
            }
        }
        self.config.max_packet_size = most;
    }

    /// What is sealed from now on goes with this salt, drawn from the system: should this process have
    /// been duplicated without notice, its copy has another one. To be called before an input or a
    /// command, if [`Swim::needs_salt`].
    pub const fn set_salt(&mut self, salt: u64) {
        self.security.sessions.set_salt(salt);
    }
}
