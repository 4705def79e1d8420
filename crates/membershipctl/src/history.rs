//! The query that reads what has changed in the table of an instance, and why.

use core::time::Duration;

use swim::time::{Micros, Now};
use swim::wire::{Extension, Message, ToldChange, decode_history};

use crate::client::{Query, Request};
use crate::error::QueryError;

/// How soon a request without an answer is repeated; the time doubles with each.
const REPEAT: Duration = Duration::from_millis(200);

/// How long an answer may take. An earlier version does not answer at all.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How many changes are read at a time. The others come with the next query.
const CHANGES_MAX: usize = 1000;

/// What an instance has told of its history so far.
#[derive(Debug)]
pub struct History {
    /// After which version the changes are of interest; `None` for none but those to come.
    since: Option<u64>,
    told: Told,
    has_answered: bool,
    is_over: bool,
    repeat: Micros,
    pause: Duration,
    give_up_at: Option<Micros>,
}

/// What an instance has told.
#[derive(Debug, Default)]
pub struct Told {
    /// What to ask with the next time.
    pub reached: u64,
    /// Some changes are missing.
    pub lost: bool,
    /// The changes, the oldest first.
    pub changes: Vec<ToldChange>,
}

impl History {
    /// Begins a query for the changes after this version; `None`, for its number alone.
    pub fn since(since: Option<u64>) -> Self {
        Self {
            since,
            told: Told::default(),
            has_answered: false,
            is_over: false,
            repeat: Micros(0),
            pause: REPEAT,
            give_up_at: None,
        }
    }

    /// What was told; `None` if there was no answer.
    pub fn finish(self) -> Option<Told> {
        self.has_answered.then_some(self.told)
    }
}

impl Query for History {
    fn poll_request(&mut self, now: Now) -> Option<Request> {
        let give_up_at = *self.give_up_at.get_or_insert(now.monotonic + TIMEOUT);
        self.is_over |= now.monotonic >= give_up_at;
        if self.is_over || now.monotonic < self.repeat {
            return None;
        }
        self.repeat = now.monotonic + self.pause;
        self.pause *= 2;
        Some(Request::History(self.since))
    }

    fn handle_message(&mut self, message: &Message<'_>, now: Now) {
        let Some(trailer) = &message.trailer else {
            return;
        };
        let Some(Extension::History(bytes)) = &trailer.note else {
            return;
        };
        let Some(told) = decode_history(bytes) else {
            return;
        };
        let since = self.since.unwrap_or(0);
        // The instance was restarted, and counts anew.
        let is_anew = told.lost && told.reached < since;
        let mut changes = told.changes;
        // A request that was repeated is answered twice.
        changes.retain(|change| is_anew || change.number > since);
        if self.is_over || changes.is_empty() && told.reached < since && !is_anew {
            return;
        }
        self.has_answered = true;
        self.told.reached = told.reached;
        self.told.lost |= told.lost;
        self.is_over = changes.is_empty();
        self.told.changes.append(&mut changes);
        self.is_over |= self.told.changes.len() >= CHANGES_MAX;
        self.since = Some(told.reached);
        (self.repeat, self.pause) = (now.monotonic, REPEAT);
        self.give_up_at = Some(now.monotonic + TIMEOUT);
    }

    fn handle_error(&mut self, _error: QueryError) {
        // The table was asked for just before: what is wrong shows there.
    }

    fn deadline(&self) -> Option<Micros> {
        if self.is_over {
            return None;
        }
        match self.give_up_at {
            Some(give_up_at) => Some(self.repeat.min(give_up_at)),
            None => Some(self.repeat),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use swim::Swim;
    use swim::config::Config;
    use swim::identity::uri::Uri;
    use swim::wire::{Body, MessageBuilder, Trailer, checksummed, decode};

    use super::*;
    use crate::fixture::{SOMEWHERE, answer, at, uri};

    /// An instance in whose table this many changes were made.
    fn node(changes: u16) -> Swim {
        let mut node = Swim::new(Config::default(), 1);
        node.init(uri(1), at(0));
        for port in 2..=changes {
            node.add_member(uri(port), at(0));
        }
        while node.poll_transmit().is_some() {}
        node
    }

    fn request(request: &Request, tool: &Uri) -> Vec<u8> {
        let Request::History(since) = request else {
            panic!("a history is asked for: {request:?}");
        };
        let trailer = Trailer {
            note: Some(Extension::HistorySince(*since)),
            ..Trailer::default()
        };
        let draft = MessageBuilder::leave(tool, 1472).trailed_by(&trailer);
        checksummed(draft.finish().expect("it is short"))
    }

    /// Asks from this time on, until the query is over. This share of what the instance sends is lost.
    fn ask(node: &mut Swim, since: Option<u64>, lost: f64, begin: u64) -> Option<Told> {
        let (tool, mut history) = (uri(9999), History::since(since));
        let mut chance = StdRng::seed_from_u64(7);
        for step in 1..10_000 {
            let now = at(begin + step * 10_000);
            while let Some(asked) = history.poll_request(now) {
                let asked = request(&asked, &tool);
                node.handle_datagram(&asked, SOMEWHERE, now)
                    .expect("a message");
            }
            while let Some(sent) = node.poll_transmit() {
                if sent.to != tool || chance.random_bool(lost) {
                    continue;
                }
                let message = decode(&sent.datagram).expect("a message");
                if let Body::Ping(ping) = &message.body {
                    node.handle_datagram(&answer(ping, &tool), SOMEWHERE, now)
                        .expect("a message");
                }
                history.handle_message(&message, now);
            }
            if history.deadline().is_none() {
                return history.finish();
            }
        }
        panic!("it does not end");
    }

    #[test]
    fn each_change_is_read_once_and_in_order_although_answers_are_lost() {
        for lost in [0.0, 0.1] {
            let mut node = node(300);
            let told = ask(&mut node, Some(0), lost, 0).expect("it answers");
            assert!(!told.lost);
            let uris: Vec<Uri> = told.changes.into_iter().map(|change| change.uri).collect();
            let expected: Vec<Uri> = (1..=300).map(uri).collect();
            // A query ends when there was no answer for long: the next one goes on.
            assert_eq!(uris, expected[..uris.len()], "{lost}");
            assert_eq!(uris.len() == 300, told.reached == node.news(), "{lost}");
            assert!(uris.len() == 300 || lost > 0.0);
            assert!(node.member(&uri(9999)).is_none(), "the tool is no member");
        }
    }

    #[test]
    fn what_was_before_the_first_look_is_of_no_interest_and_what_comes_later_is() {
        let mut node = node(30);
        let first = ask(&mut node, None, 0.0, 0).expect("it answers");
        assert_eq!((first.reached, first.changes.len()), (node.news(), 0));
        let later = 100_000_000;
        node.remove_member(&uri(7), at(later));
        let told = ask(&mut node, Some(first.reached), 0.0, later).expect("it answers");
        assert_eq!(told.changes.len(), 1);
        assert_eq!(
            (&told.changes[0].uri, &*told.changes[0].why),
            (&uri(7), "removed")
        );
    }

    #[test]
    fn an_instance_that_was_restarted_tells_its_history_anew_and_that_some_is_missing() {
        let told = ask(&mut node(5), Some(1_000_000), 0.0, 0).expect("it answers");
        assert!(told.lost);
        assert_eq!(told.changes.len(), 5);
    }
}
