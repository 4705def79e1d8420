//! The trials of one implementation, or of one mixture of them.

use plotters::style::RGBColor;

use crate::table::{Figure, Spread, spread};
use crate::theory::{self, Curve};
use crate::trial::Trial;

/// The trials of one implementation, or of one mixture.
pub struct Family<'a> {
    /// The share of the members that run membership 2.x.
    pub legacy_share: f64,
    /// Its colour, told from the others by those who see no red or no green, too.
    pub color: RGBColor,
    /// What the legend calls it.
    pub name: String,
    /// By size of the group.
    pub trials: Vec<&'a Trial>,
}

/// All families, by the share of membership 2.x.
pub fn families<'a>(trials: &'a [Trial]) -> Vec<Family<'a>> {
    let mut trials: Vec<&'a Trial> = trials.iter().collect();
    let legacy_share = |trial: &Trial| trial.group.legacy_share;
    trials.sort_by(|one, other| legacy_share(one).total_cmp(&legacy_share(other)));
    let family = |trials: &[&'a Trial]| {
        let legacy_share = legacy_share(trials[0]);
        let percent = || format!("{:.0} % membership 2.x", legacy_share * 100.0);
        let (color, name) = match legacy_share {
            0.0 => (RGBColor(0, 90, 181), "this module".to_owned()),
            1.0 => (RGBColor(220, 50, 32), "membership 2.x (model)".to_owned()),
            share if share <= 0.5 => (RGBColor(120, 94, 240), percent()),
            _ => (RGBColor(100, 100, 100), percent()),
        };
        let trials = trials.to_vec();
        Family {
            legacy_share,
            color,
            name,
            trials,
        }
    };
    let of_family = trials.chunk_by(|one, other| legacy_share(one) == legacy_share(other));
    of_family.map(family).collect()
}

impl<'a> Family<'a> {
    /// The trials of each size.
    fn sizes(&self) -> impl Iterator<Item = (f64, &[&'a Trial])> {
        let sizes = self
            .trials
            .chunk_by(|one, other| one.group.members == other.group.members);
        sizes.map(|trials| (trials[0].group.members.into(), trials))
    }

    /// A figure over the size of the group.
    pub fn over_sizes(&self, figure: &Figure) -> Vec<(f64, Spread)> {
        self.sizes()
            .filter_map(|(size, trials)| Some((size, spread(trials, figure)?)))
            .collect()
    }

    /// The same figure by theory.
    pub fn in_theory(&self, figure: usize) -> Curve {
        let is_mixed = self.legacy_share != 0.0 && self.legacy_share != 1.0;
        let value = |trial: &Trial| match figure {
            0 => theory::time_of(&news_in_theory(trial, 60.0), 0.5),
            1 => theory::time_of(&news_in_theory(trial, 60.0), 0.99),
            3 if !is_mixed => Some(theory::first_suspicion(
                trial.group.members,
                &trial.group.config,
            )),
            _ => None,
        };
        self.sizes()
            .filter_map(|(size, trials)| Some((size, value(trials[0])?)))
            .collect()
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
