//! JSON that means the same to every reader.

use std::{collections::HashSet, fmt};

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
    Careful { depth: 0 }.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())
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
    fn what_readers_would_understand_differently_is_refused() {
        for (text, word) in [
            (r#"{"a":1,"a":2}"#, "twice"),
            (r#"{"a":"\ud800"}"#, "hex escape"),
            (r#"{"a":"\ud800x"}"#, "hex escape"),
            (r#"{"a":"\u0000"}"#, "NUL"),
            (r#"{"\u0000":1}"#, "NUL"),
            (r#"{"a":1e999}"#, "out of range"),
            (r#"{"a":1} x"#, "trailing"),
            ("", "EOF"),
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
