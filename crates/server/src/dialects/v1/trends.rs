//! `GET /v1/calls/trends`: the statistics, bucket by bucket.

use axum::{Json, extract::RawQuery};
use jiff::{ToSpan, Unit, Zoned, ZonedRound, tz::TimeZone};
use pegcount_calls::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{handlers::params, query::stats_query, wire::StatsBody};
use crate::{
    access::Refusal,
    vocabulary::time::format_rfc3339,
    web::{
        caller::Caller,
        failure::{Failure, FailureBody},
        query::Params,
    },
};

/// Most buckets in one answer.
const MOST_BUCKETS: usize = 1000;
/// Days back that are shown when no `from_date` says otherwise.
const DEFAULT_DAYS: i64 = 30;

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// An hour.
    Hour,
    /// A day of the time zone; 23 or 25 hours when the clocks change.
    Day,
}

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
    pub start: String,
    /// When it ends; not part of it.
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
    get, path = "/v1/calls/trends", tag = "calls",
    params(
        ("interval" = Option<String>, Query, description = "day (default) or hour"),
        ("tz" = Option<String>, Query, description = "IANA time zone; default UTC"),
        ("phone_number_id" = Option<String>, Query, description = "Filter by phone number"),
        ("endpoint_id" = Option<String>, Query, description = "Filter by endpoint"),
        ("from_date" = Option<String>, Query, description = "Start date or time (ISO 8601), inclusive"),
        ("to_date" = Option<String>, Query, description = "End: a date is covered whole, a time is exclusive"),
    ),
    responses((status = 200, body = TrendsBody), (status = 400, body = FailureBody))
)]
pub(super) async fn trends(caller: Caller, RawQuery(query): RawQuery) -> Result<Json<TrendsBody>, Failure> {
    let params = params(query.as_deref());
    let interval = interval(&params)?;
    let query = stats_query(&params)?;
    let now = caller.access.now();
    let to = query.created.to.map_or(now, |to| Timestamp::from_millis(to.saturating_add(1)));
    let from = query.created.from.unwrap_or_else(|| to.plus_millis(-DEFAULT_DAYS * 86_400_000).millis());
    let bounds = bounds(interval, Timestamp::from_millis(from), to, &params.zone()?)?;
    let stats = caller.access.stats_between(&query, &bounds).await?;
    let trends = bounds.windows(2).zip(&stats).filter_map(|(bucket, stats)| {
        let [start, end] = bucket else { return None };
        Some(TrendBody { start: format_rfc3339(*start), end: format_rfc3339(*end), stats: stats.into() })
    });
    Ok(Json(TrendsBody { interval, trends: trends.collect() }))
}

fn interval(params: &Params) -> Result<Interval, Refusal> {
    match params.get("interval") {
        None | Some("day") => Ok(Interval::Day),
        Some("hour") => Ok(Interval::Hour),
        Some(_) => Err(Refusal::invalid("interval", "must be day or hour")),
    }
}

/// Where buckets begin and end: at full hours or days of the zone, the first and the last cut to what was asked for.
fn bounds(
    interval: Interval,
    from: Timestamp,
    to: Timestamp,
    zone: &TimeZone,
) -> Result<Vec<Timestamp>, Refusal> {
    let beyond = |_| Refusal::invalid("from_date", "must lie within the calendar");
    let zoned = |at: Timestamp| -> Result<Zoned, Refusal> {
        Ok(jiff::Timestamp::from_millisecond(at.millis()).map_err(beyond)?.to_zoned(zone.clone()))
    };
    let mut bounds = vec![from];
    if from >= to {
        return Ok(bounds);
    }
    let step = match interval {
        Interval::Hour => 1.hour(),
        Interval::Day => 1.day(),
    };
    let mut next = match interval {
        Interval::Hour => {
            let to_the_hour = ZonedRound::new().smallest(Unit::Hour).mode(jiff::RoundMode::Trunc);
            zoned(from)?.round(to_the_hour).map_err(beyond)?
        }
        Interval::Day => zoned(from)?.start_of_day().map_err(beyond)?,
    };
    loop {
        next = next.checked_add(step).map_err(beyond)?;
        let at = Timestamp::from_millis(next.timestamp().as_millisecond());
        if at >= to {
            bounds.push(to);
            return Ok(bounds);
        }
        bounds.push(at);
        if bounds.len() > MOST_BUCKETS {
            let message =
                format!("must leave at most {MOST_BUCKETS} buckets; use a longer interval or a later start");
            return Err(Refusal::invalid("from_date", message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::parse_rfc3339;

    fn starts(interval: Interval, from: &str, to: &str, zone: &str) -> Vec<String> {
        let at = |text| parse_rfc3339(text).unwrap();
        let bounds = bounds(interval, at(from), at(to), &TimeZone::get(zone).unwrap()).unwrap();
        bounds.into_iter().map(format_rfc3339).collect()
    }

    #[test]
    fn days_follow_the_zone_when_the_clocks_change() {
        assert_eq!(
            starts(Interval::Day, "2025-03-29T00:00:00+01:00", "2025-04-01T00:00:00+02:00", "Europe/Berlin"),
            ["2025-03-28T23:00:00Z", "2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z", "2025-03-31T22:00:00Z"]
        );
    }

    #[test]
    fn the_first_and_the_last_bucket_are_cut_to_what_was_asked_for() {
        assert_eq!(
            starts(Interval::Hour, "2025-01-10T10:20:00Z", "2025-01-10T12:05:00Z", "UTC"),
            ["2025-01-10T10:20:00Z", "2025-01-10T11:00:00Z", "2025-01-10T12:00:00Z", "2025-01-10T12:05:00Z"]
        );
    }

    #[test]
    fn too_many_buckets_are_refused_and_the_end_of_the_calendar_is_no_panic() {
        let long = bounds(
            Interval::Hour,
            Timestamp::from_millis(0),
            Timestamp::from_millis(i64::MAX),
            &TimeZone::UTC,
        );
        assert!(long.is_err());
        let late = jiff::Timestamp::MAX.as_millisecond();
        assert!(
            bounds(
                Interval::Day,
                Timestamp::from_millis(late),
                Timestamp::from_millis(i64::MAX),
                &TimeZone::UTC
            )
            .is_err()
        );
    }
}
