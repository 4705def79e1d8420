//! What reaches Lua, and whether Lua is there.
//!
//! | file | subject |
//! |---|---|
//! | `waker` | the descriptor that wakes the fiber `membership.main` |
//! | `watchdog` | whether the TX thread responds |
//! | `log_queue` | lines that Lua is to log |

pub mod log_queue;
pub mod waker;
pub mod watchdog;
