//! Changes what is known of members at the word of a program.

use mlua::{BString, Lua};

use super::{Answer, Message, PARSE_ERROR, parse, text};
use node::{node, shown};
use swim::identity::uri::Uri;
use swim::table::claim::{Incarnation, Status};

/// Adds a member, unless it is not allowed.
pub fn add_member(_: &Lua, uri: BString) -> Answer<bool> {
    let uri = parse(&uri)?;
    let refusal = node().with_swim(|swim, now| {
        let refusal = swim.refusal(&uri);
        if refusal.is_none() {
            swim.add_member(uri, now);
        }
        refusal
    })?;
    match refusal {
        None => Ok(true),
        Some(refused) => Err(refused.into()),
    }
}

/// Marks a member as left. Returns whether there was anything to mark.
pub fn mark_left(_: &Lua, uri: BString) -> Answer<bool> {
    let uri = text(&uri);
    Ok(node().with_swim(|swim, now| swim.mark_left(&uri, now))?)
}

/// Forgets a member.
pub fn remove_member(_: &Lua, uri: BString) -> Answer<bool> {
    let uri = text(&uri);
    node().with_swim(|swim, now| swim.remove_member(&uri, now))?;
    Ok(true)
}

/// Replaces the list of members that are allowed.
pub fn set_allowed_members(_: &Lua, (uris, is_strict): (Vec<BString>, bool)) -> Answer<bool> {
    let mut allowed = Vec::with_capacity(uris.len());
    for uri in uris {
        let uri = text(&uri);
        let Ok(member) = Uri::parse(&uri) else {
            return Err(Message(format!("{PARSE_ERROR}: '{}'", shown(&uri))));
        };
        allowed.push(member);
    }
    node().with_swim(|swim, now| swim.set_allowed_members(allowed, is_strict, now))?;
    Ok(true)
}

/// Makes a rumor. Without an incarnation or a payload, it has those that are known.
pub fn generate(
    _: &Lua,
    (uri, status, incarnation, payload): (BString, u64, Option<f64>, Option<BString>),
) -> Answer<bool> {
    let uri = parse(&uri)?;
    let Some(status) = Status::from_number(status) else {
        return Err(Message("there is no such status".into()));
    };
    let incarnation = match incarnation {
        Some(raw) => Some(admit_incarnation(raw)?),
        None => None,
    };
    let payload = payload.as_deref().map(Vec::as_slice);
    node().with_swim(|swim, now| swim.generate(&uri, status, incarnation, payload, now))?;
    Ok(true)
}

fn admit_incarnation(raw: f64) -> Answer<Incarnation> {
    match Incarnation::from_wire(raw as u64) {
        // The conversion cuts a fraction off, and takes what is negative or no number for 0.
        Some(incarnation) if raw == incarnation.get() as f64 => Ok(incarnation),
        _ => Err(Message(format!("{raw} is no incarnation"))),
    }
}
