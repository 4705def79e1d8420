//! The router: what comes in is handed to the mechanisms, and what they decide is done and sent here.
//!
//! The mechanisms ([`crate::table`], [`crate::detector`], [`crate::dissemination`],
//! [`crate::security`]) take values and return decisions. None of them knows of [`crate::Swim`]. Each
//! file here uses those below it in this table, and none above it.
//!
//! | file | what it routes |
//! |---|---|
//! | `views` | what the application is shown |
//! | `settings`, `commands` | what the application wants |
//! | `tick` | deadlines |
//! | `receive` | datagrams |
//! | `probe` | probes, and their answers |
//! | `sync` | tables to be compared and exchanged |
//! | `apply` | events, to be brought into the table |
//! | `answer` | pings of others, to be answered or forwarded |
//! | `admit` | what is authenticated, to be believed or challenged |
//! | `compose` | questions, answers and news, to be made up |
//! | `transmit` | messages, to be sealed and sent within their limits |

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
