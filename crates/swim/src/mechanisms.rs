//! What has been added to plain SWIM, and can be left out to see what it is good for.

/// Which of the mechanisms are at work that plain SWIM does not have.
///
/// No option for users: simulations leave one out and measure what becomes of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mechanisms {
    /// A probe asks over and over until its period ends, through other relays each time.
    pub retries: bool,
    /// It asks again as soon as this member should have answered, by its round-trip time.
    pub adaptive_timeouts: bool,
    /// A member that was paused does not blame others for it.
    pub pause_guard: bool,
    /// A member that receives nothing withholds its suspicions.
    pub withhold_suspicions: bool,
    /// News is pushed at once, instead of waiting for the next ping.
    pub push: bool,
}

impl Mechanisms {
    /// All of them.
    pub const ALL: Self = Self {
        retries: true,
        adaptive_timeouts: true,
        pause_guard: true,
        withhold_suspicions: true,
        push: true,
    };

    /// None of them: SWIM as in the paper.
    pub const NONE: Self = Self {
        retries: false,
        adaptive_timeouts: false,
        pause_guard: false,
        withhold_suspicions: false,
        push: false,
    };
}
