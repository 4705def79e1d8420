//! Where views differ, and what that suggests.

use std::collections::BTreeSet;

use swim::identity::uri::Uri;
use swim::table::claim::Status;
use swim::table::member::Member;
use swim::table::payload::Payload;

use crate::error::QueryError;
use crate::table::View;

/// A member of whom not everybody has the same opinion.
#[derive(Debug)]
pub struct Difference<'a> {
    /// Who.
    pub uri: &'a Uri,
    /// The one that most have comes first.
    pub opinions: Vec<Opinion<'a>>,
}

/// What some see a member as.
#[derive(Debug)]
pub struct Opinion<'a> {
    /// What they know of it, if anything.
    pub member: Option<&'a Member>,
    /// Who they are.
    pub holders: Vec<&'a Uri>,
}

/// A conclusion, to be looked into.
#[derive(Debug, PartialEq, Eq)]
pub enum Hint<'a> {
    /// It does not answer, and these see it as alive all the same.
    Unreachable {
        /// Who does not answer.
        uri: &'a Uri,
        /// Who sees it as alive.
        alive_to: Vec<&'a Uri>,
    },
    /// It answers, and yet these do not see it as alive.
    Accused {
        /// Who answers.
        uri: &'a Uri,
        /// Who does not see it as alive.
        by: Vec<&'a Uri>,
    },
    /// What it sees is not what most see.
    Outlier {
        /// Whose view that is.
        uri: &'a Uri,
        /// Of how many members.
        members: usize,
    },
}

type Key = Option<(Status, u64, Option<u64>)>;

/// Nobody can tell a payload that is empty from one that is not known: neither can users.
fn key(member: Option<&Member>) -> Key {
    let none = Payload::empty();
    member.map(|member| {
        let payload = member.current_payload().filter(|payload| **payload != none);
        let claim = member.claim;
        let meaning = payload.map(Payload::semantic_hash);
        (claim.status, claim.incarnation.get(), meaning)
    })
}

/// All members on whom these views differ.
pub fn differences(views: &[View]) -> Vec<Difference<'_>> {
    let all = views.iter().flat_map(|view| &view.members);
    let all: BTreeSet<&Uri> = all.map(|member| &member.uri).collect();
    let difference = |uri| {
        let mut opinions: Vec<(Key, Opinion<'_>)> = Vec::new();
        for view in views {
            let member = view.get(uri);
            let mine = key(member);
            match opinions.iter_mut().find(|(key, _)| *key == mine) {
                Some((_, opinion)) => opinion.holders.push(&view.name),
                None => opinions.push((
                    mine,
                    Opinion {
                        member,
                        holders: vec![&view.name],
                    },
                )),
            }
        }
        opinions.sort_by_key(|(_, opinion)| core::cmp::Reverse(opinion.holders.len()));
        let opinions = opinions.into_iter().map(|(_, opinion)| opinion).collect();
        Difference { uri, opinions }
    };
    let differences = all.into_iter().map(difference);
    differences
        .filter(|difference| difference.opinions.len() > 1)
        .collect()
}

/// What the views suggest, and who does not answer.
pub fn hints<'a>(
    views: &'a [View],
    differences: &[Difference<'a>],
    silent: &'a [(Uri, QueryError)],
) -> Vec<Hint<'a>> {
    let status = |view: &View, uri: &Uri| view.get(uri).map(|member| member.claim.status);
    let who = |uri: &Uri, accepts: &dyn Fn(Option<Status>) -> bool| {
        let some = views
            .iter()
            .filter(|view| view.name != *uri && accepts(status(view, uri)));
        some.map(|view| &view.name).collect::<Vec<_>>()
    };
    let unreachable = silent.iter().map(|(uri, _)| Hint::Unreachable {
        uri,
        alive_to: who(uri, &|status| status == Some(Status::Alive)),
    });
    let not_alive = |status: Option<Status>| status.is_some_and(|status| status != Status::Alive);
    let accused = views.iter().map(|view| Hint::Accused {
        uri: &view.name,
        by: who(&view.name, &not_alive),
    });
    // Of two who differ nobody can say who is right.
    let clear = |difference: &&Difference<'_>| {
        let counts: Vec<_> = difference
            .opinions
            .iter()
            .map(|opinion| opinion.holders.len())
            .collect();
        counts[0] > counts[1]
    };
    let stray = views.iter().map(|view| {
        let out =
            |difference: &&Difference<'_>| !difference.opinions[0].holders.contains(&&view.name);
        let members = differences.iter().filter(clear).filter(out).count();
        Hint::Outlier {
            uri: &view.name,
            members,
        }
    });
    let tells = |hint: &Hint<'_>| match hint {
        Hint::Unreachable { alive_to: some, .. } | Hint::Accused { by: some, .. } => {
            !some.is_empty()
        }
        Hint::Outlier { members, .. } => *members > 0,
    };
    unreachable
        .chain(accused)
        .chain(stray)
        .filter(tells)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use swim::table::claim::{Claim, Incarnation};
    use swim::time::Micros;

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a port")
    }

    /// The view of one that sees the members with ports 1, 2, ... so.
    fn view(name: u16, statuses: &[Status]) -> View {
        let member = |(port, status): (u16, &Status)| {
            let claim = Claim::alive(Incarnation::FIRST).with(*status);
            Member::new(uri(port), claim, Micros(0))
        };
        View {
            name: uri(name),
            is_whole: true,
            members: (1..).zip(statuses).map(member).collect(),
        }
    }

    use Status::{Alive, Dead};

    #[test]
    fn those_who_see_the_same_differ_in_nothing() {
        let views = [view(1, &[Alive, Dead]), view(2, &[Alive, Dead])];
        assert!(differences(&views).is_empty());
        assert_eq!(
            hints(&views, &[], &[]),
            [Hint::Accused {
                uri: &uri(2),
                by: vec![&uri(1)]
            }]
        );
    }

    #[test]
    fn the_opinion_of_most_comes_first_and_who_has_another_strays() {
        let [first, second] = [uri(1), uri(2)];
        let views = [
            view(1, &[Alive, Dead, Alive]),
            view(2, &[Alive, Alive, Alive]),
            view(3, &[Alive, Alive, Alive]),
        ];
        let differences = differences(&views);
        let [
            Difference {
                uri: whom,
                opinions,
            },
        ] = &differences[..]
        else {
            panic!("{differences:?}")
        };
        assert_eq!(**whom, uri(2));
        assert_eq!(opinions[0].holders, [&uri(2), &uri(3)]);
        assert_eq!(opinions[1].holders, [&uri(1)]);
        let expected = [
            Hint::Accused {
                uri: &second,
                by: vec![&first],
            },
            Hint::Outlier {
                uri: &first,
                members: 1,
            },
        ];
        assert_eq!(hints(&views, &differences, &[]), expected);
    }

    #[test]
    fn of_two_who_differ_neither_strays() {
        let views = [view(1, &[Alive]), view(2, &[])];
        let differences = differences(&views);
        assert_eq!(differences.len(), 1);
        assert_eq!(hints(&views, &differences, &[]), []);
    }

    #[test]
    fn who_does_not_answer_and_is_seen_alive_is_to_be_looked_at() {
        let [first, second] = [uri(1), uri(2)];
        let views = [view(1, &[Alive, Alive, Dead])];
        let silent = [(uri(2), QueryError::Closed), (uri(3), QueryError::Closed)];
        let expected = [Hint::Unreachable {
            uri: &second,
            alive_to: vec![&first],
        }];
        assert_eq!(hints(&views, &[], &silent), expected);
    }
}
