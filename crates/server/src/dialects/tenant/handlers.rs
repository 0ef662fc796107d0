//! The two posts.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Request, State},
};
use pegcount_store::StatsQuery;

use super::{
    AccessMode, Config, body,
    failure::Failure,
    wire::{CdrStats, LiveCalls, Question},
};
use crate::{
    access::{Access, KeyFault, Ledger, Refusal, Thing},
    web::{
        body::Sender,
        credentials,
        query::Params,
        schemas::{DateOrTime, TimeZoneName},
    },
};

/// Count a tenant's calls that have ended.
#[utoipa::path(
    post,
    path = "/apis/get_cdr_stats.php",
    operation_id = "get_cdr_stats",
    tag = "tenant",
    params(
        ("tenant_id" = Option<String>, Query, description = "As in the body, which goes before it"),
        ("from_date" = Option<DateOrTime>, Query, description = "As in the body"),
        ("to_date" = Option<DateOrTime>, Query, description = "As in the body"),
        ("tz" = Option<TimeZoneName>, Query, description = "As in the body"),
    ),
    request_body(content(
        (Question = "application/x-www-form-urlencoded"),
        (Question = "multipart/form-data"),
        (Question = "application/json")
    )),
    responses(
        (status = 200, description = "Counts of the calls that have ended", body = CdrStats),
        (status = 400, description = "tenant_id is missing, or a parameter has a bad value"),
        (status = 404, description = "There is no such tenant, or it is not the key's"),
    )
)]
pub(super) async fn get_cdr_stats(
    State(ledger): State<Arc<Ledger>>,
    Extension(config): Extension<Config>,
    request: Request,
) -> Result<Json<CdrStats>, Failure> {
    let asked = Asked::read(&ledger, config.access, request).await?;
    let query = StatsQuery { created: asked.params.created()?, ..StatsQuery::default() };
    let stats = asked.access.stats(&query).await?;
    Ok(Json(CdrStats::of(asked.tenant_id, &stats)))
}

/// Count a tenant's live calls.
#[utoipa::path(
    post,
    path = "/apis/get_live_calls.php",
    operation_id = "get_live_calls",
    tag = "tenant",
    params(("tenant_id" = Option<String>, Query, description = "As in the body, which goes before it")),
    request_body(content(
        (Question = "application/x-www-form-urlencoded"),
        (Question = "multipart/form-data"),
        (Question = "application/json")
    )),
    responses(
        (status = 200, description = "The count of live calls", body = LiveCalls),
        (status = 400, description = "tenant_id is missing"),
        (status = 404, description = "There is no such tenant, or it is not the key's"),
    )
)]
pub(super) async fn get_live_calls(
    State(ledger): State<Arc<Ledger>>,
    Extension(config): Extension<Config>,
    request: Request,
) -> Result<Json<LiveCalls>, Failure> {
    let asked = Asked::read(&ledger, config.access, request).await?;
    let live_calls = asked.access.live_count()?;
    Ok(Json(LiveCalls { tenant_id: asked.tenant_id, live_calls }))
}

/// A question that was let in.
struct Asked {
    access: Access,
    tenant_id: String,
    params: Params,
}

impl Asked {
    async fn read(ledger: &Arc<Ledger>, mode: AccessMode, request: Request) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let credentials = credentials::whole_key(&parts.headers);
        let principal = credentials.as_ref().and_then(|credentials| ledger.recognize(credentials));
        let fault = match &credentials {
            Some(_) => principal.is_none().then_some(KeyFault::Unknown),
            None => (mode == AccessMode::Key).then_some(KeyFault::Missing),
        };
        // Before the body: nobody unknown makes the server read one.
        if let Some(fault) = fault {
            return Err(Refusal::Unauthorized(fault).into());
        }
        parts.extensions.insert(Sender::of(principal.as_ref()));
        let params = body::params(&parts, body).await?;
        let tenant_id = params.get("tenant_id").map(str::trim).unwrap_or_default();
        if tenant_id.is_empty() {
            return Err(Failure::bad_request("tenant_id is required"));
        }
        if !is_number(tenant_id) {
            return Err(Refusal::NotFound(Thing::Organization).into());
        }
        let access = match &credentials {
            Some(_) => ledger.admit(credentials.as_ref(), Some(tenant_id))?,
            None => ledger.admit_anybody(tenant_id)?,
        };
        Ok(Self { access, tenant_id: tenant_id.to_owned(), params })
    }
}

/// Whether it is a tenant's number as this dialect itself writes it. An organization's string id is unknown here, and
/// so is `01`: the answer repeats the id, and one tenant has one.
pub(super) fn is_number(tenant_id: &str) -> bool {
    tenant_id.parse::<i64>().is_ok_and(|number| number.to_string() == tenant_id)
}
