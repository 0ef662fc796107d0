//! The sound of a call: a tone for each syllable that is said, when the transcript says that it is said.
//!
//! It is computed from the call's script, so nothing is stored and the same call always sounds the same. The caller is
//! left, the agent right, as in recordings of the gateway.

use std::f64::consts::TAU;

use super::script::Script;
use crate::vocabulary::kinds;

/// Samples a second.
const RATE: u32 = 8_000;
/// Bytes of a frame: two channels of 16 bits.
const FRAME_BYTES: usize = 4;
/// Bytes of a WAV header in front of the samples.
const HEADER_BYTES: usize = 44;
/// Letters of one syllable, roughly.
const LETTERS_PER_SYLLABLE: usize = 3;
/// Loudest sample: 12 dB below the limit.
const LOUDEST: f64 = 8_000.0;
/// The first two formants of vowels, in Hz (Peterson and Barney 1952).
const VOWELS: [(f64, f64); 5] =
    [(730.0, 1090.0), (530.0, 1840.0), (270.0, 2290.0), (570.0, 840.0), (300.0, 870.0)];

/// Bytes of the file that [`wav`] makes of a conversation of this length.
pub(super) fn size_bytes(talk_ms: i64) -> usize {
    HEADER_BYTES + frames(talk_ms) * FRAME_BYTES
}

/// A WAV file of the whole conversation; `None` for a call that nobody answers.
pub(super) fn wav(script: &Script) -> Option<Vec<u8>> {
    let recording = script.recording.as_ref()?;
    let mut channels = [vec![0_i16; frames(recording.talk_ms)], vec![0_i16; frames(recording.talk_ms)]];
    for event in script.events.iter().filter(|event| event.kind == kinds::TRANSCRIPT_TURN) {
        let is_agent = event.data["role"] == "agent";
        let voice = Voice { pitch: if is_agent { 118.0 } else { 196.0 } };
        for word in event.data["words"].as_array().into_iter().flatten() {
            let (Some(from), Some(to)) = (word["start_ms"].as_i64(), word["end_ms"].as_i64()) else {
                continue;
            };
            let span = frames(from)..frames(to).min(frames(recording.talk_ms));
            if let Some(place) = channels[usize::from(is_agent)].get_mut(span) {
                voice.say(word["word"].as_str().unwrap_or_default(), place);
            }
        }
    }
    let mut file = header(frames(recording.talk_ms));
    for (left, right) in channels[0].iter().zip(&channels[1]) {
        file.extend_from_slice(&left.to_le_bytes());
        file.extend_from_slice(&right.to_le_bytes());
    }
    Some(file)
}

fn frames(millis: i64) -> usize {
    usize::try_from(millis.max(0)).unwrap_or_default() * RATE as usize / 1000
}

/// The header of a WAV file: RIFF, PCM, 16 bits, two channels.
fn header(frames: usize) -> Vec<u8> {
    let samples = u32::try_from(frames * FRAME_BYTES).unwrap_or(u32::MAX);
    let mut header = Vec::with_capacity(HEADER_BYTES + samples as usize);
    header.extend_from_slice(b"RIFF");
    header.extend_from_slice(&samples.saturating_add(36).to_le_bytes());
    header.extend_from_slice(b"WAVEfmt ");
    header.extend_from_slice(&16_u32.to_le_bytes());
    for field in [1_u16, 2] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    header.extend_from_slice(&RATE.to_le_bytes());
    header.extend_from_slice(&(RATE * FRAME_BYTES as u32).to_le_bytes());
    for field in [FRAME_BYTES as u16, 16] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    header.extend_from_slice(b"data");
    header.extend_from_slice(&samples.to_le_bytes());
    header
}

/// Who speaks.
struct Voice {
    /// The fundamental frequency in Hz.
    pitch: f64,
}

impl Voice {
    /// Speaks a word: a vowel for each syllable, its letters decide which.
    fn say(&self, word: &str, place: &mut [i16]) {
        let letters: Vec<u8> = word.bytes().filter(u8::is_ascii_alphanumeric).collect();
        let syllables = letters.chunks(LETTERS_PER_SYLLABLE);
        if place.is_empty() || letters.is_empty() {
            return;
        }
        let length = place.len().div_ceil(syllables.len());
        for (letters, place) in syllables.zip(place.chunks_mut(length)) {
            let sum: usize = letters.iter().map(|letter| usize::from(letter.to_ascii_lowercase())).sum();
            let pitch = self.pitch * (1.0 + (sum % 7) as f64 * 0.02);
            vowel(pitch, VOWELS[sum % VOWELS.len()], place);
        }
    }
}

/// A vowel: harmonics of the pitch, loud near the formants, fading in and out.
fn vowel(pitch: f64, (first, second): (f64, f64), place: &mut [i16]) {
    let near =
        |frequency: f64, formant: f64, width: f64| 1.0 / (1.0 + ((frequency - formant) / width).powi(2));
    let harmonics: Vec<f64> = (1..)
        .map(|harmonic| pitch * f64::from(harmonic))
        .take_while(|frequency| *frequency < 3400.0)
        .map(|frequency| 0.05 + near(frequency, first, 110.0) + 0.4 * near(frequency, second, 160.0))
        .collect();
    let loudness = LOUDEST / harmonics.iter().sum::<f64>().max(1.0);
    let length = place.len() as f64;
    for (at, sample) in place.iter_mut().enumerate() {
        let phase = TAU * pitch * at as f64 / f64::from(RATE);
        let fading = (std::f64::consts::PI * at as f64 / length).sin().sqrt();
        // sin(nx) from the two before it, which is cheaper than a sine for each harmonic.
        let (twice_cosine, mut before, mut now) = (2.0 * phase.cos(), 0.0, phase.sin());
        let mut sum = 0.0;
        for harmonic in &harmonics {
            sum += harmonic * now;
            (before, now) = (now, twice_cosine * now - before);
        }
        *sample = (sum * loudness * fading) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::script::script;

    #[test]
    fn an_answered_call_sounds_where_its_words_are() {
        let script = (0..).map(script).find(|script| script.recording.is_some()).expect("an answered call");
        let talk_ms = script.recording.as_ref().expect("a recording").talk_ms;
        let file = wav(&script).expect("a file");
        assert_eq!(file.len(), size_bytes(talk_ms));
        let sample = |frame: usize, channel: usize| {
            let at = HEADER_BYTES + frame * FRAME_BYTES + channel * 2;
            i16::from_le_bytes([file[at], file[at + 1]])
        };
        let turn = script.events.iter().find(|event| event.kind == kinds::TRANSCRIPT_TURN).expect("a turn");
        let word = &turn.data["words"][0];
        let channel = usize::from(turn.data["role"] == "agent");
        let span = frames(word["start_ms"].as_i64().unwrap())..frames(word["end_ms"].as_i64().unwrap());
        let loudest = |channel| span.clone().map(|frame| sample(frame, channel).unsigned_abs()).max();
        assert!(loudest(channel) > Some(1000), "{:?}", loudest(channel));
        assert!(loudest(channel) <= Some(LOUDEST as u16));
        assert_eq!(loudest(1 - channel), Some(0), "only one of them speaks");
    }

    #[test]
    fn an_unanswered_call_has_no_sound() {
        let script = (0..).map(script).find(|script| script.recording.is_none()).expect("an unanswered call");
        assert_eq!(wav(&script), None);
    }
}
