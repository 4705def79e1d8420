//! `ping`: round trips to an instance.

use core::time::Duration;
use std::io::{self, Write};

use swim::identity::uri::Uri;

use crate::Verdict;
use crate::client::Client;
use crate::error::{Failure, QueryError};
use crate::output::milliseconds;
use crate::ping_session::{Happening, PingSession, Plan};

/// The answers so far.
#[derive(Debug, Default)]
struct Statistics {
    is_named: bool,
    round_trips: Vec<Duration>,
    trouble: Option<QueryError>,
}

/// Pings, and prints each answer and what they come to.
pub fn run(
    client: &Client,
    node: &Uri,
    count: Option<u32>,
    interval: Duration,
    out: &mut impl Write,
) -> Result<Verdict, Failure> {
    let failure = |trouble| Failure::NoAnswer(node.clone(), trouble);
    let mut line = client.connect(node).map_err(failure)?;
    let mut echo = PingSession::of_unknown(Plan {
        count,
        interval,
        timeout: client.timeout(),
    });
    let mut statistics = Statistics::default();
    client.talk(&mut [(&mut line, &mut echo)], |talks| {
        while let Some(happening) = talks[0].1.poll_happening() {
            statistics.note(happening, node, out)?;
        }
        out.flush()
    })?;
    let sent = echo.sent();
    if sent == 0 {
        let trouble = statistics.trouble.unwrap_or_else(|| client.silence());
        return Err(failure(trouble));
    }
    statistics.print(sent, out)?;
    match statistics.round_trips.len() as u32 {
        0 => Err(failure(
            statistics.trouble.unwrap_or_else(|| client.silence()),
        )),
        answered => Ok(Verdict::of(answered == sent)),
    }
}

impl Statistics {
    fn note(&mut self, happening: Happening, node: &Uri, out: &mut impl Write) -> io::Result<()> {
        match happening {
            Happening::Named(name) => {
                self.is_named = true;
                let alias = (name != *node).then(|| format!(", which calls itself {name}"));
                writeln!(out, "pinging {node}{}", alias.unwrap_or_default())
            }
            Happening::Answered {
                sequence,
                round_trip,
                clock_delta,
            } => {
                self.round_trips.push(round_trip);
                let clock = clock_delta.map(|delta| format!("  clock {:+.2} ms", delta / 1e3));
                let time = milliseconds(round_trip);
                writeln!(out, "{sequence}: {time:.2} ms{}", clock.unwrap_or_default())
            }
            Happening::Lost { sequence } => writeln!(out, "{sequence}: no answer"),
            Happening::QueryError(trouble) => {
                let trouble = self.trouble.insert(trouble);
                if self.is_named {
                    writeln!(out, "{}", trouble.name())?;
                }
                Ok(())
            }
        }
    }

    fn print(&self, sent: u32, out: &mut impl Write) -> io::Result<()> {
        let answered = self.round_trips.len();
        let lost = 100.0 * (1.0 - answered as f64 / f64::from(sent));
        writeln!(out, "\n{sent} sent, {answered} answered, {lost:.0} % lost")?;
        let times = || self.round_trips.iter().map(Duration::as_secs_f64);
        let Some(least) = times().reduce(f64::min) else {
            return Ok(());
        };
        let most = times().fold(least, f64::max);
        let mean = times().sum::<f64>() / answered as f64;
        let deviation = times().map(|time| (time - mean).abs()).sum::<f64>() / answered as f64;
        let [least, mean, most, deviation] = [least, mean, most, deviation].map(|time| time * 1e3);
        writeln!(
            out,
            "round trip: least {least:.2}, mean {mean:.2}, most {most:.2} ms; mean deviation {deviation:.2} ms"
        )
    }
}
