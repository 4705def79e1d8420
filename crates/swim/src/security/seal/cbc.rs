//! The encryption of membership 2.x.
//!
//! AES-256-CBC over the whole datagram, PKCS#7 padding, and an initialisation vector that never
//! changes. There is no authentication and no protection against replay: it keeps members with
//! another key out and passers-by from reading along, no more. It is what peers on membership 2.x have.

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};

use super::keyring::KEY_SIZE;

/// The block size of AES, and the size of the initialisation vector.
pub const BLOCK_SIZE: usize = 16;

/// How large a plain datagram may be so that the sealed one has at most `size` bytes.
pub const fn capacity(size: usize) -> usize {
    // The padding takes a byte at least.
    (size / BLOCK_SIZE * BLOCK_SIZE).saturating_sub(1)
}

/// Makes a datagram unreadable.
pub fn seal(key: &[u8; KEY_SIZE], iv: &[u8; BLOCK_SIZE], plain: &[u8]) -> Vec<u8> {
    let cipher = cbc::Encryptor::<Aes256>::new(key.into(), iv.into());
    cipher.encrypt_padded_vec::<Pkcs7>(plain)
}

/// Makes a datagram readable; `None` if its padding shows that this is not the key.
pub fn open(key: &[u8; KEY_SIZE], iv: &[u8; BLOCK_SIZE], sealed: &[u8]) -> Option<Vec<u8>> {
    let cipher = cbc::Decryptor::<Aes256>::new(key.into(), iv.into());
    cipher.decrypt_padded_vec::<Pkcs7>(sealed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::seal::keyring::Key;

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
    fn membership_2_encrypts_to_the_same_bytes() {
        let key = Key::new(b"XXXXXX");
        for (plain, sealed) in VECTORS {
            assert_eq!(seal(key.block(), IV, plain), unhex(sealed));
            assert_eq!(
                open(key.block(), IV, &unhex(sealed)).as_deref(),
                Some(plain)
            );
        }
    }

    #[test]
    fn a_wrong_key_and_a_damaged_length_are_noticed() {
        let (one, two) = (Key::new(b"one"), Key::new(b"two"));
        let sealed = seal(one.block(), IV, b"hello");
        assert_eq!(open(two.block(), IV, &sealed), None);
        assert_eq!(open(one.block(), IV, &sealed[1..]), None);
        assert_eq!(open(one.block(), IV, b""), None);
    }

    #[test]
    fn capacity_is_the_most_that_still_fits_when_sealed() {
        let key = Key::new(b"k");
        for size in [256, 1471, 1472, 1473] {
            let most = capacity(size);
            assert!(seal(key.block(), IV, &vec![0; most]).len() <= size);
            assert!(seal(key.block(), IV, &vec![0; most + 1]).len() > size);
        }
    }
}
