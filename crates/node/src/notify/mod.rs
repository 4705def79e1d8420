//! What reaches Lua, and whether Lua is there.
//!
//! | file | subject |
//! |---|---|
//! | `waker` | the descriptor that wakes the fiber `membership.main` |
//! | `watchdog` | whether a thread of Tarantool responds |
//! | `event_loop` | whether a thread rests, and need not be woken to be asked |
//! | `lua_states` | TX and application threads: each watched for itself, one speaks for the instance |
//! | `log_queue` | lines that Lua is to log |

pub mod event_loop;
pub mod log_queue;
pub mod lua_states;
pub mod waker;
pub mod watchdog;
