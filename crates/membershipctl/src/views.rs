//! Where views differ, and hints at the reason.

use core::net::SocketAddr;
use std::collections::BTreeSet;

use swim::detector::self_check::SelfSuspicion;
use swim::identity::uri::Uri;
use swim::table::claim::Status;
use swim::table::member::Member;
use swim::table::payload::Payload;
use swim::wire::Duplicate;

use crate::error::QueryError;
use crate::table::View;

/// A member that not all instances see alike.
#[derive(Debug)]
pub struct Difference<'a> {
    /// The member.
    pub uri: &'a Uri,
    /// The most frequent one comes first.
    pub opinions: Vec<Opinion<'a>>,
}

/// What some instances hold of a member.
#[derive(Debug)]
pub struct Opinion<'a> {
    /// The member as they see it, if they know it.
    pub member: Option<&'a Member>,
    /// These instances.
    pub holders: Vec<&'a Uri>,
}

/// Something for the operator to look into.
#[derive(Debug, PartialEq, Eq)]
pub enum Hint<'a> {
    /// An instance does not answer, although others see it as alive.
    Unreachable {
        /// The instance.
        uri: &'a Uri,
        /// The instances that see it as alive.
        alive_to: Vec<&'a Uri>,
    },
    /// An instance announces itself as suspect.
    SelfSuspected {
        /// The instance.
        uri: &'a Uri,
        /// Why.
        why: SelfSuspicion,
    },
    /// An instance answers, although others do not see it as alive.
    Accused {
        /// The instance.
        uri: &'a Uri,
        /// The instances that do not see it as alive.
        by: Vec<&'a Uri>,
    },
    /// Two processes have one URI.
    Duplicate(&'a Doubled),
    /// An instance sees members otherwise than most do.
    Outlier {
        /// The instance.
        uri: &'a Uri,
        /// How many members it sees otherwise.
        members: usize,
    },
}

/// Two processes with one URI, and where they are.
#[derive(Debug, PartialEq, Eq)]
pub struct Doubled {
    /// The URI.
    pub uri: Uri,
    /// Where one of them is.
    pub one: String,
    /// Where the other one is.
    pub other: String,
}

impl Doubled {
    /// What an instance tells. The instance itself is called by its URI.
    fn told(duplicate: &Duplicate) -> Self {
        let name = |address: &Option<SocketAddr>| match address {
            Some(address) => address.to_string(),
            None => duplicate.uri.to_string(),
        };
        Self {
            uri: duplicate.uri.clone(),
            one: name(&duplicate.one),
            other: name(&duplicate.other),
        }
    }
}

/// Adds the URIs that two processes use, as these views say, to those that are `known`.
pub fn add_told(views: &[View], known: &mut Vec<Doubled>) {
    for view in views {
        for told in &view.duplicates {
            if !known.iter().any(|known| known.uri == told.uri) {
                known.push(Doubled::told(told));
            }
        }
    }
}

type Key = Option<(Status, u64, Option<u64>)>;

/// What two views are compared by. An empty payload counts as one that is not known, since users cannot
/// tell them apart.
fn key(member: Option<&Member>) -> Key {
    let member = member?;
    let payload = match member.current_payload() {
        Some(payload) if *payload != Payload::empty() => Some(payload.semantic_hash()),
        _ => None,
    };
    let claim = member.claim;
    Some((claim.status, claim.incarnation.get(), payload))
}

/// Returns all members that these views do not agree on.
pub fn differences(views: &[View]) -> Vec<Difference<'_>> {
    let mut uris = BTreeSet::new();
    for view in views {
        for member in &view.members {
            uris.insert(&member.uri);
        }
    }
    let mut differences = Vec::new();
    for uri in uris {
        let opinions = opinions(views, uri);
        if opinions.len() > 1 {
            differences.push(Difference { uri, opinions });
        }
    }
    differences
}

fn opinions<'a>(views: &'a [View], uri: &Uri) -> Vec<Opinion<'a>> {
    let mut opinions: Vec<(Key, Opinion<'_>)> = Vec::new();
    for view in views {
        let member = view.get(uri);
        let key = key(member);
        match opinions.iter_mut().find(|(other, _)| *other == key) {
            Some((_, opinion)) => opinion.holders.push(&view.name),
            None => {
                let holders = vec![&view.name];
                opinions.push((key, Opinion { member, holders }));
            }
        }
    }
    opinions.sort_by_key(|(_, opinion)| core::cmp::Reverse(opinion.holders.len()));
    opinions.into_iter().map(|(_, opinion)| opinion).collect()
}

/// Returns what the views, and instances that do not answer, hint at.
pub fn hints<'a>(
    views: &'a [View],
    differences: &[Difference<'a>],
    silent: &'a [(Uri, QueryError)],
    doubled: &'a [Doubled],
) -> Vec<Hint<'a>> {
    let mut hints = Vec::new();
    // First, because it may be the reason of all others.
    hints.extend(doubled.iter().map(Hint::Duplicate));
    for (uri, _) in silent {
        let alive_to = holders(views, uri, |status| status == Status::Alive);
        if !alive_to.is_empty() {
            hints.push(Hint::Unreachable { uri, alive_to });
        }
    }
    for view in views {
        let uri = &view.name;
        if let Some(why) = view.self_suspicion {
            hints.push(Hint::SelfSuspected { uri, why });
            continue;
        }
        let by = holders(views, uri, |status| status != Status::Alive);
        if !by.is_empty() {
            hints.push(Hint::Accused { uri, by });
        }
    }
    for View { name: uri, .. } in views {
        let mut members = 0;
        for difference in differences {
            members += usize::from(difference.has_outlier(uri));
        }
        if members > 0 {
            hints.push(Hint::Outlier { uri, members });
        }
    }
    hints
}

/// Returns the instances, apart from `uri` itself, that know it with such a status.
fn holders<'a>(views: &'a [View], uri: &Uri, accepts: impl Fn(Status) -> bool) -> Vec<&'a Uri> {
    let mut holders = Vec::new();
    for view in views {
        if let Some(member) = view.get(uri)
            && view.name != *uri
            && accepts(member.claim.status)
        {
            holders.push(&view.name);
        }
    }
    holders
}

impl Difference<'_> {
    /// Whether one opinion is more frequent than any other, and the instance `uri` has another. Of two
    /// that differ, neither is an outlier.
    fn has_outlier(&self, uri: &Uri) -> bool {
        let [first, second, ..] = &self.opinions[..] else {
            return false;
        };
        first.holders.len() > second.holders.len() && !first.holders.contains(&uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swim::table::claim::{Claim, Incarnation};
    use swim::time::Micros;

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a port")
    }

    /// The view of `a:name` in which the members with ports 1, 2, ... have these statuses.
    fn view(name: u16, statuses: &[Status]) -> View {
        let member = |(port, status): (u16, &Status)| {
            let claim = Claim::alive(Incarnation::FIRST).with(*status);
            Member::new(uri(port), claim, Micros(0))
        };
        View {
            name: uri(name),
            is_whole: true,
            is_native: true,
            self_suspicion: None,
            process: None,
            duplicates: Vec::new(),
            members: (1..).zip(statuses).map(member).collect(),
        }
    }

    use Status::{Alive, Dead};

    #[test]
    fn equal_views_have_no_differences() {
        let views = [view(1, &[Alive, Dead]), view(2, &[Alive, Dead])];
        assert!(differences(&views).is_empty());
        assert_eq!(
            hints(&views, &[], &[], &[]),
            [Hint::Accused {
                uri: &uri(2),
                by: vec![&uri(1)]
            }]
        );
    }

    #[test]
    fn the_most_frequent_opinion_comes_first_and_another_makes_an_outlier() {
        let [first, second] = [uri(1), uri(2)];
        let views = [
            view(1, &[Alive, Dead, Alive]),
            view(2, &[Alive, Alive, Alive]),
            view(3, &[Alive, Alive, Alive]),
        ];
        let differences = differences(&views);
        let [
            Difference {
                uri: disputed,
                opinions,
            },
        ] = &differences[..]
        else {
            panic!("{differences:?}")
        };
        assert_eq!(**disputed, uri(2));
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
        assert_eq!(hints(&views, &differences, &[], &[]), expected);
    }

    #[test]
    fn of_two_that_differ_neither_is_an_outlier() {
        let views = [view(1, &[Alive]), view(2, &[])];
        let differences = differences(&views);
        assert_eq!(differences.len(), 1);
        assert_eq!(hints(&views, &differences, &[], &[]), []);
    }

    #[test]
    fn an_instance_that_is_seen_alive_but_does_not_answer_gets_a_hint() {
        let [first, second] = [uri(1), uri(2)];
        let views = [view(1, &[Alive, Alive, Dead])];
        let silent = [(uri(2), QueryError::Closed), (uri(3), QueryError::Closed)];
        let expected = [Hint::Unreachable {
            uri: &second,
            alive_to: vec![&first],
        }];
        assert_eq!(hints(&views, &[], &silent, &[]), expected);
    }
}
