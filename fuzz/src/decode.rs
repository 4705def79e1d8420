//! Decoding any datagram is harmless, and encoding the message again gives an equal one.

use swim::identity::uri::Uri;
use swim::table::payload::Payload;
use swim::time::Micros;
use swim::wire::{
    Body, Event, Message, MessageBuilder, Names, PingData, ack_data, decode, decode_named,
    decode_short, is_short,
};

/// Decodes a datagram.
pub fn target(bytes: &[u8]) {
    let names = Names::between(name("a:1"), name("b:1"));
    let Ok(message) = decode_named(bytes, &names) else {
        return;
    };
    if is_short(bytes) {
        return short(bytes, &message, &names);
    }
    let claims = claims(&message);
    assert!(claims.len() <= bytes.len(), "no more claims than bytes");
    let again = encode(&message);
    let decoded = decode(&again).expect("a native message can be decoded");
    assert_same(&message, &decoded);
    if let Body::Ping(ping) = &message.body {
        answer(&message, ping);
    }
}

fn name(text: &str) -> Uri {
    Uri::from_wire(text).expect("a URI")
}

/// Asserts that a message in the short form is the same when it is encoded again.
fn short(bytes: &[u8], message: &Message<'_>, names: &Names) {
    let head = decode_short(bytes).expect("it was decoded").head;
    let mut draft = MessageBuilder::short(head, usize::MAX);
    if let Some(trailer) = &message.trailer {
        draft = draft.trailed_by(trailer);
    }
    assert!(
        message.events.len() <= bytes.len(),
        "no more claims than bytes"
    );
    for event in &message.events {
        let uri = event.uri.to_uri();
        let payload = admissible(event.payload);
        assert!(draft.event(&uri, event.claim, payload.as_ref(), 0));
    }
    let again = draft.finish().expect("there is no limit");
    let decoded = decode_named(&again, names).expect("a native message can be decoded");
    assert_same(message, &decoded);
    assert_eq!(decode_short(&again).expect("the same").head, head);
}

/// The records of a sync, or the events of other messages.
fn claims<'m, 'd>(message: &'m Message<'d>) -> &'m [Event<'d>] {
    match &message.body {
        Body::SyncReq(records) | Body::SyncAck(records) => records,
        Body::Ping(_) | Body::Ack(_) | Body::Leave => &message.events,
    }
}

/// Encodes the message as a native member does.
fn encode(message: &Message<'_>) -> Vec<u8> {
    let (kind, limit) = (message.body.kind(), usize::MAX);
    let sender = Uri::from_wire(&message.sender).expect("the sender has a URI");
    let (mut draft, is_sync) = match &message.body {
        Body::Ping(data) | Body::Ack(data) => (
            MessageBuilder::with_data(kind, &sender, data.raw, limit),
            false,
        ),
        Body::SyncReq(_) | Body::SyncAck(_) => (MessageBuilder::sync(kind, &sender, limit), true),
        Body::Leave => (MessageBuilder::leave(&sender, limit), false),
    };
    if let Some(trailer) = &message.trailer {
        draft = draft.trailed_by(trailer);
    }
    for Event {
        uri,
        claim,
        payload,
        ..
    } in claims(message)
    {
        let uri = Uri::from_wire(uri).expect("a claim is about a URI");
        let payload = admissible(*payload);
        let fits = if is_sync {
            draft.record(&uri, *claim, payload.as_ref())
        } else {
            draft.event(&uri, *claim, payload.as_ref(), 0)
        };
        assert!(fits, "there is no limit");
    }
    draft.finish().expect("there is no limit")
}

/// The payload, if members accept it.
fn admissible(payload: Option<&[u8]>) -> Option<Payload> {
    payload.and_then(|bytes| Payload::new(bytes).ok())
}

fn assert_same(one: &Message<'_>, other: &Message<'_>) {
    assert_eq!(one.sender, other.sender);
    assert_eq!(one.body.kind(), other.body.kind());
    assert_eq!(one.trailer, other.trailer);
    let (one, other_claims) = (claims(one), claims(other));
    assert_eq!(one.len(), other_claims.len());
    for (one, other) in one.iter().zip(other_claims) {
        assert_eq!((one.uri, one.claim), (other.uri, other.claim));
        assert_eq!(admissible(one.payload), admissible(other.payload));
    }
    assert_eq!(other.skipped, 0);
}

/// Asserts that an answer repeats the data by which the asker recognizes it.
fn answer(message: &Message<'_>, ping: &PingData<'_>) {
    let sender = Uri::from_wire(&message.sender).expect("the sender has a URI");
    let answer = ack_data(ping.raw, Micros(1));
    let ack = MessageBuilder::with_data(swim::wire::MessageType::Ack, &sender, &answer, usize::MAX);
    let ack = ack.finish().expect("there is no limit");
    let ack = decode(&ack).expect("an answer can be decoded");
    let Body::Ack(data) = ack.body else {
        panic!("an answer is an ACK")
    };
    let identity = |data: &PingData<'_>| {
        (
            data.ts,
            data.src.map(String::from),
            data.dst.map(String::from),
        )
    };
    assert_eq!(identity(&data), identity(ping));
    assert_eq!(data.ats, Some(1.0));
}
