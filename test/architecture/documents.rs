//! Every file, link, make target and name that the documents mention exists; and the tables at the head of
//! `lib.rs` and `mod.rs` name the files beside them, all of them.

use std::collections::BTreeSet;

use crate::project;

/// Endings by which a name without a slash is known to be that of a file.
const ENDINGS: [&str; 10] = [
    ".rs", ".lua", ".md", ".toml", ".py", ".sh", ".json", ".jsonl", ".yml", ".svg",
];

/// Names of other programs and libraries, and one that a counter had before: no source mentions them.
const FOREIGN_NAMES: [&str; 6] = [
    "answers_stray",
    "make_manifest",
    "set_global_labels",
    "rmem_max",
    "wmem_max",
    "WatchdogSec",
];

/// Tables at the head of a file are asked for where there is this much beside it.
const UNLISTED_FILES_MAX: usize = 4;

/// Everything that was found wrong is shown at once.
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The texts between single backticks on a line.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The lines of a document outside of its blocks of code, numbered from 1.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut lines = Vec::new();
    let mut is_block = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        } else if !is_block {
            lines.push((index + 1, line));
        }
    }
    lines
}

/// Whether a path matches a pattern in which `*` stands for any text.
fn matches(pattern: &str, path: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else {
        return pattern == path;
    };
    let Some(path) = path.strip_prefix(begin) else {
        return false;
    };
    (0..=path.len())
        .any(|skipped| path.is_char_boundary(skipped) && matches(rest, &path[skipped..]))
}

/// Whether a link leads to a file, to a heading, or to both.
fn leads_somewhere(document: &str, link: &str) -> bool {
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (link, None),
    };
    let target = match (path.is_empty(), document.rsplit_once('/')) {
        (true, _) => document.to_owned(),
        (false, Some((directory, _))) => format!("{directory}/{path}"),
        (false, None) => path.to_owned(),
    };
    if !project::root().join(&target).exists() {
        return false;
    }
    let Some(anchor) = anchor else {
        return true;
    };
    let text = project::read(&target);
    let headings = prose(&text);
    headings.iter().any(|(_, line)| {
        line.starts_with('#') && anchor_of(line.trim_start_matches(['#', ' '])) == anchor
    })
}

/// The anchor by which a heading is linked.
fn anchor_of(heading: &str) -> String {
    let mut anchor = String::new();
    for c in heading.to_lowercase().chars() {
        if c == ' ' {
            anchor.push('-');
        } else if c.is_alphanumeric() || c == '_' || c == '-' {
            anchor.push(c);
        }
    }
    anchor
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for (document, text) in project::documents() {
        for (line, content) in prose(&text) {
            for rest in content.split("](").skip(1) {
                let Some((link, _)) = rest.split_once(')') else {
                    continue;
                };
                if !link.contains("://") && !leads_somewhere(&document, link) {
                    wrong.push(format!("{document}:{line}: {link}"));
                }
            }
        }
    }
    assert_none(&wrong);
}

/// A reader who wants to know whether the module is of use has to be done soon.
const README_LINES_MAX: usize = 250;

#[test]
fn the_readme_is_short_and_leads_to_each_document() {
    let readme = project::read("README.md");
    assert!(readme.lines().count() <= README_LINES_MAX);
    for (document, _) in project::documents() {
        let is_for_users = document.starts_with("doc/") || !document.contains('/');
        assert!(
            !is_for_users || document == "README.md" || readme.contains(&format!("({document}")),
            "README.md does not lead to {document}"
        );
    }
}

#[test]
fn make_targets_exist() {
    let makefile = project::read("Makefile");
    let mut wrong = Vec::new();
    for (document, text) in project::documents() {
        let mut previous = "";
        for token in text.split(|c: char| !is_word(c) && c != '`' && c != '-') {
            if token == "`make" || previous == "`make" {
                let target = token.trim_matches('`');
                let is_target = makefile.contains(&format!("\n{target}:"));
                if previous == "`make" && !target.is_empty() && !is_target {
                    wrong.push(format!("{document}: make {target}"));
                }
            }
            previous = token;
        }
    }
    assert_none(&wrong);
}

#[test]
fn paths_exist() {
    let paths = project::paths("");
    let top: BTreeSet<&str> = paths
        .iter()
        .filter_map(|path| Some(path.split_once('/')?.0))
        .collect();
    let mut wrong = Vec::new();
    for (document, text) in project::documents() {
        for (index, line) in text.lines().enumerate() {
            for token in line.split(|c: char| !is_word(c) && !"/.*-".contains(c)) {
                let named = token.trim_end_matches(['.', '/']);
                let Some((directory, _)) = named.split_once('/') else {
                    continue;
                };
                if top.contains(directory) && !paths.iter().any(|path| matches(named, path)) {
                    wrong.push(format!("{document}:{}: {named}", index + 1));
                }
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn files_exist() {
    let paths = project::paths("");
    let documents = project::documents();
    let is_shown = |name: &str| {
        let block = format!("file={name}\n");
        documents.iter().any(|(_, text)| text.contains(&block))
    };
    let mut wrong = Vec::new();
    for (document, text) in &documents {
        for (line, content) in prose(text) {
            for span in code_spans(content) {
                let is_file = ENDINGS
                    .iter()
                    .any(|ending| span.len() > ending.len() && span.ends_with(ending));
                if !is_file || span.contains([' ', '*', '(', '{']) || span.starts_with(['/', '.']) {
                    continue;
                }
                let below = format!("/{span}");
                let exists = paths
                    .iter()
                    .any(|path| path == span || path.ends_with(&below));
                if !exists && !is_shown(span) {
                    wrong.push(format!("{document}:{line}: {span}"));
                }
            }
        }
    }
    assert_none(&wrong);
}

/// All words of all sources, and of their paths.
fn words_of_sources() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for path in project::paths("") {
        if path.starts_with("test/architecture") {
            continue; // has names to be excepted
        }
        words.extend(path.split(|c| !is_word(c)).map(str::to_owned));
        if path.ends_with(".md") || !project::root().join(&path).is_file() {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(project::root().join(&path)) else {
            continue; // not a text
        };
        words.extend(text.split(|c| !is_word(c)).map(str::to_owned));
    }
    words
}

/// Whether a word of this code is the name of a type, a function, a constant or a field.
fn is_name(word: &str, code: &str) -> bool {
    let is_path = code.chars().all(|c| is_word(c) || "&<>:()".contains(c));
    let is_capitalized = word.starts_with(|c: char| c.is_ascii_uppercase());
    let is_type = is_path && is_capitalized && word.contains(|c: char| c.is_ascii_lowercase());
    is_type || word.trim_matches('_').contains('_')
}

#[test]
fn names_exist() {
    let sources = words_of_sources();
    let mut wrong = Vec::new();
    for (document, text) in project::documents() {
        for (line, content) in prose(&text) {
            for span in code_spans(content) {
                for word in span.split(|c| !is_word(c)) {
                    if !is_name(word, span)
                        || FOREIGN_NAMES.contains(&word)
                        || sources.contains(word)
                    {
                        continue;
                    }
                    let is_cut = span.contains(&format!("{word}…"));
                    if !is_cut || !sources.iter().any(|source| source.starts_with(word)) {
                        wrong.push(format!("{document}:{line}: {word}"));
                    }
                }
            }
        }
    }
    assert_none(&wrong);
}

/// A document says of a test, a function or a constant in which file it is: "`NAME` in `FILE`".
#[test]
fn names_are_in_the_files_that_are_said_to_have_them() {
    let mut wrong = Vec::new();
    for (document, text) in project::documents() {
        for (line, content) in prose(&text) {
            let parts: Vec<&str> = content.split('`').collect();
            for part in parts.windows(3) {
                let [name, " in ", file] = part else {
                    continue;
                };
                if !file.contains('/') || !project::root().join(file).is_file() {
                    continue;
                }
                let source = project::read(file);
                if !name.split('…').all(|part| source.contains(part)) {
                    wrong.push(format!("{document}:{line}: `{name}` is not in {file}"));
                }
            }
        }
    }
    assert_none(&wrong);
}

/// The tables of a text: the cells of each row, the head included.
fn tables<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Vec<Vec<&'a str>>> {
    let mut tables = vec![Vec::new()];
    for line in lines {
        let line = line.trim();
        if let Some(cells) = line.strip_prefix('|') {
            let row = cells
                .trim_end_matches('|')
                .split('|')
                .map(str::trim)
                .collect();
            tables.last_mut().expect("never empty").push(row);
        } else if !tables.last().expect("never empty").is_empty() {
            tables.push(Vec::new());
        }
    }
    tables
}

/// Some tables of documents have a column "file in `DIRECTORY`".
#[test]
fn files_in_a_directory_exist() {
    let mut wrong = Vec::new();
    for (document, text) in project::documents() {
        for table in tables(text.lines()) {
            let Some(head) = table.first() else {
                continue;
            };
            let Some(column) = head.iter().position(|cell| cell.starts_with("file in `")) else {
                continue;
            };
            let directory = code_spans(head[column]).next().expect("starts with one");
            for row in &table[2..] {
                for span in code_spans(row[column]) {
                    let path = project::root().join(directory).join(span);
                    if !path.is_dir() && !path.with_extension("rs").is_file() {
                        wrong.push(format!("{document}: {directory}/{span}"));
                    }
                }
            }
        }
    }
    assert_none(&wrong);
}

/// What is named in the column "file" of tables at the head of a source.
fn listed(text: &str) -> BTreeSet<String> {
    let head = text.lines().take_while(|line| line.starts_with("//!"));
    let mut names = BTreeSet::new();
    for table in tables(head.map(|line| line.trim_start_matches("//!"))) {
        let column = table
            .first()
            .and_then(|head| head.iter().position(|cell| *cell == "file"));
        let Some(column) = column else {
            continue;
        };
        for row in &table[2..] {
            names.extend(code_spans(row[column]).map(str::to_owned));
        }
    }
    names
}

/// The modules beside a file, those with nothing but tests apart.
fn modules_beside(path: &str) -> BTreeSet<String> {
    let (directory, own_name) = path.rsplit_once('/').expect("in a directory");
    let mut modules = BTreeSet::new();
    for other in project::paths(directory) {
        let Some(name) = other
            .strip_prefix(directory)
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            continue;
        };
        if name == own_name || name.contains('/') || name == "tests.rs" {
            continue;
        }
        modules.insert(name.trim_end_matches(".rs").to_owned());
    }
    modules
}

#[test]
fn heads_of_directories_name_each_file() {
    let mut wrong = Vec::new();
    for (path, text) in project::files("", ".rs") {
        let is_head = path.ends_with("src/lib.rs") || path.ends_with("/mod.rs");
        if !is_head || !path.contains("src/") {
            continue;
        }
        let (listed, modules) = (listed(&text), modules_beside(&path));
        if listed.is_empty() && modules.len() <= UNLISTED_FILES_MAX {
            continue;
        }
        for missing in modules.difference(&listed) {
            wrong.push(format!("{path} does not list {missing}"));
        }
        for gone in listed.difference(&modules) {
            wrong.push(format!("{path} lists {gone}, which is not there"));
        }
    }
    assert_none(&wrong);
}

/// The sources of what operators read, and the document whose tables explain it.
const SHOWN: [(&str, &str); 10] = [
    ("crates/swim/src/log_event.rs", "doc/operations.md"),
    ("crates/node/src/notify/watchdog.rs", "doc/operations.md"),
    ("crates/node/src/receive.rs", "doc/operations.md"),
    ("crates/node/src/net/binding.rs", "doc/operations.md"),
    ("crates/node/src/state_file/owner.rs", "doc/operations.md"),
    ("crates/node/src/state_file/keeper.rs", "doc/operations.md"),
    ("crates/swim/src/diagnosis.rs", "doc/operations.md"),
    (
        "crates/swim/src/detector/self_check.rs",
        "doc/operations.md",
    ),
    (
        "crates/node/src/observe/delivery_errors.rs",
        "doc/operations.md",
    ),
    ("crates/swim/src/wire/drop_reason.rs", "doc/operations.md"),
];

/// Texts that are shown at level debug, or to the caller of `init`.
const UNEXPLAINED: [&str; 5] = [
    "Could not reach node: {uri} (ignored)",
    "Could not reach node: {uri} ({} myself)",
    "Ignoring member {uri} with status {status}",
    "cannot make a waker",
    "cannot start a thread",
];

/// The texts in a source that are sentences or parts of one: literals with a space, but those of tests.
fn sentences(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut text = String::new();
    for line in code.lines() {
        if !line.trim_start().starts_with("//") {
            text.push_str(line);
            text.push('\n');
        }
    }
    // A literal that goes on in the next line.
    while let Some(at) = text.find("\\\n") {
        let rest = text[at + 2..].trim_start().to_owned();
        text.truncate(at);
        text.push_str(&rest);
    }
    let literals = text.split('"').skip(1).step_by(2);
    literals
        .filter(|literal| literal.trim().contains(' '))
        .map(str::to_owned)
        .collect()
}

/// The longest part of a text that is the same each time it is shown.
fn constant_part(text: &str) -> &str {
    let mut longest = "";
    for part in text.split(['{', '}']).step_by(2) {
        // Documents leave out what follows after a colon, with an ellipsis.
        let part = part.split(": ").next().unwrap_or(part).trim();
        if part.len() > longest.len() {
            longest = part;
        }
    }
    longest
}

#[test]
fn every_line_of_the_log_and_every_hint_is_explained() {
    let mut wrong = Vec::new();
    for (source, document) in SHOWN {
        let (code, text) = (project::read(source), project::read(document));
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for sentence in sentences(&code) {
            let part = constant_part(&sentence);
            if !UNEXPLAINED.contains(&&*sentence) && !text.contains(part) {
                wrong.push(format!("{source}: \"{sentence}\" is not in {document}"));
            }
        }
    }
    assert_none(&wrong);
}
