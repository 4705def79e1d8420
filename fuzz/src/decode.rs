//! A datagram is taken apart without harm, and what is made of it is all there was to it.

use swim::identity::uri::Uri;
use swim::table::payload::Payload;
use swim::time::Micros;
use swim::wire::{Body, Event, Message, MessageBuilder, PingData, ack_data, decode};

/// A datagram.
pub fn target(bytes: &[u8]) {
    let Ok(message) = decode(bytes) else { return };
    let statements = statements(&message);
    assert!(
        statements.len() <= bytes.len(),
        "no more statements than bytes"
    );
    let again = say_again(&message);
    let heard = decode(&again).expect("what we send can be decoded");
    assert_same(&message, &heard);
    if let Body::Ping(ping) = &message.body {
        answer(&message, ping);
    }
}

/// The records of a sync, or the events of anything else.
fn statements<'m, 'd>(message: &'m Message<'d>) -> &'m [Event<'d>] {
    match &message.body {
        Body::SyncReq(records) | Body::SyncAck(records) => records,
        Body::Ping(_) | Body::Ack(_) | Body::Leave => &message.events,
    }
}

/// The same, in our own encoding.
fn say_again(message: &Message<'_>) -> Vec<u8> {
    let (kind, limit) = (message.body.kind(), usize::MAX);
    let sender = Uri::from_wire(message.sender).expect("the sender has an address");
    let (mut draft, is_sync) = match &message.body {
        Body::Ping(echo) | Body::Ack(echo) => (
            MessageBuilder::with_data(kind, &sender, echo.raw, limit),
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
    } in statements(message)
    {
        let uri = Uri::from_wire(uri).expect("a statement is about an address");
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

/// A payload that members would take in.
fn admissible(payload: Option<&[u8]>) -> Option<Payload> {
    payload.and_then(|bytes| Payload::new(bytes).ok())
}

fn assert_same(one: &Message<'_>, other: &Message<'_>) {
    assert_eq!(one.sender, other.sender);
    assert_eq!(one.body.kind(), other.body.kind());
    assert_eq!(one.trailer, other.trailer);
    let claims = |message| -> Vec<_> {
        let statements: &[Event<'_>] = statements(message);
        statements
            .iter()
            .map(|event| (event.uri, event.claim, admissible(event.payload)))
            .collect()
    };
    assert_eq!(claims(one), claims(other));
    assert_eq!(other.skipped, 0);
}

/// Who is pinged sends back what the asker will know its question by.
fn answer(message: &Message<'_>, ping: &PingData<'_>) {
    let sender = Uri::from_wire(message.sender).expect("the sender has an address");
    let data = ack_data(ping.raw, Micros(1));
    let ack = MessageBuilder::with_data(swim::wire::MessageType::Ack, &sender, &data, usize::MAX);
    let ack = ack.finish().expect("there is no limit");
    let ack = decode(&ack).expect("an answer can be decoded");
    let Body::Ack(echo) = ack.body else {
        panic!("an answer is an ACK")
    };
    let question = |echo: &PingData<'_>| {
        (
            echo.ts,
            echo.src.map(String::from),
            echo.dst.map(String::from),
        )
    };
    assert_eq!(question(&echo), question(ping));
    assert_eq!(echo.ats, Some(1.0));
}
