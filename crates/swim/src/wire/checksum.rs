//! Whether a datagram arrived as it was sent: four bytes at its end.
//!
//! UDP's own checksum is 16 bits of a plain sum, is not looked at on every path, and is made anew by
//! what forwards datagrams. One flipped bit in a port makes a member that never was, with the payload of
//! another.
//!
//! The checksum is the last thing in a native datagram that is not authenticated: a MessagePack
//! extension of four bytes, behind the trailer, over all that is before it. Its first two bytes are a
//! mark that no text contains and that no peer on membership 2.x is known to end a datagram with. By the
//! mark, and not by what is parsed, a datagram is known to have one: a flipped bit in front of it may
//! make the message swallow the trailer, and without a trailer it would look like an old peer's.

use xxhash_rust::xxh3::xxh3_64;

use super::{DropReason, is_short};

/// How many bytes it takes up.
pub const CHECKSUM_SIZE: usize = 6;

/// The head of an extension of four bytes, and its type.
const MARK: [u8; 2] = [0xd6, 0x63];

fn sum(bytes: &[u8]) -> [u8; 4] {
    (xxh3_64(bytes) as u32).to_be_bytes()
}

/// Puts the checksum behind a message and its trailer. In the short form it is without the mark.
pub fn checksummed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = sum(&bytes);
    if !is_short(&bytes) {
        bytes.extend(MARK);
    }
    bytes.extend(sum);
    bytes
}

/// What is in front of the checksum, if it is right; `None` if there is none.
pub fn checked(datagram: &[u8]) -> Result<Option<&[u8]>, DropReason> {
    let Some((bytes, [mark @ .., a, b, c, d])) = datagram.split_last_chunk::<CHECKSUM_SIZE>()
    else {
        return Ok(None);
    };
    if *mark != MARK {
        return Ok(None);
    }
    if sum(bytes) == [*a, *b, *c, *d] {
        Ok(Some(bytes))
    } else {
        Err(DropReason::Corrupt)
    }
}

/// What is in front of the checksum of a message in the short form, if it is one and the checksum is right.
pub fn checked_short(datagram: &[u8]) -> Option<&[u8]> {
    let (bytes, found) = datagram.split_last_chunk::<4>()?;
    (is_short(bytes) && sum(bytes) == *found).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_changed_bit_shows_as_a_wrong_checksum_or_as_none() {
        let datagram = checksummed(vec![7; 100]);
        assert_eq!(datagram.len(), 100 + CHECKSUM_SIZE);
        assert_eq!(checked(&datagram), Ok(Some(&[7; 100][..])));
        for bit in 0..8 * datagram.len() {
            let mut changed = datagram.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let in_mark = (100..102).contains(&(bit / 8));
            let expected = if in_mark {
                Ok(None)
            } else {
                Err(DropReason::Corrupt)
            };
            assert_eq!(checked(&changed), expected, "bit {bit}");
        }
    }

    #[test]
    fn what_is_too_short_has_no_checksum() {
        for size in 0..CHECKSUM_SIZE {
            assert_eq!(checked(&vec![0xd6; size]), Ok(None));
        }
        assert_eq!(checked(&checksummed(Vec::new())), Ok(Some(&[][..])));
    }
}
