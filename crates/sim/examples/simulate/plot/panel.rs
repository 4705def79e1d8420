//! A panel: what it shows in words, which colour and mark stands for what, the axes, and the curves.

use crate::plot::svg::{LETTER, LINE_HEIGHT, Mark, Picture, Point, WIDTH};

/// Where the curves are, from left to right.
const LEFT: f64 = 104.0;
const RIGHT: f64 = WIDTH - 34.0;

/// How high the area of the curves is.
const HEIGHT: f64 = 300.0;

/// Where text begins.
pub const MARGIN: f64 = 16.0;

/// An axis: where the values on it are in the picture.
pub struct Axis {
    /// The values at both ends.
    pub ends: (f64, f64),
    /// Whether equal factors have equal distances.
    pub is_log: bool,
    /// The values that are written beside it, and how.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Where a value is: 0 at the beginning of the axis, 1 at its end. What is less than all is at the beginning.
    fn share(&self, value: f64) -> f64 {
        let (least, most) = self.ends;
        let value = value.clamp(least, most);
        if self.is_log {
            (value / least).ln() / (most / least).ln()
        } else {
            (value - least) / (most - least)
        }
    }

    /// An axis for the values from the least to the most, with powers of ten as ticks, or, where these are few, with
    /// twice and five times as much, too.
    pub fn log(least: f64, most: f64, unit: &str) -> Self {
        let powers = (-6..9).map(|power| 10f64.powi(power));
        let round: Vec<f64> = powers
            .flat_map(|power| [power, 2.0 * power, 5.0 * power])
            .collect();
        // Values are not drawn at the very edge.
        let below = round.iter().rfind(|value| **value <= least / 1.1);
        let above = round.iter().find(|value| **value >= most * 1.1);
        let ends = (*below.unwrap_or(&least), *above.unwrap_or(&most));
        let step = if ends.1 / ends.0 > 50.0 { 3 } else { 1 };
        let shown = round
            .into_iter()
            .step_by(step)
            .filter(|value| (ends.0..=ends.1).contains(value));
        Self {
            ends,
            is_log: true,
            ticks: shown
                .map(|value| (value, format!("{}{unit}", plain(value))))
                .collect(),
        }
    }

    /// Gives zero a place of its own, at the beginning of the axis.
    pub fn with_zero(mut self) -> Self {
        self.ends.0 /= 10.0;
        self.ticks.insert(0, (self.ends.0, "0".to_owned()));
        self
    }
}

/// A number without an exponent.
pub fn plain(value: f64) -> String {
    let text = format!("{}", (value * 1e6).round() / 1e6);
    match text.len() {
        5.. if value >= 1e4 => format!("{},{}", &text[..text.len() - 3], &text[text.len() - 3..]),
        _ => text,
    }
}

/// A sample, and what it stands for.
pub enum Sample<'a> {
    /// A line in the colour of this class.
    Color(&'a str),
    /// A mark.
    Mark(Mark),
    /// A dashed line.
    Theory,
}

/// A panel that is being drawn.
pub struct Panel<'a> {
    picture: &'a mut Picture,
    /// Where the next thing is drawn, from above.
    y: f64,
    x_axis: Axis,
    y_axis: Axis,
}

impl<'a> Panel<'a> {
    /// Begins one at this height with its heading, of some lines.
    pub fn begin(picture: &'a mut Picture, y: f64, heading: &[&str], axes: (Axis, Axis)) -> Self {
        let (x_axis, y_axis) = axes;
        let mut panel = Self {
            picture,
            y,
            x_axis,
            y_axis,
        };
        for line in heading {
            panel.y += LINE_HEIGHT;
            panel.picture.text((MARGIN, panel.y), "heading", line);
        }
        panel
    }

    /// A row of the legend, or two if it is too long.
    pub fn legend(&mut self, row: &[(Sample<'_>, &str)]) {
        const GAP: f64 = 24.0;
        let mut x = WIDTH;
        for (sample, text) in row {
            let sample_width = if matches!(sample, Sample::Mark(_)) {
                24.0
            } else {
                44.0
            };
            let width = sample_width + text.chars().count() as f64 * LETTER;
            if x + width > WIDTH {
                self.y += LINE_HEIGHT + 2.0;
                x = MARGIN;
            }
            let middle = self.y - 8.0;
            let ends = [(x, middle), (x + 34.0, middle)];
            match sample {
                Sample::Color(class) => self.picture.line(&format!("curve {class}"), &ends),
                Sample::Mark(mark) => self.picture.mark(*mark, "any", (x + 8.0, middle)),
                Sample::Theory => self.picture.line("theory any", &ends),
            }
            self.picture.text((x + sample_width, self.y), "", text);
            x += width + GAP;
        }
    }

    /// The axes and their ticks. The curves come next.
    pub fn axes(&mut self, below: &str) {
        self.y += 22.0;
        let bottom = self.y + HEIGHT;
        for (value, text) in &self.y_axis.ticks {
            let y = bottom - HEIGHT * self.y_axis.share(*value);
            self.picture.line("grid", &[(LEFT, y), (RIGHT, y)]);
            self.picture.text((LEFT - 8.0, y + 8.0), "end", text);
        }
        for (value, text) in &self.x_axis.ticks {
            let x = LEFT + (RIGHT - LEFT) * self.x_axis.share(*value);
            self.picture.line("grid", &[(x, self.y), (x, bottom)]);
            self.picture.text((x, bottom + LINE_HEIGHT), "middle", text);
        }
        self.picture
            .line("axis", &[(LEFT, self.y), (LEFT, bottom), (RIGHT, bottom)]);
        let middle = (LEFT + RIGHT) / 2.0;
        self.picture
            .text((middle, bottom + 2.0 * LINE_HEIGHT), "middle", below);
    }

    /// Where values are in the picture.
    fn place(&self, (x, y): Point) -> Point {
        (
            LEFT + (RIGHT - LEFT) * self.x_axis.share(x),
            self.y + HEIGHT - HEIGHT * self.y_axis.share(y),
        )
    }

    /// A line through these values, without those that are at the same place. It is moved to the right by `shift`.
    pub fn line(&mut self, class: &str, values: &[Point], shift: f64) {
        /// Points that are no further apart look like one.
        const NEAR: f64 = 2.0;
        let mut points: Vec<Point> = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let (x, y) = self.place(*value);
            let x = x + shift;
            let is_near = points
                .last()
                .is_some_and(|last| (last.0 - x).abs() + (last.1 - y).abs() < NEAR);
            if !is_near || index + 1 == values.len() {
                points.push((x, y));
            }
        }
        self.picture.line(class, &points);
    }

    /// A mark, and the range of values around it. Both are moved to the right by `shift`.
    pub fn mark(&mut self, mark: Mark, class: &str, value: Point, range: (f64, f64), shift: f64) {
        let shifted = |(x, y): Point| (x + shift, y);
        let ends = [range.0, range.1].map(|y| shifted(self.place((value.0, y))));
        if ends[0].1 - ends[1].1 > 1.0 {
            self.picture.line(&format!("range {class}"), &ends);
        }
        let at = shifted(self.place(value));
        self.picture.mark(mark, class, at);
    }

    /// Ends the panel. Returns where the next one begins.
    pub fn end(self) -> f64 {
        self.y + HEIGHT + 2.0 * LINE_HEIGHT + 44.0
    }
}
