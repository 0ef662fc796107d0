//! Recordings of others, from a real HTTP server on this machine that misbehaves in every way there is.

use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path as Part, Request},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use futures_util::{StreamExt, stream};
use pegcount_calls::{CallName, EventId, OrganizationName, Timestamp};
use pegcount_gateway::recording::Format;
use pegcount_store::{Job, JobQuery, OrganizationNumber, Store};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use url::Url;

use super::{Fetch, FetchParts, Fetching, FetchingConfig, download::download};
use crate::{
    clock::Clock,
    intake::{CallReference, Incoming, Intake, IntakeParts, TariffsHandle},
    jobs::{Nudge, Setback, Work},
    live::Live,
    organizations::{Names, PerOrganization},
    recordings::{Busy, Keeping, Object, Shelf},
    vocabulary::{self, Telling, source_name},
};

const ORG: OrganizationNumber = OrganizationNumber(1);
/// 2026-01-01T10:00:00Z.
const TEN: i64 = 1_767_261_600_000;

fn sound(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/audio/fixtures").join(name)).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_millis(TEN)
}

/// What a server saw of a request: its path, and its `authorization`.
type Seen = Arc<Mutex<Vec<(String, Option<String>)>>>;

fn endless() -> Body {
    Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[7; 4096]))))
}

/// Begins, and never goes on.
fn stuck() -> Body {
    let begun = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"RIFF")) });
    Body::from_stream(begun.chain(stream::pending()))
}

async fn answer(Part(what): Part<String>, headers: HeaderMap, seen: Seen) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(headers[header::ACCEPT_ENCODING], "identity");
    let calls = {
        let mut seen = seen.lock().unwrap();
        seen.push((what.clone(), authorization));
        seen.iter().filter(|(path, _)| *path == what).count()
    };
    match what.as_str() {
        "stereo.m4a" | "tone.mp3" | "voice.opus.ogg" => sound(&what).into_response(),
        "moved" => Redirect::temporary("/tone.mp3").into_response(),
        "circle" => Redirect::temporary("/circle").into_response(),
        "inside" => Redirect::temporary("https://10.0.0.1/secret").into_response(),
        "file" => Redirect::temporary("file:///etc/passwd").into_response(),
        "late" if calls > 1 => sound("tone.mp3").into_response(),
        "late" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "busy" => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "90")]).into_response(),
        "page" => (StatusCode::OK, "<!doctype html><p>Please sign in").into_response(),
        "empty" => StatusCode::OK.into_response(),
        "announced" => ([(header::CONTENT_LENGTH, "999999999999")], stuck()).into_response(),
        "endless" => endless().into_response(),
        "stuck" => stuck().into_response(),
        "bomb" => ([(header::CONTENT_ENCODING, "gzip")], &b"\x1f\x8b\x08\x00"[..]).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn serve(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    address
}

async fn server() -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let of = Arc::clone(&seen);
    let route = get(move |part: Part<String>, headers: HeaderMap| answer(part, headers, Arc::clone(&of)));
    (serve(Router::new().route("/{what}", route)).await, seen)
}

/// Announces more than it sends.
async fn liar() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = [0; 1024];
        let _ = socket.read(&mut asked).await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nshort").await.unwrap();
        socket.shutdown().await.unwrap();
    });
    address
}

fn open(more: impl FnOnce(&mut FetchingConfig)) -> Fetching {
    let mut config = FetchingConfig {
        enabled: true,
        max_bytes: 100_000,
        timeout_seconds: 60,
        allow_http: true,
        allow_private_addresses: true,
        ..FetchingConfig::default()
    };
    more(&mut config);
    config.read().unwrap()
}

async fn fetched(url: &str, fetching: &Fetching) -> Result<Vec<u8>, Setback> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    download(Url::parse(url).unwrap(), fetching, (&file, None)).await?;
    Ok(fs::read(file).unwrap())
}

fn later(setback: Setback) -> (String, Option<Duration>) {
    match setback {
        Setback::Later { reason, after } => (reason, after),
        Setback::Never { reason } => unreachable!("it is given up: {reason}"),
    }
}

fn never(setback: Setback) -> String {
    match setback {
        Setback::Never { reason } => reason,
        Setback::Later { reason, .. } => unreachable!("it is tried again: {reason}"),
    }
}

#[tokio::test]
async fn a_download_is_what_was_sent_also_where_it_was_moved_to() {
    let (address, _) = server().await;
    for path in ["tone.mp3", "moved"] {
        let bytes = fetched(&format!("http://{address}/{path}"), &open(|_| {})).await.unwrap();
        assert!(bytes == sound("tone.mp3"), "{path}");
    }
}

#[tokio::test]
async fn what_may_be_better_later_is_tried_again() {
    let (address, _) = server().await;
    let open = open(|config| config.timeout_seconds = 1);
    for (path, words) in [
        ("nothing", "127.0.0.1 answered 404"),
        ("late", "127.0.0.1 answered 500"),
        ("stuck", "127.0.0.1 did not send the recording within 1 s; `timeout_seconds`"),
    ] {
        let (reason, after) =
            later(fetched(&format!("http://{address}/{path}?token=hush"), &open).await.unwrap_err());
        assert!(reason.starts_with(words) && !reason.contains("hush"), "{path}: {reason}");
        assert_eq!(after, None);
    }
    let (reason, after) = later(fetched(&format!("http://{address}/busy"), &open).await.unwrap_err());
    assert_eq!((reason.as_str(), after), ("127.0.0.1 answered 429", Some(Duration::from_secs(90))));
    let (reason, _) = later(fetched(&format!("http://{}/", liar().await), &open).await.unwrap_err());
    assert_eq!(reason, "127.0.0.1 broke off while it sent the recording");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (reason, _) = later(fetched(&format!("http://{closed}/"), &open).await.unwrap_err());
    assert_eq!(reason, "127.0.0.1 cannot be reached");
    let (reason, _) = later(fetched("http://none.invalid/", &open).await.unwrap_err());
    assert_eq!(reason, "none.invalid cannot be resolved");
}

#[tokio::test]
async fn what_can_never_be_had_is_given_up_and_the_reason_names_the_setting() {
    let (address, seen) = server().await;
    let open = open(|_| {});
    for (path, words) in [
        ("announced", "`max_bytes`"),
        ("endless", "`max_bytes`"),
        ("bomb", "compressed"),
        ("circle", "redirects more than 5 times"),
        ("file", "neither https:// nor http://"),
    ] {
        let reason = never(fetched(&format!("http://{address}/{path}?token=hush"), &open).await.unwrap_err());
        assert!(reason.contains(words) && !reason.contains("hush"), "{path}: {reason}");
    }
    assert_eq!(seen.lock().unwrap().iter().filter(|(path, _)| path == "circle").count(), 6);
    let closed = Fetching { allow_private_addresses: false, ..open };
    let reason = never(fetched(&format!("http://{address}/tone.mp3"), &closed).await.unwrap_err());
    assert!(reason.contains("`allow_private_addresses`"), "{reason}");
}

#[tokio::test]
async fn a_redirect_to_where_the_url_itself_may_not_lead_is_refused() {
    let (address, seen) = server().await;
    let (inside, _) = server().await;
    let to = format!("http://{inside}/tone.mp3");
    let first = serve(Router::new().route("/a", get(move || async move { Redirect::temporary(&to) }))).await;
    // As if the first host were a public one.
    let only =
        |address| Fetching { allow_private_addresses: false, allowed_address: Some(address), ..open(|_| {}) };
    for (url, allowed, host) in [
        (format!("http://{first}/a"), first, "127.0.0.1"),
        (format!("http://{address}/inside"), address, "10.0.0.1"),
    ] {
        let reason = never(fetched(&url, &only(allowed)).await.unwrap_err());
        let words = "leads to a private address; `allow_private_addresses` in recordings.fetch allows that";
        assert_eq!(reason, format!("{host} {words}"));
    }
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn headers_go_to_their_host_and_not_along_with_a_redirect_to_another() {
    let (address, seen) = server().await;
    let elsewhere = Seen::default();
    let (of, back) = (Arc::clone(&elsewhere), format!("http://{address}/tone.mp3"));
    let other = serve(Router::new().fallback(move |request: Request| {
        let authorization = request.headers().get(header::AUTHORIZATION).map(|_| "told".to_owned());
        of.lock().unwrap().push((request.uri().path().to_owned(), authorization));
        let back = back.clone();
        async move { Redirect::temporary(&back) }
    }))
    .await;
    let to = format!("http://localhost:{}/", other.port());
    let first =
        serve(Router::new().route("/away", get(move || async move { Redirect::temporary(&to) }))).await;
    let fetching = open(|config| {
        *config = toml::from_str(
            "enabled = true\nallow_http = true\nallow_private_addresses = true\n\
             [headers.\"127.0.0.1\"]\nAuthorization = \"Bearer hush\"",
        )
        .unwrap();
    });
    fetched(&format!("http://{address}/moved"), &fetching).await.unwrap();
    let hush = Some("Bearer hush".to_owned());
    assert_eq!(*seen.lock().unwrap(), [("moved".to_owned(), hush.clone()), ("tone.mp3".to_owned(), hush)]);
    seen.lock().unwrap().clear();
    fetched(&format!("http://{first}/away"), &fetching).await.unwrap();
    assert_eq!(*elsewhere.lock().unwrap(), [("/".to_owned(), None)]);
    assert_eq!(*seen.lock().unwrap(), [("tone.mp3".to_owned(), None)], "nor on the way back");
}

/// A ledger, a folder of recordings, and the work on them.
struct Lab {
    folder: tempfile::TempDir,
    address: SocketAddr,
    seen: Seen,
    store: Arc<dyn Store>,
    intake: Intake,
    fetch: Fetch,
    told: AtomicI64,
}

impl Lab {
    async fn new() -> Self {
        let (address, seen) = server().await;
        let folder = tempfile::tempdir().unwrap();
        let store = pegcount_store::open(folder.path().join("calls.db").to_str().unwrap()).unwrap();
        let store: Arc<dyn Store> = store.into();
        store.create_organization(&OrganizationName::new("org_1").unwrap(), Some(ORG), None).await.unwrap();
        let clock = Clock::of(|| Timestamp::from_millis(TEN + 60_000));
        let shelf = Shelf::at(folder.path().join("recordings"));
        let fetching = Arc::new(PerOrganization::same(open(|_| {})));
        let keeping = Keeping::new(shelf.clone(), Nudge::default(), clock.clone(), Arc::clone(&fetching));
        let (intake, _) = Intake::start(IntakeParts {
            store: Arc::clone(&store),
            live: Arc::new(Live::of(vec![])),
            names: Names::new(Arc::clone(&store)),
            tariffs: TariffsHandle::default(),
            masks: PerOrganization::default(),
            metrics: Arc::default(),
            outside: vec![Box::new(keeping)],
        })
        .unwrap();
        let fetch = Fetch::new(FetchParts {
            shelf,
            store: Arc::clone(&store),
            intake: intake.clone(),
            busy: Busy::default(),
            fetching,
            heard: PerOrganization::same(false),
            names: Names::new(Arc::clone(&store)),
            lame: None,
            clock,
        });
        Self { folder, address, seen, store, intake, fetch, told: AtomicI64::new(0) }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("recordings").join(name)
    }

    async fn tell(&self, kind: &str, data: serde_json::Value) {
        let count = self.told.fetch_add(1, Ordering::SeqCst);
        let telling = Telling {
            id: EventId::new(format!("{kind}.{count}")).unwrap(),
            at: Timestamp::from_millis(TEN + 1_000 * count),
            at_given: true,
            received_at: now(),
            source: source_name("native"),
            kind: kind.to_owned(),
            data: data.to_string(),
        };
        let incoming = Incoming {
            organization: ORG,
            source: source_name("native"),
            call: CallReference::Named(CallName::new("c").unwrap()),
            told: vec![vocabulary::tell(telling).unwrap()],
        };
        self.intake.accept(vec![incoming]).await.unwrap();
    }

    async fn recorded_at(&self, path: &str) {
        let url = format!("http://{}/{path}", self.address);
        self.tell("recording_ready", json!({ "url": url, "format": "mp3" })).await;
    }

    /// The one job there is.
    async fn job(&self) -> Job {
        let jobs = self.store.jobs(&JobQuery { limit: 10, ..JobQuery::default() }).await.unwrap().jobs;
        assert_eq!(jobs.len(), 1);
        jobs.into_iter().next().unwrap()
    }

    async fn run(&self) -> Result<(), Setback> {
        self.fetch.run(&self.job().await).await
    }

    /// The URL and the object of the call's recording.
    async fn recording(&self) -> (Option<String>, Option<String>) {
        let filed = self.store.call(ORG, "c").await.unwrap().unwrap();
        filed.call.content.recording.map(|found| (found.url, found.object)).unwrap_or_default()
    }

    /// What lies in the folder of recordings, and in that of what is none yet.
    fn files(&self) -> Vec<String> {
        let list = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().map(Result::unwrap);
        let all = list(self.file("")).chain(list(self.file("fetched")));
        let files = all.filter(|entry| entry.file_type().unwrap().is_file());
        files.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }
}

#[tokio::test]
async fn a_recording_of_somebody_else_is_fetched_and_is_one_of_our_own_from_then_on() {
    let lab = Lab::new().await;
    lab.tell("call_completed", json!({})).await;
    lab.recorded_at("voice.opus.ogg").await;
    let job = lab.job().await;
    assert_eq!((job.kind.as_str(), job.subject.as_str()), ("recording_fetch", "c"));
    assert_eq!((job.due.millis() - job.created_at.millis(), job.data.as_json_text()), (5_000, "{}"));
    assert!(lab.recording().await.0.is_some(), "until then it is where it was");
    // Doing it twice does no harm.
    for _ in 0..2 {
        lab.run().await.unwrap();
        assert_eq!(lab.recording().await, (None, Some("1.c.wav".to_owned())));
        assert_eq!(lab.files(), ["1.c.wav"]);
    }
    assert_eq!(lab.seen.lock().unwrap().len(), 1);
    let filed = lab.store.call(ORG, "c").await.unwrap().unwrap();
    let recording = filed.call.content.recording.clone().unwrap();
    assert_eq!((recording.duration_seconds, recording.format.as_deref()), (Some(1.5), Some("wav")));
    assert_eq!(recording.size_bytes, Some(fs::metadata(lab.file("1.c.wav")).unwrap().len()));
    assert!(filed.call.status().is_ended());
    let object = Object::parse("1.c.wav").unwrap();
    assert_eq!(object, Object::new(ORG, CallName::new("c").unwrap(), Format::Wav));
}

#[tokio::test]
async fn a_corrected_recording_is_fetched_anew_though_it_was_reported_late() {
    let lab = Lab::new().await;
    lab.recorded_at("voice.opus.ogg").await;
    lab.run().await.unwrap();
    let first = fs::read(lab.file("1.c.wav")).unwrap();
    // It happened before the first was fetched.
    lab.recorded_at("stereo.m4a").await;
    assert!(lab.recording().await.0.is_some());
    lab.run().await.unwrap();
    assert_eq!(lab.recording().await, (None, Some("1.c.wav".to_owned())));
    assert!(fs::read(lab.file("1.c.wav")).unwrap() != first);
}

#[tokio::test]
async fn what_is_not_fetched_keeps_its_url_and_leaves_no_file() {
    let lab = Lab::new().await;
    lab.recorded_at("page").await;
    let reason = never(lab.run().await.unwrap_err());
    assert_eq!(reason, "what 127.0.0.1 sent is not a sound file that can be read: it is an HTML page");
    lab.recorded_at("empty").await;
    assert_eq!(later(lab.run().await.unwrap_err()).0, "what 127.0.0.1 sent is empty");
    lab.recorded_at("late").await;
    assert_eq!(later(lab.run().await.unwrap_err()).0, "127.0.0.1 answered 500");
    assert!(lab.recording().await.0.unwrap().ends_with("/late"));
    assert!(lab.files().is_empty());
    lab.run().await.unwrap();
    assert_eq!(lab.files(), ["1.c.wav"]);
}

#[tokio::test]
async fn nothing_is_kept_of_a_call_that_opts_out_or_is_erased_meanwhile() {
    for erased in [false, true] {
        let lab = Lab::new().await;
        lab.tell("call_completed", json!({})).await;
        lab.recorded_at("tone.mp3").await;
        let job = lab.job().await;
        fs::create_dir_all(lab.file("")).unwrap();
        // As a run leaves it that was cut off before it could report.
        fs::write(lab.file("1.c.wav"), b"sound").unwrap();
        if erased {
            let head = lab.store.head(ORG, "c").await.unwrap().unwrap();
            lab.intake.erase(head).await.unwrap();
        } else {
            lab.tell("call_initiated", json!({ "opt_out_sensitive_data_storage": true })).await;
            fs::write(lab.file("1.c.wav"), b"sound").unwrap();
        }
        lab.fetch.run(&job).await.unwrap();
        assert!(lab.files().is_empty() && lab.seen.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_was_recorded_here_or_taken_back_is_not_fetched() {
    let lab = Lab::new().await;
    lab.recorded_at("tone.mp3").await;
    lab.tell("recording_ready", json!({ "object": "1.c.mp3" })).await;
    lab.run().await.unwrap();
    lab.recorded_at("tone.mp3").await;
    lab.tell("recording_deleted", json!({})).await;
    lab.run().await.unwrap();
    assert!(lab.files().is_empty() && lab.seen.lock().unwrap().is_empty());
}
