//! `watch`: what changes in the eyes of an instance.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::UNIX_EPOCH;

use serde_json::{Map, json};
use swim::identity::uri::Uri;
use swim::table::claim::Status;
use swim::table::member::Member;

use crate::Verdict;
use crate::client::{Client, Connection};
use crate::error::{Failure, QueryError};
use crate::output::{self, FAINT, WRONG, style, styled};
use crate::table::{Table, View};

/// A look that took long was much work for who was asked: at most this part of the time is spent on
/// looking.
const LOOKING_SHARE: u32 = 4;

/// What is known, to be compared with what is seen next.
struct Watcher<'a, W> {
    node: &'a Uri,
    json: bool,
    out: &'a mut W,
    known: BTreeMap<Uri, Member>,
    /// Those who were not there the last time: once may be by chance.
    missed: BTreeSet<Uri>,
    is_silent: bool,
    /// The time of the look.
    time: String,
}

/// Something that has happened.
enum News<'a> {
    /// So it is at the beginning.
    Found(&'a Member),
    /// There is somebody more.
    Joined(&'a Member),
    /// It is not what it was.
    Changed {
        before: &'a Member,
        after: &'a Member,
    },
    /// It is not in the table any more.
    Forgotten(&'a Uri),
    /// The instance does not answer.
    Silent(&'a QueryError),
    /// It does again.
    Answers,
}

/// Looks again and again, until Ctrl-C.
pub fn run(
    client: &Client,
    node: &Uri,
    json: bool,
    interval: Duration,
    out: &mut impl Write,
) -> Result<Verdict, Failure> {
    let failure = |trouble| Failure::NoAnswer(node.clone(), trouble);
    let mut line = client.connect(node).map_err(failure)?;
    let first = match look(client, &mut line)? {
        Some(look) => look.map_err(failure)?,
        None => return Ok(Verdict::Well),
    };
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
        let Some(view) = look(client, &mut line)? else {
            break;
        };
        watcher.time = time(client);
        match &view {
            Ok(view) => watcher.compare(view)?,
            Err(trouble) => {
                watcher.note_silence(trouble)?;
                // Its name may have got another address.
                line = client.connect(node).unwrap_or(line);
            }
        }
        watcher.out.flush()?;
        pause = interval.max(LOOKING_SHARE * client.now().monotonic.since(began));
    }
    Ok(Verdict::Well)
}

/// `None` after Ctrl-C.
fn look(client: &Client, line: &mut Connection) -> io::Result<Option<Result<View, QueryError>>> {
    let mut table = Table::new(client.timeout(), client.silence());
    client.talk(&mut [(line, &mut table)], |_talks| Ok(()))?;
    Ok((!client.is_interrupted()).then(|| table.finish()))
}

fn time(client: &Client) -> String {
    let wall = UNIX_EPOCH + Duration::from_micros(client.now().wall.0);
    humantime::format_rfc3339_millis(wall).to_string()
}

impl<W: Write> Watcher<'_, W> {
    fn begin(&mut self, client: &Client, view: &View) -> io::Result<()> {
        self.time = time(client);
        for member in &view.members {
            self.tell(&News::Found(member))?;
            self.known.insert(member.uri.clone(), member.clone());
        }
        if !self.json {
            let tally = output::tally(view.members.iter());
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
            self.tell(&News::Answers)?;
        }
        for after in &view.members {
            self.missed.remove(&after.uri);
            let before = self.known.insert(after.uri.clone(), after.clone());
            match &before {
                None => self.tell(&News::Joined(after))?,
                Some(before) if differs(before, after) => {
                    self.tell(&News::Changed { before, after })?;
                }
                Some(_) => {}
            }
        }
        if !view.is_whole {
            return Ok(());
        }
        let gone: Vec<_> = self
            .known
            .keys()
            .filter(|uri| view.get(uri).is_none())
            .cloned()
            .collect();
        for uri in gone {
            if self.missed.insert(uri.clone()) {
                continue;
            }
            self.missed.remove(&uri);
            self.known.remove(&uri);
            self.tell(&News::Forgotten(&uri))?;
        }
        Ok(())
    }

    fn note_silence(&mut self, trouble: &QueryError) -> io::Result<()> {
        if core::mem::replace(&mut self.is_silent, true) {
            return Ok(());
        }
        self.tell(&News::Silent(trouble))
    }

    fn tell(&mut self, news: &News<'_>) -> io::Result<()> {
        if self.json {
            let mut fields = fields(news, self.node);
            fields.insert("time".to_owned(), json!(self.time));
            writeln!(self.out, "{}", output::inert(&json!(fields)))
        } else {
            writeln!(
                self.out,
                "{}  {}",
                styled(FAINT, &self.time),
                text(news, self.node)
            )
        }
    }
}

fn differs(before: &Member, after: &Member) -> bool {
    before.claim != after.claim || has_new_payload(before, after)
}

/// One that is not known for the moment is not a new one.
fn has_new_payload(before: &Member, after: &Member) -> bool {
    after.payload.is_some() && after.payload != before.payload
}

fn status_text(status: Status) -> String {
    styled(style(status), status)
}

fn text(news: &News<'_>, node: &Uri) -> String {
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
                let payload = output::inert(&output::payload(after));
                changes.push(format!("payload {payload}"));
            }
            if old.incarnation != new.incarnation {
                changes.push(format!("incarnation {}", new.incarnation.get()));
            }
            format!("{} {}", after.uri, changes.join(", "))
        }
        News::Forgotten(uri) => format!("{uri} is not there any more"),
        News::Silent(trouble) => format!("{node} {}", styled(WRONG, trouble.name())),
        News::Answers => format!("{node} answers again"),
    }
}

fn fields(news: &News<'_>, node: &Uri) -> Map<String, serde_json::Value> {
    let (event, mut fields) = match news {
        News::Found(member) => ("found", output::member(member)),
        News::Joined(member) => ("joined", output::member(member)),
        News::Changed { before, after } => {
            let mut fields = output::member(after);
            fields.insert("was".to_owned(), json!(before.claim.status.name()));
            ("changed", fields)
        }
        News::Forgotten(uri) => (
            "forgotten",
            Map::from_iter([("uri".to_owned(), json!(&***uri))]),
        ),
        News::Silent(trouble) => {
            let error = ("error".to_owned(), json!(trouble.name()));
            (
                "silent",
                Map::from_iter([("node".to_owned(), json!(&**node)), error]),
            )
        }
        News::Answers => (
            "answers",
            Map::from_iter([("node".to_owned(), json!(&**node))]),
        ),
    };
    fields.insert("event".to_owned(), json!(event));
    fields
}
