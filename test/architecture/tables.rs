//! The tables of the documents are whole, and that of the trailer is the one in the code.

use std::collections::BTreeSet;

use crate::project;

/// Whether this is a row of a table.
fn is_row(line: &str) -> bool {
    line.starts_with('|')
}

/// Whether this is the row that makes the one above it the head.
fn is_rule(line: &str) -> bool {
    line.starts_with("|--") || line.starts_with("|:-")
}

#[test]
fn each_row_of_a_table_stands_below_its_head() {
    let mut wrong = Vec::new();
    for (document, text) in project::documents() {
        let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
        let mut is_block = false;
        for (index, line) in lines.iter().enumerate() {
            is_block ^= line.starts_with("```");
            let begins = is_row(line) && (index == 0 || !is_row(lines[index - 1]));
            let has_rule = lines.get(index + 1).is_some_and(|next| is_rule(next));
            if !is_block && begins && !has_rule {
                wrong.push(format!("{document}:{}: no head above", index + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// The numbers that the rows of a table begin with.
fn numbers<'a>(rows: impl Iterator<Item = &'a str>) -> BTreeSet<u32> {
    let number = |row: &str| row.split('|').nth(1)?.trim().parse().ok();
    rows.filter_map(number).collect()
}

#[test]
fn each_key_of_the_trailer_is_in_its_document_and_no_other() {
    let code = project::read("crates/swim/src/wire/trailer.rs");
    let in_code = numbers(code.lines().filter_map(|line| line.strip_prefix("//! ")));
    let read: BTreeSet<u32> = code
        .lines()
        .filter_map(|line| line.trim().split_once(" => trailer.")?.0.parse().ok())
        .collect();
    assert!(read.len() > 10, "{read:?}");
    assert_eq!(in_code, read, "the keys that are read have a row above");
    let text = project::read("doc/protocol.md");
    let (_, behind) = text.split_once("\n### Trailer\n").expect("a heading");
    let (section, _) = behind.split_once("\n### ").expect("another");
    assert_eq!(numbers(section.lines()), in_code);
}
