//! `POST /v1/outbound-calls`.

use axum::{Json, http::StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    directory::{bounded, endpoint_name, metadata},
    wire::CallDetail,
};
use crate::{
    access::NewCall,
    web::{caller::Caller, failure::Failure, json::JsonBody},
};

/// Longest number in bytes.
const LONGEST_NUMBER: usize = 64;

/// A call to be placed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCallBody {
    /// The calling number: one of the organization's phone numbers.
    #[schema(example = "+2348012345678")]
    pub from_number: String,
    /// The called number, best with + and the country code.
    #[schema(example = "+14155551234")]
    pub to_number: String,
    /// The endpoint to connect with it; absent: the one of `from_number`.
    #[schema(example = "ep_xyz789")]
    pub endpoint_id: Option<String>,
    /// The call's metadata; an object.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Box<RawValue>>,
}

/// Place a call.
///
/// Calls `to_number` over the organization's SIP trunk, from a number of the organization, and connects the endpoint
/// when that has answered. Answers as soon as the call can be read; what becomes of it is in its events.
#[utoipa::path(
    post, path = "/v1/outbound-calls", tag = "calls", request_body = NewCallBody,
    responses(
        (status = 201, body = CallDetail),
        (status = 400, description = "INVALID_PARAMETER names the field"),
        (status = 409, description = "NO_TRUNK"),
        (status = 503, description = "SOURCE_UNREACHABLE: the SIP gateway is off"),
    )
)]
pub(super) async fn place_call(
    caller: Caller,
    JsonBody(body): JsonBody<NewCallBody>,
) -> Result<(StatusCode, Json<CallDetail>), Failure> {
    bounded("from_number", Some(&body.from_number), LONGEST_NUMBER)?;
    bounded("to_number", Some(&body.to_number), LONGEST_NUMBER)?;
    let new = NewCall {
        endpoint: body.endpoint_id.map(|id| endpoint_name("endpoint_id", &id)).transpose()?,
        metadata: metadata(body.metadata)?,
        from_number: body.from_number,
        to_number: body.to_number,
    };
    let filed = caller.access.place_call(new).await?;
    Ok((StatusCode::CREATED, Json(CallDetail::of(&filed, caller.access.recording_url(&filed)))))
}
