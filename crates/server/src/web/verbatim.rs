//! JSON that is passed through as it is.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// The text of a JSON value, shown without being read into anything.
#[derive(Clone, Copy, Debug)]
pub struct Verbatim<'a>(pub &'a str);

impl Serialize for Verbatim<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&RawValue>(self.0) {
            Ok(value) => value.serialize(serializer),
            // Only what was checked is kept, so this is damage; one value of it must not cost the whole answer.
            Err(_) => serializer.serialize_unit(),
        }
    }
}
