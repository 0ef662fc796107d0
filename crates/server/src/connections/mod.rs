//! Connections that clients open over HTTP: how many there may be, and how long each phase of one may take.
//!
//! Both ports share one [`Connections`]. A connection has a deadline in every phase: TLS handshake, first request, the
//! time between requests, and each part of an answer. The body of a request has its own in `web/body.rs`, the WebSocket in
//! its dialect.

mod admission;
mod backoff;
mod deadlines;
mod descriptors;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub use admission::Caps;
pub use backoff::Backoff;
pub use deadlines::Deadlines;
pub use descriptors::{Descriptors, Wanted};

use self::{
    admission::{Admission, Place, Placed},
    deadlines::{Activity, TimedBody},
};
use crate::metrics::{Closed, ConnectionMetrics};

/// Requests of one HTTP/2 connection that may be under way at once.
const MOST_STREAMS: u32 = 100;
/// Bytes of one HTTP/2 request that may be on their way unread, and of all requests of its connection.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Largest head of an HTTP/1 request, in bytes.
const LARGEST_HEAD: usize = 64 * 1024;

/// What one port serves.
#[derive(Clone)]
pub struct Front {
    /// The routes.
    pub router: Router,
    /// Paths that are answered even when every place is taken.
    pub always: &'static [&'static str],
    /// Tells a client that every place is taken.
    pub refuse: fn(path: &str) -> Response,
}

impl Front {
    async fn answer(self, request: Request, is_reserve: bool) -> Response {
        let path = request.uri().path();
        if is_reserve && !self.always.contains(&path) {
            return (self.refuse)(path);
        }
        let answered = self.router.oneshot(request).await;
        answered.unwrap_or_else(|never| match never {})
    }
}

/// Takes connections on every port, within the same bounds.
pub struct Connections {
    admission: Arc<Admission>,
    tls: Option<TlsAcceptor>,
    deadlines: Deadlines,
    metrics: ConnectionMetrics,
}

impl Connections {
    /// Those that fit these caps, over TLS if there is a configuration for it.
    pub fn new(caps: Caps, tls: Option<Arc<ServerConfig>>, metrics: ConnectionMetrics) -> Arc<Self> {
        Self::with_deadlines(caps, tls, metrics, Deadlines::default())
    }

    fn with_deadlines(
        caps: Caps,
        tls: Option<Arc<ServerConfig>>,
        metrics: ConnectionMetrics,
        deadlines: Deadlines,
    ) -> Arc<Self> {
        let admission = Admission::new(caps, metrics.clone());
        Arc::new(Self { admission, tls: tls.map(TlsAcceptor::from), deadlines, metrics })
    }

    /// Takes connections until `stop`; then requests that are under way may go on for [`Deadlines::shutdown`].
    pub async fn serve(self: Arc<Self>, listener: TcpListener, front: Front, stop: CancellationToken) {
        let mut open = JoinSet::new();
        let mut backoff = Backoff::new("an HTTP connection");
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(_) = open.join_next() => continue,
                accepted = backoff.accept(|| listener.accept()) => accepted,
            };
            let Some((stream, remote)) = accepted else { continue };
            let Some(Placed { place, is_reserve }) = self.admission.admit(remote.ip()) else { continue };
            // A count that is sent must not wait until the one before it was acknowledged. An error shows at the first read.
            let _ = stream.set_nodelay(true);
            let connection =
                Arc::clone(&self).converse(stream, place, is_reserve, front.clone(), stop.child_token());
            let task = open.spawn(connection);
            if is_reserve {
                self.admission.evict_for(task);
                // So that what was evicted is closed before the next one is taken.
                tokio::task::yield_now().await;
            }
        }
        drop(listener);
        let ended = async { while open.join_next().await.is_some() {} };
        // Whatever is left is dropped with the set.
        let _ = timeout(self.deadlines.shutdown, ended).await;
    }

    async fn converse(
        self: Arc<Self>,
        stream: TcpStream,
        place: Place,
        is_reserve: bool,
        front: Front,
        stop: CancellationToken,
    ) {
        let talk = async {
            let Some(tls) = &self.tls else {
                return self.speak(Held { stream, _place: place }, is_reserve, front, stop).await;
            };
            match timeout(self.deadlines.handshake, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.speak(Held { stream, _place: place }, is_reserve, front, stop).await,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a TLS handshake failed");
                    None
                }
                Err(_) => Some(Closed::Handshake),
            }
        };
        let closed = if is_reserve {
            timeout(self.deadlines.reserve, talk).await.unwrap_or(Some(Closed::Reserve))
        } else {
            talk.await
        };
        if let Some(reason) = closed {
            self.metrics.count_closed(reason);
        }
    }

    /// Speaks HTTP until one side has had enough; says why if it was this one.
    async fn speak<S>(
        &self,
        stream: Held<S>,
        is_reserve: bool,
        front: Front,
        stop: CancellationToken,
    ) -> Option<Closed>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let activity = Arc::new(Activity::begin(Instant::now()));
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let under_way = activity.request();
            let answer = front.clone().answer(request.map(Body::new), is_reserve);
            async move { Ok::<_, Infallible>(answer.await.map(|body| TimedBody::new(body, under_way))) }
        });
        let builder = self.builder(is_reserve);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut is_stopping = false;
        let closed = loop {
            let due = activity.due(&self.deadlines, Instant::now());
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection broke");
                    }
                    return None;
                }
                () = stop.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = sleep_until(due) => {
                    if let Some(reason) = activity.overdue(&self.deadlines, Instant::now()) {
                        break reason;
                    }
                }
            }
        };
        // HTTP/2 says goodbye, so that a client knows that a request which crosses it may be sent again.
        connection.as_mut().graceful_shutdown();
        let _ = timeout(self.deadlines.goodbye, connection).await;
        Some(closed)
    }

    fn builder(&self, is_reserve: bool) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.deadlines.idle)
            .keep_alive(!is_reserve)
            .max_buf_size(LARGEST_HEAD);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(self.deadlines.ping)
            .keep_alive_timeout(self.deadlines.ping)
            .max_concurrent_streams(MOST_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        builder
    }
}

/// A stream that keeps its place taken for as long as it is open, as a WebSocket too.
struct Held<S> {
    stream: S,
    _place: Place,
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
