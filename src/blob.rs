//! Results as MessagePack, for Lua to decode with Tarantool's `msgpack`.

use rmp::encode as msgpack;

use node::net::interfaces::Interface;
use node::{BroadcastPing, Line};
use swim::config::{Config, Setting};
use swim::table::member::Member;
use swim::{Changes, Part};

/// `[version, origin, latest, reset, [member, …], [uri that is gone, …]]`: these changes reach up to
/// `version`, and all that there are up to `latest`. See [`member`].
pub fn changes(changes: &Changes<'_>, latest: u64) -> Vec<u8> {
    let mut blob = with_room_for(&changes.part);
    array(&mut blob, 6);
    infallible(msgpack::write_uint(&mut blob, changes.position.version));
    infallible(msgpack::write_uint(&mut blob, changes.position.origin));
    infallible(msgpack::write_uint(&mut blob, latest));
    infallible(msgpack::write_bool(&mut blob, changes.reset));
    part(&mut blob, &changes.part);
    blob
}

/// `[number of the last change in this, [member, …], [uri that is gone, …]]`, see [`member`].
pub fn news(news: &Part<'_>) -> Vec<u8> {
    let mut blob = with_room_for(news);
    array(&mut blob, 3);
    infallible(msgpack::write_uint(&mut blob, news.reached));
    part(&mut blob, news);
    blob
}

fn with_room_for(part: &Part<'_>) -> Vec<u8> {
    let mut payloads = 0;
    for member in &part.members {
        if let Some(payload) = &member.payload {
            payloads += payload.bytes().len();
        }
    }
    Vec::with_capacity(128 * (1 + part.members.len() + part.gone.len()) + payloads)
}

fn part(blob: &mut Vec<u8>, part: &Part<'_>) {
    array(blob, part.members.len());
    for one in &part.members {
        member(blob, one);
    }
    array(blob, part.gone.len());
    for uri in &part.gone {
        text(blob, uri.as_bytes());
    }
}

/// `[uri, status, incarnation, payload or nil, timestamp, clock_delta or nil]`.
///
/// A payload is a text, the MessagePack as it was received. It is decoded when a program reads it, so that
/// one that this version of Tarantool cannot decode does not break the rest.
pub fn member(blob: &mut Vec<u8>, member: &Member) {
    array(blob, 6);
    text(blob, member.uri.as_bytes());
    infallible(msgpack::write_uint8(blob, member.claim.status.number()));
    infallible(msgpack::write_uint(blob, member.claim.incarnation.get()));
    match &member.payload {
        Some(payload) => text(blob, payload.bytes()),
        None => nil(blob),
    }
    infallible(msgpack::write_uint(blob, member.since.0));
    match member.clock_delta {
        Some(delta) => infallible(msgpack::write_f64(blob, delta)),
        None => nil(blob),
    }
}

/// `[[[level, text], …], number of lines that were left out]`.
pub fn lines(lines: &[Line], left_out: u64) -> Vec<u8> {
    let mut blob = Vec::new();
    array(&mut blob, 2);
    array(&mut blob, lines.len());
    for line in lines {
        array(&mut blob, 2);
        text(&mut blob, line.level.name().as_bytes());
        text(&mut blob, line.text.as_bytes());
    }
    infallible(msgpack::write_uint(&mut blob, left_out));
    blob
}

/// `[[name, address, broadcast address or nil], …]`.
pub fn interfaces(interfaces: &[Interface]) -> Vec<u8> {
    let mut blob = Vec::new();
    array(&mut blob, interfaces.len());
    for interface in interfaces {
        array(&mut blob, 3);
        text(&mut blob, interface.name.as_bytes());
        text(&mut blob, interface.address.to_string().as_bytes());
        text_or_nil(
            &mut blob,
            interface
                .broadcast
                .map(|address| address.to_string())
                .as_ref(),
        );
    }
    blob
}

/// `[[[address, why it was not sent or nil], …], why there are none or nil]`.
pub fn broadcast_pings(pings: &Result<Vec<BroadcastPing>, String>) -> Vec<u8> {
    let mut blob = Vec::new();
    let sent = pings.as_deref().unwrap_or_default();
    array(&mut blob, 2);
    array(&mut blob, sent.len());
    for ping in sent {
        array(&mut blob, 2);
        text(&mut blob, ping.to.to_string().as_bytes());
        text_or_nil(&mut blob, ping.sent.as_ref().err());
    }
    text_or_nil(&mut blob, pings.as_ref().err());
    blob
}

/// `[[name, value], …]`.
pub fn options(config: &Config) -> Vec<u8> {
    let mut blob = Vec::new();
    array(&mut blob, Config::NAMES.len());
    for name in Config::NAMES {
        array(&mut blob, 2);
        text(&mut blob, name.as_bytes());
        match config.get(name).expect("it is one of the names") {
            Setting::Number(number) => infallible(msgpack::write_f64(&mut blob, number)),
            Setting::Flag(flag) => infallible(msgpack::write_bool(&mut blob, flag)),
            Setting::Text(bytes) => text(&mut blob, &bytes),
            Setting::List(texts) => {
                array(&mut blob, texts.len());
                for item in texts {
                    text(&mut blob, item.as_bytes());
                }
            }
        }
    }
    blob
}

/// Bytes as a `str`, of any encoding: newer versions of Tarantool decode a `bin` to another type.
fn text(blob: &mut Vec<u8>, bytes: &[u8]) {
    infallible(msgpack::write_str_len(blob, length(bytes.len())));
    blob.extend_from_slice(bytes);
}

fn text_or_nil(blob: &mut Vec<u8>, words: Option<&String>) {
    match words {
        Some(words) => text(blob, words.as_bytes()),
        None => nil(blob),
    }
}

fn array(blob: &mut Vec<u8>, count: usize) {
    infallible(msgpack::write_array_len(blob, length(count)));
}

fn nil(blob: &mut Vec<u8>) {
    infallible(msgpack::write_nil(blob));
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("members, lines and texts are bounded")
}

fn infallible<T, E: std::fmt::Debug>(written: Result<T, E>) {
    written.expect("a Vec takes every byte");
}
