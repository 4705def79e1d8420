//! What real peers on membership 2.x sent, as it was recorded.

use rmp::encode as msgpack;
use serde_json::Value;

use super::*;
use crate::identity::uri::Uri;
use crate::security::seal::keyring::Keyring;
use crate::security::seal::{Cipher, Seal};
use crate::table::claim::{Claim, Incarnation, Status};
use crate::table::payload::{Payload, Unfit, check};
use crate::time::Micros;
use crate::wire::msgpack::{Head, Reader, semantic_hash};

struct Recording {
    name: String,
    key: Option<Vec<u8>>,
    sealed: Vec<u8>,
    /// What is sealed in it.
    datagram: Vec<u8>,
    decoded: Value,
}

/// All of them.
fn recordings() -> Vec<Recording> {
    let file = include_str!("../../../../test/vectors/old-rock.jsonl");
    let lines = file
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let bytes = |field: &Value| field.as_str().map(unhex);
    let recording = |line: Value| Recording {
        name: line["name"].as_str().unwrap().to_owned(),
        key: match &line["key"] {
            Value::Object(binary) => bytes(&binary["$str_hex"]),
            key => key.as_str().map(|key| key.as_bytes().to_vec()),
        },
        sealed: bytes(&line["hex"]).unwrap(),
        datagram: bytes(&line["plain_hex"]).or(bytes(&line["hex"])).unwrap(),
        decoded: line["decoded"].clone(),
    };
    lines.map(recording).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
    digits
        .map(|digits| u8::from_str_radix(digits, 16).unwrap())
        .collect()
}

/// MessagePack that means what the recording says, in another encoding.
fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::Null => msgpack::write_nil(&mut out).unwrap(),
        Value::Bool(value) => msgpack::write_bool(&mut out, *value).unwrap(),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => msgpack::write_uint(&mut out, number).map(drop).unwrap(),
            (_, Some(number)) => msgpack::write_sint(&mut out, number).map(drop).unwrap(),
            _ => msgpack::write_f64(&mut out, number.as_f64().unwrap()).unwrap(),
        },
        Value::String(text) => msgpack::write_str(&mut out, text).unwrap(),
        Value::Array(values) => {
            msgpack::write_array_len(&mut out, values.len() as u32)
                .map(drop)
                .unwrap();
            out.extend(values.iter().flat_map(encode));
        }
        Value::Object(object) => match object.iter().next() {
            Some((tag, value)) if tag.starts_with('$') => encode_tagged(tag, value, &mut out),
            _ => {
                msgpack::write_map_len(&mut out, object.len() as u32)
                    .map(drop)
                    .unwrap();
                for (key, value) in object {
                    msgpack::write_str(&mut out, key).unwrap();
                    out.extend(encode(value));
                }
            }
        },
    }
    out
}

/// What JSON has no form for.
fn encode_tagged(tag: &str, value: &Value, out: &mut Vec<u8>) {
    match tag {
        "$double" => msgpack::write_f64(out, double(value)).unwrap(),
        "$str_hex" => msgpack::write_bin(out, &unhex(value.as_str().unwrap())).unwrap(),
        "$ext" => {
            let bytes = unhex(value[1].as_str().unwrap());
            let kind = value[0].as_i64().unwrap() as i8;
            msgpack::write_ext_meta(out, bytes.len() as u32, kind)
                .map(drop)
                .unwrap();
            out.extend(bytes);
        }
        "$map" => {
            let pairs = value.as_array().unwrap();
            msgpack::write_map_len(out, pairs.len() as u32)
                .map(drop)
                .unwrap();
            out.extend(
                pairs
                    .iter()
                    .flat_map(|pair| [encode(&pair[0]), encode(&pair[1])].concat()),
            );
        }
        _ => panic!("{tag}"),
    }
}

fn double(value: &Value) -> f64 {
    match value.as_str() {
        Some(name) => name.parse().unwrap(),
        None => value.as_f64().unwrap_or_else(|| double(&value["$double"])),
    }
}

/// The events that the recording says there are, but for those that we do not admit.
fn admissible(events: &Value) -> (Vec<&Value>, usize) {
    let admitted = |event: &&Value| {
        event[0]
            .as_str()
            .is_some_and(|uri| Uri::from_wire(uri).is_some())
            && event[1]
                .as_u64()
                .is_some_and(|status| Status::from_number(status).is_some())
            && event[2]
                .as_u64()
                .is_some_and(|raw| Incarnation::from_wire(raw).is_some())
    };
    let all = events.as_array().unwrap();
    let admitted: Vec<_> = all.iter().filter(admitted).collect();
    let skipped = all.len() - admitted.len();
    (admitted, skipped)
}

fn assert_same(event: &Event<'_>, said: &Value, name: &str) {
    assert_eq!(event.uri.as_str(), said[0], "{name}");
    assert_eq!(
        event.claim.status.number(),
        said[1].as_u64().unwrap() as u8,
        "{name}"
    );
    assert_eq!(
        event.claim.incarnation.get(),
        said[2].as_u64().unwrap(),
        "{name}"
    );
    let payload = event.payload.map(|bytes| semantic_hash(bytes).unwrap());
    let expected = (!said[3].is_null()).then(|| semantic_hash(&encode(&said[3])).unwrap());
    assert_eq!(payload, expected, "{name}: payload of {}", event.uri);
    if !said[4].is_null() {
        assert_eq!(event.ttl, double(&said[4]), "{name}");
    }
}

fn statements<'a, 'b>(
    message: &'b Message<'a>,
    decoded: &'b Value,
) -> (&'b [Event<'a>], &'b Value) {
    match &message.body {
        Body::SyncReq(records) | Body::SyncAck(records) => (records, &decoded[2]),
        _ => (&message.events, &decoded[3]),
    }
}

#[test]
fn every_recorded_datagram_decodes_to_what_it_says() {
    let recordings = recordings();
    assert_eq!(recordings.len(), 175);
    for Recording {
        name,
        datagram,
        decoded,
        ..
    } in recordings
    {
        let message = decode(&datagram).unwrap_or_else(|why| panic!("{name}: {why:?}"));
        assert_eq!(message.sender.as_str(), decoded[0], "{name}");
        assert_eq!(message.body.kind().name(), decoded[1], "{name}");
        let (events, said) = statements(&message, &decoded);
        let (admitted, skipped) = admissible(said);
        assert_eq!(
            (events.len(), message.skipped),
            (admitted.len(), skipped),
            "{name}"
        );
        events
            .iter()
            .zip(admitted)
            .for_each(|(event, said)| assert_same(event, said, &name));
        if let Body::Ping(echo) | Body::Ack(echo) = &message.body {
            let said = &decoded[2];
            assert_eq!(
                semantic_hash(echo.raw).unwrap(),
                semantic_hash(&encode(said)).unwrap(),
                "{name}"
            );
            assert_eq!(echo.ts, said["ts"].as_u64(), "{name}");
            assert_eq!(echo.ats, said["ats"].as_f64(), "{name}");
            assert_eq!(
                (echo.src, echo.dst),
                (said["src"].as_str(), said["dst"].as_str()),
                "{name}"
            );
        }
    }
}

#[test]
fn every_recorded_datagram_opens_with_its_key_and_is_sealed_to_the_same_bytes() {
    let iv = b"init-key-16-byte";
    for Recording {
        name,
        key,
        sealed,
        datagram,
        ..
    } in recordings()
    {
        let mut keys = Keyring::default();
        keys.set(key.as_deref()).expect("there is room for one");
        let seal = Seal {
            keys: &keys,
            cipher: Cipher::Cbc,
            iv,
            label: b"",
        };
        let opened = seal.open(&sealed).expect("it has the key");
        assert_eq!(*opened.plain, *datagram, "{name}");
        assert_eq!(seal.seal_old(datagram), sealed, "{name}");
    }
}

#[test]
fn what_we_encode_says_the_same_value_by_value_and_payloads_byte_for_byte() {
    for Recording { name, datagram, .. } in recordings() {
        let message = decode(&datagram).unwrap();
        let encoded = encode_again(&message);
        let again = decode(&encoded).unwrap();
        assert_eq!(
            (message.sender, message.body.kind()),
            (again.sender, again.body.kind()),
            "{name}"
        );
        let strip = |event: &Event<'_>| {
            (
                event.uri.to_uri(),
                event.claim,
                event
                    .payload
                    .filter(|payload| check(payload).is_ok())
                    .map(<[u8]>::to_vec),
            )
        };
        let said = |message: &Message<'_>| match &message.body {
            Body::SyncReq(records) | Body::SyncAck(records) => records.iter().map(strip).collect(),
            _ => message.events.iter().map(strip).collect::<Vec<_>>(),
        };
        assert_eq!(said(&message), said(&again), "{name}");
        if let (Body::Ping(echo) | Body::Ack(echo), Body::Ping(other) | Body::Ack(other)) =
            (&message.body, &again.body)
        {
            assert_eq!(echo.raw, other.raw, "{name}");
        }
    }
}

#[test]
fn the_payloads_of_membership_2_are_harmless_but_for_keys_that_json_does_not_encode() {
    for Recording { name, datagram, .. } in recordings() {
        let message = decode(&datagram).unwrap();
        for payload in message.events.iter().filter_map(|event| event.payload) {
            let why = check(payload).err().map(|flaw| flaw.why);
            let expected = match &*name {
                "payload_float_keys" => Some(Unfit::Key("number")),
                "payload_bool_keys" => Some(Unfit::Key("boolean")),
                _ => None,
            };
            assert_eq!(why, expected, "{name}");
        }
    }
}

fn encode_again(message: &Message<'_>) -> Vec<u8> {
    let sender = Uri::from_wire(&message.sender).unwrap();
    let (kind, limit) = (message.body.kind(), DATAGRAM_SIZE_MAX);
    let (mut draft, statements) = match &message.body {
        Body::Ping(echo) | Body::Ack(echo) => (
            MessageBuilder::with_data(kind, &sender, echo.raw, limit),
            &message.events,
        ),
        Body::SyncReq(records) | Body::SyncAck(records) => {
            (MessageBuilder::sync(kind, &sender, limit), records)
        }
        Body::Leave => (MessageBuilder::leave(&sender, limit), &message.events),
    };
    let sync = matches!(message.body, Body::SyncReq(_) | Body::SyncAck(_));
    for event in statements {
        let uri = Uri::from_wire(&event.uri).unwrap();
        let payload = event.payload.and_then(|bytes| Payload::new(bytes).ok());
        let fits = if sync {
            draft.record(&uri, event.claim, payload.as_ref())
        } else {
            draft.event(
                &uri,
                event.claim,
                payload.as_ref(),
                event.ttl.max(0.0) as u32,
            )
        };
        assert!(fits);
    }
    draft.finish().unwrap()
}

#[test]
fn our_pings_and_answers_have_the_form_of_the_recorded_ones() {
    let recordings = recordings();
    let find = |wanted: &str| {
        recordings
            .iter()
            .find(|recording| recording.name == wanted)
            .unwrap()
    };
    let ping = find("ping_direct");
    let [src, dst] = [&ping.decoded[2]["src"], &ping.decoded[2]["dst"]]
        .map(|uri| Uri::from_wire(uri.as_str().unwrap()).unwrap());
    let data = ping_data(ping.decoded[2]["ts"].as_u64().unwrap(), &src, &dst, None);
    let mut draft = MessageBuilder::with_data(MessageType::Ping, &src, &data, 1472);
    assert!(draft.event(&dst, Claim::alive(Incarnation::FIRST), None, 0));
    assert!(draft.event(
        &src,
        Claim::alive(Incarnation::FIRST),
        Some(&Payload::empty()),
        0
    ));
    let ours = draft.finish().unwrap();
    assert_eq!(ours.len(), ping.datagram.len());
    assert_eq!(
        sorted(&ours),
        sorted(&ping.datagram),
        "the same bytes, but for the order of keys"
    );

    let ack = ack_data(&data, Micros(1));
    let Ok(Head::Map(4)) = Reader::new(&ack).head() else {
        panic!("ts, src, dst, ats")
    };
}

fn sorted(bytes: &[u8]) -> Vec<u8> {
    let mut sorted = bytes.to_vec();
    sorted.sort_unstable();
    sorted
}

#[test]
fn no_damage_to_a_recorded_datagram_makes_us_panic() {
    for Recording { datagram, .. } in recordings() {
        for end in 0..datagram.len() {
            assert!(
                decode(&datagram[..end]).is_err(),
                "a datagram that was cut short is no datagram"
            );
        }
        let mut flipped = datagram;
        for at in 0..flipped.len() {
            for bit in 0..8 {
                flipped[at] ^= 1 << bit;
                let _ = decode(&flipped);
                flipped[at] ^= 1 << bit;
            }
        }
    }
}
