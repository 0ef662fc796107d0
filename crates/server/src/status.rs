//! How the program is: `/healthz`, `/readyz`, `/metrics`, and the page at `/`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Extension, Json,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use pegcount_calls::Timestamp;
use pegcount_store::{JobState, Store};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    clock::Clock,
    live::Live,
    metrics::{Metrics, SipFigures},
};

/// How long an answer about the store is believed: asking it writes to the disk.
const BELIEVED_MILLIS: i64 = 1000;

/// How the SIP gateway is.
pub struct Gateway {
    /// Whether it works, or is not wanted.
    pub ok: bool,
    /// What is to be known of it.
    pub message: Option<String>,
    /// What it counts, while it runs.
    pub figures: Option<SipFigures>,
}

impl Gateway {
    /// One that is not wanted.
    pub fn off() -> Self {
        Self { ok: true, message: Some("the SIP gateway is off".into()), figures: None }
    }
}

/// What is needed to tell how the program is.
pub struct Status {
    store: Arc<dyn Store>,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    clock: Clock,
    watchers: Box<dyn Fn() -> usize + Send + Sync>,
    gateway: Box<dyn Fn() -> Gateway + Send + Sync>,
    recordings: Box<dyn Fn() -> Part + Send + Sync>,
    known: Mutex<Option<(Timestamp, Known)>>,
}

/// What the store said.
#[derive(Clone)]
struct Known {
    /// Why it takes no writes.
    problem: Option<String>,
    /// How many jobs are dead; `None` when it could not say.
    dead_jobs: Option<u64>,
}

impl Status {
    /// Of these; `watchers` counts the connections that watch the live counts, `gateway` tells how that is, and
    /// `recordings` how those are.
    pub fn new(
        store: Arc<dyn Store>,
        live: Arc<Live>,
        metrics: Arc<Metrics>,
        clock: Clock,
        watchers: impl Fn() -> usize + Send + Sync + 'static,
        gateway: impl Fn() -> Gateway + Send + Sync + 'static,
        recordings: impl Fn() -> Part + Send + Sync + 'static,
    ) -> Self {
        let (watchers, gateway, recordings) = (Box::new(watchers), Box::new(gateway), Box::new(recordings));
        Self { store, live, metrics, clock, watchers, gateway, recordings, known: Mutex::default() }
    }

    async fn ask_store(&self) -> Known {
        let now = self.clock.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((asked_at, known)) = known
            && now < asked_at.plus_millis(BELIEVED_MILLIS)
        {
            return known;
        }
        let problem = self.store.writable().await.err().map(|error| error.to_string());
        let counts = self.store.job_counts().await.ok();
        let dead_jobs = counts.map(|counts| {
            counts.iter().filter(|one| one.state == JobState::Dead).map(|one| one.count).sum::<u64>()
        });
        let known = Known { problem, dead_jobs };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, known.clone()));
        known
    }
}

/// Its routes.
pub fn routes<S: Clone + Send + Sync + 'static>(status: Arc<Status>) -> OpenApiRouter<S> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .route("/", axum::routing::get(front))
        .route("/favicon.ico", axum::routing::get(favicon))
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
    /// Jobs: ready all the same when some are dead, and says how many.
    pub jobs: Part,
    /// Recordings: ready all the same when their object store cannot be used, in which case they wait here, and when some that
    /// calls name are gone; says so.
    pub recordings: Part,
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
    let Known { problem, dead_jobs } = status.ask_store().await;
    let gateway = (status.gateway)();
    let ready = problem.is_none() && gateway.ok;
    let readiness = Readiness {
        ready,
        store: Part { ok: problem.is_none(), message: problem },
        sip: Part { ok: gateway.ok, message: gateway.message },
        jobs: Part {
            ok: true,
            message: dead_jobs
                .filter(|dead| *dead > 0)
                .map(|dead| format!("{dead} dead, see `pegcount jobs list --state dead`")),
        },
        recordings: (status.recordings)(),
    };
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness)).into_response()
}

/// Show what is counted, in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "status", security(()), responses((status = 200, content_type = "text/plain")))]
async fn metrics(Extension(status): Extension<Arc<Status>>) -> Response {
    status.metrics.live_calls.set(status.live.total() as u64);
    status.metrics.watchers.set((status.watchers)() as u64);
    // A store that cannot be asked is told of by /readyz; the other figures are shown all the same.
    if let Ok(unindexed) = status.store.unindexed().await {
        status.metrics.words_due.set(unindexed.changes);
        status.metrics.words_made_anew.set(unindexed.is_made_anew.into());
    }
    if let Ok(counts) = status.store.job_counts().await {
        status.metrics.jobs.show(&counts);
    }
    if let Some(figures) = (status.gateway)().figures {
        status.metrics.sip.show(&figures);
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], status.metrics.render()).into_response()
}

/// The icon that browsers ask every server for.
async fn favicon() -> Response {
    let headers = [(header::CONTENT_TYPE, "image/x-icon"), (header::CACHE_CONTROL, "public, max-age=86400")];
    (headers, include_bytes!("favicon.ico").as_slice()).into_response()
}

/// The page at `/`: there is no dashboard in this version, and it says so.
async fn front() -> Html<&'static str> {
    Html(include_str!("front.html"))
}
