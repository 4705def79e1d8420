//! What operators see of a node.
//!
//! | file | subject |
//! |---|---|
//! | [`metrics`] | counters and gauges of the machine |
//! | `delivery_errors` | why datagrams to and from a member were lost |
//! | `undecodable` | senders of which nothing can be decoded |
//! | `diagnosis` | hints about one member |

pub mod delivery_errors;
pub mod diagnosis;
pub mod metrics;
pub mod undecodable;
