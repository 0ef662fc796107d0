//! What the configuration holds that nobody may see: values that are not shown, and the keys that what is kept is sealed with.

mod encryption;

pub use encryption::Config as EncryptionConfig;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A value that is not shown: any of them may be a secret. A text, a number, or true or false.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// The value, for whom it is meant.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // That there is none is no secret.
        serializer.serialize_str(if self.0.is_empty() { "" } else { "hidden" })
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar)
    }
}

struct Scalar;

impl de::Visitor<'_> for Scalar {
    type Value = Hidden;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true or false")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Hidden, E> {
        Ok(Hidden(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Hidden, E> {
        Ok(Hidden(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Hidden, E> {
        Ok(Hidden(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Hidden, E> {
        Ok(Hidden(value.to_string()))
    }
}
