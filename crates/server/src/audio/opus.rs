//! Opus in Ogg (RFC 7845): the packets of a stream into samples.

use std::panic::{AssertUnwindSafe, catch_unwind};

use opus_rs::OpusDecoder;

use super::Unheard;

/// What Opus is decoded at; its pre-skip counts samples of this rate.
pub(super) const RATE: u32 = 48_000;
/// The longest that a packet may be: 120 ms.
const LONGEST_PACKET: usize = 5_760;

/// Decodes the packets of one stream.
pub(super) struct Opus {
    decoder: Box<OpusDecoder>,
    channels: usize,
    /// How many samples of each channel are still to be left out.
    skip: usize,
    /// What every sample is multiplied by.
    gain: f32,
    interleaved: Vec<f32>,
}

impl Opus {
    /// For a stream with this head (RFC 7845, section 5.1).
    pub(super) fn of_head(head: &[u8]) -> Result<Self, Unheard> {
        let unsupported = |what: &str| Unheard::Unsupported(what.to_owned());
        let (Some(&channels), Some(&[a, b]), Some(&[c, d]), Some(&family)) =
            (head.get(9), head.get(10..12).and_then(as_two), head.get(16..18).and_then(as_two), head.get(18))
        else {
            return Err(unsupported("Opus with a head that is cut off"));
        };
        if family > 1 || !(1..=2).contains(&channels) {
            return Err(unsupported("Opus with more than two channels"));
        }
        let channels = usize::from(channels);
        // In 256ths of a decibel.
        let gain = 10_f32.powf(f32::from(i16::from_le_bytes([c, d])) / (20.0 * 256.0));
        let skip = usize::from(u16::from_le_bytes([a, b]));
        Ok(Self {
            decoder: fresh(channels)?,
            channels,
            skip,
            gain,
            interleaved: vec![0.0; LONGEST_PACKET * channels],
        })
    }

    /// Deals the samples of a packet out to their channels, without the last `trim_end`. `false` where it is damaged.
    pub(super) fn decode(&mut self, packet: &[u8], trim_end: usize, channels: &mut Vec<Vec<f32>>) -> bool {
        channels.resize(self.channels, Vec::new());
        channels.iter_mut().for_each(Vec::clear);
        let Self { decoder, interleaved, .. } = self;
        // Should the decoder ever panic, one packet is lost.
        let decoded = catch_unwind(AssertUnwindSafe(|| decoder.decode(packet, LONGEST_PACKET, interleaved)));
        let Ok(decoded) = decoded else {
            if let Ok(decoder) = fresh(self.channels) {
                self.decoder = decoder;
            }
            return false;
        };
        let Ok(count) = decoded else { return false };
        let count = count.min(LONGEST_PACKET);
        let begin = self.skip.min(count);
        self.skip -= begin;
        let end = count.saturating_sub(trim_end).max(begin);
        for (place, channel) in channels.iter_mut().enumerate() {
            let samples = self.interleaved.iter().skip(place).step_by(self.channels);
            channel.extend(samples.take(end).skip(begin).map(|sample| sample * self.gain));
        }
        true
    }
}

fn as_two(bytes: &[u8]) -> Option<&[u8; 2]> {
    bytes.try_into().ok()
}

fn fresh(channels: usize) -> Result<Box<OpusDecoder>, Unheard> {
    let decoder = OpusDecoder::new(RATE.cast_signed(), channels);
    decoder.map(Box::new).map_err(|error| Unheard::Unsupported(format!("Opus: {error}")))
}
