//! What the keys of members mean for a change of the local ones: whether a step of a rotation is due.

use core::fmt;

use thiserror::Error;

use crate::identity::uri::Uri;
use crate::security::key_survey::KeyAnswer;
use crate::security::seal::keyring::{BadKey, KeyId};
use crate::table::claim::Status;
use crate::table::member::{Dialect, Member};

/// The keys of a member, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberKeys {
    /// The member.
    pub uri: Uri,
    /// What it is held to be.
    pub status: Status,
    /// The one that it sends with; of a member that has not answered, as of its last datagram.
    pub uses: Option<KeyId>,
    /// Those that it accepts; `None` if it has not told.
    pub accepts: Option<Vec<KeyId>>,
    /// Whether it was asked in vain.
    pub is_silent: bool,
}

/// Why the local keys stay what they are.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyRefused {
    /// They cannot be changed like that.
    #[error(transparent)]
    Bad(#[from] BadKey),
    /// Members would not understand what is sent with the key.
    #[error(
        "encryption key {key} stays unused: {found}. Add the key there, or pass {{force = true}}"
    )]
    NotAccepted {
        /// The key.
        key: KeyId,
        /// Which members.
        found: Found,
    },
    /// Members would not be understood.
    #[error("encryption key {key} stays: {found}. Use another key there, or pass {{force = true}}")]
    StillUsed {
        /// The key.
        key: KeyId,
        /// Which members.
        found: Found,
    },
}

/// Which members are in the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    what: &'static str,
    /// Those of which that is so.
    members: Vec<Uri>,
    /// Those that did not answer.
    silent: Vec<Uri>,
}

/// How many members are named.
const NAMED_MAX: usize = 5;

/// Some of these members by name, and how many others there are.
pub(crate) struct Names<'a>(pub &'a [Uri]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = &self.0[..self.0.len().min(NAMED_MAX)];
        for (index, uri) in named.iter().enumerate() {
            let before = match index {
                0 => "",
                _ if index + 1 == self.0.len() => " and ",
                _ => ", ",
            };
            write!(f, "{before}{uri}")?;
        }
        match self.0.len() - named.len() {
            0 => Ok(()),
            1 => write!(f, " and 1 other"),
            others => write!(f, " and {others} others"),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.members.is_empty() {
            write!(f, "it is {} by {}", self.what, Names(&self.members))?;
        }
        if !self.members.is_empty() && !self.silent.is_empty() {
            write!(f, ", and ")?;
        }
        if !self.silent.is_empty() {
            write!(f, "{} did not answer", Names(&self.silent))?;
        }
        Ok(())
    }
}

impl MemberKeys {
    /// Those of another member than the local node, with what it has answered last.
    pub fn of(member: &Member, answer: Option<&KeyAnswer>) -> Self {
        let mut keys = Self {
            uri: member.uri.clone(),
            status: member.claim.status,
            uses: member.keys.uses(),
            accepts: None,
            is_silent: false,
        };
        if !keys.status.is_live() {
            return keys;
        }
        match answer {
            Some(KeyAnswer::Told(told)) => {
                keys.uses = told.first().copied();
                keys.accepts = Some(told.clone());
            }
            Some(KeyAnswer::Untold(key)) => {
                keys.uses = *key;
                // It has one key, if any.
                if member.dialect == Dialect::Legacy {
                    keys.accepts = Some(key.iter().copied().collect());
                }
            }
            None => keys.is_silent = true,
        }
        keys
    }

    fn accepts(&self, key: KeyId) -> bool {
        match &self.accepts {
            Some(accepted) => accepted.contains(&key),
            None => self.uses == Some(key),
        }
    }
}

impl Found {
    /// The live ones of `members` that did not answer, and those of which `what` is so.
    fn of(what: &'static str, members: &[MemberKeys], is_so: impl Fn(&MemberKeys) -> bool) -> Self {
        let mut found = Self {
            what,
            ..Self::default()
        };
        for member in members {
            if member.is_silent {
                found.silent.push(member.uri.clone());
            } else if member.status.is_live() && is_so(member) {
                found.members.push(member.uri.clone());
            }
        }
        // So that it is the same each time.
        found.members.sort();
        found.silent.sort();
        found
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty() && self.silent.is_empty()
    }
}

/// Whether all live members are known to accept `key`.
pub fn check_use(key: KeyId, members: &[MemberKeys]) -> Result<(), KeyRefused> {
    let found = Found::of("not accepted", members, |member| !member.accepts(key));
    if found.is_empty() {
        return Ok(());
    }
    Err(KeyRefused::NotAccepted { key, found })
}

/// Whether all live members are known to use another key than this one.
pub fn check_removal(key: KeyId, members: &[MemberKeys]) -> Result<(), KeyRefused> {
    let found = Found::of("still used", members, |member| {
        member.uses == Some(key) || member.uses.is_none()
    });
    if found.is_empty() {
        return Ok(());
    }
    Err(KeyRefused::StillUsed { key, found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::claim::{Claim, Incarnation};
    use crate::time::Micros;

    const OLD: KeyId = KeyId([1; 4]);
    const NEW: KeyId = KeyId([2; 4]);

    fn member(port: u16, status: Status, dialect: Dialect) -> Member {
        let uri = Uri::new("a", port).expect("a URI");
        let claim = Claim::alive(Incarnation::FIRST).with(status);
        Member {
            dialect,
            ..Member::new(uri, claim, Micros(0))
        }
    }

    fn native(port: u16, status: Status, answer: Option<KeyAnswer>) -> MemberKeys {
        let dialect = Dialect::Native { digest: None };
        MemberKeys::of(&member(port, status, dialect), answer.as_ref())
    }

    fn told(port: u16, keys: &[KeyId]) -> MemberKeys {
        native(port, Status::Alive, Some(KeyAnswer::Told(keys.to_vec())))
    }

    fn text(refused: Result<(), KeyRefused>) -> String {
        match refused {
            Ok(()) => "done".into(),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn a_key_is_used_when_all_live_members_accept_it() {
        let all = [told(1, &[OLD, NEW]), told(2, &[NEW])];
        assert_eq!(text(check_use(NEW, &all)), "done");
        let dead = native(3, Status::Dead, None);
        assert_eq!(text(check_use(NEW, &[dead])), "done");
        let some = [
            told(2, &[OLD]),
            told(1, &[OLD]),
            native(3, Status::Suspect, None),
        ];
        assert_eq!(
            text(check_use(NEW, &some)),
            "encryption key 02020202 stays unused: it is not accepted by a:1 and a:2, and a:3 did not answer. \
             Add the key there, or pass {force = true}"
        );
    }

    #[test]
    fn a_key_is_removed_when_all_live_members_use_another() {
        let all = [told(1, &[NEW, OLD]), told(2, &[NEW])];
        assert_eq!(text(check_removal(OLD, &all)), "done");
        let many: Vec<MemberKeys> = (1..=7).map(|port| told(port, &[OLD, NEW])).collect();
        assert_eq!(
            text(check_removal(OLD, &many)),
            "encryption key 01010101 stays: it is still used by a:1, a:2, a:3, a:4, a:5 and 2 others. \
             Use another key there, or pass {force = true}"
        );
        let silent = native(1, Status::Alive, None);
        assert_eq!(
            text(check_removal(OLD, &[silent])),
            "encryption key 01010101 stays: a:1 did not answer. Use another key there, or pass {force = true}"
        );
    }

    #[test]
    fn a_peer_on_membership_2_accepts_the_one_key_that_it_has() {
        let answer = KeyAnswer::Untold(Some(OLD));
        let legacy = MemberKeys::of(&member(1, Status::Alive, Dialect::Legacy), Some(&answer));
        assert_eq!(legacy.accepts, Some(vec![OLD]));
        assert!(check_use(NEW, core::slice::from_ref(&legacy)).is_err());
        assert_eq!(check_use(OLD, &[legacy]), Ok(()));
    }

    #[test]
    fn an_earlier_version_that_does_not_tell_counts_by_the_key_that_it_uses() {
        let answer = |key| Some(KeyAnswer::Untold(Some(key)));
        let earlier = native(1, Status::Alive, answer(NEW));
        assert_eq!((earlier.accepts.as_ref(), earlier.is_silent), (None, false));
        assert_eq!(check_use(NEW, core::slice::from_ref(&earlier)), Ok(()));
        assert_eq!(check_removal(OLD, &[earlier]), Ok(()));
        let behind = native(1, Status::Alive, answer(OLD));
        assert!(check_use(NEW, core::slice::from_ref(&behind)).is_err());
        assert!(check_removal(OLD, &[behind]).is_err());
    }
}
