//! From a codec's rate to the recording's.

use std::collections::VecDeque;

use rubato::{Fft, FixedSync, Indexing, Resampler, audioadapter_buffers::direct::InterleavedSlice};

use super::RATE;

/// Samples that are taken at once.
const AT_ONCE: usize = 256;

/// After so much silence no sound is inside any more.
const SETTLED: usize = 4 * AT_ONCE;

/// Brings samples of one rate to [`RATE`]. What has come out lags behind what went in until it is flushed.
pub(super) struct Upsampler {
    rate: u32,
    fft: Option<Fft<f32>>,
    /// What is too little to be taken.
    taken_in: Vec<f32>,
    given: Vec<f32>,
    /// How many samples of delay are still to be left out.
    delay: usize,
    /// How many of the last samples that went in were silence.
    quiet: usize,
    /// How many samples went in, at [`RATE`], and how many came out.
    inside: u64,
    outside: u64,
}

impl Upsampler {
    /// From a rate that divides [`RATE`]; another's samples pass as they are.
    pub fn from(rate: u32) -> Self {
        let fft = (rate != RATE && rate != 0 && RATE.is_multiple_of(rate))
            .then(|| Fft::new(rate as usize, RATE as usize, AT_ONCE, 1, FixedSync::Input).ok())
            .flatten();
        let (delay, most) = fft.as_ref().map_or((0, 0), |fft| (fft.output_delay(), fft.output_frames_max()));
        Self {
            rate,
            fft,
            taken_in: Vec::new(),
            given: vec![0.0; most],
            delay,
            quiet: 0,
            inside: 0,
            outside: 0,
        }
    }

    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// How many samples of the recording a sample of this rate is.
    pub fn ratio(&self) -> u64 {
        if self.fft.is_some() { u64::from(RATE / self.rate) } else { 1 }
    }

    /// Takes samples in, and appends what is ready to `out`.
    pub fn push(&mut self, samples: &[f32], out: &mut VecDeque<f32>) {
        self.quiet = 0;
        self.inside += samples.len() as u64 * self.ratio();
        self.pass(samples, out);
    }

    /// Takes so many samples of silence in.
    pub fn push_silence(&mut self, samples: u64, out: &mut VecDeque<f32>) {
        let mut left = samples;
        while left > 0 && self.quiet < SETTLED {
            let part = left.min(AT_ONCE as u64) as usize;
            self.inside += part as u64 * self.ratio();
            self.pass(&[0.0; AT_ONCE][..part], out);
            self.quiet += part;
            left -= part as u64;
        }
        // Nothing but silence is inside, so what goes in may as well come out.
        let count = left * self.ratio();
        self.inside += count;
        self.outside += count;
        out.extend((0..count).map(|_| 0.0));
    }

    fn pass(&mut self, samples: &[f32], out: &mut VecDeque<f32>) {
        if self.fft.is_none() {
            self.outside += samples.len() as u64;
            out.extend(samples);
            return;
        }
        self.taken_in.extend(samples);
        let mut begin = 0;
        while let Some(needed) = self.fft.as_ref().map(Fft::input_frames_next)
            && self.taken_in.len() - begin >= needed
        {
            self.one_step(begin, out);
            begin += needed;
        }
        self.taken_in.drain(..begin);
    }

    fn one_step(&mut self, begin: usize, out: &mut VecDeque<f32>) {
        let Some(fft) = &mut self.fft else { return };
        let source = &self.taken_in[begin..];
        let room = self.given.len();
        // Neither refuses: the lengths are those that the resampler asked for.
        let (Ok(source), Ok(mut target)) = (
            InterleavedSlice::new(source, 1, source.len()),
            InterleavedSlice::new_mut(&mut self.given, 1, room),
        ) else {
            return;
        };
        let Ok((_, given)) = fft.process_into_buffer(&source, &mut target, Some(&Indexing::default())) else {
            return;
        };
        let skipped = given.min(self.delay);
        self.delay -= skipped;
        // A flush never gives more than went in.
        let wanted = usize::try_from(self.inside - self.outside).unwrap_or(usize::MAX).min(given - skipped);
        self.outside += wanted as u64;
        out.extend(&self.given[skipped..skipped + wanted]);
    }

    /// Appends what is still inside to `out`: then as much has come out as went in.
    pub fn flush(&mut self, out: &mut VecDeque<f32>) {
        while self.outside < self.inside {
            let before = (self.outside, self.delay);
            let needed = self.fft.as_ref().map_or(0, Fft::input_frames_next);
            self.pass(&vec![0.0; needed.saturating_sub(self.taken_in.len())], out);
            if (self.outside, self.delay) == before {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brought_up(rate: u32, samples: &[f32]) -> VecDeque<f32> {
        let mut upsampler = Upsampler::from(rate);
        let mut out = VecDeque::new();
        for part in samples.chunks(161) {
            upsampler.push(part, &mut out);
        }
        upsampler.flush(&mut out);
        out
    }

    #[test]
    fn as_much_comes_out_as_went_in_and_where_it_was() {
        for rate in [8_000, 16_000, 48_000] {
            let mut samples = vec![0.0; rate as usize];
            samples[rate as usize / 2] = 1.0;
            let out = brought_up(rate, &samples);
            assert_eq!(out.len(), 48_000, "from {rate}");
            let peak = (0..out.len()).max_by(|a, b| out[*a].total_cmp(&out[*b])).expect("samples");
            assert!(peak.abs_diff(24_000) <= 6, "from {rate}: {peak}");
        }
    }

    #[test]
    fn long_silence_between_two_sounds_is_as_long_as_it_was() {
        let mut upsampler = Upsampler::from(8_000);
        let mut out = VecDeque::new();
        let mut click = [0.0; 80];
        click[40] = 1.0;
        upsampler.push(&click, &mut out);
        upsampler.push_silence(100_003, &mut out);
        upsampler.push(&click, &mut out);
        upsampler.flush(&mut out);
        assert_eq!(out.len(), 6 * (80 + 100_003 + 80));
        let loud: Vec<usize> = (0..out.len()).filter(|at| out[*at] > 0.9).collect();
        let second = 6 * (80 + 100_003 + 40);
        assert!(loud.iter().all(|at| at.abs_diff(240) < 6 || at.abs_diff(second) < 6), "{loud:?}");
        assert!(loud.len() >= 2);
        assert!(out.range(4_000..second - 4_000).all(|sample| *sample == 0.0));
    }

    #[test]
    fn a_few_samples_are_not_kept_back() {
        assert_eq!(brought_up(8_000, &[0.1; 3]).len(), 18);
        assert_eq!(brought_up(8_000, &[]).len(), 0);
    }
}
