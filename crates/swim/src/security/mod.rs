//! Which datagrams are believed, and how much is sent because of them.
//!
//! | file | subject |
//! |---|---|
//! | [`seal`] | encryption: keys, ciphers, packets |
//! | [`key_survey`] | which keys the live members accept: asked, and answered |
//! | [`rotation`] | whether a step of a change of the keys is due |
//! | [`session`] | replay protection, and challenges that prove freshness |
//! | `authentication` | whether a datagram is of this group, fresh, and meant for this member |
//! | `amplification`, `cookie`, `secret` | address validation, and the limit before it (RFC 9000, section 8) |
//! | [`networks`] | from where datagrams are taken in, and where they are sent to |
//! | [`acquaintance`] | how well a member is known, and so how much its name may cost |

pub mod acquaintance;
pub mod amplification;
pub mod authentication;
pub mod cookie;
pub mod key_survey;
pub mod networks;
pub mod rotation;
pub mod seal;
mod secret;
pub mod session;

use crate::hashing::HashKey;
use amplification::Amplification;
use cookie::Cookies;
use key_survey::KeySurvey;
use networks::Elsewhere;
use rand::rngs::StdRng;
use seal::keyring::Keyring;
use session::Sessions;

/// Keys, sessions, and what is known of addresses.
pub(crate) struct Security {
    pub keys: Keyring,
    pub key_survey: KeySurvey,
    pub sessions: Sessions,
    pub amplification: Amplification,
    pub cookies: Cookies,
    pub elsewhere: Elsewhere,
}

impl Security {
    /// That of an instance that begins to live.
    pub fn new(rng: &mut StdRng, hash_key: &HashKey) -> Self {
        let sessions = Sessions::new(rng, hash_key);
        let cookies = Cookies::new(rng);
        Self {
            keys: Keyring::default(),
            key_survey: KeySurvey::new(hash_key),
            sessions,
            amplification: Amplification::new(hash_key),
            cookies,
            elsewhere: Elsewhere::new(hash_key),
        }
    }

    /// Draws anew what must not be used by two processes.
    pub fn reseed(&mut self, rng: &mut StdRng, hash_key: &HashKey) {
        self.sessions = Sessions::new(rng, hash_key);
        self.cookies.reseed(rng);
    }
}
