//! `/v1/keys`: the keys of the organization.

use axum::{
    Json,
    http::{HeaderName, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::Refusal,
    auth::Scopes,
    vocabulary::time::format_rfc3339,
    web::{
        caller::Caller,
        failure::{Failure, FailureBody},
        json::JsonBody,
        path::Path,
    },
};

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
    pub created_at: String,
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKeyBody {
    /// What people call it.
    pub name: Option<String>,
    /// What it may do; `calls:read` when absent.
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

/// List the organization's keys.
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
            id: key.id,
            name: key.name,
        })
        .collect();
    let total = keys.len();
    Ok(Json(KeyList { keys, total }))
}

/// Make a key. It can do no more than the key it is made with.
#[utoipa::path(
    post, path = "/v1/keys", tag = "settings", request_body = NewKeyBody,
    responses((status = 201, body = MadeKeyBody), (status = 403, body = FailureBody))
)]
pub(super) async fn create_key(
    caller: Caller,
    JsonBody(body): JsonBody<NewKeyBody>,
) -> Result<(StatusCode, [(HeaderName, &'static str); 1], Json<MadeKeyBody>), Failure> {
    if body.name.as_ref().is_some_and(|name| name.len() > 200) {
        return Err(Refusal::invalid("name", "must have at most 200 bytes").into());
    }
    let names = body.scopes.unwrap_or_else(|| vec!["calls:read".to_owned()]);
    let scopes = Scopes::parse(names.iter().map(String::as_str))
        .map_err(|message| Refusal::invalid("scopes", message))?;
    if scopes == Scopes::default() {
        return Err(Refusal::invalid("scopes", "must hold at least one scope").into());
    }
    let key = caller.access.create_key(scopes, body.name).await?;
    Ok((
        StatusCode::CREATED,
        // A secret stays out of caches, and out of what is compressed.
        [(header::CACHE_CONTROL, "no-store")],
        Json(MadeKeyBody {
            key: key.whole(),
            key_id: key.stored.id,
            secret: key.secret,
            organization: caller.access.organization().id.to_string(),
            scopes: scopes.names(),
        }),
    ))
}

/// Revoke a key.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", tag = "settings",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 204), (status = 404, body = FailureBody))
)]
pub(super) async fn revoke_key(caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    caller.access.revoke_key(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
