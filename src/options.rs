//! Reads, lists and assigns options.

use mlua::{BString, IntoLua, Lua, Value};

use super::{Answer, blob, message, text};
use node::node;
use swim::Refused;
use swim::config::{Config, Setting};

/// Returns the value of an option; nil if there is no such option.
pub fn option(_: &Lua, name: BString) -> Answer<Option<OptionValue>> {
    let name = text(&name);
    let setting = node().view(|swim| swim.config().get(&name));
    Ok(setting.map_err(message)?.map(OptionValue))
}

/// The value of an option, for Lua.
pub struct OptionValue(Setting);

impl IntoLua for OptionValue {
    fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        match self.0 {
            Setting::Number(number) => Ok(Value::Number(number)),
            Setting::Flag(flag) => Ok(Value::Boolean(flag)),
            Setting::Text(text) => lua.create_string(text).map(Value::String),
        }
    }
}

/// Returns all options, see [`blob::options`].
pub fn options(_: &Lua, (): ()) -> Answer<BString> {
    let config: Config = node().view(|swim| swim.config().clone()).map_err(message)?;
    Ok(blob::options(&config).into())
}

/// Assigns an option. Returns nil, or a remark for the user if another number is used, and why.
pub fn set_option(_: &Lua, (name, value): (BString, Value)) -> Answer<Option<String>> {
    let setting = match value {
        Value::Boolean(flag) => Setting::Flag(flag),
        Value::Integer(number) => Setting::Number(number as f64),
        Value::Number(number) => Setting::Number(number),
        Value::String(text) => Setting::Text(text.as_bytes().to_vec()),
        other => return Err(format!("{} is no option", other.type_name())),
    };
    let name = text(&name);
    let assigned = node().with_swim(|swim, now| {
        let why = swim.assign(&name, setting, now)?;
        Ok(why.zip(swim.config().get(&name)))
    });
    let assigned: Result<_, Refused> = assigned.map_err(message)?;
    Ok(match assigned.map_err(message)? {
        Some((why, Setting::Number(taken))) => Some(format!("{why}, so {taken} is used")),
        _ => None,
    })
}
