//! The native form of a failure (contract, errors of v1): `{"error", "code", "details"}`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    access::{KeyFault, Refusal, Remedy, Thing},
    web::body::{self, BodyError},
};

/// What a client is told when something is refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailureBody {
    /// A sentence for people.
    #[schema(example = "Call not found")]
    pub error: String,
    /// A word for programs.
    #[schema(example = "CALL_NOT_FOUND")]
    pub code: &'static str,
    /// Seconds after which the request may be sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64, required = false)]
    pub retry_after: Option<f64>,
    /// What the sentence is about, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    pub details: Option<Value>,
}

/// A failure on its way out.
#[derive(Debug)]
pub struct Failure {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Box<FailureBody>,
}

impl Failure {
    /// A failure without details.
    pub fn new(status: StatusCode, code: &'static str, error: impl Into<String>) -> Self {
        let body = FailureBody { error: error.into(), code, retry_after: None, details: None };
        Self { status, body: Box::new(body) }
    }

    /// The same with details.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.body.details = Some(details);
        self
    }

    /// The body is not of a type that is taken here.
    pub fn unsupported_media_type(taken: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", format!("send {taken}"))
    }

    /// There is no such route.
    pub fn no_route() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "There is nothing at this path; /docs lists what there is",
        )
    }

    /// The route does not take this method.
    pub fn wrong_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "This path does not take this method")
    }

    fn retry_after(mut self, after: std::time::Duration) -> Self {
        self.body.retry_after = Some((after.as_secs_f64() * 1000.0).ceil() / 1000.0);
        self
    }
}

/// Seconds for a `Retry-After` header: whole, and at least one.
pub fn retry_after_seconds(after: std::time::Duration) -> u64 {
    after.as_secs() + u64::from(after.subsec_nanos() > 0 || after.is_zero())
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let sentence = refusal.to_string();
        match refusal {
            Refusal::Unauthorized(KeyFault::Unknown) => {
                Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", capitalized(&sentence))
            }
            Refusal::Unauthorized(KeyFault::Missing) => Self::new(
                StatusCode::UNAUTHORIZED,
                "UNAUTHORIZED",
                "A valid API key is needed: send it as x-api-key or Authorization: Bearer",
            ),
            Refusal::Forbidden(scope) | Refusal::KeyReachesFurther(scope) => {
                Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", sentence)
                    .with_details(json!({ "scope": scope.name() }))
            }
            Refusal::LinkExpired => Self::new(StatusCode::FORBIDDEN, "LINK_EXPIRED", sentence),
            Refusal::NotFound(thing) => Self::new(StatusCode::NOT_FOUND, not_found_code(thing), sentence),
            Refusal::Invalid { parameter, .. } => {
                Self::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER", sentence)
                    .with_details(json!({ "parameter": parameter }))
            }
            Refusal::WholeWords => Self::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER", sentence),
            // Not 503, which asks to be sent again as it is.
            Refusal::TooLong(excess) => {
                Self::new(StatusCode::BAD_REQUEST, "QUERY_TOO_LONG", excess.sentence(remedy))
            }
            Refusal::Exists { .. } => Self::new(StatusCode::CONFLICT, "ALREADY_EXISTS", sentence),
            Refusal::NotLive => Self::new(StatusCode::CONFLICT, "CALL_NOT_ACTIVE", "Call is not active"),
            Refusal::NotOver => Self::new(StatusCode::CONFLICT, "CALL_ACTIVE", sentence),
            Refusal::Held(_) => Self::new(StatusCode::CONFLICT, "LEGAL_HOLD", sentence),
            Refusal::OwnNumber => Self::new(StatusCode::CONFLICT, "OWN_NUMBER", sentence),
            Refusal::JobRunning => Self::new(StatusCode::CONFLICT, "JOB_RUNNING", sentence),
            Refusal::NoTrunk => Self::new(StatusCode::CONFLICT, "NO_TRUNK", sentence),
            Refusal::NotControllable => Self::new(StatusCode::CONFLICT, "NOT_CONTROLLABLE", sentence),
            Refusal::SourceUnreachable(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "SOURCE_UNREACHABLE", sentence)
                    .retry_after(std::time::Duration::from_secs(1))
            }
            Refusal::SourceRefused(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "SOURCE_UNREACHABLE", sentence)
            }
            Refusal::TooManyRequests { retry_after } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded")
                    .retry_after(retry_after)
            }
            Refusal::Unavailable { retry_after, .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", sentence).retry_after(retry_after)
            }
        }
    }
}

fn capitalized(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What has a query look at less, in the words of v1.
fn remedy(remedy: Remedy) -> Option<&'static str> {
    Some(match remedy {
        Remedy::Created => "from_date and to_date (a shorter time)",
        Remedy::Party => "endpoint_id or phone_number_id",
        Remedy::Word => "one more word in q",
        Remedy::ByCreation => "sort=created_at",
        Remedy::NoConcurrency => "with=percentiles (no calls at once)",
        Remedy::Cursor => "cursor instead of offset",
    })
}

fn not_found_code(thing: Thing) -> &'static str {
    match thing {
        Thing::Call => "CALL_NOT_FOUND",
        Thing::Endpoint => "ENDPOINT_NOT_FOUND",
        Thing::PhoneNumber => "PHONE_NUMBER_NOT_FOUND",
        Thing::Organization => "ORGANIZATION_NOT_FOUND",
        Thing::Key => "KEY_NOT_FOUND",
        Thing::ControlUrl => "CONTROL_URL_NOT_FOUND",
        Thing::Link => "LINK_NOT_FOUND",
        Thing::Recording => "RECORDING_NOT_FOUND",
        Thing::SipTrace => "SIP_TRACE_NOT_FOUND",
        Thing::Job => "JOB_NOT_FOUND",
        Thing::Hold => "HOLD_NOT_FOUND",
        Thing::Erasure => "ERASURE_NOT_FOUND",
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        let sentence = error.to_string();
        match error {
            BodyError::TooLarge { limit } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", sentence)
                    .with_details(json!({ "limit_bytes": limit }))
            }
            BodyError::Broken => Self::new(StatusCode::BAD_REQUEST, "INVALID_BODY", sentence),
            BodyError::TooSlow => Self::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", sentence),
            BodyError::NoRoom => Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", sentence)
                .retry_after(body::ROOM_RETRY_AFTER),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let retry_after = self.body.retry_after.map(std::time::Duration::from_secs_f64);
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(after) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds(after)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
