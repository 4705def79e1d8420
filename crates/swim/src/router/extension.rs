//! What only native peers say to each other, behind a message that says nothing.

use super::Turn;
use super::answer::Rx;
use crate::identity::uri::Uri;
use crate::router::apply::Reaction;
use crate::table::claim::{Claim, Incarnation, Status};
use crate::wire::{Event, Extension};

impl Turn<'_> {
    /// Does what the trailer of a LEAVE asks for.
    pub(super) fn hear_extension(
        &mut self,
        rx: &Rx<'_>,
        note: Option<&Extension>,
        reaction: &mut Reaction,
    ) {
        match note {
            Some(Extension::Compare(_) | Extension::Confirm { .. }) if self.cause.is_limited() => {
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
            Some(Extension::Differ { .. } | Extension::Piece(_)) | None => {}
        }
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
