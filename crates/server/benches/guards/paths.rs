//! The hot paths: what is done for every event, and for every call that is read.

use std::{error::Error, hint::black_box, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt;
use pegcount::{app::App, clock::Clock, config::Config, dialects::tenant::Feed, server, sources, vocabulary};
use pegcount_calls::{History, Timestamp, fold};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{samples, sip};

/// A hot path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HotPath {
    /// The fold of a short call.
    FoldFew,
    /// The fold of a long call.
    FoldMany,
    /// One event taken in: read, appended, folded, saved, committed, answered. The store and the call are warm.
    Ingest,
    /// One call read and written as JSON, or counted, by each dialect.
    V1,
    Agent,
    Organization,
    Tenant,
    /// The messages of a call that comes in by SIP.
    Sip,
}

/// Calls in the store, all of them in progress: what comes in is spread over them.
const CALLS: u32 = 32;

/// Length of a key's id; an underscore follows, then the secret.
const KEY_ID: usize = 20;

impl HotPath {
    pub const ALL: [Self; 8] = [
        Self::FoldFew,
        Self::FoldMany,
        Self::Ingest,
        Self::V1,
        Self::Agent,
        Self::Organization,
        Self::Tenant,
        Self::Sip,
    ];

    /// Its name in the file of limits.
    pub fn name(self) -> &'static str {
        match self {
            Self::FoldFew => "fold_short_call",
            Self::FoldMany => "fold_long_call",
            Self::Ingest => "ingest_event",
            Self::V1 => "v1_call",
            Self::Agent => "agent_call",
            Self::Organization => "organization_call",
            Self::Tenant => "tenant_count",
            Self::Sip => "sip_call",
        }
    }

    /// Enough that the odd one, such as a table that grows, weighs little. Ingest stays below the length of the log at
    /// which a checkpoint begins.
    pub fn rounds(self) -> u32 {
        match self {
            Self::FoldFew | Self::Sip => 400,
            Self::FoldMany => 20,
            Self::Ingest => CALLS,
            Self::V1 | Self::Agent | Self::Organization | Self::Tenant => 200,
        }
    }

    /// Runs it so many times.
    pub fn run(self, rounds: u32) -> Result<(), Box<dyn Error>> {
        match self {
            Self::FoldFew => fold_again(samples::FEW, rounds),
            Self::FoldMany => fold_again(samples::MANY, rounds),
            Self::Sip => sip::calls(rounds),
            Self::Ingest | Self::V1 | Self::Agent | Self::Organization | Self::Tenant => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(self.ask(rounds))
            }
        }
    }

    async fn ask(self, rounds: u32) -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let (router, key) = filled(folder.path()).await?;
        for round in 0..rounds {
            let request = self.request(&key, round)?;
            let answer = router.clone().oneshot(request).await?;
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            if status != StatusCode::OK {
                return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
            }
            black_box(body);
        }
        Ok(())
    }

    fn request(self, key: &str, round: u32) -> Result<Request<Body>, Box<dyn Error>> {
        let call = name_of(round % CALLS);
        let with_key = |request: axum::http::request::Builder| request.header("x-api-key", key);
        Ok(match self {
            Self::FoldFew | Self::FoldMany | Self::Sip => Err("it asks nobody over HTTP")?,
            Self::Ingest => {
                // Behind what the call has already, and the same kinds in the same proportions.
                let event = samples::of_the_talk(&call, samples::FEW + round / CALLS * 8 + round % 8);
                posted("/v1/events", key, "application/json", event.to_string())?
            }
            Self::V1 => with_key(Request::get(format!("/v1/calls/{call}"))).body(Body::empty())?,
            Self::Agent => {
                let uri = format!("/api/agents/1/call_stats?limit=1&offset={}", round % CALLS);
                with_key(Request::get(uri)).body(Body::empty())?
            }
            Self::Organization => {
                let (id, secret) = key.split_at_checked(KEY_ID).ok_or("a key has two parts")?;
                let secret = secret.strip_prefix('_').ok_or("a key has an underscore between its parts")?;
                let request = Request::get(format!("/api/calls/{call}")).header("x-api-key", id);
                request.header("x-api-secret", secret).body(Body::empty())?
            }
            Self::Tenant => {
                let form = "application/x-www-form-urlencoded";
                posted("/apis/get_live_calls.php", key, form, "tenant_id=1".to_owned())?
            }
        })
    }
}

fn name_of(number: u32) -> String {
    format!("guard_{number:04}")
}

fn posted(path: &str, key: &str, media_type: &str, body: String) -> Result<Request<Body>, Box<dyn Error>> {
    let request = Request::post(path).header("x-api-key", key).header(header::CONTENT_TYPE, media_type);
    Ok(request.body(Body::from(body))?)
}

/// The program without its sockets, on a store of calls in progress; and a key.
async fn filled(folder: &std::path::Path) -> Result<(Router, String), Box<dyn Error>> {
    let config = Config { data: folder.to_owned(), ..Config::default() };
    let clock = Clock::of(|| Timestamp::from_millis(samples::BEGIN + 3_600_000));
    let app = App::start(&config, clock).await?;
    let key = app.first_key.clone().ok_or("the first start makes a key")?;
    let feed = Feed::start(&config.tenant, &app.ledger, CancellationToken::new());
    let (routes, _) = server::routes(&config, &feed);
    let router = routes.with_state(Arc::clone(&app.ledger));
    let calls = (0..CALLS).flat_map(|number| samples::call(&name_of(number), samples::FEW, false));
    let body = Value::Array(calls.collect()).to_string();
    let filling = router.clone().oneshot(posted("/v1/events", &key, "application/json", body)?).await?;
    if filling.status() != StatusCode::OK {
        return Err(format!("the store was not filled: {}", filling.status()).into());
    }
    Ok((router, key))
}

/// Folds a call again and again.
fn fold_again(events: u32, rounds: u32) -> Result<(), Box<dyn Error>> {
    let mut history = Vec::new();
    for event in samples::call("guard", events, true) {
        let received_at = Timestamp::from_millis(samples::BEGIN + 3_600_000);
        let read = sources::native::LineReader::new(received_at).read(&event.to_string())?;
        for telling in read.tellings {
            history.push(vocabulary::tell(telling)?.event);
        }
    }
    let history = History::of(history).ok_or("a call has events")?;
    for _ in 0..rounds {
        black_box(fold(black_box(&history)));
    }
    Ok(())
}
