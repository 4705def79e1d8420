//! What would be refused: URIs, options, keys and payloads are checked before anything is done with
//! them. Nothing here changes anything.

use mlua::{BString, Lua, Value};

use super::keys::Secret;
use super::options::{OptionValue, setting};
use super::{Answer, Message, text};
use node::node;
use swim::config::{Config, Setting};
use swim::identity::uri::Uri;
use swim::{Refused, Swim};

/// Returns the `host:port` by which the group would know a member, or nil and what is wrong.
pub fn parse_uri(_: &Lua, uri: BString) -> Answer<String> {
    Ok(Uri::parse(&text(&uri))?.to_string())
}

/// Returns the value that an option has in the beginning; nil if there is no such option.
pub fn default_option(_: &Lua, name: BString) -> Answer<Option<OptionValue>> {
    let setting = Config::default().get(&text(&name));
    Ok(setting.map(OptionValue))
}

/// Whether an option can have this value, and not merely one that is near.
pub fn check_option(_: &Lua, (name, value): (BString, Value)) -> Answer<bool> {
    Config::default().assign(&text(&name), setting(&value)?)?;
    Ok(true)
}

/// Whether the local node has these keys and no others, the first to send with. Fails if they cannot be
/// its keys.
pub fn has_encryption_keys(_: &Lua, keys: Vec<Secret>) -> Answer<bool> {
    let keys: Vec<&[u8]> = keys.iter().map(|key| &key.0[..]).collect();
    Ok(node().view(|swim| swim.has_encryption_keys(&keys))??)
}

/// Whether datagrams that are made with this key are understood.
pub fn is_understood(_: &Lua, key: Secret) -> Answer<bool> {
    Ok(node().view(|swim| swim.understands_key(&key.0))?)
}

/// Whether a member of this URI, with these options, could have this payload.
pub fn check_payload(
    _: &Lua,
    (payload, uri, max_packet_size, group_label): (BString, BString, f64, BString),
) -> Answer<bool> {
    let uri = Uri::parse(&text(&uri))?;
    let mut config = Config::default();
    config.assign("MAX_PACKET_SIZE", Setting::Number(max_packet_size))?;
    config.assign("GROUP_LABEL", Setting::Text(group_label.into()))?;
    match Swim::check_payload(&payload, &uri, &config) {
        Ok(()) => Ok(true),
        Err(Refused::PayloadUnfit(flaw)) => Err(Message(flaw.describe(&payload))),
        Err(refused) => Err(refused.into()),
    }
}
