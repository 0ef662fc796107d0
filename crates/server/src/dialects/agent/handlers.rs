//! Who asks, ask, put in their words.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};
use pegcount_store::Endpoint;

use super::{AccessMode, Config, failure::Failure, query::Asked, stream, wire::CallStats};
use crate::{
    access::{Access, Ledger},
    web::{
        credentials, host,
        schemas::{DateOrTime, TimeZoneName},
    },
};

/// List every call of an agent, newest first.
#[utoipa::path(
    get,
    path = "/api/agents/{agent_id}/call_stats",
    operation_id = "agent_call_stats",
    tag = "agent",
    params(
        ("agent_id" = i64, Path, description = "The agent's number"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10_000, description = "1 to 10000; without it the array is whole"),
        ("offset" = Option<u64>, Query, description = "How many of the newest to pass over"),
        ("from_date" = Option<DateOrTime>, Query, description = "Calls created from this RFC 3339 time or date on"),
        ("to_date" = Option<DateOrTime>, Query, description = "Until this date, or before this RFC 3339 time"),
        ("tz" = Option<TimeZoneName>, Query, description = "IANA time zone of dates without an offset; default UTC"),
    ),
    responses(
        (status = 200, body = Vec<CallStats<'static>>),
        (status = 404, description = "There is no such agent"),
        (status = 422, description = "The path or a parameter has a bad value"),
    )
)]
pub(super) async fn call_stats(
    State(ledger): State<Arc<Ledger>>,
    Extension(config): Extension<Config>,
    headers: HeaderMap,
    agent_id: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Failure> {
    // What is no text after decoding is no integer either.
    let agent_id = agent_id.map(|Path(text)| text).unwrap_or_default();
    let asked = Asked::read(&agent_id, uri.query().unwrap_or_default());
    let (access, agent, asked) = admit(&ledger, &config, &headers, asked).await?;
    let access = access.reached_at(host::requested(&uri, &headers));
    let body = stream::body(access, agent, asked.part).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Lets in who may ask, before it says what is wrong with the question.
async fn admit(
    ledger: &Arc<Ledger>,
    config: &Config,
    headers: &HeaderMap,
    asked: Result<Asked, Vec<super::wire::Mistake>>,
) -> Result<(Access, Endpoint, Asked), Failure> {
    let credentials = credentials::whole_key(headers);
    let open = config.access == AccessMode::Open;
    match asked {
        Ok(asked) => {
            let (access, agent) = ledger.admit_to_endpoint(credentials.as_ref(), open, asked.agent).await?;
            Ok((access, agent, asked))
        }
        Err(mistakes) => {
            if !open || credentials.is_some() {
                ledger.admit(credentials.as_ref(), None)?;
            }
            Err(mistakes.into())
        }
    }
}

/// A method that the path does not take.
pub(super) async fn wrong_method() -> Failure {
    Failure::method()
}
