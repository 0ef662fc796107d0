//! The encodings of a mod_json_cdr request body.
//!
//! What the module sends depends on its `encode` parameter, and what the request says of it cannot be trusted: with
//! `disable-100-continue` the module replaces its own header list, so raw JSON arrives labelled as a form (mod_json_cdr,
//! `process_cdr`). So the body itself tells.

use data_encoding::{BASE64_NOPAD, Encoding};

/// Largest body that is looked at: a CDR has some 10 KiB, with long application logs some 100 KiB.
const LARGEST_BODY: usize = 4 * 1024 * 1024;
/// Encoded twice the body may say `%7B`, once it says `{`.
const MOST_LAYERS: u8 = 3;

/// The JSON text in a request body: raw, or the form field `cdr` with the text URL-encoded or in base64.
///
/// # Errors
/// A sentence that says what was found instead.
pub fn json_text(content_type: Option<&str>, body: &[u8]) -> Result<String, String> {
    if body.len() > LARGEST_BODY {
        return Err(format!("the CDR has {} bytes, at most {LARGEST_BODY} are taken", body.len()));
    }
    // A name that a phone sent in Latin-1 must not cost the call.
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err("the body is empty: a CDR as mod_json_cdr sends it is expected".to_owned());
    }
    if is_object(text) {
        return Ok(text.to_owned());
    }
    if let Some(value) = form_field(text) {
        return decode_field(value)
            .ok_or_else(|| "the field cdr holds neither a JSON object nor one encoded in base64".to_owned());
    }
    // What it cannot send the module writes to `err-log-dir`, encoded alike but without the field's name.
    decode_field(text).ok_or_else(|| {
        let labelled = content_type.map(|label| format!(" (labelled {label:.60})")).unwrap_or_default();
        format!("the body{labelled} is neither a JSON object nor a form with the field cdr")
    })
}

fn is_object(text: &str) -> bool {
    text.starts_with('{')
}

/// The value of the field `cdr`. Where it was not encoded at all it may hold `&` itself, so it goes to the end.
fn form_field(text: &str) -> Option<&str> {
    let start = if text.starts_with("cdr=") { 4 } else { text.find("&cdr=")? + 5 };
    let rest = text.get(start..)?.trim_start();
    if is_object(rest) { Some(rest) } else { rest.split('&').next() }
}

fn decode_field(value: &str) -> Option<String> {
    let mut text = value.to_owned();
    for _ in 0..MOST_LAYERS {
        let trimmed = text.trim();
        if is_object(trimmed) {
            return Some(trimmed.to_owned());
        }
        if !trimmed.contains('%') {
            return decode_base64(trimmed);
        }
        text = decode_form_value(trimmed);
    }
    None
}

/// A form's `+` is a space; but one that writes its spaces as `%20`, as FreeSWITCH does, means `+` by `+`. Base64 has
/// `+` as a letter.
fn decode_form_value(value: &str) -> String {
    let starts_json = value.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("%7B"));
    if starts_json && value.contains('+') && !value.contains("%20") {
        percent_decoded(&value.replace('+', " "))
    } else {
        percent_decoded(value)
    }
}

/// Standard alphabet, with or without padding, lines allowed.
fn decode_base64(text: &str) -> Option<String> {
    let mut letters: String = text.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
    // A `+` that somebody on the way took for a space.
    letters = letters.trim_end_matches('=').replace(' ', "+");
    let bytes = lenient_base64()?.decode(letters.as_bytes()).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}').trim();
    is_object(text).then(|| text.to_owned())
}

/// Without padding, and whatever the last letter's unused bits are.
fn lenient_base64() -> Option<Encoding> {
    let mut specification = BASE64_NOPAD.specification();
    specification.check_trailing_bits = false;
    specification.encoding().ok()
}

/// The text with its percent escapes decoded. A `%` that begins no escape stays as it is.
pub(super) fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while let Some(&byte) = bytes.get(place) {
        let escaped = if byte == b'%' { bytes.get(place + 1..place + 3).and_then(hex_byte) } else { None };
        decoded.push(escaped.unwrap_or(byte));
        place += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    match digits {
        [high, low] => Some(digit(high)? * 16 + digit(low)?),
        _ => None,
    }
}
