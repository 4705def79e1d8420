//! The table of members, for the copy that Lua keeps of it.

use mlua::{BString, Lua};

use super::{Answer, blob, message, text};
use node::node;
use swim::Position;

/// How many members cross to Lua at once: a millisecond or two of Tarantool's thread.
const CHANGES_MAX: usize = 500;

/// And when each is handed to a program with its payload decoded, which takes longer.
const NEWS_MAX: usize = 64;

/// What a reader that has read so far has missed, or the first part of it, see [`blob::changes`]; nil
/// if there is nothing.
pub fn changes(_: &Lua, (version, origin): (f64, f64)) -> Answer<Option<BString>> {
    let (version, origin) = (version as u64, origin as u64);
    let position = Position { version, origin };
    let changes = node().view(|swim| {
        let latest = swim.version();
        (latest != version).then(|| {
            let changes = swim.changes_since(position, CHANGES_MAX);
            blob::changes(&changes, latest)
        })
    });
    Ok(changes.map_err(message)?.map(BString::from))
}

/// The members of whom there is news since change number `version`, or the first part of them, see
/// [`blob::news`]; nil if nobody remembers so much.
pub fn news(_: &Lua, version: f64) -> Answer<Option<BString>> {
    let news = node().view(|swim| {
        let news = swim.news_since(version as u64, NEWS_MAX)?;
        Some(blob::news(&news))
    });
    Ok(news.map_err(message)?.map(BString::from))
}

/// Where in memory two doubles are that change with the table, see [`node::Node::progress`].
pub fn progress_address(_: &Lua, (): ()) -> Answer<f64> {
    Ok(node().progress_address() as f64)
}

/// One member, or myself, see [`blob::member`]; nil if it is not known.
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
    });
    Ok(member.map_err(message)?.map(BString::from))
}
