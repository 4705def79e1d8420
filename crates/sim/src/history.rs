//! All that has happened in a world: as a hash, to compare two runs, and as text, to read one.

use core::fmt::{self, Write};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::host::Id;
use swim::identity::uri::Uri;
use swim::log_event::LogEvent;
use swim::time::Micros;
use swim::wire::{Body, Event, decode};

/// Who gets to read it, line by line.
pub type Reader = Box<dyn FnMut(&str) + Send>;

/// All that has happened in a world.
#[derive(Default)]
pub struct History {
    hash: u64,
    reader: Option<Reader>,
}

/// Something that has happened.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// Somebody sent a datagram.
    Sent(Id, &'a Uri, &'a [u8]),
    /// The network lost it, or nobody was there to take it.
    Lost(Id, &'a [u8]),
    /// A datagram arrived.
    Arrived(Id, &'a [u8]),
    /// Somebody's time was up.
    Woke(Id),
    /// Somebody has something to say.
    Reported(Id, &'a LogEvent),
    /// Something was done to somebody, or by him.
    Done(Id, &'a str),
    /// Something became so.
    Became(&'a str),
}

impl History {
    /// A number that two runs share only if everything in them was the same.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// Has everything that happens from now on read by `reader`.
    pub fn read_by(&mut self, reader: Reader) {
        self.reader = Some(reader);
    }

    /// Notes what has happened.
    pub fn note(&mut self, time: Micros, what: Happening<'_>) {
        let (tag, who, bytes) = what.parts();
        let head = [
            time.0.to_be_bytes(),
            (tag << 32 | u64::from(who.0)).to_be_bytes(),
        ];
        self.hash = xxh3_64_with_seed(head.as_flattened(), self.hash);
        match bytes {
            Bytes::Raw(bytes) => self.hash = xxh3_64_with_seed(bytes, self.hash),
            Bytes::Text(report) => {
                self.hash = xxh3_64_with_seed(report.to_string().as_bytes(), self.hash);
            }
        }
        if let Some(reader) = &mut self.reader {
            let seconds = (time.0 / 1_000_000, time.0 % 1_000_000);
            reader(&format!("{:>6}.{:06} {what}", seconds.0, seconds.1));
        }
    }
}

enum Bytes<'a> {
    Raw(&'a [u8]),
    Text(&'a LogEvent),
}

impl<'a> Happening<'a> {
    fn parts(self) -> (u64, Id, Bytes<'a>) {
        match self {
            Self::Sent(who, _to, datagram) => (1, who, Bytes::Raw(datagram)),
            Self::Lost(who, datagram) => (2, who, Bytes::Raw(datagram)),
            Self::Arrived(who, datagram) => (3, who, Bytes::Raw(datagram)),
            Self::Woke(who) => (4, who, Bytes::Raw(&[])),
            Self::Reported(who, report) => (5, who, Bytes::Text(report)),
            Self::Done(who, what) => (6, who, Bytes::Raw(what.as_bytes())),
            Self::Became(what) => (7, Id(0), Bytes::Raw(what.as_bytes())),
        }
    }
}

impl fmt::Display for Happening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(who, to, datagram) => {
                write!(f, "{who:<8} -> {to:<12} {}", describe(datagram))
            }
            Self::Lost(who, datagram) => {
                write!(f, "{who:<8} -X lost: {}", describe(datagram))
            }
            Self::Arrived(who, datagram) => write!(f, "{who:<8} <- {}", describe(datagram)),
            Self::Woke(who) => write!(f, "{who:<8} wakes"),
            Self::Reported(who, report) => write!(f, "{who:<8} says: {report}"),
            Self::Done(who, what) => write!(f, "{who:<8} == {what}"),
            Self::Became(what) => write!(f, "======== {what}"),
        }
    }
}

/// A datagram, for people to read.
fn describe(datagram: &[u8]) -> String {
    let Ok(message) = decode(datagram) else {
        return format!("{} bytes of noise", datagram.len());
    };
    let mut text = format!("{} of {}", message.body.kind().name(), message.sender);
    let (echo, records) = match &message.body {
        Body::Ping(echo) | Body::Ack(echo) => (Some(echo), &[][..]),
        Body::SyncReq(records) | Body::SyncAck(records) => (None, &records[..]),
        Body::Leave => (None, &[][..]),
    };
    let written = echo.map_or(Ok(()), |echo| {
        let (src, dst) = (echo.src.unwrap_or("?"), echo.dst.unwrap_or("?"));
        write!(text, " {src}?{dst}@{}", echo.ts.unwrap_or_default())
    });
    let events = records.iter().chain(&message.events);
    let written = events.fold(written, |written, event| {
        written.and_then(|()| write!(text, " [{}]", Shown(event)))
    });
    written.expect("memory can be written to");
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
