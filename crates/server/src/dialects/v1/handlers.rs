//! `/v1/calls`.

use axum::{Json, extract::RawQuery, http::StatusCode, response::Response};

use super::{
    matches::Seeker,
    query::{SortName, call_query, stats_query, write_cursor},
    wire::{
        CallDetail, CallList, CallRow, DirectionWord, EventBody, EventList, HangupBody, StatsBody, StatusWord,
    },
};
use crate::{
    vocabulary::kinds,
    web::{
        aside,
        caller::Caller,
        failure::Failure,
        path::Path,
        query::Params,
        schemas::{DateOrTime, EventType, Id, Ids, TimeZoneName},
    },
};

/// The parameters of a query string.
pub(super) fn params(query: Option<&str>) -> Params {
    Params::parse(query.unwrap_or_default())
}

/// Retrieve call history with filtering and pagination.
#[utoipa::path(
    get, path = "/v1/calls", tag = "calls",
    params(
        ("status" = Option<Vec<StatusWord>>, Query, description = "initiated, ringing, in_progress, completed, failed, busy, no_answer; repeatable or comma-separated"),
        ("direction" = Option<Vec<DirectionWord>>, Query, description = "inbound, outbound"),
        ("phone_number_id" = Option<Vec<Ids>>, Query, description = "Filter by phone number; repeatable or comma-separated"),
        ("endpoint_id" = Option<Vec<Ids>>, Query, description = "Filter by endpoint; repeatable or comma-separated"),
        ("from_date" = Option<DateOrTime>, Query, description = "Start date or time (ISO 8601), inclusive"),
        ("to_date" = Option<DateOrTime>, Query, description = "End: a date is covered whole, a time is exclusive"),
        ("tz" = Option<TimeZoneName>, Query, description = "IANA time zone of dates without an offset; default UTC"),
        ("q" = Option<String>, Query, description = "Words said in the transcript or summary of calls that have ended: every word must occur, in either case, with or without accents; a phrase goes in double quotes; a star ends the beginning of a word, of three letters or more (refun*), but not where the store is encrypted. Each call then has matches"),
        ("metadata.KEY" = Option<Vec<String>>, Query, description = "Filter by a metadata value"),
        ("sort" = inline(Option<SortName>), Query, description = "created_at, -created_at (default), completed_at, -completed_at; with q also relevance: the best match first"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "1 to 100, default 50"),
        ("offset" = Option<u64>, Query, description = "Pagination offset"),
        ("page" = Option<u32>, Query, minimum = 1, maximum = 2_147_483_647, description = "Another way to say offset, from 1"),
        ("cursor" = Option<String>, Query, description = "The next_cursor of an answer: continues there at any depth, with the same sort. A list by relevance has none"),
    ),
    responses((status = 200, body = CallList))
)]
pub(super) async fn list_calls(
    Caller { access, .. }: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let query = call_query(&params(query.as_deref()))?;
    let page = access.calls(&query).await?;
    let write = move || {
        let mut seeker = query.transcript.as_deref().map(Seeker::of);
        let row = |filed| CallRow {
            matches: seeker.as_mut().map(|seeker| seeker.matches(filed)),
            ..CallRow::of(filed, access.recording_url(filed))
        };
        serde_json::to_vec(&CallList {
            calls: page.calls.iter().map(row).collect(),
            total: page.total,
            limit: query.paging.limit,
            offset: query.paging.offset,
            next_cursor: page.next.map(|next| write_cursor(query.sort, next)),
        })
    };
    Ok(aside::json(write).await?)
}

/// Get aggregated statistics for calls.
///
/// Over the calls that have ended, by the time they were created.
#[utoipa::path(
    get, path = "/v1/calls/stats", tag = "calls",
    params(
        ("phone_number_id" = Option<Id>, Query, description = "Filter by phone number"),
        ("endpoint_id" = Option<Id>, Query, description = "Filter by endpoint"),
        ("from_date" = Option<DateOrTime>, Query, description = "Start date or time (ISO 8601), inclusive"),
        ("to_date" = Option<DateOrTime>, Query, description = "End: a date is covered whole, a time is exclusive"),
        ("tz" = Option<TimeZoneName>, Query, description = "IANA time zone of dates without an offset; default UTC"),
    ),
    responses((status = 200, body = StatsBody))
)]
pub(super) async fn call_stats(
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<StatsBody>, Failure> {
    let query = stats_query(&params(query.as_deref()))?;
    Ok(Json(StatsBody::from(&caller.access.stats(&query).await?)))
}

/// Retrieve detailed information about a specific call.
#[utoipa::path(
    get, path = "/v1/calls/{id}", tag = "calls",
    params(("id" = String, Path, description = "The call's id, or its UUID")),
    responses((status = 200, body = CallDetail))
)]
pub(super) async fn get_call(caller: Caller, Path(id): Path<String>) -> Result<Json<CallDetail>, Failure> {
    let filed = caller.access.call(&id).await?;
    Ok(Json(CallDetail::of(&filed, caller.access.recording_url(&filed))))
}

/// Erase a call that is over.
///
/// Afterwards it is not found, not listed and not in the totals of lists; statistics still count it. Events of it that
/// come later are turned away. There is no way back.
#[utoipa::path(
    delete, path = "/v1/calls/{id}", tag = "calls",
    params(("id" = String, Path, description = "The call's id, or its UUID")),
    responses(
        (status = 204),
        (status = 409, description = "CALL_ACTIVE: it is not over; LEGAL_HOLD: it is on hold"),
    )
)]
pub(super) async fn erase_call(caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    caller.access.erase(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Retrieve the event timeline for a specific call.
#[utoipa::path(
    get, path = "/v1/calls/{id}/events", tag = "calls",
    params(
        ("id" = String, Path, description = "The call's id, or its UUID"),
        ("types" = Option<Vec<EventType>>, Query, description = "Only these types; repeatable or comma-separated"),
    ),
    responses((status = 200, body = EventList))
)]
pub(super) async fn call_events(
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let params = params(query.as_deref());
    let types = params.each("types", |kind| {
        kinds::is_known(kind)
            .then(|| kind.to_owned())
            .ok_or_else(|| "must name documented event types".into())
    })?;
    let (_, reports) = caller.access.timeline(&id).await?;
    let events = reports.len();
    let write = move || {
        let wanted = reports.iter().filter(|report| types.is_empty() || types.contains(&report.kind));
        serde_json::to_vec(&EventList { events: wanted.map(EventBody::from).collect() })
    };
    Ok(aside::json_of_events(events, write).await?)
}

/// Terminate an active call.
///
/// Answers once the source that owns the call has taken the order; the call ends when that source says so. Asked again
/// while the order stands, nothing is sent twice.
#[utoipa::path(
    post, path = "/v1/calls/{id}/hangup", tag = "calls",
    params(("id" = String, Path, description = "The call's id, or its UUID")),
    responses(
        (status = 200, body = HangupBody),
        (status = 409, description = "CALL_NOT_ACTIVE or NOT_CONTROLLABLE"),
        (status = 503, description = "SOURCE_UNREACHABLE"),
    )
)]
pub(super) async fn hang_up(caller: Caller, Path(id): Path<String>) -> Result<Json<HangupBody>, Failure> {
    caller.access.hang_up(&id).await?;
    Ok(Json(HangupBody { success: true, message: "Call hangup initiated" }))
}
