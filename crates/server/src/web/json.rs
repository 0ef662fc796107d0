//! JSON bodies of requests, within bounds and with errors in the native form.

use axum::{
    extract::{FromRequest, OptionalFromRequest, Request},
    http::{HeaderMap, StatusCode},
};
use serde::de::DeserializeOwned;

use super::{aside, body, failure::Failure};
use crate::vocabulary;

/// Largest body of a setting, in bytes.
const LARGEST: usize = 256 * 1024;

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
            let cause = cause.rsplit_once(" at line ").map_or(cause.as_str(), |(cause, _)| cause).to_owned();
            // What is missing has no place of its own.
            let place = if path == "." { "the body".to_owned() } else { path };
            Failure::from(crate::access::Refusal::invalid(place, format!("cannot be taken: {cause}")))
        })?;
        Ok(Self(value))
    }
}
