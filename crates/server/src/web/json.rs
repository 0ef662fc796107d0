//! JSON bodies of requests, within bounds and with errors in the native form.

use axum::{
    extract::{FromRequest, OptionalFromRequest, Request},
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Number;

use super::{aside, body, failure::Failure};
use crate::vocabulary;

/// Largest body of a setting, in bytes.
const LARGEST: usize = 256 * 1024;

/// Reads a number without a fraction, also where it is written with one: for JSON 17 and 17.0 are the same number.
pub fn integer(number: &Number) -> Option<i64> {
    // From there on a float is not exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.as_i64().or_else(|| {
        let float =
            number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT)?;
        #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and fits")]
        Some(float as i64)
    })
}

/// Reads a field that holds an integer or null, as [`integer`] does.
pub fn optional_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    let wrong = || serde::de::Error::custom(format!("{number} is not an integer of 64 bits"));
    integer(&number).map(Some).ok_or_else(wrong)
}

/// A JSON body: an object.
pub struct JsonBody<T>(pub T);

impl<S, T> FromRequest<S> for JsonBody<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send + 'static,
{
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        check_type(&parts.headers)?;
        let bytes = body::read(&parts.extensions, body, LARGEST).await?;
        aside::read(bytes, Self::parse).await?
    }
}

/// `None` where no body was sent.
impl<S, T> OptionalFromRequest<S> for JsonBody<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send + 'static,
{
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = body::read(&parts.extensions, body, LARGEST).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        check_type(&parts.headers)?;
        aside::read(bytes, Self::parse).await?.map(Some)
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    match body::media_type(headers) {
        Some(media_type) if media_type != "application/json" => {
            Err(Failure::unsupported_media_type("application/json"))
        }
        _ => Ok(()),
    }
}

impl<T: DeserializeOwned> JsonBody<T> {
    fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let invalid = |message: String| Failure::new(StatusCode::BAD_REQUEST, "INVALID_JSON", message);
        let text = std::str::from_utf8(bytes).map_err(|_| invalid("the body is not UTF-8".into()))?;
        vocabulary::json::check(text).map_err(invalid)?;
        // Serde would take an array of its values for an object.
        if !text.trim_start().starts_with('{') {
            return Err(invalid("the body must be a JSON object".into()));
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            // Serde names the place in the text as well, which is of no use to who has written it by a program.
            let cause = error.into_inner().to_string();
            let cause = cause.rsplit_once(" at line ").map_or(cause.as_str(), |(cause, _)| cause);
            let plain = vocabulary::json::in_plain_words(cause);
            let said = if plain == cause { format!("cannot be taken: {cause}") } else { plain };
            // What is missing has no place of its own.
            let place = if path == "." { "the body".to_owned() } else { path };
            Failure::from(crate::access::Refusal::invalid(place, said))
        })?;
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        for (text, read) in [
            ("17", Some(17)),
            ("17.0", Some(17)),
            ("1.7e1", Some(17)),
            ("-3", Some(-3)),
            ("17.5", None),
            ("9223372036854775808", None),
            ("1e300", None),
        ] {
            assert_eq!(integer(&serde_json::from_str(text).unwrap()), read, "{text}");
        }
    }
}
