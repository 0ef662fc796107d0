//! Answers of OpenAI's transcriptions, as OpenAI, Groq, faster-whisper's servers and whisper.cpp's give them.

use serde::Deserialize;

use super::{Garbage, Heard, garbage, millis};
use crate::transcription::turns::Said;

#[derive(Deserialize)]
struct Answer {
    text: Option<String>,
    language: Option<String>,
    words: Option<Vec<Timed>>,
    segments: Option<Vec<Segment>>,
}

#[derive(Deserialize)]
struct Segment {
    start: f64,
    end: f64,
    text: String,
    words: Option<Vec<Timed>>,
}

#[derive(Deserialize)]
struct Timed {
    word: String,
    start: f64,
    end: f64,
}

pub(super) fn read(text: &str, length: i64) -> Result<Heard, Garbage> {
    let answer: Answer = serde_json::from_str(text).map_err(|error| garbage("the answer", &error))?;
    if answer.text.is_none() && answer.segments.is_none() && answer.words.is_none() {
        return Err(Garbage("the answer has neither a text nor segments".into()));
    }
    let whole = answer.text.unwrap_or_default();
    let segments = answer.segments.unwrap_or_default();
    let said = match answer.words.filter(|words| !words.is_empty()) {
        Some(words) => of_words(&words, &whole),
        None if segments.is_empty() => of_text(&whole, 0, length),
        None => segments.into_iter().flat_map(of_segment).collect(),
    };
    Ok(Heard { language: answer.language, said })
}

fn of_text(text: &str, start: i64, end: i64) -> Vec<Said> {
    let text = text.trim();
    let said = Said { start, end, text: text.to_owned(), glued: false, is_word: false };
    if text.is_empty() { Vec::new() } else { vec![said] }
}

fn of_segment(segment: Segment) -> Vec<Said> {
    match segment.words.filter(|words| !words.is_empty()) {
        Some(words) => of_words(&words, &segment.text),
        None => of_text(&segment.text, millis(segment.start), millis(segment.end)),
    }
}

/// Words with their times. OpenAI's come without the signs that its text has, some others' with the spaces before them.
fn of_words(words: &[Timed], text: &str) -> Vec<Said> {
    let words: Vec<&Timed> = words.iter().filter(|word| !word.word.trim().is_empty()).collect();
    let tokens: Vec<&str> = text.split_whitespace().collect();
    let is_same = |(token, word): (&&str, &&Timed)| plain(token) == plain(&word.word);
    let same = tokens.len() == words.len() && tokens.iter().zip(&words).all(is_same);
    let spaced = words.iter().any(|word| word.word.starts_with(char::is_whitespace));
    let unspaced = tokens.len() == 1 && words.len() > 1;
    let said = words.iter().enumerate().map(|(place, word)| Said {
        start: millis(word.start),
        end: millis(word.end),
        text: if same { tokens[place].to_owned() } else { word.word.trim().to_owned() },
        glued: if spaced { !word.word.starts_with(char::is_whitespace) && place > 0 } else { unspaced },
        is_word: true,
    });
    said.collect()
}

fn plain(word: &str) -> String {
    word.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
