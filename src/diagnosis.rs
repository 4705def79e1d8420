//! What is known of members that may be sick, for `diagnose` of Lua.

use core::time::Duration;

use mlua::{BString, Lua};
use serde::Serialize;

use super::history::{self, ChangeFields};
use super::{Answer, text};
use node::node;
use swim::{Change, diagnosis};

/// How many of the last changes of a member are shown.
const CHANGES_MAX: usize = 10;

/// Returns a list of [`Diagnosis`] as MessagePack: that of `uri`, if it is or was known, or those of all members.
pub fn diagnose(_: &Lua, uri: Option<BString>) -> Answer<BString> {
    let mut reports = Vec::new();
    if let Some(uri) = uri {
        let uri = text(&uri);
        let changes = node().view(|swim| swim.history_of(&uri, CHANGES_MAX))?;
        let report = match node().diagnose(&uri)? {
            Some(diagnosis) => Some(Diagnosis::from(diagnosis)),
            None if changes.is_empty() => None,
            None => Some(Diagnosis::of_forgotten(uri)),
        };
        reports.extend(report.map(|report| report.with(&changes)));
        return Ok(rmp_serde::to_vec_named(&reports)?.into());
    }
    for diagnosis in node().diagnose_all()? {
        reports.push(Diagnosis::from(diagnosis));
    }
    Ok(rmp_serde::to_vec_named(&reports)?.into())
}

/// By the names that programs read. What is not known is left out, so that Lua reads `nil` rather than
/// `box.NULL`.
#[derive(Serialize)]
struct Diagnosis<'a> {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silence_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_delta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probes: Option<Probes>,
    hints: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeFields<'a>>>,
}

/// Shares of the last probes, from 0 to 1.
#[derive(Serialize)]
struct Probes {
    late: f64,
    relayed: f64,
    failed: f64,
}

impl<'a> Diagnosis<'a> {
    /// That of a member that is not in the table any more.
    const fn of_forgotten(uri: String) -> Self {
        Self {
            uri,
            status: None,
            round_trip_seconds: None,
            silence_seconds: None,
            clock_delta: None,
            probes: None,
            hints: Vec::new(),
            changes: None,
        }
    }

    fn with(self, changes: &'a [Change]) -> Self {
        let changes = Some(history::fields(changes));
        Self { changes, ..self }
    }
}

impl From<diagnosis::Diagnosis> for Diagnosis<'_> {
    fn from(diagnosis: diagnosis::Diagnosis) -> Self {
        Self {
            uri: diagnosis.uri.to_string(),
            status: Some(diagnosis.status.name()),
            round_trip_seconds: seconds(diagnosis.round_trip),
            silence_seconds: seconds(diagnosis.silence),
            clock_delta: diagnosis.clock_delta,
            probes: diagnosis.probes.map(Probes::from),
            hints: diagnosis.hints,
            changes: None,
        }
    }
}

impl From<diagnosis::Probes> for Probes {
    fn from(probes: diagnosis::Probes) -> Self {
        Self {
            late: probes.late.into(),
            relayed: probes.relayed.into(),
            failed: probes.failed.into(),
        }
    }
}

/// In seconds.
pub fn seconds(time: Option<Duration>) -> Option<f64> {
    Some(time?.as_secs_f64())
}
