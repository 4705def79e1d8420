//! Profiles: options for a kind of network, or for a purpose, by one name.
//!
//! What a program assigns itself stays as it is, whether it does so before or after it uses a profile.

use crate::config::{Config, Setting};

/// A set of options that go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// A data centre: the defaults.
    #[default]
    Lan,
    /// Data centres that are far from one another.
    Wan,
    /// One machine, as for development and tests.
    Local,
    /// A data centre, with deaths known within two seconds.
    Failover,
}

/// Which options a program has assigned: a bit for each of [`Config::NAMES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assigned(u32);

const _: () = assert!(
    Config::NAMES.len() <= u32::BITS as usize,
    "there is a bit for each"
);

impl Assigned {
    /// Whether a program has assigned this option.
    pub fn has(self, name: &str) -> bool {
        self.0 & Self::bit(name) != 0
    }

    /// Notes whether a program has assigned this option.
    pub fn note(&mut self, name: &str, is_assigned: bool) {
        if is_assigned {
            self.0 |= Self::bit(name);
        } else {
            self.0 &= !Self::bit(name);
        }
    }

    /// The bit of an option; none if there is no such option.
    fn bit(name: &str) -> u32 {
        match Config::NAMES.iter().position(|known| *known == name) {
            Some(index) => 1 << index,
            None => 0,
        }
    }
}

/// What a profile has changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changed {
    /// The options that have another value now, and which.
    pub changed: Vec<(&'static str, Setting)>,
    /// The options that the profile would have set, if a program had not: with their values.
    pub kept: Vec<(&'static str, Setting)>,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Lan, Self::Wan, Self::Local, Self::Failover];

    /// The name by which it is chosen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Wan => "wan",
            Self::Local => "local",
            Self::Failover => "failover",
        }
    }

    /// The profile of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The options that it sets; all others have their defaults. `doc/operations.md` justifies each by a
    /// simulation.
    const fn values(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::Lan => &[],
            Self::Wan => &[
                // The longest round trip between continents takes 0.4 s or so.
                ("ACK_TIMEOUT_SECONDS", 0.8),
                // So that a probe has as many tries as in a data centre.
                ("PROTOCOL_PERIOD_SECONDS", 3.0),
                // A refutation has as far to go as the suspicion had.
                ("SUSPECT_TIMEOUT_SECONDS", 6.0),
                // What is pushed again within a round trip is pushed in vain.
                ("GOSSIP_INTERVAL_SECONDS", 0.2),
                ("ANTI_ENTROPY_PERIOD_SECONDS", 30.0),
            ],
            Self::Local => &[
                ("ACK_TIMEOUT_SECONDS", 0.1),
                ("PROTOCOL_PERIOD_SECONDS", 0.5),
                ("SUSPECT_TIMEOUT_SECONDS", 1.5),
                ("ANTI_ENTROPY_PERIOD_SECONDS", 5.0),
            ],
            Self::Failover => &[
                ("PROTOCOL_PERIOD_SECONDS", 0.5),
                ("SUSPECT_TIMEOUT_MIN_SECONDS", 0.5),
            ],
        }
    }

    /// What an option is with this profile, if no program assigns it; `None` if there is no such option.
    fn value_of(self, name: &str) -> Option<Setting> {
        for (set, value) in self.values() {
            if *set == name {
                return Some(Setting::Number(*value));
            }
        }
        Config::default().get(name)
    }
}

impl Config {
    /// Gives the options that no program has assigned the values of this profile, and forgets those of the one before.
    pub fn use_profile(&mut self, profile: Profile) -> Changed {
        let mut effect = Changed::default();
        for name in Self::NAMES {
            let (Some(before), Some(wanted)) = (self.get(name), profile.value_of(name)) else {
                continue;
            };
            if before == wanted {
                continue;
            }
            if self.assigned.has(name) {
                if profile.values().iter().any(|(set, _)| *set == name) {
                    effect.kept.push((name, before));
                }
            } else if self.set(name, wanted.clone()).is_ok() {
                effect.changed.push((name, wanted));
            }
        }
        self.profile = profile;
        effect
    }

    /// Gives an option back the value that it has if no program assigns it. False if there is no such option.
    pub fn reset(&mut self, name: &str) -> bool {
        let Some(value) = self.profile.value_of(name) else {
            return false;
        };
        self.assigned.note(name, false);
        self.set(name, value).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(config: &Config, name: &str) -> f64 {
        let Some(Setting::Number(number)) = config.get(name) else {
            panic!("no number: {name}");
        };
        number
    }

    #[test]
    fn each_value_of_a_profile_is_taken_as_it_is() {
        for profile in Profile::ALL {
            let mut config = Config::default();
            let Changed { changed, kept } = config.use_profile(profile);
            assert_eq!(changed.len(), profile.values().len(), "{}", profile.name());
            assert!(kept.is_empty());
            for (name, value) in profile.values() {
                assert_eq!(number(&config, name), *value, "{name}");
            }
            assert_eq!(Profile::from_name(profile.name()), Some(profile));
        }
        assert_eq!(Profile::from_name("LAN"), None);
    }

    #[test]
    fn what_was_assigned_stays_whatever_the_order() {
        let period = "PROTOCOL_PERIOD_SECONDS";
        for value in [1.0, 7.0] {
            let mut before = Config::default();
            before.assign(period, Setting::Number(value)).unwrap();
            let Changed { changed, kept } = before.use_profile(Profile::Failover);
            assert_eq!(kept, [(period, Setting::Number(value))]);
            let minimum = ("SUSPECT_TIMEOUT_MIN_SECONDS", Setting::Number(0.5));
            assert_eq!(changed, [minimum]);
            let mut after = Config::default();
            after.use_profile(Profile::Failover);
            after.assign(period, Setting::Number(value)).unwrap();
            for config in [before, after] {
                assert_eq!(number(&config, period), value);
                assert_eq!(number(&config, "SUSPECT_TIMEOUT_MIN_SECONDS"), 0.5);
            }
        }
    }

    #[test]
    fn the_next_profile_leaves_nothing_of_the_one_before() {
        for first in Profile::ALL {
            for second in Profile::ALL {
                let mut config = Config::default();
                config.use_profile(first);
                config.use_profile(second);
                let mut alone = Config::default();
                alone.use_profile(second);
                for name in Config::NAMES {
                    assert_eq!(config.get(name), alone.get(name), "{name}");
                }
            }
        }
    }

    #[test]
    fn an_option_that_is_reset_follows_the_profile_again() {
        let (mut config, period) = (Config::default(), "PROTOCOL_PERIOD_SECONDS");
        config.assign(period, Setting::Number(7.0)).unwrap();
        config.use_profile(Profile::Failover);
        assert!(config.reset(period) && !config.reset("NONE"));
        assert_eq!(number(&config, period), 0.5);
        config.use_profile(Profile::Lan);
        assert_eq!(number(&config, period), 1.0);
    }
}
