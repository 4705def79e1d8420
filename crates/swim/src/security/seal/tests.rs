use super::aead::{Challenge, PacketNumber, SESSION_SIZE, Sealed, SealedHeader};
use super::keyring::Keyring;
use super::*;
use crate::wire::checksummed;

const IV: &[u8; BLOCK_SIZE] = b"init-key-16-byte";

const STAMP: PacketNumber = PacketNumber {
    session: [7; SESSION_SIZE],
    salt: 9,
    counter: 0x0102_0304_0506_0708,
};

fn keys(texts: &[&[u8]]) -> Keyring {
    let mut keys = Keyring::default();
    keys.set(texts.iter().copied()).expect("they fit");
    keys
}

fn seal<'a>(keys: &'a Keyring, cipher: Cipher, label: &'a [u8]) -> Seal<'a> {
    Seal {
        keys,
        cipher,
        iv: IV,
        label,
    }
}

fn why(seal: &Seal<'_>, datagram: &[u8]) -> DropReason {
    seal.open(datagram).expect_err("not to be opened")
}

/// `["a:1", "LEAVE", nil, []]`.
const MESSAGE: &[u8] = b"\x94\xa3a:1\xa5LEAVE\xc0\x90";

#[test]
fn what_was_sealed_comes_out_as_it_went_in() {
    let ring = keys(&[b"a key"]);
    let seal = seal(&ring, Cipher::Aead, b"a label");
    let challenge = Challenge { of: 1, code: 2 };
    for (challenge, response) in [
        (None, None),
        (Some(challenge), None),
        (None, Some(3)),
        (Some(challenge), Some(3)),
    ] {
        let slip = SealedHeader {
            to: 4,
            challenge,
            response,
        };
        let datagram = seal.seal(STAMP, &slip, MESSAGE.to_vec());
        let opened = seal.open(&datagram).expect("it is mine");
        let key = ring.sending().expect("it is there").id();
        let sealed = Sealed {
            key,
            stamp: STAMP,
            slip,
        };
        assert_eq!((&*opened.plain, opened.sealed), (MESSAGE, Some(sealed)));
    }
}

#[test]
fn no_bit_of_an_authenticated_datagram_can_be_changed() {
    let ring = keys(&[b"a key"]);
    let seal = seal(&ring, Cipher::Aead, b"a label");
    let datagram = seal.seal(STAMP, &SealedHeader::default(), MESSAGE.to_vec());
    for bit in 0..datagram.len() * 8 {
        let mut changed = datagram.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(seal.open(&changed).is_err(), "bit {bit}");
    }
    for size in 0..datagram.len() {
        assert!(seal.open(&datagram[..size]).is_err(), "{size} bytes");
    }
}

#[test]
fn it_is_said_why_a_datagram_is_not_taken() {
    let (ring, other) = (keys(&[b"a key"]), keys(&[b"another"]));
    let mine = seal(&ring, Cipher::Aead, b"mine");
    let sealed = |seal: &Seal<'_>| seal.seal(STAMP, &SealedHeader::default(), MESSAGE.to_vec());
    let unlabelled = seal(&ring, Cipher::Aead, b"");
    for group in [unlabelled, seal(&ring, Cipher::Aead, b"theirs")] {
        assert_eq!(why(&mine, &sealed(&group)), DropReason::OtherGroup);
        assert_eq!(why(&group, &sealed(&mine)), DropReason::OtherGroup);
    }
    let stranger = sealed(&seal(&other, Cipher::Aead, b"mine"));
    assert_eq!(why(&mine, &stranger), DropReason::UnknownKey);
    let mut forged = sealed(&mine);
    *forged.last_mut().expect("a tag") ^= 1;
    assert_eq!(why(&mine, &forged), DropReason::Forged);
    let cbc = seal(&ring, Cipher::Cbc, b"mine").seal_old(MESSAGE.to_vec());
    for old in [MESSAGE, &cbc, b"", b"\xc1", b"\xc1\x02aaaabbbb"] {
        assert_eq!(why(&mine, old), DropReason::NotSealed);
    }
}

#[test]
fn on_the_way_both_forms_are_taken() {
    let (ring, none) = (keys(&[b"a key"]), Keyring::default());
    let aead =
        seal(&ring, Cipher::Aead, b"").seal(STAMP, &SealedHeader::default(), MESSAGE.to_vec());
    let cbc = seal(&ring, Cipher::Cbc, b"").seal_old(MESSAGE.to_vec());
    for (cipher, old) in [
        (Cipher::PlainAndAead, MESSAGE),
        (Cipher::CbcAndAead, &cbc[..]),
    ] {
        let both = seal(&ring, cipher, b"");
        assert_eq!(both.seal_old(MESSAGE.to_vec()), old);
        for datagram in [old, &aead] {
            assert_eq!(&*both.open(datagram).expect("either form").plain, MESSAGE);
        }
    }
    for cipher in Cipher::ALL {
        let keyless = seal(&none, cipher, b"");
        assert_eq!(keyless.seal_old(MESSAGE.to_vec()), MESSAGE);
        assert_eq!(&*keyless.open(MESSAGE).expect("plain").plain, MESSAGE);
    }
}

#[test]
fn any_key_of_the_ring_opens_in_either_form() {
    let (old, new) = (keys(&[b"old"]), keys(&[b"new"]));
    let both = keys(&[b"new", b"old"]);
    for ring in [&old, &new] {
        let aead =
            seal(ring, Cipher::Aead, b"").seal(STAMP, &SealedHeader::default(), MESSAGE.to_vec());
        let opened = seal(&both, Cipher::Aead, b"")
            .open(&aead)
            .expect("known")
            .plain
            .to_vec();
        assert_eq!(opened, MESSAGE);
    }
    // A wrong key finds a padding in every 256th; none of these may be taken for a message.
    for number in 1..2000_u16 {
        let name = format!("a:{number}1");
        let mut message = vec![0x94, 0xa0 | name.len() as u8];
        message.extend(name.bytes());
        message.extend(b"\xa5LEAVE\xc0\x90");
        let cbc = seal(&old, Cipher::Cbc, b"").seal_old(message.clone());
        let opened = seal(&both, Cipher::Cbc, b"")
            .open(&cbc)
            .expect("known")
            .plain
            .to_vec();
        assert_eq!(opened, message);
    }
}

#[test]
fn capacity_is_the_most_that_still_fits_in_every_form() {
    let ring = keys(&[b"k"]);
    let full = SealedHeader {
        to: 1,
        challenge: Some(Challenge { of: 1, code: 1 }),
        response: Some(1),
    };
    for size in [256, 1471, 1472, 1473] {
        for cipher in Cipher::ALL {
            let seal = seal(&ring, cipher, b"a label");
            let most = seal.capacity(size);
            assert!(Seal::capacity_at_worst(size) <= most);
            let largest = |length: usize| {
                let plain = vec![0; length];
                let old = seal
                    .old_form()
                    .map(|_| seal.seal_old(checksummed(plain.clone())).len());
                let new = seal
                    .takes_aead()
                    .then(|| seal.seal(STAMP, &full, plain).len());
                old.max(new).expect("some form")
            };
            assert!(largest(most) <= size, "{cipher:?} {size}");
            assert!(largest(most + 1) > size, "{cipher:?} {size}");
        }
    }
}

#[test]
fn a_key_is_never_shown() {
    let ring = keys(&[b"swordfish"]);
    let seal = seal(&ring, Cipher::Aead, b"");
    assert_eq!(format!("{seal:?}"), "Seal(xchacha20-poly1305, 1 keys)");
    let opened = format!(
        "{:?}",
        seal.open(&seal.seal(STAMP, &SealedHeader::default(), Vec::new()))
    );
    assert!(!opened.contains("swordfish"), "{opened}");
}

#[test]
fn an_old_peer_whose_message_ends_like_one_with_a_checksum_is_understood() {
    let text = b"\x94\xa3a:1\xa5LEAVE\xc0\x91\x95\xa3a:1\x01\x01\x91\xa5\xd6\x63abc\x01";
    let none = Keyring::default();
    let seal = seal(&none, Cipher::Cbc, b"");
    let opened = seal.open(text).expect("no checksum");
    let message = opened.message().expect("a message");
    assert_eq!((message.events.len(), message.trailer), (1, None));
    let mut changed = text.to_vec();
    changed[14] = 9; // no status
    assert_eq!(why(&seal, &changed), DropReason::Corrupt);
}

#[test]
fn the_mark_of_another_group_on_a_datagram_does_not_make_it_one_of_that_group() {
    let ring = keys(&[b"a key"]);
    let [one, other] = [&b"one"[..], b"other"].map(|label| seal(&ring, Cipher::Aead, label));
    let slip = SealedHeader::default();
    let mut datagram = one.seal(STAMP, &slip, MESSAGE.to_vec());
    assert_eq!(why(&other, &datagram), DropReason::OtherGroup);
    // Magic, version, the key's name, the group's.
    datagram[6..10].copy_from_slice(&other.seal(STAMP, &slip, MESSAGE.to_vec())[6..10]);
    assert!(other.open(&datagram).is_err(), "its label is authenticated");
}
