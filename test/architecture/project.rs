//! The files of the project.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories that builds and programs make, by name. `.git` and the like begin with a dot.
const MADE: [&str; 3] = ["target", "build.luarocks", "__pycache__"];

/// Directories with a dot that belong to the project.
const DOTTED: [&str; 3] = [".github", ".cargo", ".ci"];

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// All files and directories below `directory`, by their paths from the root, in order. Those that a
/// build makes are left out.
pub fn paths(directory: &str) -> Vec<String> {
    let mut pending = vec![root().join(directory)];
    let mut found = Vec::new();
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            let is_hidden = name.starts_with('.') && !DOTTED.contains(&&*name);
            if path.is_dir() && (is_hidden || MADE.contains(&&*name)) {
                continue;
            }
            let relative = path.strip_prefix(root()).expect("below the root");
            found.push(relative.to_str().expect("UTF-8").to_owned());
            if path.is_dir() {
                pending.push(path);
            }
        }
    }
    found.sort();
    found
}

pub fn read(path: &str) -> String {
    match fs::read_to_string(root().join(path)) {
        Ok(text) => text,
        Err(error) => panic!("{path}: {error}"),
    }
}

/// The files below `directory` whose names end like this, with their texts.
pub fn files(directory: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in paths(directory) {
        if path.ends_with(ending) && root().join(&path).is_file() {
            let text = read(&path);
            found.push((path, text));
        }
    }
    assert!(!found.is_empty(), "nothing in {directory}");
    found
}

/// What is written for people who use or change the project.
pub fn documents() -> Vec<(String, String)> {
    files("", ".md")
}
