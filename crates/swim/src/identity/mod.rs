//! Who this member is, and what its application wants.
//!
//! | file | subject |
//! |---|---|
//! | [`uri`] | `host:port`, the name of a member |
//! | `lifecycle` | to take an identity, to leave, to set a payload |
//! | `admin` | to add, remove, allow and mark other members |

mod admin;
mod lifecycle;
pub mod uri;
