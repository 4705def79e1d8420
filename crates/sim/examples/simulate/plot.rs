//! The figures as a picture.

use std::error::Error;
use std::path::Path;

use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::combinators::LogCoord;
use plotters::prelude::*;

use crate::table::{FIGURES, Figure, Spread, groups, spread};
use crate::theory::{self, Curve};
use crate::trial::Trial;

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<LogCoord<f64>, Y>>;
type Drawn = Result<(), Box<dyn Error>>;

const SIZE: (u32, u32) = (1300, 1350);
const FONT: &str = "sans-serif";

/// For this module, for membership 2.x, and two for mixed groups.
const COLORS: [RGBColor; 4] = [
    RGBColor(0, 90, 181),
    RGBColor(220, 50, 32),
    RGBColor(120, 94, 240),
    RGBColor(100, 100, 100),
];

/// The panels: indices of [`FIGURES`], the second one drawn as squares.
const PANELS: [(&str, &[usize]); 5] = [
    (
        "one loses power: until it is first suspected (dots), dead for all (squares), s",
        &[3, 4],
    ),
    (
        "one sets a payload: until 50 % (dots), 99 % (squares) know it, s",
        &[0, 1],
    ),
    (
        "what a member sends in a second: UDP bytes (dots), datagrams (squares)",
        &[8, 7],
    ),
    ("false suspicions of a member in an hour", &[5]),
    ("false deaths of a member in an hour", &[6]),
];

/// Draws all figures into one file.
pub fn draw(file: &Path, title: &str, trials: &[Trial]) -> Drawn {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let panels = root.titled(title, (FONT, 22))?.split_evenly((3, 2));
    for (panel, (title, figures)) in panels.iter().zip(PANELS) {
        over_sizes(panel, title, trials, figures)?;
    }
    news(&panels[PANELS.len()], trials)?;
    root.present()?;
    Ok(())
}

/// The trials of one implementation, or of one mixture.
struct Family<'a> {
    legacy_share: f64,
    color: RGBColor,
    name: String,
    trials: Vec<&'a Trial>,
}

fn families(trials: &[Trial]) -> Vec<Family<'_>> {
    let mut shares: Vec<f64> = trials
        .iter()
        .map(|trial| trial.group.legacy_share)
        .collect();
    shares.sort_by(f64::total_cmp);
    shares.dedup();
    let family = |legacy_share: f64| {
        let (color, name) = match legacy_share {
            0.0 => (COLORS[0], "this module".to_owned()),
            1.0 => (COLORS[1], "membership 2.x (model)".to_owned()),
            share if share <= 0.5 => (COLORS[2], format!("{:.0} % membership 2.x", share * 100.0)),
            share => (COLORS[3], format!("{:.0} % membership 2.x", share * 100.0)),
        };
        let of_family = |trial: &&Trial| trial.group.legacy_share == legacy_share;
        let trials = trials.iter().filter(of_family).collect();
        Family {
            legacy_share,
            color,
            name,
            trials,
        }
    };
    shares.into_iter().map(family).collect()
}

impl Family<'_> {
    /// A figure over the size of the group.
    fn over_sizes(&self, figure: &Figure) -> Vec<(f64, Spread)> {
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
    fn in_theory(&self, figure: usize) -> Curve {
        if self.legacy_share != 0.0 && self.legacy_share != 1.0 {
            return Curve::new();
        }
        let mut sizes = self.trials.clone();
        sizes.dedup_by_key(|trial| trial.group.members);
        let point = |trial: &&Trial| {
            let group = &trial.group;
            let value = match figure {
                0 => theory::time_of(&news_in_theory(trial, 60.0), 0.5),
                1 => theory::time_of(&news_in_theory(trial, 60.0), 0.99),
                3 => Some(theory::first_suspicion(group.members, &group.config)),
                _ => None,
            };
            value.map(|value| (f64::from(group.members), value))
        };
        sizes.iter().filter_map(point).collect()
    }
}

fn news_in_theory(trial: &Trial, limit: f64) -> Curve {
    let group = &trial.group;
    let latency = group.weather.latency + group.weather.jitter / 2;
    if group.legacy_share == 0.0 {
        let limit = limit.min(5.0);
        theory::push(
            group.members,
            &group.config,
            latency,
            group.weather.loss,
            limit,
        )
    } else {
        theory::ride(group.members, &group.config, group.weather.loss, limit)
    }
}

/// Draws figures over the size of the group: medians, with the range from the least to the most.
fn over_sizes(panel: &Panel<'_>, title: &str, trials: &[Trial], figures: &[usize]) -> Drawn {
    let sizes = trials.iter().map(|trial| f64::from(trial.group.members));
    let (least, most) = sizes.fold((f64::INFINITY, 1.0_f64), |(least, most), size| {
        (least.min(size), most.max(size))
    });
    let (bottom, top) = range(trials, figures);
    let mut chart = ChartBuilder::on(panel)
        .caption(title, (FONT, 16))
        .margin(12)
        .x_label_area_size(34)
        .y_label_area_size(58)
        .build_cartesian_2d(
            (least * 0.8..most * 1.25).log_scale(),
            (bottom..top).log_scale(),
        )?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("members")
        .light_line_style(WHITE)
        .label_style((FONT, 13))
        .x_label_formatter(&plain)
        .y_label_formatter(&plain)
        .draw()?;
    if none(trials, figures) {
        let middle = panel.get_pixel_range();
        let middle = (
            (middle.0.end - middle.0.start) / 2,
            (middle.1.end - middle.1.start) / 2,
        );
        let style = (FONT, 20).into_font().color(&BLACK.mix(0.5));
        panel.draw(&Text::new("none", middle, style))?;
    }
    for family in families(trials) {
        for (place, figure) in figures.iter().enumerate() {
            points(&mut chart, &family, *figure, place == 0, bottom)?;
            let theory = family.in_theory(*figure);
            if !theory.is_empty() {
                let style = family.color.stroke_width(1);
                chart.draw_series(DashedLineSeries::new(theory, 6, 5, style))?;
            }
        }
    }
    Ok(())
}

/// Formats a number on an axis.
fn plain(value: &f64) -> String {
    format!("{}", (value * 1e6).round() / 1e6)
}

/// Whether all figures are zero.
fn none(trials: &[Trial], figures: &[usize]) -> bool {
    let of_trial = |trial| {
        figures
            .iter()
            .map(move |figure| (FIGURES[*figure].of)(trial))
    };
    let mut values = trials.iter().flat_map(of_trial);
    values.all(|value| value == Some(0.0))
}

/// The range of an axis: from half of the least to twice the most, zeros not counted.
fn range(trials: &[Trial], figures: &[usize]) -> (f64, f64) {
    let groups = groups(trials);
    let spreads = figures.iter().flat_map(|figure| {
        groups
            .iter()
            .filter_map(|(_, group)| spread(group, &FIGURES[*figure]))
    });
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    for spread in spreads {
        most = most.max(spread.most);
        least = [spread.least, spread.median, spread.most, least]
            .into_iter()
            .filter(|value| *value > 0.0)
            .fold(f64::INFINITY, f64::min);
    }
    if most == 0.0 {
        (0.01, 10.0)
    } else {
        (least / 2.0, most * 2.0)
    }
}

fn points(
    chart: &mut Chart<'_, '_, LogCoord<f64>>,
    family: &Family<'_>,
    figure: usize,
    first: bool,
    bottom: f64,
) -> Drawn {
    let (color, points) = (family.color, family.over_sizes(&FIGURES[figure]));
    // What is zero is drawn at the edge.
    let clip = |value: f64| value.max(bottom);
    let medians = points
        .iter()
        .map(|(size, spread)| (*size, clip(spread.median)));
    chart.draw_series(LineSeries::new(medians.clone(), color.stroke_width(2)))?;
    chart.draw_series(points.iter().map(
        |(
            size,
            Spread {
                least,
                median,
                most,
            },
        )| {
            let (least, median, most) = (clip(*least), clip(*median), clip(*most));
            ErrorBar::new_vertical(*size, least, median, most, color.filled(), 8)
        },
    ))?;
    if first {
        chart.draw_series(medians.map(|point| Circle::new(point, 4, color.filled())))?;
    } else {
        let square =
            |point| EmptyElement::at(point) + Rectangle::new([(-4, -4), (4, 4)], color.filled());
        chart.draw_series(medians.map(square))?;
    }
    Ok(())
}

fn legend<'a, 'b: 'a, Y>(chart: &mut Chart<'a, 'b, Y>, place: SeriesLabelPosition) -> Drawn
where
    Y: Ranged<ValueType = f64> + 'a,
{
    let mut labels = chart.configure_series_labels();
    let labels = labels.position(place).border_style(BLACK);
    labels
        .background_style(WHITE.mix(0.8))
        .label_font((FONT, 13))
        .draw()?;
    Ok(())
}

/// Draws the share of the largest group that knows the payload over time: a line for each seed, and one
/// for theory.
fn news(panel: &Panel<'_>, trials: &[Trial]) -> Drawn {
    // The largest size that all families have.
    let largest = |family: Family<'_>| family.trials.iter().map(|trial| trial.group.members).max();
    let Some(members) = families(trials).into_iter().filter_map(largest).min() else {
        return Ok(());
    };
    let largest = |trial: &&Trial| trial.group.members == members;
    let last = trials
        .iter()
        .filter(largest)
        .filter_map(|trial| trial.news.last())
        .max();
    let end = last.map_or(1.0, |last| last.as_secs_f64() * 1.2);
    let title = format!(
        "{members} members, one sets a payload: share of them that know it (dashed: theory)"
    );
    let mut chart = ChartBuilder::on(panel)
        .caption(title, (FONT, 16))
        .margin(12)
        .x_label_area_size(34)
        .y_label_area_size(58)
        .build_cartesian_2d((0.01..end).log_scale(), 0.0..1.02)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("seconds")
        .light_line_style(WHITE)
        .label_style((FONT, 13))
        .x_label_formatter(&plain)
        .y_label_formatter(&plain)
        .draw()?;
    for family in families(trials) {
        let color = family.color;
        for (run, trial) in family.trials.iter().copied().filter(largest).enumerate() {
            let line = LineSeries::new(heard(trial), color.stroke_width(2));
            let line = chart.draw_series(line)?;
            if run == 0 {
                let sample =
                    move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2));
                line.label(family.name.clone()).legend(sample);
                let shown = |(time, _): &(f64, f64)| (0.01..=end).contains(time);
                let theory = news_in_theory(trial, end).into_iter().filter(shown);
                let style = color.stroke_width(1);
                chart.draw_series(DashedLineSeries::new(theory, 6, 5, style))?;
            }
        }
    }
    legend(&mut chart, SeriesLabelPosition::LowerRight)
}

/// The share that knew the payload at each time, with some 400 points at most.
fn heard(trial: &Trial) -> Vec<(f64, f64)> {
    let others = f64::from(trial.group.members - 1);
    let point = |(count, time): (usize, &std::time::Duration)| {
        (time.as_secs_f64(), (count + 1) as f64 / others)
    };
    let points: Vec<_> = trial.news.iter().enumerate().map(point).collect();
    let (step, last) = ((points.len() / 400).max(1), points.last().copied());
    points.into_iter().step_by(step).chain(last).collect()
}
