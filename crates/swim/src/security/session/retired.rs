//! Sessions that another session of the same member has replaced. They could be confirmed again, by what was
//! recorded, while the challenge that confirmed them is valid: so they have to answer another one.

use std::collections::VecDeque;

use crate::security::seal::aead::SessionId;

/// So many are kept in mind; beyond, all challenges become invalid.
pub const RETIRED_MAX: usize = 1024;

/// The sessions that were retired lately.
#[derive(Debug, Default)]
pub struct Retired {
    /// In which epoch each was retired, and as which of all.
    sessions: VecDeque<(SessionId, u64, u64)>,
    count: u64,
}

impl Retired {
    /// Which retirement was the last of this session; 0 if there was none lately.
    pub fn last_of(&self, session: &SessionId) -> u64 {
        let last = self.sessions.iter().rfind(|(known, ..)| known == session);
        match last {
            Some((.., number)) => *number,
            None => 0,
        }
    }

    /// Retires a session. Returns false if there are too many.
    pub fn add(&mut self, session: SessionId, epoch: u64) -> bool {
        // What answered a challenge two epochs ago is not valid any more.
        let is_old = |since: u64| epoch - since >= 2;
        while self
            .sessions
            .pop_front_if(|(_, since, _)| is_old(*since))
            .is_some()
        {}
        if self.sessions.len() == RETIRED_MAX {
            return false;
        }
        self.count += 1;
        self.sessions.push_back((session, epoch, self.count));
        true
    }

    /// Forgets them: all challenges are invalid.
    pub fn clear(&mut self) {
        self.sessions.clear();
    }

    /// Whether there are no more than there may be; for audits.
    pub fn is_bounded(&self) -> bool {
        self.sessions.len() <= RETIRED_MAX
    }
}
