//! Samples into a file.

use pegcount_gateway::recording::{Format, Output, Wav};
use pegcount_lame::{Encoder, Lame, Settings};

use super::Unheard;

/// What an MP3 has for each channel, in thousands of bits a second: what the gateway's own have.
const KBITS: u32 = 64;
/// LAME's measure of care, as the gateway's own are made.
const QUALITY: u8 = 5;

/// A file that is being written.
pub(super) struct Writing {
    output: Output,
    kind: Kind,
    samples: Vec<Vec<i16>>,
    bytes: Vec<u8>,
}

enum Kind {
    Mp3(Encoder),
    Wav(Wav),
}

impl Writing {
    /// Begins an MP3 where there is a LAME, and a WAV where there is none.
    pub(super) fn begin(
        mut output: Output,
        rate: u32,
        channels: u8,
        lame: Option<&Lame>,
    ) -> Result<Self, Unheard> {
        let kind = match lame {
            Some(lame) => {
                let bitrate = KBITS * u32::from(channels);
                let settings = Settings { sample_rate: rate, channels, bitrate, quality: QUALITY };
                Kind::Mp3(Encoder::new(lame, settings)?)
            }
            None => {
                let wav = Wav::new(rate, channels);
                output.write(&wav.header())?;
                Kind::Wav(wav)
            }
        };
        let samples = vec![Vec::new(); channels.into()];
        Ok(Self { output, kind, samples, bytes: Vec::new() })
    }

    /// Appends the samples of each channel.
    pub(super) fn take(&mut self, channels: &[&[f32]]) -> Result<(), Unheard> {
        for (samples, channel) in self.samples.iter_mut().zip(channels) {
            samples.clear();
            samples.extend(channel.iter().map(|sample| whole(*sample)));
        }
        let samples: Vec<&[i16]> = self.samples.iter().map(Vec::as_slice).collect();
        self.bytes.clear();
        match &mut self.kind {
            Kind::Mp3(encoder) => encoder.encode(&samples, &mut self.bytes)?,
            Kind::Wav(wav) => wav.encode(&samples, &mut self.bytes),
        }
        Ok(self.output.write(&self.bytes)?)
    }

    /// Ends the file, which is still to be kept.
    pub(super) fn finish(mut self) -> Result<(Output, Format), Unheard> {
        self.bytes.clear();
        let format = match self.kind {
            Kind::Mp3(encoder) => {
                encoder.finish(&mut self.bytes)?;
                self.output.write(&self.bytes)?;
                Format::Mp3
            }
            Kind::Wav(wav) => {
                self.output.write_first(&wav.header())?;
                Format::Wav
            }
        };
        Ok((self.output, format))
    }
}

fn whole(sample: f32) -> i16 {
    (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16
}
