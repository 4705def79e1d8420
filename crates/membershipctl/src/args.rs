//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use swim::identity::uri::{Uri, UriError};
use swim::security::seal::Cipher;

const LONG_ABOUT: &str = "\
Asks the instances of a group which members they see, and with which status.

It works with any instance that runs `membership`, this module or version 2.x, and asks without \
joining: no table gets an entry, and nothing is changed anywhere.

Answers come by UDP, to the port that the request came from and the address that this machine has \
towards the instance. Behind a NAT or in a container, use --reply-to.";

const AFTER_LONG_HELP: &str = "\
Exit codes:
  0  all is well
  1  a member is neither alive nor has left, views or keys differ, or a ping was lost
  2  the command line is wrong, or the key cannot be read
  3  no instance has answered
  4  an error of this machine, such as an output that cannot be written to

Examples:
  membershipctl members localhost:3301
  membershipctl members --json db1:3301 | jq -r '.members[] | select(.status == \"dead\").uri'
  membershipctl watch --key-file /etc/app/cookie db1:3301
  membershipctl ping --count 10 '[2001:db8::5]:3301'
  membershipctl diff db1:3301 || page-operator

Environment:
  MEMBERSHIP_KEY_FILE  the default of --key-file
  NO_COLOR             if set, no colors on a terminal either
  CLICOLOR_FORCE       if set, colors also elsewhere";

/// Asks the instances of a group which members they see, and with which status.
#[derive(Debug, Parser)]
#[command(name = "membershipctl", version, long_about = LONG_ABOUT, after_long_help = AFTER_LONG_HELP)]
#[command(after_help = "More with --help: examples, exit codes, environment.")]
#[command(max_term_width = 100, disable_help_subcommand = true)]
pub struct CommandLine {
    /// How to reach the group.
    #[command(flatten)]
    pub access: Access,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// How to reach the group, for all commands.
#[derive(Args, Clone, Debug)]
pub struct Access {
    /// The file with the group's encryption key, as given to set_encryption_key
    ///
    /// A line break at its end is not a part of the key. There is no option for the key itself, since all
    /// users of a machine can see its command lines.
    #[arg(long, global = true, value_name = "FILE", env = "MEMBERSHIP_KEY_FILE")]
    #[arg(value_hint = ValueHint::FilePath, help_heading = "Access")]
    pub key_file: Option<PathBuf>,

    /// The group's ENCRYPTION_CIPHER; while it changes from one to the other, either works
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help_heading = "Access",
        requires = "key_file"
    )]
    #[arg(default_value = Cipher::Cbc.name(), value_parser = cipher())]
    pub cipher: Cipher,

    /// The group's GROUP_LABEL, if it has one
    #[arg(long, global = true, value_name = "TEXT", help_heading = "Access")]
    #[arg(default_value = "", hide_default_value = true)]
    pub label: String,

    /// The group's ENCRYPTION_INIT, if that was changed: 16 bytes
    #[arg(long, global = true, value_name = "TEXT", help_heading = "Access")]
    #[arg(default_value = "init-key-16-byte", hide_default_value = true, value_parser = vector)]
    pub encryption_init: [u8; 16],

    /// How long to wait for an answer: 2s, 500ms, or a number of seconds
    #[arg(long, global = true, value_name = "TIME", default_value = "2s", value_parser = duration)]
    #[arg(help_heading = "Access")]
    pub timeout: Duration,

    /// Where answers reach this machine, if not at its own address
    ///
    /// The port is bound here, and instances are told to answer to this address: for a container with a
    /// published UDP port, or a firewall that lets one port through. One instance is asked at a time then.
    #[arg(long, global = true, value_name = "HOST:PORT", value_parser = uri, help_heading = "Access")]
    pub reply_to: Option<Uri>,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show the members that an instance knows, and their status
    ///
    /// Exit code 0 if every member is alive or has left, and with --probe, if all that have not left answer;
    /// 1 if not, 3 if the instance does not answer.
    Members {
        /// The instance to ask
        #[arg(value_name = "HOST:PORT", value_parser = uri)]
        node: Uri,
        /// Print JSON: one object, with an array `members`
        #[arg(long)]
        json: bool,
        /// Ping every member from here, and show the round trips
        #[arg(long)]
        probe: bool,
    },
    /// Show the changes in the table of an instance
    ///
    /// Prints all members first, then each change, until Ctrl-C. A change that is undone within an interval
    /// is not seen. Times are UTC. Exit code 3 if the instance does not answer at first.
    Watch {
        /// The instance to ask
        #[arg(value_name = "HOST:PORT", value_parser = uri)]
        node: Uri,
        /// Print JSON: an object a line
        #[arg(long)]
        json: bool,
        /// How long to pause between two requests
        #[arg(long, short, value_name = "TIME", default_value = "1s", value_parser = duration)]
        interval: Duration,
    },
    /// Measure round trips to an instance
    ///
    /// Its engine answers, as it answers other members. Shows also how far its clock is ahead of the one
    /// here. Exit code 0 if all pings were answered, 1 if some were not, 3 if none was.
    Ping {
        /// The instance to ping
        #[arg(value_name = "HOST:PORT", value_parser = uri)]
        node: Uri,
        /// How many times; until Ctrl-C by default
        #[arg(long, short, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
        count: Option<u32>,
        /// How long to pause between two pings
        #[arg(long, short, value_name = "TIME", default_value = "1s", value_parser = duration)]
        interval: Duration,
    },
    /// Show where the views of several instances differ, and which instance to look at
    ///
    /// With one instance, asks it and all members that it knows, but those that have left. Views that differ
    /// are asked for again until they agree, or for --patience: news takes time. Exit code 0 if all answer
    /// and agree that all members are alive or have left, 1 if not, 3 if no instance answers.
    Diff {
        /// The instances to ask
        #[arg(value_name = "HOST:PORT", value_parser = uri, required = true)]
        nodes: Vec<Uri>,
        /// Print JSON: one object
        #[arg(long)]
        json: bool,
        /// For how long views may differ
        #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
        patience: Duration,
    },
    /// Show which encryption keys the members accept, and which they use
    ///
    /// Asks the instance and all live members that it knows. Keys are shown by their ids, of eight hexadecimal
    /// digits. While the key of a group is changed, --key-file is one that all accept: the old one until it
    /// is removed. Exit code 0 if all live members accept the same keys and use the same, 1 if they differ or
    /// one does not answer, 3 if the instance does not answer.
    Keys {
        /// The instance to ask
        #[arg(value_name = "HOST:PORT", value_parser = uri)]
        node: Uri,
        /// Print JSON: one object, with an array `members`
        #[arg(long)]
        json: bool,
    },
    /// Print a completion script for a shell
    ///
    /// For bash: membershipctl completions bash > /etc/bash_completion.d/membershipctl
    Completions {
        /// The shell
        shell: Shell,
    },
}

fn uri(text: &str) -> Result<Uri, String> {
    Uri::parse(text).map_err(|error| match error {
        UriError::NotOneMachine(group) => format!("no instance can be asked at {group}"),
        UriError::Host if text.matches(':').count() > 1 => {
            "an IPv6 address needs brackets: [::1]:3301".to_owned()
        }
        UriError::Host => "it needs a host: write HOST:PORT, like localhost:3301".to_owned(),
        UriError::Port => {
            "it needs a port in 1 ... 65535: write HOST:PORT, like localhost:3301".to_owned()
        }
    })
}

fn cipher() -> impl TypedValueParser<Value = Cipher> {
    let names = [Cipher::Cbc, Cipher::Aead].map(Cipher::name);
    PossibleValuesParser::new(names)
        .map(|name| Cipher::from_name(name.as_bytes()).expect("one of the possible values"))
}

fn vector(text: &str) -> Result<[u8; 16], String> {
    match text.as_bytes().try_into() {
        Ok(vector) => Ok(vector),
        Err(_) => Err(format!("it has {} bytes, not 16", text.len())),
    }
}

/// An hour: more is a mistake, and sums of times cannot overflow.
const DURATION_MAX: Duration = Duration::from_secs(3600);

fn duration(text: &str) -> Result<Duration, String> {
    let duration = match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    match duration {
        Some(duration) if !duration.is_zero() && duration <= DURATION_MAX => Ok(duration),
        _ => Err("not a time of up to an hour: write 2s, 500ms, or a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("300ms"), Ok(Duration::from_millis(300)));
        for bad in ["", "0", "-1", "NaN", "inf", "2h", "1e300", "soon"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
