//! Which of two claims about a member to believe (SWIM §4.2).

use core::fmt;

/// What a member is said to be. The order is the order of precedence at one incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Answers, as far as is known.
    Alive = 1,
    /// Did not answer a member, and has not refuted that yet (§4.2).
    Suspect = 2,
    /// Has not refuted the suspicion in time ("confirmed faulty" in the paper).
    Dead = 3,
    /// Dead, and something at its address sends what we cannot decrypt: a wrong key.
    NonDecryptable = 4,
    /// Said good-bye, or was declared gone by an operator.
    Left = 5,
}

impl Status {
    /// All of them, in order of precedence.
    pub const ALL: [Self; 5] = [
        Self::Alive,
        Self::Suspect,
        Self::Dead,
        Self::NonDecryptable,
        Self::Left,
    ];

    /// Its number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The status with this number on the wire.
    pub fn from_number(number: u64) -> Option<Self> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        Self::ALL.get(index).copied()
    }

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::NonDecryptable => "non-decryptable",
            Self::Left => "left",
        }
    }

    /// Whether the member takes part in the probe round of the living.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }

    /// Whether a member of this status is forgotten in the end. A non-decryptable one is not: something
    /// still sends from its address.
    pub const fn is_gone(self) -> bool {
        matches!(self, Self::Dead | Self::Left)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many times a member has been reborn: it alone raises it, to contradict what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(u64);

impl Incarnation {
    /// What a member starts its life with.
    pub const FIRST: Self = Self(1);

    /// A Lua number holds every integer up to 2^53. What is claimed at this one cannot be contradicted
    /// by a higher one; see `hearsay`.
    const MAX: u64 = (1 << 53) - 2;

    /// Admits what a peer sent.
    pub fn from_wire(raw: u64) -> Option<Self> {
        (1..=Self::MAX).contains(&raw).then_some(Self(raw))
    }

    /// The number itself, in `1..=2^53 - 2`.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether there is none after it.
    pub const fn is_last(self) -> bool {
        self.0 == Self::MAX
    }

    /// Whether it is in the upper half: a member that has come here by counting is as old as the hills.
    pub const fn is_among_the_last(self) -> bool {
        self.0 > Self::MAX / 2
    }

    /// Whether `later` is more than so many after this one.
    pub const fn leaps_to(self, later: Self, most: u64) -> bool {
        later.0.saturating_sub(self.0) > most
    }

    /// The least incarnation with which `self` refutes a rumor heard at `rumored`.
    pub fn beating(self, rumored: Self) -> Self {
        self.max(rumored).next()
    }

    /// The one after this.
    // Held at the limit: past it peers would refuse the claim altogether. A member that changed
    // its payload once a microsecond would get there in 285 years.
    pub fn next(self) -> Self {
        Self((self.0 + 1).min(Self::MAX))
    }
}

/// The statement "at this incarnation, the member was thus".
// Field order is the precedence order: the derived `Ord` is the rule of §4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// Compared first.
    pub incarnation: Incarnation,
    /// Decides among equal incarnations.
    pub status: Status,
}

impl Claim {
    /// That the member is alive at `incarnation`.
    pub const fn alive(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            status: Status::Alive,
        }
    }

    /// The same incarnation with another status.
    pub const fn with(self, status: Status) -> Self {
        Self { status, ..self }
    }

    /// Whether to believe `self` over what is `held`, if anything is.
    pub fn overrides(self, held: Option<Self>) -> bool {
        held.is_none_or(|held| self > held)
    }
}

#[cfg(test)]
mod tests {
    use super::Status::{Alive, Dead, Left, NonDecryptable, Suspect};
    use super::*;

    fn claim(status: Status, incarnation: u64) -> Claim {
        Claim {
            incarnation: Incarnation::from_wire(incarnation).unwrap(),
            status,
        }
    }

    #[test]
    fn precedence_is_the_table_of_the_paper() {
        let rows = [
            (claim(Alive, 1), claim(Suspect, 1), false),
            (claim(Alive, 1), claim(Alive, 1), false),
            (claim(Alive, 2), claim(Alive, 1), true),
            (claim(Alive, 2), claim(Suspect, 1), true),
            (claim(Suspect, 1), claim(Suspect, 1), false),
            (claim(Suspect, 1), claim(Alive, 1), true),
            (claim(Suspect, 1), claim(Alive, 2), false),
            (claim(Suspect, 2), claim(Suspect, 1), true),
            (claim(Dead, 1), claim(Suspect, 1), true),
            (claim(Dead, 1), claim(Alive, 1), true),
            // The paper lets Confirm beat any incarnation; membership 2.x lets the dead return.
            (claim(Dead, 1), claim(Alive, 2), false),
            (claim(Alive, 2), claim(Dead, 1), true),
            // What the paper does not have.
            (claim(NonDecryptable, 1), claim(Dead, 1), true),
            (claim(Left, 1), claim(NonDecryptable, 1), true),
            (claim(Alive, 2), claim(Left, 1), true),
            (claim(Left, 1), claim(Alive, 2), false),
        ];
        for (said, held, believed) in rows {
            assert_eq!(
                said.overrides(Some(held)),
                believed,
                "{said:?} over {held:?}"
            );
        }
        assert!(
            claim(Dead, 1).overrides(None),
            "anything is news about a stranger"
        );
    }

    #[test]
    fn an_incarnation_that_lua_could_not_hold_is_not_admitted() {
        assert!(Incarnation::from_wire(0).is_none());
        assert!(Incarnation::from_wire((1 << 53) - 1).is_none());
        assert!(Incarnation::from_wire(u64::MAX).is_none());
        let most = Incarnation::from_wire((1 << 53) - 2).unwrap();
        assert_eq!(most.next(), most, "never more than peers admit");
    }

    #[test]
    fn a_leap_is_more_than_so_many_upwards() {
        let [one, two, ten] = [1, 2, 10].map(|raw| Incarnation::from_wire(raw).unwrap());
        assert!(one.leaps_to(ten, 8) && !two.leaps_to(ten, 8) && !ten.leaps_to(one, 0));
        let last = Incarnation::from_wire((1 << 53) - 2).unwrap();
        assert!(last.is_last() && last.is_among_the_last() && !ten.is_among_the_last());
    }

    #[test]
    fn refuting_goes_past_both_incarnations() {
        let [two, five, six] = [2, 5, 6].map(|raw| Incarnation::from_wire(raw).unwrap());
        assert_eq!(two.beating(five), six);
        assert_eq!(five.beating(two), six);
    }
}
