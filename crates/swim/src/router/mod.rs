//! The router: what comes in is handed to the mechanisms, and what they decide is done and sent here.
//!
//! The mechanisms ([`crate::table`], [`crate::detector`], [`crate::dissemination`], [`crate::security`]) take
//! values and return decisions. None of them knows of [`crate::Swim`].
//!
//! | file | what comes in, what is done |
//! |---|---|
//! | `commands`, `settings` | what the application wants |
//! | `views` | what the application is shown |
//! | `receive`, `admit` | datagrams |
//! | `tick` | deadlines |
//! | `probe` | probes, and their answers |
//! | `answer` | pings of others, to be answered or forwarded |
//! | `sync` | tables to be compared and exchanged |
//! | `apply` | events, to be brought into the table |
//! | `compose` | questions, answers and news, to be made up |
//! | `transmit` | messages, to be sealed and sent within their limits |
//!
//! Each uses those below it in this table.

mod admit;
mod answer;
mod apply;
mod commands;
mod compose;
mod probe;
mod receive;
mod settings;
mod sync;
mod tick;
mod transmit;
mod views;
