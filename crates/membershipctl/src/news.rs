//! What `watch` prints of a change: for people, or as JSON.

use serde::Serialize;
use serde_json::Value;
use swim::identity::uri::Uri;
use swim::table::claim::{Claim, Status};
use swim::table::member::Member;
use swim::wire::ToldChange;

use crate::error::QueryError;
use crate::output::{self, MemberFields, WRONG, style, styled};

/// A change.
#[derive(Debug)]
pub enum News<'a> {
    /// A member that is known at the beginning.
    Found(&'a Member),
    /// A member that was not known before.
    Joined(&'a Member),
    /// A member that has another claim or payload.
    Changed {
        /// What it was.
        before: &'a Member,
        /// What it is.
        after: &'a Member,
    },
    /// A member that is not in the table any more.
    Forgotten(&'a Uri),
    /// What the instance tells of its history, and what is known of the member.
    Told(&'a ToldChange, Option<&'a Member>),
    /// Some of the history is missing.
    Lost,
    /// The instance does not answer.
    Silent(&'a QueryError),
    /// The instance answers again.
    Answers,
}

/// Whether the payload has changed. One that is not known for the moment has not.
pub fn has_new_payload(before: &Member, after: &Member) -> bool {
    after.payload.is_some() && after.payload != before.payload
}

fn status_text(status: Status) -> String {
    styled(style(status), status)
}

/// A line for people.
pub fn describe(news: &News<'_>, node: &Uri) -> String {
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
            let payload = has_new_payload(before, after).then_some(*after);
            let changes = describe_change(before.claim, after.claim, payload);
            format!("{} {changes}", after.uri)
        }
        News::Told(change, member) => describe_told(change, *member),
        News::Lost => {
            format!("{node} remembers no more of what was before: some changes are missing here")
        }
        News::Forgotten(uri) => format!("{uri} is not there any more"),
        News::Silent(error) => format!("{node} {}", styled(WRONG, error)),
        News::Answers => format!("{node} answers again"),
    }
}

fn describe_change(old: Claim, new: Claim, payload: Option<&Member>) -> String {
    let mut changes = Vec::new();
    if old.status != new.status {
        let (old, new) = (status_text(old.status), status_text(new.status));
        changes.push(format!("was {old}, is {new}"));
    }
    if let Some(member) = payload {
        changes.push(format!("payload {}", output::payload_text(member)));
    }
    if old.incarnation != new.incarnation {
        changes.push(format!("incarnation {}", new.incarnation.get()));
    }
    changes.join(", ")
}

fn describe_told(change: &ToldChange, member: Option<&Member>) -> String {
    let (uri, reason) = (&change.uri, output::inert_text(&change.reason));
    let what = match (change.before, change.after) {
        (Some(before), Some(after)) => {
            let payload = member.filter(|_| change.has_new_payload);
            describe_change(before, after, payload)
        }
        (None, Some(after)) => format!("is new, and {}", status_text(after.status)),
        (Some(before), None) => {
            format!("was {}, is not there any more", status_text(before.status))
        }
        (None, None) => "is not there".to_owned(),
    };
    format!("{uri} {what}: {reason}")
}

/// An object that `--json` prints.
#[derive(Serialize)]
pub struct Line<'a> {
    #[serde(flatten)]
    subject: Subject<'a>,
    event: &'static str,
    time: &'a str,
}

/// What it is about.
#[derive(Serialize)]
#[serde(untagged)]
enum Subject<'a> {
    Member(MemberFields<'a>),
    Changed {
        #[serde(flatten)]
        member: MemberFields<'a>,
        was: &'static str,
    },
    Told(ToldFields<'a>),
    Forgotten {
        uri: &'a str,
    },
    Lost {
        node: &'a str,
    },
    Silent {
        node: &'a str,
        error: String,
    },
    Answers {
        node: &'a str,
    },
}

/// A change that the instance has told. The payload is there if it is that of this change.
#[derive(Serialize)]
struct ToldFields<'a> {
    uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incarnation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<&'static str>,
    why: &'a str,
    reason: &'a str,
}

impl<'a> ToldFields<'a> {
    fn new(change: &'a ToldChange, member: Option<&Member>) -> Self {
        let current = member.filter(|member| Some(member.claim) == change.after);
        Self {
            uri: &change.uri,
            status: change.after.map(|claim| claim.status.name()),
            incarnation: change.after.map(|claim| claim.incarnation.get()),
            payload: current.map(output::payload),
            was: change.before.map(|claim| claim.status.name()),
            why: &change.why,
            reason: &change.reason,
        }
    }
}

impl<'a> Line<'a> {
    /// That of this change.
    pub fn new(news: &News<'a>, node: &'a Uri, time: &'a str) -> Self {
        let (event, subject) = match *news {
            News::Found(member) => ("found", Subject::Member(member.into())),
            News::Joined(member) => ("joined", Subject::Member(member.into())),
            News::Changed { before, after } => {
                let member = after.into();
                let was = before.claim.status.name();
                ("changed", Subject::Changed { member, was })
            }
            News::Told(change, member) => {
                let event = match (change.before, change.after) {
                    (None, _) => "joined",
                    (Some(_), Some(_)) => "changed",
                    (Some(_), None) => "forgotten",
                };
                (event, Subject::Told(ToldFields::new(change, member)))
            }
            News::Lost => ("lost", Subject::Lost { node }),
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
