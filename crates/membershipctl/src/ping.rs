//! `ping`: measures round trips to an instance.

use core::time::Duration;
use std::io::{self, Write};

use swim::identity::uri::Uri;

use crate::Verdict;
use crate::client::Client;
use crate::error::{Error, QueryError};
use crate::output::milliseconds;
use crate::ping_session::{PingEvent, PingSession, Plan};

/// The answers so far.
#[derive(Debug, Default)]
struct Statistics {
    /// Whether the instance has told the name that it has for itself.
    is_named: bool,
    round_trips: Vec<Duration>,
    error: Option<QueryError>,
}

/// Pings, prints each answer, and prints statistics at the end.
pub fn run(
    client: &Client,
    node: &Uri,
    count: Option<u32>,
    interval: Duration,
    out: &mut impl Write,
) -> Result<Verdict, Error> {
    let failure = |error| Error::NoAnswer(node.clone(), error);
    let mut connection = client.connect(node).map_err(failure)?;
    let mut session = PingSession::with_unknown_name(Plan {
        count,
        interval,
        timeout: client.timeout(),
    });
    let mut statistics = Statistics::default();
    client.run(&mut [(&mut connection, &mut session)], |queries| {
        while let Some(event) = queries[0].1.poll_event() {
            statistics.handle(event, node, out)?;
        }
        out.flush()
    })?;
    let sent = session.sent();
    if sent > 0 {
        statistics.print(sent, out)?;
    }
    match statistics.round_trips.len() as u32 {
        0 => Err(failure(match statistics.error {
            Some(error) => error,
            None => client.no_answer(),
        })),
        answered => Ok(Verdict::of(answered == sent)),
    }
}

impl Statistics {
    fn handle(&mut self, event: PingEvent, node: &Uri, out: &mut impl Write) -> io::Result<()> {
        match event {
            PingEvent::Named(name) => {
                self.is_named = true;
                if name == *node {
                    writeln!(out, "pinging {node}")
                } else {
                    writeln!(out, "pinging {node}, which calls itself {name}")
                }
            }
            PingEvent::Answered {
                sequence,
                round_trip,
                clock_delta,
            } => {
                self.round_trips.push(round_trip);
                write!(out, "{sequence}: {:.2} ms", milliseconds(round_trip))?;
                if let Some(delta) = clock_delta {
                    write!(out, "  clock {:+.2} ms", delta / 1e3)?;
                }
                writeln!(out)
            }
            PingEvent::Lost { sequence } => writeln!(out, "{sequence}: no answer"),
            PingEvent::Failed(error) => {
                let error = self.error.insert(error);
                if self.is_named {
                    writeln!(out, "{}", error)?;
                }
                Ok(())
            }
        }
    }

    fn print(&self, sent: u32, out: &mut impl Write) -> io::Result<()> {
        let answered = self.round_trips.len();
        let lost = 100.0 * (1.0 - answered as f64 / f64::from(sent));
        writeln!(out, "\n{sent} sent, {answered} answered, {lost:.0} % lost")?;
        if answered == 0 {
            return Ok(());
        }
        let (mut least, mut most, mut sum) = (f64::MAX, 0.0_f64, 0.0);
        for round_trip in &self.round_trips {
            let time = milliseconds(*round_trip);
            least = least.min(time);
            most = most.max(time);
            sum += time;
        }
        let mean = sum / answered as f64;
        let mut deviations = 0.0;
        for round_trip in &self.round_trips {
            deviations += (milliseconds(*round_trip) - mean).abs();
        }
        let deviation = deviations / answered as f64;
        writeln!(
            out,
            "round trip: least {least:.2}, mean {mean:.2}, most {most:.2} ms; mean deviation {deviation:.2} ms"
        )
    }
}
