//! The figures as a table: medians over the seeds, with the least and the most.

use std::fmt::Write;

use crate::trial::Trial;

/// A figure.
pub struct Figure {
    /// The heading of its column.
    pub name: &'static str,
    /// Takes it from a trial.
    pub of: fn(&Trial) -> Option<f64>,
}

/// All figures.
pub const FIGURES: [Figure; 9] = [
    Figure {
        name: "news at 50 %, s",
        of: |trial| trial.news_at(0.5),
    },
    Figure {
        name: "at 99 %, s",
        of: |trial| trial.news_at(0.99),
    },
    Figure {
        name: "at 100 %, s",
        of: |trial| trial.news_at(1.0),
    },
    Figure {
        name: "first suspicion, s",
        of: |trial| trial.detection.suspected.map(|time| time.as_secs_f64()),
    },
    Figure {
        name: "dead for all, s",
        of: |trial| {
            trial
                .detection
                .dead_everywhere
                .map(|time| time.as_secs_f64())
        },
    },
    Figure {
        name: "false suspicions / member h",
        of: |trial| Some(trial.false_suspicions_per_hour()),
    },
    Figure {
        name: "false deaths / member h",
        of: |trial| Some(trial.false_deaths_per_hour()),
    },
    Figure {
        name: "datagrams / member s",
        of: |trial| Some(trial.calm.datagrams),
    },
    Figure {
        name: "bytes / member s",
        of: |trial| Some(trial.calm.bytes),
    },
];

/// A figure over several seeds.
pub struct Spread {
    /// The least.
    pub least: f64,
    /// The median.
    pub median: f64,
    /// The most.
    pub most: f64,
}

/// The spread of a figure over these trials. `None` if one of them lacks it.
pub fn spread(trials: &[&Trial], figure: &Figure) -> Option<Spread> {
    let mut values = trials
        .iter()
        .map(|trial| (figure.of)(trial))
        .collect::<Option<Vec<f64>>>()?;
    values.sort_by(f64::total_cmp);
    let (least, most) = (*values.first()?, *values.last()?);
    Some(Spread {
        least,
        median: values[values.len() / 2],
        most,
    })
}

/// The trials by size of the group and share of membership 2.x.
pub fn groups(trials: &[Trial]) -> Vec<((u32, f64), Vec<&Trial>)> {
    let mut groups: Vec<((u32, f64), Vec<&Trial>)> = Vec::new();
    for trial in trials {
        let key = (trial.group.members, trial.group.legacy_share);
        match groups.last_mut() {
            Some((last, group)) if *last == key => group.push(trial),
            _ => groups.push((key, vec![trial])),
        }
    }
    groups
}

/// The table.
pub fn table(trials: &[Trial]) -> String {
    let mut rows = vec![vec!["members".to_owned(), "2.x share".to_owned()]];
    rows[0].extend(FIGURES.iter().map(|figure| figure.name.to_owned()));
    for ((members, legacy_share), group) in groups(trials) {
        let mut row = vec![members.to_string(), legacy_share.to_string()];
        row.extend(FIGURES.iter().map(|figure| {
            spread(&group, figure).map_or(
                "-".to_owned(),
                |Spread {
                     least,
                     median,
                     most,
                 }| {
                    if least == most {
                        number(median)
                    } else {
                        format!("{} ({}..{})", number(median), number(least), number(most))
                    }
                },
            )
        }));
        rows.push(row);
    }
    align(&rows)
}

/// Formats a number with three significant digits.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn align(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..rows[0].len()).filter_map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!(" {cell:>width$} "));
        writeln!(text, "|{}|", cells.collect::<Vec<_>>().join("|")).expect("memory");
        if index == 0 {
            let lines = widths.iter().map(|width| "-".repeat(width + 1) + ":");
            writeln!(text, "|{}|", lines.collect::<Vec<_>>().join("|")).expect("memory");
        }
    }
    text
}
