//! `GET /v1/calls/trends`: the statistics, bucket by bucket.

use axum::{Json, extract::RawQuery};
use pegcount_calls::Timestamp;
use pegcount_store::StatsQuery;
use serde::Serialize;
use utoipa::ToSchema;

use super::{handlers::params, intervals::Interval, query::stats_query, wire::StatsBody};
use crate::{
    vocabulary::time::format_rfc3339,
    web::{
        caller::Caller,
        failure::Failure,
        schemas::{DateOrTime, Id, TimeZoneName},
    },
};

/// Days back that are shown when no `from_date` says otherwise.
const DEFAULT_DAYS: i64 = 30;

/// The statistics over time.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrendsBody {
    /// How long a bucket is.
    pub interval: Interval,
    /// The buckets, oldest first; those without calls too.
    pub trends: Vec<TrendBody>,
}

/// One bucket.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrendBody {
    /// When it begins.
    #[schema(format = DateTime)]
    pub start: String,
    /// When it ends; not part of it.
    #[schema(format = DateTime)]
    pub end: String,
    /// What its calls add up to.
    #[serde(flatten)]
    pub stats: StatsBody,
}

/// Get aggregated statistics per day or hour.
///
/// Buckets follow the time zone of `tz`, daylight saving included. Without `from_date` the last 30 days, without
/// `to_date` until now.
#[utoipa::path(
    get, path = "/v1/calls/trends", tag = "calls", operation_id = "call_trends",
    params(
        ("interval" = Option<Interval>, Query, description = "hour, day (default), week (from Monday on) or month"),
        ("tz" = Option<TimeZoneName>, Query, description = "IANA time zone; default UTC"),
        ("phone_number_id" = Option<Id>, Query, description = "Filter by phone number"),
        ("endpoint_id" = Option<Id>, Query, description = "Filter by endpoint"),
        ("from_date" = Option<DateOrTime>, Query, description = "Start date or time (ISO 8601), inclusive"),
        ("to_date" = Option<DateOrTime>, Query, description = "End: a date is covered whole, a time is exclusive"),
    ),
    responses((status = 200, body = TrendsBody))
)]
pub(super) async fn trends(caller: Caller, RawQuery(query): RawQuery) -> Result<Json<TrendsBody>, Failure> {
    let params = params(query.as_deref());
    let interval = Interval::asked(&params)?.unwrap_or(Interval::Day);
    let query = stats_query(&params)?;
    let [from, to] = stretch(&query, caller.access.now());
    let bounds = interval.bounds(from, to, &params.zone()?)?;
    let stats = caller.access.stats_between(&query, &bounds).await?;
    let trends = bounds.windows(2).zip(&stats).filter_map(|(bucket, stats)| {
        let [start, end] = bucket else { return None };
        Some(TrendBody { start: format_rfc3339(*start), end: format_rfc3339(*end), stats: stats.into() })
    });
    Ok(Json(TrendsBody { interval, trends: trends.collect() }))
}

/// What is looked at: until now and the last days, unless asked otherwise; the end is not part of it.
pub(super) fn stretch(query: &StatsQuery, now: Timestamp) -> [Timestamp; 2] {
    let to = query.created.to.map_or(now, |to| Timestamp::from_millis(to.saturating_add(1)));
    let from =
        query.created.from.map_or_else(|| to.plus_millis(-DEFAULT_DAYS * 86_400_000), Timestamp::from_millis);
    [from, to]
}
