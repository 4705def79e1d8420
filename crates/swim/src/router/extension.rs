//! What only native peers say to each other, behind a message that says nothing.

use super::Turn;
use super::answer::Rx;
use crate::identity::uri::Uri;
use crate::router::apply::Reaction;
use crate::table::claim::{Claim, Incarnation, Status};
use crate::wire::{Event, Extension, encode_history};

/// How many changes are looked at to be told in one datagram, which holds fewer.
const CHANGES_MAX: usize = 64;

/// What is around the trailer of a LEAVE: heads, type, and a length.
const FRAME_SIZE: usize = 32;

impl Turn<'_> {
    /// Does what the trailer of a LEAVE asks for.
    pub(super) fn hear_extension(
        &mut self,
        rx: &Rx<'_>,
        note: Option<&Extension>,
        reaction: &mut Reaction,
    ) {
        match note {
            Some(
                Extension::Compare(_) | Extension::Confirm { .. } | Extension::HistorySince(_),
            ) if self.cause.is_limited() => {
                self.set_aside(rx.sender, rx.source, rx.plain);
            }
            Some(Extension::Compare(sums)) => {
                self.tell_duplicates(rx.sender);
                self.show_differing(rx.sender, sums);
            }
            Some(Extension::Confirm { dst, incarnation }) => {
                self.hear_confirmation(rx.sender, dst, *incarnation, reaction);
            }
            Some(Extension::Nack { ts, dst }) => self.hear_nack(rx.sender, *ts, dst),
            Some(Extension::HistorySince(since)) => self.tell_history(rx.sender, *since),
            // Only the tool of an operator asks for a history.
            Some(Extension::Differ { .. } | Extension::Piece(_) | Extension::History(_)) | None => {
            }
        }
    }

    /// `peer`, the tool of an operator, wants to know what has changed after version `since`: tells as much of it as
    /// goes into one datagram.
    fn tell_history(&mut self, peer: &Uri, since: Option<u64>) {
        let Some(myself) = &self.swim.me.uri else {
            return;
        };
        let frame = FRAME_SIZE + myself.len() + self.trailer().encode().len();
        if self.is_blocked(peer) {
            return;
        }
        let (limit, _in_pieces) = self.capacities_of_path(peer);
        let since = since.unwrap_or_else(|| self.swim.news());
        let excerpt = self.swim.history_since(since, CHANGES_MAX);
        let told = encode_history(&excerpt, limit.saturating_sub(frame));
        self.send_extension(Extension::History(told), peer);
    }

    /// `sender` gets no answer of `suspect`. That is a suspicion, if none was heard yet.
    fn hear_confirmation(
        &mut self,
        sender: &Uri,
        suspect: &Uri,
        incarnation: Incarnation,
        reaction: &mut Reaction,
    ) {
        let suspicion = Claim::alive(incarnation).with(Status::Suspect);
        self.apply_all(sender, &[Event::local(suspect, suspicion)], reaction);
        self.count_confirmation(sender, suspect, incarnation);
    }
}
