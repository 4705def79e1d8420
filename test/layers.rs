//! The direction of the files inside the protocol. Between crates, cargo keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The files of the protocol's crate by module path, without their tests.
fn modules() -> BTreeMap<Vec<String>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/swim/src");
    let mut pending = vec![root.clone()];
    let mut found = BTreeMap::new();
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if !path.ends_with("tests.rs") && !path.ends_with("vectors.rs") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                let code = match text.find("#[cfg(test)]\nmod tests") {
                    Some(tests) => &text[..tests],
                    None => &text,
                };
                found.insert(module(&path, &root), code.to_owned());
            }
        }
    }
    found
}

fn module(path: &Path, root: &Path) -> Vec<String> {
    let path: PathBuf = path
        .strip_prefix(root)
        .expect("below it")
        .with_extension("");
    let mut parts = Vec::new();
    for part in &path {
        parts.push(part.to_string_lossy().into_owned());
    }
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib")) {
        parts.pop();
    }
    parts
}

/// The modules that a file names by `crate::`.
fn used(code: &str, modules: &BTreeMap<Vec<String>, String>) -> BTreeSet<Vec<String>> {
    let mut used = BTreeSet::new();
    for line in code.lines() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for path in line.split("crate::").skip(1) {
            let mut parts = Vec::new();
            for part in path.split("::") {
                let end = part.find(|c: char| !c.is_ascii_lowercase() && c != '_');
                parts.push(part[..end.unwrap_or(part.len())].to_owned());
                if end.is_some() {
                    break;
                }
            }
            while !parts.is_empty() && !modules.contains_key(&parts) {
                parts.pop();
            }
            if !parts.is_empty() {
                used.insert(parts);
            }
        }
    }
    used
}

#[test]
fn no_mechanism_reaches_back_to_the_router() {
    for (module, code) in modules() {
        let is_mechanism = matches!(
            module.first().map(String::as_str),
            Some("identity" | "table" | "detector" | "dissemination" | "security" | "wire")
        );
        for line in code.lines() {
            let is_comment = line.trim_start().starts_with("//");
            let reaches_back = line.contains("crate::Swim") || line.contains("crate::router");
            assert!(
                !is_mechanism || is_comment || !reaches_back,
                "{module:?}: {line}"
            );
        }
    }
}

#[test]
fn no_files_of_the_protocol_use_each_other_in_a_circle() {
    let modules = modules();
    let mut open = BTreeMap::new();
    for (module, code) in &modules {
        let mut uses = used(code, &modules);
        uses.remove(module);
        open.insert(module.clone(), uses);
    }
    // Those that use none of what is left go first; in a circle there is always one that is used.
    loop {
        let left: Vec<Vec<String>> = open.keys().cloned().collect();
        let before = open.len();
        open.retain(|_, uses| uses.iter().any(|used| left.contains(used)));
        if open.len() == before {
            break;
        }
    }
    assert!(
        open.is_empty(),
        "a circle, or what uses it: {:?}",
        open.keys()
    );
}

/// The methods that a file of the router defines.
fn methods(code: &str) -> BTreeSet<&str> {
    let mut methods = BTreeSet::new();
    for line in code.lines() {
        if let Some((before, after)) = line.split_once("fn ")
            && before.starts_with("    ")
            && !before.starts_with("     ")
            && let Some(end) = after.find(['(', '<'])
        {
            methods.insert(&after[..end]);
        }
    }
    methods
}

#[test]
fn each_file_of_the_router_calls_only_those_below_it_in_the_table() {
    let modules = modules();
    let router = &modules[&vec!["router".to_owned()]];
    let mut order = Vec::new();
    for line in router.lines() {
        if let Some(row) = line.strip_prefix("//! | `") {
            let cell = row.split('|').next().expect("a cell");
            for name in cell.split('`') {
                if name.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !name.is_empty() {
                    order.push(name);
                }
            }
        }
    }
    assert_eq!(
        order.len(),
        modules
            .keys()
            .filter(|m| m.len() == 2 && m[0] == "router")
            .count()
    );
    let mut code = BTreeMap::new();
    for name in &order {
        let file = &modules[&vec!["router".to_owned(), (*name).to_owned()]];
        // A chain of calls may be spread over lines.
        let joined: String = file.split_whitespace().collect();
        code.insert(*name, (methods(file), joined));
    }
    for (index, lower) in order.iter().enumerate() {
        let (own, calls) = &code[lower];
        for upper in &order[..index] {
            for method in code[upper].0.difference(own) {
                for receiver in ["self", "swim", "turn", "because_of_others()"] {
                    let call = format!("{receiver}.{method}(");
                    assert!(!calls.contains(&call), "{lower} calls {call} of {upper}");
                }
            }
        }
    }
}

#[test]
fn methods_of_swim_are_where_a_reader_looks_for_its_interface() {
    let mut found = Vec::new();
    for (module, code) in modules() {
        if code.contains("\nimpl Swim {") {
            found.push(module.join("/"));
        }
    }
    // The empty path is `lib.rs`.
    assert_eq!(
        found,
        [
            "",
            "router/commands",
            "router/keys",
            "router/settings",
            "router/views"
        ]
    );
}
