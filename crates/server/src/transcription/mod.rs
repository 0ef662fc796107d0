//! Transcripts made of our own recordings, where the source of a call told no turns.
//!
//! The gateway keeps the sound of both sides apart, as long as nobody has transcribed it. A job, asked for in the transaction
//! of the recording's event, has a recogniser hear each side by itself, a server that speaks OpenAI's form or a command,
//! makes turns of the words by their times, and tells them as events of the source `transcription`. They are inferred: where
//! somebody told turns, those are the transcript, whichever came first.

mod config;
mod desk;
mod events;
mod provider;
mod sound;
mod sweep;
#[cfg(test)]
mod tests;
mod turns;
mod wire;
mod work;

pub use config::{Config, Settings};
pub use desk::{Asking, Desk};
pub use sweep::sweep;
pub use work::Transcription;

/// The source of the events that are told here.
pub const NAME: &str = "transcription";
