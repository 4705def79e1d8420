//! What neither compiler nor linter checks: how the project is divided, whether its documents name what
//! exists, and whether its words are the agreed ones.

mod documents;
mod pictures;
mod project;
mod structure;
mod tables;
mod words;
