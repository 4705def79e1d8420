//! `watch`: what changes in the table of an instance.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::UNIX_EPOCH;

use serde::Serialize;
use swim::identity::uri::Uri;
use swim::table::claim::Status;
use swim::table::member::Member;

use crate::Verdict;
use crate::client::{Client, Connection};
use crate::error::{Error, QueryError};
use crate::output::{self, FAINT, MemberFields, WRONG, style, styled};
use crate::table::{Table, View};

/// A query that takes long is work for the instance: after it, the tool pauses this many times as long.
const PAUSE_FACTOR: u32 = 4;

/// The last known state, to be compared with the next answer.
struct Watcher<'a, W> {
    node: &'a Uri,
    json: bool,
    out: &'a mut W,
    known: BTreeMap<Uri, Member>,
    /// The members that were missing in the last answer. Once may be chance.
    missed: BTreeSet<Uri>,
    /// Whether the last query had no answer.
    is_silent: bool,
    /// The time of the answer, as it is printed.
    time: String,
}

/// A change.
enum News<'a> {
    /// A member that is known at the beginning.
    Found(&'a Member),
    /// A member that was not known before.
    Joined(&'a Member),
    /// A member that has another claim or payload.
    Changed {
        before: &'a Member,
        after: &'a Member,
    },
    /// A member that is not in the table any more.
    Forgotten(&'a Uri),
    /// The instance does not answer.
    Silent(&'a QueryError),
    /// The instance answers again.
    Answers,
}

/// Asks again and again, until Ctrl-C.
pub fn run(
    client: &Client,
    node: &Uri,
    json: bool,
    interval: Duration,
    out: &mut impl Write,
) -> Result<Verdict, Error> {
    let failure = |error| Error::NoAnswer(node.clone(), error);
    let mut connection = client.connect(node).map_err(failure)?;
    let Some(first) = ask(client, &mut connection)? else {
        return Ok(Verdict::Well);
    };
    let first = first.map_err(failure)?;
    let mut watcher = Watcher {
        node,
        json,
        out,
        known: BTreeMap::new(),
        missed: BTreeSet::new(),
        is_silent: false,
        time: String::new(),
    };
    watcher.begin(client, &first)?;
    let mut pause = interval;
    while client.pause(pause) {
        let began = client.now().monotonic;
        let Some(view) = ask(client, &mut connection)? else {
            break;
        };
        watcher.time = time(client);
        match &view {
            Ok(view) => watcher.compare(view)?,
            Err(error) => {
                watcher.handle_silence(error)?;
                // The name may have another address by now.
                if let Ok(anew) = client.connect(node) {
                    connection = anew;
                }
            }
        }
        watcher.out.flush()?;
        pause = interval.max(PAUSE_FACTOR * client.now().monotonic.since(began));
    }
    Ok(Verdict::Well)
}

/// Asks once. Returns `None` after Ctrl-C.
fn ask(
    client: &Client,
    connection: &mut Connection,
) -> io::Result<Option<Result<View, QueryError>>> {
    let mut table = Table::new(client.timeout(), client.no_answer(), client.hash_key());
    client.run(&mut [(connection, &mut table)], |_queries| Ok(()))?;
    if client.is_interrupted() {
        return Ok(None);
    }
    Ok(Some(table.finish()))
}

fn time(client: &Client) -> String {
    let wall = UNIX_EPOCH + Duration::from_micros(client.now().wall.0);
    humantime::format_rfc3339_millis(wall).to_string()
}

impl<W: Write> Watcher<'_, W> {
    fn begin(&mut self, client: &Client, view: &View) -> io::Result<()> {
        self.time = time(client);
        for member in &view.members {
            self.print(&News::Found(member))?;
            self.known.insert(member.uri.clone(), member.clone());
        }
        if !self.json {
            let tally = output::tally(&view.members);
            writeln!(
                self.out,
                "{tally}, as {} sees them; Ctrl-C ends this",
                view.name
            )?;
        }
        self.out.flush()
    }

    fn compare(&mut self, view: &View) -> io::Result<()> {
        if core::mem::take(&mut self.is_silent) {
            self.print(&News::Answers)?;
        }
        for after in &view.members {
            self.missed.remove(&after.uri);
            let before = self.known.insert(after.uri.clone(), after.clone());
            match &before {
                None => self.print(&News::Joined(after))?,
                Some(before) if differs(before, after) => {
                    self.print(&News::Changed { before, after })?;
                }
                Some(_) => {}
            }
        }
        if !view.is_whole {
            return Ok(());
        }
        let mut gone = Vec::new();
        for uri in self.known.keys() {
            if view.get(uri).is_none() {
                gone.push(uri.clone());
            }
        }
        for uri in gone {
            if self.missed.insert(uri.clone()) {
                continue;
            }
            self.missed.remove(&uri);
            self.known.remove(&uri);
            self.print(&News::Forgotten(&uri))?;
        }
        Ok(())
    }

    fn handle_silence(&mut self, error: &QueryError) -> io::Result<()> {
        if core::mem::replace(&mut self.is_silent, true) {
            return Ok(());
        }
        self.print(&News::Silent(error))
    }

    fn print(&mut self, news: &News<'_>) -> io::Result<()> {
        if self.json {
            let connection = Line::new(news, self.node, &self.time);
            writeln!(self.out, "{}", output::inert(&connection)?)
        } else {
            writeln!(
                self.out,
                "{}  {}",
                styled(FAINT, &self.time),
                describe(news, self.node)
            )
        }
    }
}

fn differs(before: &Member, after: &Member) -> bool {
    before.claim != after.claim || has_new_payload(before, after)
}

/// Whether the payload has changed. One that is not known for the moment has not.
fn has_new_payload(before: &Member, after: &Member) -> bool {
    after.payload.is_some() && after.payload != before.payload
}

fn status_text(status: Status) -> String {
    styled(style(status), status)
}

fn describe(news: &News<'_>, node: &Uri) -> String {
    match news {
        News::Found(member) => format!("{} is {}", member.uri, status_text(member.claim.status)),
        News::Joined(member) => {
            format!(
                "{} is new, and {}",
                member.uri,
                status_text(member.claim.status)
            )
        }
        News::Changed { before, after } => {
            let (old, new) = (before.claim, after.claim);
            let mut changes = Vec::new();
            if old.status != new.status {
                let (old, new) = (status_text(old.status), status_text(new.status));
                changes.push(format!("was {old}, is {new}"));
            }
            if has_new_payload(before, after) {
                changes.push(format!("payload {}", output::payload_text(after)));
            }
            if old.incarnation != new.incarnation {
                changes.push(format!("incarnation {}", new.incarnation.get()));
            }
            format!("{} {}", after.uri, changes.join(", "))
        }
        News::Forgotten(uri) => format!("{uri} is not there any more"),
        News::Silent(error) => format!("{node} {}", styled(WRONG, error)),
        News::Answers => format!("{node} answers again"),
    }
}

/// A connection that `--json` prints.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    subject: Subject<'a>,
    event: &'static str,
    time: &'a str,
}

/// What a connection is about.
#[derive(Serialize)]
#[serde(untagged)]
enum Subject<'a> {
    Member(MemberFields<'a>),
    Changed {
        #[serde(flatten)]
        member: MemberFields<'a>,
        was: &'static str,
    },
    Forgotten {
        uri: &'a str,
    },
    Silent {
        node: &'a str,
        error: String,
    },
    Answers {
        node: &'a str,
    },
}

impl<'a> Line<'a> {
    fn new(news: &News<'a>, node: &'a Uri, time: &'a str) -> Self {
        let (event, subject) = match *news {
            News::Found(member) => ("found", Subject::Member(member.into())),
            News::Joined(member) => ("joined", Subject::Member(member.into())),
            News::Changed { before, after } => {
                let member = after.into();
                let was = before.claim.status.name();
                ("changed", Subject::Changed { member, was })
            }
            News::Forgotten(uri) => ("forgotten", Subject::Forgotten { uri }),
            News::Silent(why) => {
                let error = why.to_string();
                ("silent", Subject::Silent { node, error })
            }
            News::Answers => ("answers", Subject::Answers { node }),
        };
        Self {
            subject,
            event,
            time,
        }
    }
}
