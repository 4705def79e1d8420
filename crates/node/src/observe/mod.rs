//! What operators are shown.
//!
//! | file | subject |
//! |---|---|
//! | [`metrics`] | counters and gauges of the machine |
//! | `delivery_errors` | why datagrams to a member were not sent |
//! | `diagnosis` | hints about one member |

pub mod delivery_errors;
pub mod diagnosis;
pub mod metrics;
