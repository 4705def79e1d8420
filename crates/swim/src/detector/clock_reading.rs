//! Answers that wait for a reading of the application's clock.
//!
//! A program may replace the clock that it sees; tests do. The engine cannot look at that clock: the
//! application tells what it shows, about once a second. A PING of [`crate::Swim::probe`] asks for a
//! reading, and its ACK waits for that, so that the prober learns what the clock shows now.

use core::mem;
use core::net::SocketAddr;
use core::time::Duration;

use crate::identity::uri::Uri;
use crate::security::seal::keyring::KeyId;
use crate::time::Micros;

/// How long an ACK waits at most: an application that computes for longer is alive all the same.
const WAIT_MAX: Duration = Duration::from_millis(20);

/// How long a reading is good for. It bounds how often peers can wake the application, at 20 µs each.
const READING_AGE_MAX: Duration = Duration::from_millis(10);

/// How many PINGs wait at most. Any other is answered at once.
const WAITING_MAX: usize = 64;

/// What is known of the application's clock, and the PINGs that wait for more.
#[derive(Debug, Default)]
pub struct ClockReading {
    /// When it was read; `None` while no application reads it.
    read: Option<Micros>,
    /// It is to be read, and the application does not know that yet.
    requested: bool,
    waiting: Vec<WaitingPing>,
}

/// A PING that is not answered yet.
#[derive(Debug)]
pub struct WaitingPing {
    /// Its sender, as it names itself.
    pub sender: Uri,
    /// Where it came from.
    pub source: SocketAddr,
    /// The message, encoded.
    pub plain: Vec<u8>,
    /// It was authenticated.
    pub is_sealed: bool,
    /// The key that the answer is encrypted with, if there is a choice.
    pub key: Option<KeyId>,
    /// How many bytes may be sent to the sender because of it, while its address is not validated.
    pub limit: usize,
}

impl ClockReading {
    /// Whether no more PINGs wait than may, and none where nothing is read; for audits.
    pub fn is_bounded(&self) -> bool {
        self.waiting.len() <= WAITING_MAX && (self.read.is_some() || self.waiting.is_empty())
    }

    /// Lets a PING wait for a reading. Returns until when; `None` if it is to be answered at once: the
    /// last reading is fresh, or there will be none.
    pub fn wait(
        &mut self,
        ping: impl FnOnce() -> WaitingPing,
        ack_timeout: Duration,
        now: Micros,
    ) -> Option<Micros> {
        let has_room = self.waiting.len() < WAITING_MAX;
        // A prober with a short timeout is not to give up meanwhile.
        let wait = WAIT_MAX.min(ack_timeout / 4);
        let read = self.read?;
        if !has_room || wait.is_zero() || now.since(read) <= READING_AGE_MAX {
            return None;
        }
        // One reading answers all that wait.
        self.requested |= self.waiting.is_empty();
        self.waiting.push(ping());
        Some(now + wait)
    }

    /// How many PINGs wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// If a PING waits now that did not when `before` of them waited, limits the bytes of its answer.
    pub fn limit_new(&mut self, before: usize, limit: usize) {
        if let Some(ping) = self.waiting.get_mut(before) {
            ping.limit = limit;
        }
    }

    /// Whether the application is to read its clock. Says so once.
    pub fn take_request(&mut self) -> bool {
        mem::take(&mut self.requested)
    }

    /// The application has read its clock at this time; `None` when it does not any more.
    pub const fn set_read(&mut self, read: Option<Micros>) {
        self.read = read;
    }

    /// The PINGs that wait no longer.
    pub fn take_waiting(&mut self) -> Vec<WaitingPing> {
        mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr, SocketAddr};

    use super::*;
    use crate::Swim;
    use crate::config::Config;
    use crate::security::amplification::{FACTOR, HEADERS_SIZE};
    use crate::table::claim::{Claim, Incarnation};
    use crate::table::history::Occasion;
    use crate::table::reason::Reason;
    use crate::time::Now;
    use crate::wire::{Body, MessageBuilder, MessageType, clock_ping_data, decode, ping_data};

    const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3301);

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a URI")
    }

    fn at(ms: u64) -> Now {
        let monotonic = Micros(ms * 1000);
        let wall = Micros(1_000_000_000 + ms * 1000);
        Now { monotonic, wall }
    }

    /// `a:1`. Its clock was read at 0 ms.
    fn reader() -> Swim {
        let mut swim = Swim::new(Config::default(), 1);
        swim.init(uri(1), at(0));
        swim.note_clock(at(0));
        swim.handle_timeout(at(0));
        let claim = Claim::alive(Incarnation::FIRST);
        let reason = &Reason::Announced;
        let occasion = Occasion { now: at(0), reason };
        let members = &mut swim.members;
        members.put(&uri(2), claim, None, Micros(0), &occasion);
        swim.members.set_validated(&uri(2), SOMEWHERE);
        drain(&mut swim);
        swim
    }

    fn drain(swim: &mut Swim) {
        while swim.poll_transmit().is_some() || swim.poll_report().is_some() {}
    }

    fn ping(swim: &mut Swim, data: &[u8], now: Now) {
        let datagram = ping_of(&uri(2), data);
        let heard = swim.handle_datagram(&datagram, SOMEWHERE, now);
        heard.expect("well formed");
    }

    fn ping_of(sender: &Uri, data: &[u8]) -> Vec<u8> {
        let mut draft = MessageBuilder::with_data(MessageType::Ping, sender, data, 1472);
        assert!(draft.event(sender, Claim::alive(Incarnation::FIRST), None, 0));
        draft.finish().expect("it fits")
    }

    fn probe(swim: &mut Swim, ms: u64) {
        ping(swim, &clock_ping_data(7, &uri(2), &uri(1), None), at(ms));
    }

    /// What the next ACK to the prober shows as the time.
    fn next_ack(swim: &mut Swim) -> Option<f64> {
        while let Some(sent) = swim.poll_transmit() {
            if let Body::Ack(echo) = &decode(&sent.datagram).expect("ours").body {
                assert!(!echo.wants_clock, "it takes no room in an ACK");
                return echo.ats;
            }
        }
        None
    }

    #[test]
    fn an_ack_waits_for_a_reading_and_shows_it() {
        let mut swim = reader();
        probe(&mut swim, 100);
        assert_eq!(next_ack(&mut swim), None);
        assert!(swim.poll_clock_request() && !swim.poll_clock_request());
        let wall = Micros(5_000_000);
        swim.note_clock(Now { wall, ..at(101) });
        assert_eq!(next_ack(&mut swim), Some(5_000_000.0));
        assert_eq!(next_ack(&mut swim), None, "once");
        drain(&mut swim);
        assert_eq!(swim.audit(), Ok(()));
    }

    #[test]
    fn the_ack_to_a_stranger_waits_as_well_and_is_limited_as_if_it_did_not() {
        let mut swim = reader();
        let stranger = uri(3);
        let data = clock_ping_data(7, &stranger, &uri(1), None);
        let datagram = ping_of(&stranger, &data);
        let heard = swim.handle_datagram(&datagram, SOMEWHERE, at(100));
        heard.expect("well formed");
        let wall = Micros(5_000_000);
        let mut sent: Vec<Vec<u8>> = Vec::new();
        let mut collect = |swim: &mut Swim| {
            sent.extend(std::iter::from_fn(|| swim.poll_transmit()).map(|sent| sent.datagram));
            sent.len()
        };
        let before = collect(&mut swim);
        swim.note_clock(Now { wall, ..at(101) });
        assert!(collect(&mut swim) > before);
        let bytes: usize = sent.iter().map(|sent| sent.len() + HEADERS_SIZE).sum();
        assert!(bytes <= FACTOR * (datagram.len() + HEADERS_SIZE), "{bytes}");
        let acks = sent.iter().filter_map(|sent| {
            let message = decode(sent).expect("ours");
            match message.body {
                Body::Ack(echo) => echo.ats,
                _ => None,
            }
        });
        assert_eq!(acks.collect::<Vec<_>>(), [5_000_000.0]);
    }

    #[test]
    fn an_application_that_computes_is_not_waited_for_longer_than_a_moment() {
        let mut swim = reader();
        probe(&mut swim, 100);
        swim.handle_timeout(at(119));
        assert_eq!(next_ack(&mut swim), None);
        swim.handle_timeout(at(120));
        assert_eq!(next_ack(&mut swim), Some(at(120).wall.0 as f64));
    }

    #[test]
    fn a_reading_is_good_for_others_who_ask_at_the_same_time() {
        let mut swim = reader();
        probe(&mut swim, 10);
        assert!(!swim.poll_clock_request());
        assert_eq!(next_ack(&mut swim), Some(at(10).wall.0 as f64));
        (0..WAITING_MAX).for_each(|_| probe(&mut swim, 100));
        assert!(swim.poll_clock_request() && next_ack(&mut swim).is_none());
        probe(&mut swim, 100);
        assert!(next_ack(&mut swim).is_some(), "no more than so many wait");
        swim.note_clock(at(101));
        let answered = std::iter::from_fn(|| next_ack(&mut swim)).count();
        assert_eq!(answered, WAITING_MAX);
    }

    #[test]
    fn other_pings_do_not_wait_nor_does_any_where_no_clock_is_read() {
        let mut swim = reader();
        ping(&mut swim, &ping_data(7, &uri(2), &uri(1), None), at(100));
        assert!(next_ack(&mut swim).is_some());
        swim.forget_clock(at(101));
        probe(&mut swim, 200);
        assert!(next_ack(&mut swim).is_some() && !swim.poll_clock_request());
    }
}
