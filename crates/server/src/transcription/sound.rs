//! The sound of a call as the gateway keeps it for recognisers: WAV at 16 kHz and 16 bits, of one channel or two.

use std::{
    io::{self, BufReader, Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
};

use pegcount_sealed::{Keys, Source};

/// Samples a second.
const RATE: u32 = 16_000;
/// Samples of 20 ms: what is loud or silent as a whole.
const STEP: usize = 320;
/// Milliseconds of that.
pub(super) const STEP_MILLIS: i64 = 20;
/// The mean square of a step at -50 dBFS; what is not above it is silence.
const SILENCE: u32 = 10_737;
/// A piece has at most so many steps, 10 minutes: 19 MB, and servers take 25.
const LONGEST_PIECE: usize = 30_000;
/// One that is not the last has at least so many, 8 minutes.
const SHORTEST_PIECE: usize = 24_000;
/// It ends where so many steps, 300 ms, are the most silent.
const PAUSE: usize = 15;

/// A file with the sound of a call.
pub(super) struct Sound {
    file: Source,
    /// 1 or 2.
    pub channels: usize,
    /// Where the samples begin.
    begin: u64,
    /// How many steps there are, the last one perhaps not whole.
    steps: usize,
    /// How many samples of each channel.
    samples: u64,
}

/// How loud each step of one channel is: the mean of its squares.
pub(super) type Loudness = Vec<u32>;

impl Sound {
    /// Opens a file, which may be sealed; `None` where it is no such sound. Of one that is cut off, what is there counts.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn open(path: &Path, keys: Option<&Keys>) -> io::Result<Option<Self>> {
        let source = Source::open(path, keys)?;
        let size = source.length();
        let mut file = source.cursor();
        let mut head = [0; 12];
        if !read_whole(&mut file, &mut head)? || &head[..4] != b"RIFF" || &head[8..] != b"WAVE" {
            return Ok(None);
        }
        let (mut at, mut channels) = (12, None);
        loop {
            let mut chunk = [0; 8];
            if !read_whole(&mut file, &mut chunk)? {
                return Ok(None);
            }
            let length = u64::from(u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]));
            at += 8;
            if &chunk[..4] == b"data" {
                let Some(channels) = channels else { return Ok(None) };
                let samples = length.min(size.saturating_sub(at)) / (2 * channels as u64);
                let steps = usize::try_from(samples.div_ceil(STEP as u64)).unwrap_or(usize::MAX);
                return Ok(Some(Self { file: source, channels, begin: at, steps, samples }));
            }
            if &chunk[..4] == b"fmt " {
                let mut format = [0; 16];
                if !read_whole(&mut file, &mut format)? {
                    return Ok(None);
                }
                channels = channels_of(&format);
            }
            at += length + length % 2;
            file.seek(SeekFrom::Start(at))?;
        }
    }

    /// How loud it is, channel by channel.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn loudness(&self) -> io::Result<Vec<Loudness>> {
        let mut file = BufReader::with_capacity(1 << 18, self.file.cursor());
        file.seek(SeekFrom::Start(self.begin))?;
        let mut all = vec![Vec::with_capacity(self.steps); self.channels];
        let mut left = self.samples;
        let mut bytes = vec![0; STEP * 2 * self.channels];
        while left > 0 {
            let count = left.min(STEP as u64) as usize;
            let part = &mut bytes[..count * 2 * self.channels];
            file.read_exact(part)?;
            for (channel, loudness) in all.iter_mut().enumerate() {
                let squares = self
                    .channel(part, channel)
                    .map(|sample| u64::from(i32::from(sample).unsigned_abs().pow(2)));
                loudness.push((squares.sum::<u64>() / count as u64) as u32);
            }
            left -= count as u64;
        }
        Ok(all)
    }

    /// Some steps of a channel, as a WAV file of its own.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn piece(&self, channel: usize, steps: &Range<usize>) -> io::Result<Vec<u8>> {
        let place = |step: usize| (step as u64 * STEP as u64).min(self.samples);
        let (from, until) = (place(steps.start), place(steps.end));
        let mut file = BufReader::with_capacity(1 << 18, self.file.cursor());
        file.seek(SeekFrom::Start(self.begin + from * 2 * self.channels as u64))?;
        let data = (until - from) as u32 * 2;
        let mut wav = Vec::with_capacity(44 + data as usize);
        wav.extend(b"RIFF");
        wav.extend((data + 36).to_le_bytes());
        wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        wav.extend(RATE.to_le_bytes());
        wav.extend((RATE * 2).to_le_bytes());
        wav.extend(b"\x02\0\x10\0data");
        wav.extend(data.to_le_bytes());
        let mut left = until - from;
        let mut bytes = vec![0; STEP * 2 * self.channels];
        while left > 0 {
            let count = left.min(STEP as u64) as usize;
            let part = &mut bytes[..count * 2 * self.channels];
            file.read_exact(part)?;
            wav.extend(self.channel(part, channel).flat_map(i16::to_le_bytes));
            left -= count as u64;
        }
        Ok(wav)
    }

    /// The samples of one channel.
    fn channel<'a>(&self, bytes: &'a [u8], channel: usize) -> impl Iterator<Item = i16> + 'a {
        let frames = bytes.chunks_exact(2 * self.channels);
        frames.map(move |frame| i16::from_le_bytes([frame[2 * channel], frame[2 * channel + 1]]))
    }
}

/// The pieces of a channel in which there is something to hear, cut where it is the most silent.
pub(super) fn pieces(loudness: &[u32]) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    while begin < loudness.len() {
        let end = if loudness.len() - begin <= LONGEST_PIECE {
            loudness.len()
        } else {
            let span = &loudness[begin + SHORTEST_PIECE..begin + LONGEST_PIECE];
            let sums =
                span.windows(PAUSE).map(|steps| steps.iter().map(|step| u64::from(*step)).sum::<u64>());
            let quietest = sums.enumerate().min_by_key(|(_, sum)| *sum).map_or(0, |(at, _)| at);
            begin + SHORTEST_PIECE + quietest + PAUSE / 2
        };
        if loudness[begin..end].iter().any(|step| *step > SILENCE) {
            pieces.push(begin..end);
        }
        begin = end;
    }
    pieces
}

fn read_whole(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The channels of what is uncompressed, at 16 kHz and 16 bits.
fn channels_of(format: &[u8; 16]) -> Option<usize> {
    let short = |at: usize| u16::from_le_bytes([format[at], format[at + 1]]);
    let rate = u32::from_le_bytes([format[4], format[5], format[6], format[7]]);
    let fits = short(0) == 1 && rate == RATE && short(14) == 16;
    Some(usize::from(short(2))).filter(|channels| fits && (1..=2).contains(channels))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file with these samples; those of two channels take turns.
    pub(crate) fn wav(channels: u16, samples: &[i16]) -> Vec<u8> {
        let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0".to_vec();
        bytes.extend(channels.to_le_bytes());
        bytes.extend(RATE.to_le_bytes());
        bytes.extend((RATE * 2 * u32::from(channels)).to_le_bytes());
        bytes.extend((2 * channels).to_le_bytes());
        bytes.extend(b"\x10\0data");
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes
    }

    fn opened(bytes: &[u8]) -> Option<Sound> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Sound::open(file.path(), None).unwrap()
    }

    #[test]
    fn each_channel_comes_out_by_itself() {
        let samples: Vec<i16> = (0..1_000).flat_map(|at| [at, -at]).collect();
        let sound = opened(&wav(2, &samples)).unwrap();
        assert_eq!((sound.channels, sound.steps), (2, 4));
        let right: Vec<i16> = (320..960).map(|at| -at).collect();
        assert_eq!(sound.piece(1, &(1..3)).unwrap(), wav_of_piece(&right));
        assert_eq!(sound.piece(0, &(3..4)).unwrap().len(), 44 + 2 * 40);
        let loudness = sound.loudness().unwrap();
        assert_eq!((loudness.len(), loudness[0].len()), (2, 4));
        assert_eq!(loudness[0], loudness[1]);
    }

    fn wav_of_piece(samples: &[i16]) -> Vec<u8> {
        let mut bytes = wav(1, samples);
        let length = (bytes.len() - 8) as u32;
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    #[test]
    fn what_is_cut_off_counts_as_far_as_it_goes_and_what_is_no_such_sound_is_none() {
        let whole = wav(2, &[7; 2_000]);
        assert_eq!(opened(&whole[..1_044]).unwrap().samples, 250);
        assert!(opened(&whole[..44]).unwrap().loudness().unwrap().iter().all(Vec::is_empty));
        let mut other = whole.clone();
        other[24..28].copy_from_slice(&8_000_u32.to_le_bytes());
        let mut many = whole.clone();
        many[22] = 6;
        for bytes in [
            &b""[..],
            b"RIFF",
            b"<html>and so on, and so on</html>",
            &whole[..30],
            &whole[..40],
            &other,
            &many,
        ] {
            assert!(opened(bytes).is_none(), "{:?}", &bytes[..bytes.len().min(50)]);
        }
    }

    #[test]
    fn silence_is_not_heard_and_what_is_long_is_cut_at_a_pause() {
        assert!(pieces(&[]).is_empty() && pieces(&[SILENCE; 500]).is_empty());
        assert_eq!(pieces(&[SILENCE + 1; 500]).first(), Some(&(0..500)));
        // 25 minutes of speech with a pause at 9 and at 17.5 minutes, then half an hour of silence.
        let mut loudness = vec![1_000_000; 75_000];
        loudness[27_000..27_020].fill(5);
        loudness[52_500..52_520].fill(5);
        loudness.extend(std::iter::repeat_n(0, 90_000));
        let pieces = pieces(&loudness);
        assert_eq!((pieces.len(), pieces[0].start), (3, 0));
        assert!(
            (27_000..27_020).contains(&pieces[0].end) && (52_500..52_520).contains(&pieces[1].end),
            "{pieces:?}"
        );
        assert!(pieces.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert!(pieces.iter().all(|piece| piece.len() <= LONGEST_PIECE));
    }
}
