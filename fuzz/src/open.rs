//! Whatever comes, opening it does no harm; what was sealed is opened by who has the key, and by
//! nobody once a bit of it has changed.

use arbitrary::Unstructured;
use swim::security::seal::aead::{Challenge, PacketNumber, SESSION_SIZE, SealedHeader};
use swim::security::seal::keyring::Keyring;
use swim::security::seal::{Cipher, OldForm, Seal};
use swim::wire::{checked, checksummed, decode};

const IV: &[u8; 16] = b"init-key-16-byte";

/// Keys that were recorded with, and one that was not.
const KEYS: [&[u8]; 5] = [
    b"XXXXXX",
    b"secret",
    b"this encryption key is longer than 32 bytes",
    b"0123456789abcdef0123456789ABCDEF",
    b"never",
];

/// The least that `MAX_PACKET_SIZE` can be.
const PACKET_SIZE_MIN: usize = 256;

const NO_STAMP: PacketNumber = PacketNumber {
    session: [0; SESSION_SIZE],
    salt: 0,
    counter: 0,
};

/// The input in which a datagram is opened with the first keys, in the way of the Lua rock.
pub fn input(datagram: &[u8]) -> Vec<u8> {
    [&[KEYS.len() as u8 - 1, 0, 0], datagram].concat()
}

/// How many keys, which cipher, which label; then a datagram.
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

/// The smallest datagram that a message of this size is said to fit.
fn size_for(seal: &Seal<'_>, message: usize) -> usize {
    let mut sizes = message.max(PACKET_SIZE_MIN)..;
    sizes
        .find(|size| seal.capacity(*size) >= message)
        .expect("there is one")
}

fn assert_authenticates(seal: &Seal<'_>, message: &[u8]) {
    // The same bytes decide what goes with them: it may be anything.
    let (stamp, slip, flipped) =
        going_with(message).unwrap_or((NO_STAMP, SealedHeader::default(), 0));
    let sealed = seal.seal(stamp, &slip, message.to_vec());
    assert!(sealed.len() <= size_for(seal, message.len()));
    let opened = seal.open(&sealed).expect("what we seal we open");
    let with = opened.sealed.expect("it is authenticated");
    assert_eq!(opened.plain, message);
    assert_eq!((with.stamp, with.slip), (stamp, slip));

    let mut changed = sealed;
    let bit = flipped as usize % (8 * changed.len());
    changed[bit / 8] ^= 1 << (bit % 8);
    let believed = seal
        .open(&changed)
        .is_ok_and(|opened| opened.sealed.is_some());
    assert!(!believed, "changed in bit {bit}");
}

fn going_with(bytes: &[u8]) -> arbitrary::Result<(PacketNumber, SealedHeader, u16)> {
    let mut bytes = Unstructured::new(bytes);
    let stamp = PacketNumber {
        session: bytes.arbitrary()?,
        salt: bytes.arbitrary()?,
        counter: bytes.arbitrary()?,
    };
    let challenge: Option<(u64, u64)> = bytes.arbitrary()?;
    let slip = SealedHeader {
        to: bytes.arbitrary()?,
        challenge: challenge.map(|(of, code)| Challenge { of, code }),
        response: bytes.arbitrary()?,
    };
    Ok((stamp, slip, bytes.arbitrary()?))
}

fn assert_opens_old_form(seal: &Seal<'_>, message: &[u8]) {
    // Only a message is told from what the wrong key makes of one.
    let is_marked = checked(message) != Ok(None);
    if seal.old_form().is_none() || decode(message).is_err() || is_marked {
        return;
    }
    let sealed = seal.seal_old(message.to_vec());
    assert!(sealed.len() <= size_for(seal, message.len()));
    assert!(seal.old_form() == Some(OldForm::Cbc) || sealed == message);
    let opened = seal.open(&sealed).expect("what we encrypt we decrypt");
    assert_eq!(opened.plain, message);
    let sealed = seal.seal_old(checksummed(message.to_vec()));
    let opened = seal.open(&sealed).expect("it is as it was sent");
    assert_eq!((&*opened.plain, opened.checked), (message, true));
    assert!(sealed.len() <= size_for(seal, message.len()));
}
