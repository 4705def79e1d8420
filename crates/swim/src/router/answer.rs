//! Pings of others: answered, forwarded, and refused.

use core::net::SocketAddr;

use super::Turn;
use super::compose::Saying;
use crate::detector::clock_reading::WaitingPing;
use crate::dissemination::gossip::Telling;
use crate::identity::uri::Uri;
use crate::security::amplification::Cause;
use crate::security::seal::aead::Sealed;
use crate::timers::Timer;
use crate::wire::{Body, Extension, MessageType, PingData, ack_data, decode};

/// What is known of the datagram at hand.
#[derive(Clone, Copy)]
pub(super) struct Rx<'a> {
    /// Its sender, as it names itself.
    pub sender: &'a Uri,
    /// Where it came from.
    pub source: SocketAddr,
    /// The message, encoded.
    pub plain: &'a [u8],
    /// What was authenticated along with it.
    pub sealed: Option<Sealed>,
    /// Whether it was encrypted, in whichever way.
    pub is_encrypted: bool,
    /// The digest of the table of its sender, if it tells that.
    pub digest: Option<u64>,
}

impl Turn<'_> {
    /// Answers a ping, now or as soon as the clock has been read.
    pub(super) fn answer(&mut self, rx: &Rx<'_>, echo: &PingData<'_>, asks_keys: bool) {
        if !echo.wants_clock {
            return self.answer_at_once(rx, echo, asks_keys);
        }
        let ping = || WaitingPing {
            sender: rx.sender.clone(),
            source: rx.source,
            plain: rx.plain.to_vec(),
            is_sealed: rx.sealed.is_some(),
            key: self.heard.as_ref().map(|(_sender, key)| *key),
            limit: 0,
        };
        let reading = &mut self.swim.detector.clock_reading;
        match reading.wait(ping, self.swim.config.ack_timeout, self.now.monotonic) {
            Some(until) => self.swim.timers.advance(Timer::Clock, until),
            None => self.answer_at_once(rx, echo, asks_keys),
        }
    }

    /// Answers a ping. If there is no room for the local payload, since the address of the asker is not
    /// validated, the answer has to wait until it is: the asker takes an answer to mean that it knows
    /// the payload.
    fn answer_at_once(&mut self, rx: &Rx<'_>, echo: &PingData<'_>, asks_keys: bool) {
        let short = self.short_ack(echo);
        let data = match short {
            Some(_) => Vec::new(),
            None => ack_data(echo.raw, self.now.wall),
        };
        let saying = Saying { data: &data, short };
        let mut trailer = self.trailer();
        if asks_keys {
            trailer.keys = self.swim.security.keys.ids().collect();
        }
        // An ACK without a digest says that it is that of the PING.
        if rx.digest == trailer.digest {
            trailer.digest = None;
        }
        // The asker waits where it has asked from: its URI may lead elsewhere. A ping of the local node to
        // itself can be a recording, and is not limited.
        let at = if echo.src == Some(&**rx.sender) && !self.swim.me.is(rx.sender) {
            Some(rx.source)
        } else {
            None
        };
        // A peer asks again: that had an effect if its table has changed since.
        let number = rx.digest.or(echo.ts).unwrap_or(0);
        // A user's ping promises more: its answer brings the payload.
        let has_failed = !echo.wants_clock && self.has_answered_in_vain(rx.sender, number);
        // What was asked for comes first: the keys.
        let telling = if has_failed || asks_keys {
            Telling::Little
        } else {
            Telling::News
        };
        let kind = MessageType::Ack;
        match self.send_with_gossip_and(kind, saying, rx.sender, at, telling, &trailer) {
            Some(sent) if trailer.digest.is_some() => {
                self.note_answer_of_size(rx.sender, number, sent.size);
            }
            Some(_) => {}
            None => {
                // Should it ask again before its address is validated, it gets a small answer.
                let path_mtu = &mut self.swim.detector.path_mtu;
                path_mtu.note_answer(rx.sender, number, usize::MAX);
                self.set_aside(rx.sender, rx.source, rx.plain);
            }
        }
    }

    /// Answers a ping that has waited.
    fn answer_late(&mut self, ping: &WaitingPing) {
        let Ok(message) = decode(&ping.plain) else {
            return;
        };
        let Body::Ping(echo) = &message.body else {
            return;
        };
        let rx = Rx {
            sender: &ping.sender,
            source: ping.source,
            plain: &ping.plain,
            sealed: None,
            is_encrypted: false,
            digest: None,
        };
        let cause = if ping.is_sealed {
            Cause::Own
        } else {
            Cause::datagram(&ping.sender, ping.source, ping.limit, self.peers())
        };
        let mut turn = self.because_of(cause);
        turn.heard = ping.key.map(|key| (ping.sender.clone(), key));
        turn.answer_at_once(&rx, echo, false);
    }

    /// Answers the PINGs that wait, with the last reading of the application's clock.
    pub(super) fn answer_waiting(&mut self) {
        self.swim.timers.stop(Timer::Clock);
        for ping in self.swim.detector.clock_reading.take_waiting() {
            self.answer_late(&ping);
        }
    }

    /// Forwards a ping to the member that it asks for.
    pub(super) fn relay_ping(&mut self, sender: &Uri, ping: &PingData<'_>) {
        // A ping of the local node that has come back: to a former URI of it, or to an address of
        // another.
        if self.swim.me.is(sender) {
            return;
        }
        let Some(dst) = ping.dst.and_then(Uri::from_wire) else {
            return;
        };
        if self.swim.detector.indirect_pings.admit(sender, ping) {
            self.swim.stats.relayed += 1;
            self.send_with_gossip(MessageType::Ping, ping.raw, &dst, Telling::News);
        } else {
            self.swim.stats.relays_refused += 1;
        }
    }

    /// Forwards an answer to the member that asked.
    pub(super) fn relay_answer(&mut self, answer: &PingData<'_>) {
        let Some(src) = answer.src.and_then(Uri::from_wire) else {
            return;
        };
        if self.swim.detector.indirect_pings.expects(answer) {
            // Its address was validated when it asked.
            let mut turn = self.because_of_others();
            turn.send_with_gossip(MessageType::Ack, answer.raw, &src, Telling::News);
        } else {
            self.swim.stats.acks_unsolicited += 1;
        }
    }

    /// The port of `dst` is closed: tells the native members that had a ping forwarded to it.
    pub(super) fn nack(&mut self, dst: &Uri) {
        for (ts, asker) in self.swim.detector.indirect_pings.take(dst) {
            // A peer on membership 2.x would not look at it.
            if let Some(member) = self.swim.members.get(&asker)
                && member.is_native()
            {
                let dst = dst.clone();
                self.send_extension(Extension::Nack { ts, dst }, &asker);
            }
        }
    }
}
