//! Encryption keys: those of the local node, and those that others accept.

use std::error::Error;

use mlua::{BString, FromLua, IntoLua, Lua, Table, Value};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Answer, export};
use node::node;
use swim::Swim;
use swim::security::key_survey::SurveyId;
use swim::security::rotation::MemberKeys;
use swim::security::seal::keyring::KeyId;
use swim::time::Now;

/// Adds the functions to the table of the module.
pub fn export_all(lua: &Lua, core: &Table) -> mlua::Result<()> {
    export(lua, core, "encryption_key", encryption_key)?;
    export(lua, core, "set_encryption_keys", set_encryption_keys)?;
    export(lua, core, "add_encryption_key", add_encryption_key)?;
    export(lua, core, "use_encryption_key", use_encryption_key)?;
    export(lua, core, "remove_encryption_key", remove_encryption_key)?;
    export(lua, core, "ask_keys", ask_keys)?;
    export(lua, core, "are_keys_known", are_keys_known)?;
    export(lua, core, "member_keys", member_keys)
}

/// Returns the key as it is used, or nil.
fn encryption_key(_: &Lua, (): ()) -> Answer<Option<Secret>> {
    let key = node().view(|swim| {
        let key = swim.encryption_key()?;
        Some(Secret(Zeroizing::new(key.to_vec())))
    })?;
    Ok(key)
}

/// A key. It is erased from memory when it is dropped.
pub struct Secret(pub Zeroizing<Vec<u8>>);

impl FromLua for Secret {
    fn from_lua(value: Value, lua: &Lua) -> mlua::Result<Self> {
        let text = BString::from_lua(value, lua)?;
        Ok(Self(Zeroizing::new(text.into())))
    }
}

impl IntoLua for Secret {
    fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        Ok(Value::String(lua.create_string(&self.0[..])?))
    }
}

/// Replaces all keys: datagrams are sent with the first. An empty list ends encryption.
fn set_encryption_keys(_: &Lua, keys: Vec<Secret>) -> Answer<Option<String>> {
    let keys: Vec<&[u8]> = keys.iter().map(|key| &key.0[..]).collect();
    change_keys(|swim, now| swim.set_encryption_keys(&keys, now))
}

fn add_encryption_key(_: &Lua, key: Secret) -> Answer<Option<String>> {
    change_keys(|swim, now| swim.add_encryption_key(&key.0, now))
}

/// Sends with a key: whatever others accept if `force` is true, else only if [`ask_keys`] has found that
/// they accept it.
fn use_encryption_key(_: &Lua, (key, force): (Secret, bool)) -> Answer<Option<String>> {
    change_keys(|swim, now| {
        if force {
            return Ok(swim.use_encryption_key(&key.0, now)?);
        }
        swim.use_accepted_key(&key.0, now)
    })
}

/// Removes a key: whatever others use if `force` is true, else only if [`ask_keys`] has found that they use
/// another.
fn remove_encryption_key(_: &Lua, (key, force): (Secret, bool)) -> Answer<Option<String>> {
    change_keys(|swim, now| {
        if force {
            return Ok(swim.remove_encryption_key(&key.0, now)?);
        }
        swim.remove_unused_key(&key.0, now)
    })
}

/// Changes the keys. Returns nil, or why they stay as they are.
fn change_keys<E: Error>(
    change: impl FnOnce(&mut Swim, Now) -> Result<(), E>,
) -> Answer<Option<String>> {
    Ok(match node().with_swim(change)? {
        Ok(()) => None,
        Err(why) => Some(why.to_string()),
    })
}

/// Asks all members which keys they accept. Returns the id for [`are_keys_known`]; nil if there is none to
/// ask. With a key, also if its use or removal does not depend on others.
fn ask_keys(_: &Lua, key: Option<Secret>) -> Answer<Option<f64>> {
    let survey = node().with_swim(|swim, now| match key {
        Some(key) if !swim.is_step(&key.0) => None,
        _ => swim.ask_keys(now),
    })?;
    Ok(survey.map(|SurveyId(id)| id as f64))
}

/// Whether all have answered, or do not.
fn are_keys_known(_: &Lua, id: f64) -> Answer<bool> {
    Ok(node().view(|swim| swim.has_key_survey_ended(SurveyId(id as u64)))?)
}

/// Returns the keys of all members as MessagePack: a list of [`Keys`].
fn member_keys(_: &Lua, (): ()) -> Answer<BString> {
    let mut all = Vec::new();
    for member in node().view(Swim::member_keys)? {
        all.push(Keys::from(member));
    }
    Ok(rmp_serde::to_vec_named(&all)?.into())
}

/// By the names that programs read. What is not known is left out.
#[derive(Serialize)]
struct Keys {
    uri: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepts: Option<Vec<String>>,
    answered: bool,
}

impl From<MemberKeys> for Keys {
    fn from(keys: MemberKeys) -> Self {
        let accepts = keys.accepts.as_ref();
        Self {
            uri: keys.uri.to_string(),
            status: keys.status.name(),
            uses: keys.uses.map(|id| id.to_string()),
            accepts: accepts.map(|ids| ids.iter().map(KeyId::to_string).collect()),
            answered: keys.status.is_live() && !keys.is_silent,
        }
    }
}
