//! The keys: several are understood, and one is used to send.

use core::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

/// The size of a key of either cipher.
pub const KEY_SIZE: usize = 32;

/// How many keys are understood at a time. A rotation takes two; what cannot be told by its key's id
/// is tried with all of them.
pub const KEYS_MAX: usize = 16;

/// What the keys and ids of this format are derived with, besides the user's text.
const SALT: &[u8] = b"tarantool membership 1";

/// By which a datagram tells with what key it is sealed. Says nothing about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(pub [u8; 4]);

/// As people read it: in hexadecimal.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// What the user gave for a key, and what is made of it.
pub struct Key {
    text: Zeroizing<Vec<u8>>,
    block: Zeroizing<[u8; KEY_SIZE]>,
    aead: Zeroizing<[u8; KEY_SIZE]>,
    id: KeyId,
}

impl Key {
    /// What the ciphers use in place of this text.
    pub fn new(text: &[u8]) -> Self {
        let kept = &text[..text.len().min(KEY_SIZE)];
        let mut block = Zeroizing::new([b' '; KEY_SIZE]);
        block[KEY_SIZE - kept.len()..].copy_from_slice(kept);
        let derivation = Hkdf::<Sha256>::new(Some(SALT), text);
        let mut aead = Zeroizing::new([0; KEY_SIZE]);
        let mut id = KeyId([0; 4]);
        for (what, out) in [
            (&b"xchacha20-poly1305"[..], &mut aead[..]),
            (b"key id", &mut id.0),
        ] {
            let derived = derivation.expand(what, out);
            derived.expect("HKDF yields as much as 255 hashes");
        }
        Self {
            text: Zeroizing::new(text.to_vec()),
            block,
            aead,
            id,
        }
    }

    /// The text, cut to 32 bytes or padded on the left with spaces: the key of membership 2.x.
    pub fn block(&self) -> &[u8; KEY_SIZE] {
        &self.block
    }

    /// Derived from the whole text.
    pub fn aead(&self) -> &[u8; KEY_SIZE] {
        &self.aead
    }

    /// By which others find it.
    pub const fn id(&self) -> KeyId {
        self.id
    }
}

/// The keys, the one to send with first.
#[derive(Default)]
pub struct Keyring {
    keys: Vec<Key>,
}

/// Why the keys stay what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadKey {
    /// There are as many as there may be.
    #[error("at most {KEYS_MAX} encryption keys")]
    TooMany,
    /// There is none to add it to: a first key changes what all others must understand.
    #[error("no encryption key is set")]
    NoKey,
    /// It is not among them.
    #[error("unknown encryption key")]
    Unknown,
    /// It is the one to send with.
    #[error("encryption key is in use")]
    InUse,
}

impl Keyring {
    /// Has these keys and no others, the first to send with.
    pub fn set<'a>(&mut self, texts: impl IntoIterator<Item = &'a [u8]>) -> Result<(), BadKey> {
        let mut keys: Vec<Key> = Vec::new();
        for text in texts {
            if keys.iter().any(|key| *key.text == text) {
                continue;
            }
            if keys.len() == KEYS_MAX {
                return Err(BadKey::TooMany);
            }
            keys.push(Key::new(text));
        }
        self.keys = keys;
        Ok(())
    }

    /// Whether it has the same keys as another one, in the same order.
    pub fn is_same(&self, other: &Self) -> bool {
        let texts = self.iter().map(|key| &key.text);
        texts.eq(other.iter().map(|key| &key.text))
    }

    /// Whether it understands this one.
    pub fn has(&self, text: &[u8]) -> bool {
        self.position(text).is_ok()
    }

    /// Whether it understands this one, and sends with another.
    pub fn is_spare(&self, text: &[u8]) -> bool {
        matches!(self.position(text), Ok(1..))
    }

    /// Understands this one as well.
    pub fn add(&mut self, text: &[u8]) -> Result<(), BadKey> {
        if self.position(text).is_ok() {
            return Ok(());
        }
        match self.keys.len() {
            0 => return Err(BadKey::NoKey),
            KEYS_MAX.. => return Err(BadKey::TooMany),
            _ => self.keys.push(Key::new(text)),
        }
        Ok(())
    }

    /// Sends with this one from now on.
    pub fn use_to_send(&mut self, text: &[u8]) -> Result<(), BadKey> {
        let position = self.position(text)?;
        // The others keep their order. The key used before comes next: in a rotation, it is the one that
        // peers still send with, and datagrams of membership 2.x are tried with one key after the other.
        self.keys[..=position].rotate_right(1);
        Ok(())
    }

    /// Does not understand this one any more.
    pub fn remove(&mut self, text: &[u8]) -> Result<(), BadKey> {
        match self.position(text)? {
            0 => Err(BadKey::InUse),
            position => {
                self.keys.remove(position);
                Ok(())
            }
        }
    }

    /// The one to send with.
    pub fn sending(&self) -> Option<&Key> {
        self.keys.first()
    }

    /// The one with this id.
    pub fn get(&self, id: KeyId) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// The one with this id, if it is held; else the one to send with.
    pub fn get_or_sending(&self, id: Option<KeyId>) -> Option<&Key> {
        match id {
            Some(id) => self.get(id).or_else(|| self.sending()),
            None => self.sending(),
        }
    }

    /// The ids of those that are understood, of the one to send with first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(Key::id)
    }

    /// Those that are understood, the one to send with first.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing is encrypted.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn position(&self, text: &[u8]) -> Result<usize, BadKey> {
        for (position, key) in self.keys.iter().enumerate() {
            if *key.text == text {
                return Ok(position);
            }
        }
        Err(BadKey::Unknown)
    }
}

/// Shows which key it is, never what it is.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.id)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_in_membership_2_a_key_is_padded_on_the_left_or_cut_to_32_bytes() {
        let block = |text: &[u8]| Key::new(text).block().to_vec();
        assert_eq!(block(b""), [b' '; 32]);
        assert_eq!(block(b"abc"), [&[b' '; 29][..], b"abc"].concat());
        assert_eq!(block(&[b'x'; 32]), [b'x'; 32]);
        assert_eq!(block(&[&[b'x'; 32][..], b"y"].concat()), [b'x'; 32]);
    }

    #[test]
    fn every_byte_of_the_text_makes_another_authenticated_key() {
        let long = [&[b'x'; 32][..], b"y"].concat();
        let texts: [&[u8]; 4] = [b"", b" ", &[b'x'; 32], &long];
        for (i, one) in texts.into_iter().map(Key::new).enumerate() {
            for other in texts.into_iter().skip(i + 1).map(Key::new) {
                assert_ne!(one.aead(), other.aead());
                assert_ne!(one.id(), other.id());
            }
        }
    }

    #[test]
    fn one_key_is_used_and_others_are_understood() {
        let mut keys = Keyring::default();
        let sending = |keys: &Keyring| keys.sending().map(|key| key.text.to_vec());
        assert_eq!(keys.add(b"one"), Err(BadKey::NoKey));
        assert_eq!(keys.set([&b"one"[..], b"two", b"one"]), Ok(()));
        assert_eq!(keys.len(), 2);
        assert!(keys.has(b"two") && !keys.has(b"three"));
        assert_eq!(keys.add(b"three"), Ok(()));
        assert_eq!(keys.add(b"three"), Ok(()));
        assert_eq!(keys.len(), 3);
        assert_eq!(keys.use_to_send(b"four"), Err(BadKey::Unknown));
        assert_eq!(keys.use_to_send(b"three"), Ok(()));
        assert_eq!(sending(&keys).as_deref(), Some(&b"three"[..]));
        assert_eq!(keys.remove(b"three"), Err(BadKey::InUse));
        assert_eq!(keys.remove(b"four"), Err(BadKey::Unknown));
        assert_eq!(keys.remove(b"one"), Ok(()));
        assert_eq!(keys.len(), 2);
        for number in 0..KEYS_MAX - 2 {
            assert_eq!(keys.add(number.to_string().as_bytes()), Ok(()));
        }
        assert_eq!(keys.add(b"one too many"), Err(BadKey::TooMany));
        assert_eq!(keys.set([]), Ok(()));
        assert!(keys.is_empty());
    }

    #[test]
    fn keyrings_are_the_same_with_the_same_keys_in_the_same_order() {
        let keyring = |texts: &str| {
            let mut keys = Keyring::default();
            keys.set(texts.split_whitespace().map(str::as_bytes))
                .expect("they fit");
            keys
        };
        let keys = keyring("one two");
        assert!(keys.is_same(&keyring("one two")));
        for other in ["", "one", "two one", "one two six"] {
            assert!(!keys.is_same(&keyring(other)), "{other}");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let mut keys = Keyring::default();
        keys.set([&b"swordfish"[..]]).expect("one fits");
        let shown = format!("{keys:?}");
        assert!(shown.starts_with("[Key(KeyId("), "{shown}");
        assert!(!shown.contains("swordfish") && shown.len() < 48, "{shown}");
    }
}
