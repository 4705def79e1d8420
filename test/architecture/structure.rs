//! What cargo and clippy do not check of the structure. The direction of the layers is theirs: each is a
//! crate, and the protocol has no dependency that does I/O.

use crate::project;

/// Fails for each line that has one of these words, comments apart.
fn assert_without(directory: &str, words: &[&str]) {
    assert_without_except(directory, &[], words);
}

fn assert_without_except(directory: &str, exceptions: &[&str], words: &[&str]) {
    for (path, text) in project::files(directory, ".rs") {
        if exceptions.contains(&&*path) {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            for word in words {
                assert!(
                    is_comment || !line.contains(word),
                    "{path}:{}: {word}",
                    index + 1
                );
            }
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
fn protocol_and_simulator_depend_on_their_arguments_alone() {
    for directory in ["crates/swim/src", "crates/sim/src"] {
        assert_without(directory, &OUTSIDE);
        assert_without(directory, &INEXACT);
    }
}

/// Hash tables of which strangers, or the system, could know the key, or that differ from one run to the
/// next. `KeyedMap` and `KeyedSet` take their place.
const UNKEYED: [&str; 3] = ["IndexMap", "IndexSet", "RandomState"];

#[test]
fn the_protocol_hashes_with_a_key_of_its_own() {
    assert_without_except("crates/swim/src", &["crates/swim/src/hashing.rs"], &UNKEYED);
}

/// A file is about one thing, and one thing is not longer than this, tests and
/// examples apart.
const LINES_MAX: usize = 400;

#[test]
fn no_file_is_about_two_things() {
    for directory in ["src", "crates", "bench", "fuzz/src"] {
        for (path, text) in project::files(directory, ".rs") {
            let code = match text.find("#[cfg(test)]\nmod tests {") {
                Some(tests) => &text[..tests],
                None => &text,
            };
            let lines = code.lines().count();
            let is_apart = path.contains("/tests/") || path.contains("/examples/");
            assert!(
                is_apart || lines <= LINES_MAX,
                "{path} has {lines} lines before its tests"
            );
        }
    }
}
