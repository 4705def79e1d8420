//! The router: what comes in is handed to the mechanisms, and what they decide is done and sent here.
//!
//! The mechanisms ([`crate::table`], [`crate::detector`], [`crate::dissemination`],
//! [`crate::security`]) take values and return decisions. None of them knows of [`crate::Swim`]. Each
//! file here uses those below it in this table, and none above it.
//!
//! An input or a command begins a [`Turn`], which does the rest: methods of [`crate::Swim`] are in the
//! first row and in the last one only, and in `lib.rs`.
//!
//! | file | what it routes |
//! |---|---|
//! | `settings`, `keys`, `commands` | what the application wants |
//! | `tick` | deadlines |
//! | `receive` | datagrams |
//! | `notes` | what a datagram shows of its sender |
//! | `survey` | which keys others accept |
//! | `extension` | what only native peers say |
//! | `probe` | probes, and the verdicts on them |
//! | `memory` | members that were remembered over a restart |
//! | `sync` | tables to be compared and exchanged |
//! | `ack` | answers to probes |
//! | `duplicates` | what shows that two processes have one URI |
//! | `hearsay` | events of peers, to be applied as far as they can be believed |
//! | `apply` | events, to be brought into the table |
//! | `refusals` | which members are not taken in |
//! | `confirm` | suspicions, to be checked, confirmed and ended |
//! | `answer` | pings of others, to be answered or forwarded |
//! | `admit` | what is authenticated, to be believed or challenged |
//! | `path` | sizes of datagrams, to be found out by pings |
//! | `push` | news, to be told to members by chance |
//! | `compose` | questions, answers and news, to be made up |
//! | `transmit` | messages, to be sealed and sent within their limits |
//! | `form` | the form of each, and its key |
//! | `short` | the short form: its names, and to whom it is spoken |
//! | `turn` | what an input is due to, and when it came |
//! | `views` | what the application is shown |

mod ack;
mod admit;
mod answer;
mod apply;
mod commands;
mod compose;
mod confirm;
mod duplicates;
mod extension;
mod form;
mod hearsay;
mod keys;
mod memory;
mod notes;
mod path;
mod probe;
mod push;
mod receive;
mod refusals;
mod settings;
mod short;
mod survey;
mod sync;
mod tick;
mod transmit;
mod turn;
mod views;

pub(crate) use turn::Turn;
