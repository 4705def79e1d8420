//! What formulas predict for the same group.

use std::time::Duration;

use sim::Weather;
use swim::config::Config;
use swim::dissemination::gossip::{FANOUT, Pace};
use swim::time::Micros;

/// The share of the members that know something after a time, as (seconds, share).
pub type Curve = Vec<(f64, f64)>;

/// How finely curves are computed.
const STEP: Duration = Duration::from_micros(100);

/// News that is pushed: a member sends it to [`FANOUT`] random members when it learns it, and to others after each
/// pause. If k members send at a time, a member that does not know the news gets it from none of them with the
/// probability e^(−3k / N).
pub fn push(members: u32, config: &Config, weather: &Weather, limit: f64) -> Curve {
    let members = f64::from(members);
    let steps = |time: Duration| (time.as_secs_f64() / STEP.as_secs_f64()).round() as usize;
    let shortest = steps(weather.latency).max(1);
    let latencies = steps(weather.jitter) + 1;
    let pushes: Vec<usize> = pushes(config, limit).into_iter().map(steps).collect();
    // How many members know it at the end of each step.
    let mut known = vec![1.0];
    let known_at = |known: &[f64], now: usize, ago: usize| {
        now.checked_sub(ago).map_or(0.0, |step| known[step])
    };
    let mut curve = vec![(0.0, 0.0)];
    while curve.last().is_some_and(|(time, _)| *time < limit) {
        let now = known.len();
        let arrive = |push: &usize| {
            let learnt = |latency: usize| known_at(&known, now, push + latency);
            (learnt(shortest) - learnt(shortest + latencies)) / latencies as f64
        };
        let tellers: f64 = pushes.iter().map(arrive).sum();
        let missed = (-(FANOUT as f64) * (1.0 - weather.loss) * tellers / members).exp();
        let all = known[now - 1] + (members - known[now - 1]) * (1.0 - missed);
        known.push(all);
        curve.push((
            now as f64 * STEP.as_secs_f64(),
            (all - 1.0) / (members - 1.0),
        ));
    }
    curve
}

/// How long after a member has learnt one rumor it pushes it, again and again.
fn pushes(config: &Config, limit: f64) -> Vec<Duration> {
    let mut pace = Pace::default();
    let mut pushes = vec![Duration::ZERO];
    let mut last = Duration::ZERO;
    while last.as_secs_f64() < limit {
        last += pace.push(Micros(0), 1, config.gossip_interval);
        pushes.push(last);
    }
    pushes
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
