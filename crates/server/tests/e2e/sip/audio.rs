//! What is said and heard: tones as payloads of PCMU, and how to find them again in a recording.

use std::{f64::consts::TAU, io::Cursor};

use audio_codec::{Encoder, pcmu::PcmuEncoder};
use symphonia::core::{
    codecs::audio::AudioDecoderOptions, formats::TrackType, formats::probe::Hint, io::MediaSourceStream,
};

/// The so-manieth packet of 20 ms of a sine of half of full scale.
pub fn tone(hertz: f64, packet: u16) -> Vec<u8> {
    let begin = usize::from(packet) * 160;
    let sample = |at: usize| ((at as f64 * hertz * TAU / 8_000.0).sin() * 16_384.0) as i16;
    let samples: Vec<i16> = (begin..begin + 160).map(sample).collect();
    PcmuEncoder::new().encode(&samples)
}

/// A recording as a listener has it: from -1 to 1.
pub struct Heard {
    pub rate: u32,
    pub channels: Vec<Vec<f32>>,
}

impl Heard {
    /// Decodes an MP3, whole.
    pub fn of_mp3(bytes: Vec<u8>) -> Self {
        let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
        let mut format = symphonia::default::get_probe()
            .probe(&Hint::new(), stream, Default::default(), Default::default())
            .expect("an MP3");
        let track = format.default_track(TrackType::Audio).expect("a track");
        let parameters = track.codec_params.as_ref().and_then(|all| all.audio()).expect("audio");
        let rate = parameters.sample_rate.expect("a rate");
        let mut decoder = symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .expect("a decoder");
        let mut channels = Vec::new();
        while let Some(packet) = format.next_packet().expect("a packet") {
            let audio = decoder.decode(&packet).expect("a frame");
            let mut samples = vec![0_f32; audio.samples_interleaved()];
            audio.copy_to_slice_interleaved(&mut samples);
            deal(samples, audio.spec().channels().count(), &mut channels);
        }
        Self { rate, channels }
    }

    /// Reads a WAV file of 16 bits whose header is 44 bytes long.
    pub fn of_wav(bytes: &[u8]) -> Self {
        assert_eq!(
            (&bytes[..4], &bytes[8..16], &bytes[36..40]),
            (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..])
        );
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        assert_eq!(number(40) as usize, bytes.len() - 44);
        let samples = bytes[44..].chunks_exact(2);
        let samples = samples.map(|two| f32::from(i16::from_le_bytes([two[0], two[1]])) / 32_768.0);
        let mut channels = Vec::new();
        deal(samples.collect(), usize::from(bytes[22]), &mut channels);
        Self { rate: number(24), channels }
    }

    pub fn seconds(&self) -> f64 {
        self.channels[0].len() as f64 / f64::from(self.rate)
    }

    /// How strong a frequency is in the middle second of a channel: 1 for a full sine (Goertzel's algorithm).
    pub fn strength(&self, channel: usize, hertz: f64) -> f64 {
        let samples = self.middle(channel);
        let turn = 2.0 * (hertz * TAU / f64::from(self.rate)).cos();
        let (mut last, mut before) = (0.0, 0.0);
        for sample in samples {
            (last, before) = (f64::from(*sample) + turn * last - before, last);
        }
        let power = last * last + before * before - turn * last * before;
        2.0 * power.max(0.0).sqrt() / samples.len() as f64
    }

    /// The root of the mean square of the middle second of a channel.
    pub fn loudness(&self, channel: usize) -> f64 {
        let samples = self.middle(channel);
        let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        (sum / samples.len() as f64).sqrt()
    }

    fn middle(&self, channel: usize) -> &[f32] {
        let (samples, second) = (&self.channels[channel], self.rate as usize);
        let begin = samples.len().checked_sub(second).expect("more than a second") / 2;
        &samples[begin..begin + second]
    }
}

/// Deals interleaved samples out to their channels.
fn deal(samples: Vec<f32>, count: usize, channels: &mut Vec<Vec<f32>>) {
    channels.resize(count, Vec::new());
    for (at, sample) in samples.into_iter().enumerate() {
        channels[at % count].push(sample);
    }
}
