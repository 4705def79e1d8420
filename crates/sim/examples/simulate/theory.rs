//! What formulas predict for the same group.

use std::time::Duration;

use swim::config::Config;

/// The share of the members that know something after a time, as (seconds, share).
pub type Curve = Vec<(f64, f64)>;

/// How finely curves are computed.
const STEP: Duration = Duration::from_millis(1);

/// How many members are sent news at a time, and how long news is collected: as in `dissemination/gossip`
/// of the protocol.
const FANOUT: f64 = 3.0;
const COALESCING: Duration = Duration::from_millis(10);

/// News that is pushed: a member that learns it sends it to three random members after the time for
/// collecting, and to three others after each interval. If k members send at a time, a member that does
/// not know the news gets it from none of them with the probability e^(−3k / N).
pub fn push(members: u32, config: &Config, latency: Duration, loss: f64, limit: f64) -> Curve {
    let members = f64::from(members);
    let steps = |time: Duration| (time.as_secs_f64() / STEP.as_secs_f64()).round() as usize;
    let (first, interval) = (
        steps(COALESCING + latency),
        steps(config.gossip_interval).max(1),
    );
    // How many members learnt it in each step.
    let mut heard = vec![1.0];
    let mut known = 1.0;
    let mut curve = vec![(0.0, 0.0)];
    while curve.last().is_some_and(|(time, _)| *time < limit) {
        let now = heard.len();
        let told = (now >= first).then(|| (0..=now - first).rev().step_by(interval));
        let tellers: f64 = told.into_iter().flatten().map(|step| heard[step]).sum();
        let missed = (-FANOUT * (1.0 - loss) * tellers / members).exp();
        let fresh = (members - known) * (1.0 - missed);
        known += fresh;
        heard.push(fresh);
        curve.push((
            now as f64 * STEP.as_secs_f64(),
            (known - 1.0) / (members - 1.0),
        ));
    }
    curve
}

/// News that rides on pings and answers (§5 of the paper): two contacts a period, hence
/// x = N / (1 + (N − 1)·e^(−2t)).
pub fn ride(members: u32, config: &Config, loss: f64, limit: f64) -> Curve {
    let members = f64::from(members);
    let rate = 2.0 * (1.0 - loss) / config.protocol_period.as_secs_f64();
    let known = |time: f64| members / (1.0 + (members - 1.0) * (-rate * time).exp());
    let times = (0..=200).map(|step| limit * f64::from(step) / 200.0);
    times
        .map(|time| (time, (known(time) - 1.0) / (members - 1.0)))
        .collect()
}

/// When a curve reaches a share.
pub fn time_of(curve: &Curve, share: f64) -> Option<f64> {
    curve
        .iter()
        .find(|(_, known)| *known >= share)
        .map(|(time, _)| *time)
}

/// How long it takes on average until any member pings one that is gone (§3.1 of the paper), and a period
/// until that ping has failed.
pub fn first_suspicion(members: u32, config: &Config) -> f64 {
    let others = f64::from(members) - 1.0;
    let missed = (1.0 - 1.0 / others.max(1.0)).powf(others);
    config.protocol_period.as_secs_f64() * (0.5 + 1.0 / (1.0 - missed))
}
