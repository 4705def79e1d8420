//! The figures as a table: medians over the seeds, and the last column divided by the first.

use std::fmt::Write;

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
        let medians: Vec<Option<Median>> = (0..columns.len())
            .map(|column| median(figures, row.key, column))
            .collect();
        let _ = write!(text, "| {} | {} |", row.name, row.goal);
        for median in &medians {
            let _ = write!(text, " {} |", median.as_ref().map_or("".into(), show));
        }
        let ratio = ratio(medians.first(), medians.last());
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

/// The median of the figures; infinite if the event did not happen in half of the groups.
struct Median(f64);

fn median(figures: &[Figure], row: &str, column: usize) -> Option<Median> {
    let mine = figures
        .iter()
        .filter(|figure| (figure.row, figure.column) == (row, column));
    let mut values: Vec<f64> = mine
        .map(|figure| figure.value.unwrap_or(f64::INFINITY))
        .collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().map(Median)
}

fn show(Median(value): &Median) -> String {
    match *value {
        f64::INFINITY => format!("> {}", LIMIT.as_secs()),
        value if value == value.trunc() && value.abs() < 1e6 => format!("{value:.0}"),
        value if value < 10.0 => format!("{value:.3}"),
        value => format!("{value:.1}"),
    }
}

fn ratio(first: Option<&Option<Median>>, last: Option<&Option<Median>>) -> String {
    let (Some(Some(Median(first))), Some(Some(Median(last)))) = (first, last) else {
        return String::new();
    };
    match (*first, *last) {
        (first, last) if first == last => "1".into(),
        (0.0, _) | (_, f64::INFINITY) => "∞".into(),
        (first, last) => format!("{:.2}", last / first),
    }
}
