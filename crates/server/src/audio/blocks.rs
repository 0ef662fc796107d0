//! A sound file as blocks of samples at the rate that is wanted.

use std::{path::Path, time::Duration};

use pegcount_sealed::Keys;

use super::{
    LONGEST, Unheard, mix,
    resampler::Resampler,
    sound::{Piece, Sound},
};

/// A sound file, block by block. It has one channel, or two where the file has two; more of them are mixed into one.
pub struct Blocks {
    sound: Sound,
    /// Samples a second in the file.
    rate: u32,
    /// Samples a second of what is given.
    wanted: u32,
    resamplers: Vec<Resampler>,
    block: Vec<Vec<f32>>,
    /// Whether the block is the first one, which was read to see whether there is any.
    is_first: bool,
    has_ended: bool,
    /// Samples of each channel that were given.
    given: u64,
}

impl Blocks {
    /// Opens a file, which may be sealed, and looks for the first sound in it. It is given with so many samples a second.
    ///
    /// # Errors
    /// [`Unheard`]; [`Unheard::Soundless`] where there is not one sample.
    pub fn open(path: &Path, keys: Option<&Keys>, rate: u32) -> Result<Self, Unheard> {
        let mut sound = Sound::open(path, keys)?;
        let Some(first) = sound.next()? else { return Err(Unheard::Soundless) };
        let (from, channels) = (first.rate, if first.channels.len() == 2 { 2 } else { 1 });
        let mut resamplers: Vec<_> =
            (0..channels).map(|_| Resampler::new(from, rate)).collect::<Result<_, _>>()?;
        let mut block = vec![Vec::new(); channels];
        pass(&first, &mut resamplers, &mut block)?;
        let (is_first, has_ended, given) = (true, false, 0);
        // What a file says spares the work; what it does not say is found out.
        if sound.frames().is_some_and(|frames| frames / u64::from(from) > LONGEST.as_secs()) {
            return Err(Unheard::TooLong);
        }
        Ok(Self { sound, rate: from, wanted: rate, resamplers, block, is_first, has_ended, given })
    }

    /// How many channels there are: 1 or 2.
    pub fn channels(&self) -> u8 {
        if self.block.len() == 2 { 2 } else { 1 }
    }

    /// How long what was given is: all of it at the end.
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.given * 1_000 / u64::from(self.wanted.max(1)))
    }

    /// Whether the file breaks off, or some of it could not be decoded: known at the end.
    pub fn is_damaged(&self) -> bool {
        self.sound.is_damaged()
    }

    /// The next samples of each channel, from -1 to 1, as many of each and at least one; `None` at the end.
    ///
    /// # Errors
    /// [`Unheard`].
    #[expect(clippy::should_implement_trait, reason = "what it gives is lent")]
    pub fn next(&mut self) -> Result<Option<&[Vec<f32>]>, Unheard> {
        loop {
            if !std::mem::take(&mut self.is_first) {
                self.block.iter_mut().for_each(Vec::clear);
                if self.has_ended {
                    return Ok(None);
                }
                match self.sound.next()? {
                    Some(piece) if piece.rate != self.rate => {
                        return Err(Unheard::Unsupported("its rate changes in the middle".to_owned()));
                    }
                    Some(piece) => pass(&piece, &mut self.resamplers, &mut self.block)?,
                    None => {
                        self.has_ended = true;
                        for (resampler, out) in self.resamplers.iter_mut().zip(&mut self.block) {
                            resampler.flush(out)?;
                        }
                    }
                }
            }
            let length = self.block.first().map_or(0, Vec::len);
            if length > 0 {
                self.given += length as u64;
                if self.duration() > LONGEST {
                    return Err(Unheard::TooLong);
                }
                return Ok(Some(&self.block));
            }
        }
    }
}

/// Brings a piece to the rate of the block, and appends it.
fn pass(piece: &Piece<'_>, resamplers: &mut [Resampler], block: &mut [Vec<f32>]) -> Result<(), Unheard> {
    if piece.channels.len() == block.len() {
        let mut channels = resamplers.iter_mut().zip(piece.channels).zip(block);
        return channels.try_for_each(|((resampler, channel), out)| resampler.push(channel, out));
    }
    // More than two, or not as many as at the beginning.
    let mut mixed = Vec::new();
    mix(piece.channels, &mut mixed);
    resamplers.iter_mut().zip(block).try_for_each(|(resampler, out)| resampler.push(&mixed, out))
}
