//! How the program is: `/healthz`, `/readyz`, `/metrics`, and the page at `/`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Extension, Json,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use pegcount_calls::Timestamp;
use pegcount_store::Store;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{clock::Clock, live::Live, metrics::Metrics};

/// How long an answer about the store is believed: asking it writes to the disk.
const BELIEVED_MILLIS: i64 = 1000;

/// What is needed to tell how the program is.
pub struct Status {
    store: Arc<dyn Store>,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    clock: Clock,
    watchers: Box<dyn Fn() -> usize + Send + Sync>,
    store_problem: Mutex<Option<(Timestamp, Option<String>)>>,
}

impl Status {
    /// Of these; `watchers` counts the connections that watch the live counts.
    pub fn new(
        store: Arc<dyn Store>,
        live: Arc<Live>,
        metrics: Arc<Metrics>,
        clock: Clock,
        watchers: impl Fn() -> usize + Send + Sync + 'static,
    ) -> Self {
        Self { store, live, metrics, clock, watchers: Box::new(watchers), store_problem: Mutex::default() }
    }

    async fn store_problem(&self) -> Option<String> {
        let now = self.clock.now();
        let known = self.store_problem.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((asked_at, problem)) = known
            && now < asked_at.plus_millis(BELIEVED_MILLIS)
        {
            return problem;
        }
        let problem = self.store.writable().await.err().map(|error| error.to_string());
        *self.store_problem.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, problem.clone()));
        problem
    }
}

/// Its routes.
pub fn routes<S: Clone + Send + Sync + 'static>(status: Arc<Status>) -> OpenApiRouter<S> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .route("/", axum::routing::get(front))
        .layer(Extension(status))
}

/// Tell that the program is alive.
#[utoipa::path(get, path = "/healthz", tag = "status", security(()), responses((status = 200, description = "It is alive")))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the program can do its work.
#[derive(Serialize, ToSchema)]
pub struct Readiness {
    /// Whether everything works.
    pub ready: bool,
    /// Whether the store takes writes.
    pub store: Part,
    /// Whether the SIP gateway works.
    pub sip: Part,
}

/// One part of the program.
#[derive(Serialize, ToSchema)]
pub struct Part {
    /// Whether it works, or is not there to work.
    pub ok: bool,
    /// What is to be known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Tell whether the program can do its work, and what does not work.
#[utoipa::path(
    get, path = "/readyz", tag = "status", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness))
)]
async fn readyz(Extension(status): Extension<Arc<Status>>) -> Response {
    let problem = status.store_problem().await;
    let ready = problem.is_none();
    let readiness = Readiness {
        ready,
        store: Part { ok: ready, message: problem },
        sip: Part { ok: true, message: Some("this version has no SIP gateway".into()) },
    };
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness)).into_response()
}

/// Show what is counted, in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "status", security(()), responses((status = 200, content_type = "text/plain")))]
async fn metrics(Extension(status): Extension<Arc<Status>>) -> Response {
    status.metrics.live_calls.set(status.live.total() as u64);
    status.metrics.watchers.set((status.watchers)() as u64);
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], status.metrics.render()).into_response()
}

/// The page at `/`: there is no dashboard in this version, and it says so.
async fn front() -> Html<&'static str> {
    Html(include_str!("front.html"))
}
