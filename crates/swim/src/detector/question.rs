//! Questions: the PINGs of the local node, and what an answer must repeat.

use crate::identity::uri::Uri;
use crate::time::Now;
use crate::wire::PingData;

/// "Is `dst` there?", asked at `ts`: what an answer must repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The member that it is about.
    pub dst: Uri,
    /// The local wall clock, in µs.
    pub ts: u64,
}

impl Question {
    /// A question about `dst`, with a `ts` that none of those in flight about it has.
    pub fn new<'a, I>(dst: &Uri, now: Now, in_flight: impl Fn() -> I) -> Self
    where
        I: Iterator<Item = &'a Self>,
    {
        let mut question = Self {
            dst: dst.clone(),
            ts: now.wall.0,
        };
        while in_flight().any(|other| *other == question) {
            question.ts = question.ts.wrapping_add(1); // by the wall clock, which may show anything
        }
        question
    }

    /// Whether this is what an answer repeats.
    pub fn is_answered_by(&self, echo: &PingData<'_>) -> bool {
        echo.ts == Some(self.ts) && echo.dst == Some(&*self.dst)
    }
}
