//! The log of a call behind a signed link: what `public_log_url` leads to.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    response::Response,
};

use super::wire::{EventBody, EventList};
use crate::{
    access::{Ledger, Refusal, Thing},
    web::{aside, failure::Failure, path::Path},
};

/// Read the log of a call by a signed link that expires; no key is needed.
#[utoipa::path(
    get, path = "/logs/{organization}/{call}", tag = "links", operation_id = "get_call_log", security(()),
    params(
        ("organization" = i64, Path, description = "The organization's number"),
        ("call" = String, Path, description = "The call's UUID"),
        ("expires" = i64, Query, description = "Until when the link is good, in epoch seconds"),
        ("signature" = String, Query, description = "The signature of the link"),
    ),
    responses(
        (status = 200, body = EventList),
        (status = 403, description = "LINK_EXPIRED"),
        (status = 404, description = "No such link"),
        (status = 503),
    )
)]
pub(super) async fn call_log(
    State(ledger): State<Arc<Ledger>>,
    Path((organization, call)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let organization = organization.parse().map_err(|_| Refusal::NotFound(Thing::Link))?;
    let access = ledger.admit_by_link(organization, &call, query.as_deref())?;
    let (_, reports) = access.timeline(&call).await?;
    let events = reports.len();
    let write =
        move || serde_json::to_vec(&EventList { events: reports.iter().map(EventBody::from).collect() });
    Ok(aside::json_of_events(events, write).await?)
}
