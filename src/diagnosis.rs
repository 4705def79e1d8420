//! What is known of members that may be sick, as a tree for Lua.

use mlua::{BString, Lua};

use super::blob::array;
use super::tree::Node::{self, List, Number, Table, Text, Unknown};
use super::{Answer, message, text};
use node::node;
use swim::diagnosis::{Diagnosis, Probes};

/// A list of tables, one a member: of `uri`, or of all.
pub fn diagnose(_: &Lua, uri: Option<BString>) -> Answer<BString> {
    let diagnoses = match uri {
        Some(uri) => node()
            .diagnose(&text(&uri))
            .map(|one| one.into_iter().collect()),
        None => node().diagnose_all(),
    };
    Ok(encode(diagnoses.map_err(message)?).into())
}

fn encode(diagnoses: Vec<Diagnosis>) -> Vec<u8> {
    let mut blob = Vec::new();
    array(&mut blob, diagnoses.len());
    for diagnosis in diagnoses {
        tree(diagnosis).write(&mut blob);
    }
    blob
}

fn tree(diagnosis: Diagnosis) -> Node {
    let hints = diagnosis.hints.into_iter().map(Text);
    Table(vec![
        ("uri", Text(diagnosis.uri.to_string())),
        ("status", Text(diagnosis.status.name().into())),
        ("round_trip_seconds", Node::time(diagnosis.round_trip)),
        ("silence_seconds", Node::time(diagnosis.silence)),
        ("clock_delta", diagnosis.clock_delta.map_or(Unknown, Number)),
        ("probes", diagnosis.probes.map_or(Unknown, probes)),
        ("hints", List(hints.collect())),
    ])
}

fn probes(probes: Probes) -> Node {
    Table(vec![
        ("late", Number(probes.late.into())),
        ("relayed", Number(probes.relayed.into())),
        ("failed", Number(probes.failed.into())),
    ])
}
