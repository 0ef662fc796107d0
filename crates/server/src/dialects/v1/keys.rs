//! `/v1/keys`: the keys of the organization.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderName, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::directory::bounded;
use crate::{
    access::{LONGEST_GRACE, Refusal},
    auth::{NewKey, Scope, Scopes},
    vocabulary::time::format_rfc3339,
    web::{
        caller::Caller,
        failure::Failure,
        json::{JsonBody, optional_integer},
        path::Path,
        schemas::{one_of, schema},
    },
};

/// For how long a rotated key still works where the request does not say.
const DEFAULT_GRACE: Duration = Duration::from_secs(24 * 3600);

/// Longest name of a key, in characters.
const LONGEST_NAME: usize = 200;

/// A header of an answer.
type Uncached = [(HeaderName, &'static str); 1];
/// A secret stays out of caches, and out of what is compressed.
const UNCACHED: Uncached = [(header::CACHE_CONTROL, "no-store")];

/// The keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyList {
    /// Those that are not revoked.
    pub keys: Vec<KeyBody>,
    /// How many there are.
    pub total: usize,
}

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyBody {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Vec<&'static str>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it stops working: it was rotated.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// When it was last used, to the minute; up to five minutes of it may be lost in a crash.
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
}

schema! {
    /// The name of a scope.
    ScopeName = one_of(Scope::ALL.map(Scope::name))
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKeyBody {
    /// What people call it.
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    pub name: Option<String>,
    /// What it may do; `calls:read` when absent.
    #[schema(value_type = Option<Vec<ScopeName>>, min_items = 1)]
    pub scopes: Option<Vec<String>>,
}

/// A key that was made. Its secret is never shown again.
#[derive(Serialize, ToSchema)]
pub struct MadeKeyBody {
    /// Its id: `X-API-KEY` of the organization dialect.
    pub key_id: String,
    /// Its secret: `X-API-SECRET` of the organization dialect.
    pub secret: String,
    /// The whole key, for one header.
    pub key: String,
    /// Whose it is.
    pub organization: String,
    /// What it may do.
    pub scopes: Vec<&'static str>,
}

/// List the organization's keys, those with more scopes than the asking one too.
#[utoipa::path(get, path = "/v1/keys", tag = "settings", responses((status = 200, body = KeyList)))]
pub(super) async fn list_keys(caller: Caller) -> Result<Json<KeyList>, Failure> {
    let keys: Vec<KeyBody> = caller
        .access
        .keys()
        .await?
        .into_iter()
        .map(|key| KeyBody {
            scopes: Scopes::from_bits(key.scopes).names(),
            created_at: format_rfc3339(key.created_at),
            expires_at: key.expires_at.map(format_rfc3339),
            last_used_at: key.last_used_at.map(format_rfc3339),
            id: key.id,
            name: key.name,
        })
        .collect();
    let total = keys.len();
    Ok(Json(KeyList { keys, total }))
}

/// Make a key.
///
/// It gets scopes that the asking key has, or any from a key with the scope `server`.
#[utoipa::path(
    post, path = "/v1/keys", tag = "settings", request_body = NewKeyBody,
    responses(
        (status = 201, body = MadeKeyBody),
        (status = 403, description = "FORBIDDEN: the asking key lacks admin, or a scope that it would give; details.scope names it"),
    )
)]
pub(super) async fn create_key(
    caller: Caller,
    JsonBody(body): JsonBody<NewKeyBody>,
) -> Result<(StatusCode, Uncached, Json<MadeKeyBody>), Failure> {
    bounded("name", body.name.as_ref(), LONGEST_NAME)?;
    let names = body.scopes.unwrap_or_else(|| vec!["calls:read".to_owned()]);
    let scopes = Scopes::parse(names.iter().map(String::as_str))
        .map_err(|message| Refusal::invalid("scopes", message))?;
    if scopes == Scopes::default() {
        return Err(Refusal::invalid("scopes", "must hold at least one scope").into());
    }
    let key = caller.access.create_key(scopes, body.name).await?;
    Ok((StatusCode::CREATED, UNCACHED, Json(made(&caller, key))))
}

fn made(caller: &Caller, key: NewKey) -> MadeKeyBody {
    MadeKeyBody {
        key: key.whole(),
        scopes: Scopes::from_bits(key.stored.scopes).names(),
        key_id: key.stored.id,
        secret: key.secret,
        organization: caller.access.organization().id.to_string(),
    }
}

/// How a key is to be rotated.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RotationBody {
    /// For how many seconds the old key still works: 0 to 31622400, a day when absent.
    #[serde(deserialize_with = "optional_integer")]
    #[schema(minimum = 0, maximum = 31_622_400)]
    pub grace_seconds: Option<i64>,
}

/// A key that took the place of another one. Its secret is never shown again.
#[derive(Serialize, ToSchema)]
pub struct RotatedKeyBody {
    /// The new key.
    #[serde(flatten)]
    pub new: MadeKeyBody,
    /// The id of the old key.
    pub old_key_id: String,
    /// When the old key stops working.
    #[schema(format = DateTime)]
    pub old_key_expires_at: String,
}

/// Rotate a key: make one with its name and scopes, and let the old one expire.
///
/// The old key works for `grace_seconds` more, so that clients can change over one after the other. A key that has expired
/// is answered like an unknown one, and its WebSockets are closed within 2 s. The asking key must have the old key's scopes,
/// or `server`.
#[utoipa::path(
    post, path = "/v1/keys/{id}/rotate", tag = "settings", request_body = RotationBody,
    params(("id" = String, Path, description = "The old key's id")),
    responses(
        (status = 201, body = RotatedKeyBody),
        (status = 403, description = "FORBIDDEN: the asking key lacks admin, or a scope of the old key; details.scope names it"),
    )
)]
pub(super) async fn rotate_key(
    caller: Caller,
    Path(id): Path<String>,
    body: Option<JsonBody<RotationBody>>,
) -> Result<(StatusCode, Uncached, Json<RotatedKeyBody>), Failure> {
    let body = body.map(|JsonBody(body)| body).unwrap_or_default();
    let most = LONGEST_GRACE.as_secs();
    let grace = match body.grace_seconds.map(u64::try_from) {
        None => DEFAULT_GRACE,
        Some(Ok(seconds)) if seconds <= most => Duration::from_secs(seconds),
        Some(_) => {
            return Err(Refusal::invalid("grace_seconds", format!("must be 0 to {most}")).into());
        }
    };
    let rotated = caller.access.rotate_key(&id, grace).await?;
    let body = RotatedKeyBody {
        new: made(&caller, rotated.new),
        old_key_id: id,
        old_key_expires_at: format_rfc3339(rotated.expires_at),
    };
    Ok((StatusCode::CREATED, UNCACHED, Json(body)))
}

/// Revoke a key. The asking key must have its scopes, or `server`.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", tag = "settings",
    params(("id" = String, Path, description = "The key's id")),
    responses(
        (status = 204),
        (status = 403, description = "FORBIDDEN: the asking key lacks admin, or a scope of that key; details.scope names it"),
    )
)]
pub(super) async fn revoke_key(caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    caller.access.revoke_key(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
