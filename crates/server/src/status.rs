//! How the program is: `/healthz`, `/readyz`, `/metrics`, and the page at `/`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use pegcount_calls::Timestamp;
use pegcount_store::{JobCount, JobState, Size, Store};
use serde::Serialize;
use tokio::task::JoinHandle;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    clock::Clock,
    disk,
    live::Live,
    metrics::{Metrics, SipFigures, TextFormat},
};

/// How long an answer about the store is believed: asking it writes to the disk.
const BELIEVED_MILLIS: i64 = 1000;
/// How long the store and its disk may take to answer. Those who ask for readiness give up at about that time.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

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

/// The parts that the status is read from.
pub struct StatusParts {
    /// Where calls are kept.
    pub store: Arc<dyn Store>,
    /// The URL of the store, and the folders whose disks it and the recordings need.
    pub places: Places,
    /// The calls in progress.
    pub live: Arc<Live>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
    /// Counts the connections that watch the live counts.
    pub watchers: Box<dyn Fn() -> usize + Send + Sync>,
    /// Tells how the gateway is.
    pub gateway: Box<dyn Fn() -> Gateway + Send + Sync>,
    /// Tells how recordings are.
    pub recordings: Box<dyn Fn() -> Part + Send + Sync>,
}

/// Where the program writes.
#[derive(Clone, Debug)]
pub struct Places {
    /// The URL of the store.
    pub store: String,
    /// The folders of the store and of everything else.
    pub folders: Vec<PathBuf>,
    /// With less room than this, in bytes, the program is not ready.
    pub min_free_bytes: u64,
}

/// How the program is.
pub struct Status {
    parts: Arc<StatusParts>,
    asked: tokio::sync::Mutex<Asked>,
}

/// What was asked last of the store and its disk.
#[derive(Default)]
struct Asked {
    answer: Option<(Timestamp, Known)>,
    /// A look that has not ended: on a disk that hangs it holds a thread, so there is one at most.
    under_way: Option<JoinHandle<Known>>,
}

/// What the store and its disk said.
#[derive(Clone)]
struct Known {
    /// Why the store takes no writes.
    problem: Option<String>,
    /// Jobs by kind and state; `None` when the store could not say.
    jobs: Option<Vec<JobCount>>,
    /// How much the store takes.
    size: Option<Size>,
    /// The folder on the fullest disk, and its room in bytes.
    room: Option<(PathBuf, u64)>,
}

impl Status {
    /// Of these parts.
    pub fn new(parts: StatusParts) -> Self {
        Self { parts: Arc::new(parts), asked: tokio::sync::Mutex::default() }
    }

    async fn ask_store(&self) -> Known {
        let now = self.parts.clock.now();
        // Requests that come meanwhile wait for this one look: each look takes a thread and a write.
        let mut asked = self.asked.lock().await;
        if let Some((asked_at, known)) = asked.answer.as_ref()
            && now < asked_at.plus_millis(BELIEVED_MILLIS)
        {
            return known.clone();
        }
        let parts = &self.parts;
        let look = asked.under_way.get_or_insert_with(|| tokio::spawn(look(Arc::clone(parts))));
        let known = match tokio::time::timeout(LOOK_TIMEOUT, look).await {
            Ok(looked) => {
                asked.under_way = None;
                looked.unwrap_or_else(|_| Known::hung())
            }
            Err(_) => Known::hung(),
        };
        asked.answer = Some((self.parts.clock.now(), known.clone()));
        known
    }
}

async fn look(parts: Arc<StatusParts>) -> Known {
    let places = parts.places.clone();
    // Files and disks may hang, on a network for instance: not on a thread that answers.
    let looked = tokio::task::spawn_blocking(move || (store_size(&places), fullest(&places.folders))).await;
    let (size, room) = looked.unwrap_or_default();
    Known {
        problem: parts.store.writable().await.err().map(|error| error.to_string()),
        jobs: parts.store.job_counts().await.ok(),
        size,
        room,
    }
}

fn store_size(places: &Places) -> Option<Size> {
    pegcount_store::size_of(&places.store).ok()
}

/// Of these folders the one whose disk has least room, and how much that is.
fn fullest(folders: &[PathBuf]) -> Option<(PathBuf, u64)> {
    let rooms = folders.iter().filter_map(|folder| Some((folder.clone(), disk::free_bytes(folder).ok()?)));
    rooms.min_by_key(|(_, free)| *free)
}

impl Known {
    /// Of a store or a disk that does not answer.
    fn hung() -> Self {
        let seconds = LOOK_TIMEOUT.as_secs();
        let problem =
            format!("the store or its disk has not answered within {seconds} s: does the disk hang?");
        Self { problem: Some(problem), jobs: None, size: None, room: None }
    }

    fn count(&self, is_meant: impl Fn(JobState) -> bool) -> Option<u64> {
        let counts = self.jobs.as_ref()?.iter().filter(|count| is_meant(count.state));
        Some(counts.map(|count| count.count).sum())
    }

    /// How long ago the oldest job that waits or runs was asked for, in seconds.
    fn oldest_seconds(&self, now: Timestamp) -> Option<u64> {
        let unfinished = self.jobs.iter().flatten().filter(|count| count.state != JobState::Dead);
        let oldest = unfinished.map(|count| count.oldest).min()?;
        u64::try_from(now.millis().saturating_sub(oldest.millis()) / 1000).ok()
    }

    fn disk(&self, least: u64) -> DiskPart {
        let Some((folder, free)) = &self.room else {
            let message = "the free room of the disk is unknown".to_owned();
            return DiskPart { ok: true, message: Some(message), free_bytes: None };
        };
        let message = (*free < least).then(|| {
            format!(
                "{} free for {}, less than readiness.min_free_disk_bytes ({}): make room",
                disk::in_words(*free),
                folder.display(),
                disk::in_words(least)
            )
        });
        DiskPart { ok: message.is_none(), message, free_bytes: Some(*free) }
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
#[utoipa::path(get, path = "/healthz", tag = "status", security(()), operation_id = "get_health", responses((status = 200, description = "It is alive", body = String, content_type = "text/plain")))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the program can do its work.
#[derive(Serialize, ToSchema)]
pub struct Readiness {
    /// Whether everything works.
    pub ready: bool,
    /// Whether the store takes writes.
    pub store: StorePart,
    /// Whether the disk has room.
    pub disk: DiskPart,
    /// Whether the SIP gateway works.
    pub sip: Part,
    /// Jobs: ready all the same when some are dead, and says how many.
    pub jobs: JobsPart,
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
    #[schema(value_type = String, required = false)]
    pub message: Option<String>,
}

/// The store.
#[derive(Serialize, ToSchema)]
pub struct StorePart {
    /// Whether it takes writes.
    pub ok: bool,
    /// Why it takes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub message: Option<String>,
    /// Size of its file; null if unknown.
    pub bytes: Option<u64>,
    /// Size of its write-ahead log; null if unknown.
    pub log_bytes: Option<u64>,
}

/// The disk of the data folder, or of the store where that has less room.
#[derive(Serialize, ToSchema)]
pub struct DiskPart {
    /// Whether it has as much room as `readiness.min_free_disk_bytes` says.
    pub ok: bool,
    /// Which folder lacks room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub message: Option<String>,
    /// Room for this program; null if unknown.
    pub free_bytes: Option<u64>,
}

/// Work that comes after calls.
#[derive(Serialize, ToSchema)]
pub struct JobsPart {
    /// Always true: dead jobs keep nothing else from working.
    pub ok: bool,
    /// How many are dead, and where to see them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub message: Option<String>,
    /// Jobs that wait or run; null if unknown.
    pub unfinished: Option<u64>,
    /// Seconds since the oldest of them was asked for; null without one.
    pub oldest_seconds: Option<u64>,
}

/// Tell whether the program can do its work, and what does not work.
#[utoipa::path(
    get, path = "/readyz", tag = "status", operation_id = "get_readiness", security(()),
    responses(
        (status = 200, description = "Everything works", body = Readiness),
        (status = 503, description = "Something does not work", body = Readiness),
    )
)]
async fn readyz(Extension(status): Extension<Arc<Status>>) -> Response {
    let known = status.ask_store().await;
    let gateway = (status.parts.gateway)();
    let disk = known.disk(status.parts.places.min_free_bytes);
    let ready = known.problem.is_none() && disk.ok && gateway.ok;
    let dead = known.count(|state| state == JobState::Dead).filter(|dead| *dead > 0);
    let readiness = Readiness {
        ready,
        store: StorePart {
            ok: known.problem.is_none(),
            bytes: known.size.map(|size| size.bytes),
            log_bytes: known.size.map(|size| size.log_bytes),
            message: known.problem.clone(),
        },
        disk,
        sip: Part { ok: gateway.ok, message: gateway.message },
        jobs: JobsPart {
            ok: true,
            message: dead.map(|dead| format!("{dead} dead, see `pegcount jobs list --state dead`")),
            unfinished: known.count(|state| state != JobState::Dead),
            oldest_seconds: known.oldest_seconds(status.parts.clock.now()),
        },
        recordings: (status.parts.recordings)(),
    };
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness)).into_response()
}

/// Show what is counted, as Prometheus text or, where `Accept` asks for it, OpenMetrics.
#[utoipa::path(
    get, path = "/metrics", tag = "status", operation_id = "get_metrics", security(()),
    responses(
        (status = 200, description = "The metrics", content(
            (String = "text/plain"),
            (String = "application/openmetrics-text"),
        ))
    )
)]
async fn metrics(Extension(status): Extension<Arc<Status>>, headers: HeaderMap) -> Response {
    let StatusParts { store, live, metrics, clock, watchers, gateway, .. } = &*status.parts;
    metrics.live_calls.set(live.total() as u64);
    metrics.watchers.set(watchers() as u64);
    // A store that cannot be asked is told of by /readyz; the other figures are shown all the same.
    if let Ok(unindexed) = store.unindexed().await {
        metrics.words_due.set(unindexed.changes);
        metrics.words_made_anew.set(unindexed.is_made_anew.into());
    }
    let known = status.ask_store().await;
    metrics.room.show(known.room.as_ref().map(|(_, free)| *free), known.size);
    if let Some(counts) = &known.jobs {
        metrics.jobs.show(counts, known.oldest_seconds(clock.now()));
    }
    if let Some(figures) = gateway().figures {
        metrics.sip.show(&figures);
    }
    let accept: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = TextFormat::accepted(&accept.join(","));
    let headers = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "accept")];
    (headers, metrics.render(format)).into_response()
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
