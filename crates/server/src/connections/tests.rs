//! Clients that say nothing, take nothing, or are too many, over loopback.

use std::{net::SocketAddr, time::Duration};

use axum::{http::StatusCode, response::IntoResponse, routing::get};
use bytes::Bytes;
use futures_util::stream;
use rustls::server::{ClientHello, ResolvesServerCert};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::metrics::{Metrics, TextFormat};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const BIG: usize = 16 * 1024 * 1024;

fn short() -> Deadlines {
    Deadlines {
        handshake: Duration::from_millis(200),
        first_request: Duration::from_millis(200),
        idle: Duration::from_millis(200),
        answer: Duration::from_millis(400),
        reserve: Duration::from_millis(400),
        goodbye: Duration::from_millis(100),
        ..Deadlines::default()
    }
}

#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }
}

fn tls() -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_no_client_auth().with_cert_resolver(Arc::new(NoCertificate)))
}

/// An answer that takes longer to make than a client may take to read a part of one.
fn slow_answer() -> Body {
    Body::from_stream(stream::unfold(0, |part| async move {
        tokio::time::sleep(short().answer).await;
        (part < 3).then(|| (Ok::<_, Infallible>(Bytes::from_static(b"part ")), part + 1))
    }))
}

struct Port {
    address: SocketAddr,
    metrics: Metrics,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
}

impl Port {
    async fn open(caps: Caps, tls: Option<Arc<ServerConfig>>) -> Self {
        Self::with(caps, tls, short()).await
    }

    async fn with(caps: Caps, tls: Option<Arc<ServerConfig>>, deadlines: Deadlines) -> Self {
        let router = Router::new()
            .route("/healthz", get(|| async { "well" }))
            .route("/big", get(|| async { vec![b'x'; BIG] }))
            .route("/slow", get(|| async { slow_answer() }))
            .route(
                "/endless",
                get(|| async { Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()) }),
            );
        let refuse = |_: &str| (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "5")]).into_response();
        let front = Front { router, always: &["/healthz"], refuse };
        let metrics = Metrics::default();
        let connections = Connections::with_deadlines(caps, tls, metrics.connections.clone(), deadlines);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(connections.serve(listener, front, stop.clone()));
        Self { address, metrics, stop, served }
    }

    async fn roomy() -> Self {
        Self::open(Caps { connections: 100, per_address: 100, proxies: Vec::new() }, None).await
    }

    async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    fn has_closed(&self, reason: &str, count: usize) -> bool {
        let line = format!("pegcount_connections_closed_total{{reason=\"{reason}\"}} {count}\n");
        self.metrics.render(TextFormat::Prometheus).contains(&line)
    }

    /// Waits until so many connections were closed for this reason, and no place is taken any more.
    async fn closes(&self, reason: &str, count: usize) {
        let closed = async {
            while !self.has_closed(reason, count) || self.metrics.connections.open.get() > 0 {
                tokio::task::yield_now().await;
            }
        };
        let in_time = timeout(PATIENCE, closed).await.is_ok();
        assert!(in_time, "{reason}: {}", self.metrics.render(TextFormat::Prometheus));
    }
}

/// The whole answer of a connection that the other side closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut text)).await.unwrap().unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

fn get_of(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes()
}

/// `GET /big` as the first request of an HTTP/2 connection.
fn http2_get() -> Vec<u8> {
    http2_request("/big", 1)
}

/// A `GET` as a stream of an HTTP/2 connection.
fn http2_request(path: &str, stream: u8) -> Vec<u8> {
    let head = [&[0x82, 0x86, 4, path.len() as u8], path.as_bytes(), b"\x01\x01a"].concat();
    [&[0, 0, head.len() as u8, 1, 5, 0, 0, 0, stream], head.as_slice()].concat()
}

/// The next frame: its type, its stream and what is in it.
async fn frame(stream: &mut TcpStream) -> Option<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    timeout(PATIENCE, stream.read_exact(&mut head)).await.unwrap().ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    timeout(PATIENCE, stream.read_exact(&mut payload)).await.unwrap().ok()?;
    Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
}

/// Types and errors of frames (RFC 9113).
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const REFUSED_STREAM: u8 = 7;
const ENHANCE_YOUR_CALM: u8 = 11;

#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed() {
    let port = Port::roomy().await;
    let silent = [
        b"".as_slice(),
        b"P",
        b"GET / HTTP/1.1\r\nhost:",
        &PREFACE[..14],
        PREFACE,
        &[PREFACE, SETTINGS].concat(),
    ];
    let mut open = Vec::new();
    for bytes in silent {
        open.push(port.send(bytes).await);
    }
    port.closes("silent", silent.len()).await;
    for stream in open {
        rest(stream).await;
    }
}

#[tokio::test]
async fn a_connection_without_a_handshake_is_closed() {
    let port = Port::open(Caps { connections: 9, per_address: 9, proxies: Vec::new() }, Some(tls())).await;
    let silent = port.send(b"").await;
    let partial = port.send(b"\x16\x03\x01").await;
    port.closes("handshake", 2).await;
    drop((silent, partial));
}

#[tokio::test]
async fn a_connection_between_requests_is_closed() {
    let port = Port::roomy().await;
    let stream = port.send(&get_of("/healthz")).await;
    assert!(rest(stream).await.ends_with("well"));
    let settled = port.send(&[PREFACE, SETTINGS].concat()).await;
    port.closes("silent", 1).await;
    drop(settled);
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_cut_off() {
    let port = Port::roomy().await;
    let plain = port.send(&get_of("/big")).await;
    let http2 = port.send(&[PREFACE, SETTINGS, &http2_get()].concat()).await;
    let no_window = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    let closed_window = port.send(&[PREFACE, &no_window, &http2_get()].concat()).await;
    port.closes("unread", 3).await;
    drop((plain, http2, closed_window));
}

#[tokio::test]
async fn an_http2_client_that_answers_no_ping_is_cut_off() {
    // No other deadline comes first.
    let (ping, long) = (Duration::from_millis(100), PATIENCE * 10);
    let deadlines = Deadlines { ping, first_request: long, idle: long, answer: long, ..short() };
    let port =
        Port::with(Caps { connections: 9, per_address: 9, proxies: Vec::new() }, None, deadlines).await;
    let gone = port.send(&[PREFACE, SETTINGS, &http2_request("/endless", 1)].concat()).await;
    rest(gone).await;
    assert_eq!(port.metrics.connections.open.get(), 0);
}

#[tokio::test]
async fn pings_are_no_request() {
    let port = Port::roomy().await;
    let mut stream = port.send(&[PREFACE, SETTINGS].concat()).await;
    let flood = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].repeat(1_000);
    let sent = async { while stream.write_all(&flood).await.is_ok() {} };
    timeout(PATIENCE, sent).await.expect("it is closed");
    port.closes("silent", 1).await;
}

#[tokio::test]
async fn more_requests_at_once_than_allowed_are_refused_and_the_rest_go_on() {
    let port = Port::roomy().await;
    let mut bytes = [PREFACE, SETTINGS].concat();
    for number in 0..=MOST_STREAMS {
        bytes.extend(http2_request("/slow", (2 * number + 1) as u8));
    }
    let mut stream = port.send(&bytes).await;
    let (mut refused, mut ended) = (Vec::new(), 0);
    while refused.is_empty() || ended < MOST_STREAMS {
        let (kind, number, payload) = frame(&mut stream).await.expect("the connection goes on");
        match kind {
            RST_STREAM => refused.push((number, payload[3])),
            // The last part of an answer is empty.
            0 if payload.is_empty() => ended += 1,
            _ => {}
        }
    }
    assert_eq!(refused, [(2 * MOST_STREAMS + 1, REFUSED_STREAM)]);
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_end_the_connection() {
    let port = Port::roomy().await;
    let mut bytes = [PREFACE, SETTINGS].concat();
    for stream in (1..=253).step_by(2) {
        bytes.extend(http2_request("/slow", stream));
        bytes.extend([0, 0, 4, RST_STREAM, 0, 0, 0, 0, stream, 0, 0, 0, 8]);
    }
    let mut stream = port.send(&bytes).await;
    let error = loop {
        let (kind, _, payload) = frame(&mut stream).await.expect("it says goodbye");
        if kind == GOAWAY {
            break payload[7];
        }
    };
    assert_eq!(error, ENHANCE_YOUR_CALM);
}

#[tokio::test]
async fn a_slow_reader_and_a_slow_answer_are_served() {
    let port = Port::roomy().await;
    let mut stream = port.send(&get_of("/big")).await;
    let (mut taken, mut buffer) = (0, vec![0; 1024 * 1024]);
    while taken < BIG {
        taken += timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
        tokio::time::sleep(short().answer / 10).await;
    }
    let stream = port.send(&get_of("/slow")).await;
    let answer = rest(stream).await;
    assert_eq!(answer.matches("part ").count(), 3, "{answer}");
    assert!(!port.has_closed("unread", 1));
}

#[tokio::test]
async fn a_connection_beyond_the_caps_is_told_so_and_health_is_answered() {
    let port = Port::open(Caps { connections: 3, per_address: 2, proxies: Vec::new() }, None).await;
    let mut taken = Vec::new();
    for _ in 0..2 {
        taken.push(port.send(&get_of("/slow")[..1]).await);
    }
    let refused = rest(port.send(&get_of("/big")).await).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 5"), "{refused}");
    assert!(rest(port.send(&get_of("/healthz")).await).await.ends_with("well"));
    let metrics = port.metrics.render(TextFormat::Prometheus);
    assert!(metrics.contains("refused_total{reason=\"connections_per_address\"} 2"), "{metrics}");
    // Many that say nothing do not keep a health check out.
    for _ in 0..200 {
        taken.push(port.send(b"").await);
    }
    let mut health = TcpStream::connect(port.address).await.unwrap();
    health.write_all(&get_of("/healthz")).await.unwrap();
    assert!(rest(health).await.ends_with("well"));
}

#[tokio::test]
async fn an_order_to_stop_ends_every_connection() {
    let port = Port::roomy().await;
    let silent = port.send(b"P").await;
    let settled = port.send(&[PREFACE, SETTINGS].concat()).await;
    let under_way = port.send(&get_of("/slow")).await;
    while port.metrics.connections.open.get() < 3 {
        tokio::task::yield_now().await;
    }
    port.stop.cancel();
    assert_eq!(rest(under_way).await.matches("part ").count(), 3);
    timeout(PATIENCE, port.served).await.unwrap().unwrap();
    drop((silent, settled));
}
