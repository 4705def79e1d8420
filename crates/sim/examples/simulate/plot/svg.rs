//! A picture, written as SVG.

use std::fmt::Write;

/// The width of a picture. On a telephone it is shown at 60 % of that, so letters have at least 22 units.
pub const WIDTH: f64 = 600.0;

/// How far it is from one line of text to the next.
pub const LINE_HEIGHT: f64 = 28.0;

/// How wide a letter is, on average, in most fonts.
pub const LETTER: f64 = 12.2;

/// The colours of the families are told apart by those who see no red or no green, too.
const STYLE: &str = "\
text { font: 22px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
.heading { font-size: 25px; font-weight: bold }
.middle { text-anchor: middle } .end { text-anchor: end }
polyline { fill: none; stroke: currentColor; stroke-linejoin: round }
.grid { stroke: #d0d7de } .axis { stroke: #1f2328; stroke-width: 2 }
.curve { stroke-width: 3 } .theory { stroke-width: 2; stroke-dasharray: 9 7 } .range { stroke-width: 2 }
.mark { fill: currentColor }
.any { color: #57606a } .this { color: #005ab5 } .old { color: #dc3220 }
.mixed { color: #785ef0 } .mixed-more { color: #646464 }
";

/// A place in the picture.
pub type Point = (f64, f64);

/// How a value is marked.
#[derive(Clone, Copy)]
pub enum Mark {
    /// A dot.
    Dot,
    /// A square.
    Square,
}

/// What was drawn so far.
#[derive(Default)]
pub struct Picture {
    elements: String,
}

impl Picture {
    /// Draws text. `class` has names of the style.
    pub fn text(&mut self, (x, y): Point, class: &str, text: &str) {
        let text = escaped(text);
        let class = match class {
            "" => String::new(),
            class => format!(" class=\"{class}\""),
        };
        self.add(&format!(
            "<text{class} x=\"{x:.0}\" y=\"{y:.0}\">{text}</text>"
        ));
    }

    /// Draws a line through these points.
    pub fn line(&mut self, class: &str, points: &[Point]) {
        let mut path = String::new();
        for (x, y) in points {
            write!(path, " {x:.1},{y:.1}").expect("memory");
        }
        let path = path.trim_start();
        self.add(&format!("<polyline class=\"{class}\" points=\"{path}\"/>"));
    }

    /// Marks a point.
    pub fn mark(&mut self, mark: Mark, class: &str, (x, y): Point) {
        self.add(&match mark {
            Mark::Dot => {
                format!("<circle class=\"mark {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"7\"/>")
            }
            Mark::Square => format!(
                "<rect class=\"mark {class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\"/>",
                x - 6.0,
                y - 6.0
            ),
        });
    }

    fn add(&mut self, element: &str) {
        self.elements.push_str(element);
        self.elements.push('\n');
    }

    /// The whole picture, of this height.
    pub fn finish(self, title: &str, height: f64) -> String {
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\">\n\
             <title>{}</title>\n<style>\n{STYLE}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
            escaped(title),
            self.elements
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Breaks text into lines that fit the picture.
pub fn lines(text: &str) -> Vec<String> {
    let longest = ((WIDTH - 40.0) / LETTER) as usize;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= longest {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
