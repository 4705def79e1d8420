//! Options by profile: those that no program has assigned have the values of the profile in use.

use crate::config::{Config, Setting};
use crate::profile::{Assigned, Profile};

const _: () = assert!(
    Config::NAMES.len() <= Assigned::OPTIONS_MAX,
    "there is a bit for each"
);

/// What a profile has changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changed {
    /// The options that have another value now, and which.
    pub changed: Vec<(&'static str, Setting)>,
    /// The options that the profile would have set, if a program had not: with their values.
    pub kept: Vec<(&'static str, Setting)>,
}

impl Config {
    /// Gives the options that no program has assigned the values of this profile, and forgets those of the one before.
    pub fn use_profile(&mut self, profile: Profile) -> Changed {
        let mut effect = Changed::default();
        for name in Self::NAMES {
            // The others have their defaults, or what the payload needs.
            if !is_tuned(name) {
                continue;
            }
            let (Some(before), Some(wanted)) = (self.get(name), value_of(profile, name)) else {
                continue;
            };
            if before == wanted {
                continue;
            }
            if self.is_assigned(name) {
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
        let Some(value) = value_of(self.profile, name) else {
            return false;
        };
        self.note_assigned(name, false);
        self.set(name, value).is_ok()
    }
}

/// Whether any profile sets this option.
fn is_tuned(name: &str) -> bool {
    let mut values = Profile::ALL.iter().flat_map(|profile| profile.values());
    values.any(|(set, _)| *set == name)
}

/// What an option is with this profile, if no program assigns it; `None` if there is no such option.
fn value_of(profile: Profile, name: &str) -> Option<Setting> {
    for (set, value) in profile.values() {
        if *set == name {
            return Some(Setting::Number(*value));
        }
    }
    Config::default().get(name)
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
