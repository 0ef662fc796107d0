//! What pocketsphinx 5 writes: a line of JSON for each utterance.

use serde::Deserialize;

use super::{Garbage, Heard, garbage, millis};
use crate::transcription::turns::Said;

#[derive(Deserialize)]
struct Utterance {
    b: f64,
    d: f64,
    t: String,
    w: Option<Vec<Word>>,
}

/// Begin and duration in seconds, and the text.
#[derive(Deserialize)]
struct Word {
    b: f64,
    d: f64,
    t: String,
}

pub(super) fn read(text: &str) -> Result<Heard, Garbage> {
    let mut said = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let utterance: Utterance =
            serde_json::from_str(line).map_err(|error| garbage("a line that it wrote", &error))?;
        match utterance.w {
            Some(words) => said.extend(words.iter().filter_map(of_word)),
            None => said.extend(piece(utterance.b, utterance.d, utterance.t.trim(), false)),
        }
    }
    Ok(Heard { language: None, said })
}

fn piece(begin: f64, duration: f64, text: &str, is_word: bool) -> Option<Said> {
    let (start, end) = (millis(begin), millis(begin + duration));
    (!text.is_empty()).then(|| Said { start, end, text: text.to_owned(), glued: false, is_word })
}

/// Silence and noise are no words; a word said in its second way is `the(2)`.
fn of_word(word: &Word) -> Option<Said> {
    if word.t.starts_with(['<', '[', '+']) {
        return None;
    }
    let text = word.t.split('(').next().unwrap_or_default();
    piece(word.b, word.d, text.trim(), true)
}
