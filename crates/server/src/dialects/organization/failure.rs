//! A refusal in this dialect's envelope.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::wire::FailureEnvelope;
use crate::{
    access::{Refusal, Remedy, Thing},
    vocabulary,
    web::{
        body::{self, BodyError},
        failure::retry_after_seconds,
    },
};

/// Longest id that an answer repeats whole: that of a call.
const LONGEST_ID: usize = 128;

/// What went wrong: a status, a heading, a sentence.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    message: String,
    error: String,
    retry_after: Option<Duration>,
}

impl Failure {
    fn new(status: StatusCode, message: impl Into<String>, error: impl Into<String>) -> Self {
        Self { status, message: message.into(), error: error.into(), retry_after: None }
    }

    fn after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    /// One of the two headers is not there.
    pub(super) fn missing_header(name: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", format!("The header {name} is missing"))
    }

    /// A refusal of a call that was asked for by this id.
    pub(super) fn of_call(refusal: Refusal, id: &str) -> Self {
        match refusal {
            Refusal::NotFound(Thing::Call) => Self::call_not_found(id),
            other => other.into(),
        }
    }

    /// There is no such call here.
    pub(super) fn call_not_found(id: &str) -> Self {
        let shown = if id.len() <= LONGEST_ID { id.to_owned() } else { vocabulary::shortened(id) };
        let error = format!("Call with ID '{shown}' does not exist");
        Self::new(StatusCode::NOT_FOUND, "Call not found", error)
    }

    /// The body is not what this dialect reads.
    pub(super) fn media_type() -> Self {
        let error = "Content-Type must be application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type", error)
    }

    /// There is nothing at this path.
    pub(super) fn path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Not found",
            "There is nothing at this path; /docs lists what there is",
        )
    }

    /// The path is known, the method is not.
    pub(super) fn method() -> Self {
        let error = "This path does not take this method; the Allow header names those it takes";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let error = refusal.to_string();
        match refusal {
            Refusal::Unauthorized(_) => {
                let error = "X-API-KEY and X-API-SECRET do not name a valid key: the one is the key's id (20 characters), the other its secret";
                Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", error)
            }
            Refusal::Forbidden(_) | Refusal::KeyReachesFurther(_) | Refusal::LinkExpired => {
                Self::new(StatusCode::FORBIDDEN, "Forbidden", error)
            }
            // This dialect calls an endpoint an agent.
            Refusal::NotFound(Thing::Endpoint) => {
                Self::new(StatusCode::NOT_FOUND, "Agent not found", "This agent does not exist")
            }
            Refusal::NotFound(thing) => Self::new(
                StatusCode::NOT_FOUND,
                error,
                format!("This {} does not exist", thing.to_string().to_lowercase()),
            ),
            Refusal::Invalid { .. } | Refusal::WholeWords => {
                Self::new(StatusCode::BAD_REQUEST, "Invalid request", error)
            }
            // Not 503, which asks to be sent again as it is.
            Refusal::TooLong(excess) => {
                Self::new(StatusCode::BAD_REQUEST, "Query too long", excess.sentence(remedy))
            }
            Refusal::Exists { .. } => Self::new(StatusCode::CONFLICT, "Already exists", error),
            Refusal::NotLive
            | Refusal::NotOver
            | Refusal::Held(_)
            | Refusal::OwnNumber
            | Refusal::NotControllable
            | Refusal::NoTrunk
            | Refusal::JobRunning => Self::new(StatusCode::CONFLICT, "Conflict", error),
            Refusal::SourceUnreachable(_) | Refusal::SourceRefused(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable", error)
            }
            Refusal::TooManyRequests { retry_after } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests", error).after(retry_after)
            }
            Refusal::Unavailable { retry_after, .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable", error).after(retry_after)
            }
        }
    }
}

/// What has a query look at less, in the words of this dialect.
fn remedy(remedy: Remedy) -> Option<&'static str> {
    match remedy {
        Remedy::Created => Some("start_timestamp (a shorter time)"),
        Remedy::Party => Some("agent_id, from_number or to_number"),
        Remedy::Word => Some("one more word in transcript_search"),
        Remedy::ByCreation => Some("sort_by start_timestamp"),
        Remedy::NoConcurrency | Remedy::Cursor => None,
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        let sentence = error.to_string();
        match error {
            BodyError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Request too large", sentence)
            }
            BodyError::Broken => Self::new(StatusCode::BAD_REQUEST, "Invalid request", sentence),
            BodyError::TooSlow => Self::new(StatusCode::REQUEST_TIMEOUT, "Request timeout", sentence),
            BodyError::NoRoom => Self::new(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable", sentence)
                .after(body::ROOM_RETRY_AFTER),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let envelope = FailureEnvelope::new(self.message, self.error);
        let mut response = (self.status, Json(envelope)).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = HeaderValue::from(retry_after_seconds(wait));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
