//! `members`: whom an instance sees as what.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::Style;
use serde_json::json;
use swim::identity::uri::Uri;
use swim::table::claim::Status;

use crate::Verdict;
use crate::client::Client;
use crate::error::{Failure, QueryError};
use crate::output::{self, Columns, style};
use crate::ping_session::{Happening, PingSession, Plan};
use crate::table::{Table, View};

/// What came of pinging each member.
type RoundTrips = BTreeMap<Uri, Result<Duration, String>>;

/// Asks, and prints the answer.
pub fn run(
    client: &Client,
    node: &Uri,
    json: bool,
    probe: bool,
    out: &mut impl Write,
) -> Result<Verdict, Failure> {
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
            "membershipctl: {node} stopped answering, or its table kept changing: some may be missing"
        );
    }
    Ok(Verdict::of(view.is_healthy()))
}

/// Asks one instance for its table.
pub fn ask(client: &Client, node: &Uri) -> Result<View, Failure> {
    let failure = |trouble| Failure::NoAnswer(node.clone(), trouble);
    let begin = |_: &Uri| Table::new(client.timeout(), client.silence());
    let mut all = client.talk_to_all(core::slice::from_ref(node), begin)?;
    let (_, talk) = all.pop().expect("one");
    talk.and_then(Table::finish).map_err(failure)
}

/// Who has left is not expected to answer.
fn ping_all(client: &Client, view: &View) -> io::Result<RoundTrips> {
    // The first may have to be sent again, along with the response to a challenge.
    let plan = Plan {
        count: Some(3),
        interval: Duration::from_millis(100),
        timeout: client.timeout(),
    };
    let there = view
        .members
        .iter()
        .filter(|member| member.claim.status != Status::Left);
    let there: Vec<Uri> = there.map(|member| member.uri.clone()).collect();
    let talks = client.talk_to_all(&there, |uri| PingSession::of(uri.clone(), plan))?;
    let outcome = |talk: Result<PingSession, QueryError>| {
        let mut talk = talk.map_err(|trouble| trouble.name())?;
        let happened: Vec<_> = core::iter::from_fn(|| talk.poll_happening()).collect();
        let time = |happening: &Happening| match happening {
            Happening::Answered { round_trip, .. } => Some(*round_trip),
            _ => None,
        };
        let trouble = happened.iter().find_map(|happening| match happening {
            Happening::QueryError(trouble) => Some(trouble.name()),
            _ => None,
        });
        let least = happened.iter().filter_map(time).min();
        least.ok_or_else(|| trouble.unwrap_or_else(|| "no answer".to_owned()))
    };
    Ok(talks
        .into_iter()
        .map(|(uri, talk)| (uri, outcome(talk)))
        .collect())
}

fn print_table(
    view: &View,
    round_trips: Option<&RoundTrips>,
    out: &mut impl Write,
) -> io::Result<()> {
    let probed = round_trips.map(|_| "ROUND TRIP");
    let headings: Vec<_> = ["URI", "STATUS", "INCARNATION"]
        .into_iter()
        .chain(probed)
        .chain(["PAYLOAD"])
        .collect();
    let mut columns = Columns::new(&headings);
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
                Some(Err(why)) => (output::WRONG, why.clone()),
                None => plain("-".to_owned()),
            });
        }
        row.push(plain(output::inert(&output::payload(member))));
        columns.row(row);
    }
    write!(out, "{}", columns.render())?;
    writeln!(
        out,
        "\n{}, as {} sees them",
        output::tally(view.members.iter()),
        view.name
    )
}

fn print_json(
    view: &View,
    round_trips: Option<&RoundTrips>,
    out: &mut impl Write,
) -> io::Result<()> {
    let with_round_trip = |member| {
        let mut fields = output::member(member);
        if let Some(round_trips) = round_trips {
            let time = round_trips
                .get(&member.uri)
                .and_then(|time| time.as_ref().ok());
            let time = time.map(|time| output::milliseconds(*time));
            fields.insert("round_trip_ms".to_owned(), json!(time));
        }
        fields
    };
    let members: Vec<_> = view.members.iter().map(with_round_trip).collect();
    let answer = json!({"node": &*view.name, "complete": view.is_whole, "members": members});
    writeln!(out, "{}", output::inert_lines(&answer))
}
