//! `diff`: where the views of several instances differ, and who is to blame.

use core::time::Duration;
use std::io::{self, Write};

use anstyle::Style;
use serde_json::{Value, json};
use swim::identity::uri::Uri;
use swim::table::claim::Status;

use crate::Verdict;
use crate::client::Client;
use crate::error::{Failure, QueryError};
use crate::output::{self, Columns, FAINT, HEADING, RIGHT, WRONG, style, styled};
use crate::table::{Table, View};
use crate::views::{Difference, Hint, Opinion, differences, hints};

/// From one look to the next, while views differ.
const PAUSE: Duration = Duration::from_secs(1);

/// What all have said.
#[derive(Debug, Default)]
struct Survey {
    views: Vec<View>,
    silent: Vec<(Uri, QueryError)>,
}

/// Asks, and prints what differs.
pub fn run(
    client: &Client,
    nodes: &[Uri],
    json: bool,
    patience: Duration,
    out: &mut impl Write,
) -> Result<Verdict, Failure> {
    let nodes = match nodes {
        [only] => whom_it_names(client, only)?,
        several => several.to_vec(),
    };
    let give_up = client.now().monotonic + patience;
    let survey = loop {
        let survey = Survey::make(client, &nodes)?;
        let differ = !differences(&survey.views).is_empty();
        if !differ || client.now().monotonic + PAUSE > give_up || !client.pause(PAUSE) {
            break survey;
        }
    };
    if survey.views.is_empty() {
        return Err(match &survey.silent[..] {
            [(only, trouble)] => Failure::NoAnswer(only.clone(), trouble.clone()),
            _ => Failure::NoAnswers,
        });
    }
    let differences = differences(&survey.views);
    let hints = hints(&survey.views, &differences, &survey.silent);
    if json {
        let found = survey.to_json(&differences, &hints);
        writeln!(out, "{}", output::inert_lines(&found))?;
    } else {
        survey.print(&differences, &hints, out)?;
    }
    let all_answer = survey.silent.is_empty();
    let all_agree = differences.is_empty() && hints.is_empty();
    Ok(Verdict::of(all_answer && all_agree && survey.is_healthy()))
}

/// All who have not left, and itself as it was called: it may be known by another name.
fn whom_it_names(client: &Client, node: &Uri) -> Result<Vec<Uri>, Failure> {
    let view = crate::members::ask(client, node)?;
    let there = view
        .members
        .iter()
        .filter(|member| member.claim.status != Status::Left);
    let others = there
        .filter(|member| member.uri != view.name)
        .map(|member| member.uri.clone());
    Ok([node.clone()].into_iter().chain(others).collect())
}

impl Survey {
    fn make(client: &Client, nodes: &[Uri]) -> io::Result<Self> {
        let mut survey = Self::default();
        let begin = |_: &Uri| Table::new(client.timeout(), client.silence());
        for (uri, talk) in client.talk_to_all(nodes, begin)? {
            match talk.and_then(Table::finish) {
                // Asked under two names, one answers twice.
                Ok(view) if survey.views.iter().any(|known| known.name == view.name) => {}
                Ok(view) => survey.views.push(view),
                Err(trouble) => survey.silent.push((uri, trouble)),
            }
        }
        Ok(survey)
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
        for (uri, trouble) in &self.silent {
            writeln!(out, "  {uri}: {}", styled(WRONG, trouble.name()))?;
        }
        if differences.is_empty() {
            let verdict = match answered {
                1 => "nobody to compare it with",
                _ => "they agree",
            };
            let tally = output::tally(self.views[0].members.iter());
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
        hints
            .iter()
            .try_for_each(|hint| writeln!(out, "  {}", text(hint)))
    }

    /// Those of whom all say that they are not well.
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

    fn to_json(&self, differences: &[Difference<'_>], hints: &[Hint<'_>]) -> Value {
        let opinion = |opinion: &Opinion<'_>| {
            let member = opinion.member.map(output::member);
            json!({"member": member, "according_to": names(&opinion.holders)})
        };
        let difference = |difference: &Difference<'_>| {
            let opinions: Vec<_> = difference.opinions.iter().map(opinion).collect();
            json!({"uri": &**difference.uri, "opinions": opinions})
        };
        let silent =
            |(uri, trouble): &(Uri, QueryError)| json!({"uri": &**uri, "error": trouble.name()});
        json!({
            "answered": self.views.iter().map(|view| &*view.name).collect::<Vec<_>>(),
            "silent": self.silent.iter().map(silent).collect::<Vec<_>>(),
            "differences": differences.iter().map(difference).collect::<Vec<_>>(),
            "hints": hints.iter().map(text).collect::<Vec<_>>(),
        })
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
        let payload = |opinion: &Opinion<'_>| opinion.member.map(output::payload);
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
                row.push((FAINT, output::inert(&payload)));
            }
            columns.row(row);
        }
    }
    columns.render()
}

fn text(hint: &Hint<'_>) -> String {
    match hint {
        Hint::Unreachable { uri, alive_to } => format!(
            "{uri} does not answer here, and is alive to {}: it has just died, or the way from here to it is cut",
            names(alive_to).join(", ")
        ),
        Hint::Accused { uri, by } => format!(
            "{uri} answers here, and is not alive to {}: look at the way between them, both directions",
            names(by).join(", ")
        ),
        Hint::Outlier { uri, members } => format!(
            "{uri} sees {} otherwise than most do: look at it first",
            count(*members, "member")
        ),
    }
}
