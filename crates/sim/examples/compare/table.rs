//! The figures as a table: medians over the seeds, the least and the greatest, and the median of the last
//! column divided by that of the first.

use std::fmt::Write;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde_json::json;

use crate::experiments::Row;
use crate::scenarios::LIMIT;
use crate::{Column, Figure};

/// Makes a table in Markdown.
pub fn table(rows: &[&Row], columns: &[Column], figures: &[Figure]) -> String {
    let mut text = String::from("| | goal |");
    columns
        .iter()
        .for_each(|column| text += &format!(" {} |", column.name));
    let last = columns.last().map_or("", |column| column.name);
    let _ = writeln!(text, " {last} ÷ {} |", columns[0].name);
    text += "|---|--:|";
    text += &"--:|".repeat(columns.len() + 1);
    text.push('\n');
    for row in rows {
        let mut spreads = Vec::new();
        for column in 0..columns.len() {
            spreads.push(spread(figures, row.key, column));
        }
        let _ = write!(text, "| {} | {} |", row.name, row.goal);
        for spread in &spreads {
            let shown = spread.as_ref().map_or_else(String::new, show);
            let _ = write!(text, " {shown} |");
        }
        let ratio = match (spreads.first(), spreads.last()) {
            (Some(Some(first)), Some(Some(last))) => ratio(first.median, last.median),
            _ => String::new(),
        };
        let _ = writeln!(text, " {ratio} |");
    }
    text
}

/// Prints each figure as a line of JSON.
pub fn print_json(columns: &[Column], figures: &[Figure]) {
    for Figure {
        row,
        column,
        seed,
        value,
    } in figures
    {
        let column = columns[*column].name;
        println!(
            "{}",
            json!({"row": row, "column": column, "seed": seed, "value": value})
        );
    }
}

/// Replaces the table in a document: what stands between `<!-- NAME -->` and `<!-- end of NAME -->`.
pub fn write(path: &Path, name: &str, table: &str) -> io::Result<()> {
    let text = fs::read_to_string(path)?;
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->\n"),
    );
    let missing = |what: &str| {
        io::Error::new(
            ErrorKind::InvalidData,
            format!("has no line {}", what.trim()),
        )
    };
    let (before, rest) = text.split_once(&begin).ok_or_else(|| missing(&begin))?;
    let (_, after) = rest.split_once(&end).ok_or_else(|| missing(&end))?;
    fs::write(path, format!("{before}{begin}\n{table}\n{end}{after}"))
}

/// The figures of several seeds; infinite where the event did not happen in time.
struct Spread {
    least: f64,
    median: f64,
    greatest: f64,
}

fn spread(figures: &[Figure], row: &str, column: usize) -> Option<Spread> {
    let mine = figures
        .iter()
        .filter(|figure| (figure.row, figure.column) == (row, column));
    let mut values: Vec<f64> = mine
        .map(|figure| figure.value.unwrap_or(f64::INFINITY))
        .collect();
    values.sort_by(f64::total_cmp);
    Some(Spread {
        least: *values.first()?,
        median: values[values.len() / 2],
        greatest: *values.last()?,
    })
}

fn show(spread: &Spread) -> String {
    let median = show_value(spread.median);
    let (least, greatest) = (show_value(spread.least), show_value(spread.greatest));
    if least == greatest {
        median
    } else {
        format!("{median} ({least} … {greatest})")
    }
}

fn show_value(value: f64) -> String {
    match value {
        f64::INFINITY => format!("> {}", LIMIT.as_secs()),
        value if value == value.trunc() && value.abs() < 1e6 => format!("{value:.0}"),
        value if value < 10.0 => format!("{value:.3}"),
        value => format!("{value:.1}"),
    }
}

fn ratio(first: f64, last: f64) -> String {
    match (first, last) {
        (first, last) if first == last => "1".into(),
        (0.0, _) | (_, f64::INFINITY) => "∞".into(),
        (first, last) => format!("{:.2}", last / first),
    }
}
