//! Opening any datagram is harmless. A sealed one is opened with the key, and not after a bit of it has
//! changed.

use arbitrary::Unstructured;
use swim::security::seal::aead::{Challenge, PacketNumber, SESSION_SIZE, SealedHeader};
use swim::security::seal::keyring::Keyring;
use swim::security::seal::{Cipher, OldForm, Seal};
use swim::wire::{checked, checksummed, decode};

const IV: &[u8; 16] = b"init-key-16-byte";

/// The keys of the recordings, and another one.
const KEYS: [&[u8]; 5] = [
    b"XXXXXX",
    b"secret",
    b"this encryption key is longer than 32 bytes",
    b"0123456789abcdef0123456789ABCDEF",
    b"never",
];

/// The least value of `MAX_PACKET_SIZE`.
const PACKET_SIZE_MIN: usize = 256;

const NO_STAMP: PacketNumber = PacketNumber {
    session: [0; SESSION_SIZE],
    salt: 0,
    counter: 0,
};

/// The input that opens this datagram with the first keys and the cipher of membership 2.x.
pub fn input(datagram: &[u8]) -> Vec<u8> {
    [&[KEYS.len() as u8 - 1, 0, 0], datagram].concat()
}

/// The bytes are: how many keys, which cipher, which label, then a datagram.
pub fn target(bytes: &[u8]) {
    let Some(([count, cipher, label], datagram)) = bytes.split_first_chunk() else {
        return;
    };
    let mut keys = Keyring::default();
    let count = usize::from(*count) % (KEYS.len() + 1);
    keys.set(KEYS[..count].iter().copied()).expect("a few keys");
    let seal = Seal {
        keys: &keys,
        cipher: Cipher::ALL[usize::from(*cipher) % Cipher::ALL.len()],
        iv: IV,
        label: [&b""[..], b"blue"][usize::from(*label) % 2],
    };
    if let Ok(opened) = seal.open(datagram) {
        assert!(opened.plain.len() <= datagram.len(), "sealing adds bytes");
        assert!(opened.sealed.is_none() || seal.takes_aead());
    }
    if seal.takes_aead() {
        assert_authenticates(&seal, datagram);
    }
    assert_opens_old_form(&seal, datagram);
}

/// The smallest datagram that a message of this size fits, by `capacity`.
fn size_for(seal: &Seal<'_>, message: usize) -> usize {
    let mut sizes = message.max(PACKET_SIZE_MIN)..;
    sizes
        .find(|size| seal.capacity(*size) >= message)
        .expect("there is one")
}

fn assert_authenticates(seal: &Seal<'_>, message: &[u8]) {
    // The header may be anything: the same bytes decide it.
    let (stamp, header, flipped) =
        header(message).unwrap_or((NO_STAMP, SealedHeader::default(), 0));
    let sealed = seal.seal(stamp, &header, message.to_vec());
    assert!(sealed.len() <= size_for(seal, message.len()));
    let opened = seal.open(&sealed).expect("a sealed datagram can be opened");
    let with = opened.sealed.expect("it is authenticated");
    assert_eq!(opened.plain, message);
    assert_eq!((with.stamp, with.slip), (stamp, header));

    let mut changed = sealed;
    let bit = flipped as usize % (8 * changed.len());
    changed[bit / 8] ^= 1 << (bit % 8);
    let accepted = seal
        .open(&changed)
        .is_ok_and(|opened| opened.sealed.is_some());
    assert!(!accepted, "changed in bit {bit}");
}

fn header(bytes: &[u8]) -> arbitrary::Result<(PacketNumber, SealedHeader, u16)> {
    let mut bytes = Unstructured::new(bytes);
    let stamp = PacketNumber {
        session: bytes.arbitrary()?,
        salt: bytes.arbitrary()?,
        counter: bytes.arbitrary()?,
    };
    let challenge: Option<(u64, u64)> = bytes.arbitrary()?;
    let header = SealedHeader {
        to: bytes.arbitrary()?,
        challenge: challenge.map(|(of, code)| Challenge { of, code }),
        response: bytes.arbitrary()?,
    };
    Ok((stamp, header, bytes.arbitrary()?))
}

fn assert_opens_old_form(seal: &Seal<'_>, message: &[u8]) {
    // Only the plain text of a message can be told from the result of a wrong key.
    let is_marked = checked(message) != Ok(None);
    if seal.old_form().is_none() || decode(message).is_err() || is_marked {
        return;
    }
    let sealed = seal.seal_old(message.to_vec());
    assert!(sealed.len() <= size_for(seal, message.len()));
    assert!(seal.old_form() == Some(OldForm::Cbc) || sealed == message);
    let opened = seal
        .open(&sealed)
        .expect("an encrypted message can be decrypted");
    assert_eq!(opened.plain, message);
    let sealed = seal.seal_old(checksummed(message.to_vec()));
    let opened = seal.open(&sealed).expect("it is as it was sent");
    assert_eq!((&*opened.plain, opened.checked), (message, true));
    assert!(sealed.len() <= size_for(seal, message.len()));
}
