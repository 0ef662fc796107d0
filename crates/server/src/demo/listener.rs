//! What the demonstration serves on this machine while it runs: the sound of its calls, and a control URL.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use data_encoding::BASE64;
use serde::Deserialize;
use standardwebhooks::Webhook;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc, oneshot},
    task::JoinHandle,
};

use super::{script::script, sound};
use crate::web::range::{Part, part};

/// The port that is tried first, so that recordings of an earlier run play again while another one runs.
const USUAL_PORT: u16 = 8095;
/// Where orders are posted to. An URL that ends so was registered by a demonstration.
const HANG_UP_PATH: &str = "/pegcount-demo/hang-up";
/// Longest order in bytes.
const LONGEST_ORDER: usize = 16 * 1024;
/// Recordings that are computed at once.
const RECORDINGS_AT_ONCE: usize = 2;

/// An order to hang up a call.
pub(super) struct HangUp {
    /// The call.
    pub(super) call: String,
    /// Gets whether the call is one of this run and live.
    pub(super) taken: oneshot::Sender<bool>,
}

/// A server on this machine's loopback address. It ends when it is dropped.
pub(super) struct Listener {
    address: SocketAddr,
    secret: String,
    task: JoinHandle<()>,
}

struct Served {
    webhook: Webhook,
    orders: mpsc::Sender<HangUp>,
    room: Semaphore,
}

impl Listener {
    /// Starts it. Orders with a good signature go to `orders`.
    pub(super) async fn start(orders: mpsc::Sender<HangUp>) -> Result<Self, String> {
        let mut random = [0_u8; 32];
        getrandom::fill(&mut random).map_err(|error| error.to_string())?;
        let secret = format!("whsec_{}", BASE64.encode(&random));
        let webhook = Webhook::new(&secret).map_err(|error| error.to_string())?;
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, USUAL_PORT)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| error.to_string())?,
        };
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let served = Served { webhook, orders, room: Semaphore::new(RECORDINGS_AT_ONCE) };
        let router = Router::new()
            .route("/recordings/{file}", get(recording))
            .route(HANG_UP_PATH, post(hang_up))
            .layer(DefaultBodyLimit::max(LONGEST_ORDER))
            .with_state(Arc::new(served));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "recordings and hang-up orders are not served any more");
            }
        });
        Ok(Self { address, secret, task })
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What orders must be signed with.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// Where orders are posted to.
    pub(super) fn control_url(&self) -> String {
        format!("http://{}{HANG_UP_PATH}", self.address)
    }

    /// Where the recording of the call with this seed can be had.
    pub(super) fn recording_url(&self, seed: u64) -> String {
        format!("http://{}/recordings/{seed:016x}.wav", self.address)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The address in a control URL that a demonstration on this machine registered; `None` for one of anybody else.
pub(super) fn demo_address(control_url: &str) -> Option<SocketAddr> {
    let address = control_url.strip_prefix("http://")?.strip_suffix(HANG_UP_PATH)?;
    address.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback())
}

/// Serves a recording, computed from the seed in its name.
async fn recording(
    State(served): State<Arc<Served>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Response {
    let seed = file.strip_suffix(".wav").and_then(|seed| u64::from_str_radix(seed, 16).ok());
    let Some(seed) = seed else { return StatusCode::NOT_FOUND.into_response() };
    let Ok(_permit) = served.room.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let made = tokio::task::spawn_blocking(move || sound::wav(&script(seed))).await;
    let Some(sound) = made.ok().flatten() else { return StatusCode::NOT_FOUND.into_response() };
    let size = sound.len() as u64;
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (status, range) = match range.map_or(Part::Whole, |range| part(range, size)) {
        Part::Whole => (StatusCode::OK, 0..size),
        Part::Bytes(range) => (StatusCode::PARTIAL_CONTENT, range),
        Part::Beyond => {
            let all = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return (StatusCode::RANGE_NOT_SATISFIABLE, all).into_response();
        }
    };
    let shown = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
    let mut response =
        (status, Bytes::from(sound).slice(range.start as usize..range.end as usize)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("audio/wav"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(shown) = HeaderValue::from_str(&shown)
    {
        headers.insert(header::CONTENT_RANGE, shown);
    }
    response
}

#[derive(Deserialize)]
struct Order {
    r#type: String,
    data: Ordered,
}

#[derive(Deserialize)]
struct Ordered {
    call_id: String,
}

/// Takes an order: 200 when the call will end, 401 for a bad signature, 404 for a call that is not live here.
async fn hang_up(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if let Err(error) = served.webhook.verify(&body, &headers) {
        tracing::warn!(%error, "a hang-up order was refused: its signature does not fit");
        return StatusCode::UNAUTHORIZED;
    }
    let order = match serde_json::from_slice::<Order>(&body) {
        Ok(order) if order.r#type == "call.hangup" => order,
        Ok(_) | Err(_) => return StatusCode::BAD_REQUEST,
    };
    let (taken, answer) = oneshot::channel();
    if served.orders.send(HangUp { call: order.data.call_id, taken }).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    match answer.await {
        Ok(true) => StatusCode::OK,
        Ok(false) => StatusCode::NOT_FOUND,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
