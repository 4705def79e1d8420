//! Seals and opens datagrams. The only file that handles the key.

use core::net::SocketAddr;
use std::fs;
use std::io;
use std::path::Path;

use node::entropy;
use rand::SeedableRng;
use rand::rngs::StdRng;
use swim::hashing::HashKey;
use swim::identity::uri::Uri;
use swim::security::seal::aead::{Challenge, Sealed, SealedHeader};
use swim::security::seal::keyring::{KeyId, Keyring};
use swim::security::seal::{BLOCK_SIZE, Cipher, Opened, Seal};
use swim::security::session::{Freshness, Sessions, address};
use swim::time::Now;
use swim::wire::{DropReason, Message, MessageBuilder, Trailer, checksummed};
use zeroize::Zeroizing;

use crate::args::Access;
use crate::error::Error;

/// The key of the group, and the cipher and label that go with it.
#[derive(Debug)]
pub struct Crypto {
    keys: Keyring,
    cipher: Cipher,
    iv: [u8; BLOCK_SIZE],
    label: Vec<u8>,
}

/// The session with one instance.
///
/// With the cipher that authenticates, neither side accepts a message before the other has proved that
/// it is not a recording: the first request is answered with a challenge, and is repeated along with
/// the response.
pub struct Exchange {
    sessions: Sessions,
    myself: Uri,
    /// The name that it has for itself, once it is known; the name in the command line before.
    node: Uri,
    /// The last request, to be repeated if it is not accepted.
    last: Vec<u8>,
    challenge: Option<Challenge>,
    response: Option<u64>,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Use it: it is meant for the tool and no recording.
    Accepted,
    /// Send the last request again: the message may be a recording, or it challenges the request as one
    /// that may be.
    RepeatRequest,
    /// Ignore it: it is meant for another process, or a recording.
    Rejected,
}

/// Ethernet's 1500 bytes, less the headers of IPv4 and UDP. Instances send no more, either.
const DATAGRAM_SIZE: usize = 1472;

/// Reads the key, without the line break that editors put at the end.
fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let key = fs::read(path).map_err(|error| Error::Key(path.to_owned(), error))?;
    let mut key = Zeroizing::new(key);
    for end in *b"\n\r" {
        if key.last() == Some(&end) {
            key.pop();
        }
    }
    Ok(key)
}

impl Crypto {
    /// Reads the key file, if there is one.
    pub fn new(access: &Access) -> Result<Self, Error> {
        let mut keys = Keyring::default();
        if let Some(path) = &access.key_file {
            let key = read_key(path)?;
            keys.set(Some(&key[..])).expect("there is room for one");
        }
        Ok(Self {
            keys,
            cipher: access.cipher,
            iv: access.encryption_init,
            label: access.label.clone().into_bytes(),
        })
    }

    /// Whether there is a key.
    pub const fn has_key(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The id of the key.
    pub fn key_id(&self) -> Option<KeyId> {
        self.keys.ids().next()
    }

    /// How large a message may be, in bytes.
    pub fn capacity(&self) -> usize {
        self.current_seal().capacity(DATAGRAM_SIZE)
    }

    /// Returns the trailer of every message: the label, unless the seal covers it.
    pub fn trailer(&self) -> Trailer {
        let label = if self.current_seal().takes_aead() {
            Vec::new()
        } else {
            self.label.clone()
        };
        Trailer {
            label,
            ..Trailer::default()
        }
    }

    fn current_seal(&self) -> Seal<'_> {
        Seal {
            keys: &self.keys,
            cipher: self.cipher,
            iv: &self.iv,
            label: &self.label,
        }
    }

    /// Makes a datagram of a request, and keeps the request to be repeated.
    pub fn seal(&self, exchange: &mut Exchange, request: MessageBuilder, now: Now) -> Vec<u8> {
        exchange.last = request.finish().expect("requests are short");
        self.seal_last(exchange, now)
    }

    /// Makes another datagram of the last request.
    pub fn seal_last(&self, exchange: &mut Exchange, now: Now) -> Vec<u8> {
        let plain = exchange.last.clone();
        self.seal_message(exchange, plain, now)
    }

    /// Makes a datagram of an answer. It is not repeated.
    pub fn seal_answer(
        &self,
        exchange: &mut Exchange,
        answer: MessageBuilder,
        now: Now,
    ) -> Option<Vec<u8>> {
        Some(self.seal_message(exchange, answer.finish()?, now))
    }

    fn seal_message(&self, exchange: &mut Exchange, plain: Vec<u8>, now: Now) -> Vec<u8> {
        if !self.current_seal().takes_aead() {
            return self.current_seal().seal_old(checksummed(plain));
        }
        exchange.sessions.note_recipient(&exchange.node, now);
        let header = SealedHeader {
            to: address(&exchange.node),
            challenge: exchange.challenge.take(),
            response: exchange.response.take(),
        };
        self.current_seal()
            .seal(exchange.sessions.stamp(), &header, plain)
    }

    /// Opens a datagram.
    pub fn open<'d>(&self, datagram: &'d [u8]) -> Result<Opened<'d>, DropReason> {
        self.current_seal().open(datagram)
    }
}

impl Exchange {
    /// Begins a session between the tool, `myself`, and the instance that the operator called `node`.
    pub fn new(myself: Uri, node: Uri) -> io::Result<Self> {
        let seed = entropy::seed().map_err(|error| io::Error::other(error.to_string()))?;
        let mut rng = StdRng::from_seed(seed.0);
        Ok(Self {
            sessions: Sessions::new(&mut rng, &HashKey::derive(&seed.0)),
            myself,
            node,
            last: Vec::new(),
            challenge: None,
            response: None,
        })
    }

    /// The URI that answers are sent to.
    pub const fn myself(&self) -> &Uri {
        &self.myself
    }

    /// Decides whether to accept a message.
    pub fn check(
        &mut self,
        message: &Message<'_>,
        sealed: Option<Sealed>,
        source: SocketAddr,
        now: Now,
    ) -> Acceptance {
        // Without authentication a recording cannot be recognized. That an answer to a ping repeats the
        // time of the request has to do.
        let Some(Sealed {
            stamp,
            slip: header,
            ..
        }) = sealed
        else {
            return Acceptance::Accepted;
        };
        if header.to != address(&self.myself) {
            return Acceptance::Rejected;
        }
        let Some(sender) = Uri::from_wire(&message.sender) else {
            return Acceptance::Rejected;
        };
        self.response = self.sessions.response(header.challenge, &sender, source);
        let freshness = self.sessions.check(&sender, stamp, header.response, 1, now);
        self.node = sender;
        if freshness == Freshness::Unconfirmed {
            let answers = self.response.is_some();
            let session = &stamp.session;
            self.challenge = self.sessions.challenge(session, header.to, answers, now);
        }
        match freshness {
            _ if self.response.is_some() => Acceptance::RepeatRequest,
            Freshness::Unconfirmed if self.challenge.is_some() => Acceptance::RepeatRequest,
            Freshness::Fresh => Acceptance::Accepted,
            Freshness::Unconfirmed | Freshness::Replayed => Acceptance::Rejected,
        }
    }
}
