//! Holds on calls, and the erasure of every call of a number.

use axum::{Json, http::StatusCode};
use pegcount_store::{Erasure, Hold};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::directory::bounded;
use crate::{
    access::Refusal,
    vocabulary::time::format_rfc3339,
    web::{caller::Caller, failure::Failure, json::JsonBody, path::Path},
};

/// Longest reason in characters, and longest number.
const LONGEST_REASON: usize = 1_000;
const LONGEST_NUMBER: usize = 64;

/// Why a call is on hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHoldBody {
    /// A sentence for people, 1 to 1000 characters.
    #[schema(
        example = "Case 17/2025",
        max_length = 1000,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u001f\u007f-\u009f\s][^\u0000-\u001f\u007f-\u009f]*$"
    )]
    pub reason: String,
}

/// The hold on a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct HoldBody {
    /// Why.
    pub reason: String,
    /// Since when.
    #[schema(format = DateTime)]
    pub since: String,
}

impl From<Hold> for HoldBody {
    fn from(hold: Hold) -> Self {
        Self { reason: hold.reason, since: format_rfc3339(hold.since) }
    }
}

/// Whose calls are to be erased.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewErasureBody {
    /// The number, with + and the country code.
    #[schema(example = "+14155551234", pattern = r"^\+?[1-9][0-9]{4,14}$")]
    pub phone_number: String,
    /// Erase also where it is one of the organization's own numbers (`/v1/phone-numbers`): all calls of that number go.
    #[serde(default)]
    #[schema(default = false)]
    pub own_number: bool,
}

/// The erasure of every call of a number.
#[derive(Serialize, ToSchema)]
pub struct ErasureBody {
    /// Its id. The number is not told, and forgotten once its calls are gone.
    pub id: String,
    /// `running` or `done`: then nothing of the calls is left in the data folder.
    #[schema(example = "running")]
    pub state: &'static str,
    /// When it was ordered.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was done.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
    /// Calls that are gone.
    pub erased: u64,
    /// Calls that stay since they are on hold.
    pub held: u64,
    /// Calls that are not over yet, and are erased when they are.
    pub live: u64,
}

impl From<Erasure> for ErasureBody {
    fn from(erasure: Erasure) -> Self {
        Self {
            id: erasure.id.to_string(),
            state: if erasure.finished_at.is_some() { "done" } else { "running" },
            created_at: format_rfc3339(erasure.created_at),
            finished_at: erasure.finished_at.map(format_rfc3339),
            erased: erasure.progress.erased,
            held: erasure.progress.held,
            live: erasure.progress.live,
        }
    }
}

/// Show the hold on a call.
#[utoipa::path(
    get, path = "/v1/calls/{id}/hold", tag = "privacy",
    params(("id" = String, Path, description = "The call's id, or its UUID")),
    responses((status = 200, body = HoldBody))
)]
pub(super) async fn get_hold(caller: Caller, Path(id): Path<String>) -> Result<Json<HoldBody>, Failure> {
    Ok(Json(caller.access.hold(&id).await?.into()))
}

/// Put a call on hold: until that is ended it is not erased.
#[utoipa::path(
    put, path = "/v1/calls/{id}/hold", tag = "privacy", request_body = NewHoldBody,
    params(("id" = String, Path, description = "The call's id, or its UUID")),
    responses(
        (status = 200, body = HoldBody),
        (status = 400, description = "INVALID_PARAMETER names the field"),
    )
)]
pub(super) async fn set_hold(
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<NewHoldBody>,
) -> Result<Json<HoldBody>, Failure> {
    bounded("reason", Some(&body.reason), LONGEST_REASON)?;
    if body.reason.trim().is_empty() {
        return Err(Refusal::invalid("reason", "must not be empty").into());
    }
    Ok(Json(caller.access.set_hold(&id, body.reason).await?.into()))
}

/// End the hold on a call.
#[utoipa::path(
    delete, path = "/v1/calls/{id}/hold", tag = "privacy",
    params(("id" = String, Path, description = "The call's id, or its UUID")),
    responses((status = 204))
)]
pub(super) async fn release_hold(caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    caller.access.release_hold(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Erase every call from and to a number.
///
/// Answers at once; how far it has come shows at the id. Calls on hold stay and are counted; those in progress are erased
/// when they are over. Calls that come in later are not erased.
#[utoipa::path(
    post, path = "/v1/erasures", tag = "privacy", request_body = NewErasureBody,
    responses(
        (status = 202, body = ErasureBody),
        (status = 400, description = "INVALID_PARAMETER names the field"),
        (status = 409, description = "OWN_NUMBER: it is a number of the organization itself, and own_number is not true"),
    )
)]
pub(super) async fn create_erasure(
    caller: Caller,
    JsonBody(body): JsonBody<NewErasureBody>,
) -> Result<(StatusCode, Json<ErasureBody>), Failure> {
    bounded("phone_number", Some(&body.phone_number), LONGEST_NUMBER)?;
    let erasure = caller.access.erase_number(&body.phone_number, body.own_number).await?;
    Ok((StatusCode::ACCEPTED, Json(erasure.into())))
}

/// Show how far an erasure has come.
#[utoipa::path(
    get, path = "/v1/erasures/{id}", tag = "privacy",
    params(("id" = String, Path, description = "The erasure's id")),
    responses((status = 200, body = ErasureBody))
)]
pub(super) async fn get_erasure(
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ErasureBody>, Failure> {
    Ok(Json(caller.access.erasure(&id).await?.into()))
}
