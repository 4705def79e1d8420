//! `watch`: what changes in the table of an instance, and why.
//!
//! An instance of this module tells its history: each change, in order and with its reason. Of another one, and of what
//! the history does not explain, it shows what is different from one look at the table to the next.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::UNIX_EPOCH;

use swim::identity::uri::Uri;
use swim::table::member::Member;
use swim::wire::ToldChange;

use crate::Verdict;
use crate::client::{Client, Connection};
use crate::error::{Error, QueryError};
use crate::history::{History, Told};
use crate::news::{Line, News, describe, has_new_payload};
use crate::output::{self, FAINT, styled};
use crate::table::{Table, View};

/// A query that takes long is work for the instance: after it, the tool pauses this many times as long.
const PAUSE_FACTOR: u32 = 4;

/// After so many questions for its history without an answer an instance is not asked for it any more: it runs an earlier
/// version.
const UNANSWERED_MAX: u32 = 3;

/// The last day that a time can be printed of, in µs: 9999-12-30.
const TIME_MAX: u64 = 253_402_214_400 * 1_000_000;

/// The last known state, to be compared with the next answer.
struct Watcher<'a, W> {
    node: &'a Uri,
    json: bool,
    out: &'a mut W,
    known: BTreeMap<Uri, Member>,
    /// The members that were missing in the last answer. Once may be chance.
    missed: BTreeSet<Uri>,
    /// Up to which version the history was read, if the instance tells it.
    version: Option<u64>,
    /// How many questions for the history had no answer in a row.
    unanswered: u32,
    /// Whether the last query had no answer.
    is_silent: bool,
    /// The time of the answer, as it is printed.
    time: String,
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
        version: None,
        unanswered: 0,
        is_silent: false,
        time: String::new(),
    };
    watcher.begin(client, &first)?;
    if first.is_native {
        let told = ask_history(client, &mut connection, None)?;
        watcher.version = told.map(|told| told.reached);
    }
    let mut pause = interval;
    while client.pause(pause) {
        let began = client.now().monotonic;
        let Some(view) = ask(client, &mut connection)? else {
            break;
        };
        watcher.time = time(client);
        match &view {
            Ok(view) => watcher.look(client, &mut connection, view)?,
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

/// Asks for what has changed after this version, and why. Returns `None` if there is no answer.
fn ask_history(
    client: &Client,
    connection: &mut Connection,
    since: Option<u64>,
) -> io::Result<Option<Told>> {
    let mut history = History::since(since);
    client.run(&mut [(connection, &mut history)], |_queries| Ok(()))?;
    Ok(history.finish())
}

fn time(client: &Client) -> String {
    time_text(client.now().wall.0)
}

fn time_text(micros: u64) -> String {
    let wall = UNIX_EPOCH + Duration::from_micros(micros.min(TIME_MAX));
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

    /// Prints what is new: by the history, if the instance tells it, and by its table.
    fn look(
        &mut self,
        client: &Client,
        connection: &mut Connection,
        view: &View,
    ) -> io::Result<()> {
        if core::mem::take(&mut self.is_silent) {
            self.print(&News::Answers)?;
        }
        let Some(version) = self.version else {
            return self.compare(view, &BTreeSet::new());
        };
        // After the table, so that it explains all that is new there.
        let Some(told) = ask_history(client, connection, Some(version))? else {
            self.unanswered += 1;
            if self.unanswered == UNANSWERED_MAX {
                self.version = None;
            }
            return Ok(());
        };
        (self.version, self.unanswered) = (Some(told.reached), 0);
        let newer = if is_behind(view, &told) {
            ask(client, connection)?.and_then(Result::ok)
        } else {
            None
        };
        self.tell(&told, newer.as_ref().unwrap_or(view))?;
        let explained = told.changes.iter().map(|change| change.uri.clone());
        self.compare(view, &explained.collect())
    }

    /// Prints what an instance tells of its history, of which `view` is the table.
    fn tell(&mut self, told: &Told, view: &View) -> io::Result<()> {
        if told.lost {
            self.print(&News::Lost)?;
        }
        for change in &told.changes {
            let member = view.get(&change.uri);
            self.time = time_text(change.time.0);
            self.print(&News::Told(change, member))?;
            match member {
                Some(member) => drop(self.known.insert(change.uri.clone(), member.clone())),
                None => drop(self.known.remove(&change.uri)),
            }
            self.missed.remove(&change.uri);
        }
        Ok(())
    }

    /// Prints what is different in the table, but for the members of which the changes are `explained`.
    fn compare(&mut self, view: &View, explained: &BTreeSet<Uri>) -> io::Result<()> {
        for after in &view.members {
            if explained.contains(&after.uri) {
                continue;
            }
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
            if view.get(uri).is_none() && !explained.contains(uri) {
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
            let line = Line::new(news, self.node, &self.time);
            writeln!(self.out, "{}", output::inert(&line)?)
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

/// Whether the table was read before some of what the history tells.
fn is_behind(view: &View, told: &Told) -> bool {
    let is_news = |change: &ToldChange| {
        let seen = view.get(&change.uri).map(|member| member.claim);
        match (seen, change.after) {
            (Some(seen), Some(after)) => after > seen,
            (seen, after) => seen.is_some() != after.is_some(),
        }
    };
    told.changes.iter().any(is_news)
}

fn differs(before: &Member, after: &Member) -> bool {
    before.claim != after.claim || has_new_payload(before, after)
}
