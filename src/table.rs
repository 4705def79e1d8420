//! The table of members, for the mirror in Lua.

use mlua::{BString, Lua};

use super::{Answer, blob, text};
use node::node;
use swim::Position;

/// How many members cross to Lua at once. They take a millisecond or two of Tarantool's thread.
const CHANGES_MAX: usize = 500;

/// The same for news, of which each payload is decoded and handed to a program, which takes longer.
const NEWS_MAX: usize = 64;

/// Returns the changes after a position, or the first of them, as many as fit into so many parts, see
/// [`blob::changes`]; nil if there are none.
pub fn changes(_: &Lua, (version, origin, parts): (f64, f64, f64)) -> Answer<Option<BString>> {
    let (version, origin) = (version as u64, origin as u64);
    let position = Position { version, origin };
    let count = CHANGES_MAX.saturating_mul(parts as usize);
    let changes = node().view(|swim| {
        let latest = swim.version();
        if latest == version {
            return None;
        }
        let changes = swim.changes_since(position, count);
        Some(blob::changes(&changes, latest))
    })?;
    Ok(changes.map(BString::from))
}

/// Returns the members with news since change number `version`, or the first part of them, see
/// [`blob::news`]; nil if the changelog does not reach back so far.
pub fn news(_: &Lua, version: f64) -> Answer<Option<BString>> {
    let news = node().view(|swim| {
        let news = swim.news_since(version as u64, NEWS_MAX)?;
        Some(blob::news(&news))
    })?;
    Ok(news.map(BString::from))
}

/// Returns the address of three doubles that change with the table, see [`node::Node::progress`].
pub fn progress_address(_: &Lua, (): ()) -> Answer<f64> {
    Ok(node().progress_address() as f64)
}

/// Returns a member, or the local node, see [`blob::member`]; nil if it is not known.
pub fn member(_: &Lua, uri: Option<BString>) -> Answer<Option<BString>> {
    let uri = uri.as_ref().map(text);
    let member = node().view(|swim| {
        let uri = match &uri {
            Some(uri) => uri,
            None => &swim.myself()?[..],
        };
        let member = swim.member(uri)?;
        let mut blob = Vec::new();
        blob::member(&mut blob, member);
        Some(blob)
    })?;
    Ok(member.map(BString::from))
}
