//! Both sides apart, as recognisers of speech want them: WAV at 16 kHz and 16 bits, the caller on the left.

use std::{
    f32::consts::{PI, TAU},
    fs, io,
    path::{Path, PathBuf},
};

use pegcount_sealed::Keys;

use super::{output::Output, wav::Wav};
use crate::recording::mixdown::{RATE, one};

/// The folder of such files, in that of recordings.
pub(in crate::recording) const FOLDER: &str = "speech";
/// Samples a second.
const SPEECH_RATE: u32 = 16_000;
/// One of so many samples is kept.
const STEP: usize = (RATE / SPEECH_RATE) as usize;
/// Samples that each kept one is made of; odd, so that the filter delays by whole samples.
const TAPS: usize = 121;
/// What is above this, in hertz, goes away: at 8 kHz nothing is left that would come back as another frequency.
const CUT: f32 = 6_700.0;

/// The file of one call in the making.
pub(super) struct Speech {
    folder: PathBuf,
    output: Output,
    wav: Wav,
    sides: [Decimator; 2],
    samples: [Vec<i16>; 2],
    bytes: Vec<u8>,
}

impl Speech {
    pub fn begin(recordings: &Path, call: &str, keys: Option<&Keys>) -> io::Result<Self> {
        let folder = recordings.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let mut output = Output::create(&folder, call, keys)?;
        let wav = Wav::new(SPEECH_RATE, 2);
        output.write(&wav.header())?;
        let sides = [Decimator::new(), Decimator::new()];
        Ok(Self { folder, output, wav, sides, samples: Default::default(), bytes: Vec::new() })
    }

    pub fn take(&mut self, caller: &[f32], callee: &[f32]) -> io::Result<()> {
        for (at, heard) in [caller, callee].into_iter().enumerate() {
            let kept = self.sides[at].push(heard);
            one(&kept, &mut self.samples[at]);
        }
        self.write()
    }

    /// Ends the file and has the disk keep it.
    pub fn finish(mut self, call: &str) -> io::Result<()> {
        for at in 0..2 {
            let kept = self.sides[at].finish();
            one(&kept, &mut self.samples[at]);
        }
        self.write()?;
        let header = self.wav.header();
        self.output.write_first(&header)?;
        self.output.keep_as(&self.folder.join(format!("{call}.wav"))).map(drop)
    }

    fn write(&mut self) -> io::Result<()> {
        let [caller, callee] = &self.samples;
        self.bytes.clear();
        self.wav.encode(&[caller, callee], &mut self.bytes);
        self.output.write(&self.bytes)
    }
}

/// Keeps one of [`STEP`] samples, after a low pass: a sinc under a Blackman window. What comes out stands where it stood.
struct Decimator {
    taps: Vec<f32>,
    /// The samples that the next kept one is made of, and what came after them.
    waiting: Vec<f32>,
    taken: usize,
    given: usize,
}

impl Decimator {
    fn new() -> Self {
        // Half a filter of silence in front, so that its middle stands on the first sample.
        Self { taps: low_pass(), waiting: vec![0.0; TAPS / 2], taken: 0, given: 0 }
    }

    fn push(&mut self, samples: &[f32]) -> Vec<f32> {
        self.taken += samples.len();
        self.waiting.extend(samples);
        self.settled(usize::MAX)
    }

    /// What is left: then one of [`STEP`] samples came out, the first of a last few too.
    fn finish(&mut self) -> Vec<f32> {
        self.waiting.extend([0.0; TAPS]);
        self.settled(self.taken.div_ceil(STEP) - self.given)
    }

    fn settled(&mut self, most: usize) -> Vec<f32> {
        let ready = (self.waiting.len() + STEP).saturating_sub(TAPS) / STEP;
        let count = ready.min(most);
        let kept = (0..count).map(|at| {
            let heard = &self.waiting[at * STEP..at * STEP + TAPS];
            heard.iter().zip(&self.taps).map(|(sample, tap)| sample * tap).sum()
        });
        let kept: Vec<f32> = kept.collect();
        self.waiting.drain(..count * STEP);
        self.given += count;
        kept
    }
}

fn low_pass() -> Vec<f32> {
    let middle = (TAPS / 2) as f32;
    let cut = CUT / RATE as f32;
    let taps = (0..TAPS).map(|at| {
        let x = at as f32 - middle;
        let sinc = if x == 0.0 { 2.0 * cut } else { (TAU * cut * x).sin() / (PI * x) };
        let turn = TAU * at as f32 / (TAPS - 1) as f32;
        sinc * (0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos())
    });
    let taps: Vec<f32> = taps.collect();
    let sum: f32 = taps.iter().sum();
    taps.into_iter().map(|tap| tap / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brought_down(samples: &[f32], part: usize) -> Vec<f32> {
        let mut decimator = Decimator::new();
        let mut kept: Vec<f32> = samples.chunks(part).flat_map(|part| decimator.push(part)).collect();
        kept.extend(decimator.finish());
        kept
    }

    fn tone(hertz: f32) -> Vec<f32> {
        // In f64: an angle of some ten thousand turns is too coarse in f32, and the error is heard as noise.
        let turn = f64::from(hertz) * std::f64::consts::TAU / 48_000.0;
        (0..48_000).map(|at| (f64::from(at) * turn).sin() as f32).collect()
    }

    /// The loudest of the middle.
    fn peak(samples: &[f32]) -> f32 {
        samples[1_000..15_000].iter().fold(0.0, |peak, sample| sample.abs().max(peak))
    }

    #[test]
    fn one_of_three_samples_comes_out_and_where_it_was_however_they_come() {
        let mut samples = vec![0.0; 48_001];
        samples[24_000] = 1.0;
        let whole = brought_down(&samples, 48_001);
        assert_eq!(whole.len(), 16_001);
        let loudest = (0..whole.len()).max_by(|a, b| whole[*a].total_cmp(&whole[*b]));
        assert_eq!(loudest, Some(8_000));
        for part in [1, 7, 161, 4_800] {
            assert_eq!(brought_down(&samples, part), whole);
        }
        for count in 0..8 {
            assert_eq!(brought_down(&vec![0.1; count], 3).len(), count.div_ceil(3), "{count}");
        }
    }

    #[test]
    fn speech_passes_and_what_would_alias_does_not() {
        for hertz in [300.0, 1_000.0, 3_400.0, 5_500.0] {
            let peak = peak(&brought_down(&tone(hertz), 960));
            assert!((0.97..1.03).contains(&peak), "{hertz}: {peak}");
        }
        for hertz in [8_300.0, 10_000.0, 15_000.0, 16_000.0, 20_000.0] {
            let peak = peak(&brought_down(&tone(hertz), 960));
            assert!(peak < 0.003, "{hertz}: {peak}");
        }
    }
}
