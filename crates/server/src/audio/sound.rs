//! A sound file, decoded packet by packet.

use std::{
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

use pegcount_sealed::{Cursor, Keys, Source};
use symphonia::core::{
    codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known::CODEC_ID_OPUS},
    errors::Error,
    formats::{FormatReader, TrackType, probe::Hint},
    io::{MediaSource, MediaSourceStream, ReadOnlySource},
};

use super::{
    Unheard, kind,
    opus::{self, Opus},
    riff,
};

/// The rates that are taken: what no recorder has would only cost memory.
const RATES: std::ops::RangeInclusive<u32> = 2_000..=192_000;
/// Most channels that are taken.
const MOST_CHANNELS: usize = 8;

/// A file in the clear, or one that is opened as it is read.
pub(super) type File = Cursor<Arc<Source>>;

/// The same, for decoders.
struct Medium(File);

impl Read for Medium {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(room)
    }
}

impl Seek for Medium {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl MediaSource for Medium {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.0.length())
    }
}

/// A sound file that is being read.
pub(super) struct Sound {
    format: Box<dyn FormatReader>,
    track: u32,
    decoder: Decoder,
    channels: Vec<Vec<f32>>,
    /// How many samples each channel has, as the file says.
    frames: Option<u64>,
    is_damaged: bool,
}

enum Decoder {
    Usual(Box<dyn AudioDecoder>),
    Opus(Box<Opus>),
}

/// Samples of each channel, from -1 to 1, as they are in the file.
pub(super) struct Piece<'a> {
    pub(super) rate: u32,
    pub(super) channels: &'a [Vec<f32>],
}

impl Sound {
    /// Opens a file and finds the sound in it.
    pub(super) fn open(path: &Path, keys: Option<&Keys>) -> Result<Self, Unheard> {
        let source = Arc::new(Source::open(path, keys)?);
        let mut head = Vec::with_capacity(kind::HEAD);
        File::of(Arc::clone(&source)).take(kind::HEAD as u64).read_to_end(&mut head)?;
        if head.is_empty() {
            return Err(Unheard::Empty);
        }
        if let Some(other) = kind::of_other(&head) {
            return Err(Unheard::Foreign(other));
        }
        let mended = riff::mended(File::of(Arc::clone(&source)))?;
        let is_damaged = mended.as_ref().is_some_and(|mended| mended.is_cut);
        let source: Box<dyn MediaSource> = match mended {
            Some(mended) => Box::new(ReadOnlySource::new(mended.bytes)),
            None => Box::new(Medium(File::of(source))),
        };
        let stream = MediaSourceStream::new(source, Default::default());
        let probe = symphonia::default::get_probe();
        let format = probe
            .probe(&Hint::new(), stream, Default::default(), Default::default())
            .map_err(|error| unprobed(error, &head))?;
        let track = format.default_track(TrackType::Audio);
        let (track, frames, parameters) = track
            .and_then(|track| {
                Some((track.id, track.num_frames, track.codec_params.as_ref()?.audio()?.clone()))
            })
            .ok_or(Unheard::Soundless)?;
        let decoder = Decoder::of(&parameters)?;
        Ok(Self { format, track, decoder, channels: Vec::new(), frames, is_damaged })
    }

    /// How many samples each channel has, as the file says, if it does.
    pub(super) fn frames(&self) -> Option<u64> {
        self.frames
    }

    /// Whether the file breaks off, or some of it could not be decoded.
    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// The next samples, at least one; `None` at the end. Where the file breaks off is its end.
    pub(super) fn next(&mut self) -> Result<Option<Piece<'_>>, Unheard> {
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(None),
                Err(Error::IoError(error)) if !is_end(&error) => return Err(Unheard::Disk(error)),
                // What follows cannot be told from noise, or is another recording.
                Err(_) => {
                    self.is_damaged = true;
                    return Ok(None);
                }
            };
            if packet.track_id != self.track {
                continue;
            }
            let rate = match &mut self.decoder {
                Decoder::Opus(opus) => {
                    let trim_end = usize::try_from(packet.trim_end.get()).unwrap_or(usize::MAX);
                    opus.decode(&packet.data, trim_end, &mut self.channels).then_some(opus::RATE)
                }
                Decoder::Usual(decoder) => match decoder.decode(&packet) {
                    Ok(audio) => {
                        audio.copy_to_vecs_planar(&mut self.channels);
                        Some(audio.spec().rate())
                    }
                    Err(_) => None,
                },
            };
            let Some(rate) = rate else {
                self.is_damaged = true;
                continue;
            };
            if self.channels.first().is_none_or(Vec::is_empty) {
                continue;
            }
            if !RATES.contains(&rate) {
                return Err(Unheard::Unsupported(format!("it has {rate} samples a second")));
            }
            if self.channels.len() > MOST_CHANNELS {
                return Err(Unheard::Unsupported(format!("it has {} channels", self.channels.len())));
            }
            // A stranger's bytes may also decode to what is no number.
            self.channels.iter_mut().flatten().for_each(|sample| *sample = bounded(*sample));
            return Ok(Some(Piece { rate, channels: &self.channels }));
        }
    }
}

impl Decoder {
    fn of(parameters: &AudioCodecParameters) -> Result<Self, Unheard> {
        if parameters.codec == CODEC_ID_OPUS {
            let head = parameters.extra_data.as_deref().unwrap_or_default();
            return Ok(Self::Opus(Box::new(Opus::of_head(head)?)));
        }
        let codecs = symphonia::default::get_codecs();
        codecs.make_audio_decoder(parameters, &AudioDecoderOptions::default()).map(Self::Usual).map_err(
            |error| match error {
                Error::Unsupported(what) | Error::DecodeError(what) => Unheard::Unsupported(what.to_owned()),
                other => Unheard::Unsupported(other.to_string()),
            },
        )
    }
}

/// Why no container was found.
fn unprobed(error: Error, head: &[u8]) -> Unheard {
    match error {
        Error::IoError(error) if !is_end(&error) => Unheard::Disk(error),
        _ => Unheard::Foreign(kind::of_unknown(head)),
    }
}

/// Whether a file simply has no more bytes: that is no fault of the disk.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::Other | io::ErrorKind::InvalidInput)
}

fn bounded(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}
