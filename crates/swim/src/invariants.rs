//! What must be so between any two inputs: for tests and simulations, which look after each.

use super::Swim;
use crate::table::claim::Status;
use crate::table::members::Members;

/// Says what is wrong, if anything is: whether all that is kept in two places is the same in
/// both, and everything that could grow is within its bound. Looks at the whole table.
pub(crate) fn audit(swim: &Swim) -> Result<(), &'static str> {
    let members = &swim.members;
    let counts = counts_by_status(members);
    let count = |status: Status| counts[status as usize];
    let own = swim.own_claim().map(|own| own.status);
    let suspects = count(Status::Suspect) - usize::from(own == Some(Status::Suspect));
    let live = count(Status::Alive) + count(Status::Suspect);
    let unreachable = count(Status::Dead) + count(Status::NonDecryptable);
    let gone = count(Status::Dead) + count(Status::Left);
    let statements = [
        (
            swim.output.datagrams.is_empty() && swim.output.log_events.is_empty(),
            "the outputs are drained",
        ),
        (
            swim.me.uri.is_none() || own.is_some(),
            "an instance that takes part is in its own table",
        ),
        (
            Status::ALL.map(|status| members.count(status)) == Status::ALL.map(count),
            "members are counted by status",
        ),
        (
            members.live().len() == live,
            "all live members are in the round",
        ),
        (
            members.unreachable() == unreachable,
            "all unreachable members are in theirs",
        ),
        (
            members.is_sound_in_expendable(),
            "all members that can be spared are known",
        ),
        (
            members.suspicions.len() == suspects && members.departures.len() == gone,
            "every suspicion and every departure has its timer",
        ),
        (
            members.is_sound_in_tombstones(swim.config.max_members),
            "forgotten members are not in the table, and no more than may be",
        ),
        (
            members.is_sound_in_digest(),
            "the digest is that of the table",
        ),
        (swim.rumors.is_consistent(), "rumors and their queue agree"),
        (
            members.len() <= swim.config.max_members,
            "the table has its bound",
        ),
        (
            swim.detector.is_bounded()
                && swim.anti_entropy.merges.is_bounded()
                && swim.security.amplification.is_bounded()
                && swim.security.elsewhere.is_bounded()
                && swim.anti_entropy.reassembly.is_bounded()
                && swim.security.key_survey.is_bounded()
                && swim.detector.duplicates.is_bounded(),
            "what others ask for has its bounds",
        ),
        (
            swim.security.sessions.is_bounded(members.len()),
            "confirmed sessions are no more than may be",
        ),
        (
            members.changelog().is_bounded(members.len()) && members.history().is_bounded(),
            "the past has its bound",
        ),
    ];
    check(&statements)
}

fn check(statements: &[(bool, &'static str)]) -> Result<(), &'static str> {
    for (holds, statement) in statements {
        if !holds {
            return Err(statement);
        }
    }
    Ok(())
}

fn counts_by_status(members: &Members) -> [usize; Status::Left as usize + 1] {
    let mut counts = [0; Status::Left as usize + 1];
    for member in members.from(0) {
        counts[member.claim.status as usize] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::identity::uri::Uri;
    use crate::router::Turn;
    use crate::table::claim::{Claim, Incarnation};
    use crate::table::reason::Reason;
    use crate::time::{Micros, Now};
    use crate::wire::{Event, Extension};

    fn uri(port: u16) -> Uri {
        Uri::new("a", port).expect("a URI")
    }

    /// `a:1`, which knows `a:2` and suspects `a:3`.
    fn sound() -> Swim {
        let mut swim = Swim::new(Config::default(), 1);
        swim.init(uri(1), Now::default());
        for (port, status) in [(2, Status::Alive), (3, Status::Suspect)] {
            let claim = Claim::alive(Incarnation::FIRST).with(status);
            let uri = uri(port);
            let event = Event::local(&uri, claim);
            Turn::new(&mut swim, Now::default()).apply(&event, &Reason::Generated);
        }
        assert_eq!(swim.audit(), Ok(()));
        swim
    }

    #[test]
    fn each_kind_of_damage_is_found() {
        type Damage = fn(&mut Swim);
        let damages: [(Damage, &str); 4] = [
            (
                |swim| {
                    let compare = Extension::Compare(vec![0; 8]);
                    Turn::new(swim, Now::default()).send_extension(compare, &uri(2));
                },
                "outputs",
            ),
            (|swim| swim.members.suspicions.stop(2), "suspicion"),
            (
                |swim| swim.members.suspicions.start(1, Micros(1)),
                "suspicion",
            ),
            (|swim| swim.me.uri = Some(uri(9)), "own table"),
        ];
        for (damage, found) in damages {
            let mut swim = sound();
            damage(&mut swim);
            assert!(
                swim.audit().is_err_and(|broken| broken.contains(found)),
                "{found}"
            );
        }
    }
}
