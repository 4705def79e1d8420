//! The trials of one implementation, or of one mixture of them.

use crate::table::{Figure, Spread, spread};
use crate::theory::{self, Curve};
use crate::trial::Trial;

/// The trials of one implementation, or of one mixture.
pub struct Family<'a> {
    /// The share of the members that run membership 2.x.
    pub legacy_share: f64,
    /// The class of its colour.
    pub class: &'static str,
    /// What the legend calls it.
    pub name: String,
    /// By size of the group.
    pub trials: Vec<&'a Trial>,
}

/// All families, by the share of membership 2.x.
pub fn families(trials: &[Trial]) -> Vec<Family<'_>> {
    let mut shares: Vec<f64> = trials
        .iter()
        .map(|trial| trial.group.legacy_share)
        .collect();
    shares.sort_by(f64::total_cmp);
    shares.dedup();
    let family = |legacy_share: f64| {
        let percent = || format!("{:.0} % membership 2.x", legacy_share * 100.0);
        let (class, name) = match legacy_share {
            0.0 => ("this", "this module".to_owned()),
            1.0 => ("old", "membership 2.x (model)".to_owned()),
            share if share <= 0.5 => ("mixed", percent()),
            _ => ("mixed-more", percent()),
        };
        let of_family = |trial: &&Trial| trial.group.legacy_share == legacy_share;
        let trials = trials.iter().filter(of_family).collect();
        Family {
            legacy_share,
            class,
            name,
            trials,
        }
    };
    shares.into_iter().map(family).collect()
}

impl Family<'_> {
    fn is_mixed(&self) -> bool {
        self.legacy_share != 0.0 && self.legacy_share != 1.0
    }

    /// A figure over the size of the group.
    pub fn over_sizes(&self, figure: &Figure) -> Vec<(f64, Spread)> {
        let mut sizes: Vec<u32> = self
            .trials
            .iter()
            .map(|trial| trial.group.members)
            .collect();
        sizes.dedup();
        let point = |members: u32| {
            let of_size = |trial: &&&Trial| trial.group.members == members;
            let trials: Vec<&Trial> = self.trials.iter().filter(of_size).copied().collect();
            Some((f64::from(members), spread(&trials, figure)?))
        };
        sizes.into_iter().filter_map(point).collect()
    }

    /// The same figure by theory.
    pub fn in_theory(&self, figure: usize) -> Curve {
        let mut sizes = self.trials.clone();
        sizes.dedup_by_key(|trial| trial.group.members);
        let point = |trial: &&Trial| {
            let group = &trial.group;
            let value = match figure {
                0 => theory::time_of(&news_in_theory(trial, 60.0), 0.5),
                1 => theory::time_of(&news_in_theory(trial, 60.0), 0.99),
                3 if !self.is_mixed() => {
                    Some(theory::first_suspicion(group.members, &group.config))
                }
                _ => None,
            };
            value.map(|value| (f64::from(group.members), value))
        };
        sizes.iter().filter_map(point).collect()
    }
}

/// The share of the others that know a payload over time, by theory; of mixed groups there is none.
pub fn news_in_theory(trial: &Trial, limit: f64) -> Curve {
    let group = &trial.group;
    match group.legacy_share {
        0.0 => theory::push(group.members, &group.config, &group.weather, limit.min(5.0)),
        1.0 => theory::ride(group.members, &group.config, group.weather.loss, limit),
        _ => Curve::new(),
    }
}
