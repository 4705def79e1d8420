//! Well-formed messages with any content, since random bytes hardly ever are one.

use std::net::SocketAddr;

use arbitrary::Result;
use swim::Swim;
use swim::detector::self_check::SelfSuspicion;
use swim::identity::uri::Uri;
use swim::security::seal::Seal;
use swim::security::seal::aead::{Challenge, PacketNumber, SESSION_SIZE, SealedHeader};
use swim::security::seal::keyring::{Key, KeyId, Keyring};
use swim::security::session::address;
use swim::table::claim::{Claim, Incarnation, Status};
use swim::table::digest::hash_of;
use swim::table::payload::Payload;
use swim::wire::{
    Buckets, Duplicate, Extension, MessageBuilder, MessageType, Piece, ShortHead, Trailer,
    checksummed, pair_id, ping_data,
};

use super::{Bytes, KEYS};

/// Room for everything.
const LIMIT: usize = 65_507;

/// A datagram for `to`: plain, or sealed in a way that `to` may accept.
pub fn message(bytes: &mut Bytes<'_>, names: &[Uri], to: &Swim) -> Result<Vec<u8>> {
    let plain = plain(bytes, names, to)?;
    let mut keys = Keyring::default();
    let key = *bytes.choose(&KEYS)?;
    keys.set([key]).expect("a single key");
    let seal = Seal {
        keys: &keys,
        cipher: to.config().encryption_cipher,
        iv: &to.config().encryption_init,
        label: &to.config().group_label,
    };
    Ok(match bytes.int_in_range(0..=3)? {
        0 => plain,
        1 => checksummed(plain),
        2 => seal.seal_old(checksummed(plain)),
        _ => {
            let (stamp, slip) = header(bytes, to)?;
            seal.seal(stamp, &slip, plain)
        }
    })
}

fn header(bytes: &mut Bytes<'_>, to: &Swim) -> Result<(PacketNumber, SealedHeader)> {
    let stamp = PacketNumber {
        session: [bytes.int_in_range(0..=2)?; SESSION_SIZE],
        salt: 0,
        counter: *bytes.choose(&[0, 1, 2, 3, 64, 65, 1000, u64::MAX - 1, u64::MAX])?,
    };
    let challenge: Option<(u64, u64)> = bytes.arbitrary()?;
    let slip = SealedHeader {
        to: to.myself().map_or(0, |myself| address(myself)),
        challenge: challenge.map(|(of, code)| Challenge { of, code }),
        response: bytes.arbitrary()?,
    };
    Ok((stamp, slip))
}

fn plain(bytes: &mut Bytes<'_>, names: &[Uri], to: &Swim) -> Result<Vec<u8>> {
    let sender = bytes.choose(names)?;
    let short = short_head(bytes, sender, to)?;
    let kind = *bytes.choose(&MessageType::ALL)?;
    let is_sync = short.is_none() && matches!(kind, MessageType::SyncReq | MessageType::SyncAck);
    let mut draft = match kind {
        _ if let Some(head) = short => MessageBuilder::short(head, LIMIT),
        MessageType::Ping | MessageType::Ack => {
            let ts = bytes.arbitrary()?;
            let (src, dst) = (bytes.choose(names)?, bytes.choose(names)?);
            let data = ping_data(ts, src, dst, bytes.arbitrary()?);
            MessageBuilder::with_data(kind, sender, &data, LIMIT)
        }
        MessageType::SyncReq | MessageType::SyncAck => MessageBuilder::sync(kind, sender, LIMIT),
        MessageType::Leave => MessageBuilder::leave(sender, LIMIT),
    };
    if bytes.arbitrary()? {
        draft = draft.trailed_by(&trailer(bytes, names)?);
    }
    for _ in 0..bytes.int_in_range(0..=6)? {
        let (about, claim) = (bytes.choose(names)?, claim(bytes)?);
        let payload = payload(bytes)?;
        let _fits = if is_sync {
            draft.record(about, claim, payload.as_ref())
        } else {
            draft.event(about, claim, payload.as_ref(), 0)
        };
    }
    Ok(draft.finish().expect("it is not that long"))
}

/// How a message in the short form begins, now and then.
fn short_head(bytes: &mut Bytes<'_>, sender: &Uri, to: &Swim) -> Result<Option<ShortHead>> {
    let recipient = to.myself().map_or("", |myself| myself);
    let pair = pair_id(hash_of(sender), recipient, &to.config().group_label);
    Ok(match bytes.int_in_range(0..=7)? {
        0 => Some(ShortHead::Ping {
            pair,
            cookie: bytes.arbitrary()?,
            sent: bytes.arbitrary()?,
        }),
        1 => Some(ShortHead::Ack {
            cookie: bytes.arbitrary()?,
            answered: bytes.arbitrary()?,
        }),
        2 => Some(ShortHead::Leave { pair }),
        _ => None,
    })
}

/// Any claim.
pub fn claim(bytes: &mut Bytes<'_>) -> Result<Claim> {
    let last = (1 << 53) - 2;
    let some = 1 + u64::from(bytes.arbitrary::<u8>()?) % 5;
    let incarnation = *bytes.choose(&[1, 2, some, some, some, last - 1, last])?;
    Ok(Claim {
        incarnation: Incarnation::from_wire(incarnation).expect("within bounds"),
        status: *bytes.choose(&Status::ALL)?,
    })
}

/// No payload, one of a few, or a long one.
pub fn payload(bytes: &mut Bytes<'_>) -> Result<Option<Payload>> {
    let one: u8 = bytes.arbitrary()?;
    let payload = match bytes.int_in_range(0..=3)? {
        0 => return Ok(None),
        1 => Payload::empty(),
        2 => Payload::new(&[0x91, one & 0x7f]).expect("an array of a number"),
        _ => {
            let text = [
                &b"\x91\xda"[..],
                &[one & 7, 0],
                &vec![b'x'; usize::from(one & 7) << 8],
            ];
            Payload::new(&text.concat()).expect("an array of a text")
        }
    };
    Ok(Some(payload))
}

fn trailer(bytes: &mut Bytes<'_>, names: &[Uri]) -> Result<Trailer> {
    let note = match bytes.int_in_range(0..=5)? {
        0 => None,
        1 => Some(Extension::Nack {
            ts: bytes.arbitrary()?,
            dst: bytes.choose(names)?.clone(),
        }),
        2 => Some(Extension::Compare(sums(bytes)?)),
        5 => Some(Extension::HistorySince(bytes.arbitrary()?)),
        3 => Some(Extension::Piece(Piece {
            id: bytes.int_in_range(0..=3)?,
            index: bytes.int_in_range(0..=1)?,
            count: 2,
            bytes: vec![bytes.arbitrary()?; bytes.int_in_range(0..=900)?],
        })),
        _ => {
            let one = sums(bytes)?;
            let zeros = vec![0; one.len()];
            Some(Extension::Differ {
                buckets: Buckets::differing(&one, &zeros).expect("as many"),
                last: bytes.arbitrary()?,
            })
        }
    };
    let key = Key::new(bytes.choose(&KEYS)?);
    Ok(Trailer {
        digest: bytes.arbitrary()?,
        note,
        offers: bytes.arbitrary::<bool>()?.then(|| key.id()),
        label: bytes.choose(&[&b""[..], b"", b"", b"blue"])?.to_vec(),
        self_suspicion: *bytes.choose(&[
            None,
            Some(SelfSuspicion::Stalled),
            Some(SelfSuspicion::Unreachable),
        ])?,
        forgotten: bytes.arbitrary()?,
        padding: bytes.int_in_range(0..=9)?,
        duplicates: duplicates(bytes, names)?,
        reads_short: bytes.arbitrary()?,
        keys: told_keys(bytes)?,
        asks_keys: bytes.arbitrary()?,
    })
}

fn told_keys(bytes: &mut Bytes<'_>) -> Result<Vec<KeyId>> {
    let mut told = Vec::new();
    for _ in 2..=bytes.int_in_range(0..=4)? {
        told.push(Key::new(bytes.choose(&KEYS)?).id());
    }
    Ok(told)
}

fn duplicates(bytes: &mut Bytes<'_>, names: &[Uri]) -> Result<Vec<Duplicate>> {
    let mut duplicates = Vec::new();
    // Most datagrams tell of none.
    for _ in 4..=bytes.int_in_range(0..=6)? {
        duplicates.push(Duplicate {
            uri: bytes.choose(names)?.clone(),
            one: some_address(bytes)?,
            other: some_address(bytes)?,
        });
    }
    Ok(duplicates)
}

fn some_address(bytes: &mut Bytes<'_>) -> Result<Option<SocketAddr>> {
    let last: u8 = bytes.arbitrary()?;
    let address = SocketAddr::from(([10, 0, 0, last], 3301));
    Ok(bytes.arbitrary::<bool>()?.then_some(address))
}

fn sums(bytes: &mut Bytes<'_>) -> Result<Vec<u32>> {
    let count = *bytes.choose(&[8, 16, 64, 256])?;
    (0..count)
        .map(|_| Ok(bytes.arbitrary::<u8>()?.into()))
        .collect()
}
