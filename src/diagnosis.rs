//! What is known of members that may be sick, for `diagnose` of Lua.

use core::time::Duration;

use mlua::{BString, Lua};
use serde::Serialize;

use super::{Answer, text};
use node::node;
use swim::diagnosis;

/// Returns a list of [`Diagnosis`] as MessagePack: that of `uri`, if it is known, or those of all members.
pub fn diagnose(_: &Lua, uri: Option<BString>) -> Answer<BString> {
    let mut diagnoses = Vec::new();
    match uri {
        Some(uri) => diagnoses.extend(node().diagnose(&text(&uri))?),
        None => diagnoses = node().diagnose_all()?,
    }
    let mut reports = Vec::with_capacity(diagnoses.len());
    for diagnosis in diagnoses {
        reports.push(Diagnosis::from(diagnosis));
    }
    Ok(rmp_serde::to_vec_named(&reports)?.into())
}

/// By the names that programs read. What is not known is left out, so that Lua reads `nil` rather than
/// `box.NULL`.
#[derive(Serialize)]
struct Diagnosis {
    uri: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silence_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_delta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probes: Option<Probes>,
    hints: Vec<String>,
}

/// Shares of the last probes, from 0 to 1.
#[derive(Serialize)]
struct Probes {
    late: f64,
    relayed: f64,
    failed: f64,
}

impl From<diagnosis::Diagnosis> for Diagnosis {
    fn from(diagnosis: diagnosis::Diagnosis) -> Self {
        Self {
            uri: diagnosis.uri.to_string(),
            status: diagnosis.status.name(),
            round_trip_seconds: seconds(diagnosis.round_trip),
            silence_seconds: seconds(diagnosis.silence),
            clock_delta: diagnosis.clock_delta,
            probes: diagnosis.probes.map(Probes::from),
            hints: diagnosis.hints,
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
