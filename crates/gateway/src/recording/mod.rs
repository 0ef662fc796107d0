//! Recordings of calls.
//!
//! While a call goes on, the payloads that its relay hears are written to a journal, and nothing is decoded. When it is
//! over, the journal is decoded, both sides are put together and encoded, and the journal is removed once the disk keeps
//! the file. A crash leaves the journal, and what was in it is not lost: see [`Recorder::left_over`].
//!
//! ```text
//! relay -- Tap --> journal (a thread for all calls) -- end of the call --> mixdown --> encode (threads) --> Report
//! ```

mod codec;
mod encode;
mod journal;
mod mixdown;
mod recorder;
mod report;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use codec::{Codec, Payload, PayloadMap};
pub use encode::{Format, Layout, Output, Wav};
pub use journal::Ending;
pub use recorder::{BeginError, CallRecording, LeftOver, Recorder, RecorderConfig, StartError};
pub use report::{Counts, Flaws, Recorded, Report};
