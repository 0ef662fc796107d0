//! How long what is kept of calls.

use pegcount_store::Keepsake;
use serde::{Deserialize, Serialize};

/// Most days that can be said: a hundred years.
const MOST_DAYS: u32 = 36_500;
/// A day.
const DAY_MILLIS: i64 = 24 * 3_600_000;

/// How many days after its end what is kept of a call; 0: for ever.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Its recording.
    pub recording_days: u32,
    /// What was said and pressed, and what an analysis says of it.
    pub transcript_days: u32,
    /// Its events: after that it stays as it is.
    pub event_days: u32,
    /// The call itself: after that it is erased.
    pub call_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { recording_days: 90, transcript_days: 0, event_days: 0, call_days: 0 }
    }
}

impl Config {
    /// What is meant.
    ///
    /// # Errors
    /// The end of a sentence that begins with the section.
    pub fn retention(&self) -> Result<Retention, String> {
        let said = [
            ("call_days", Keepsake::Call, self.call_days),
            ("event_days", Keepsake::Events, self.event_days),
            ("transcript_days", Keepsake::Transcript, self.transcript_days),
            ("recording_days", Keepsake::Recording, self.recording_days),
        ];
        let mut limits = Vec::with_capacity(said.len());
        for (key, keepsake, days) in said {
            if days > MOST_DAYS {
                return Err(format!("{key}: {days} days are more than {MOST_DAYS}; 0 keeps it for ever"));
            }
            if days > 0 {
                limits.push(Limit { keepsake, millis: i64::from(days) * DAY_MILLIS });
            }
        }
        Ok(Retention { limits })
    }
}

/// How long what is kept of an organization's calls.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Of each thing that is not kept for ever; first what takes most along.
    pub(super) limits: Vec<Limit>,
}

impl Default for Retention {
    fn default() -> Self {
        // The default is within its own bounds.
        Config::default().retention().unwrap_or(Self { limits: Vec::new() })
    }
}

/// How long one thing is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) keepsake: Keepsake,
    /// After the end of the call.
    pub(super) millis: i64,
}

/// What it is called in metrics, in the audit log and by the doctor.
pub(super) fn word(keepsake: Keepsake) -> &'static str {
    match keepsake {
        Keepsake::Recording => "recording",
        Keepsake::Transcript => "transcript",
        Keepsake::Events => "events",
        Keepsake::Call => "call",
    }
}
