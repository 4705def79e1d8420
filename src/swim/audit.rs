//! What must be so between any two inputs: for tests and simulations, which look after each.

use super::Swim;
use super::claim::Status;
use super::digest::fingerprint;

impl Swim {
    /// Says what is wrong, if anything is: whether all that is kept in two places is the same in
    /// both, and everything that could grow is within its bound. Looks at the whole table.
    pub fn audit(&self) -> Result<(), &'static str> {
        let members = &self.members;
        let count = |status: Status| members.from(0).filter(|m| m.claim.status == status).count();
        let own = self.own_claim().map(|own| own.status);
        let suspects = count(Status::Suspect) - usize::from(own == Some(Status::Suspect));
        let live = count(Status::Alive) + count(Status::Suspect);
        let unreachable = count(Status::Dead) + count(Status::NonDecryptable);
        let digest = members
            .from(0)
            .fold(0_u64, |sum, member| sum.wrapping_add(fingerprint(member)));
        let statements = [
            (
                self.outbox.is_empty() && self.reports.is_empty(),
                "the outputs are drained",
            ),
            (
                self.myself.is_none() || own.is_some(),
                "who takes part is in its own table",
            ),
            (
                Status::ALL
                    .into_iter()
                    .all(|status| members.count(status) == count(status)),
                "members are counted by status",
            ),
            (
                members.live.len() == live,
                "all who are live are in the round",
            ),
            (
                members.unreachable.len() == unreachable,
                "all who are unreachable are in theirs",
            ),
            (
                self.suspicions.len() == suspects,
                "every suspicion has its timer",
            ),
            (
                members.digest().total() == digest,
                "the digest is that of the table",
            ),
            (self.rumors.is_consistent(), "rumors and their queue agree"),
            (
                members.len() <= self.config.max_members,
                "the table has its bound",
            ),
            (
                self.prober.is_bounded() && self.errands.is_bounded(),
                "what others ask for has its bounds",
            ),
            (
                members.history().is_bounded(members.len()),
                "the past has its bound",
            ),
        ];
        let broken = statements.into_iter().find(|(holds, _)| !holds);
        broken.map_or(Ok(()), |(_, statement)| Err(statement))
    }
}
