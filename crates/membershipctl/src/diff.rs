//! `diff`: where the views of several instances differ, and which instance to look at.

use core::time::Duration;
use std::io::{self, Write};

use anstyle::Style;
use serde::Serialize;
use swim::identity::uri::Uri;
use swim::table::claim::Status;

use crate::Verdict;
use crate::client::Client;
use crate::error::{Error, QueryError};
use crate::output::{self, Columns, FAINT, HEADING, MemberFields, RIGHT, WRONG, style, styled};
use crate::table::{Table, View};
use crate::views::{Difference, Doubled, Hint, Opinion, add_told, differences, hints};

/// The pause before the instances are asked again, while their views differ.
const PAUSE: Duration = Duration::from_secs(1);

/// The answers of all instances.
#[derive(Debug, Default)]
struct Survey {
    views: Vec<View>,
    silent: Vec<(Uri, QueryError)>,
    doubled: Vec<Doubled>,
}

/// Asks, and prints what differs.
pub fn run(
    client: &Client,
    nodes: &[Uri],
    json: bool,
    timeout: Duration,
    out: &mut impl Write,
) -> Result<Verdict, Error> {
    let nodes = match nodes {
        [only] => known_to(client, only)?,
        several => several.to_vec(),
    };
    let give_up_at = client.now().monotonic + timeout;
    let survey = loop {
        let survey = Survey::make(client, &nodes)?;
        let differ = !differences(&survey.views).is_empty();
        if !differ || client.now().monotonic + PAUSE > give_up_at || !client.pause(PAUSE) {
            break survey;
        }
    };
    if survey.views.is_empty() {
        return Err(match &survey.silent[..] {
            [(only, error)] => Error::NoAnswer(only.clone(), error.clone()),
            _ => Error::NoAnswers,
        });
    }
    let differences = differences(&survey.views);
    let hints = hints(&survey.views, &differences, &survey.silent, &survey.doubled);
    if json {
        let report = Report::new(&survey, &differences, &hints);
        writeln!(out, "{}", output::inert_lines(&report)?)?;
    } else {
        survey.print(&differences, &hints, out)?;
    }
    let all_answer = survey.silent.is_empty();
    let all_agree = differences.is_empty() && hints.is_empty();
    Ok(Verdict::of(all_answer && all_agree && survey.is_healthy()))
}

/// Returns all members that have not left, and the instance itself by the name in the command line: it
/// may have another for itself.
fn known_to(client: &Client, node: &Uri) -> Result<Vec<Uri>, Error> {
    let view = crate::members::ask(client, node)?;
    let mut nodes = vec![node.clone()];
    for member in view.members {
        if member.uri != view.name && member.claim.status != Status::Left {
            nodes.push(member.uri);
        }
    }
    Ok(nodes)
}

impl Survey {
    fn make(client: &Client, nodes: &[Uri]) -> io::Result<Self> {
        let mut survey = Self::default();
        let begin = |_: &Uri| Table::new(client.timeout(), client.no_answer(), client.hash_key());
        // By which names those were asked that have answered.
        let mut asked = Vec::new();
        for (uri, query) in client.query_all(nodes, begin)? {
            match query.and_then(Table::finish) {
                Ok(view) => {
                    if survey.take(view, &uri, &asked) {
                        asked.push(uri);
                    }
                }
                Err(error) => survey.silent.push((uri, error)),
            }
        }
        add_told(&survey.views, &mut survey.doubled);
        Ok(survey)
    }

    /// Takes the answer to a question to `uri`, unless the instance has answered before, by another name.
    /// Returns whether it was taken.
    fn take(&mut self, view: View, uri: &Uri, asked: &[Uri]) -> bool {
        let is_of_same_name = |known: &View| known.name == view.name;
        let Some(place) = self.views.iter().position(is_of_same_name) else {
            self.views.push(view);
            return true;
        };
        let (one, other) = (self.views[place].process, view.process);
        if one.is_some() && other.is_some() && one != other {
            self.doubled.push(Doubled {
                uri: view.name,
                one: asked[place].to_string(),
                other: uri.to_string(),
            });
        }
        false
    }

    fn is_healthy(&self) -> bool {
        self.views.iter().all(View::is_healthy)
    }

    fn print(
        &self,
        differences: &[Difference<'_>],
        hints: &[Hint<'_>],
        out: &mut impl Write,
    ) -> io::Result<()> {
        let (answered, asked) = (self.views.len(), self.views.len() + self.silent.len());
        writeln!(out, "{answered} of {asked} have answered")?;
        for (uri, error) in &self.silent {
            writeln!(out, "  {uri}: {}", styled(WRONG, error))?;
        }
        if differences.is_empty() {
            let verdict = match answered {
                1 => "there is no other view to compare it with",
                _ => "they agree",
            };
            let tally = output::tally(&self.views[0].members);
            writeln!(out, "\n{}: {tally}", styled(RIGHT, verdict))?;
        } else {
            writeln!(
                out,
                "\n{}",
                styled(
                    WRONG,
                    format!("views differ on {}", count(differences.len(), "member"))
                )
            )?;
            write!(out, "{}", render(differences))?;
        }
        self.print_unwell(differences, out)?;
        if !hints.is_empty() {
            writeln!(out, "\n{}", styled(HEADING, "to be looked at"))?;
        }
        for hint in hints {
            writeln!(out, "  {}", describe(hint))?;
        }
        Ok(())
    }

    /// Prints the members that all instances see as neither alive nor gone by `leave`.
    fn print_unwell(&self, differences: &[Difference<'_>], out: &mut impl Write) -> io::Result<()> {
        for member in &self.views[0].members {
            let status = member.claim.status;
            let disputed = differences
                .iter()
                .any(|difference| *difference.uri == member.uri);
            if !disputed && !matches!(status, Status::Alive | Status::Left) {
                writeln!(
                    out,
                    "  {} is {} to all",
                    member.uri,
                    styled(style(status), status)
                )?;
            }
        }
        Ok(())
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    answered: Vec<&'a str>,
    silent: Vec<SilentFields<'a>>,
    differences: Vec<DifferenceFields<'a>>,
    hints: Vec<String>,
}

#[derive(Serialize)]
struct SilentFields<'a> {
    uri: &'a str,
    error: String,
}

#[derive(Serialize)]
struct DifferenceFields<'a> {
    uri: &'a str,
    opinions: Vec<OpinionFields<'a>>,
}

#[derive(Serialize)]
struct OpinionFields<'a> {
    /// Null if the member is not known.
    member: Option<MemberFields<'a>>,
    according_to: Vec<&'a str>,
}

impl<'a> Report<'a> {
    fn new(survey: &'a Survey, differences: &'a [Difference<'a>], hints: &[Hint<'_>]) -> Self {
        let mut report = Self {
            answered: Vec::new(),
            silent: Vec::new(),
            differences: Vec::new(),
            hints: Vec::new(),
        };
        for view in &survey.views {
            report.answered.push(&view.name);
        }
        for (uri, error) in &survey.silent {
            let error = error.to_string();
            report.silent.push(SilentFields { uri, error });
        }
        for difference in differences {
            let uri = difference.uri;
            let opinions = difference
                .opinions
                .iter()
                .map(OpinionFields::from)
                .collect();
            report.differences.push(DifferenceFields { uri, opinions });
        }
        for hint in hints {
            report.hints.push(describe(hint));
        }
        report
    }
}

impl<'a> From<&'a Opinion<'a>> for OpinionFields<'a> {
    fn from(opinion: &'a Opinion<'a>) -> Self {
        Self {
            member: opinion.member.map(MemberFields::from),
            according_to: names(&opinion.holders),
        }
    }
}

fn names<'a>(uris: &[&'a Uri]) -> Vec<&'a str> {
    uris.iter().map(|uri| &***uri).collect()
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn render(differences: &[Difference<'_>]) -> String {
    let plain = |text: String| (Style::new(), text);
    let mut columns = Columns::default();
    for difference in differences {
        let payload = |opinion: &Opinion<'_>| opinion.member.map(output::payload_text);
        let first = payload(&difference.opinions[0]);
        let payloads_differ = difference
            .opinions
            .iter()
            .any(|opinion| payload(opinion) != first);
        for (index, opinion) in difference.opinions.iter().enumerate() {
            let uri = if index == 0 {
                difference.uri.to_string()
            } else {
                String::new()
            };
            let (look, status, incarnation) = match opinion.member {
                Some(member) => {
                    let claim = member.claim;
                    let incarnation = format!("incarnation {}", claim.incarnation.get());
                    (style(claim.status), claim.status.to_string(), incarnation)
                }
                None => (FAINT, "unknown".to_owned(), String::new()),
            };
            let mut row = vec![
                plain(format!("  {uri}")),
                (look, status),
                plain(incarnation),
            ];
            row.push(plain(format!("to {}", names(&opinion.holders).join(", "))));
            if payloads_differ && let Some(payload) = payload(opinion) {
                row.push((FAINT, payload));
            }
            columns.row(row);
        }
    }
    columns.render()
}

fn describe(hint: &Hint<'_>) -> String {
    match hint {
        Hint::Unreachable { uri, alive_to } => format!(
            "{uri} does not answer here, and is alive to {}: it has just died, or datagrams from here do not reach it",
            names(alive_to).join(", ")
        ),
        Hint::SelfSuspected { uri, why } => {
            format!("{uri} announces itself as suspect: {why}")
        }
        Hint::Accused { uri, by } => format!(
            "{uri} answers here, and is not alive to {}: check the network between them, in both directions",
            names(by).join(", ")
        ),
        Hint::Duplicate(Doubled { uri, one, other }) => format!(
            "two processes use the URI {uri}: one at {one}, another at {other}: give each its own"
        ),
        Hint::Outlier { uri, members } => format!(
            "{uri} sees {} otherwise than most do: look at it first",
            count(*members, "member")
        ),
    }
}
