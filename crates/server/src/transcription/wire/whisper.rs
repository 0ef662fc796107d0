//! Files of whisper.cpp: `whisper-cli -oj`, and with the times of tokens `-ojf`.

use serde::Deserialize;

use super::{Garbage, Heard, garbage};
use crate::transcription::turns::Said;

/// What it writes where it hears nothing.
const NOTHING: &str = "[BLANK_AUDIO]";
/// More characters than this are no word: a language without spaces.
const LONGEST_WORD: usize = 40;

#[derive(Deserialize)]
struct Written {
    result: Option<Found>,
    transcription: Vec<Segment>,
}

#[derive(Deserialize)]
struct Found {
    language: Option<String>,
}

#[derive(Deserialize)]
struct Segment {
    offsets: Offsets,
    text: String,
    tokens: Option<Vec<Token>>,
}

#[derive(Deserialize)]
struct Token {
    offsets: Option<Offsets>,
    text: String,
}

/// In milliseconds.
#[derive(Clone, Copy, Deserialize)]
struct Offsets {
    from: i64,
    to: i64,
}

pub(super) fn read(text: &str) -> Result<Heard, Garbage> {
    let written: Written = serde_json::from_str(text).map_err(|error| garbage("what it wrote", &error))?;
    let segments = written.transcription.into_iter().filter(|segment| segment.text.trim() != NOTHING);
    let said = segments.flat_map(of_segment).filter(|said| !said.text.is_empty()).collect();
    Ok(Heard { language: written.result.and_then(|found| found.language), said })
}

fn of_segment(segment: Segment) -> Vec<Said> {
    let words = segment.tokens.map(of_tokens).unwrap_or_default();
    if !words.is_empty() {
        return words;
    }
    let Offsets { from: start, to: end } = segment.offsets;
    vec![Said { start, end, text: segment.text.trim().to_owned(), glued: false, is_word: false }]
}

/// A token that begins with a space begins a word; the others go on with it.
fn of_tokens(tokens: Vec<Token>) -> Vec<Said> {
    let mut words: Vec<Said> = Vec::new();
    for token in tokens {
        let Some(Offsets { from: start, to: end }) = token.offsets else { continue };
        if token.text.starts_with("[_") || token.text.trim().is_empty() {
            continue;
        }
        match words.last_mut() {
            Some(word) if !token.text.starts_with(' ') => {
                word.text.push_str(&token.text);
                word.end = word.end.max(end);
            }
            _ => {
                let text = token.text.trim_start().to_owned();
                words.push(Said { start, end, text, glued: false, is_word: true });
            }
        }
    }
    for word in &mut words {
        word.is_word = word.text.chars().count() <= LONGEST_WORD;
    }
    words
}
