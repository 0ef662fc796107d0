//! From payloads to samples.

use std::panic::{AssertUnwindSafe, catch_unwind};

use audio_codec::g722::G722Decoder;
use opus_rs::OpusDecoder;

use super::g711::{ALAW, Table, ULAW};
use crate::recording::codec::Codec;

/// The longest that an Opus packet may be: 120 ms at 48 kHz.
const LONGEST_OPUS: usize = 5_760;

/// A payload that its codec cannot decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// Decodes one stream of payloads.
pub(super) enum Decoder {
    G711(&'static Table),
    G722(Box<G722Decoder>),
    Opus(Box<OpusDecoder>),
}

impl Decoder {
    /// The decoder of a codec; none when there is nothing to hear.
    pub fn of(codec: Codec) -> Option<Self> {
        match codec {
            Codec::Pcmu => Some(Self::G711(&ULAW)),
            Codec::Pcma => Some(Self::G711(&ALAW)),
            Codec::G722 => Some(Self::G722(Box::default())),
            Codec::Opus => OpusDecoder::new(48_000, 1).ok().map(|decoder| Self::Opus(Box::new(decoder))),
            Codec::Silent => None,
        }
    }

    /// Samples a second of what it gives.
    pub fn rate(&self) -> u32 {
        match self {
            Self::G711(_) => 8_000,
            Self::G722(_) => 16_000,
            Self::Opus(_) => 48_000,
        }
    }

    /// Appends the samples of a payload, from -1 to 1.
    pub fn decode(&mut self, payload: &[u8], samples: &mut Vec<f32>) -> Result<(), Damaged> {
        match self {
            Self::G711(table) => {
                samples.extend(payload.iter().map(|code| real(table[usize::from(*code)])));
                Ok(())
            }
            Self::G722(decoder) => {
                samples.extend(audio_codec::Decoder::decode(&mut **decoder, payload).into_iter().map(real));
                Ok(())
            }
            // A packet of its first byte alone says that nothing was sent.
            Self::Opus(_) if payload.len() <= 1 => Ok(()),
            Self::Opus(decoder) => {
                let begin = samples.len();
                samples.resize(begin + LONGEST_OPUS, 0.0);
                // The payload is a stranger's, and the decoder large: should it ever panic, one packet is lost.
                let decoded = catch_unwind(AssertUnwindSafe(|| {
                    decoder.decode(payload, LONGEST_OPUS, &mut samples[begin..])
                }));
                let count = match &decoded {
                    Ok(Ok(count)) => (*count).min(LONGEST_OPUS),
                    Ok(Err(_)) | Err(_) => 0,
                };
                samples.truncate(begin + count);
                // A stranger's bytes may also decode to what is no number.
                samples[begin..].iter_mut().for_each(|sample| *sample = bounded(*sample));
                if decoded.is_err()
                    && let Ok(fresh) = OpusDecoder::new(48_000, 1)
                {
                    **decoder = fresh;
                }
                if count == 0 { Err(Damaged) } else { Ok(()) }
            }
        }
    }
}

fn real(sample: i16) -> f32 {
    f32::from(sample) / 32_768.0
}

fn bounded(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_payload_decodes_to_bounded_samples_or_is_damaged(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..8),
        ) {
            for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus] {
                let mut decoder = Decoder::of(codec).expect("a decoder");
                for payload in &payloads {
                    let mut samples = Vec::new();
                    let damaged = decoder.decode(payload, &mut samples).is_err();
                    prop_assert!(!damaged || samples.is_empty());
                    prop_assert!(samples.iter().all(|sample| sample.abs() <= 1.0));
                }
            }
        }
    }
}
