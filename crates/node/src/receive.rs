//! Handles what has arrived: answers of the resolver, datagrams, ICMP errors, and the time.

use core::net::SocketAddr;
use core::time::Duration;

use crate::net::socket::Inbox;
use crate::notify::log_queue::Topic;
use crate::observe::delivery_errors::DeliveryError;
use crate::state::State;
use swim::Sighting;
use swim::identity::uri::Uri;
use swim::log_event::Level;
use swim::time::{Micros, Now};
use swim::wire::DropReason;

/// The time between two datagrams from networks that are not allowed of which the log and the hints tell.
const ELSEWHERE_PAUSE: Duration = Duration::from_millis(100);

impl State {
    /// Handles what has arrived, then the timers that are due, unless more datagrams wait: an answer that came
    /// in time must be seen before its timer.
    pub fn handle_inbox(&mut self, inbox: &Inbox, timers: bool, now: Now) {
        #[cfg(test)]
        {
            assert!(!self.sabotaged, "sabotage");
            self.turns += 1;
        }
        self.handle_answers(now.monotonic);
        let turned_away = self.ingress.turned_away();
        for (datagram, source) in inbox.iter() {
            self.handle_datagram(datagram, source, now);
        }
        if self.ingress.turned_away() > turned_away {
            let line = "Receive overload: dropping datagrams, those of unknown senders first";
            self.log_queue
                .push_limited(Topic::Overload, Level::Warn, line, now.monotonic);
        }
        // The error has the address alone; under which names members are known there, the book says.
        for recipient in inbox.closed_ports() {
            for uri in self.addresses.note_refused(recipient) {
                self.delivery_errors
                    .note(&uri, DeliveryError::Refused, now.monotonic);
                self.swim.handle_refused(&uri, now);
            }
        }
        let timeout = self.swim.config().tx_stall_timeout;
        self.lua_states.check(timeout, now.monotonic);
        self.swim.set_stalled(self.lua_states.is_stalled(), now);
        if timers
            && let Some(deadline) = self.swim.next_deadline()
            && deadline <= now.monotonic
        {
            self.swim.handle_timeout(now);
        }
    }

    fn handle_answers(&mut self, now: Micros) {
        while let Some(resolver) = &self.resolver
            && let Some(answer) = resolver.poll_answer()
        {
            let how_known = |uri: &Uri| self.swim.acquaintance(uri);
            for route in self.addresses.handle_answer(answer, &how_known, now) {
                self.dispatch(route, now);
            }
        }
    }

    fn handle_datagram(&mut self, datagram: &[u8], source: SocketAddr, now: Now) {
        if self.swim.is_elsewhere(source) && !self.is_own(source) {
            return self.handle_elsewhere(source, now);
        }
        let (is_neighbour, size) = (self.is_neighbour(source), datagram.len());
        if !self
            .ingress
            .admits(source, is_neighbour, size, now.monotonic)
        {
            return;
        }
        // An answer can cost more than the question, and is charged to the one that asked.
        let sent_before = self.swim.stats().sent.bytes();
        let handled = self.swim.handle_datagram(datagram, source, now);
        let sent = self.swim.stats().sent.bytes() - sent_before;
        self.ingress.charge(source, sent);
        self.note_sighting(source);
        match handled {
            Ok(()) => self.note_understood(source, now),
            Err(reason) => self.handle_dropped(source, reason, now),
        }
    }

    /// Ends what was said of the sender of a datagram that was not understood, or of its port.
    fn note_understood(&mut self, source: SocketAddr, now: Now) {
        self.undecodable.note_understood(source, now.monotonic);
        if self.delivery_errors.is_contestable(now.monotonic) {
            for uri in self.addresses.members_at(source) {
                self.delivery_errors.note_received(&uri);
            }
        }
    }

    /// Notes where the sender of the datagram at hand was seen, if it is a member.
    fn note_sighting(&mut self, source: SocketAddr) {
        let Some(sighting) = self.swim.poll_sighting() else {
            return;
        };
        let Sighting {
            sender,
            answered,
            is_sealed,
        } = sighting;
        if self.swim.myself() == Some(&sender) || self.swim.member(&sender).is_none() {
            return;
        }
        if answered {
            self.addresses.note_answer(&sender, source, is_sealed);
        } else {
            self.addresses.note_source(&sender, source);
        }
    }

    /// A datagram came from a network that is not allowed. There is no limit to them but that of the system: so each
    /// is counted, and only of a few is more said than that.
    fn handle_elsewhere(&mut self, source: SocketAddr, now: Now) {
        self.swim.handle_elsewhere();
        if now.monotonic >= self.next_elsewhere {
            self.next_elsewhere = now.monotonic + ELSEWHERE_PAUSE;
            self.handle_dropped(source, DropReason::Elsewhere, now);
        }
    }

    /// Whether that is an address of the local node: its pings to itself come from there.
    fn is_own(&self, source: SocketAddr) -> bool {
        let Some(myself) = self.swim.myself() else {
            return false;
        };
        self.addresses.address(myself) == Some(source)
    }

    /// Whether a live member has answered a ping at `source`.
    fn is_neighbour(&self, source: SocketAddr) -> bool {
        let members = self.swim.members();
        for uri in self.addresses.members_at(source) {
            // What counts is an address that has answered: to use the name of a member costs nothing.
            if members.validated_at(&uri) == Some(source) {
                return true;
            }
        }
        false
    }

    /// Deals with a datagram that was dropped. If the reason is a key or another setting, it may be why a member
    /// at that address is dead.
    fn handle_dropped(&mut self, source: SocketAddr, reason: DropReason, now: Now) {
        let explanation = reason.explanation();
        if reason.may_be_wrong_key() || explanation.is_some() {
            for uri in self.addresses.members_at(source) {
                let error = DeliveryError::Dropped(reason);
                self.delivery_errors.note(&uri, error, now.monotonic);
                if reason.may_be_wrong_key() {
                    self.swim.handle_undecodable(&uri, now);
                }
            }
        }
        if reason.may_be_wrong_key()
            && let Some(count) = self.undecodable.note(source, now.monotonic)
        {
            let line = format!(
                "Ignoring datagrams from {source}: {count} in a row cannot be decoded. \
                 Has it another encryption key?"
            );
            self.log_queue.push(Level::Warn, line);
        }
        if let Some(explanation) = explanation {
            let line = format!("Ignoring datagrams from {source}: {explanation}");
            self.log_queue
                .push_limited(Topic::UnknownSender, Level::Warn, line, now.monotonic);
        }
    }
}
