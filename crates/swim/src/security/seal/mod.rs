//! The forms of a datagram, and which of them is sent.
//!
//! | form | file | keeps out |
//! |---|---|---|
//! | plain | | nothing |
//! | AES-256-CBC, as membership 2.x has it | [`cbc`] | listeners, and members with another key |
//! | XChaCha20-Poly1305 | [`aead`] | every sender without the key |
//! | the keys of either | [`keyring`] | |
//! | the keys of others | [`peer_keys`] | |
//!
//! Whether what was sealed is also fresh, and meant for the local node, is decided by `session`.

pub mod aead;
pub mod cbc;
pub mod keyring;
pub mod peer_keys;

use core::fmt;
use std::borrow::Cow;

use crate::wire::{
    CHECKSUM_SIZE, DropReason, Message, checked, checked_short, decode, decode_first, is_short,
};
use aead::{PacketNumber, Sealed, SealedHeader};
pub use cbc::BLOCK_SIZE;
use keyring::{Key, KeyId, Keyring};

/// `ENCRYPTION_CIPHER`: what is sent and taken, once there is a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cipher {
    /// As membership 2.x.
    #[default]
    Cbc,
    /// Authenticated, and nothing else.
    Aead,
    /// On the way from plain to authenticated: takes both.
    PlainAndAead,
    /// On the way from that of membership 2.x to authenticated: takes both.
    CbcAndAead,
}

/// A form that is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldForm {
    /// As it is.
    Plain,
    /// AES-256-CBC.
    Cbc,
}

impl Cipher {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cbc, Self::Aead, Self::PlainAndAead, Self::CbcAndAead];

    /// Its name among the values of the option.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cbc => "aes-256-cbc",
            Self::Aead => "xchacha20-poly1305",
            Self::PlainAndAead => "plain+xchacha20-poly1305",
            Self::CbcAndAead => "aes-256-cbc+xchacha20-poly1305",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|cipher| cipher.name().as_bytes() == name)
    }
}

/// How datagrams are sealed and opened at this moment.
#[derive(Clone, Copy)]
pub struct Seal<'a> {
    /// The keys.
    pub keys: &'a Keyring,
    /// What to do with them.
    pub cipher: Cipher,
    /// The initialisation vector of that of membership 2.x encryption.
    pub iv: &'a [u8; BLOCK_SIZE],
    /// The label of the group; empty if it has none.
    pub label: &'a [u8],
}

/// A datagram that was made with the key, or that needs none.
#[derive(Debug)]
pub struct Opened<'a> {
    /// The message.
    pub plain: Cow<'a, [u8]>,
    /// What goes with it if it is authenticated.
    pub sealed: Option<Sealed>,
    /// Whether a checksum shows that it is as it was sent.
    pub checked: bool,
    /// The key that it was encrypted with, if it was.
    pub key: Option<KeyId>,
}

impl Opened<'_> {
    /// The message, taken apart. A trailer is believed only in what is known to be as it was sent.
    pub fn message(&self) -> Result<Message<'_>, DropReason> {
        let message = decode(&self.plain)?;
        if message.trailer.is_some() && self.sealed.is_none() && !self.checked {
            return Err(DropReason::Corrupt);
        }
        Ok(message)
    }
}

/// Takes the checksum off a message in an old form, if it has one.
fn without_checksum(plain: Cow<'_, [u8]>, key: Option<KeyId>) -> Result<Opened<'_>, DropReason> {
    let size = match checked(&plain) {
        // Without the key, or after damage, what is encrypted may begin like this.
        _ if is_short(&plain) => match checked_short(&plain) {
            Some(bytes) => Some(bytes.len()),
            None => return Err(DropReason::NotAMessage),
        },
        Ok(Some(bytes)) => Some(bytes.len()),
        Ok(None) => None,
        Err(_) if is_message_alone(&plain) => None,
        Err(corrupt) => return Err(corrupt),
    };
    let plain = match (plain, size) {
        (Cow::Borrowed(plain), Some(size)) => plain[..size].into(),
        (Cow::Owned(mut plain), Some(size)) => {
            plain.truncate(size);
            plain.into()
        }
        (plain, None) => plain,
    };
    Ok(Opened {
        plain,
        sealed: None,
        checked: size.is_some(),
        key,
    })
}

/// Whether these bytes are one message, all of it understood, and nothing else. That of a peer on
/// membership 2.x may end in bytes that look like the mark of a checksum: those of a uuid, for instance.
/// A native one that has swallowed its trailer, because of a flipped bit, has statements that make no
/// sense.
fn is_message_alone(plain: &[u8]) -> bool {
    match decode_first(plain) {
        Ok((message, rest)) => rest.is_empty() && message.skipped == 0,
        Err(_) => false,
    }
}

/// Whether these bytes are a message, or one that was changed on its way: that is no message any more, but
/// shows that the key was the right one.
fn was_message(plain: &[u8]) -> bool {
    if is_short(plain) {
        return checked_short(plain).is_some();
    }
    match decode(plain) {
        Ok(_) | Err(DropReason::Corrupt) => true,
        Err(_) => checked(plain) != Ok(None),
    }
}

impl Seal<'_> {
    /// The form that is not authenticated, if there is one that the local node sends and takes.
    pub fn old_form(&self) -> Option<OldForm> {
        match self.cipher {
            // The option may be set before there is a key.
            _ if self.keys.is_empty() => Some(OldForm::Plain),
            Cipher::PlainAndAead => Some(OldForm::Plain),
            Cipher::Cbc | Cipher::CbcAndAead => Some(OldForm::Cbc),
            Cipher::Aead => None,
        }
    }

    /// Whether the local node sends and takes what is authenticated.
    pub fn takes_aead(&self) -> bool {
        !self.keys.is_empty() && self.cipher != Cipher::Cbc
    }

    /// How large a message may be so that it has at most `size` bytes in any form the local node may
    /// send it in.
    pub fn capacity(&self, size: usize) -> usize {
        // What is authenticated needs no checksum.
        let old = match self.old_form() {
            Some(OldForm::Cbc) => cbc::capacity(size).saturating_sub(CHECKSUM_SIZE),
            Some(OldForm::Plain) => size.saturating_sub(CHECKSUM_SIZE),
            None => size,
        };
        if self.takes_aead() {
            old.min(aead::capacity(size))
        } else {
            old
        }
    }

    /// The same, whatever key and cipher may be set later.
    pub const fn capacity_at_worst(size: usize) -> usize {
        let cbc = cbc::capacity(size).saturating_sub(CHECKSUM_SIZE);
        let aead = aead::capacity(size);
        if cbc < aead { cbc } else { aead }
    }

    /// A message in the form that is not authenticated, with the key to send with.
    pub fn seal_old(&self, plain: Vec<u8>) -> Vec<u8> {
        self.seal_old_with(self.keys.sending(), plain)
    }

    /// The same, with this key.
    pub fn seal_old_with(&self, key: Option<&Key>, plain: Vec<u8>) -> Vec<u8> {
        match (self.old_form(), key) {
            (Some(OldForm::Cbc), Some(key)) => cbc::seal(key.block(), self.iv, &plain),
            _ => plain,
        }
    }

    /// A message in the form that is authenticated, with the key to send with; as it is when there is none.
    pub fn seal(&self, stamp: PacketNumber, slip: &SealedHeader, plain: Vec<u8>) -> Vec<u8> {
        match self.keys.sending() {
            Some(key) => self.seal_with(key, stamp, slip, &plain),
            None => plain,
        }
    }

    /// The same, with this key.
    pub fn seal_with(
        &self,
        key: &Key,
        stamp: PacketNumber,
        slip: &SealedHeader,
        plain: &[u8],
    ) -> Vec<u8> {
        aead::seal(key, self.label, stamp, slip, plain)
    }

    /// The ids of the keys, the one to send with first, if they go along with what is sent. With one key
    /// each datagram shows it. Nothing is said of them where datagrams may go out as they are.
    pub fn told_keys(&self) -> Vec<KeyId> {
        if self.keys.len() < 2 || self.old_form() == Some(OldForm::Plain) {
            return Vec::new();
        }
        self.keys.ids().collect()
    }

    /// The message in a datagram.
    pub fn open<'d>(&self, datagram: &'d [u8]) -> Result<Opened<'d>, DropReason> {
        let why = match self.open_aead(datagram) {
            Ok(opened) => return Ok(opened),
            Err(why) => why,
        };
        let has_the_looks = why != DropReason::NotSealed;
        let (plain, key) = match self.old_form() {
            None => return Err(why),
            Some(OldForm::Plain) if has_the_looks => return Err(why),
            Some(OldForm::Plain) => (datagram.into(), None),
            // What is encrypted looks like anything, so one in 65,536 begins like what is authenticated.
            Some(OldForm::Cbc) => match self.open_cbc(datagram) {
                Ok((plain, key)) => (plain, Some(key)),
                Err(_) if has_the_looks => return Err(why),
                Err(old) => return Err(old),
            },
        };
        without_checksum(plain, key)
    }

    /// A datagram that is authenticated.
    fn open_aead<'d>(&self, datagram: &'d [u8]) -> Result<Opened<'d>, DropReason> {
        if self.takes_aead() {
            let (sealed, plain) = aead::open(self.keys, self.label, datagram)?;
            return Ok(Opened {
                plain: plain.into(),
                sealed: Some(sealed),
                checked: true,
                key: Some(sealed.key),
            });
        }
        // A member that has gone ahead in a change of form is not to be taken for one with another key.
        if aead::is_sealed(datagram) {
            return Err(DropReason::UnknownKey);
        }
        Err(DropReason::NotSealed)
    }

    /// Tries one key after the other. A wrong one yields something every 256th time, but no message.
    fn open_cbc<'d>(&self, datagram: &'d [u8]) -> Result<(Cow<'d, [u8]>, KeyId), DropReason> {
        for key in self.keys.iter() {
            let Some(plain) = cbc::open(key.block(), self.iv, datagram) else {
                continue;
            };
            // With one key there is nothing to choose: whether it was right is for the caller to find out,
            // who decodes the message anyway.
            if self.keys.len() == 1 || was_message(&plain) {
                return Ok((plain.into(), key.id()));
            }
        }
        Err(DropReason::Undecryptable)
    }
}

/// Shows what is done, never with which keys.
impl fmt::Debug for Seal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.len();
        write!(f, "Seal({}, {keys} keys)", self.cipher.name())
    }
}

#[cfg(test)]
mod tests;
