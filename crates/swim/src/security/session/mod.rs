//! Whether what was sealed with the local key is fresh: said in this life of its sender, in this life
//! of the local node, and once.
//!
//! Every engine draws a session at random when it begins to live, and counts its datagrams. Of a
//! session that has been confirmed, each counter is believed once. One that has not is believed
//! nothing; it is sent a challenge, a number that only the local node can make and that cannot have
//! been recorded before. A peer that sends it back lives now. Its window begins with that datagram, so
//! whatever it has said before, to the local node or to others, is too old.
//!
//! A challenge is made from the session that it is for and a secret of the local node's own, like the
//! cookies of WireGuard or DTLS: nothing has to be remembered of senders that have not answered.
//!
//! A challenge also shows the addressee of the datagram that provoked it, and is answered
//! only if that datagram can have led to the challenger, see [`Sessions::response`]. Otherwise one
//! datagram of one group, replayed to another group with the same key, would introduce them.
//!
//! | file | subject |
//! |---|---|
//! | `window` | which datagrams of a session were received |
//! | `recipients` | what the local node has sent to, and so may be challenged for |
//! | `pings` | pings, to be sent again when their recipient did not believe them |
//! | `unanswered` | challenges that were not answered |
//! | `retired` | sessions that were replaced |

mod pings;
mod recipients;
mod retired;
mod unanswered;
mod window;

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use rand::RngExt;
use rand::rngs::StdRng;
use xxhash_rust::xxh3::xxh3_64;

use crate::hashing::{HashKey, KeyedMap};
use crate::identity::uri::Uri;
use crate::security::seal::aead::{Challenge, PacketNumber, SessionId};
use crate::security::secret::Secret;
use crate::time::{Micros, Now};
use pings::LastPings;
use recipients::{Recipients, mark};
use retired::Retired;
use unanswered::Unanswered;
use window::Window;

/// For how long at least a challenge may be answered, in µs, and for twice that at most: what is held
/// up on its way for longer is not believed.
const CHALLENGE_LIFE: u64 = 10_000_000;

/// How many sessions may be confirmed of senders that are not in the table.
const STRANGERS_MAX: usize = 256;

/// How long a sender that is not believed waits for another challenge, in µs.
const CHALLENGE_PAUSE: u64 = 20_000;

/// How many challenges are sent within such a pause: a thousand members that join at once take a
/// fifth of a second.
const CHALLENGES_MAX: usize = 128;

/// The local session, and those of others.
pub struct Sessions {
    own: SessionId,
    sent: u64,
    /// What goes with it: see [`PacketNumber::salt`].
    salt: u64,
    /// Of the local node's datagrams to itself.
    heard_myself: Window,
    secret: Secret,
    /// Rises when all challenges become invalid.
    generation: u64,
    /// The sessions that are confirmed, one for each member.
    confirmed: KeyedMap<Uri, Peer>,
    /// When each was last heard, in the order of isolation.
    heard: u64,
    retired: Retired,
    /// Those that were challenged of late, whether while answering a challenge of theirs, and when.
    challenged: VecDeque<(SessionId, bool, Micros)>,
    unanswered: Unanswered,
    /// What was asked of peers that may not believe it yet.
    pub pings: LastPings,
    recipients: Recipients,
    /// By what a challenge to a broadcast of the local node is known.
    broadcast: Option<u64>,
    /// The local URI, and by what a challenge to a datagram to it is known.
    myself: Option<(Uri, u64)>,
}

struct Peer {
    session: SessionId,
    window: Window,
    heard: u64,
}

/// What to make of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It is said for the first time.
    Fresh,
    /// It has been said before, or too long ago to tell.
    Replayed,
    /// It may be a recording.
    Unconfirmed,
}

/// A number for the member that something is meant for.
pub fn address(uri: &str) -> u64 {
    xxh3_64(uri.as_bytes())
}

const fn epoch(now: Now) -> u64 {
    now.monotonic.0 / CHALLENGE_LIFE
}

impl Sessions {
    /// Those of an engine that begins to live.
    pub fn new(rng: &mut StdRng, hash_key: &HashKey) -> Self {
        let secret = Secret::draw(rng);
        Self {
            own: rng.random(),
            sent: 0,
            salt: rng.random(),
            // Counters begin with 1: all of them are yet to come.
            heard_myself: Window::after(0),
            secret,
            generation: 0,
            confirmed: KeyedMap::with_hasher(hash_key.clone()),
            heard: 0,
            retired: Retired::default(),
            challenged: VecDeque::new(),
            unanswered: Unanswered::default(),
            pings: LastPings::default(),
            recipients: Recipients::new(hash_key),
            broadcast: None,
            myself: None,
        }
    }

    /// Forgets all others; nothing that they have said so far is ever believed again.
    pub fn clear(&mut self) {
        self.confirmed.clear();
        self.pings.clear();
        self.recipients.clear();
        self.invalidate_challenges();
    }

    /// What the next datagram is sealed with.
    pub fn stamp(&mut self) -> PacketNumber {
        self.sent += 1;
        PacketNumber {
            session: self.own,
            salt: self.salt,
            counter: self.sent,
        }
    }

    /// What is sealed from now on goes with this salt.
    pub const fn set_salt(&mut self, salt: u64) {
        self.salt = salt;
    }

    /// Notes that something is sent to `to` of the local node's own accord, or to a member. A challenge
    /// is none of that: it follows from a datagram that may be a recording.
    pub fn note_recipient(&mut self, to: &Uri, now: Now) {
        let mark = mark(&self.own, address(to));
        self.recipients.note(mark, to, now.monotonic);
    }

    /// Notes that something is sent to the local node itself, `myself`. Should that lead to another process
    /// with the same URI, its challenge is answered, and no other.
    pub fn note_myself(&mut self, myself: &Uri) {
        if !matches!(&self.myself, Some((known, _)) if known == myself) {
            self.myself = Some((myself.clone(), mark(&self.own, address(myself))));
        }
    }

    /// Notes that something is broadcast. It is addressed to `myself`, for its recipients
    /// are not known by name.
    pub fn note_broadcast(&mut self, myself: &Uri, now: Now) {
        self.note_recipient(myself, now);
        self.broadcast = Some(mark(&self.own, address(myself)));
    }

    /// Whether the local node has sealed it, in this life.
    pub fn is_own(&self, stamp: PacketNumber) -> bool {
        stamp.session == self.own
    }

    /// Whether `sender` has shown that it lives now, with the session that it has now.
    pub fn is_confirmed(&self, sender: &Uri, stamp: PacketNumber) -> bool {
        match self.confirmed.get(sender) {
            _ if stamp.session == self.own => true,
            Some(peer) => stamp.session == peer.session,
            None => false,
        }
    }

    /// What to make of a datagram of `sender` that is meant for the local node.
    pub fn check(
        &mut self,
        sender: &Uri,
        stamp: PacketNumber,
        response: Option<u64>,
        members: usize,
        now: Now,
    ) -> Freshness {
        self.recipients.age(now.monotonic);
        self.heard += 1;
        if let Some(window) = self.window_of(sender, &stamp.session) {
            return if window.admit(stamp.counter) {
                Freshness::Fresh
            } else {
                Freshness::Replayed
            };
        }
        if !self.is_answered(&stamp.session, response, now) {
            return Freshness::Unconfirmed;
        }
        self.confirm(sender, stamp, members, now);
        Freshness::Fresh
    }

    /// Which datagrams of a session that is confirmed have come.
    fn window_of(&mut self, sender: &Uri, session: &SessionId) -> Option<&mut Window> {
        // A broadcast comes back, and so does what is sent to another name of the local node. It needs no
        // challenge to know that it lives itself.
        if *session == self.own {
            return Some(&mut self.heard_myself);
        }
        let peer = self.confirmed.get_mut(sender)?;
        if peer.session != *session {
            return None;
        }
        peer.heard = self.heard;
        Some(&mut peer.window)
    }

    /// A challenge for a session that is not confirmed and has sent something to the address `to`,
    /// unless it has just had one. What answers a challenge is another matter: it must not fail for
    /// want of a pause.
    pub fn challenge(
        &mut self,
        session: &SessionId,
        to: u64,
        answers: bool,
        now: Now,
    ) -> Option<Challenge> {
        let waits = |at: Micros| now.monotonic.0.saturating_sub(at.0) < CHALLENGE_PAUSE;
        while self
            .challenged
            .pop_front_if(|(_, _, at)| !waits(*at))
            .is_some()
        {}
        for (challenged, answered, _at) in &self.challenged {
            if challenged == session && *answered == answers {
                return None;
            }
        }
        if self.challenged.len() == CHALLENGES_MAX {
            return None;
        }
        self.challenged
            .push_back((*session, answers, now.monotonic));
        Some(Challenge {
            of: mark(session, to),
            code: self.code(session, epoch(now)),
        })
    }

    /// Notes a datagram that was not believed, of a session that was challenged for it or just before.
    pub fn note_unanswered(&mut self, stamp: PacketNumber, now: Now) {
        self.unanswered
            .note(&stamp.session, stamp.counter, now.monotonic);
    }

    /// Returns how many datagrams were perhaps recorded: their senders have not answered a challenge.
    /// Each is counted once.
    pub fn take_unanswered(&mut self, now: Now) -> u64 {
        self.unanswered.take_expired(now.monotonic)
    }

    /// What to answer to a challenge: nothing if it is for another session, such as a former life of
    /// the local node, or if nothing that the local node has said lately can have provoked it.
    ///
    /// What was said to the challenger's own URI can have, and a broadcast. What was said to another
    /// URI can have if that is another name of the challenger: so not if a member is known that goes by
    /// that name, nor if it is an address, and the challenge comes from another. Of a host that has a
    /// name it is not known here to which address that leads.
    pub fn response(
        &self,
        challenge: Option<Challenge>,
        challenger: &Uri,
        source: SocketAddr,
    ) -> Option<u64> {
        let Challenge { of, code } = challenge?;
        if let Some((myself, known)) = &self.myself
            && *known == of
            && myself == challenger
        {
            return Some(code);
        }
        let to = self.recipients.get(of)?;
        let leads_elsewhere = match to.host().parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, to.port()) != source,
            Err(_) => false,
        };
        let is_broadcast = self.broadcast == Some(of);
        let may_be_alias = !self.confirmed.contains_key(to) && !leads_elsewhere;
        if to != challenger && !is_broadcast && !may_be_alias {
            return None;
        }
        Some(code)
    }

    /// What to answer to a challenge of a peer that has just been believed: that is safe, for it has
    /// answered a challenge itself, and so was spoken to. Nothing if the challenge is for another
    /// session.
    pub fn response_to_peer(&self, challenge: Option<Challenge>, peer: &Uri) -> Option<u64> {
        let Challenge { of, code } = challenge?;
        let is_mine = of == mark(&self.own, address(peer)) || self.recipients.get(of).is_some();
        is_mine.then_some(code)
    }

    /// Whether there are no more than there may be; for audits.
    pub fn is_bounded(&self, members: usize) -> bool {
        self.confirmed.len() <= members + STRANGERS_MAX
            && self.retired.is_bounded()
            && self.challenged.len() <= CHALLENGES_MAX
            && self.unanswered.is_bounded()
            && self.pings.is_bounded()
            && self.recipients.is_bounded()
    }

    /// It takes the secret to tell it from any other number.
    fn code(&self, session: &SessionId, epoch: u64) -> u64 {
        let (generation, epoch) = (self.generation.to_be_bytes(), epoch.to_be_bytes());
        // What has answered a challenge before the session was retired may have been recorded.
        let retirement = self.retired.last_of(session);
        self.secret
            .code(&[session, &generation, &epoch, &retirement.to_be_bytes()])
    }

    fn is_answered(&self, session: &SessionId, response: Option<u64>, now: Now) -> bool {
        let Some(response) = response else {
            return false;
        };
        let epoch = epoch(now);
        // What was sent at the end of the last epoch is answered in this one.
        response == self.code(session, epoch)
            || epoch > 0 && response == self.code(session, epoch - 1)
    }

    fn confirm(&mut self, sender: &Uri, stamp: PacketNumber, members: usize, now: Now) {
        // A later datagram may have overtaken this one. It was not believed, and is not to be when it is played again.
        let overtook = self.unanswered.end(&stamp.session);
        let peer = Peer {
            session: stamp.session,
            window: Window::after(stamp.counter.max(overtook)),
            heard: self.heard,
        };
        if let Some(former) = self.confirmed.insert(sender.clone(), peer) {
            self.retire(former.session, now);
        }
        while self.confirmed.len() > members + STRANGERS_MAX {
            self.retire_one(now);
        }
    }

    /// Forgets one of those that were not heard for long: of eight, from a place that no sender can
    /// choose.
    fn retire_one(&mut self, now: Now) {
        let start = self.code(&self.own, self.heard) as usize;
        let mut oldest = start % self.confirmed.len();
        for step in 1..8 {
            let place = start.wrapping_add(step) % self.confirmed.len();
            if self.confirmed[place].heard < self.confirmed[oldest].heard {
                oldest = place;
            }
        }
        if let Some((_uri, peer)) = self.confirmed.swap_remove_index(oldest) {
            self.retire(peer.session, now);
        }
    }

    fn retire(&mut self, session: SessionId, now: Now) {
        if !self.retired.add(session, epoch(now)) {
            self.invalidate_challenges();
        }
    }

    fn invalidate_challenges(&mut self) {
        self.generation += 1;
        self.retired.clear();
        self.challenged.clear();
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::security::seal::aead::SESSION_SIZE;

    fn sessions(seed: u64) -> Sessions {
        let mut rng = StdRng::seed_from_u64(seed);
        Sessions::new(&mut rng, &HashKey::derive(&[1; 32]))
    }

    fn at(seconds: u64) -> Now {
        Now {
            monotonic: Micros(seconds * 1_000_000),
            wall: Micros(0),
        }
    }

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a URI")
    }

    const PEER: PacketNumber = PacketNumber {
        session: [1; SESSION_SIZE],
        salt: 0,
        counter: 7,
    };

    /// The member that the peers in these tests speak to.
    const HERE: u64 = 1;

    const fn later(counter: u64) -> PacketNumber {
        PacketNumber { counter, ..PEER }
    }

    #[test]
    fn who_answers_is_believed_from_then_on_and_once() {
        let mut mine = sessions(1);
        let mut judge = |stamp, response| mine.check(&uri(1), stamp, response, 1, at(1));
        assert_eq!(judge(PEER, None), Freshness::Unconfirmed);
        assert_eq!(judge(PEER, Some(0)), Freshness::Unconfirmed);
        let code = mine
            .challenge(&PEER.session, HERE, false, at(1))
            .map(|asked| asked.code);
        let mut judge = |stamp, response| mine.check(&uri(1), stamp, response, 1, at(1));
        assert_eq!(judge(PEER, code), Freshness::Fresh);
        assert_eq!(judge(PEER, code), Freshness::Replayed);
        assert_eq!(judge(later(6), None), Freshness::Replayed, "from before");
        assert_eq!(judge(later(8), None), Freshness::Fresh);
        let by_another_name = mine.check(&uri(2), later(9), None, 1, at(1));
        assert_eq!(by_another_name, Freshness::Unconfirmed);
    }

    #[test]
    fn a_challenge_is_for_one_session_one_challenger_and_some_seconds() {
        let mut mine = sessions(1);
        let code = mine
            .challenge(&PEER.session, HERE, false, at(5))
            .map(|asked| asked.code);
        let other = PacketNumber {
            session: [2; SESSION_SIZE],
            ..PEER
        };
        let unconfirmed = Freshness::Unconfirmed;
        assert_eq!(mine.check(&uri(1), other, code, 1, at(5)), unconfirmed);
        assert_eq!(
            sessions(2).check(&uri(1), PEER, code, 1, at(5)),
            unconfirmed
        );
        assert_eq!(mine.check(&uri(1), PEER, code, 1, at(26)), unconfirmed);
        assert_eq!(mine.check(&uri(1), PEER, code, 1, at(14)), Freshness::Fresh);
    }

    #[test]
    fn who_was_restarted_cannot_be_impersonated_by_what_it_said_before() {
        let mut mine = sessions(1);
        let code = mine
            .challenge(&PEER.session, HERE, false, at(1))
            .map(|asked| asked.code);
        assert_eq!(mine.check(&uri(1), PEER, code, 1, at(1)), Freshness::Fresh);
        let reborn = PacketNumber {
            session: [2; SESSION_SIZE],
            counter: 1,
            ..PEER
        };
        let new = mine
            .challenge(&reborn.session, HERE, false, at(2))
            .map(|asked| asked.code);
        assert_eq!(mine.check(&uri(1), reborn, new, 1, at(2)), Freshness::Fresh);
        let replayed = mine.check(&uri(1), PEER, code, 1, at(2));
        assert_eq!(replayed, Freshness::Unconfirmed);
        assert_eq!(
            mine.check(&uri(1), later(8), None, 1, at(2)),
            Freshness::Unconfirmed
        );
    }

    #[test]
    fn of_two_processes_with_one_uri_each_is_believed_whenever_it_answers_another_challenge() {
        let mut mine = sessions(1);
        let mut codes = Vec::new();
        for number in 0..10 {
            let stamp = PacketNumber {
                session: [number % 2; SESSION_SIZE],
                counter: number.into(),
                ..PEER
            };
            let now = at(1 + u64::from(number) / 3);
            for recorded in &codes {
                let replayed = mine.check(&uri(1), stamp, *recorded, 1, now);
                assert_ne!(replayed, Freshness::Fresh, "{number}");
            }
            let code = Some(mine.code(&stamp.session, epoch(now)));
            assert_eq!(mine.check(&uri(1), stamp, code, 1, now), Freshness::Fresh);
            codes.push(code);
        }
    }

    #[test]
    fn a_challenge_is_answered_only_if_its_sender_was_spoken_to() {
        let (mut mine, mut theirs, mut former) = (sessions(1), sessions(2), sessions(3));
        let [peer, other, stranger] = [1, 2, 3].map(uri);
        let here = SocketAddr::from(([192, 0, 2, 1], 3301));
        let mut challenge = |session: &SessionId, to: &Uri, seconds| {
            theirs.challenge(session, address(to), false, at(seconds))
        };
        let asked = challenge(&mine.stamp().session, &peer, 1);
        let code = asked.map(|asked| asked.code);
        assert_eq!(
            mine.response(asked, &peer, here),
            None,
            "nothing was said to it"
        );
        mine.note_recipient(&peer, at(1));
        assert_eq!(mine.response(asked, &peer, here), code);
        former.note_recipient(&peer, at(1));
        assert_eq!(
            former.response(asked, &peer, here),
            None,
            "of another session"
        );
        assert_eq!(mine.response(None, &peer, here), None);

        // Said to an address, it can have been heard at that address only.
        let number = Uri::new("192.0.2.1", 3301).expect("a URI");
        let asked_elsewhere = challenge(&mine.stamp().session, &number, 5);
        mine.note_recipient(&number, at(1));
        let there = SocketAddr::from(([192, 0, 2, 1], 3302));
        assert!(mine.response(asked_elsewhere, &stranger, here).is_some());
        assert_eq!(mine.response(asked_elsewhere, &stranger, there), None);

        // What was said to a member may have been replayed to another; but perhaps they are the same.
        assert_eq!(mine.response(asked, &stranger, here), code);
        let known = mine.challenge(&PEER.session, HERE, false, at(1));
        let known = known.map(|asked| asked.code);
        assert_eq!(mine.check(&peer, PEER, known, 1, at(1)), Freshness::Fresh);
        assert_eq!(mine.response(asked, &stranger, here), None);
        assert_eq!(mine.response(asked, &peer, here), code);
        let reborn = challenge(&PEER.session, &peer, 3);
        assert_eq!(mine.response_to_peer(reborn, &peer), None, "not mine");
        assert_eq!(mine.response_to_peer(asked, &peer), code);
        let of_other = challenge(&mine.stamp().session, &other, 2);
        assert_eq!(mine.response(of_other, &peer, here), None, "never said");
    }

    /// Another session that `peer` has, with a code that confirms it now.
    fn restart(mine: &Sessions, number: u64, now: Now) -> (PacketNumber, Option<u64>) {
        let stamp = PacketNumber {
            session: number.to_be_bytes(),
            ..PEER
        };
        (stamp, Some(mine.code(&stamp.session, epoch(now))))
    }

    #[test]
    fn no_former_session_comes_back_however_many_there_were() {
        let (mut mine, now) = (sessions(1), at(1));
        let mut former = Vec::new();
        for number in 1..=2 * retired::RETIRED_MAX as u64 + 10 {
            let (stamp, code) = restart(&mine, number, now);
            assert_eq!(
                mine.check(&uri(1), stamp, code, 1, now),
                Freshness::Fresh,
                "{number}"
            );
            former.push((stamp, code));
        }
        former.pop();
        for (stamp, code) in former {
            let freshness = mine.check(&uri(1), stamp, code, 1, now);
            assert_ne!(freshness, Freshness::Fresh, "{:?}", stamp.session);
        }
    }

    #[test]
    fn no_session_that_was_forgotten_for_others_comes_back() {
        let (mut mine, now) = (sessions(1), at(1));
        let mut confirmed = Vec::new();
        for number in 1..=STRANGERS_MAX as u64 + 50 {
            let (stamp, code) = restart(&mine, number, now);
            let sender = uri(number as u16);
            assert_eq!(mine.check(&sender, stamp, code, 0, now), Freshness::Fresh);
            confirmed.push((sender, stamp, code));
        }
        for (sender, stamp, code) in confirmed {
            let freshness = mine.check(&sender, stamp, code, 0, now);
            assert_ne!(freshness, Freshness::Fresh, "{sender}");
        }
    }

    #[test]
    fn what_was_challenged_waits_for_the_next_challenge_but_not_its_answer() {
        let mut mine = sessions(1);
        let after = |micros: u64| Now {
            monotonic: at(1).monotonic + core::time::Duration::from_micros(micros),
            ..at(1)
        };
        let mut asks = |session: u8, answers, micros| {
            let session = [session; SESSION_SIZE];
            mine.challenge(&session, HERE, answers, after(micros))
                .is_some()
        };
        assert!(asks(1, false, 0));
        assert!(!asks(1, false, 0), "at once again");
        assert!(asks(2, false, 0), "another session");
        assert!(asks(1, true, 0), "with an answer to its own challenge");
        assert!(!asks(1, true, 0), "which is not sent twice either");
        assert!(!asks(1, false, CHALLENGE_PAUSE - 1));
        assert!(asks(1, false, CHALLENGE_PAUSE));
    }

    #[test]
    fn many_are_challenged_at_once_and_no_more() {
        let mut mine = sessions(1);
        let mut asked = 0;
        for number in 0..2 * CHALLENGES_MAX as u64 {
            let session = number.to_be_bytes();
            asked += usize::from(mine.challenge(&session, HERE, false, at(1)).is_some());
        }
        assert_eq!(asked, CHALLENGES_MAX);
    }

    #[test]
    fn a_session_is_confirmed_of_its_member_only() {
        let (mut mine, now) = (sessions(1), at(1));
        let own = mine.stamp();
        assert!(mine.is_confirmed(&uri(1), own), "its own");
        assert!(!mine.is_confirmed(&uri(1), PEER), "nothing was heard of it");
        let code = Some(mine.code(&PEER.session, epoch(now)));
        assert_eq!(mine.check(&uri(1), PEER, code, 1, now), Freshness::Fresh);
        assert!(mine.is_confirmed(&uri(1), PEER));
        assert!(!mine.is_confirmed(&uri(2), PEER), "of another member");
        let (reborn, _code) = restart(&mine, 2, now);
        assert!(!mine.is_confirmed(&uri(1), reborn), "another session");
    }

    #[test]
    fn nothing_grows_with_what_strangers_send() {
        let mut mine = sessions(1);
        for number in 0..5000_u64 {
            let stamp = PacketNumber {
                session: (number + 1).to_be_bytes(),
                counter: 1,
                ..PEER
            };
            let now = at(number / 1000);
            let code = mine.code(&stamp.session, epoch(now));
            let sender = uri(1 + (number % 3000) as u16);
            assert_eq!(
                mine.check(&sender, stamp, Some(code), 10, now),
                Freshness::Fresh
            );
            let _asked = mine.challenge(&stamp.session, HERE, false, now);
            mine.pings.remember(&sender, b"");
            assert!(mine.is_bounded(10), "{number}");
        }
    }

    #[test]
    fn a_challenge_of_a_peer_is_answered_if_it_is_for_this_session_under_any_name_of_the_peer() {
        let mut sessions = sessions(1);
        let challenge_for = |session: &SessionId, name: &Uri| {
            Some(Challenge {
                of: mark(session, address(name)),
                code: 5,
            })
        };
        let (peer, alias) = (uri(1), uri(2));
        let (own, former) = (sessions.own, [9; SESSION_SIZE]);
        let answer = |sessions: &Sessions, session: &SessionId, name: &Uri| {
            sessions.response_to_peer(challenge_for(session, name), &peer)
        };
        assert_eq!(answer(&sessions, &own, &peer), Some(5), "its own name");
        assert_eq!(answer(&sessions, &own, &alias), None, "not spoken to");
        sessions.note_recipient(&alias, at(0));
        assert_eq!(answer(&sessions, &own, &alias), Some(5), "spoken to");
        assert_eq!(answer(&sessions, &former, &peer), None, "a former life");
        assert_eq!(sessions.response_to_peer(None, &peer), None);
    }
}
