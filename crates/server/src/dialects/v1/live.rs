//! `GET /v1/live`: the calls in progress.

use axum::{Json, extract::RawQuery};
use pegcount_calls::{CallQuery, Paging, Status};
use serde::Serialize;
use utoipa::ToSchema;

use super::{handlers::params, query::plain_paging, wire::CallRow};
use crate::web::{caller::Caller, failure::Failure};

/// The calls in progress.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveBody {
    /// How many there are: the number every dialect gives, from the set of live calls.
    pub live_calls: usize,
    /// How many of them stand where.
    pub by_status: ByStatus,
    /// The newest of them.
    pub calls: Vec<CallRow>,
}

/// How many live calls stand where.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct ByStatus {
    /// Being set up.
    pub initiated: usize,
    /// Ringing.
    pub ringing: usize,
    /// Talking.
    pub in_progress: usize,
}

/// List the calls in progress.
#[utoipa::path(
    get, path = "/v1/live", tag = "calls",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "1 to 100, default 50"),
        ("offset" = Option<u64>, Query, description = "Pagination offset"),
        ("page" = Option<u32>, Query, minimum = 1, maximum = 2_147_483_647, description = "Another way to say offset, from 1"),
    ),
    responses((status = 200, body = LiveBody))
)]
pub(super) async fn live_calls(caller: Caller, RawQuery(query): RawQuery) -> Result<Json<LiveBody>, Failure> {
    let (limit, offset) = plain_paging(&params(query.as_deref()))?;
    let counts = caller.access.live_by_status()?;
    let count = |status| counts.get(&status).copied().unwrap_or_default();
    let query = CallQuery {
        statuses: Status::ALL.into_iter().filter(|status| status.is_live()).collect(),
        paging: Paging { limit, offset, after: None },
        ..CallQuery::default()
    };
    let page = caller.access.calls(&query).await?;
    Ok(Json(LiveBody {
        live_calls: counts.values().sum(),
        by_status: ByStatus {
            initiated: count(Status::Initiated),
            ringing: count(Status::Ringing),
            in_progress: count(Status::InProgress),
        },
        calls: page
            .calls
            .iter()
            .map(|filed| CallRow::of(filed, caller.access.recording_url(filed)))
            .collect(),
    }))
}
