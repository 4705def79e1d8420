//! Cookies: the sender of an answer to a question of the local node must have received it.
//!
//! Every PING carries a number that its recipient cannot guess and has to repeat: peers on membership
//! 2.x send back all keys of its map. A cookie is made of the question and a secret, so that nothing
//! has to be remembered of a question to know its answer. A ping through a relay has another cookie
//! than the direct one: a relay must not be able to answer in the name of the member that it was sent
//! to.
//!
//! The first two bytes are the same in all cookies of a process, and differ in those of another: so it
//! shows that two processes ask under one name ([`crate::identity::duplicates`]). 48 bits are left,
//! which cannot be guessed: a sender is handled some 10⁵ times a second at most.

use core::time::Duration;

use rand::rngs::StdRng;

use crate::security::secret::Secret;
use crate::time::Micros;
use crate::wire::PingData;

/// How old the question may be that an answer validates an address with.
const AGE_MAX: Duration = Duration::from_secs(10);

/// How many bits of a cookie cannot be guessed. The process tag is in front of them.
const BITS: u32 = 48;

/// Which way a ping takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// To the member that it asks for.
    Direct,
    /// Through another member.
    Indirect,
}

/// By which the cookies of a process are told from those of another: 15 random bits, and the highest
/// one, which is not set in the cookies of earlier versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessTag(u16);

const TAG_MARK: u16 = 1 << 15;

impl ProcessTag {
    /// That of the process that has this secret. It tells nothing of any cookie.
    fn derive(secret: &Secret) -> Self {
        let code = secret.code(&[b"process tag"]);
        Self(code as u16 | TAG_MARK)
    }

    /// That of the process that has made `cookie`, if there is one.
    pub const fn of(cookie: u64) -> Option<Self> {
        let tag = (cookie >> BITS) as u16;
        if tag & TAG_MARK == 0 {
            return None;
        }
        Some(Self(tag))
    }
}

/// Makes cookies and knows them again.
pub struct Cookies {
    tag: ProcessTag,
    secret: Secret,
    /// The process that this one was forked from: what it has sent to itself may still arrive.
    parent: Option<ProcessTag>,
}

impl Cookies {
    /// Those of an engine that begins to live.
    pub fn new(rng: &mut StdRng) -> Self {
        let secret = Secret::draw(rng);
        Self {
            tag: ProcessTag::derive(&secret),
            secret,
            parent: None,
        }
    }

    /// Those of a process that has forked off.
    pub fn reseed(&mut self, rng: &mut StdRng) {
        let parent = Some(self.tag);
        *self = Self {
            parent,
            ..Self::new(rng)
        };
    }

    /// The cookie of the question asked at `ts` about `dst`.
    pub fn make(&self, ts: u64, dst: &str, path: Path) -> u64 {
        // The parts of one size first: what they are joined to can be taken apart in one way only.
        let path = [path as u8];
        let code = self
            .secret
            .code(&[&ts.to_be_bytes(), &path, dst.as_bytes()]);
        u64::from(self.tag.0) << BITS | code >> (u64::BITS - BITS)
    }

    /// Whether this process has made `cookie`, or the one that it was forked from, as its tag says.
    pub fn is_own(&self, cookie: u64) -> bool {
        let tag = ProcessTag::of(cookie);
        tag == Some(self.tag) || tag.is_some() && tag == self.parent
    }

    /// Which way the ping took that this answers; `None` if it answers no ping of the local node.
    pub fn path(&self, answer: &PingData<'_>) -> Option<Path> {
        let (ts, dst, cookie) = (answer.ts?, answer.dst?, answer.cookie?);
        let mut paths = [Path::Direct, Path::Indirect].into_iter();
        paths.find(|path| self.make(ts, dst, *path) == cookie)
    }
}

/// Whether a question asked at `ts` is recent enough for its answer to validate an address.
pub fn is_recent(ts: u64, wall: Micros) -> bool {
    // In either direction: the clock may have been set back since.
    wall.0.abs_diff(ts) <= AGE_MAX.as_micros() as u64
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn answer<'a>(ts: u64, dst: &'a str, cookie: u64) -> PingData<'a> {
        PingData {
            raw: &[],
            ts: Some(ts),
            ats: None,
            src: None,
            dst: Some(dst),
            cookie: Some(cookie),
            wants_clock: false,
            is_short: false,
        }
    }

    #[test]
    fn a_cookie_answers_one_question_on_one_path() {
        let [mine, other] = [1, 2].map(|seed| Cookies::new(&mut StdRng::seed_from_u64(seed)));
        let direct = mine.make(7, "a:1", Path::Direct);
        let indirect = mine.make(7, "a:1", Path::Indirect);
        assert_ne!(direct, indirect);
        assert_eq!(mine.path(&answer(7, "a:1", direct)), Some(Path::Direct));
        assert_eq!(mine.path(&answer(7, "a:1", indirect)), Some(Path::Indirect));
        for wrong in [
            answer(8, "a:1", direct),
            answer(7, "a:2", direct),
            answer(7, "a:1", direct ^ 1),
        ] {
            assert_eq!(mine.path(&wrong), None);
        }
        assert_eq!(other.path(&answer(7, "a:1", direct)), None);
        let silent = PingData {
            cookie: None,
            ..answer(7, "a:1", direct)
        };
        assert_eq!(mine.path(&silent), None);
    }

    #[test]
    fn the_cookies_of_one_process_have_one_tag_and_those_of_another_another() {
        let mut rng = StdRng::seed_from_u64(1);
        let [mut mine, other] = [Cookies::new(&mut rng), Cookies::new(&mut rng)];
        let cookie = |cookies: &Cookies, ts| cookies.make(ts, "a:1", Path::Direct);
        let tag = |cookies: &Cookies, ts| ProcessTag::of(cookie(cookies, ts)).expect("a tag");
        assert_eq!(tag(&mine, 7), tag(&mine, 8));
        assert_ne!(tag(&mine, 7), tag(&other, 7));
        assert!(mine.is_own(cookie(&mine, 7)) && !mine.is_own(cookie(&other, 7)));
        let of_parent = cookie(&mine, 7);
        mine.reseed(&mut rng);
        assert_ne!(Some(tag(&mine, 7)), ProcessTag::of(of_parent));
        assert!(mine.is_own(of_parent), "it may still be on its way");
        assert_eq!(ProcessTag::of((1 << 52) - 1), None, "of an earlier version");
    }

    #[test]
    fn an_old_question_validates_nothing() {
        assert!(is_recent(20_000_000, Micros(30_000_000)));
        assert!(is_recent(30_000_000, Micros(20_000_000)), "a clock was set");
        assert!(!is_recent(20_000_000, Micros(30_000_001)));
    }
}
