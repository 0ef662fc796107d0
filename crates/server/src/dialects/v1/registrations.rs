//! `GET /v1/registrations`.

use axum::{Json, extract::RawQuery};
use serde::Serialize;
use utoipa::ToSchema;

use super::{handlers::params, query::plain_paging};
use crate::{
    access::UserContact,
    vocabulary::time::format_rfc3339,
    web::{caller::Caller, failure::Failure},
};

/// A place where a user of the SIP gateway is registered.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegistrationBody {
    /// The name of the user.
    #[schema(example = "alice")]
    pub user: String,
    /// The endpoint that the user is.
    pub endpoint_id: Option<String>,
    /// The URI that calls go to.
    #[schema(example = "sip:alice@192.0.2.7:5060")]
    pub contact: String,
    /// The address that the registration came from.
    #[schema(example = "192.0.2.7:5060")]
    pub source: String,
    /// When it expires, unless the phone registers again.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

impl From<UserContact> for RegistrationBody {
    fn from(contact: UserContact) -> Self {
        Self {
            user: contact.user,
            endpoint_id: contact.endpoint.map(|endpoint| endpoint.to_string()),
            contact: contact.uri,
            source: contact.source.to_string(),
            expires_at: format_rfc3339(contact.expires_at),
        }
    }
}

/// The registrations.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegistrationList {
    /// By user, the latest registration of each first.
    pub registrations: Vec<RegistrationBody>,
    /// How many there are.
    pub total: u64,
    /// How many were asked for.
    pub limit: u32,
    /// How many were passed over.
    pub offset: u64,
}

/// List where users of the SIP gateway are registered.
///
/// Needs the scope `admin`: it shows network addresses of persons.
#[utoipa::path(
    get, path = "/v1/registrations", tag = "directory",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "1 to 100, default 50"),
        ("offset" = Option<u64>, Query, description = "Pagination offset"),
        ("page" = Option<u32>, Query, minimum = 1, maximum = 2_147_483_647, description = "Another way to say offset, from 1"),
    ),
    responses((status = 200, body = RegistrationList))
)]
pub(super) async fn list_registrations(
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<RegistrationList>, Failure> {
    let (limit, offset) = plain_paging(&params(query.as_deref()))?;
    let (contacts, total) = caller.access.registrations(limit, offset)?;
    let registrations = contacts.into_iter().map(RegistrationBody::from).collect();
    Ok(Json(RegistrationList { registrations, total, limit, offset }))
}
