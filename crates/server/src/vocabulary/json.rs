//! JSON that means the same to every reader.

use std::{collections::HashSet, fmt};

use super::shortened;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// How deep arrays and objects may nest.
const DEEPEST: u8 = 32;

/// Checks that a text is one JSON value that every reader understands alike: well-formed, no key twice in an object,
/// no lone surrogate, no NUL in a string, nested at most 32 deep, every number within a 64-bit float.
///
/// # Errors
/// A sentence that says what is wrong and where.
pub fn check(text: &str) -> Result<(), String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Careful { depth: 0 }
        .deserialize(&mut deserializer)
        .map_err(|error| in_plain_words(&error.to_string()))?;
    deserializer.end().map_err(|error| in_plain_words(&error.to_string()))
}

/// A message of serde without the names of Rust's types: what the value must be, and what it is. Other messages, and the
/// place at the end, stay.
pub fn in_plain_words(message: &str) -> String {
    let mismatch = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    if let Some((found, expected)) = mismatch.and_then(|rest| rest.rsplit_once(", expected ")) {
        return format!("must be {}, not {}", expected_in_words(expected), found_in_words(found));
    }
    let variant = message.strip_prefix("unknown variant `").and_then(|rest| rest.rsplit_once("`, expected "));
    if let Some((found, known)) = variant {
        return format!("must be {known}, not `{}`", shortened(found));
    }
    for (of_serde, plain) in [
        ("expected value", "a JSON value is missing or misspelt"),
        ("expected ident", "true, false or null is misspelt"),
        ("EOF while parsing", "the JSON ends inside"),
        ("trailing characters", "the JSON goes on after its end"),
        ("key must be a string", "a key must be a text in double quotes"),
    ] {
        if let Some(rest) = message.strip_prefix(of_serde) {
            return format!("{plain}{rest}");
        }
    }
    message.to_owned()
}

fn expected_in_words(expected: &str) -> &str {
    match expected {
        "a string" | "a borrowed string" => "a text",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        named if named.starts_with("struct ") => "an object",
        named if named.starts_with("enum ") || named == "string or map" => "a text",
        other => other,
    }
}

fn found_in_words(found: &str) -> String {
    let of_type = |kind| found.strip_prefix(kind).map(|value: &str| value.trim_matches('`'));
    match found {
        "map" => "an object".to_owned(),
        "sequence" => "an array".to_owned(),
        _ => {
            let number = of_type("integer ").or_else(|| of_type("floating point "));
            match (of_type("string "), number.or_else(|| of_type("boolean "))) {
                (Some(text), _) => format!("the text {}", shortened(text)),
                (None, Some(value)) => value.to_owned(),
                (None, None) => found.to_owned(),
            }
        }
    }
}

/// The text without the white space between its tokens; takes checked JSON.
pub fn compact(text: &str) -> String {
    let mut compacted = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in text.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character.is_ascii_whitespace() {
            continue;
        } else {
            in_string = character == '"';
        }
        compacted.push(character);
    }
    compacted
}

/// Reads a value and keeps nothing of it.
#[derive(Clone, Copy)]
struct Careful {
    depth: u8,
}

impl Careful {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEEPEST {
            return Err(E::custom(format!("arrays and objects may nest at most {DEEPEST} deep")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

fn check_string<E: de::Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') { Err(E::custom("a string may not contain the NUL character")) } else { Ok(()) }
}

impl<'de> DeserializeSeed<'de> for Careful {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Careful {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        check_string(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        while items.next_element_seed(deeper)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        let mut keys = HashSet::new();
        while let Some(Key(key)) = entries.next_key()? {
            check_string(&key)?;
            entries.next_value_seed(deeper)?;
            if let Some(twice) = keys.replace(key) {
                return Err(de::Error::custom(format!("the key {twice:?} occurs twice in one object")));
            }
        }
        Ok(())
    }
}

struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_no_types_of_rust() {
        for (of_serde, plain) in [
            ("invalid type: string \"5\", expected f64", "must be a number, not the text \"5\""),
            ("invalid type: integer `7`, expected a string", "must be a text, not 7"),
            ("invalid value: integer `-1`, expected u32", "must be a whole number from 0, not -1"),
            ("invalid type: null, expected a sequence", "must be an array, not null"),
            (
                "unknown variant `in`, expected `inbound` or `outbound`",
                "must be `inbound` or `outbound`, not `in`",
            ),
            ("missing field `product`", "missing field `product`"),
        ] {
            assert_eq!(in_plain_words(of_serde), plain);
        }
        let sentence = check("hello").unwrap_err();
        assert_eq!(sentence, "a JSON value is missing or misspelt at line 1 column 1");
    }

    #[test]
    fn what_readers_would_understand_differently_is_refused() {
        for (text, word) in [
            (r#"{"a":1,"a":2}"#, "twice"),
            (r#"{"a":"\ud800"}"#, "hex escape"),
            (r#"{"a":"\ud800x"}"#, "hex escape"),
            (r#"{"a":"\u0000"}"#, "NUL"),
            (r#"{"\u0000":1}"#, "NUL"),
            (r#"{"a":1e999}"#, "out of range"),
            (r#"{"a":1} x"#, "goes on after its end"),
            ("", "ends inside"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(check(&format!("{}{}", "[".repeat(33), "]".repeat(33))).is_err());
        assert!(check(&format!("{}{}", "[".repeat(32), "]".repeat(32))).is_ok());
    }

    #[test]
    fn white_space_goes_but_not_within_strings() {
        assert_eq!(
            compact("{ \"a b\" : [ 1 ,\n 2 ], \"c\\\" d\" : \"\\\\\" }"),
            r#"{"a b":[1,2],"c\" d":"\\"}"#
        );
    }
}
