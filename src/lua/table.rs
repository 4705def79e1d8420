//! The table of members, for the copy that Lua keeps of it.

use mlua::{BString, Lua};

use super::{Answer, blob, message, text};
use crate::node::node;
use crate::swim::Position;

/// How many members cross to Lua at once: a millisecond or two of Tarantool's thread.
const CHANGES_MAX: usize = 500;

/// What a reader that has read so far has missed, or the first part of it, see [`blob::changes`]; nil
/// if there is nothing.
pub fn changes(_: &Lua, (version, origin): (f64, f64)) -> Answer<Option<BString>> {
    let (version, origin) = (version as u64, origin as u64);
    if node().version() == version {
        return Ok(None);
    }
    let position = Position { version, origin };
    let changes = node().view(|swim| {
        let latest = swim.version();
        (latest != version).then(|| {
            let changes = swim.changes_since(position, CHANGES_MAX);
            blob::changes(&changes, latest, swim.myself())
        })
    });
    Ok(changes.map_err(message)?.map(BString::from))
}

/// One member, see [`blob::member`]; nil if it is not known.
pub fn member(_: &Lua, uri: BString) -> Answer<Option<BString>> {
    let uri = text(&uri);
    let member = node().view(|swim| {
        let mut blob = Vec::new();
        let member = swim.member(&uri);
        member.map(|member| blob::member(&mut blob, member))?;
        Some(blob)
    });
    Ok(member.map_err(message)?.map(BString::from))
}
