//! Reads, lists and assigns options.

use std::collections::BTreeMap;

use mlua::{BString, IntoLua, Lua, Value};

use super::{Answer, Message, blob, text};
use node::node;
use swim::config::{Config, Setting};
use swim::profile::Profile;
use swim::tuning::Changed;

/// Returns the value of an option; nil if there is no such option.
pub fn option(_: &Lua, name: BString) -> Answer<Option<OptionValue>> {
    let name = text(&name);
    let setting = node().view(|swim| swim.config().get(&name))?;
    Ok(setting.map(OptionValue))
}

/// The value of an option, for Lua.
pub struct OptionValue(pub Setting);

impl IntoLua for OptionValue {
    fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        match self.0 {
            Setting::Number(number) => Ok(Value::Number(number)),
            Setting::Flag(flag) => Ok(Value::Boolean(flag)),
            Setting::Text(text) => Ok(Value::String(lua.create_string(text)?)),
            Setting::List(texts) => Ok(Value::Table(lua.create_sequence_from(texts)?)),
        }
    }
}

/// Returns all options, see [`blob::options`].
pub fn options(_: &Lua, (): ()) -> Answer<BString> {
    let config: Config = node().view(|swim| swim.config().clone())?;
    Ok(blob::options(&config).into())
}

/// Assigns an option. Returns nil, or a remark for the user if another number is used, and why.
pub fn set_option(_: &Lua, (name, value): (BString, Value)) -> Answer<Option<String>> {
    let (name, setting) = (text(&name), setting(&value)?);
    let (assigned, taken) = node().with_swim(|swim, now| {
        let assigned = swim.assign(&name, setting, now);
        (assigned, swim.config().get(&name))
    })?;
    Ok(match (assigned?, taken) {
        (Some(why), Some(Setting::Number(taken))) => Some(format!("{why}, so {taken} is used")),
        _ => None,
    })
}

/// Uses a profile. Returns which options have another value now, and which would if they had not been assigned: two
/// maps, as MessagePack.
pub fn use_profile(_: &Lua, name: BString) -> Answer<BString> {
    let Some(profile) = Profile::from_name(&text(&name)) else {
        return Err(Message(format!(
            "one of {} expected",
            Profile::ALL.map(Profile::name).join(", ")
        )));
    };
    let Changed { changed, kept } = node().with_swim(|swim, now| swim.use_profile(profile, now))?;
    let numbers = |settings: Vec<(&'static str, Setting)>| {
        let mut numbers = BTreeMap::new();
        for (name, setting) in settings {
            if let Setting::Number(number) = setting {
                numbers.insert(name, number);
            }
        }
        numbers
    };
    let effect = (numbers(changed), numbers(kept));
    Ok(rmp_serde::to_vec(&effect)?.into())
}

/// Returns the name of the profile in use.
pub fn profile(_: &Lua, (): ()) -> Answer<&'static str> {
    Ok(node().view(|swim| swim.config().profile.name())?)
}

/// Whether there is a profile of this name.
pub fn check_profile(_: &Lua, name: BString) -> Answer<bool> {
    Ok(Profile::from_name(&text(&name)).is_some())
}

/// Gives an option back the value that it has if it is not assigned: that of the profile.
pub fn reset_option(_: &Lua, name: BString) -> Answer<bool> {
    let name = text(&name);
    node().with_swim(|swim, now| swim.reset_option(&name, now))??;
    Ok(true)
}

/// Reads the value for an option.
pub fn setting(value: &Value) -> Answer<Setting> {
    match value {
        Value::Boolean(flag) => Ok(Setting::Flag(*flag)),
        Value::Integer(number) => Ok(Setting::Number(*number as f64)),
        Value::Number(number) => Ok(Setting::Number(*number)),
        Value::String(text) => Ok(Setting::Text(text.as_bytes().to_vec())),
        Value::Table(list) => {
            let mut texts = Vec::new();
            for text in list.sequence_values::<BString>() {
                let Ok(text) = text else {
                    return Err(Message("list of strings expected".into()));
                };
                texts.push(text.to_string());
            }
            Ok(Setting::List(texts))
        }
        other => Err(Message(format!("{} is no option", other.type_name()))),
    }
}
