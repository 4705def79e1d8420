//! The identity of this member, and what its application allows.
//!
//! | file | subject |
//! |---|---|
//! | [`uri`] | `host:port`, the name of a member |
//! | [`lifecycle`] | the identity of this member: URI, payload, incarnations |
//! | [`admin`] | which members the application allows |
//! | [`duplicates`] | two processes with one URI |
//! | [`sightings`] | processes that were seen with one URI |

pub mod admin;
pub mod duplicates;
pub mod lifecycle;
pub mod sightings;
pub mod uri;
