//! What is encoded can be decoded by another's decoder, whole and at its rate.

use std::{
    io::{self, Cursor, Write},
    path::Path,
};

use pegcount_lame::{EncodeError, Encoder, Lame, LoadError, Settings};
use symphonia::core::{
    codecs::audio::AudioDecoderOptions, formats::TrackType, formats::probe::Hint, io::MediaSourceStream,
};

const MONO: Settings = Settings { sample_rate: 48_000, channels: 1, bitrate: 64, quality: 5 };
const STEREO: Settings = Settings { sample_rate: 48_000, channels: 2, bitrate: 128, quality: 5 };

fn lame() -> Option<Lame> {
    match Lame::load(None) {
        Ok(lame) => Some(lame),
        Err(error) => {
            // Not the macro, whose words are kept back when a test passes.
            let _ = writeln!(io::stderr(), "SKIPPED, nothing was tested: {error}");
            None
        }
    }
}

fn tone(hertz: f64, seconds: f64) -> Vec<i16> {
    (0..(48_000.0 * seconds) as usize)
        .map(|at| ((at as f64 * hertz * std::f64::consts::TAU / 48_000.0).sin() * 12_000.0) as i16)
        .collect()
}

/// The samples of each channel.
fn decoded(mp3: Vec<u8>) -> Vec<Vec<f32>> {
    let stream = MediaSourceStream::new(Box::new(Cursor::new(mp3)), Default::default());
    let mut format = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, Default::default(), Default::default())
        .expect("an MP3");
    let track = format.default_track(TrackType::Audio).expect("a track");
    let parameters = track.codec_params.as_ref().and_then(|all| all.audio()).expect("audio");
    assert_eq!(parameters.sample_rate, Some(48_000));
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .expect("a decoder");
    let mut channels = Vec::new();
    while let Some(packet) = format.next_packet().expect("a packet") {
        let audio = decoder.decode(&packet).expect("a frame");
        let mut samples = vec![0_f32; audio.samples_interleaved()];
        audio.copy_to_slice_interleaved(&mut samples);
        let count = audio.spec().channels().count();
        channels.resize(count, Vec::new());
        for (at, sample) in samples.into_iter().enumerate() {
            channels[at % count].push(sample);
        }
    }
    channels
}

/// How strong a frequency is: 1 for a full sine of it.
fn strength(samples: &[f32], hertz: f64) -> f64 {
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let angle = at as f64 * hertz * std::f64::consts::TAU / 48_000.0;
        sine += f64::from(*sample) * angle.sin();
        cosine += f64::from(*sample) * angle.cos();
    }
    2.0 * sine.hypot(cosine) / samples.len() as f64
}

#[test]
fn a_mono_stream_keeps_its_tone_and_its_tail() {
    let Some(lame) = lame() else { return };
    let mut encoder = Encoder::new(&lame, MONO).expect("an encoder");
    let mut mp3 = Vec::new();
    for part in tone(440.0, 3.0).chunks(960) {
        encoder.encode(&[part], &mut mp3).expect("encoded");
    }
    encoder.finish(&mut mp3).expect("finished");
    let channels = decoded(mp3);
    assert_eq!(channels.len(), 1);
    let seconds = channels[0].len() as f64 / 48_000.0;
    assert!((3.0..3.1).contains(&seconds), "{seconds} s");
    assert!(strength(&channels[0][48_000..96_000], 440.0) > 0.3);
    assert!(strength(&channels[0][48_000..96_000], 1_000.0) < 0.01);
}

#[test]
fn a_stereo_stream_keeps_its_channels_apart() {
    let Some(lame) = lame() else { return };
    let mut encoder = Encoder::new(&lame, STEREO).expect("an encoder");
    let mut mp3 = Vec::new();
    let (left, right) = (tone(440.0, 2.0), tone(1_000.0, 2.0));
    encoder.encode(&[&left, &right], &mut mp3).expect("encoded");
    encoder.finish(&mut mp3).expect("finished");
    let channels = decoded(mp3);
    assert_eq!(channels.len(), 2);
    for (channel, own, others) in [(0, 440.0, 1_000.0), (1, 1_000.0, 440.0)] {
        let middle = &channels[channel][24_000..72_000];
        assert!(strength(middle, own) > 0.3 && strength(middle, others) < 0.01, "channel {channel}");
    }
}

#[test]
fn an_encoder_works_on_another_thread_and_after_the_library_was_let_go() {
    let Some(lame) = lame() else { return };
    let mut encoder = Encoder::new(&lame, MONO).expect("an encoder");
    drop(lame);
    let mp3 = std::thread::spawn(move || {
        let mut mp3 = Vec::new();
        encoder.encode(&[&tone(440.0, 1.0)], &mut mp3).expect("encoded");
        encoder.finish(&mut mp3).expect("finished");
        mp3
    });
    assert!(!decoded(mp3.join().expect("a thread")).is_empty());
}

#[test]
fn what_is_no_mp3_is_refused() {
    let Some(lame) = lame() else { return };
    for settings in [
        Settings { channels: 0, ..MONO },
        Settings { channels: 3, ..MONO },
        Settings { sample_rate: u32::MAX, ..MONO },
        Settings { sample_rate: 1, ..MONO },
        Settings { quality: 10, ..MONO },
    ] {
        assert_eq!(Encoder::new(&lame, settings).err(), Some(EncodeError::Settings(settings)));
    }
    let mut encoder = Encoder::new(&lame, STEREO).expect("an encoder");
    let mut mp3 = Vec::new();
    assert_eq!(encoder.encode(&[&[0; 5]], &mut mp3), Err(EncodeError::Channels));
    assert_eq!(encoder.encode(&[&[0; 5], &[0; 6]], &mut mp3), Err(EncodeError::Channels));
}

#[test]
fn a_missing_library_says_which_package_to_install() {
    let error = Lame::load(Some(Path::new("/nowhere/libmp3lame.so.0"))).expect_err("nothing there");
    assert!(matches!(error, LoadError::Missing(_)));
    assert!(error.to_string().contains("libmp3lame0"), "{error}");
}
