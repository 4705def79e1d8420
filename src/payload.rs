//! The payload of the local node, as a whole or key by key.

use mlua::{BString, Lua};

use super::{Answer, Message};
use node::node;
use swim::table::payload::splice;
use swim::{Refused, Swim};

/// Replaces the payload.
pub fn set_payload(_: &Lua, payload: BString) -> Answer<bool> {
    match node().with_swim(|swim, now| swim.set_payload(&payload, now))? {
        Ok(()) => Ok(true),
        Err(refused) => Err(why_not_set(refused, 1, &payload)),
    }
}

/// Sets one key of the payload to a value in MessagePack, or removes it.
// Under one lock, or two Lua states that set different keys could undo each other's change.
pub fn set_payload_key(_: &Lua, (key, value): (BString, Option<BString>)) -> Answer<bool> {
    let (payload, set) = node().with_swim(|swim, now| {
        let payload =
            splice::with_key(own_payload(swim), &key, value.as_deref().map(Vec::as_slice));
        let set = swim.set_payload(&payload, now);
        (payload, set)
    })?;
    match set {
        Ok(()) => Ok(true),
        Err(refused) => Err(why_not_set(refused, 2, &payload)),
    }
}

/// Describes a payload that is refused as a bad argument.
fn why_not_set(refused: Refused, argument: u8, payload: &[u8]) -> Message {
    let Refused::PayloadUnfit(flaw) = refused else {
        return refused.into();
    };
    let why = flaw.describe(payload);
    Message(format!("bad argument #{argument} to set_payload ({why})"))
}

fn own_payload(swim: &Swim) -> &[u8] {
    if let Some(myself) = swim.myself()
        && let Some(own) = swim.member(myself)
        && let Some(payload) = &own.payload
    {
        return payload.bytes();
    }
    splice::EMPTY
}
