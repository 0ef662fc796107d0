//! Masking what an event holds, and reading it again: its words and what they mean stay one.

use std::borrow::Cow;

use indexmap::IndexMap;
use pegcount_calls::{Document, Fact};
use serde_json::{Value, value::RawValue};

use super::{Masks, digits, masks::CARD};
use crate::vocabulary::{self, Told, kinds};

/// The field that says so where something was masked.
const MARK: &str = r#""redacted":true"#;
/// Fields of an event that hold words of ours, or names that tie events together.
const KEPT: [&str; 7] = ["role", "language", "tool_call_id", "name", "leg_id", "dialled_leg_id", "redacted"];

type Fields<'a> = IndexMap<String, &'a RawValue>;

/// Whether events of this type hold what was said, pressed or looked up.
fn is_of_interest(kind: &str) -> bool {
    matches!(
        kind,
        kinds::TRANSCRIPT_TURN
            | kinds::TRANSCRIPT_READY
            | kinds::TOOL_INVOKED
            | kinds::TOOL_RESULT
            | kinds::ANALYSIS_READY
            | kinds::DTMF_RECEIVED
    )
}

/// Whether something of this event was masked. The field that says so comes last, so that this costs nothing.
pub fn is_masked(kind: &str, data: &str) -> bool {
    is_of_interest(kind) && data.strip_suffix('}').is_some_and(|fields| fields.ends_with(MARK))
}

/// Masks what an event holds.
pub fn mask(masks: &Masks, told: &mut Told) {
    if !is_of_interest(&told.report.kind) {
        return;
    }
    let of_keys;
    let masks = match told.report.kind.as_str() {
        kinds::DTMF_RECEIVED => {
            of_keys = masks.of_keys();
            &of_keys
        }
        _ => masks,
    };
    let data = told.report.data.as_json_text();
    let Some(masked) = masked_data(masks, told.report.kind == kinds::TRANSCRIPT_TURN, data) else { return };
    told.report.data = Document::from_json_text(masked);
    if let Ok(event) = vocabulary::read_report(&told.report) {
        told.event = event;
        return;
    }
    // A pattern of its own may leave something that is no such event any more. What was said is then not kept at all.
    told.report.data = vocabulary::residue(&told.event, &Fact::Other);
    told.report.blanked = true;
    if let Ok(event) = vocabulary::read_report(&told.report) {
        told.event = event;
    }
}

/// The data with what is masked; `None` where that is nothing.
fn masked_data(masks: &Masks, is_turn: bool, data: &str) -> Option<String> {
    let fields: Fields<'_> = serde_json::from_str(data).ok()?;
    let mut changed = false;
    let mut text = String::with_capacity(data.len());
    for (name, raw) in &fields {
        let raw = raw.get();
        let masked = match name.as_str() {
            name if KEPT.contains(&name) => None,
            "words" if is_turn => masked_words(masks, raw).or_else(|| masked_json(masks, raw)),
            _ => masked_json(masks, raw),
        };
        if name == "redacted" {
            continue;
        }
        changed |= masked.is_some();
        add_field(&mut text, name, masked.as_deref().unwrap_or(raw));
    }
    changed.then(|| match text.is_empty() {
        true => format!("{{{MARK}}}"),
        false => format!("{{{text},{MARK}}}"),
    })
}

fn add_field(text: &mut String, name: &str, raw: &str) {
    if !text.is_empty() {
        text.push(',');
    }
    text.push_str(&quoted(name));
    text.push(':');
    text.push_str(raw);
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A JSON value with what is masked in its strings, and card numbers that stand there as numbers; `None` where that is
/// nothing. Everything else stays as it was written: numbers keep their digits, objects the order of their keys.
fn masked_json(masks: &Masks, json: &str) -> Option<String> {
    let mut masked = String::new();
    // How much of the value has gone over.
    let mut copied = 0;
    let bytes = json.as_bytes();
    let mut place = 0;
    while place < bytes.len() {
        let end = match bytes[place] {
            b'"' => end_of_string(bytes, place),
            b'-' | b'0'..=b'9' => end_of_number(bytes, place),
            _ => {
                place += 1;
                continue;
            }
        };
        let token = &json[place..end];
        // A key ties a value to its meaning, and two that are masked would be one.
        let is_key = bytes[place] == b'"' && json[end..].trim_start().starts_with(':');
        let instead = match bytes[place] {
            _ if is_key => None,
            b'"' => read(token).and_then(|text| masks.mask(&text)).map(|text| quoted(&text)),
            _ => (masks.cards && is_card_number(token)).then(|| quoted(CARD)),
        };
        if let Some(instead) = instead {
            masked.push_str(&json[copied..place]);
            masked.push_str(&instead);
            copied = end;
        }
        place = end;
    }
    (copied > 0).then(|| {
        masked.push_str(&json[copied..]);
        masked
    })
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut escaped = false;
    for (place, byte) in bytes.iter().enumerate().skip(start + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return place + 1,
            _ => {}
        }
    }
    bytes.len()
}

fn end_of_number(bytes: &[u8], start: usize) -> usize {
    let of_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    bytes[start..].iter().position(|byte| !of_number(byte)).map_or(bytes.len(), |length| start + length)
}

/// What a string means; as it stands where nothing in it is escaped.
fn read(token: &str) -> Option<Cow<'_, str>> {
    if !token.contains('\\') {
        return token.get(1..token.len().saturating_sub(1)).map(Cow::Borrowed);
    }
    serde_json::from_str::<String>(token).ok().map(Cow::Owned)
}

fn is_card_number(token: &str) -> bool {
    let figures = token.as_bytes();
    figures.iter().all(u8::is_ascii_digit)
        && digits::is_card(&figures.iter().map(|figure| figure - b'0').collect::<Vec<u8>>())
}

/// The timed words of a turn, in which those that are masked together are one word that takes their time.
fn masked_words(masks: &Masks, json: &str) -> Option<String> {
    let words: Vec<Fields<'_>> = serde_json::from_str(json).ok()?;
    let mut said = String::new();
    let mut places = Vec::with_capacity(words.len());
    for word in &words {
        let text = word.get("word").and_then(|raw| read(raw.get()))?;
        if !said.is_empty() {
            said.push(' ');
        }
        let start = said.len();
        said.push_str(&text);
        places.push(start..said.len());
    }
    let found = masks.places(&said);
    if found.is_empty() {
        return None;
    }
    let mut masked: Vec<String> = Vec::with_capacity(words.len());
    let mut next = 0;
    for (hidden, mask) in found {
        let first =
            places[next..].iter().position(|place| place.end > hidden.start).map_or(next, |at| next + at);
        let last = places[first..].iter().take_while(|place| place.start < hidden.end).count() + first;
        masked.extend(words[next..first].iter().map(|word| object(word, &[])));
        if last > first {
            let whole = masked_part(&said, &places[first..last], &hidden, mask);
            let end = words[last - 1].get("end_ms").map_or("0", |raw| raw.get());
            masked.push(object(&words[first], &[("word", &quoted(&whole)), ("end_ms", end)]));
        }
        next = next.max(last);
    }
    masked.extend(words[next..].iter().map(|word| object(word, &[])));
    // What is left may stand together anew: each word once more by itself is enough, as the content is masked whole.
    let masked = format!("[{}]", masked.join(","));
    Some(masked_json(masks, &masked).unwrap_or(masked))
}

/// The word that stands for some: the mask, and what stood before and after it in the first and the last of them.
fn masked_part(
    said: &str,
    places: &[std::ops::Range<usize>],
    hidden: &std::ops::Range<usize>,
    mask: &str,
) -> String {
    let before = places.first().map_or("", |first| &said[first.start..hidden.start.max(first.start)]);
    let after = places.last().map_or("", |last| &said[hidden.end.min(last.end)..last.end]);
    format!("{before}{mask}{after}")
}

fn object(fields: &Fields<'_>, instead: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, raw) in fields {
        let new = instead.iter().find(|(replaced, _)| replaced == name).map(|(_, value)| *value);
        add_field(&mut text, name, new.unwrap_or(raw.get()));
    }
    format!("{{{text}}}")
}
