//! Anti-entropy with members that run membership 2.x: tables are exchanged with one now and then, so that
//! what gossip has missed is not missed for ever.
//!
//! They believe what a table says of themselves, be it of a former life: so no member is told about
//! itself here. That is for pings, which say it as events, to be refuted.

use crate::table::member::Member;
use crate::wire::{MessageBuilder, Statement};

/// How many datagrams an answer has at most. Peers on membership 2.x send one and take any number.
pub const ANSWER_DATAGRAMS_MAX: usize = 4;

/// How many records may be too big for what is left of the last datagram before the search for a
/// smaller one ends: it bounds the work per datagram.
const MISFITS_MAX: usize = 8;

/// Fills up to so many datagrams with records; at least one, though it be empty.
pub fn pack<'a>(
    blank: impl Fn() -> MessageBuilder,
    datagrams_max: usize,
    members: impl Iterator<Item = &'a Member>,
) -> Vec<MessageBuilder> {
    let add = |draft: &mut MessageBuilder, member: &Member| draft.record_of(&Statement::of(member));
    let (mut full, mut draft, mut misfits) = (Vec::new(), blank(), 0);
    for member in members {
        let mut fits = add(&mut draft, member);
        if !fits && !draft.is_empty() && full.len() + 1 < datagrams_max {
            full.push(core::mem::replace(&mut draft, blank()));
            fits = add(&mut draft, member);
        }
        misfits += usize::from(!fits);
        if misfits == MISFITS_MAX {
            break;
        }
    }
    full.push(draft);
    full
}
