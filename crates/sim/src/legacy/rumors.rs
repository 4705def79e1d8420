//! Applies claims, refutes, and makes rumors.

use super::{Legacy, Record, Rumor};
use swim::identity::uri::Uri;
use swim::log_event::LogEvent;
use swim::table::claim::{Claim, Status};
use swim::table::payload::Payload;
use swim::time::Now;
use swim::wire::Event;

impl Legacy {
    /// Applies an event of a PING, ACK or LEAVE.
    pub(super) fn apply_event(&mut self, event: &Event<'_>, now: Now) {
        if self.myself.as_deref() == Some(&event.uri) {
            return self.refute(event, now);
        }
        if self.is_news(event) {
            let (uri, payload) = self.own_copy(event);
            let ttl = event.ttl;
            self.apply(
                uri,
                Rumor {
                    claim: event.claim,
                    payload,
                    ttl,
                },
                now,
            );
        }
    }

    pub(super) fn is_news(&self, event: &Event<'_>) -> bool {
        event.claim.overrides(self.claim(&event.uri))
    }

    /// The URI and payload of an event. They share memory with those in the table if they are equal.
    pub(super) fn own_copy(&self, event: &Event<'_>) -> (Uri, Option<Payload>) {
        let known = self.members.get_key_value(event.uri.as_str());
        let uri = match known {
            Some((uri, _)) => uri.clone(),
            None => event.uri.to_uri(),
        };
        if let Some((_, record)) = known
            && let Some(payload) = &record.payload
            && event.payload == Some(payload.bytes())
        {
            return (uri, Some(payload.clone()));
        }
        let payload = match event.payload {
            Some(sent) => Payload::new(sent).ok(),
            None => None,
        };
        (uri, payload)
    }

    fn refute(&mut self, event: &Event<'_>, now: Now) {
        let Some(myself) = self.myself.clone() else {
            return;
        };
        let Claim {
            incarnation,
            status,
        } = event.claim;
        let (mut is_accused, mut payload) = (status != Status::Alive, None);
        if let Some(own) = self.members.get(&myself) {
            let held = own.claim.incarnation;
            is_accused = is_accused && incarnation >= held;
            if !is_accused && incarnation <= held {
                return;
            }
            payload = own.payload.clone();
        }
        if is_accused {
            self.reports.push_back(LogEvent::Refuted { rumor: status });
        }
        let rumor = Rumor {
            claim: Claim::alive(incarnation.next()),
            payload,
            ttl: self.members.len() as f64,
        };
        self.apply(myself, rumor, now);
    }

    /// Makes a claim, and a rumor of it.
    pub(super) fn generate(&mut self, uri: &Uri, claim: Claim, payload: Option<Payload>, now: Now) {
        if claim.overrides(self.claim(uri)) {
            let ttl = self.new_ttl();
            self.apply(
                uri.clone(),
                Rumor {
                    claim,
                    payload,
                    ttl,
                },
                now,
            );
        }
    }

    /// ⌊log2 N⌋ + 2; minus infinity for the very first rumor.
    pub(super) fn new_ttl(&self) -> f64 {
        match self.members.len().checked_ilog2() {
            Some(digits) => f64::from(digits) + 2.0,
            None => f64::NEG_INFINITY,
        }
    }

    /// Puts a claim into the table, and gossips it.
    pub(super) fn apply(&mut self, uri: Uri, rumor: Rumor, now: Now) {
        let mut payload = rumor.payload.clone();
        if payload.is_none()
            && let Some(record) = self.members.get(&uri)
        {
            payload.clone_from(&record.payload);
        }
        let record = Record {
            claim: rumor.claim,
            payload,
            since: now.monotonic,
        };
        if rumor.claim.status == Status::Suspect {
            self.suspects.insert(uri.clone());
        } else {
            self.suspects.swap_remove(&uri);
        }
        self.members.insert(uri.clone(), record);
        self.rumors.insert(uri, rumor);
    }
}
