//! `GET /v1/stats`: the statistics that telephony asks for, whole and by interval.

use std::collections::BTreeMap;

use axum::{Json, extract::RawQuery};
use pegcount_calls::{Amount, Direction, Stage, StatCell, Stats, Timestamp};
use pegcount_store::{Concurrency, Measure as Measured, Spreads, StatsQuery};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    explain::stage_word,
    handlers::params,
    intervals::Interval,
    query::statistics_query,
    trends::stretch,
    wire::{DirectionWord, StatusWord},
};
use crate::{
    access::Refusal,
    vocabulary::time::format_rfc3339,
    web::{
        caller::Caller,
        failure::Failure,
        number::Measure,
        query::Params,
        schemas::{DateOrTime, Id, TimeZoneName, one_of, schema},
    },
};

/// Extended statistics of the calls created within a stretch of time.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatisticsBody {
    /// When the stretch begins.
    #[schema(format = DateTime)]
    pub from: String,
    /// When it ends; not part of it.
    #[schema(format = DateTime)]
    pub to: String,
    /// The time zone of the buckets.
    pub timezone: String,
    /// All of it.
    pub total: FiguresBody,
    /// How long a bucket is; null without buckets.
    pub interval: Option<Interval>,
    /// The same bucket by bucket, oldest first; those without calls too. Empty without `interval`.
    pub buckets: Vec<BucketBody>,
}

/// One bucket.
#[derive(Debug, Serialize, ToSchema)]
pub struct BucketBody {
    /// When it begins.
    #[schema(format = DateTime)]
    pub start: String,
    /// When it ends; not part of it.
    #[schema(format = DateTime)]
    pub end: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: FiguresBody,
}

/// What a set of calls adds up to.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct FiguresBody {
    /// How many there are, live ones included.
    pub total_calls: u64,
    /// How many of each status.
    pub by_status: BTreeMap<&'static str, u64>,
    /// How many of each direction.
    pub by_direction: BTreeMap<&'static str, u64>,
    /// How many were answered.
    pub answered_calls: u64,
    /// Answered ones of those that were answered or are over (answer-seizure ratio), 0 to 1; null without any.
    #[schema(value_type = Option<f64>)]
    pub answer_seizure_ratio: Option<Measure>,
    /// Talk time of the answered calls that are over, each in whole seconds.
    pub total_duration_seconds: u64,
    /// The same of one of them on average (average call duration), to three decimals; null without any.
    #[schema(value_type = Option<f64>)]
    pub average_call_duration_seconds: Option<Measure>,
    /// Whole cents.
    pub total_cost_cents: i64,
    /// Percentiles of calls that are over; absent when not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = PercentilesBody, required = false)]
    pub percentiles: Option<PercentilesBody>,
    /// Calls at once; absent when not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ConcurrencyBody, required = false)]
    pub concurrency: Option<ConcurrencyBody>,
}

/// How times are spread, each right to 1 %.
#[derive(Debug, Serialize, ToSchema)]
pub struct PercentilesBody {
    /// From the first ring to the answer or, unanswered, to the end.
    pub ring_ms: SpreadBody,
    /// From the answer to the end.
    pub talk_ms: SpreadBody,
    /// Each latency that calls told of, by stage: `e2e`, `llm`, `stt`, `tts`, `other`.
    pub latency_ms: BTreeMap<&'static str, SpreadBody>,
}

/// How one measure is spread, in milliseconds; null without values.
#[derive(Debug, Serialize, ToSchema)]
pub struct SpreadBody {
    /// How many values there are.
    pub count: u64,
    /// Half of all values are at most this.
    #[schema(value_type = Option<f64>)]
    pub p50: Option<Measure>,
    /// 90 %.
    #[schema(value_type = Option<f64>)]
    pub p90: Option<Measure>,
    /// 95 %.
    #[schema(value_type = Option<f64>)]
    pub p95: Option<Measure>,
    /// 99 %.
    #[schema(value_type = Option<f64>)]
    pub p99: Option<Measure>,
}

/// Calls in progress at once, from creation to end, whenever they were created.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConcurrencyBody {
    /// The most.
    pub peak: u64,
    /// When there were as many first; null when there was none.
    #[schema(format = DateTime)]
    pub peak_at: Option<String>,
    /// On average over the stretch, which is its traffic in erlangs, to three decimals.
    #[schema(value_type = f64)]
    pub average: Measure,
}

/// Get extended statistics, whole and by interval.
///
/// Of the calls created within the stretch: without `from_date` the last 30 days, without `to_date` until now. Buckets
/// follow the time zone of `tz`, daylight saving included. `concurrency` is about calls in progress within the stretch,
/// and takes longest where there are many: leave it out with `with=percentiles`.
#[utoipa::path(
    get, path = "/v1/stats", tag = "calls", operation_id = "get_statistics",
    params(
        ("interval" = Option<Interval>, Query, description = "hour, day, week (from Monday on) or month; without it no buckets"),
        ("tz" = Option<TimeZoneName>, Query, description = "IANA time zone; default UTC"),
        ("phone_number_id" = Option<Id>, Query, description = "Filter by phone number"),
        ("endpoint_id" = Option<Id>, Query, description = "Filter by endpoint"),
        ("direction" = Option<Vec<DirectionWord>>, Query, description = "inbound or outbound"),
        ("status" = Option<Vec<StatusWord>>, Query, description = "Filter by status; repeatable or comma-separated"),
        ("from_date" = Option<DateOrTime>, Query, description = "Start date or time (ISO 8601), inclusive"),
        ("to_date" = Option<DateOrTime>, Query, description = "End: a date is covered whole, a time is exclusive"),
        ("with" = inline(Option<Vec<FigureName>>), Query, description = "percentiles, concurrency, both (default) or none"),
    ),
    responses((status = 200, body = StatisticsBody))
)]
pub(super) async fn statistics(
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<StatisticsBody>, Failure> {
    let params = params(query.as_deref());
    let (interval, zone, with) = (Interval::asked(&params)?, params.zone()?, With::asked(&params)?);
    let query = statistics_query(&params)?;
    let [from, to] = stretch(&query, caller.access.now());
    let whole = [from, to.max(from)];
    let bounds = interval.map(|interval| interval.bounds(from, to, &zone)).transpose()?.unwrap_or_default();
    let asked = Asked { caller: &caller, query: &query, with };
    let total = asked.figures(&whole).await?.into_iter().next().unwrap_or_default();
    let buckets = bounds.windows(2).zip(asked.figures(&bounds).await?).filter_map(|(bucket, figures)| {
        let [start, end] = bucket else { return None };
        Some(BucketBody { start: format_rfc3339(*start), end: format_rfc3339(*end), figures })
    });
    Ok(Json(StatisticsBody {
        from: format_rfc3339(from),
        to: format_rfc3339(whole[1]),
        timezone: params.get("tz").unwrap_or("UTC").to_owned(),
        total,
        interval,
        buckets: buckets.collect(),
    }))
}

schema! {
    /// The name of a group of figures.
    FigureName = one_of(["percentiles", "concurrency", "none"])
}

/// What is shown beside the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct With {
    percentiles: bool,
    concurrency: bool,
}

impl With {
    fn asked(params: &Params) -> Result<Self, Refusal> {
        let words = params.each("with", |word| match word {
            "percentiles" | "concurrency" | "none" => Ok(word.to_owned()),
            _ => Err("must be percentiles, concurrency or none".to_owned()),
        })?;
        let has = |wanted: &str| words.is_empty() || words.iter().any(|word| word == wanted);
        Ok(Self { percentiles: has("percentiles"), concurrency: has("concurrency") })
    }
}

/// What is looked for.
struct Asked<'a> {
    caller: &'a Caller,
    query: &'a StatsQuery,
    with: With,
}

impl Asked<'_> {
    /// The figures of each stretch between neighbouring bounds.
    async fn figures(&self, bounds: &[Timestamp]) -> Result<Vec<FiguresBody>, Refusal> {
        let Self { caller: Caller { access, .. }, query, with } = self;
        let mut all: Vec<FiguresBody> =
            access.stats_between(query, bounds).await?.iter().map(FiguresBody::from).collect();
        if with.percentiles {
            for (figures, spreads) in all.iter_mut().zip(access.spreads_between(query, bounds).await?) {
                figures.percentiles = Some(PercentilesBody::from(&spreads));
            }
        }
        if with.concurrency {
            let found = access.concurrency_between(query, bounds).await?;
            for ((figures, found), stretch) in all.iter_mut().zip(found).zip(bounds.windows(2)) {
                let [begin, end] = stretch else { continue };
                figures.concurrency = Some(ConcurrencyBody::of(&found, end.since(*begin).as_millis()));
            }
        }
        Ok(all)
    }
}

/// To three decimals; `None` of nothing.
fn ratio(numerator: u128, denominator: u128) -> Option<Measure> {
    let thousandths = (numerator.checked_mul(1000)? + denominator / 2).checked_div(denominator)?;
    Some(Measure(thousandths as f64 / 1000.0))
}

impl From<&Stats> for FiguresBody {
    fn from(stats: &Stats) -> Self {
        let all = stats.sum(|_, _| true);
        let ended = stats.ended();
        let answered_live: StatCell = stats.sum(|status, _| !status.is_ended());
        let of_statuses = StatusWord::FILTERS
            .into_iter()
            .map(|(word, statuses)| (word, stats.sum(|status, _| statuses.contains(&status)).calls));
        let of_direction = |wanted| stats.sum(|_, direction| direction == wanted).calls;
        Self {
            total_calls: all.calls,
            by_status: of_statuses.collect(),
            by_direction: [
                ("inbound", of_direction(Direction::Inbound)),
                ("outbound", of_direction(Direction::Outbound)),
            ]
            .into(),
            answered_calls: all.answered,
            answer_seizure_ratio: ratio(all.answered.into(), (ended.calls + answered_live.answered).into()),
            total_duration_seconds: ended.talk_seconds,
            average_call_duration_seconds: ratio(ended.talk_seconds.into(), ended.answered.into()),
            total_cost_cents: Amount::cents_of(all.cost_nanos),
            percentiles: None,
            concurrency: None,
        }
    }
}

impl From<&Spreads> for PercentilesBody {
    fn from(spreads: &Spreads) -> Self {
        let spread = |measure: Measured| {
            let percentile = |share| spreads.percentile(measure, share).map(|millis| Measure(tenths(millis)));
            SpreadBody {
                count: spreads.count(measure),
                p50: percentile(0.50),
                p90: percentile(0.90),
                p95: percentile(0.95),
                p99: percentile(0.99),
            }
        };
        let stages =
            Stage::ALL.into_iter().map(|stage| (stage_word(stage), spread(Measured::Latency(stage))));
        Self {
            ring_ms: spread(Measured::Ring),
            talk_ms: spread(Measured::Talk),
            latency_ms: stages.collect(),
        }
    }
}

/// More digits would promise more than 1 %.
fn tenths(millis: f64) -> f64 {
    (millis * 10.0).round() / 10.0
}

impl ConcurrencyBody {
    fn of(found: &Concurrency, millis: u128) -> Self {
        Self {
            peak: found.peak,
            peak_at: found.peak_at.map(format_rfc3339),
            average: ratio(found.call_millis, millis).unwrap_or(Measure(0.0)),
        }
    }
}
