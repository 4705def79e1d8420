//! Authenticated encryption: XChaCha20-Poly1305, with a key that HKDF-SHA256 derives.
//!
//! ```text
//! C1 01  key id (4)  group (4) │ session (8) salt (8) counter (8) │ slip, message │ tag (16)
//! └──────── header ──────────┘ └──────────── nonce ─────────────┘ └─ encrypted ─┘
//! ```
//!
//! Header and label are authenticated along with what is encrypted. `C1` is the one byte that
//! MessagePack never begins with. The nonce does not repeat: a session is drawn at random when an
//! engine begins to live, and within it the counter only rises. Should the engine be duplicated without
//! notice, as by a virtual machine that is cloned, the salt makes the difference: it is drawn anew
//! before each time that something is sealed.
//!
//! The slip is what goes with a message: a byte that says which of its parts are there, for which
//! member it is (8 bytes), a challenge (8 + 8), and the response to one (8). Numbers are big-endian.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use super::keyring::{Key, KeyId, Keyring};
use crate::wire::DropReason;

const MAGIC: u8 = 0xc1;
const VERSION: u8 = 1;

const HEADER_SIZE: usize = 2 + 4 + GROUP_SIZE;
const GROUP_SIZE: usize = 4;
const NONCE_SIZE: usize = SESSION_SIZE + 8 + 8;
const TAG_SIZE: usize = 16;

/// 2^32 engines would have to live before two of them are likely to have drawn the same session; and
/// then their salts differ.
pub const SESSION_SIZE: usize = 8;

/// The life of an engine, as others tell it from former ones.
pub type SessionId = [u8; SESSION_SIZE];

/// When something was sent: no two datagrams under a key have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketNumber {
    /// By which engine.
    pub session: SessionId,
    /// Means nothing: no copy of the engine has the same.
    pub salt: u64,
    /// As which of its datagrams.
    pub counter: u64,
}

impl PacketNumber {
    fn nonce(&self) -> [u8; NONCE_SIZE] {
        let mut nonce = [0; NONCE_SIZE];
        let (session, numbers) = nonce.split_at_mut(SESSION_SIZE);
        session.copy_from_slice(&self.session);
        let (salt, counter) = numbers.split_at_mut(8);
        salt.copy_from_slice(&self.salt.to_be_bytes());
        counter.copy_from_slice(&self.counter.to_be_bytes());
        nonce
    }

    fn of(nonce: &[u8; NONCE_SIZE]) -> Self {
        let part = |start: usize| {
            let bytes: [u8; 8] = nonce[start..start + 8].try_into().expect("eight bytes");
            bytes
        };
        Self {
            session: part(0),
            salt: u64::from_be_bytes(part(SESSION_SIZE)),
            counter: u64::from_be_bytes(part(SESSION_SIZE + 8)),
        }
    }
}

/// What goes with a message, authenticated and encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealedHeader {
    /// The member that it is for: `session::address`.
    pub to: u64,
    /// "Show that you are alive now."
    pub challenge: Option<Challenge>,
    /// "This is what you have asked for."
    pub response: Option<u64>,
}

/// To be sent back by a peer that wants to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Which datagram is in doubt, by a hash of its session and recipient: no other session is to
    /// answer.
    pub of: u64,
    /// The response.
    pub code: u64,
}

/// What was authenticated along with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// With which key.
    pub key: KeyId,
    /// When, and by which key.
    pub stamp: PacketNumber,
    /// What goes with it.
    pub slip: SealedHeader,
}

impl SealedHeader {
    const SIZE_MAX: usize = 1 + 8 + 16 + 8;
    const CHALLENGE: u8 = 1;
    const RESPONSE: u8 = 2;

    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(0);
        out.extend(self.to.to_be_bytes());
        if let Some(Challenge { of, code }) = self.challenge {
            out[start] |= Self::CHALLENGE;
            out.extend(of.to_be_bytes());
            out.extend(code.to_be_bytes());
        }
        if let Some(code) = self.response {
            out[start] |= Self::RESPONSE;
            out.extend(code.to_be_bytes());
        }
    }

    /// Takes it off the message.
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (parts, mut rest) = bytes.split_first()?;
        let mut number = || {
            let (number, others) = rest.split_first_chunk()?;
            rest = others;
            Some(u64::from_be_bytes(*number))
        };
        let mut slip = Self {
            to: number()?,
            ..Self::default()
        };
        if parts & Self::CHALLENGE != 0 {
            let (of, code) = (number()?, number()?);
            slip.challenge = Some(Challenge { of, code });
        }
        if parts & Self::RESPONSE != 0 {
            slip.response = Some(number()?);
        }
        Some((slip, rest))
    }
}

/// How large a message may be so that the datagram has at most `size` bytes.
pub const fn capacity(size: usize) -> usize {
    size.saturating_sub(HEADER_SIZE + NONCE_SIZE + SealedHeader::SIZE_MAX + TAG_SIZE)
}

/// Marks these datagrams, so that other versions can tell why they do not understand them.
fn group(label: &[u8]) -> [u8; GROUP_SIZE] {
    let mut group = [0; GROUP_SIZE];
    if !label.is_empty() {
        group.copy_from_slice(&Sha256::digest(label)[..GROUP_SIZE]);
    }
    group
}

fn authenticated(header: &[u8], label: &[u8]) -> Vec<u8> {
    // Headers are of one size, so no other header and label join to the same. The nonce need not be in it:
    // the cipher authenticates that itself.
    [header, label].concat()
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.aead().into())
}

/// Makes a datagram.
pub fn seal(
    key: &Key,
    label: &[u8],
    stamp: PacketNumber,
    slip: &SealedHeader,
    plain: &[u8],
) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(HEADER_SIZE + NONCE_SIZE + plain.len() + 64);
    datagram.extend([MAGIC, VERSION]);
    datagram.extend(key.id().0);
    datagram.extend(group(label));
    let aad = authenticated(&datagram, label);
    let nonce = stamp.nonce();
    datagram.extend(nonce);
    let mut message = Vec::with_capacity(SealedHeader::SIZE_MAX + plain.len());
    slip.write(&mut message);
    message.extend_from_slice(plain);
    let encrypted = cipher(key).encrypt(
        &XNonce::from(nonce),
        Payload {
            msg: &message,
            aad: &aad,
        },
    );
    datagram.extend(encrypted.expect("less than 256 GB"));
    datagram
}

/// Whether a datagram has the looks of being sealed, with whatever key.
pub fn is_sealed(datagram: &[u8]) -> bool {
    datagram.starts_with(&[MAGIC, VERSION])
}

/// The message in a datagram, and what was authenticated along with it.
pub fn open(
    keys: &Keyring,
    label: &[u8],
    datagram: &[u8],
) -> Result<(Sealed, Vec<u8>), DropReason> {
    let Some((header, rest)) = datagram.split_first_chunk::<HEADER_SIZE>() else {
        return Err(DropReason::NotSealed);
    };
    let [MAGIC, VERSION, key_id @ .., _, _, _, _] = header else {
        return Err(DropReason::NotSealed);
    };
    // Before the keys are tried: groups may share a key, and this is the better reason to name.
    if header[HEADER_SIZE - GROUP_SIZE..] != group(label) {
        return Err(DropReason::OtherGroup);
    }
    let Some((nonce, encrypted)) = rest.split_first_chunk::<NONCE_SIZE>() else {
        return Err(DropReason::Forged);
    };
    let aad = authenticated(header, label);
    let id = KeyId(*key_id);
    let mut why = DropReason::UnknownKey;
    for key in keys.iter() {
        if key.id() != id {
            continue;
        }
        // Another key may have the same id, which is short: so a failure is not the end.
        let payload = Payload {
            msg: encrypted,
            aad: &aad,
        };
        match cipher(key).decrypt(&XNonce::from(*nonce), payload) {
            Ok(mut message) => {
                let (slip, plain) = SealedHeader::read(&message).ok_or(DropReason::Forged)?;
                let slip_size = message.len() - plain.len();
                message.drain(..slip_size);
                let stamp = PacketNumber::of(nonce);
                let key = key.id();
                return Ok((Sealed { key, stamp, slip }, message));
            }
            Err(_) => why = DropReason::Forged,
        }
    }
    Err(why)
}
