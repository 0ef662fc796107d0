//! One stream of MP3.

use std::{ffi::c_int, ptr::NonNull};

use crate::{Lame, library::State};

/// Samples of a channel that are given to LAME at once: so its counts, which are C integers, never overflow.
const AT_ONCE: usize = 16_384;

/// What LAME may write for so many samples and still keep inside (`lame.h`).
const fn room_for(samples: usize) -> usize {
    samples + samples / 4 + 7_200
}

/// What is encoded, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Samples a second of each channel; the MP3 has the same.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
    /// Kilobits a second, constant.
    pub bitrate: u32,
    /// 0 is the best and slowest, 9 the fastest.
    pub quality: u8,
}

/// Why nothing was encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// There is no MP3 of that kind.
    #[error("LAME refuses {0:?}")]
    Settings(Settings),
    /// Not one slice for each channel, or not all of the same length.
    #[error("each channel must have as many samples as the others")]
    Channels,
    /// LAME found no memory.
    #[error("LAME has no memory for an encoder")]
    Memory,
    /// LAME failed while it encoded.
    #[error("LAME failed with code {0}")]
    Failed(i32),
}

/// Encodes one stream. Takes 16-bit samples and gives whole MP3 frames as they are ready.
#[derive(Debug)]
pub struct Encoder {
    lame: Lame,
    state: NonNull<std::ffi::c_void>,
    channels: usize,
}

// SAFETY: a state belongs to one encoder, LAME keeps nothing by thread, and every call needs the encoder by itself.
unsafe impl Send for Encoder {}

impl Encoder {
    /// An encoder of such a stream.
    pub fn new(lame: &Lame, settings: Settings) -> Result<Self, EncodeError> {
        if !(1..=2).contains(&settings.channels) || settings.quality > 9 {
            return Err(EncodeError::Settings(settings));
        }
        let refused = |_| EncodeError::Settings(settings);
        let sample_rate = c_int::try_from(settings.sample_rate).map_err(refused)?;
        let bitrate = c_int::try_from(settings.bitrate).map_err(refused)?;
        let functions = &lame.functions;
        // SAFETY: it takes nothing, and gives a state or null.
        let state = NonNull::new(unsafe { (functions.init)() }).ok_or(EncodeError::Memory)?;
        // From here on the state is closed whatever happens.
        let encoder = Self { lame: lame.clone(), state, channels: usize::from(settings.channels) };
        let settable = [
            (functions.set_in_samplerate, sample_rate),
            (functions.set_out_samplerate, sample_rate),
            (functions.set_num_channels, c_int::from(settings.channels)),
            (functions.set_brate, bitrate),
            (functions.set_quality, c_int::from(settings.quality)),
            // The tag would have to be written over the stream's begin when its end is known; a constant rate needs none.
            (functions.set_write_vbr_tag, 0),
        ];
        for (set, value) in settable {
            // SAFETY: the state is LAME's, initialized, and this encoder's alone.
            if unsafe { set(encoder.state(), value) } < 0 {
                return Err(EncodeError::Settings(settings));
            }
        }
        // SAFETY: as above.
        if unsafe { (functions.init_params)(encoder.state()) } < 0 {
            return Err(EncodeError::Settings(settings));
        }
        Ok(encoder)
    }

    fn state(&self) -> State {
        self.state.as_ptr()
    }

    /// Encodes samples, one slice a channel (left, right), and appends the frames that are ready to `mp3`.
    pub fn encode(&mut self, samples: &[&[i16]], mp3: &mut Vec<u8>) -> Result<(), EncodeError> {
        let (left, right) = match samples {
            [only] if self.channels == 1 => (*only, *only),
            [left, right] if self.channels == 2 && left.len() == right.len() => (*left, *right),
            _ => return Err(EncodeError::Channels),
        };
        for (left, right) in left.chunks(AT_ONCE).zip(right.chunks(AT_ONCE)) {
            let begin = mp3.len();
            mp3.resize(begin + room_for(left.len()), 0);
            let room = &mut mp3[begin..];
            // SAFETY: the state is valid; both slices have `left.len()` samples, which LAME reads; `room` has the bytes
            // it is told, which LAME writes at most. No pointer is kept. The lengths are at most some ten thousands.
            let written = unsafe {
                (self.lame.functions.encode_buffer)(
                    self.state(),
                    left.as_ptr(),
                    right.as_ptr(),
                    left.len() as c_int,
                    room.as_mut_ptr(),
                    room.len() as c_int,
                )
            };
            keep(mp3, begin, written)?;
        }
        Ok(())
    }

    /// Appends what is left to `mp3`, the last frame filled up with silence. (`lame_encode_flush_nogap` would not fill
    /// it, and lose the end.)
    pub fn finish(self, mp3: &mut Vec<u8>) -> Result<(), EncodeError> {
        let begin = mp3.len();
        mp3.resize(begin + room_for(0), 0);
        let room = &mut mp3[begin..];
        // SAFETY: the state is valid, `room` has the bytes it is told, and no pointer is kept.
        let written = unsafe {
            (self.lame.functions.encode_flush)(self.state(), room.as_mut_ptr(), room.len() as c_int)
        };
        keep(mp3, begin, written)
    }
}

/// Cuts the room that LAME was given down to what it wrote, or says why it failed.
fn keep(mp3: &mut Vec<u8>, begin: usize, written: c_int) -> Result<(), EncodeError> {
    mp3.truncate(begin + usize::try_from(written).unwrap_or_default());
    if written < 0 { Err(EncodeError::Failed(written)) } else { Ok(()) }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the state is valid, and nobody uses it after this.
        unsafe { (self.lame.functions.close)(self.state()) };
    }
}
