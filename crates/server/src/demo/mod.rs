//! Believable calls, sent through `POST /v1/events` as any source would, live and with real pauses.
//!
//! `script` makes calls of a seed and knows no clock; `sender` lets them happen. A run first sends calls of the last day,
//! so that statistics show something at once, and then starts calls until it is stopped. The same seed gives the same
//! calls; only their ids and times belong to the run. While it runs, a `listener` on this machine serves their recordings
//! and takes hang-up orders by a control URL, which is removed again at the end. Live calls of a run that was killed are ended.

mod client;
mod control_url;
mod left_over;
mod listener;
mod outcome;
mod random;
mod scenarios;
mod script;
mod sender;
mod slots;
mod sound;
mod talk;
#[cfg(test)]
mod tests;

use std::fmt;

use sender::Sender;

use crate::clock::Clock;

/// What to send where.
#[derive(Clone)]
pub struct DemoOptions {
    /// The server, as `http://host:port`.
    pub url: String,
    /// A whole key with the scope `events:write`; with `admin` too, endpoints get their names.
    pub key: String,
    /// The organization that the calls are of, by id or number; without one the key's own.
    pub organization: Option<String>,
    /// Certificates that are trusted beside those of the system, in PEM.
    pub certificates: Vec<u8>,
    /// How many calls begin each second, on average.
    pub calls_per_second: f64,
    /// The same seed gives the same calls; without one each run is another.
    pub seed: Option<u64>,
    /// Live calls after which the run stops, once they have ended. `None`: it runs until it is stopped.
    pub limit: Option<u64>,
}

impl fmt::Debug for DemoOptions {
    /// Does not show the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DemoOptions")
            .field("url", &self.url)
            .field("organization", &self.organization)
            .field("calls_per_second", &self.calls_per_second)
            .field("seed", &self.seed)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It begins, with this seed.
    Begun {
        /// Shown again with this seed, the calls are the same.
        seed: u64,
    },
    /// The calls of the last 24 hours were sent.
    PastSent {
        /// Calls.
        calls: u64,
        /// Their events.
        events: u64,
    },
    /// Something that does not stop the run.
    Note(String),
    /// It goes on.
    Running(Tally),
    /// It is over, and every call of it has ended.
    Over(Tally),
}

/// What a run has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls begun, the last day's not counted.
    pub calls: u64,
    /// Calls in progress.
    pub live: u64,
    /// Events taken by the server, the last day's included.
    pub events: u64,
    /// Events that the server turned away.
    pub rejected: u64,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begun { seed } => write!(f, "sending calls with seed {seed}"),
            Self::PastSent { calls, events } => {
                write!(f, "created {calls} calls of the last 24 hours from {events} events")
            }
            Self::Note(note) => f.write_str(note),
            Self::Running(tally) => write!(f, "{tally}"),
            Self::Over(tally) => write!(f, "stopped: {tally}"),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} calls begun, {} live, {} events sent", self.calls, self.live, self.events)?;
        if self.rejected > 0 {
            write!(f, ", {} turned away", self.rejected)?;
        }
        Ok(())
    }
}

/// Sends calls until it is stopped (ctrl-c, SIGTERM) or the limit is reached; calls in progress are then ended.
/// Progress goes to the log.
///
/// # Errors
/// A sentence that says what to do: a key that is not taken, a server that cannot be reached.
pub async fn run(options: DemoOptions) -> Result<(), String> {
    run_reporting(options, |progress| tracing::info!("{progress}")).await
}

/// Runs like [`run`] and calls `report` at the beginning, every ten seconds, and at the end.
///
/// # Errors
/// As [`run`].
pub async fn run_reporting(
    options: DemoOptions,
    report: impl Fn(Progress) + Send + Sync,
) -> Result<(), String> {
    let clock = Clock::system();
    Sender::new(&options, clock, &report)?.run(stop_signal()).await
}

/// Completes at Ctrl-C or SIGTERM.
async fn stop_signal() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => _ = signal.recv().await,
            Err(_) => std::future::pending::<()>().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
}
