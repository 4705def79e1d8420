//! The figures as a picture: panels in one column, which can be read on a telephone.

mod family;
mod panel;
mod svg;

use std::path::Path;

use crate::plot::family::{Family, families, news_in_theory};
use crate::plot::panel::{Axis, MARGIN, Panel, Sample, plain};
use crate::plot::svg::{LINE_HEIGHT, Mark, Picture, lines};
use crate::table::{FIGURES, Figure};
use crate::trial::Trial;

/// Figures over the size of the group.
struct OverSizes {
    heading: [&'static str; 2],
    /// Indices of [`FIGURES`], and what they are.
    figures: [(usize, &'static str); 2],
    unit: &'static str,
    /// What the theory predicts, if it does.
    theory: Option<&'static str>,
}

const DETECTION: OverSizes = OverSizes {
    heading: ["One member loses power:", "how soon the others notice"],
    figures: [(3, "first suspected"), (4, "dead for all")],
    unit: " s",
    theory: Some("theory of the first"),
};

const NEWS: OverSizes = OverSizes {
    heading: ["One member sets a payload:", "how soon the others know it"],
    figures: [(0, "half of them"), (1, "99 % of them")],
    unit: " s",
    theory: Some("theory"),
};

const LOAD: OverSizes = OverSizes {
    heading: ["What a member sends in a second", "while nothing happens"],
    figures: [(8, "bytes in UDP"), (7, "datagrams")],
    unit: "",
    theory: None,
};

const MISTAKES: OverSizes = OverSizes {
    heading: [
        "How often, in an hour, a member",
        "that is alive is falsely",
    ],
    figures: [(5, "suspected"), (6, "declared dead")],
    unit: "",
    theory: None,
};

/// All figures that are drawn as marks.
pub fn figures() -> impl Iterator<Item = &'static Figure> {
    let panels = [DETECTION, NEWS, LOAD, MISTAKES].into_iter();
    panels.flat_map(|panel| panel.figures.map(|(figure, _)| &FIGURES[figure]))
}

/// Draws all figures.
pub fn all(file: &Path, title: &str, trials: &[Trial]) -> std::io::Result<()> {
    let mut picture = Picture::default();
    let mut y = head(&mut picture, title);
    for figures in [DETECTION, NEWS, LOAD, MISTAKES] {
        y = over_sizes(&mut picture, y, &figures, trials);
    }
    y = over_time(&mut picture, y, trials);
    std::fs::write(file, picture.finish(title, y))
}

/// Draws what most readers want to know: how soon deaths and news are known.
pub fn summary(file: &Path, title: &str, trials: &[Trial]) -> std::io::Result<()> {
    let mut picture = Picture::default();
    let mut y = head(&mut picture, title);
    for figures in [DETECTION, NEWS] {
        let theory = None;
        y = over_sizes(&mut picture, y, &OverSizes { theory, ..figures }, trials);
    }
    std::fs::write(file, picture.finish(title, y))
}

/// Writes what is common to all panels. Returns where they begin.
fn head(picture: &mut Picture, title: &str) -> f64 {
    let mut y = 8.0;
    for line in lines(title) {
        y += LINE_HEIGHT;
        picture.text((MARGIN, y), "", &line);
    }
    y + 20.0
}

/// The legend of colours.
fn colors<'a>(families: &'a [Family<'_>]) -> Vec<(Sample<'a>, &'a str)> {
    let row = families.iter();
    row.map(|family| (Sample::Color(family.class), family.name.as_str()))
        .collect()
}

/// Draws figures over the size of the group: medians, with the range from the least to the most.
/// Returns where the next panel begins.
fn over_sizes(picture: &mut Picture, y: f64, shown: &OverSizes, trials: &[Trial]) -> f64 {
    let families = families(trials);
    let indices = shown.figures.map(|(figure, _)| figure);
    let spreads: Vec<f64> = families
        .iter()
        .flat_map(|family| {
            indices
                .iter()
                .flat_map(|figure| family.over_sizes(&FIGURES[*figure]))
        })
        .flat_map(|(_, spread)| [spread.least, spread.median, spread.most])
        .collect();
    let Some((least, most)) = ends(&spreads) else {
        return y;
    };
    let y_axis = match Axis::log(least, most, shown.unit) {
        axis if spreads.contains(&0.0) => axis.with_zero(),
        axis => axis,
    };
    let mut panel = Panel::begin(picture, y, &shown.heading, (sizes(trials), y_axis));
    panel.legend(&colors(&families));
    let [first, second] = shown.figures.map(|(_, name)| name);
    let mut marks = vec![
        (Sample::Mark(Mark::Dot), first),
        (Sample::Mark(Mark::Square), second),
    ];
    marks.extend(shown.theory.map(|theory| (Sample::Theory, theory)));
    panel.legend(&marks);
    panel.axes("members in the group");
    let count = families.len() * indices.len();
    for (place, family) in families.iter().enumerate() {
        for (second, (figure, mark)) in indices
            .into_iter()
            .zip([Mark::Dot, Mark::Square])
            .enumerate()
        {
            let place = place * indices.len() + second;
            curve(
                &mut panel,
                family,
                figure,
                mark,
                BESIDE * (place as f64 - (count - 1) as f64 / 2.0),
            );
            if shown.theory.is_some() {
                panel.line(
                    &format!("theory {}", family.class),
                    &family.in_theory(figure),
                    0.0,
                );
            }
        }
    }
    panel.end()
}

/// How far ranges at the same size are from one another: they would hide one another.
const BESIDE: f64 = 6.0;

/// Draws a figure of a family over the size of the group.
fn curve(panel: &mut Panel<'_>, family: &Family<'_>, figure: usize, mark: Mark, shift: f64) {
    let points = family.over_sizes(&FIGURES[figure]);
    let medians = points.iter().map(|(size, spread)| (*size, spread.median));
    let medians: Vec<_> = medians.collect();
    panel.line(&format!("curve {}", family.class), &medians, shift);
    for (size, spread) in points {
        let range = (spread.least, spread.most);
        panel.mark(mark, family.class, (size, spread.median), range, shift);
    }
}

/// The least and the most of these values, zeros not counted.
fn ends(values: &[f64]) -> Option<(f64, f64)> {
    let positive = || values.iter().copied().filter(|value| *value > 0.0);
    Some((positive().reduce(f64::min)?, positive().reduce(f64::max)?))
}

/// The axis of sizes: those that were tried are its ticks.
fn sizes(trials: &[Trial]) -> Axis {
    let mut sizes: Vec<u32> = trials.iter().map(|trial| trial.group.members).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let sizes: Vec<f64> = sizes.into_iter().map(f64::from).collect();
    let (least, most) = ends(&sizes).expect("some group");
    Axis {
        ends: (least * 0.75, most * 1.33),
        is_log: true,
        ticks: sizes.iter().map(|size| (*size, plain(*size))).collect(),
    }
}

/// How many runs are drawn over time: each in a line of its own.
const SHOWN_RUNS: usize = 3;

/// Draws the share of the largest group that knows the payload over time: a line for each of some runs, and one
/// for theory. Returns where the next panel begins.
fn over_time(picture: &mut Picture, y: f64, trials: &[Trial]) -> f64 {
    let families = families(trials);
    // The largest size that all families have.
    let largest = |family: &Family<'_>| family.trials.iter().map(|trial| trial.group.members).max();
    let Some(members) = families.iter().filter_map(largest).min() else {
        return y;
    };
    let of_size = |trial: &&&Trial| trial.group.members == members;
    let curves: Vec<(&str, Vec<(f64, f64)>)> = families
        .iter()
        .flat_map(|family| {
            let trials = family.trials.iter().filter(of_size);
            trials
                .take(SHOWN_RUNS)
                .map(|trial| (family.class, heard(trial)))
        })
        .collect();
    // Before that few know it, and the axis would have to be long.
    let is_shown = |(_, share): &&(f64, f64)| *share > 0.01;
    let times: Vec<f64> = curves
        .iter()
        .flat_map(|(_, curve)| curve)
        .filter(is_shown)
        .map(|(time, _)| *time)
        .collect();
    let Some((least, most)) = ends(&times) else {
        return y;
    };
    let time_axis = Axis::log(least, most, "");
    let shares = [0, 25, 50, 75, 100].map(|share| (f64::from(share) / 100.0, format!("{share} %")));
    let share_axis = Axis {
        ends: (0.0, 1.0),
        is_log: false,
        ticks: shares.to_vec(),
    };
    let (_, end) = time_axis.ends;
    let how_many = format!("how many of {} know it", plain(members.into()));
    let heading = ["One member sets a payload:", &how_many];
    let mut panel = Panel::begin(picture, y, &heading, (time_axis, share_axis));
    panel.legend(&colors(&families));
    panel.legend(&[
        (Sample::Color("any"), "one run each"),
        (Sample::Theory, "theory"),
    ]);
    panel.axes("seconds after that");
    for family in &families {
        if let Some(trial) = family.trials.iter().find(of_size) {
            let theory = news_in_theory(trial, end);
            panel.line(&format!("theory {}", family.class), &theory, 0.0);
        }
    }
    for (class, curve) in curves {
        panel.line(&format!("curve {class}"), &curve, 0.0);
    }
    panel.end()
}

/// The share that knew the payload at each time.
fn heard(trial: &Trial) -> Vec<(f64, f64)> {
    let others = f64::from(trial.group.members - 1);
    let point = |(count, time): (usize, &std::time::Duration)| {
        (time.as_secs_f64(), (count + 1) as f64 / others)
    };
    trial.news.iter().enumerate().map(point).collect()
}
