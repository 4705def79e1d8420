//! Every change of the table, in order and with its reason, for `history` of Lua.

use mlua::{BString, Lua};
use serde::Serialize;

use super::Answer;
use node::node;
use swim::Change;
use swim::identity::uri::Uri;
use swim::time::Micros;

/// How many changes cross to Lua at once. They take a millisecond or two of Tarantool's thread.
const CHANGES_MAX: usize = 500;

/// Returns an [`Excerpt`] as MessagePack: the changes after change number `version`, or the first part of them.
pub fn history(_: &Lua, version: f64) -> Answer<BString> {
    let excerpt = node().view(|swim| swim.history_since(version as u64, CHANGES_MAX))?;
    let excerpt = Excerpt {
        reached: excerpt.reached,
        lost: excerpt.lost,
        changes: fields(&excerpt.changes),
    };
    Ok(rmp_serde::to_vec_named(&excerpt)?.into())
}

/// Some of the history.
#[derive(Serialize)]
struct Excerpt<'a> {
    /// The number of the last change in this, or of the last one that there is.
    reached: u64,
    /// Some changes that belong here are not remembered any more.
    lost: bool,
    changes: Vec<ChangeFields<'a>>,
}

/// A change, by the names that programs read. What does not apply is left out, so that Lua reads `nil` rather than
/// `box.NULL`.
#[derive(Serialize)]
pub struct ChangeFields<'a> {
    version: u64,
    time: f64,
    monotonic: f64,
    uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_incarnation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incarnation: Option<u64>,
    payload_changed: bool,
    why: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relays: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_by: Option<Vec<&'a str>>,
    reason: String,
    text: String,
}

/// The changes by the names that programs read.
pub fn fields(changes: &[Change]) -> Vec<ChangeFields<'_>> {
    changes.iter().map(ChangeFields::from).collect()
}

impl<'a> From<&'a Change> for ChangeFields<'a> {
    fn from(change: &'a Change) -> Self {
        let (before, after, reason) = (change.before, change.after, &change.reason);
        Self {
            version: change.number,
            time: seconds(change.at.wall),
            monotonic: seconds(change.at.monotonic),
            uri: &change.uri,
            old_status: before.map(|claim| claim.status.name()),
            status: after.map(|claim| claim.status.name()),
            old_incarnation: before.map(|claim| claim.incarnation.get()),
            incarnation: after.map(|claim| claim.incarnation.get()),
            payload_changed: change.has_new_payload,
            why: reason.name(),
            by: reason.by().map(|uri| &**uri),
            relays: reason.relays().map(names),
            confirmed_by: reason.confirmed_by().map(names),
            reason: reason.to_string(),
            text: change.to_string(),
        }
    }
}

fn names(uris: &[Uri]) -> Vec<&str> {
    uris.iter().map(|uri| &**uri).collect()
}

fn seconds(time: Micros) -> f64 {
    time.0 as f64 / 1e6
}
