//! `POST /v1/events` and `/v1/control-url`.

use axum::{
    Extension, Json,
    extract::Request,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use indexmap::IndexMap;
use pegcount_calls::CallName;
use pegcount_store::ControlUrl;

use super::{
    NAME, hangup,
    wire::{
        self, ControlUrlBody, ControlUrlRequest, Form, NewCloudEvent, NewEvents, Receipt, RejectedEvent,
        Unreadable,
    },
};
use crate::{
    access::{Access, Refusal},
    auth::Scope,
    intake::{CallReference, Incoming, Outcome},
    vocabulary::{Rejection, Told, source_name},
    web::{aside, body, caller::Caller, failure::Failure, json::JsonBody},
};

/// Largest body in bytes (contract, events.md).
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// Take events in.
///
/// Answers after the events are durable and visible to the next read. One bad event never loses its neighbours.
#[utoipa::path(
    post, path = "/v1/events", tag = "events",
    request_body(
        description = "One event, an array, NDJSON or CloudEvents 1.0; at most 16 MiB and 10,000 events",
        content(
            (NewEvents = "application/json", example = json!({
                "call_id": "call_abc123", "event_type": "call_answered", "created_at": "2025-01-10T10:00:05Z", "event_data": {}
            })),
            (String = "application/x-ndjson"),
            (NewCloudEvent = "application/cloudevents+json"),
            (Vec<NewCloudEvent> = "application/cloudevents-batch+json")
        )
    ),
    responses(
        (status = 200, description = "Something was accepted or known already", body = Receipt),
        (status = 422, description = "Every event was rejected", body = Receipt),
        (status = 400, description = "The body is no JSON"),
        (status = 413, description = "The body is too large"),
        (status = 503, description = "Not all of it was taken in; send it again"),
    )
)]
pub(super) async fn post_events(caller: Caller, request: Request) -> Result<Response, Failure> {
    caller.access.need(Scope::EventsWrite)?;
    let (parts, body) = request.into_parts();
    let form = Form::of(body::media_type(&parts.headers).as_deref())
        .ok_or_else(|| Failure::unsupported_media_type(Form::TAKEN))?;
    let bytes = body::read(&parts.extensions, body, LARGEST_BODY).await?;
    let received_at = caller.access.now();
    let read = move |bytes: &[u8]| wire::read(form, bytes, &source_name(NAME), received_at);
    let read = aside::read(bytes, read).await?.map_err(unreadable)?;
    let receipt = accept(&caller.access, read).await?;
    let taken = receipt.accepted + receipt.duplicates > 0 || receipt.rejected.is_empty();
    let status = if taken { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, Json(receipt)).into_response())
}

fn unreadable(error: Unreadable) -> Failure {
    match error {
        Unreadable::NotJson(sentence) => Failure::new(StatusCode::BAD_REQUEST, "INVALID_JSON", sentence),
        Unreadable::TooMany(count) => Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "PAYLOAD_TOO_LARGE",
            format!("{count} events are too many for one request: send at most {}", wire::MOST_EVENTS),
        ),
    }
}

/// Hands the events to the way in, those of one call together, and counts what became of them.
async fn accept(access: &Access, read: Vec<wire::Read>) -> Result<Receipt, Refusal> {
    let mut receipt = Receipt::default();
    // In the order of the request: new calls arrive in it, and lists break ties by arrival.
    let mut by_call: IndexMap<CallName, Vec<(usize, Told)>> = IndexMap::new();
    for (index, event) in read.into_iter().enumerate() {
        match event {
            Ok((call, told)) => by_call.entry(call).or_default().push((index, told)),
            Err(rejection) => receipt.turn_away(index, rejection),
        }
    }
    let (indexes, incoming): (Vec<Vec<usize>>, Vec<Incoming>) = by_call
        .into_iter()
        .map(|(call, events)| {
            let (indexes, told) = events.into_iter().unzip();
            let organization = access.organization().number;
            (
                indexes,
                Incoming { organization, source: source_name(NAME), call: CallReference::Named(call), told },
            )
        })
        .unzip();
    let outcomes = access.accept(incoming).await?;
    for (index, outcome) in indexes.into_iter().flatten().zip(outcomes.into_iter().flatten()) {
        match outcome {
            Outcome::Accepted => receipt.accepted += 1,
            Outcome::Duplicate => receipt.duplicates += 1,
            Outcome::Rejected(rejection) => receipt.turn_away(index, rejection),
        }
    }
    receipt.rejected.sort_by_key(|rejected| rejected.index);
    Ok(receipt)
}

impl Receipt {
    fn turn_away(&mut self, index: usize, rejection: Rejection) {
        self.rejected.push(RejectedEvent { index, code: rejection.code, message: rejection.message });
    }
}

/// Show where the organization takes hang-up orders.
#[utoipa::path(
    get, path = "/v1/control-url", tag = "settings",
    responses((status = 200, body = ControlUrlBody), (status = 404))
)]
pub(super) async fn get_control_url(caller: Caller) -> Result<Json<ControlUrlBody>, Failure> {
    let control = caller.access.control_url().await?;
    Ok(Json(ControlUrlBody { url: control.url, secret: None }))
}

/// Set where the organization takes hang-up orders.
///
/// A hang-up of a call whose events come through `POST /v1/events` posts a signed order there (Standard Webhooks) and
/// succeeds when that answers 2xx.
#[utoipa::path(
    put, path = "/v1/control-url", tag = "settings", request_body = ControlUrlRequest,
    responses((status = 200, body = ControlUrlBody), (status = 400))
)]
pub(super) async fn put_control_url(
    caller: Caller,
    Extension(reach): Extension<hangup::Reach>,
    JsonBody(request): JsonBody<ControlUrlRequest>,
) -> Result<([(HeaderName, &'static str); 1], Json<ControlUrlBody>), Failure> {
    caller.access.need(Scope::Admin)?;
    let reach = if caller.access.need(Scope::Server).is_ok() { reach } else { reach.without_server_scope() };
    hangup::check_url(&request.url, reach).map_err(|message| Refusal::invalid("url", message))?;
    let secret = match request.secret {
        Some(secret) => secret,
        None => new_secret()?,
    };
    hangup::check_secret(&secret).map_err(|message| Refusal::invalid("secret", message))?;
    let control = ControlUrl { url: request.url, secret };
    caller.access.set_control_url(Some(&control)).await?;
    let body = ControlUrlBody { url: control.url, secret: Some(control.secret) };
    // A secret stays out of caches, and out of what is compressed.
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)))
}

fn new_secret() -> Result<String, Failure> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", error.to_string()))?;
    Ok(format!("whsec_{}", BASE64.encode(&random)))
}

/// Forget where the organization takes hang-up orders.
#[utoipa::path(delete, path = "/v1/control-url", tag = "settings", responses((status = 204)))]
pub(super) async fn delete_control_url(caller: Caller) -> Result<StatusCode, Failure> {
    caller.access.set_control_url(None).await?;
    Ok(StatusCode::NO_CONTENT)
}
