//! Messages that are too large for the path to a member: they are cut, each piece travels in a datagram of
//! its own, and the recipient puts them together.
//!
//! Fragments of IP would do the same, but the networks that carry less than usual are often those that drop
//! fragments. A message of which a piece is lost is lost, as one in a single datagram would be.

use core::time::Duration;
use std::collections::VecDeque;

use crate::identity::uri::Uri;
use crate::time::Micros;
use crate::wire::Piece;

/// The most pieces that a message may be cut into: it is 8 KiB then, in pieces that pass everywhere.
pub const PIECES_MAX: usize = 16;

/// How many messages may be incomplete at a time. Beyond it the oldest is forgotten.
const MESSAGES_MAX: usize = 32;

/// How long the pieces of a message wait for one another.
const WAITING_TIME_MAX: Duration = Duration::from_secs(2);

/// The messages of which some pieces have come.
#[derive(Debug, Default)]
pub struct Reassembly {
    messages: VecDeque<Partial>,
}

#[derive(Debug)]
struct Partial {
    sender: Uri,
    /// Whether its pieces are authenticated.
    is_sealed: bool,
    id: u32,
    began: Micros,
    pieces: Vec<Option<Vec<u8>>>,
}

/// Cuts a message into pieces of at most so many bytes each; `None` if that makes too many.
pub fn cut(message: &[u8], id: u32, size_max: usize) -> Option<Vec<Piece>> {
    let count = message.len().div_ceil(size_max.max(1));
    if count > PIECES_MAX {
        return None;
    }
    let count = u8::try_from(count).ok()?;
    // All of one size: the last one would be small, and its headers cost as much.
    let size = message.len().div_ceil(count.max(1).into());
    let mut pieces = Vec::new();
    for (index, bytes) in (0..count).zip(message.chunks(size.max(1))) {
        pieces.push(Piece {
            id,
            index,
            count,
            bytes: bytes.to_vec(),
        });
    }
    Some(pieces)
}

impl Reassembly {
    /// Adds a piece from `sender`. Returns the message if that completes it. One that would have more than
    /// `size_max` bytes is dropped.
    pub fn add(
        &mut self,
        sender: &Uri,
        is_sealed: bool,
        piece: &Piece,
        size_max: usize,
        now: Micros,
    ) -> Option<Vec<u8>> {
        let (index, count) = (usize::from(piece.index), usize::from(piece.count));
        if count > PIECES_MAX || index >= count {
            return None;
        }
        self.messages
            .retain(|partial| now.since(partial.began) < WAITING_TIME_MAX);
        let place = self.place_of(sender, is_sealed, piece, now);
        let partial = self.messages.get_mut(place)?;
        partial.pieces[index] = Some(piece.bytes.clone());
        let size: usize = partial.pieces.iter().flatten().map(Vec::len).sum();
        if size <= size_max && partial.pieces.iter().any(Option::is_none) {
            return None;
        }
        let ended = self.messages.remove(place)?;
        if size > size_max {
            return None;
        }
        Some(ended.pieces.into_iter().flatten().flatten().collect())
    }

    /// Where the message is of which this is a piece.
    fn place_of(&mut self, sender: &Uri, is_sealed: bool, piece: &Piece, now: Micros) -> usize {
        let is_of = |partial: &Partial| {
            partial.id == piece.id
                && partial.is_sealed == is_sealed
                && partial.pieces.len() == usize::from(piece.count)
                && partial.sender == *sender
        };
        if let Some(place) = self.messages.iter().position(is_of) {
            return place;
        }
        if self.messages.len() == MESSAGES_MAX {
            self.messages.pop_front();
        }
        self.messages.push_back(Partial {
            sender: sender.clone(),
            is_sealed,
            id: piece.id,
            began: now,
            pieces: vec![None; piece.count.into()],
        });
        self.messages.len() - 1
    }

    /// Whether there are no more than there may be; for audits.
    pub fn is_bounded(&self) -> bool {
        self.messages.len() <= MESSAGES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a URI")
    }

    fn message(size: usize) -> Vec<u8> {
        (0..size).map(|number| number as u8).collect()
    }

    #[test]
    fn a_message_is_put_together_in_whatever_order_its_pieces_come() {
        let message = message(1300);
        let pieces = cut(&message, 7, 500).expect("few pieces");
        assert_eq!(pieces.len(), 3);
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut reassembly = Reassembly::default();
            let mut add =
                |index: usize| reassembly.add(&uri(1), false, &pieces[index], 1472, Micros(1));
            assert_eq!(add(order[0]), None);
            assert_eq!(add(order[0]), None, "twice");
            assert_eq!(add(order[1]), None);
            assert_eq!(add(order[2]), Some(message.clone()));
            assert!(reassembly.messages.is_empty());
        }
    }

    #[test]
    fn pieces_of_different_messages_are_not_put_together() {
        let (one, other) = (message(900), message(800));
        let one = cut(&one, 7, 500).expect("few pieces");
        let other = cut(&other, 8, 500).expect("few pieces");
        let mut reassembly = Reassembly::default();
        let mut add =
            |port, is_sealed, piece| reassembly.add(&uri(port), is_sealed, piece, 1472, Micros(1));
        assert_eq!(add(1, true, &one[0]), None);
        assert_eq!(add(2, true, &one[1]), None, "of another sender");
        assert_eq!(add(1, false, &one[1]), None, "not authenticated");
        assert_eq!(add(1, true, &other[1]), None, "of another message");
        assert_eq!(add(1, true, &one[1]), Some(message(900)));
    }

    #[test]
    fn what_waits_is_bounded_in_number_size_and_time() {
        let mut reassembly = Reassembly::default();
        let whole = message(900);
        let of = |id| cut(&whole, id, 500).expect("few pieces");
        for id in 0..100 {
            let first = &of(id)[0];
            assert_eq!(reassembly.add(&uri(1), false, first, 1472, Micros(1)), None);
            assert!(reassembly.is_bounded());
        }
        let second = |id: u32| of(id).remove(1);
        let mut add = |id, size_max, seconds: u64| {
            let now = Micros(seconds * 1_000_000);
            reassembly.add(&uri(1), false, &second(id), size_max, now)
        };
        assert_eq!(add(0, 1472, 1), None, "it was forgotten");
        assert_eq!(add(98, 800, 1), None, "too large");
        assert_eq!(add(99, 1472, 9), None, "too late");
        assert_eq!(cut(&message(9000), 1, 500), None, "too many pieces");
    }
}
