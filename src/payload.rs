//! The payload of the local node, as a whole or key by key.

use mlua::{BString, Lua};

use super::{Answer, message};
use node::node;
use swim::table::payload::splice;
use swim::{Refused, Swim};

/// Replaces the payload.
pub fn set_payload(_: &Lua, payload: BString) -> Answer<bool> {
    let set = node().with_swim(|swim, now| swim.set_payload(&payload, now));
    set.map_err(message)?
        .map_err(|refused| why_not_set(refused, 1, &payload))?;
    Ok(true)
}

/// Sets one key of the payload to a value in MessagePack, or removes it.
// Under one lock, or two Lua states that set different keys could undo each other's change.
pub fn set_payload_key(_: &Lua, (key, value): (BString, Option<BString>)) -> Answer<bool> {
    let set = node().with_swim(|swim, now| {
        let payload = splice::with_key(
            own_payload(swim),
            &key,
            value.as_ref().map(|value| &value[..]),
        );
        let set = swim.set_payload(&payload, now);
        set.map_err(|refused| why_not_set(refused, 2, &payload))
    });
    set.map_err(message)??;
    Ok(true)
}

/// Describes a payload that is refused as a bad argument.
fn why_not_set(refused: Refused, argument: u8, payload: &[u8]) -> String {
    let Refused::PayloadUnfit(flaw) = refused else {
        return refused.to_string();
    };
    let why = flaw.describe(payload);
    format!("bad argument #{argument} to set_payload ({why})")
}

fn own_payload(swim: &Swim) -> &[u8] {
    let own = swim.myself().and_then(|myself| swim.member(myself));
    own.and_then(|own| own.payload.as_ref())
        .map_or(splice::EMPTY, |payload| payload.bytes())
}
