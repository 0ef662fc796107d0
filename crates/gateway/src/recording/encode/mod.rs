//! From a journal to a file that the disk keeps.

mod kept;
mod output;
mod queue;
mod speech;
mod wav;

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use pegcount_lame::{EncodeError, Encoder, Lame, Settings};
use pegcount_sealed::Keys;

use self::speech::Speech;
pub(super) use self::{kept::retold, output::remove_pieces, queue::Queue, speech::FOLDER as SPEECH_FOLDER};
pub use self::{output::Output, wav::Wav};
use super::{
    journal::{Record, reader::Reader},
    mixdown::{Mixdown, RATE, Sink, one, sum},
    report::{Flaws, Recorded},
};

/// What an MP3 has for each channel, in thousands of bits a second.
const KBITS: u32 = 64;

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// MP3 at 48 kHz: 64 kbit/s of one channel, 128 of two.
    Mp3,
    /// WAV at 48 kHz and 16 bits: where there is no LAME.
    Wav,
}

impl Format {
    /// What the file's name ends with.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Wav => "wav",
        }
    }
}

/// How the two sides are put into a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One channel with both.
    #[default]
    Mono,
    /// The caller on the left, the callee on the right.
    Stereo,
}

impl Layout {
    const fn channels(self) -> u8 {
        match self {
            Self::Mono => 1,
            Self::Stereo => 2,
        }
    }
}

/// How recordings are made.
#[derive(Clone, Debug)]
pub(super) struct Making {
    pub folder: PathBuf,
    pub layout: Layout,
    pub lame: Option<Lame>,
    pub speech: bool,
    pub longest: Duration,
    /// What files are sealed with.
    pub keys: Option<Keys>,
}

/// Why a recording was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum MakeError {
    #[error("the disk: {0}")]
    Disk(#[from] io::Error),
    #[error("the encoder: {0}")]
    Encode(#[from] EncodeError),
    #[error("the journal does not say whose it is")]
    Foreign,
}

/// Makes the recording of a journal. None when there is nothing to hear.
pub(super) fn make(journal: &Path, making: &Making) -> Result<Option<Recorded>, MakeError> {
    let Some(mut reader) = Reader::open(journal, making.keys.as_ref())? else {
        return Err(MakeError::Foreign);
    };
    let Some(Record::Beginning(beginning)) = reader.next()? else { return Err(MakeError::Foreign) };
    let format = if making.lame.is_some() { Format::Mp3 } else { Format::Wav };
    let mut writing = Writing::begin(making, &beginning.call)?;
    let mut mixdown = Mixdown::new(making.longest);
    let mut flaws = Flaws::default();
    while let Some(record) = reader.next()? {
        match record {
            Record::Payloads(side, map) => mixdown.payloads(side, map),
            Record::Frame(frame) => mixdown.push(frame, &mut writing)?,
            Record::Cut => flaws.cut = true,
            Record::Ended { dropped, interrupted, .. } => {
                flaws.frames_dropped = dropped;
                flaws.interrupted = interrupted;
            }
            Record::Beginning(_) => {}
        }
    }
    let found = mixdown.finish(&mut writing)?;
    let Some(begin_nanos) = found.begin_nanos.filter(|_| found.samples > 0) else { return Ok(None) };
    flaws.cut |= found.cut;
    flaws.interrupted |= reader.torn();
    flaws.packets_lost = found.packets_lost;
    flaws.packets_surplus = found.packets_surplus;
    flaws.packets_damaged = found.packets_damaged;
    let path = making.folder.join(format!("{}.{}", beginning.call, format.suffix()));
    let (bytes, sha256) = writing.finish(&path, &beginning.call)?;
    Ok(Some(Recorded {
        call: beginning.call,
        path,
        format,
        channels: making.layout.channels(),
        bytes,
        duration: Duration::from_millis(found.samples * 1_000 / u64::from(RATE)),
        sha256,
        begins_at: begins_at(beginning.started_at, begin_nanos),
        flaws,
    }))
}

fn begins_at(started_at: SystemTime, nanos: u64) -> SystemTime {
    started_at.checked_add(Duration::from_nanos(nanos)).unwrap_or(started_at)
}

/// A file on its way.
struct Writing {
    layout: Layout,
    output: Output,
    kind: Kind,
    speech: Option<Speech>,
    samples: [Vec<i16>; 2],
    bytes: Vec<u8>,
}

enum Kind {
    Mp3(Encoder),
    Wav(Wav),
}

impl Writing {
    fn begin(making: &Making, call: &str) -> Result<Self, MakeError> {
        let channels = making.layout.channels();
        let mut output = Output::create(&making.folder, call, making.keys.as_ref())?;
        let kind = match &making.lame {
            Some(lame) => {
                let bitrate = KBITS * u32::from(channels);
                Kind::Mp3(Encoder::new(lame, Settings { sample_rate: RATE, channels, bitrate, quality: 5 })?)
            }
            None => {
                let wav = Wav::new(RATE, channels);
                output.write(&wav.header())?;
                Kind::Wav(wav)
            }
        };
        let speech =
            making.speech.then(|| Speech::begin(&making.folder, call, making.keys.as_ref())).transpose()?;
        let layout = making.layout;
        Ok(Self { layout, output, kind, speech, samples: Default::default(), bytes: Vec::new() })
    }

    /// Ends the file, has the disk keep it under its name, and gives its size and its SHA-256.
    fn finish(mut self, path: &Path, call: &str) -> Result<(u64, [u8; 32]), MakeError> {
        // First: a recording that is there is not made anew.
        if let Some(speech) = self.speech {
            speech.finish(call)?;
        }
        self.bytes.clear();
        match self.kind {
            Kind::Mp3(encoder) => {
                encoder.finish(&mut self.bytes)?;
                self.output.write(&self.bytes)?;
            }
            Kind::Wav(wav) => self.output.write_first(&wav.header())?,
        }
        Ok(self.output.keep_as(path)?)
    }
}

impl Sink for Writing {
    type Error = MakeError;

    fn take(&mut self, caller: &[f32], callee: &[f32]) -> Result<(), MakeError> {
        if let Some(speech) = &mut self.speech {
            speech.take(caller, callee)?;
        }
        let [first, second] = &mut self.samples;
        match self.layout {
            Layout::Mono => sum(caller, callee, first),
            Layout::Stereo => {
                one(caller, first);
                one(callee, second);
            }
        }
        self.bytes.clear();
        let channels: &[&[i16]] = match self.layout {
            Layout::Mono => &[first],
            Layout::Stereo => &[first, second],
        };
        match &mut self.kind {
            Kind::Mp3(encoder) => encoder.encode(channels, &mut self.bytes)?,
            Kind::Wav(wav) => wav.encode(channels, &mut self.bytes),
        }
        Ok(self.output.write(&self.bytes)?)
    }
}
