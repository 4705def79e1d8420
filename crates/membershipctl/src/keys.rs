//! `keys`: which keys each member accepts, and which it uses.

use core::time::Duration;
use std::collections::BTreeSet;
use std::io::{self, Write};

use anstyle::Style;
use serde::Serialize;
use swim::identity::uri::Uri;
use swim::security::seal::keyring::KeyId;
use swim::table::claim::Status;
use swim::time::{Micros, Now};
use swim::wire::{Body, Message};

use crate::Verdict;
use crate::client::{Client, Query, Request};
use crate::error::{Error, QueryError};
use crate::output::{self, Columns, FAINT, RIGHT, WRONG, style, styled};

/// How soon a question is repeated.
const REPEAT: Duration = Duration::from_millis(300);

/// The question to one member.
#[derive(Debug)]
struct KeyQuery {
    dst: Uri,
    asked: Vec<u64>,
    next: Micros,
    give_up_at: Option<Micros>,
    timeout: Duration,
    /// What it has told; none, if it does not answer.
    answer: Option<Told>,
    error: Option<QueryError>,
    is_over: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// The keys that it accepts, the one that it uses first.
    Keys(Vec<KeyId>),
    /// It runs membership 2.x, and has the one key that it was asked with.
    Legacy,
    /// It does not tell, as an earlier version does not.
    Nothing,
}

/// A member, and what it has told.
struct Row {
    uri: Uri,
    status: Status,
    uses: Option<KeyId>,
    accepts: Option<Vec<KeyId>>,
    /// Why it has told nothing.
    error: Option<String>,
}

/// Asks all live members that an instance knows, and prints the answers.
pub fn run(
    client: &Client,
    node: &Uri,
    json: bool,
    out: &mut impl Write,
) -> Result<Verdict, Error> {
    let own = client.crypto.key_id().ok_or(Error::NoKey)?;
    let view = crate::members::ask(client, node)?;
    let mut live = Vec::new();
    for member in &view.members {
        // As the operator called it: it may have another name for itself.
        if member.uri != view.name && member.claim.status.is_live() {
            live.push(member.uri.clone());
        }
    }
    let mut asked = vec![node.clone()];
    asked.extend(live);
    let begin = |uri: &Uri| {
        let dst = if uri == node { &view.name } else { uri };
        KeyQuery::new(dst.clone(), client.timeout())
    };
    let mut rows = Vec::new();
    for (uri, query) in client.query_all(&asked, begin)? {
        let uri = if uri == *node { view.name.clone() } else { uri };
        let status = match view.get(&uri) {
            Some(member) => member.claim.status,
            None => Status::Alive,
        };
        rows.push(Row::new(uri, status, query, own, client));
    }
    for member in &view.members {
        let status = member.claim.status;
        if !status.is_live() && status != Status::Left && member.uri != view.name {
            rows.push(Row::unasked(member.uri.clone(), status));
        }
    }
    rows.sort_by(|one, other| one.uri.cmp(&other.uri));
    let agree = do_agree(&rows);
    if json {
        print_json(&view.name, own, agree, &rows, out)?;
    } else {
        print_table(own, agree, &rows, out)?;
    }
    Ok(Verdict::of(agree))
}

/// Whether all live members have told, and accept and use the same keys.
fn do_agree(rows: &[Row]) -> bool {
    let (mut uses, mut accepts) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        if !row.status.is_live() {
            continue;
        }
        let Some(accepted) = &row.accepts else {
            return false;
        };
        uses.insert(row.uses.map(|id| id.0));
        let set: BTreeSet<[u8; 4]> = accepted.iter().map(|id| id.0).collect();
        accepts.insert(set);
    }
    uses.len() <= 1 && accepts.len() <= 1
}

impl Row {
    fn new(
        uri: Uri,
        status: Status,
        query: Result<KeyQuery, QueryError>,
        own: KeyId,
        client: &Client,
    ) -> Self {
        let (told, error) = match query {
            Ok(query) => (query.answer, query.error),
            Err(error) => (None, Some(error)),
        };
        let (uses, accepts, error) = match told {
            Some(Told::Keys(keys)) => (keys.first().copied(), Some(keys), None),
            Some(Told::Legacy) => (Some(own), Some(vec![own]), None),
            Some(Told::Nothing) => (
                None,
                None,
                Some("does not tell: an earlier version".to_owned()),
            ),
            None => {
                let error = error.unwrap_or_else(|| client.no_answer());
                (None, None, Some(error.to_string()))
            }
        };
        Self {
            uri,
            status,
            uses,
            accepts,
            error,
        }
    }

    const fn unasked(uri: Uri, status: Status) -> Self {
        Self {
            uri,
            status,
            uses: None,
            accepts: None,
            error: None,
        }
    }
}

fn print_table(own: KeyId, agree: bool, rows: &[Row], out: &mut impl Write) -> io::Result<()> {
    let plain = |text: String| (Style::new(), text);
    let mut columns = Columns::new(&["URI", "STATUS", "USES", "ACCEPTS"]);
    for row in rows {
        let mut cells = vec![
            plain(row.uri.to_string()),
            (style(row.status), row.status.to_string()),
        ];
        match (&row.accepts, &row.error) {
            (Some(accepts), _) => {
                let uses = row.uses.map(|id| id.to_string());
                cells.push(plain(uses.unwrap_or_default()));
                cells.push(plain(names(accepts).join(", ")));
            }
            (None, Some(error)) => {
                cells.extend([plain("-".to_owned()), (WRONG, error.clone())]);
            }
            (None, None) => cells.extend([plain("-".to_owned()), (FAINT, "not asked".to_owned())]),
        }
        columns.row(cells);
    }
    write!(out, "{}", columns.render())?;
    let verdict = if agree {
        styled(
            RIGHT,
            "all live members accept the same keys, and use the same",
        )
    } else {
        styled(WRONG, "live members differ, or do not answer")
    };
    writeln!(out, "\n{verdict}; asked with {own}")
}

fn names(ids: &[KeyId]) -> Vec<String> {
    ids.iter().map(KeyId::to_string).collect()
}

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    node: &'a str,
    asked_with: String,
    agree: bool,
    members: Vec<Fields<'a>>,
}

#[derive(Serialize)]
struct Fields<'a> {
    uri: &'a str,
    status: &'static str,
    uses: Option<String>,
    accepts: Option<Vec<String>>,
    error: Option<&'a str>,
}

fn print_json(
    node: &Uri,
    own: KeyId,
    agree: bool,
    rows: &[Row],
    out: &mut impl Write,
) -> io::Result<()> {
    let mut members = Vec::with_capacity(rows.len());
    for row in rows {
        members.push(Fields {
            uri: &row.uri,
            status: row.status.name(),
            uses: row.uses.map(|id| id.to_string()),
            accepts: row.accepts.as_deref().map(names),
            error: row.error.as_deref(),
        });
    }
    let answer = Answer {
        node,
        asked_with: own.to_string(),
        agree,
        members,
    };
    writeln!(out, "{}", output::inert_lines(&answer)?)
}

impl KeyQuery {
    const fn new(dst: Uri, timeout: Duration) -> Self {
        Self {
            dst,
            asked: Vec::new(),
            next: Micros(0),
            give_up_at: None,
            timeout,
            answer: None,
            error: None,
            is_over: false,
        }
    }
}

impl Query for KeyQuery {
    fn poll_request(&mut self, now: Now) -> Option<Request> {
        let give_up_at = *self.give_up_at.get_or_insert(now.monotonic + self.timeout);
        self.is_over |= now.monotonic >= give_up_at;
        if self.is_over || now.monotonic < self.next {
            return None;
        }
        self.next = now.monotonic + REPEAT;
        self.asked.push(now.wall.0);
        Some(Request::Ping {
            ts: now.wall.0,
            dst: self.dst.clone(),
            asks_keys: true,
        })
    }

    fn handle_message(&mut self, message: &Message<'_>, _now: Now) {
        let Body::Ack(data) = &message.body else {
            return;
        };
        let is_mine = data.ts.is_some_and(|ts| self.asked.contains(&ts));
        if !is_mine || data.dst != Some(&*self.dst) {
            return;
        }
        self.answer = Some(match &message.trailer {
            None => Told::Legacy,
            Some(trailer) if trailer.keys.is_empty() => Told::Nothing,
            Some(trailer) => Told::Keys(trailer.keys.clone()),
        });
        self.is_over = true;
    }

    fn handle_error(&mut self, error: QueryError) {
        self.error = Some(error);
        self.is_over = true;
    }

    fn deadline(&self) -> Option<Micros> {
        if self.is_over {
            return None;
        }
        let give_up_at = self.give_up_at.unwrap_or_default();
        Some(self.next.min(give_up_at))
    }
}
