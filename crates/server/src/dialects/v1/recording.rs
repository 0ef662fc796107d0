//! The recording of a call: where it can be had, and its bytes behind a signed link.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, Request, State},
    http::{HeaderValue, header},
    response::Response,
};

use super::{
    stored::{self, Asked},
    wire::RecordingBody,
};
use crate::{
    access::{Ledger, Refusal, Thing},
    vocabulary::time::format_rfc3339,
    web::{caller::Caller, failure::Failure, number::Measure, path::Path},
};

/// Show where the recording of a call can be had.
///
/// A recording of our own has a signed link that is good for an hour and needs no key, here or in the object store that it
/// has gone to; that of another is where its source said.
#[utoipa::path(
    get, path = "/v1/calls/{id}/recording", tag = "calls", operation_id = "get_recording",
    params(("id" = String, Path, description = "The call's id, or its UUID")),
    responses(
        (status = 200, body = RecordingBody),
        (status = 404, description = "CALL_NOT_FOUND or RECORDING_NOT_FOUND"),
    )
)]
pub(super) async fn recording(
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<RecordingBody>, Failure> {
    let (filed, recording_url, expires_at) = caller.access.recording(&id).await?;
    let recording = filed.call.content.recording.ok_or(Refusal::NotFound(Thing::Recording))?;
    Ok(Json(RecordingBody {
        recording_url,
        expires_at: expires_at.map(format_rfc3339),
        duration_seconds: recording.duration_seconds.map(Measure),
        format: recording.format,
        size_bytes: recording.size_bytes,
    }))
}

/// The bytes of a file, as generators of clients know them.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "it is never made: the bytes are streamed")]
struct Binary(Vec<u8>);

/// Hear a recording by a signed link that expires; no key is needed.
///
/// Takes `Range`, `If-Range` and `If-Modified-Since`, and HEAD.
#[utoipa::path(
    get, path = "/recordings/{object}", tag = "links", operation_id = "download_recording", security(()),
    params(
        ("object" = String, Path, description = "The file's name"),
        ("expires" = i64, Query, description = "Until when the link is good, in epoch seconds"),
        ("signature" = String, Query, description = "The signature of the link"),
    ),
    responses(
        (status = 200, description = "The whole recording", content((Binary = "audio/mpeg"), (Binary = "audio/wav"))),
        (status = 206, description = "The range that was asked for", content((Binary = "audio/mpeg"), (Binary = "audio/wav"))),
        (status = 304, description = "It is the recording that `If-Modified-Since` has the date of"),
        (status = 403, description = "LINK_EXPIRED"),
        (status = 404, description = "No such link; or the recording is gone"),
        (status = 416, description = "The recording has no such range"),
        (status = 503, description = "UNAVAILABLE: the object store cannot be used"),
    )
)]
pub(super) async fn audio(
    State(ledger): State<Arc<Ledger>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let (object, recording) = ledger.recording_by_link(&name, query.as_deref()).await?;
    let mut response = stored::answer(&Asked::of(&request), &object, &recording);
    // A range that is not there may be there when the recording was replaced.
    let is_refused = response.status() == axum::http::StatusCode::RANGE_NOT_SATISFIABLE;
    let headers = response.headers_mut();
    if !is_refused {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A call's name holds nothing that would end the quotes.
    if let Ok(shown) = HeaderValue::from_str(&format!("inline; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, shown);
    }
    Ok(response)
}
