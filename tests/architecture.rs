//! The layers, and what each may know of. No lint checks the direction of `use`, so this does.

use std::fs;
use std::path::{Path, PathBuf};

/// Every Rust file below `directory`, with its text.
fn sources(directory: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut pending = vec![root];
    let mut found = Vec::new();
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "nothing in {directory}");
    found
}

/// The code of a file, without its comments and its tests.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .filter(|line| !line.trim_start().starts_with("//"))
}

fn assert_knows_nothing_of(directory: &str, forbidden: &[&str]) {
    for (path, text) in sources(directory) {
        for word in forbidden {
            let line = code(&text).find(|line| line.contains(word));
            assert_eq!(line, None, "{} must not know of {word}", path.display());
        }
    }
}

/// Sources of time, chance and the world outside, which would make two runs differ.
const OUTSIDE: [&str; 16] = [
    "std::net",
    "std::thread",
    "std::sync::Mutex",
    "std::sync::atomic",
    "std::os",
    "std::io",
    "std::fs",
    "std::env",
    "std::process",
    "Instant",
    "SystemTime",
    "HashMap",
    "HashSet",
    "rand::rng()",
    "libc::",
    "rustix",
];

/// Functions whose last bit differs from one machine to the next.
const INEXACT: [&str; 7] = [
    ".ln()", ".log2()", ".log10()", ".exp()", ".powf(", ".sin()", ".cos()",
];

#[test]
fn the_protocol_knows_neither_the_machine_nor_lua() {
    assert_knows_nothing_of("src/swim", &OUTSIDE);
    let above = ["mlua", "crate::lua", "crate::node", "crate::sim"];
    assert_knows_nothing_of("src/swim", &above);
    assert_knows_nothing_of("src/swim", &INEXACT);
}

#[test]
fn the_simulator_knows_the_protocol_only() {
    assert_knows_nothing_of("src/sim", &OUTSIDE);
    assert_knows_nothing_of("src/sim", &["mlua", "crate::lua", "crate::node"]);
    assert_knows_nothing_of("src/sim", &INEXACT);
}

#[test]
fn the_machine_knows_neither_lua_nor_the_simulator() {
    assert_knows_nothing_of("src/node", &["mlua", "crate::lua", "crate::sim"]);
}

#[test]
fn only_the_binding_knows_lua() {
    for (path, text) in sources("src") {
        let binding = path.components().any(|part| {
            let part = part.as_os_str().to_string_lossy();
            part == "lua" || part == "lua.rs"
        });
        if !binding {
            assert!(
                !code(&text).any(|line| line.contains("mlua")),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn the_tool_knows_neither_lua_nor_the_simulator_and_nobody_else_the_command_line() {
    assert_knows_nothing_of("src/bin", &["mlua", "membership::sim"]);
    for layer in ["src/swim", "src/sim", "src/node", "src/lua"] {
        assert_knows_nothing_of(layer, &["clap", "anstream", "ctrlc"]);
    }
}

/// A file is about one thing, and one thing is not longer than this, tests and comments apart.
const LINES_MAX: usize = 400;

#[test]
fn no_file_is_about_two_things() {
    for (path, text) in sources("src") {
        let lines = text
            .lines()
            .take_while(|line| line.trim() != "#[cfg(test)]")
            .count();
        assert!(
            lines <= LINES_MAX,
            "{} has {lines} lines before its tests",
            path.display()
        );
    }
}
