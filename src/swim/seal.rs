//! What a datagram looks like to those who have no key: the encryption of the Lua rock.
//!
//! AES-256-CBC over the whole datagram, PKCS#7 padding, and an initialisation vector that never
//! changes. There is no authentication and no protection against replay: it keeps members with
//! another key out and passers-by from reading along, no more. It is what peers of the Lua rock have.

use core::fmt;
use std::borrow::Cow;

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use zeroize::Zeroizing;

use super::wire::Malformed;

/// The block size of AES, and the size of the initialisation vector.
pub const BLOCK_SIZE: usize = 16;

/// The size of a key of AES-256.
const KEY_SIZE: usize = 32;

/// Encrypts and decrypts whole datagrams, if a key is set.
#[derive(Default)]
pub struct Seal {
    key: Option<Zeroizing<[u8; KEY_SIZE]>>,
}

impl Seal {
    /// A seal with what the user gave for a key, cut to 32 bytes or padded on the left with spaces;
    /// without any, datagrams stay plain.
    pub fn new(key: Option<&[u8]>) -> Self {
        let key = key.map(|given| {
            let given = &given[..given.len().min(KEY_SIZE)];
            let mut key = Zeroizing::new([b' '; KEY_SIZE]);
            key[KEY_SIZE - given.len()..].copy_from_slice(given);
            key
        });
        Self { key }
    }

    /// The key in use, with its padding.
    pub fn key(&self) -> Option<&[u8]> {
        self.key.as_deref().map(<[u8; KEY_SIZE]>::as_slice)
    }

    /// How large a plain datagram may be so that the sealed one has at most `size` bytes.
    pub const fn capacity(&self, size: usize) -> usize {
        match self.key {
            // The padding takes a byte at least.
            Some(_) => (size / BLOCK_SIZE * BLOCK_SIZE).saturating_sub(1),
            None => size,
        }
    }

    /// Makes a datagram unreadable.
    pub fn seal(&self, plain: Vec<u8>, iv: &[u8; BLOCK_SIZE]) -> Vec<u8> {
        let Some(key) = &self.key else { return plain };
        let cipher = cbc::Encryptor::<Aes256>::new((&**key).into(), iv.into());
        cipher.encrypt_padded_vec::<Pkcs7>(&plain)
    }

    /// Makes a datagram readable; it already is when there is no key.
    pub fn open<'a>(
        &self,
        sealed: &'a [u8],
        iv: &[u8; BLOCK_SIZE],
    ) -> Result<Cow<'a, [u8]>, Malformed> {
        let Some(key) = &self.key else {
            return Ok(sealed.into());
        };
        let cipher = cbc::Decryptor::<Aes256>::new((&**key).into(), iv.into());
        let opened = cipher.decrypt_padded_vec::<Pkcs7>(sealed);
        opened.map(Cow::Owned).map_err(|_| Malformed::Undecryptable)
    }
}

/// Shows whether there is a key, never which.
impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.key.is_some() {
            "Seal(AES-256-CBC)"
        } else {
            "Seal(none)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IV: &[u8; BLOCK_SIZE] = b"init-key-16-byte";

    fn unhex(hex: &str) -> Vec<u8> {
        let digits = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
        digits
            .map(|digits| u8::from_str_radix(digits, 16).unwrap())
            .collect()
    }

    /// Made by Tarantool's `crypto` with the key "XXXXXX".
    const VECTORS: [(&[u8], &str); 4] = [
        (b"", "40faa7e7138babc3e1c41ad497138e87"),
        (b"a", "4ded988a71d8f4faa3054bd5e69b387c"),
        (&[b'b'; 15], "d33decf781e11bd384d1a6ed12766bbf"),
        (
            &[b'c'; 16],
            "77a5169b8d9a47eb28a53d9a4c339aabc25304aa7c396ba75c88e251df6f5de3",
        ),
    ];

    #[test]
    fn the_lua_rock_encrypts_to_the_same_bytes() {
        let seal = Seal::new(Some(b"XXXXXX"));
        for (plain, sealed) in VECTORS {
            assert_eq!(seal.seal(plain.to_vec(), IV), unhex(sealed));
            assert_eq!(seal.open(&unhex(sealed), IV).as_deref(), Ok(plain));
        }
    }

    #[test]
    fn a_key_is_padded_on_the_left_or_cut_to_32_bytes() {
        let key = |given: &[u8]| Seal::new(Some(given)).key().unwrap().to_vec();
        assert_eq!(key(b""), [b' '; 32]);
        assert_eq!(key(b"abc"), [&[b' '; 29][..], b"abc"].concat());
        assert_eq!(key(&[b'x'; 32]), [b'x'; 32]);
        assert_eq!(key(&[&[b'x'; 32][..], b"y"].concat()), [b'x'; 32]);
        assert_eq!(Seal::new(None).key(), None);
    }

    #[test]
    fn a_wrong_key_and_a_damaged_length_are_noticed() {
        let sealed = Seal::new(Some(b"one")).seal(b"hello".to_vec(), IV);
        assert_eq!(
            Seal::new(Some(b"two")).open(&sealed, IV),
            Err(Malformed::Undecryptable)
        );
        assert_eq!(
            Seal::new(Some(b"one")).open(&sealed[1..], IV),
            Err(Malformed::Undecryptable)
        );
        assert_eq!(
            Seal::new(Some(b"one")).open(b"", IV),
            Err(Malformed::Undecryptable)
        );
        assert_eq!(*Seal::new(None).open(&sealed, IV).unwrap(), sealed);
    }

    #[test]
    fn capacity_is_the_most_that_still_fits_when_sealed() {
        for seal in [Seal::new(None), Seal::new(Some(b"k"))] {
            for size in [256, 1471, 1472, 1473] {
                let most = seal.capacity(size);
                assert!(seal.seal(vec![0; most], IV).len() <= size);
                assert!(seal.seal(vec![0; most + 1], IV).len() > size);
            }
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(
            format!("{:?}", Seal::new(Some(b"secret"))),
            "Seal(AES-256-CBC)"
        );
    }
}
