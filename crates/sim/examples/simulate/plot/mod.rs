//! The figures as a picture: panels in one column, which can be read on a telephone.

mod family;

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::combinators::WithKeyPoints;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::plot::family::{Family, families, news_in_theory};
use crate::table::{FIGURES, Figure, Spread};
use crate::trial::Trial;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type LogAxis = WithKeyPoints<LogCoord<f64>>;
type Chart<'a, 'b, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<LogAxis, Y>>;
type Fallible<T> = Result<T, Box<dyn Error>>;

/// The width of a picture. On a telephone it is shown at 60 % of that, so letters have at least 22 units.
const WIDTH: u32 = 600;

/// The height of a panel with all its words.
const HEIGHT: u32 = 560;

/// Where text begins, and the second of two texts in a line.
const COLUMNS: [i32; 2] = [16, 286];

/// How far it is from one line of text to the next.
const LINE_HEIGHT: i32 = 30;

const INK: RGBColor = RGBColor(31, 35, 40);
const GRID: RGBColor = RGBColor(208, 215, 222);

/// Figures over the size of the group.
struct OverSizes {
    heading: &'static str,
    /// Indices of [`FIGURES`], drawn as dots and as squares.
    figures: [usize; 2],
    legend: [&'static str; 2],
    unit: &'static str,
    /// What the theory predicts, if it does.
    theory: Option<&'static str>,
}

const PANELS: [OverSizes; 4] = [
    OverSizes {
        heading: "One member loses power:\nhow soon the others notice",
        figures: [3, 4],
        legend: ["● first suspected", "■ dead for all"],
        unit: " s",
        theory: Some("- - theory of the first"),
    },
    OverSizes {
        heading: "One member sets a payload:\nhow soon the others know it",
        figures: [0, 1],
        legend: ["● half of them", "■ 99 % of them"],
        unit: " s",
        theory: Some("- - theory"),
    },
    OverSizes {
        heading: "What a member sends in a second\nwhile nothing happens",
        figures: [8, 7],
        legend: ["● bytes in UDP", "■ datagrams"],
        unit: "",
        theory: None,
    },
    OverSizes {
        heading: "How often, in an hour, a member\nthat is alive is falsely",
        figures: [5, 6],
        legend: ["● suspected", "■ declared dead"],
        unit: "",
        theory: None,
    },
];

/// All figures that are drawn as marks.
pub fn figures() -> impl Iterator<Item = &'static Figure> {
    let figures = PANELS.iter().flat_map(|panel| panel.figures);
    figures.map(|figure| &FIGURES[figure])
}

/// Draws all figures.
pub fn all(file: &Path, title: &str, trials: &[Trial]) -> Fallible<()> {
    let is_shown = |panel: &OverSizes| panel.ends(trials).is_some();
    let shown: Vec<_> = PANELS.into_iter().filter(is_shown).collect();
    let panels = column(file, title, shown.len() + 1)?;
    for (panel, shown) in panels.iter().zip(&shown) {
        shown.draw(panel, trials)?;
    }
    over_time(&panels[shown.len()], trials)?;
    Ok(panels[0].present()?)
}

/// Draws what most readers want to know: how soon deaths and news are known.
pub fn summary(file: &Path, title: &str, trials: &[Trial]) -> Fallible<()> {
    let panels = column(file, title, 2)?;
    for (panel, shown) in panels.iter().zip(PANELS) {
        let theory = None;
        OverSizes { theory, ..shown }.draw(panel, trials)?;
    }
    Ok(panels[0].present()?)
}

/// Begins a picture with its title. Returns the areas of the panels.
fn column<'a>(file: &'a Path, title: &str, panels: usize) -> Fallible<Vec<Area<'a>>> {
    let head = (title.lines().count() as i32 + 1) * LINE_HEIGHT;
    let size = (WIDTH, head as u32 + panels as u32 * HEIGHT);
    let root = SVGBackend::new(file, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (line, y) in title.lines().zip((12..).step_by(LINE_HEIGHT as usize)) {
        root.draw_text(line, &letters(INK), (COLUMNS[0], y))?;
    }
    let (_, column) = root.split_vertically(head);
    Ok(column.split_evenly((panels, 1)))
}

/// Letters of 22 units: plotters divides sizes by 1.24.
fn letters(color: RGBColor) -> TextStyle<'static> {
    ("sans-serif", 22.0 * 1.24).into_font().color(&color)
}

/// Writes what a panel shows, and its legend. Returns the area that is left.
fn words<'a>(
    panel: &Area<'a>,
    heading: &str,
    families: &[Family<'_>],
    legend: &[&str],
) -> Fallible<Area<'a>> {
    let mut y = 0;
    for line in heading.lines() {
        let bold = ("sans-serif", 25.0 * 1.24, FontStyle::Bold).into_font();
        panel.draw_text(line, &bold.color(&INK), (COLUMNS[0], y))?;
        y += LINE_HEIGHT;
    }
    let colors = families
        .iter()
        .map(|family| (format!("━ {}", family.name), family.color));
    let colors: Vec<_> = colors.collect();
    let marks: Vec<_> = legend.iter().map(|text| (text.to_string(), INK)).collect();
    for row in colors.chunks(2).chain(marks.chunks(2)) {
        for ((text, color), x) in row.iter().zip(COLUMNS) {
            panel.draw_text(text, &letters(*color), (x, y))?;
        }
        y += LINE_HEIGHT;
    }
    let (_, rest) = panel.split_vertically(y + 14);
    Ok(rest)
}

/// Draws axes.
fn axes<'a, 'b, Y>(
    area: &Area<'b>,
    (x_axis, below): (LogAxis, &str),
    (y_axis, label): (Y, &dyn Fn(&f64) -> String),
) -> Fallible<Chart<'a, 'b, Y>>
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .margin_right(34)
        .margin_bottom(44)
        .x_label_area_size(2 * LINE_HEIGHT + 8)
        .y_label_area_size(104)
        .build_cartesian_2d(x_axis, y_axis)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK.stroke_width(2))
        .set_all_tick_mark_size(4)
        .label_style(letters(INK))
        .x_desc(below)
        .y_labels(6)
        .x_label_formatter(&plain)
        .y_label_formatter(label)
        .draw()?;
    Ok(chart)
}

/// A number without an exponent.
fn plain(value: &f64) -> String {
    format!("{}", (value * 1e6).round() / 1e6)
}

/// Powers of ten within these ends, or, where these are few, twice and five times as much, too.
fn ticks(ends: &Range<f64>) -> Vec<f64> {
    let powers = (-6..9).map(|power| 10f64.powi(power));
    let round = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * power));
    let step = if ends.end / ends.start > 100.0 { 3 } else { 1 };
    let shown = round.step_by(step).filter(|tick| ends.contains(tick));
    shown.collect()
}

/// From somewhat less than the least positive value to somewhat more than the greatest.
fn ends(values: &[f64]) -> Option<Range<f64>> {
    let positive = || values.iter().copied().filter(|value| *value > 0.0);
    Some(positive().reduce(f64::min)? / 1.4..positive().reduce(f64::max)? * 1.4)
}

/// How much further to the right the next range at the same size is, as a share of the axis. They would hide one
/// another.
const BESIDE: f64 = 0.013;

impl OverSizes {
    /// The ends of the axis of values, and whether it begins with zero.
    fn ends(&self, trials: &[Trial]) -> Option<(Range<f64>, bool)> {
        let families = families(trials);
        let figures = self.figures.iter().map(|figure| &FIGURES[*figure]);
        let spreads =
            figures.flat_map(|figure| families.iter().flat_map(|family| family.over_sizes(figure)));
        let values = spreads.flat_map(|(_, spread)| [spread.least, spread.median, spread.most]);
        let values: Vec<f64> = values.collect();
        Some((ends(&values)?, values.contains(&0.0)))
    }

    /// Draws medians, with the range from the least to the most.
    fn draw(&self, panel: &Area<'_>, trials: &[Trial]) -> Fallible<()> {
        let families = families(trials);
        let legend: Vec<_> = self.legend.into_iter().chain(self.theory).collect();
        let area = words(panel, self.heading, &families, &legend)?;
        let Some((mut ends, has_zero)) = self.ends(trials) else {
            return Ok(());
        };
        let mut ticks = ticks(&ends);
        if has_zero {
            // What is less than all is drawn at the beginning of the axis.
            ends.start /= 10.0;
            ticks.push(ends.start);
        }
        let label = |value: &f64| match has_zero && *value == ends.start {
            true => "0".to_owned(),
            false => format!("{}{}", plain(value), self.unit),
        };
        let y_axis = ends.clone().log_scale().with_key_points(ticks);
        let x_axis = (sizes(trials), "members in the group");
        let mut chart = axes(&area, x_axis, (y_axis, &label))?;
        let beside = (chart.x_range().end / chart.x_range().start).powf(BESIDE);
        let mut shift = beside.powf(0.5 - families.len() as f64);
        for family in &families {
            for (figure, is_dot) in self.figures.into_iter().zip([true, false]) {
                curve(&mut chart, family, figure, is_dot, shift)?;
                shift *= beside;
                if self.theory.is_some() {
                    let (theory, style) = (family.in_theory(figure), family.color.stroke_width(2));
                    chart.draw_series(DashedLineSeries::new(theory, 16, 12, style))?;
                }
            }
        }
        Ok(())
    }
}

/// Draws a figure of a family over the size of the group.
fn curve(
    chart: &mut Chart<'_, '_, LogAxis>,
    family: &Family<'_>,
    figure: usize,
    is_dot: bool,
    shift: f64,
) -> Fallible<()> {
    let (color, points) = (family.color, family.over_sizes(&FIGURES[figure]));
    let median = |(size, spread): &(f64, Spread)| (size * shift, spread.median);
    let medians = points.iter().map(median);
    chart.draw_series(LineSeries::new(medians.clone(), color.stroke_width(3)))?;
    let is_range = |(_, spread): &&(f64, Spread)| spread.least < spread.most;
    chart.draw_series(points.iter().filter(is_range).map(|(size, spread)| {
        let ends = [spread.least, spread.most].map(|value| (size * shift, value));
        PathElement::new(ends, color.stroke_width(2))
    }))?;
    if is_dot {
        chart.draw_series(medians.map(|median| Circle::new(median, 7, color.filled())))?;
    } else {
        let square = || Rectangle::new([(-6, -6), (6, 6)], color.filled());
        chart.draw_series(medians.map(|median| EmptyElement::at(median) + square()))?;
    }
    Ok(())
}

/// The axis of sizes: those that were tried are its ticks.
fn sizes(trials: &[Trial]) -> LogAxis {
    let sizes = trials.iter().map(|trial| trial.group.members.into());
    let mut sizes: Vec<f64> = sizes.collect();
    sizes.dedup();
    let ends = ends(&sizes).expect("some group");
    ends.log_scale().with_key_points(sizes)
}

/// How many runs are drawn over time: each in a line of its own.
const SHOWN_RUNS: usize = 3;

/// Draws the share of the largest group that knows the payload over time: a line for each of some runs, and one
/// for theory.
fn over_time(panel: &Area<'_>, trials: &[Trial]) -> Fallible<()> {
    let families = families(trials);
    // The largest size that all families have.
    let largest = |family: &Family<'_>| family.trials.iter().map(|trial| trial.group.members).max();
    let members = families.iter().filter_map(largest).min();
    let of_size = |trial: &&Trial| Some(trial.group.members) == members;
    // Before a hundredth knows it the axis would have to be long.
    let points = trials.iter().filter(of_size).flat_map(heard);
    let times = points
        .filter(|(_, share)| *share > 0.01)
        .map(|(time, _)| time);
    let (Some(members), Some(times)) = (members, ends(&times.collect::<Vec<_>>())) else {
        return Ok(());
    };
    let heading = format!("One member sets a payload:\nhow many of {members} know it");
    let legend = ["━ one run each", "- - theory"];
    let area = words(panel, &heading, &families, &legend)?;
    let x_axis = times.clone().log_scale().with_key_points(ticks(&times));
    let percent = |share: &f64| format!("{:.0} %", share * 100.0);
    let y_axis = RangedCoordf64::from(0.0..1.0);
    let mut chart = axes(&area, (x_axis, "seconds after that"), (y_axis, &percent))?;
    for family in &families {
        let runs = family.trials.iter().copied().filter(of_size);
        for trial in runs.clone().take(SHOWN_RUNS) {
            chart.draw_series(LineSeries::new(heard(trial), family.color.stroke_width(3)))?;
        }
        for trial in runs.take(1) {
            let mut theory = news_in_theory(trial, times.end);
            theory.retain(|(time, _)| times.contains(time));
            theory.dedup_by(is_near);
            let style = family.color.stroke_width(2);
            chart.draw_series(DashedLineSeries::new(theory, 16, 12, style))?;
        }
    }
    Ok(())
}

/// The share that knew the payload at each time.
fn heard(trial: &Trial) -> Vec<(f64, f64)> {
    let others = f64::from(trial.group.members - 1);
    let times = trial.news.iter().zip(1..);
    let mut curve: Vec<_> = times
        .map(|(time, count)| (time.as_secs_f64(), f64::from(count) / others))
        .collect();
    curve.dedup_by(is_near);
    curve
}

/// Whether a share differs so little from the one before that it is not worth a point.
fn is_near(next: &mut (f64, f64), last: &mut (f64, f64)) -> bool {
    next.1 - last.1 < 0.01
}
