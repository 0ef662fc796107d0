//! A failure in the words of this dialect.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::wire::ErrorBody;
use crate::{
    access::{KeyFault, Refusal, Remedy, Thing},
    web::{
        body::{self, BodyError},
        failure::retry_after_seconds,
    },
};

/// Why there is no answer: a status, a sentence, and at most one header that goes with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    status: StatusCode,
    message: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Failure {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), header: None }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    fn retry_after(self, wait: Duration) -> Self {
        self.with(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds(wait)))
    }

    /// The request cannot be understood.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The body is of a type that is not taken.
    pub(super) fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be application/x-www-form-urlencoded, multipart/form-data or application/json",
        )
    }

    /// Another method than the only one there is.
    pub(super) fn only(method: &'static str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("only {method} is allowed"))
            .with(header::ALLOW, HeaderValue::from_static(method))
    }

    /// There is nothing at this path.
    pub(super) fn no_page() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Page not found")
    }

    /// A request for the WebSocket that does not ask for one.
    pub(super) fn no_upgrade() -> Self {
        Self::new(
            StatusCode::UPGRADE_REQUIRED,
            "this address speaks WebSocket only: connect with a WebSocket client",
        )
        .with(header::UPGRADE, HeaderValue::from_static("websocket"))
        // RFC 6455, 4.4.
        .with(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
    }

    /// There are as many WebSocket connections as are held at once, or the server stops.
    pub(super) fn no_room() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the server takes no more connections at the moment")
            .retry_after(Duration::from_secs(5))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Unauthorized(fault) => {
                let message = match fault {
                    KeyFault::Missing => format!(
                        "{fault}: send it as x-api-key: KEY or Authorization: Bearer KEY (a WebSocket also as ?api_key=KEY). \
                         Clients that send none need tenant.access = \"open\" in the server's configuration"
                    ),
                    KeyFault::Unknown => message,
                };
                Self::new(StatusCode::UNAUTHORIZED, message)
                    .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
            }
            Refusal::Forbidden(_) | Refusal::KeyReachesFurther(_) | Refusal::LinkExpired => {
                Self::new(StatusCode::FORBIDDEN, message)
            }
            Refusal::NotFound(Thing::Organization) => Self::new(StatusCode::NOT_FOUND, "Tenant not found"),
            Refusal::NotFound(_) => Self::new(StatusCode::NOT_FOUND, message),
            Refusal::Invalid { .. } | Refusal::WholeWords => Self::bad_request(message),
            // Not 503, which asks to be sent again as it is.
            Refusal::TooLong(excess) => Self::bad_request(excess.sentence(remedy)),
            Refusal::Exists { .. }
            | Refusal::NotLive
            | Refusal::NotOver
            | Refusal::Held(_)
            | Refusal::OwnNumber
            | Refusal::NotControllable
            | Refusal::NoTrunk
            | Refusal::JobRunning => Self::new(StatusCode::CONFLICT, message),
            Refusal::SourceUnreachable(_) | Refusal::SourceRefused(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
            }
            Refusal::TooManyRequests { retry_after } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, message).retry_after(retry_after)
            }
            Refusal::Unavailable { retry_after, .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(retry_after)
            }
        }
    }
}

/// What has a query look at less, in the words of this dialect: the other remedies have none.
fn remedy(remedy: Remedy) -> Option<&'static str> {
    (remedy == Remedy::Created).then_some("from_date and to_date (a shorter time)")
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Broken => StatusCode::BAD_REQUEST,
            BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyError::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
        };
        let failure = Self::new(status, error.to_string());
        if error == BodyError::NoRoom { failure.retry_after(body::ROOM_RETRY_AFTER) } else { failure }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = ErrorBody { status: "error", message: self.message };
        let mut response = (self.status, Json(body)).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
