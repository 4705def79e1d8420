//! What only native peers say to each other, behind a message that says nothing.

use super::Turn;
use super::answer::Rx;
use crate::wire::Extension;

impl Turn<'_> {
    /// Does what the trailer of a LEAVE asks for.
    pub(super) fn hear_extension(&mut self, rx: &Rx<'_>, note: Option<&Extension>) {
        match note {
            Some(Extension::Compare(_)) if self.cause.is_limited() => {
                self.set_aside(rx.sender, rx.source, rx.plain);
            }
            Some(Extension::Compare(sums)) => {
                self.tell_duplicates(rx.sender);
                self.show_differing(rx.sender, sums);
            }
            Some(Extension::Nack { ts, dst }) => self.hear_nack(rx.sender, *ts, dst),
            Some(Extension::Differ { .. } | Extension::Piece(_)) | None => {}
        }
    }
}
