//! `membershipctl`: asks the instances of a group which members they see, and with which status, without
//! joining it.
//!
//! | file | part |
//! |---|---|
//! | `args`, `error` | the command line; what can go wrong |
//! | `client`, `address`, `crypto` | sockets and deadlines; addresses; keys |
//! | `query` | what an instance is asked |
//! | `table`, `history`, `ping_session` | queries: for a table, its history, or an answer to a ping; without socket or clock |
//! | `members`, `watch`, `ping`, `diff`, `keys` | the commands |
//! | `views` | where views differ |
//! | `news` | what `watch` prints |
//! | `output` | colors, columns, JSON |

mod address;
mod args;
mod client;
mod crypto;
mod diff;
mod error;
#[cfg(test)]
mod fixture;
mod history;
mod keys;
mod members;
mod news;
mod output;
mod ping;
mod ping_session;
mod query;
mod table;
mod views;
mod watch;

use core::sync::atomic::Ordering;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::error::Error;
use args::{Command, CommandLine};
use client::{Client, INTERRUPTED};

/// The result of a command that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All members are alive or have left, views agree, and all pings were answered.
    Well,
    /// A member is not alive or does not answer, views differ, or a ping was lost.
    Unwell,
}

impl Verdict {
    /// [`Verdict::Well`] if all `is_well`.
    pub const fn of(is_well: bool) -> Self {
        if is_well { Self::Well } else { Self::Unwell }
    }
}

fn main() -> ExitCode {
    let line = CommandLine::parse();
    match run(&line) {
        Ok(Verdict::Well) => ExitCode::SUCCESS,
        Ok(Verdict::Unwell) => ExitCode::from(1),
        // The reader of a pipe, such as `head`, may end early.
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let wrong = output::styled(output::WRONG, "membershipctl");
            anstream::eprintln!("{wrong}: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(line: &CommandLine) -> Result<Verdict, Error> {
    let out = &mut anstream::stdout().lock();
    if let Command::Completions { shell } = &line.command {
        let mut script = Vec::new();
        clap_complete::generate(
            *shell,
            &mut CommandLine::command(),
            "membershipctl",
            &mut script,
        );
        out.write_all(&script)?;
        return Ok(Verdict::Well);
    }
    let client = Client::new(&line.access)?;
    let interrupt = || INTERRUPTED.store(true, Ordering::Relaxed);
    ctrlc::set_handler(interrupt).map_err(io::Error::other)?;
    let verdict = match &line.command {
        Command::Members { node, json, probe } => members::run(&client, node, *json, *probe, out),
        Command::Watch {
            node,
            json,
            interval,
        } => watch::run(&client, node, *json, *interval, out),
        Command::Ping {
            node,
            count,
            interval,
        } => ping::run(&client, node, *count, *interval, out),
        Command::Diff {
            nodes,
            json,
            patience,
        } => diff::run(&client, nodes, *json, *patience, out),
        Command::Keys { node, json } => keys::run(&client, node, *json, out),
        Command::Completions { .. } => Ok(Verdict::Well),
    }?;
    out.flush()?;
    Ok(verdict)
}
