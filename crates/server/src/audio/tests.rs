//! Files of every kind, whole, damaged and none: what is heard in them, and what is said of the others.

use std::{
    f64::consts::TAU,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    time::Duration,
};

use audio_codec::{Encoder as _, pcma::PcmaEncoder, pcmu::PcmuEncoder};
use pegcount_gateway::recording::Format;
use pegcount_lame::Lame;

use super::{Blocks, RECORDING_RATE, SPEECH_RATE, Unheard, recording, speech};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/audio/fixtures").join(name)
}

fn on() -> bool {
    false
}

/// All of a file at a rate.
fn heard(path: &Path, rate: u32) -> Result<Vec<Vec<f32>>, Unheard> {
    let mut blocks = Blocks::open(path, None, rate)?;
    let mut all = vec![Vec::new(); blocks.channels().into()];
    while let Some(block) = blocks.next()? {
        for (all, part) in all.iter_mut().zip(block) {
            all.extend(part);
        }
    }
    Ok(all)
}

/// How strong a frequency is in the middle second: 1 for a full sine (Goertzel's algorithm).
fn strength(samples: &[f32], rate: u32, hertz: f64) -> f64 {
    let second = rate as usize;
    let begin = samples.len().checked_sub(second).expect("more than a second") / 2;
    let turn = 2.0 * (hertz * TAU / f64::from(rate)).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in &samples[begin..begin + second] {
        (last, before) = (f64::from(*sample) + turn * last - before, last);
    }
    let power: f64 = last * last + before * before - turn * last * before;
    2.0 * power.max(0.0).sqrt() / second as f64
}

/// A tone of half of full scale, as 16-bit samples.
fn tone(rate: u32, seconds: f64) -> Vec<i16> {
    let count = (f64::from(rate) * seconds) as usize;
    let sample = |at: usize| ((at as f64 * 440.0 * TAU / f64::from(rate)).sin() * 16_384.0) as i16;
    (0..count).map(sample).collect()
}

/// A WAV file; the tag is that of its codec.
fn wav(tag: u16, bits: u16, channels: u16, rate: u32, data: &[u8]) -> Vec<u8> {
    let frame = channels * bits / 8;
    let mut bytes = Vec::new();
    bytes.extend(b"RIFF");
    bytes.extend((data.len() as u32 + 36).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend(tag.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend(rate.wrapping_mul(u32::from(frame)).to_le_bytes());
    bytes.extend(frame.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

fn pcm16(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

#[test]
fn every_kind_of_wav_is_heard() {
    let folder = Folder::new();
    let tone = tone(8_000, 1.5);
    let wide = |bytes: usize| -> Vec<u8> {
        let whole = tone.iter().map(|sample| i32::from(*sample) << 16);
        whole.flat_map(|sample| sample.to_le_bytes()[4 - bytes..].to_vec()).collect()
    };
    let real = tone.iter().flat_map(|sample| (f32::from(*sample) / 32_768.0).to_le_bytes()).collect();
    let eight = tone.iter().map(|sample| ((sample >> 8) + 128) as u8).collect();
    for (name, tag, bits, data) in [
        ("pcm8", 1, 8, eight),
        ("pcm16", 1, 16, wide(2)),
        ("pcm24", 1, 24, wide(3)),
        ("pcm32", 1, 32, wide(4)),
        ("float", 3, 32, real),
        ("alaw", 6, 8, PcmaEncoder::new().encode(&tone)),
        ("mulaw", 7, 8, PcmuEncoder::new().encode(&tone)),
    ] {
        let path = folder.with(name, &wav(tag, bits, 1, 8_000, &data));
        for rate in [RECORDING_RATE, SPEECH_RATE, 8_000] {
            let all = heard(&path, rate).unwrap();
            assert_eq!((all.len(), all[0].len()), (1, rate as usize * 3 / 2), "{name} at {rate}");
            let strength = strength(&all[0], rate, 440.0);
            assert!((0.45..0.55).contains(&strength), "{name} at {rate}: {strength}");
        }
    }
}

#[test]
fn every_other_kind_is_heard_and_left_stays_left() {
    for (name, channels) in [
        ("tone.mp3", 1),
        ("tone.flac", 1),
        ("tone.adpcm.wav", 1),
        ("voice.opus.ogg", 1),
        ("stereo.opus.ogg", 2),
        ("stereo.vorbis.ogg", 2),
        ("stereo.m4a", 2),
    ] {
        for rate in [RECORDING_RATE, SPEECH_RATE] {
            let all = heard(&fixture(name), rate).unwrap();
            assert_eq!(all.len(), channels, "{name}");
            let seconds = all[0].len() as f64 / f64::from(rate);
            assert!((1.45..1.62).contains(&seconds), "{name}: {seconds} s");
            let left = strength(&all[0], rate, 440.0);
            assert!(left > 0.25, "{name} at {rate}: {left}");
            if let Some(right) = all.get(1) {
                assert!(strength(right, rate, 1_000.0) > 0.25, "{name}");
                assert!(
                    strength(right, rate, 440.0) < 0.05 && strength(&all[0], rate, 1_000.0) < 0.05,
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn what_is_no_sound_is_called_what_it_is() {
    let folder = Folder::new();
    let silent_movie = [&[0, 0, 0, 24][..], b"ftypisom", &[0; 200]].concat();
    for (name, bytes, words) in [
        ("html", &b"\n<!DOCTYPE html><html><body>Sign in</body>"[..], "it is an HTML page"),
        ("xml", b"<?xml version=\"1.0\"?><Error/>", "it is XML"),
        ("json", b"{\"error\": \"not found\"}", "it is JSON"),
        ("text", b"The recording is not there yet.", "it is a text"),
        ("zip", b"PK\x03\x04abc", "it is a ZIP archive"),
        ("gzip", b"\x1f\x8b\x08\x00", "it is compressed (gzip)"),
        ("pdf", b"%PDF-1.7", "it is a PDF"),
        ("zeros", &[0; 5_000], "it is nothing that is known, or damaged from its beginning"),
        ("movie", &silent_movie, "it is nothing that is known, or damaged from its beginning"),
    ] {
        let sentence = heard(&folder.with(name, bytes), 8_000).unwrap_err().to_string();
        assert_eq!(sentence, format!("is not a sound file that can be read: {words}"), "{name}");
    }
    assert!(matches!(heard(&folder.with("empty", b""), 8_000), Err(Unheard::Empty)));
    let soundless = folder.with("soundless", &wav(1, 16, 1, 8_000, b""));
    assert!(matches!(heard(&soundless, 8_000), Err(Unheard::Soundless)));
    let fast = folder.with("fast", &wav(1, 16, 1, 4_000_000_000, &[0; 4_000]));
    assert!(matches!(heard(&fast, 8_000), Err(Unheard::Unsupported(_))));
    assert!(matches!(heard(&folder.0.path().join("none"), 8_000), Err(Unheard::Disk(_))));
}

#[test]
fn of_a_file_that_breaks_off_what_was_whole_is_kept() {
    let folder = Folder::new();
    let whole = wav(1, 16, 1, 8_000, &pcm16(&tone(8_000, 2.0)));
    let made = |bytes: &[u8]| {
        let source = folder.with("source", bytes);
        recording(&source, (folder.0.path(), "made"), None, None, &on)
    };
    let cut = made(&whole[..whole.len() / 2]).unwrap();
    assert!(cut.is_damaged);
    assert!((800..=1_000).contains(&cut.duration.as_millis()), "{:?}", cut.duration);
    assert!(!made(&whole).unwrap().is_damaged);
    for name in ["tone.mp3", "tone.flac", "stereo.opus.ogg"] {
        let bytes = fs::read(fixture(name)).unwrap();
        let cut = made(&bytes[..bytes.len() * 2 / 3]).unwrap();
        assert!((400..1_400).contains(&cut.duration.as_millis()), "{name}: {:?}", cut.duration);
        // Bytes of a stranger: whatever they are, this is either heard or refused.
        for at in (40..bytes.len()).step_by(bytes.len() / 40) {
            let mut wrong = bytes.clone();
            wrong[at..].iter_mut().take(9).for_each(|byte| *byte ^= 0xa5);
            drop(made(&wrong));
        }
    }
}

#[test]
fn a_wav_whose_length_was_never_written_is_read_to_its_end() {
    let folder = Folder::new();
    let whole = wav(1, 16, 1, 8_000, &pcm16(&tone(8_000, 1.5)));
    for length in [0, u32::MAX, u32::MAX - 8, 0x7fff_ffff] {
        let mut bytes = whole.clone();
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        bytes[40..44].copy_from_slice(&length.to_le_bytes());
        let made =
            recording(&folder.with("source", &bytes), (folder.0.path(), "made"), None, None, &on).unwrap();
        assert_eq!((made.duration.as_millis(), made.is_damaged), (1_500, false), "{length}");
    }
    // A chunk of another kind before the samples, of an odd length; and one after them, which is no sound.
    let mut bytes = whole[..36].to_vec();
    bytes.extend(b"LIST\x03\0\0\0abc\0");
    bytes.extend(&whole[36..]);
    bytes.extend(b"LIST\x04\0\0\0abcd");
    let made = recording(&folder.with("source", &bytes), (folder.0.path(), "made"), None, None, &on).unwrap();
    assert_eq!((made.duration.as_millis(), made.is_damaged), (1_500, false));
}

#[test]
fn silence_is_kept() {
    let folder = Folder::new();
    let source = folder.with("silence", &wav(1, 16, 2, 8_000, &[0; 32_000]));
    let made = recording(&source, (folder.0.path(), "made"), None, None, &on).unwrap();
    assert_eq!((made.duration, made.is_damaged), (Duration::from_secs(1), false));
}

#[test]
fn a_recording_is_mp3_with_lame_and_wav_without() {
    let lame = Lame::load(None).expect("LAME is installed");
    let folder = Folder::new();
    for (lame, format, name) in [(Some(&lame), Format::Mp3, "a.mp3"), (None, Format::Wav, "a.wav")] {
        let made = recording(&fixture("stereo.m4a"), (folder.0.path(), "a"), lame, None, &on).unwrap();
        assert_eq!((made.format, made.channels), (format, 1));
        assert!(folder.0.path().join("a.part").exists());
        let path = folder.0.path().join(name);
        let (size, _) = made.keep_as(&path).unwrap();
        assert_eq!(size, fs::metadata(&path).unwrap().len());
        assert!(!folder.0.path().join("a.part").exists());
        let all = heard(&path, RECORDING_RATE).unwrap();
        assert_eq!(all.len(), 1);
        // Half of each side.
        for hertz in [440.0, 1_000.0] {
            let strength = strength(&all[0], RECORDING_RATE, hertz);
            assert!((0.2..0.3).contains(&strength), "{name}, {hertz} Hz: {strength}");
        }
    }
}

#[test]
fn speech_has_the_channels_of_its_file_at_16_khz() {
    let folder = Folder::new();
    for (name, channels) in [("stereo.opus.ogg", 2), ("tone.mp3", 1)] {
        let out = folder.0.path().join("speech.wav");
        let spoken = speech(&fixture(name), &out, None, &on).unwrap();
        assert_eq!((spoken.channels, spoken.is_damaged), (channels, false));
        let bytes = fs::read(&out).unwrap();
        assert_eq!((&bytes[..4], bytes[22], bytes[34]), (&b"RIFF"[..], channels, 16));
        assert_eq!(bytes[24..28], SPEECH_RATE.to_le_bytes());
        let all = heard(&out, SPEECH_RATE).unwrap();
        assert!(strength(&all[0], SPEECH_RATE, 440.0) > 0.25);
        assert!(channels == 1 || strength(&all[1], SPEECH_RATE, 1_000.0) > 0.25);
    }
}

#[test]
fn what_nobody_wants_any_more_is_given_up_and_leaves_nothing() {
    let folder = Folder::new();
    let gone = recording(&fixture("tone.mp3"), (folder.0.path(), "made"), None, None, &|| true);
    assert!(matches!(gone, Err(Unheard::Stopped)));
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 0);
}

/// A mu-law file of so many hours; the disk keeps no more of it than the head.
fn hours(folder: &Folder, hours: u32) -> PathBuf {
    let length = hours * 3_600 * 8_000;
    let mut head = wav(7, 8, 1, 8_000, b"");
    head[4..8].copy_from_slice(&(length + 36).to_le_bytes());
    head[40..44].copy_from_slice(&length.to_le_bytes());
    let path = folder.with("long", &head);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(u64::from(length) + 44).unwrap();
    path
}

#[test]
fn an_hour_is_read_in_small_blocks() {
    let folder = Folder::new();
    let mut blocks = Blocks::open(&hours(&folder, 1), None, 8_000).unwrap();
    let mut longest = 0;
    while let Some(block) = blocks.next().unwrap() {
        longest = longest.max(block[0].len());
    }
    assert!(longest <= 8_000, "{longest} samples at once");
    assert_eq!((blocks.duration(), blocks.is_damaged()), (Duration::from_secs(3_600), false));
}

#[test]
fn more_than_six_hours_are_not_taken() {
    let folder = Folder::new();
    assert!(matches!(Blocks::open(&hours(&folder, 7), None, 8_000), Err(Unheard::TooLong)));
}

#[test]
fn a_decoder_that_panics_fails_its_file_and_nothing_else() {
    let failed = super::guarded::<()>(|| panic!("a mistake"));
    assert!(matches!(failed, Err(Unheard::Failed)));
}
