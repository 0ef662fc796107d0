//! Sound files of others: read, whatever they are, and written as one of our own.
//!
//! A file is read, brought to another rate and written block by block, so an hour takes no more memory than a second. Who
//! made it is a stranger: a decoder that panics fails that one file. Everything here waits for the disk and computes: it
//! is for a thread that may.

mod blocks;
mod kind;
mod opus;
mod resampler;
mod riff;
mod sound;
#[cfg(test)]
mod tests;
mod writing;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

use pegcount_gateway::recording::{Format, Output};
use pegcount_lame::{EncodeError, Lame};
use pegcount_sealed::Keys;

pub use blocks::Blocks;
use writing::Writing;

/// The longest sound that is taken.
pub const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// Samples a second of a recording, as the gateway's own have it.
pub const RECORDING_RATE: u32 = 48_000;
/// Samples a second of what is to be understood.
pub const SPEECH_RATE: u32 = 16_000;

/// Why nothing was made of a file. Each is the rest of a sentence that begins with the file.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// It is another kind of file, or none that is known.
    #[error("is not a sound file that can be read: {0}")]
    Foreign(&'static str),
    /// It has no bytes.
    #[error("is empty")]
    Empty,
    /// It is a sound file, and not one sample can be had of it.
    #[error("has no sound in it")]
    Soundless,
    /// It is a sound file of a kind that is not read.
    #[error("is a sound file of a kind that is not read: {0}")]
    Unsupported(String),
    /// It is longer than [`LONGEST`].
    #[error("is longer than 6 hours")]
    TooLong,
    /// The decoder has a mistake that it hits.
    #[error("cannot be decoded: the decoder failed on it")]
    Failed,
    /// A disk that cannot be read or written.
    #[error("cannot be read or written: {0}")]
    Disk(#[from] io::Error),
    /// The encoder.
    #[error("cannot be written as MP3: {0}")]
    Encode(#[from] EncodeError),
    /// Whoever asked for it wants it no more.
    #[error("was given up")]
    Stopped,
}

/// A recording that was made, under its name once it is kept; dropped before, it is removed.
#[derive(Debug)]
pub struct Made {
    output: Output,
    /// Its format.
    pub format: Format,
    /// How many channels it has.
    pub channels: u8,
    /// How long it is.
    pub duration: Duration,
    /// Whether the file it was made of breaks off, or some of it could not be decoded.
    pub is_damaged: bool,
}

impl Made {
    /// Has the disk keep it under this name, and gives its size and its SHA-256.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_as(self, path: &Path) -> io::Result<(u64, [u8; 32])> {
        self.output.keep_as(path)
    }
}

/// What was written to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// 1, or 2 where the file had two; the left one stays left.
    pub channels: u8,
    /// How long it is.
    pub duration: Duration,
    /// Whether the file it was made of breaks off, or some of it could not be decoded.
    pub is_damaged: bool,
}

/// Makes a recording of a file: MP3 at 48 kHz with one channel of 64 kbit/s, or WAV where there is no LAME. It lies in
/// `folder` under `name` with `.part` behind it until it is kept. With keys the file may be sealed and the recording is.
///
/// # Errors
/// [`Unheard`]; [`Unheard::Stopped`] soon after `stopped` says so.
pub fn recording(
    source: &Path,
    (folder, name): (&Path, &str),
    lame: Option<&Lame>,
    keys: Option<&Keys>,
    stopped: &dyn Fn() -> bool,
) -> Result<Made, Unheard> {
    guarded(|| {
        let mut blocks = Blocks::open(source, keys, RECORDING_RATE)?;
        let output = Output::create(folder, name, keys)?;
        let mut writing = Writing::begin(output, RECORDING_RATE, 1, lame)?;
        let mut mixed = Vec::new();
        while let Some(channels) = blocks.next()? {
            if stopped() {
                return Err(Unheard::Stopped);
            }
            mix(channels, &mut mixed);
            writing.take(&[&mixed])?;
        }
        let duration = blocks.duration();
        let (output, format) = writing.finish()?;
        Ok(Made { output, format, channels: 1, duration, is_damaged: blocks.is_damaged() })
    })
}

/// Writes what is said in a file as WAV of 16 kHz and 16 bits, with one channel, or two where the file has two. `out` is
/// written over, and only there once it is whole. With keys the file may be sealed and what is written is.
///
/// # Errors
/// [`Unheard`]; [`Unheard::Stopped`] soon after `stopped` says so.
pub fn speech(
    source: &Path,
    out: &Path,
    keys: Option<&Keys>,
    stopped: &dyn Fn() -> bool,
) -> Result<Spoken, Unheard> {
    let nowhere = || io::Error::from(io::ErrorKind::InvalidFilename);
    let folder = out.parent().ok_or_else(nowhere)?;
    let name = out.file_name().and_then(|name| name.to_str()).ok_or_else(nowhere)?;
    guarded(|| {
        let mut blocks = Blocks::open(source, keys, SPEECH_RATE)?;
        let channels = blocks.channels();
        let output = Output::create(folder, name, keys)?;
        let mut writing = Writing::begin(output, SPEECH_RATE, channels, None)?;
        while let Some(block) = blocks.next()? {
            if stopped() {
                return Err(Unheard::Stopped);
            }
            let block: Vec<&[f32]> = block.iter().map(Vec::as_slice).collect();
            writing.take(&block)?;
        }
        let (duration, is_damaged) = (blocks.duration(), blocks.is_damaged());
        writing.finish()?.0.keep_as(out)?;
        Ok(Spoken { channels, duration, is_damaged })
    })
}

/// Decoders are large, and what they decode is a stranger's: one that panics fails its file and nothing else.
fn guarded<T>(work: impl FnOnce() -> Result<T, Unheard>) -> Result<T, Unheard> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Unheard::Failed))
}

/// The mean of all channels: as loud as the loudest of them at most, so it never clips.
fn mix(channels: &[Vec<f32>], mixed: &mut Vec<f32>) {
    mixed.clear();
    let share = 1.0 / channels.len().max(1) as f32;
    let length = channels.iter().map(Vec::len).min().unwrap_or_default();
    mixed.extend((0..length).map(|at| channels.iter().map(|channel| channel[at]).sum::<f32>() * share));
}
