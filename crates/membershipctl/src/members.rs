//! `members`: the members that an instance knows, and their status.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::Style;
use serde::Serialize;
use swim::identity::uri::Uri;
use swim::table::claim::Status;

use crate::Verdict;
use crate::client::Client;
use crate::error::{Error, QueryError};
use crate::output::{self, Columns, MemberFields, style};
use crate::ping_session::{PingEvent, PingSession, Plan};
use crate::table::{Table, View};

/// The round trip to each member that was pinged, or why there is none.
type RoundTrips = BTreeMap<Uri, Result<Duration, QueryError>>;

/// Asks, and prints the answer.
pub fn run(
    client: &Client,
    node: &Uri,
    json: bool,
    probe: bool,
    out: &mut impl Write,
) -> Result<Verdict, Error> {
    let view = ask(client, node)?;
    let round_trips = if probe {
        Some(ping_all(client, &view)?)
    } else {
        None
    };
    if json {
        print_json(&view, round_trips.as_ref(), out)?;
    } else {
        print_table(&view, round_trips.as_ref(), out)?;
    }
    if !view.is_whole {
        anstream::eprintln!(
            "membershipctl: {node} stopped answering, or its table kept changing: members may be missing"
        );
    }
    let all_answer = match &round_trips {
        Some(round_trips) => round_trips.values().all(Result::is_ok),
        None => true,
    };
    Ok(Verdict::of(view.is_healthy() && all_answer))
}

/// Asks one instance for its table.
pub fn ask(client: &Client, node: &Uri) -> Result<View, Error> {
    let failure = |error| Error::NoAnswer(node.clone(), error);
    let begin = |_: &Uri| Table::new(client.timeout(), client.no_answer(), client.hash_key());
    let mut all = client.query_all(core::slice::from_ref(node), begin)?;
    let (_, query) = all.pop().expect("one");
    match query {
        Ok(table) => table.finish().map_err(failure),
        Err(error) => Err(failure(error)),
    }
}

/// Pings all members but those that have left.
fn ping_all(client: &Client, view: &View) -> io::Result<RoundTrips> {
    // More than one, as the first may be answered with a challenge instead.
    let plan = Plan {
        count: Some(3),
        interval: Duration::from_millis(100),
        timeout: client.timeout(),
    };
    let mut present = Vec::new();
    for member in &view.members {
        if member.claim.status != Status::Left {
            present.push(member.uri.clone());
        }
    }
    let queries = client.query_all(&present, |uri| PingSession::new(uri.clone(), plan))?;
    let mut round_trips = RoundTrips::new();
    for (uri, query) in queries {
        let round_trip = match query {
            Ok(mut session) => best_round_trip(client, &mut session),
            Err(error) => Err(error),
        };
        round_trips.insert(uri, round_trip);
    }
    Ok(round_trips)
}

/// The shortest of all round trips; if there is none, the first error.
fn best_round_trip(client: &Client, session: &mut PingSession) -> Result<Duration, QueryError> {
    let (mut best, mut error): (Option<Duration>, _) = (None, None);
    while let Some(event) = session.poll_event() {
        match event {
            PingEvent::Answered { round_trip, .. } => {
                best = match best {
                    Some(best) => Some(round_trip.min(best)),
                    None => Some(round_trip),
                };
            }
            PingEvent::Failed(why) => {
                error.get_or_insert(why);
            }
            PingEvent::Named(_) | PingEvent::Lost { .. } => {}
        }
    }
    match (best, error) {
        (Some(best), _) => Ok(best),
        (None, Some(error)) => Err(error),
        (None, None) => Err(client.no_answer()),
    }
}

fn print_table(
    view: &View,
    round_trips: Option<&RoundTrips>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut columns = match round_trips {
        Some(_) => Columns::new(&["URI", "STATUS", "INCARNATION", "ROUND TRIP", "PAYLOAD"]),
        None => Columns::new(&["URI", "STATUS", "INCARNATION", "PAYLOAD"]),
    };
    for member in &view.members {
        let status = member.claim.status;
        let plain = |text: String| (Style::new(), text);
        let mut row = vec![
            plain(member.uri.to_string()),
            (style(status), status.to_string()),
            plain(member.claim.incarnation.get().to_string()),
        ];
        if let Some(round_trips) = round_trips {
            row.push(match round_trips.get(&member.uri) {
                Some(Ok(time)) => plain(format!("{:.2} ms", output::milliseconds(*time))),
                Some(Err(why)) => (output::WRONG, why.to_string()),
                None => plain("-".to_owned()),
            });
        }
        row.push(plain(output::payload_text(member)));
        columns.row(row);
    }
    write!(out, "{}", columns.render())?;
    writeln!(
        out,
        "\n{}, as {} sees them",
        output::tally(&view.members),
        view.name
    )
}

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    node: &'a str,
    complete: bool,
    members: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    member: MemberFields<'a>,
    /// With `--probe` only; null if the member has not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip_ms: Option<Option<f64>>,
}

fn print_json(
    view: &View,
    round_trips: Option<&RoundTrips>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut members = Vec::with_capacity(view.members.len());
    for member in &view.members {
        members.push(Row {
            member: member.into(),
            round_trip_ms: round_trips.map(|all| match all.get(&member.uri) {
                Some(Ok(time)) => Some(output::milliseconds(*time)),
                Some(Err(_)) | None => None,
            }),
        });
    }
    let answer = Answer {
        node: &view.name,
        complete: view.is_whole,
        members,
    };
    writeln!(out, "{}", output::inert_lines(&answer)?)
}
