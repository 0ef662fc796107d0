//! Who asks, ask, put in their words.

use axum::{
    Json,
    extract::{Path, RawQuery, Request, rejection::PathRejection},
    http::Uri,
    response::{IntoResponse, Response},
};
use pegcount_calls::EndpointName;
use pegcount_store::StatsQuery;

use super::{
    caller::Caller,
    criteria::Criteria,
    failure::Failure,
    listing::Listing,
    wire::{
        AgentPerformance, CallList, CallStatus, CallType, Direction, DisconnectionReason, Envelope,
        FoundCall, SearchRequest, SortBy, SortOrder,
    },
};
use crate::{
    access::{Access, Answer, Refusal},
    web::{
        aside, body,
        query::Params,
        schemas::{DateOrTime, Id, Ids, TimeZoneName},
    },
};

/// Largest body of a search in bytes: many times what every filter at its longest needs.
const LARGEST_SEARCH: usize = 1024 * 1024;

/// List calls.
#[utoipa::path(
    get,
    path = "/api/calls",
    operation_id = "organization_list_calls",
    tag = "organization",
    params(
        ("page" = Option<u64>, Query, minimum = 0, description = "From 0; default 0"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Calls on a page, default 20"),
        ("sort_by" = Option<SortBy>, Query, description = "What the list is ordered by; default start_timestamp"),
        ("sort_order" = Option<SortOrder>, Query, description = "Which way; default descending"),
        ("call_status" = Option<Vec<CallStatus>>, Query, description = "Where the call stands. Repeatable or separated by commas, as are all lists; words in either case"),
        ("call_type" = Option<Vec<CallType>>, Query, description = "What carries the call"),
        ("direction" = Option<Vec<Direction>>, Query, description = "From the agent's view"),
        ("agent_id" = Option<Vec<Ids>>, Query, description = "Agents"),
        ("from_number" = Option<Vec<String>>, Query, description = "Calling numbers"),
        ("to_number" = Option<Vec<String>>, Query, description = "Called numbers"),
        ("disconnection_reason" = Option<Vec<DisconnectionReason>>, Query, description = "Why the call ended"),
        ("batch_call_id" = Option<Vec<String>>, Query, description = "The same as metadata.batch_call_id"),
        ("call_successful" = Option<Vec<bool>>, Query, description = "What the analysis says"),
        ("user_sentiment" = Option<Vec<String>>, Query, description = "What the analysis says, in either case"),
        ("in_voicemail" = Option<Vec<bool>>, Query, description = "What the analysis says"),
        ("metadata.KEY" = Option<Vec<String>>, Query, description = "Calls with this value of a metadata key"),
        ("start_timestamp_from" = Option<i64>, Query, description = "Epoch milliseconds, inclusive"),
        ("start_timestamp_to" = Option<i64>, Query, description = "Epoch milliseconds, inclusive"),
        ("end_timestamp_from" = Option<i64>, Query, description = "Epoch milliseconds, inclusive"),
        ("end_timestamp_to" = Option<i64>, Query, description = "Epoch milliseconds, inclusive"),
        ("duration_ms_from" = Option<i64>, Query, minimum = 0, description = "Milliseconds, inclusive"),
        ("duration_ms_to" = Option<i64>, Query, minimum = 0, description = "Milliseconds, inclusive"),
        ("transcript_search" = Option<String>, Query, description = "Words of the transcript or the summary, as q of /v1/calls has them"),
    ),
    responses(
        (status = 200, body = Envelope<CallList<'static>>),
        (status = 400, description = "A parameter has a bad value; `error` names it"),
    )
)]
pub(super) async fn list(caller: Caller, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let criteria = Criteria::of_query(query.as_deref().unwrap_or_default());
    listed(caller.access, Listing::of(&criteria)?).await
}

/// List calls, asked for in a body.
#[utoipa::path(
    post,
    path = "/api/calls",
    operation_id = "organization_search_calls",
    tag = "organization",
    request_body(
        content = SearchRequest,
        content_type = "application/json",
        description = "The parameters of the list, and its filters"
    ),
    responses(
        (status = 200, body = Envelope<CallList<'static>>),
        (status = 400, description = "Bad JSON, or a field with a bad value; `error` names it"),
        (status = 413, description = "The body is larger than 1 MiB"),
    )
)]
pub(super) async fn search(caller: Caller, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    if body::media_type(&parts.headers).is_some_and(|media_type| media_type != "application/json") {
        return Err(Failure::media_type());
    }
    let body = body::read(&parts.extensions, body, LARGEST_SEARCH).await?;
    let criteria = aside::read(body, Criteria::of_json).await??;
    listed(caller.access, Listing::of(&criteria)?).await
}

async fn listed(access: Access, listing: Listing) -> Result<Response, Failure> {
    let page = access.calls(&listing.query).await?;
    let write = move || {
        let list = CallList::of(&access, &listing, &page);
        serde_json::to_vec(&Envelope::success("Calls retrieved successfully", list))
    };
    Ok(aside::json(write).await?)
}

/// Show a call, by its string id or its UUID.
#[utoipa::path(
    get,
    path = "/api/calls/{callId}",
    operation_id = "organization_get_call",
    tag = "organization",
    params(
        ("callId" = String, Path, description = "The call's string id or its UUID"),
    ),
    responses(
        (status = 200, body = Envelope<FoundCall<'static>>),
        (status = 404, description = "There is no such call"),
    )
)]
pub(super) async fn get(
    caller: Caller,
    uri: Uri,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    // What is no text after decoding is no id either.
    let Ok(Path(id)) = id else { return Err(Failure::call_not_found(last_segment(&uri))) };
    let filed = caller.access.call(&id).await.map_err(|refusal| Failure::of_call(refusal, &id))?;
    let reports = caller.access.reports_of(&filed).await?;
    let (access, events) = (caller.access, reports.len());
    let write = move || {
        let found = FoundCall::of(&access, &filed, &reports);
        serde_json::to_vec(&Envelope::success("Call retrieved successfully", found))
    };
    Ok(aside::json_of_events(events, write).await?)
}

fn last_segment(uri: &Uri) -> &str {
    uri.path().rsplit('/').next().unwrap_or_default()
}

/// What the calls of one agent add up to.
#[utoipa::path(
    get,
    path = "/api/calls/agent-performance",
    operation_id = "organization_agent_performance",
    tag = "organization",
    params(
        ("agent_id" = Id, Query, description = "The agent"),
        ("from_date" = Option<DateOrTime>, Query, description = "Calls created from this RFC 3339 time or date on"),
        ("to_date" = Option<DateOrTime>, Query, description = "Until this date, or before this RFC 3339 time"),
        ("tz" = Option<TimeZoneName>, Query, description = "IANA time zone of dates without an offset; default UTC"),
    ),
    responses(
        (status = 200, body = Envelope<AgentPerformance<'static>>),
        (status = 400, description = "No agent_id, or a bad value"),
        (status = 404, description = "There is no such agent"),
    )
)]
pub(super) async fn agent_performance(
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let (agent, wanted) = performance_query(query.as_deref().unwrap_or_default())?;
    let stats = caller.access.stats(&wanted).await?;
    let reasons = caller.access.disconnections(&wanted).await?;
    let performance = AgentPerformance::of(&agent, &stats, &reasons);
    if performance.total_calls == 0 {
        // An agent without calls has zeros, an unknown one has nothing; one that was deleted keeps its calls.
        caller.access.endpoint(&agent).await?;
    }
    Ok(Json(Envelope::success("Agent performance retrieved successfully", performance)).into_response())
}

fn performance_query(query: &str) -> Answer<(EndpointName, StatsQuery)> {
    let params = Params::parse(query);
    let agent = params.get("agent_id").ok_or_else(|| Refusal::invalid("agent_id", "is required"))?;
    let agent =
        EndpointName::new(agent.trim()).map_err(|error| Refusal::invalid("agent_id", error.to_string()))?;
    let wanted =
        StatsQuery { endpoint: Some(agent.clone()), created: params.created()?, ..StatsQuery::default() };
    Ok((agent, wanted))
}

/// A method that the path does not take.
pub(super) async fn wrong_method() -> Failure {
    Failure::method()
}
