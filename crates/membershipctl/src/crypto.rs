//! How datagrams are sealed and opened: the one place where the key is.

use core::net::SocketAddr;
use std::fs;
use std::io;
use std::path::Path;

use node::entropy;
use rand::SeedableRng;
use rand::rngs::StdRng;
use swim::identity::uri::Uri;
use swim::security::seal::aead::{Challenge, Sealed, SealedHeader};
use swim::security::seal::keyring::Keyring;
use swim::security::seal::{BLOCK_SIZE, Cipher, Opened, Seal};
use swim::security::session::{Freshness, Sessions, address};
use swim::time::Now;
use swim::wire::{DropReason, Message, MessageBuilder, Trailer, checksummed};
use zeroize::Zeroizing;

use crate::args::Access;
use crate::error::Failure;

/// What the datagrams of the group go into.
#[derive(Debug)]
pub struct Crypto {
    keys: Keyring,
    cipher: Cipher,
    iv: [u8; BLOCK_SIZE],
    label: Vec<u8>,
}

/// What is exchanged with one instance.
///
/// With the cipher that authenticates, neither believes the other before it has shown that it lives
/// now: the first request is answered with a challenge, and repeated along with the response to it.
pub struct Exchange {
    sessions: Sessions,
    myself: Uri,
    /// What it calls itself, as far as is known.
    node: Uri,
    /// The last request, should it not be believed.
    last: Vec<u8>,
    challenge: Option<Challenge>,
    response: Option<u64>,
}

/// What to make of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credit {
    /// It is said now, to us.
    Believed,
    /// It may be a recording; or it is a challenge, as our last request may be one. That is to be sent
    /// again.
    RepeatRequest,
    /// It is for somebody else, or has been said before.
    Refused,
}

/// Ethernet's 1500 bytes, less the headers of IPv4 and UDP: what instances send, too.
const DATAGRAM_SIZE: usize = 1472;

/// The line break that editors put at the end is no part of the key.
fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let key = fs::read(path).map_err(|error| Failure::Key(path.to_owned(), error))?;
    let mut key = Zeroizing::new(key);
    for end in *b"\n\r" {
        if key.last() == Some(&end) {
            key.pop();
        }
    }
    Ok(key)
}

impl Crypto {
    /// With the key of the group, if it has one.
    pub fn new(access: &Access) -> Result<Self, Failure> {
        let key = access.key_file.as_deref().map(read_key).transpose()?;
        let mut keys = Keyring::default();
        keys.set(key.as_ref().map(|key| &key[..]))
            .expect("there is room for one");
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

    /// How large a message may be.
    pub fn capacity(&self) -> usize {
        self.seal_now().capacity(DATAGRAM_SIZE)
    }

    /// What goes behind every message: the label, where it is not in the seal.
    pub fn trailer(&self) -> Trailer {
        let label = if self.seal_now().takes_aead() {
            Vec::new()
        } else {
            self.label.clone()
        };
        Trailer {
            label,
            ..Trailer::default()
        }
    }

    fn seal_now(&self) -> Seal<'_> {
        Seal {
            keys: &self.keys,
            cipher: self.cipher,
            iv: &self.iv,
            label: &self.label,
        }
    }

    /// A datagram with this request.
    pub fn seal(&self, exchange: &mut Exchange, request: MessageBuilder) -> Vec<u8> {
        exchange.last = request.finish().expect("requests are short");
        self.seal_again(exchange)
    }

    /// A datagram with the last request.
    pub fn seal_again(&self, exchange: &mut Exchange) -> Vec<u8> {
        let plain = exchange.last.clone();
        self.seal_message(exchange, plain)
    }

    /// A datagram with an answer, which is not repeated.
    pub fn seal_answer(&self, exchange: &mut Exchange, answer: MessageBuilder) -> Option<Vec<u8>> {
        Some(self.seal_message(exchange, answer.finish()?))
    }

    fn seal_message(&self, exchange: &mut Exchange, plain: Vec<u8>) -> Vec<u8> {
        if !self.seal_now().takes_aead() {
            return self.seal_now().seal_old(checksummed(plain));
        }
        exchange.sessions.note_recipient(&exchange.node);
        let slip = SealedHeader {
            to: address(&exchange.node),
            challenge: exchange.challenge.take(),
            response: exchange.response.take(),
        };
        self.seal_now()
            .seal(exchange.sessions.stamp(), &slip, plain)
    }

    /// The message in a datagram.
    pub fn open<'d>(&self, datagram: &'d [u8]) -> Result<Opened<'d>, DropReason> {
        self.seal_now().open(datagram)
    }
}

impl Exchange {
    /// Between `myself` and the one who was called `node` by the user.
    pub fn new(myself: Uri, node: Uri) -> io::Result<Self> {
        let seed = entropy::seed().map_err(|failure| io::Error::other(failure.to_string()))?;
        let mut rng = StdRng::from_seed(seed.0);
        Ok(Self {
            sessions: Sessions::new(&mut rng),
            myself,
            node,
            last: Vec::new(),
            challenge: None,
            response: None,
        })
    }

    /// By what name answers find us.
    pub const fn myself(&self) -> &Uri {
        &self.myself
    }

    /// Whether to believe a message.
    pub fn check(
        &mut self,
        message: &Message<'_>,
        sealed: Option<Sealed>,
        source: SocketAddr,
        now: Now,
    ) -> Credit {
        // Without authentication there is no telling. An answer to a ping repeats what only we know.
        let Some(Sealed { stamp, slip, .. }) = sealed else {
            return Credit::Believed;
        };
        if slip.to != address(&self.myself) {
            return Credit::Refused;
        }
        let sender = Uri::from_wire(message.sender).expect("checked when decoded");
        self.response = self.sessions.response(slip.challenge, &sender, source);
        let standing = self.sessions.check(&sender, stamp, slip.response, 1, now);
        self.node = sender;
        if standing == Freshness::Unconfirmed {
            let answers = self.response.is_some();
            let session = &stamp.session;
            self.challenge = self.sessions.challenge(session, slip.to, answers, now);
        }
        match standing {
            _ if self.response.is_some() => Credit::RepeatRequest,
            Freshness::Unconfirmed if self.challenge.is_some() => Credit::RepeatRequest,
            Freshness::Fresh => Credit::Believed,
            Freshness::Unconfirmed | Freshness::Replayed => Credit::Refused,
        }
    }
}
