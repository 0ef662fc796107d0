//! From one rate to another.

use rubato::{Fft, FixedSync, Indexing, Resampler as _, audioadapter_buffers::direct::InterleavedSlice};

use super::Unheard;

/// Samples that are taken at once, about: a multiple of what the two rates have in common.
const AT_ONCE: usize = 256;

/// Brings the samples of one channel to another rate. What has come out lags behind what went in until it is flushed.
pub(super) struct Resampler {
    fft: Option<Fft<f32>>,
    from: u64,
    to: u64,
    /// What is too little to be taken.
    waiting: Vec<f32>,
    given: Vec<f32>,
    /// How many samples of delay are still to be left out.
    delay: usize,
    /// How many samples went in, and how many came out.
    inside: u64,
    outside: u64,
}

impl Resampler {
    pub(super) fn new(from: u32, to: u32) -> Result<Self, Unheard> {
        let fft = match from == to {
            true => None,
            false => Some(
                Fft::new(from as usize, to as usize, AT_ONCE, 1, FixedSync::Input)
                    .map_err(|error| Unheard::Unsupported(format!("{from} samples a second: {error}")))?,
            ),
        };
        let (delay, most) = fft.as_ref().map_or((0, 0), |fft| (fft.output_delay(), fft.output_frames_max()));
        Ok(Self {
            fft,
            from: from.into(),
            to: to.into(),
            waiting: Vec::new(),
            given: vec![0.0; most],
            delay,
            inside: 0,
            outside: 0,
        })
    }

    /// Takes samples in, and appends what is ready to `out`.
    pub(super) fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), Unheard> {
        self.inside += samples.len() as u64;
        self.pass(samples, out)
    }

    /// Appends what is still inside: then as much has come out as went in.
    pub(super) fn flush(&mut self, out: &mut Vec<f32>) -> Result<(), Unheard> {
        while self.outside < self.due() {
            let before = (self.outside, self.delay);
            let needed = self.fft.as_ref().map_or(0, rubato::Resampler::input_frames_next);
            self.pass(&vec![0.0; needed.saturating_sub(self.waiting.len())], out)?;
            if (self.outside, self.delay) == before {
                break;
            }
        }
        Ok(())
    }

    /// How many samples what went in is.
    fn due(&self) -> u64 {
        self.inside * self.to / self.from
    }

    fn pass(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), Unheard> {
        let due = self.due();
        let Some(fft) = &mut self.fft else {
            self.outside += samples.len() as u64;
            out.extend(samples);
            return Ok(());
        };
        self.waiting.extend(samples);
        let mut begin = 0;
        loop {
            let needed = fft.input_frames_next();
            if self.waiting.len() - begin < needed {
                break;
            }
            // Neither refuses: the lengths are those that the resampler asked for.
            let failed =
                |error: &dyn std::fmt::Display| Unheard::Unsupported(format!("another rate: {error}"));
            let source = &self.waiting[begin..begin + needed];
            let room = self.given.len();
            let source = InterleavedSlice::new(source, 1, needed).map_err(|error| failed(&error))?;
            let mut target =
                InterleavedSlice::new_mut(&mut self.given, 1, room).map_err(|error| failed(&error))?;
            let (_, given) = fft
                .process_into_buffer(&source, &mut target, Some(&Indexing::default()))
                .map_err(|error| failed(&error))?;
            begin += needed;
            let skipped = given.min(self.delay);
            self.delay -= skipped;
            // A flush never gives more than went in.
            let left = usize::try_from(due - self.outside).unwrap_or(usize::MAX);
            let wanted = left.min(given - skipped);
            self.outside += wanted as u64;
            out.extend(&self.given[skipped..skipped + wanted]);
        }
        self.waiting.drain(..begin);
        Ok(())
    }
}
