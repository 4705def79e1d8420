//! Cookies: the sender of an answer to a question of the local node must have received it.
//!
//! Every PING carries a number that its recipient cannot guess and has to repeat: peers on membership
//! 2.x send back all keys of its map. A cookie is made of the question and a secret, so that nothing
//! has to be remembered of a question to know its answer. A ping through a relay has another cookie
//! than the direct one: a relay must not be able to answer in the name of the member that it was sent
//! to.

use core::time::Duration;

use rand::rngs::StdRng;

use crate::security::secret::Secret;
use crate::time::Micros;
use crate::wire::PingData;

/// How old the question may be that an answer validates an address with.
const AGE_MAX: Duration = Duration::from_secs(10);

/// As many bits as a Lua number holds exactly: peers on membership 2.x may decode and encode it anew.
const BITS: u32 = 52;

/// Which way a ping takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// To the member that it asks for.
    Direct,
    /// Through another member.
    Indirect,
}

/// Makes cookies and knows them again.
pub struct Cookies(Secret);

impl Cookies {
    /// Those of an engine that begins to live.
    pub fn new(rng: &mut StdRng) -> Self {
        Self(Secret::draw(rng))
    }

    /// The cookie of the question asked at `ts` about `dst`.
    pub fn make(&self, ts: u64, dst: &str, path: Path) -> u64 {
        // The parts of one size first: what they are joined to can be taken apart in one way only.
        let path = [path as u8];
        self.0.code(&[&ts.to_be_bytes(), &path, dst.as_bytes()]) >> (u64::BITS - BITS)
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
        }
    }

    #[test]
    fn a_cookie_answers_one_question_on_one_path() {
        let [mine, other] = [1, 2].map(|seed| Cookies::new(&mut StdRng::seed_from_u64(seed)));
        let direct = mine.make(7, "a:1", Path::Direct);
        let indirect = mine.make(7, "a:1", Path::Indirect);
        assert!(direct < 1 << BITS && indirect < 1 << BITS);
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
    fn an_old_question_validates_nothing() {
        assert!(is_recent(20_000_000, Micros(30_000_000)));
        assert!(is_recent(30_000_000, Micros(20_000_000)), "a clock was set");
        assert!(!is_recent(20_000_000, Micros(30_000_001)));
    }
}
