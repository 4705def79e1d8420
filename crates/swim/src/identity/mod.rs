//! The identity of this member, and what its application allows.
//!
//! | file | subject |
//! |---|---|
//! | [`uri`] | `host:port`, the name of a member |
//! | [`lifecycle`] | the identity of this member: URI, payload, incarnations |
//! | [`admin`] | which members the application allows |

pub mod admin;
pub mod lifecycle;
pub mod uri;
