//! A refusal as FastAPI words it.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::wire::{Detail, Mistake};
use crate::{
    access::{KeyFault, Refusal, Remedy, Thing},
    web::failure::retry_after_seconds,
};

/// What went wrong.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    detail: Detail,
    retry_after: Option<Duration>,
}

impl Failure {
    fn new(status: StatusCode, sentence: impl Into<String>) -> Self {
        Self { status, detail: Detail::Sentence { detail: sentence.into() }, retry_after: None }
    }

    fn after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    /// There is nothing at this path.
    pub(super) fn path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    /// The path is known, the method is not.
    pub(super) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
    }
}

impl From<Vec<Mistake>> for Failure {
    fn from(mistakes: Vec<Mistake>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            detail: Detail::Mistakes { detail: mistakes },
            retry_after: None,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let sentence = refusal.to_string();
        match refusal {
            Refusal::Unauthorized(KeyFault::Unknown) => {
                Self::new(StatusCode::UNAUTHORIZED, format!("Invalid or missing API key: {sentence}"))
            }
            Refusal::Unauthorized(KeyFault::Missing) => Self::new(
                StatusCode::UNAUTHORIZED,
                "Invalid or missing API key: send it as x-api-key: KEY or Authorization: Bearer KEY. Clients that send \
                 none need agent.access = \"open\" in the server's configuration",
            ),
            Refusal::Forbidden(_) | Refusal::KeyReachesFurther(_) | Refusal::LinkExpired => {
                Self::new(StatusCode::FORBIDDEN, sentence)
            }
            // This dialect calls an endpoint an agent.
            Refusal::NotFound(Thing::Endpoint) => Self::new(StatusCode::NOT_FOUND, "Agent not found"),
            Refusal::NotFound(_) => Self::new(StatusCode::NOT_FOUND, sentence),
            Refusal::Invalid { .. } | Refusal::WholeWords => Self::new(StatusCode::BAD_REQUEST, sentence),
            // Not 503, which asks to be sent again as it is.
            Refusal::TooLong(excess) => Self::new(StatusCode::BAD_REQUEST, excess.sentence(remedy)),
            Refusal::Exists { .. }
            | Refusal::NotLive
            | Refusal::NotOver
            | Refusal::Held(_)
            | Refusal::OwnNumber
            | Refusal::NotControllable
            | Refusal::NoTrunk
            | Refusal::JobRunning => Self::new(StatusCode::CONFLICT, sentence),
            Refusal::SourceUnreachable(_) | Refusal::SourceRefused(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, sentence)
            }
            Refusal::TooManyRequests { retry_after } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, sentence).after(retry_after)
            }
            Refusal::Unavailable { retry_after, .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, sentence).after(retry_after)
            }
        }
    }
}

/// What has a query look at less, in the words of this dialect: the other remedies have none.
fn remedy(remedy: Remedy) -> Option<&'static str> {
    (remedy == Remedy::Created).then_some("from_date and to_date (a shorter time)")
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.detail)).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = HeaderValue::from(retry_after_seconds(wait));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
