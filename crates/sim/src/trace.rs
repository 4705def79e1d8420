//! All events of a world: as a hash, to compare two runs, and as text, to read one.

use core::fmt;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::host::Id;
use swim::identity::uri::Uri;
use swim::log_event::LogEvent;
use swim::time::Micros;
use swim::wire::{Body, Event, Names, checked_short, decode_named};

/// Receives the text of the events, line by line.
pub type Reader = Box<dyn FnMut(&str) + Send>;

/// All events of a world.
#[derive(Default)]
pub struct Trace {
    hash: u64,
    reader: Option<Reader>,
}

/// An event that has happened.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// A machine sent a datagram.
    Sent(Id, &'a Uri, &'a [u8]),
    /// The network lost a datagram, or the recipient was not running.
    Lost(Id, &'a [u8]),
    /// A datagram arrived.
    Arrived(Id, &'a [u8]),
    /// The timeout of an engine was due.
    Woke(Id),
    /// An engine has an event for the log.
    Reported(Id, &'a LogEvent),
    /// A fault of a machine, or a command of its user.
    Done(Id, &'a str),
    /// An event that concerns no single machine.
    Became(&'a str),
}

impl Trace {
    /// A hash that is equal for two runs only if all their events were.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// Hands each event from now on to `reader`.
    pub fn read_by(&mut self, reader: Reader) {
        self.reader = Some(reader);
    }

    /// Adds an event.
    pub fn note(&mut self, time: Micros, what: Happening<'_>) {
        let (tag, id, bytes) = what.parts();
        let head = [
            time.0.to_be_bytes(),
            (tag << 32 | u64::from(id.0)).to_be_bytes(),
        ];
        self.hash = xxh3_64_with_seed(head.as_flattened(), self.hash);
        self.hash = xxh3_64_with_seed(bytes, self.hash);
        if let Some(reader) = &mut self.reader {
            let seconds = (time.0 / 1_000_000, time.0 % 1_000_000);
            reader(&format!("{:>6}.{:06} {what}", seconds.0, seconds.1));
        }
    }
}

impl<'a> Happening<'a> {
    /// What the hash is made of: what happens, and not what that is called.
    fn parts(self) -> (u64, Id, &'a [u8]) {
        match self {
            Self::Sent(id, _to, datagram) => (1, id, datagram),
            Self::Lost(id, datagram) => (2, id, datagram),
            Self::Arrived(id, datagram) => (3, id, datagram),
            Self::Woke(id) => (4, id, &[]),
            Self::Reported(id, report) => (5, id, report.level().name().as_bytes()),
            Self::Done(id, _what) => (6, id, &[]),
            Self::Became(_what) => (7, Id(0), &[]),
        }
    }
}

impl fmt::Display for Happening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(id, to, datagram) => {
                write!(f, "{id:<8} -> {to:<12} {}", describe(datagram))
            }
            Self::Lost(id, datagram) => {
                write!(f, "{id:<8} -X lost: {}", describe(datagram))
            }
            Self::Arrived(id, datagram) => write!(f, "{id:<8} <- {}", describe(datagram)),
            Self::Woke(id) => write!(f, "{id:<8} wakes"),
            Self::Reported(id, report) => write!(f, "{id:<8} says: {report}"),
            Self::Done(id, what) => write!(f, "{id:<8} == {what}"),
            Self::Became(what) => write!(f, "======== {what}"),
        }
    }
}

/// Describes a datagram.
fn describe(datagram: &[u8]) -> String {
    let unnamed = |text| Uri::from_wire(text).expect("a URI");
    let names = Names::between(unnamed("sender:1"), unnamed("recipient:1"));
    let plain = checked_short(datagram).unwrap_or(datagram);
    let Ok(message) = decode_named(plain, &names) else {
        return format!("{} bytes of noise", datagram.len());
    };
    let mut text = format!("{} of {}", message.body.kind().name(), message.sender);
    let (data, records) = match &message.body {
        Body::Ping(data) | Body::Ack(data) => (Some(data), &[][..]),
        Body::SyncReq(records) | Body::SyncAck(records) => (None, &records[..]),
        Body::Leave => (None, &[][..]),
    };
    if let Some(data) = data {
        let (src, dst) = (data.src.unwrap_or("?"), data.dst.unwrap_or("?"));
        text += &format!(" {src}?{dst}@{}", data.ts.unwrap_or_default());
    }
    for event in records.iter().chain(&message.events) {
        text += &format!(" [{}]", Shown(event));
    }
    text
}

struct Shown<'a, 'b>(&'a Event<'b>);

impl fmt::Display for Shown<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event {
            uri,
            claim,
            payload,
            ..
        } = self.0;
        write!(f, "{uri} {} {}", claim.status, claim.incarnation.get())?;
        match payload {
            Some(payload) => write!(f, " +{}", payload.len()),
            None => Ok(()),
        }
    }
}
