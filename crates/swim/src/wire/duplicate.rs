//! URIs that two processes use, as the trailer tells of them.

use core::net::SocketAddr;

use rmp::encode as msgpack;

use super::encode::infallible;
use super::trailer::{array, text};
use crate::identity::uri::Uri;
use crate::wire::msgpack::{Head, Reader};

/// How many duplicates are told of, and heard of, in one datagram: an operator who has seen four looks
/// for the reason.
pub const DUPLICATES_MAX: usize = 4;

/// "Two processes use this URI."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The URI.
    pub uri: Uri,
    /// Where one of them is: the recipient, if it has this URI. `None` if the sender does not know.
    pub one: Option<SocketAddr>,
    /// Where the other one is: the sender of the datagram, if it has this URI and says nothing here.
    pub other: Option<SocketAddr>,
}

pub(super) fn write_duplicates(out: &mut Vec<u8>, duplicates: &[Duplicate]) {
    let told = &duplicates[..duplicates.len().min(DUPLICATES_MAX)];
    infallible(msgpack::write_array_len(out, told.len() as u32));
    for Duplicate { uri, one, other } in told {
        infallible(msgpack::write_array_len(out, 3));
        infallible(msgpack::write_str(out, uri));
        for address in [one, other] {
            match address {
                Some(address) => infallible(msgpack::write_str(out, &address.to_string())),
                None => infallible(msgpack::write_nil(out)),
            }
        }
    }
}

/// Those that make sense, of the first few.
pub(super) fn duplicates(value: &[u8]) -> Vec<Duplicate> {
    let mut reader = Reader::new(value);
    let mut duplicates = Vec::new();
    let Ok(Head::Array(count)) = reader.head() else {
        return duplicates;
    };
    for _ in 0..count.min(DUPLICATES_MAX) {
        let Ok(value) = reader.value() else { break };
        duplicates.extend(duplicate(value));
    }
    duplicates
}

fn duplicate(value: &[u8]) -> Option<Duplicate> {
    let [uri, one, other] = array(value)?;
    let uri = core::str::from_utf8(text(uri)?).ok()?;
    Some(Duplicate {
        uri: Uri::from_wire(uri)?,
        one: address(one)?,
        other: address(other)?,
    })
}

/// An address, or nil.
fn address(value: &[u8]) -> Option<Option<SocketAddr>> {
    match Reader::new(value).head() {
        Ok(Head::Nil) => Some(None),
        Ok(Head::Text(text)) => {
            let text = core::str::from_utf8(text).ok()?;
            Some(Some(text.parse().ok()?))
        }
        _ => None,
    }
}
