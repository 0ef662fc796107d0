//! `POST /sources/freeswitch/cdr`: what mod_json_cdr posts to.

use axum::{Json, extract::Request, http::StatusCode};
use serde_json::{Map, Value};

use super::read;
use crate::{
    access::Refusal,
    auth::Scope,
    intake::{Incoming, Outcome},
    vocabulary::{self, Rejection, source_name},
    web::{aside, body, caller::Reporter, credentials::header_text, failure::Failure},
};

/// A record in a form, plain or as base64.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is never made: body.rs finds the record by itself")]
struct RecordForm {
    cdr: String,
}

/// Largest record in bytes: they hold SDPs and a call flow, but no media.
const LARGEST: usize = 4 * 1024 * 1024;

/// Take in the record of one channel as mod_json_cdr posts it.
///
/// Any of its encodings; the body is sniffed. The key comes in a header, or as HTTP Basic `key_id:secret`. Answers
/// once the record is durable, again for a repeat; both legs of a call make one call.
#[utoipa::path(
    post, path = "/sources/freeswitch/cdr", tag = "events",
    request_body(
        description = "A mod_json_cdr record: JSON, or a form with cdr=, plain or base64",
        content((Object = "application/json"), (RecordForm = "application/x-www-form-urlencoded"))
    ),
    responses(
        (status = 200, description = "It is durable", body = Object),
        (status = 400, description = "It is no record of a channel"),
        (status = 503, description = "It was not taken in; send it again"),
    )
)]
pub(super) async fn post_cdr(
    reporter: Reporter,
    request: Request,
) -> Result<Json<Map<String, Value>>, Failure> {
    let access = reporter.access;
    access.need(Scope::EventsWrite)?;
    let (parts, body) = request.into_parts();
    let content_type = header_text(&parts.headers, "content-type").map(str::to_owned);
    let bytes = body::read(&parts.extensions, body, LARGEST).await?;
    let invalid = |message: String| Failure::new(StatusCode::BAD_REQUEST, "INVALID_CDR", message);
    let received_at = access.now();
    let read = move |bytes: &[u8]| {
        let mapped = read(content_type.as_deref(), bytes, received_at)?;
        let told = mapped.tellings.into_iter().map(vocabulary::tell).collect::<Result<Vec<_>, _>>();
        Ok((mapped.call, told.map_err(|rejection| rejection.message)?))
    };
    let (call, told) = aside::read(bytes, read).await?.map_err(invalid)?;
    let organization = access.organization().number;
    let incoming = Incoming { organization, source: source_name(super::SOURCE), call, told };
    for outcome in access.accept(vec![incoming]).await?.into_iter().flatten() {
        match outcome {
            Outcome::Accepted | Outcome::Duplicate => {}
            // The same moment of the same channel, told in other words (an event socket, a later version): known.
            Outcome::Rejected(rejection) if rejection.code == Rejection::EVENT_ID_REUSED => {
                tracing::debug!(
                    message = rejection.message,
                    "a channel's moment was told again in other words"
                );
            }
            // Sent again it would be turned away again.
            Outcome::Rejected(rejection) if rejection.code == Rejection::CALL_ERASED => {
                tracing::debug!("a record of an erased call was dropped");
            }
            Outcome::Rejected(rejection) => {
                return Err(Refusal::invalid("cdr", rejection.message).into());
            }
        }
    }
    Ok(Json(Map::new()))
}
