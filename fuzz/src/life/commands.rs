//! All commands of a user, and all inputs of the machine.

use arbitrary::Result;
use swim::config::{Config, Setting};
use swim::identity::uri::Uri;
use swim::security::seal::Cipher;
use swim::time::Now;
use swim::{PingId, Swim};

use super::{Bytes, KEYS, messages};

/// Numbers that are valid for some option, and some that are valid for none.
const NUMBERS: [f64; 16] = [
    0.0,
    0.001,
    0.25,
    1.0,
    2.0,
    3.0,
    8.0,
    64.0,
    256.0,
    320.0,
    1472.0,
    65_507.0,
    31_536_000.0,
    -1.0,
    f64::NAN,
    f64::INFINITY,
];

/// Remembers the probes that it has begun.
#[derive(Default)]
pub struct Commander {
    ticket: Option<PingId>,
}

impl Commander {
    /// Runs a command. It may be refused.
    pub fn command(
        &mut self,
        bytes: &mut Bytes<'_>,
        names: &[Uri],
        swim: &mut Swim,
        now: Now,
    ) -> Result<()> {
        let uri = bytes.choose(names)?.clone();
        match bytes.int_in_range(0..=15)? {
            // The local node is added even to a full table; the bound is one for the others.
            0 if is_full(swim) && swim.member(&uri).is_none() => {}
            0 => swim.init(uri, now),
            1 => drop(swim.leave(now)),
            2 => set_payload(bytes, swim, now)?,
            3 | 4 => assign(bytes, swim, now)?,
            5 => {
                self.ticket = swim.probe(&uri, now).ok();
                let _outcome = self.ticket.map(|ticket| swim.outcome(ticket));
            }
            6 => self
                .ticket
                .take()
                .into_iter()
                .for_each(|ticket| swim.forget_probe(ticket)),
            7 => swim.add_member(uri, now),
            8 => drop(swim.mark_left(&uri, now)),
            9 => swim.remove_member(&uri, now),
            10 => {
                let (from, to) = (
                    bytes.choose_index(names.len())?,
                    bytes.choose_index(names.len())?,
                );
                let allowed = names.get(from..to).unwrap_or_default();
                swim.set_allowed_members(allowed.to_vec(), bytes.arbitrary()?, now);
            }
            11 => {
                let (claim, payload) = (messages::claim(bytes)?, messages::payload(bytes)?);
                let incarnation = bytes.arbitrary::<bool>()?.then_some(claim.incarnation);
                let payload = payload.as_ref().map(|payload| payload.bytes());
                swim.generate(&uri, claim.status, incarnation, payload, now);
            }
            12 | 13 => change_keys(bytes, swim, now)?,
            14 => swim.reseed_after_fork(bytes.arbitrary::<u64>()?),
            _ => machine_input(bytes, &uri, swim, now)?,
        }
        Ok(())
    }
}

fn is_full(swim: &Swim) -> bool {
    swim.members().len() >= swim.config().max_members
}

fn set_payload(bytes: &mut Bytes<'_>, swim: &mut Swim, now: Now) -> Result<()> {
    let size = swim.payload_limit();
    let payload = match bytes.int_in_range(0..=3)? {
        // The largest allowed size, or one byte more.
        over @ 0..=1 if size > 4 => {
            let text = vec![b'x'; size + over - 4];
            let [high, low] = u16::try_from(text.len()).unwrap_or_default().to_be_bytes();
            [&[0x91, 0xda, high, low], &text[..]].concat()
        }
        2 => bytes.bytes(bytes.len().min(8))?.to_vec(),
        _ => messages::payload(bytes)?.map_or(Vec::new(), |payload| payload.bytes().to_vec()),
    };
    let _refused = swim.set_payload(&payload, now);
    Ok(())
}

fn assign(bytes: &mut Bytes<'_>, swim: &mut Swim, now: Now) -> Result<()> {
    let name = *bytes.choose(&Config::NAMES)?;
    let setting = match swim.config().get(name) {
        Some(Setting::Number(_)) => {
            let number = *bytes.choose(&NUMBERS)?;
            // Members in the table stay there: the bound is one for new ones.
            if name == "MAX_MEMBERS" && number < swim.members().len() as f64 {
                return Ok(());
            }
            Setting::Number(number)
        }
        Some(Setting::Flag(flag)) => Setting::Flag(!flag),
        Some(Setting::Text(_)) if name == "ENCRYPTION_CIPHER" => {
            Setting::Text(bytes.choose(&Cipher::ALL)?.name().into())
        }
        Some(Setting::Text(_)) => {
            let texts: [&[u8]; 4] = [b"", b"blue", b"init-key-16-byte", &[b'x'; 64]];
            Setting::Text(bytes.choose(&texts)?.to_vec())
        }
        Some(Setting::List(_)) => {
            let networks = [
                &[][..],
                &["10.0.0.0/8", "fd00::/8"],
                &["192.0.2.0/24"],
                &["x"],
            ];
            let chosen = bytes.choose(&networks)?.iter();
            Setting::List(chosen.map(|network| (*network).into()).collect())
        }
        None => panic!("{name} is an option"),
    };
    let _refused = swim.assign(name, setting, now);
    Ok(())
}

fn change_keys(bytes: &mut Bytes<'_>, swim: &mut Swim, now: Now) -> Result<()> {
    let key = *bytes.choose(&KEYS)?;
    let _refused = match bytes.int_in_range(0..=6)? {
        0 | 1 => swim.set_encryption_keys(&[key], now),
        2 => swim.set_encryption_keys(&[], now),
        3 => swim.add_encryption_key(key, now),
        4 => swim.use_encryption_key(key, now),
        5 => {
            swim.ask_keys(now);
            swim.member_keys();
            Ok(())
        }
        _ => swim.remove_encryption_key(key, now),
    };
    Ok(())
}

fn machine_input(bytes: &mut Bytes<'_>, uri: &Uri, swim: &mut Swim, now: Now) -> Result<()> {
    match bytes.int_in_range(0..=6)? {
        5 => swim.handle_excluded(uri, now),
        6 => swim.look_for([uri.clone()]),
        0 => swim.handle_unsent(uri),
        1 => swim.handle_undecodable(uri, now),
        2 => swim.handle_refused(uri, now),
        3 => swim.set_stalled(bytes.arbitrary()?, now),
        _ => {
            let greeting = swim.broadcast_ping(now);
            let limit = swim.config().max_packet_size;
            assert!(greeting.is_none_or(|datagram| datagram.len() <= limit));
        }
    }
    Ok(())
}
