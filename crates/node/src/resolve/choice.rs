//! Which of its addresses a member is reached at: those that its URI leads to, and the one that its datagrams
//! come from.
//!
//! A name may have addresses that are out of date, or that only others can reach; and behind NAT a member may
//! have got another one while its old one still leads somewhere. So a datagram to a member that does not
//! answer goes to the next address, and the address that answers is kept.

use core::net::SocketAddr;
use core::time::Duration;

use swim::time::Micros;

/// Datagrams that follow each other more closely belong to one try, and go to one address. No more pings of
/// one probe come within that time.
const TRY_TIME_MIN: Duration = Duration::from_millis(20);

/// The addresses of one member that has more than one, and what came of trying them.
#[derive(Debug, Default)]
pub struct Choice {
    /// The address in use; the first one if there is none.
    current: Option<SocketAddr>,
    /// All addresses were asked at once, and no answer has come yet.
    all_asked: bool,
    /// When the current address was first used without an answer since.
    used: Option<Micros>,
    /// Where its last datagrams came from, if its URI does not lead there. Anyone may have sent them: it is tried
    /// when the others do not answer, and kept if it then answers.
    source: Option<SocketAddr>,
    /// What came of trying.
    outcomes: Vec<(SocketAddr, Outcome)>,
}

/// What came of trying an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The member has answered from there.
    Answers,
    /// No answer came.
    Silent,
    /// It cannot be reached.
    Failed(Failed),
}

/// Why an address cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// No process has the port.
    Refused,
    /// The system sends nothing to it.
    Unsent,
}

// Each function takes the addresses that the URI leads to, as `resolved`.
impl Choice {
    /// The address in use.
    pub fn address(&self, resolved: &[SocketAddr]) -> Option<SocketAddr> {
        match self.current {
            Some(current) if self.contains(current, resolved) => Some(current),
            _ => resolved.first().copied(),
        }
    }

    /// Whether nothing has come of any address yet, and the first one is still being tried.
    pub fn is_first_try(&self, in_doubt: bool, now: Micros) -> bool {
        let is_over = match self.used {
            Some(used) => in_doubt && now.since(used) >= TRY_TIME_MIN,
            None => false,
        };
        self.outcomes.is_empty() && !is_over
    }

    /// Whether `address` is one of the member's.
    pub fn contains(&self, address: SocketAddr, resolved: &[SocketAddr]) -> bool {
        self.source == Some(address) || resolved.contains(&address)
    }

    /// Returns where a datagram goes. If the member is `in_doubt`, since it does not answer, and the address has
    /// had its chance, goes on to the next one.
    pub fn pick(
        &mut self,
        in_doubt: bool,
        resolved: &[SocketAddr],
        now: Micros,
    ) -> Option<SocketAddr> {
        let current = self.address(resolved)?;
        let Some(used) = self.used else {
            self.used = Some(now);
            return Some(current);
        };
        if !in_doubt || now.since(used) < TRY_TIME_MIN {
            return Some(current);
        }
        if !self.has_failed(current) {
            self.set_outcome(current, Outcome::Silent, resolved);
        }
        self.move_on(current, resolved);
        self.used = Some(now);
        self.address(resolved)
    }

    /// A datagram goes to all addresses.
    pub const fn note_all_asked(&mut self, now: Micros) {
        self.all_asked = true;
        if self.used.is_none() {
            self.used = Some(now);
        }
    }

    /// That some addresses do not answer the datagram that went to all of them says nothing.
    pub const fn forget_all_asked(&mut self) {
        self.all_asked = false;
    }

    /// A datagram in the name of the member came from `source`, which proves nothing.
    pub fn note_source(&mut self, source: SocketAddr, resolved: &[SocketAddr]) {
        if resolved.contains(&source) {
            // The member itself is better evidence of its address than what took its place meanwhile.
            if self.current.is_some() && self.current == self.source {
                self.current = Some(source);
                self.used = None;
            }
            return;
        }
        let is_proven = match self.source {
            Some(known) => self.outcome(known) == Some(Outcome::Answers),
            None => false,
        };
        let is_in_use = self.current.is_some() && self.current == self.source;
        if !(is_proven && is_in_use) {
            self.source = Some(source);
        }
    }

    /// The member has answered a question of the local node from `source`.
    pub fn note_answer(&mut self, source: SocketAddr, resolved: &[SocketAddr]) {
        if self.all_asked {
            self.all_asked = false;
            // Should another one answer, too, that will be noted.
            for address in resolved {
                self.set_outcome(*address, Outcome::Silent, resolved);
            }
        } else if self.used.is_none() && resolved.contains(&source) {
            // One answer more to the same question.
            self.set_outcome(source, Outcome::Answers, resolved);
            return;
        }
        if self.contains(source, resolved) {
            self.current = Some(source);
        } else {
            // It was reached where the datagram was sent to, although it answers from elsewhere.
            self.source = Some(source);
        }
        self.used = None;
        if let Some(current) = self.address(resolved) {
            self.set_outcome(current, Outcome::Answers, resolved);
        }
    }

    /// The member cannot be reached at `address`. Returns whether it is so at all of its addresses.
    pub fn note_failed(
        &mut self,
        address: SocketAddr,
        why: Failed,
        resolved: &[SocketAddr],
    ) -> bool {
        self.set_outcome(address, Outcome::Failed(why), resolved);
        if self.address(resolved) == Some(address) {
            self.move_on(address, resolved);
            self.used = None;
        }
        for known in self.all(resolved) {
            if !self.has_failed(known) {
                return false;
            }
        }
        true
    }

    fn has_failed(&self, address: SocketAddr) -> bool {
        matches!(self.outcome(address), Some(Outcome::Failed(_)))
    }

    /// Says what came of trying its addresses; `None` if all that were tried answer, or there was only one to try.
    pub fn explain(&self, resolved: &[SocketAddr]) -> Option<String> {
        if self.all(resolved).len() < 2 || !self.is_worth_words(resolved) {
            return None;
        }
        let mut tried = Vec::new();
        let mut silent = false;
        for address in self.all(resolved) {
            let outcome = match self.outcome(address) {
                Some(Outcome::Answers) if silent => "does",
                Some(Outcome::Answers) => "answers",
                Some(Outcome::Silent) => "did not answer",
                Some(Outcome::Failed(Failed::Refused)) => "has the port closed",
                Some(Outcome::Failed(Failed::Unsent)) => "cannot be sent to",
                None => "was not tried yet",
            };
            silent |= self.outcome(address) == Some(Outcome::Silent);
            if self.source == Some(address) {
                tried.push(format!(
                    "{address}, where its datagrams come from, {outcome}"
                ));
            } else {
                tried.push(format!("{} {outcome}", address.ip()));
            }
        }
        let tried = tried.join(", ");
        match resolved.len() {
            1 => Some(format!("it has 2 addresses: {tried}")),
            count => Some(format!("its name has {count} addresses: {tried}")),
        }
    }

    /// Whether an address failed that should not have. A name may have addresses of a family that not everyone
    /// reaches: as long as one of the first family answers, that is no news.
    fn is_worth_words(&self, resolved: &[SocketAddr]) -> bool {
        let (mut first_fails, mut some_fails) = (false, false);
        let mut first_family_answers = false;
        let Some(first) = resolved.first() else {
            return false;
        };
        for address in self.all(resolved) {
            let is_of_first_family = address.is_ipv4() == first.is_ipv4();
            match self.outcome(address) {
                Some(Outcome::Answers) => first_family_answers |= is_of_first_family,
                Some(Outcome::Silent | Outcome::Failed(_)) => {
                    some_fails = true;
                    first_fails |= is_of_first_family;
                }
                None => {}
            }
        }
        first_fails || some_fails && !first_family_answers
    }

    fn all(&self, resolved: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut all = resolved.to_vec();
        if let Some(source) = self.source
            && !all.contains(&source)
        {
            all.push(source);
        }
        all
    }

    fn move_on(&mut self, from: SocketAddr, resolved: &[SocketAddr]) {
        let all = self.all(resolved);
        let position = all.iter().position(|address| *address == from);
        let next = match position {
            Some(position) => (position + 1) % all.len(),
            None => 0,
        };
        self.current = all.get(next).copied();
    }

    fn outcome(&self, address: SocketAddr) -> Option<Outcome> {
        let (_, outcome) = self.outcomes.iter().find(|(known, _)| *known == address)?;
        Some(*outcome)
    }

    fn set_outcome(&mut self, address: SocketAddr, outcome: Outcome, resolved: &[SocketAddr]) {
        let mut kept = Vec::with_capacity(self.outcomes.len() + 1);
        for (known, outcome) in &self.outcomes {
            if *known != address && self.contains(*known, resolved) {
                kept.push((*known, *outcome));
            }
        }
        kept.push((address, outcome));
        self.outcomes = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn ms(milliseconds: u64) -> Micros {
        Micros(1_000_000_000 + milliseconds * 1000)
    }

    fn three() -> Vec<SocketAddr> {
        ["10.0.0.1:1", "10.0.0.2:1", "[fd00::1]:1"].map(at).into()
    }

    #[test]
    fn a_member_that_does_not_answer_is_tried_at_its_next_address() {
        let (resolved, mut choice) = (three(), Choice::default());
        assert_eq!(choice.pick(true, &resolved, ms(0)), Some(resolved[0]));
        assert_eq!(
            choice.pick(true, &resolved, ms(1)),
            Some(resolved[0]),
            "the same try"
        );
        assert_eq!(choice.pick(true, &resolved, ms(50)), Some(resolved[1]));
        assert_eq!(choice.pick(true, &resolved, ms(100)), Some(resolved[2]));
        assert_eq!(
            choice.pick(true, &resolved, ms(150)),
            Some(resolved[0]),
            "and around"
        );
        choice.note_answer(resolved[1], &resolved);
        for time in [200, 1200, 2200] {
            assert_eq!(
                choice.pick(false, &resolved, ms(time)),
                Some(resolved[1]),
                "it is kept"
            );
        }
        let gone = &resolved[..1];
        assert_eq!(
            choice.pick(false, gone, ms(3000)),
            Some(resolved[0]),
            "its name has changed"
        );
    }

    #[test]
    fn where_datagrams_come_from_is_tried_last_and_kept_once_it_answers() {
        let (resolved, mut choice) = (vec![at("10.0.0.1:1")], Choice::default());
        let (forged, nat) = (at("10.0.0.66:1"), at("10.0.0.1:40000"));
        choice.note_source(forged, &resolved);
        assert_eq!(choice.pick(false, &resolved, ms(0)), Some(resolved[0]));
        assert_eq!(
            choice.pick(false, &resolved, ms(1000)),
            Some(resolved[0]),
            "it is not in doubt"
        );
        choice.note_source(nat, &resolved);
        assert_eq!(choice.pick(true, &resolved, ms(1050)), Some(nat));
        choice.note_answer(nat, &resolved);
        choice.note_source(forged, &resolved);
        assert_eq!(choice.pick(false, &resolved, ms(2000)), Some(nat));
        let hint = "it has 2 addresses: 10.0.0.1 did not answer, 10.0.0.1:40000, where its datagrams come from, does";
        assert_eq!(choice.explain(&resolved).as_deref(), Some(hint));
        choice.note_source(resolved[0], &resolved);
        assert_eq!(
            choice.pick(false, &resolved, ms(3000)),
            Some(resolved[0]),
            "it is back"
        );
    }

    #[test]
    fn of_addresses_that_are_asked_at_once_those_that_do_not_answer_are_known() {
        let (resolved, mut choice) = (three(), Choice::default());
        choice.note_all_asked(ms(0));
        choice.note_answer(resolved[1], &resolved);
        choice.note_answer(resolved[2], &resolved);
        assert_eq!(
            choice.pick(false, &resolved, ms(1000)),
            Some(resolved[1]),
            "the first answer"
        );
        let hint = "its name has 3 addresses: 10.0.0.1 did not answer, 10.0.0.2 does, fd00::1 does";
        assert_eq!(choice.explain(&resolved).as_deref(), Some(hint));
    }

    #[test]
    fn an_answer_from_elsewhere_does_not_move_a_member_that_is_reached() {
        let (resolved, mut choice) = (vec![at("10.0.0.1:1")], Choice::default());
        choice.note_answer(at("10.0.1.1:1"), &resolved);
        assert_eq!(choice.pick(false, &resolved, ms(0)), Some(resolved[0]));
        assert_eq!(choice.explain(&resolved), None);
    }

    #[test]
    fn a_port_is_closed_when_it_is_so_at_all_addresses() {
        let (resolved, mut choice) = (three(), Choice::default());
        assert_eq!(choice.pick(false, &resolved, ms(0)), Some(resolved[0]));
        assert!(!choice.note_failed(resolved[0], Failed::Refused, &resolved));
        assert_eq!(
            choice.pick(true, &resolved, ms(0)),
            Some(resolved[1]),
            "at once"
        );
        let hint = "its name has 3 addresses: 10.0.0.1 has the port closed, 10.0.0.2 was not tried yet, fd00::1 was not tried yet";
        assert_eq!(choice.explain(&resolved).as_deref(), Some(hint));
        assert!(!choice.note_failed(resolved[1], Failed::Refused, &resolved));
        assert!(choice.note_failed(resolved[2], Failed::Refused, &resolved));
        choice.note_answer(resolved[1], &resolved);
        let hint = "its name has 3 addresses: 10.0.0.1 has the port closed, 10.0.0.2 answers, fd00::1 has the port closed";
        assert_eq!(choice.explain(&resolved).as_deref(), Some(hint));
        assert!(!choice.note_failed(resolved[0], Failed::Refused, &resolved));
    }
}
