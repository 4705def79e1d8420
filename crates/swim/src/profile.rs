//! Profiles: options for a kind of network, or for a purpose, by one name.
//!
//! What a program assigns itself stays as it is, whether it does so before or after it uses a profile.

/// A set of options that go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// A data centre: the defaults.
    #[default]
    Lan,
    /// Data centres that are far from one another.
    Wan,
    /// One machine, as for development and tests.
    Local,
    /// A data centre, with deaths known within two seconds.
    Failover,
}

/// Which options a program has assigned, by their places in the list of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assigned(u32);

impl Assigned {
    /// How many options there may be.
    pub const OPTIONS_MAX: usize = u32::BITS as usize;

    /// Whether a program has assigned the option at this place.
    pub const fn has(self, index: usize) -> bool {
        self.0 & 1 << index != 0
    }

    /// Notes whether a program has assigned the option at this place.
    pub const fn note(&mut self, index: usize, is_assigned: bool) {
        if is_assigned {
            self.0 |= 1 << index;
        } else {
            self.0 &= !(1 << index);
        }
    }
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Lan, Self::Wan, Self::Local, Self::Failover];

    /// The name by which it is chosen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Wan => "wan",
            Self::Local => "local",
            Self::Failover => "failover",
        }
    }

    /// The profile of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The options that it sets; all others have their defaults. `doc/operations.md` justifies each by a
    /// simulation.
    pub const fn values(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::Lan => &[],
            Self::Wan => &[
                // The longest round trip between continents takes 0.4 s or so.
                ("ACK_TIMEOUT_SECONDS", 0.8),
                // So that a probe has as many tries as in a data centre.
                ("PROTOCOL_PERIOD_SECONDS", 3.0),
                // A refutation has as far to go as the suspicion had.
                ("SUSPECT_TIMEOUT_SECONDS", 6.0),
                // What is pushed again within a round trip is pushed in vain.
                ("GOSSIP_INTERVAL_SECONDS", 0.2),
                ("ANTI_ENTROPY_PERIOD_SECONDS", 30.0),
            ],
            Self::Local => &[
                ("ACK_TIMEOUT_SECONDS", 0.1),
                ("PROTOCOL_PERIOD_SECONDS", 0.5),
                ("SUSPECT_TIMEOUT_SECONDS", 1.5),
                ("ANTI_ENTROPY_PERIOD_SECONDS", 5.0),
            ],
            Self::Failover => &[
                ("PROTOCOL_PERIOD_SECONDS", 0.5),
                ("SUSPECT_TIMEOUT_MIN_SECONDS", 0.5),
            ],
        }
    }
}
