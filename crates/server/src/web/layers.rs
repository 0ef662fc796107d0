//! What happens to every request: an id, a line in the log, a count, leave for pages of other origins, compression, a look
//! at its parameters, and no panic that reaches a client.

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method, Response},
    middleware::{self, Next},
    response::IntoResponse,
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::CorsLayer,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
};
use tracing::Instrument;

use super::{
    compression, cors,
    failure::Failure,
    host,
    route_table::{self, RouteTable},
    terminal,
};
use crate::{
    access::Refusal,
    metrics::{Metrics, RequestLabels},
};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over from a client.
const LONGEST_REQUEST_ID: usize = 128;

#[derive(Clone)]
struct NewRequestId;

impl MakeRequestId for NewRequestId {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        let id = format!("req_{}", uuid::Uuid::now_v7().simple());
        HeaderValue::from_str(&id).ok().map(RequestId::new)
    }
}

/// What the layers need to know of a router.
pub struct Surroundings {
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// What each route takes.
    pub table: RouteTable,
    /// Words a refusal as the routes below a path do.
    pub refuse: fn(&str, Refusal) -> axum::response::Response,
    /// What pages of other origins may read; `None`: nothing.
    pub cors: Option<CorsLayer>,
}

/// Puts the layers around a router. The outermost comes last.
pub fn around(router: Router, surroundings: Surroundings) -> Router {
    let Surroundings { metrics, table, refuse, cors } = surroundings;
    // Shown from the start, so that a first failure is seen as a rise. Other statuses come with their first request.
    for (route, method) in table.operations() {
        for status in [500, 503] {
            let labels = RequestLabels { route: route.to_owned(), method: label_of(method), status };
            drop(metrics.requests.get_or_create(&labels));
        }
    }
    let table = Arc::new(table);
    let (options_table, preflight_table) = (Arc::clone(&table), Arc::clone(&table));
    router
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| -> Response<Body> {
            let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
            let sentence = "Something went wrong in the server; its log knows more under this request's id";
            Failure::new(status, "INTERNAL", sentence).into_response()
        }))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let table = Arc::clone(&table);
            async move { route_table::check_parameters(&table, refuse, request, next).await }
        }))
        .layer(middleware::from_fn(terminal::end_line))
        .layer(middleware::from_fn(compression::apply))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let table = Arc::clone(&options_table);
            async move { route_table::answer_options(&table, request, next).await }
        }))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let (cors, table) = (cors.clone(), Arc::clone(&preflight_table));
            async move { cors::apply(cors, &table, request, next).await }
        }))
        .layer(middleware::from_fn(move |request: Request, next: Next| host::check(refuse, request, next)))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let metrics = Arc::clone(&metrics);
            async move { observe(&metrics, request, next).await }
        }))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID.clone()))
        .layer(SetRequestIdLayer::new(REQUEST_ID.clone(), NewRequestId))
        .layer(middleware::from_fn(drop_odd_request_id))
}

/// A client's request id is taken over, but not one that would make a mess of the log.
async fn drop_odd_request_id(mut request: Request, next: Next) -> axum::response::Response {
    let odd = request.headers().get(&REQUEST_ID).is_some_and(|id| {
        id.len() > LONGEST_REQUEST_ID || id.is_empty() || !id.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    if odd {
        request.headers_mut().remove(&REQUEST_ID);
    }
    next.run(request).await
}

/// The method as a metric's label. A client may send any word for one: each would be a series for as long as the
/// program runs.
fn label_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

async fn observe(metrics: &Metrics, request: Request, next: Next) -> axum::response::Response {
    let begun = Instant::now();
    let method = label_of(request.method());
    // The route with its placeholders: the path itself would hold ids, and numbers without end.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let request_id = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let span = tracing::info_span!("request", request_id, method, route);
    let response = next.run(request).instrument(span.clone()).await;
    let (status, duration) = (response.status(), begun.elapsed());
    metrics.request_seconds.observe(duration.as_secs_f64());
    metrics.requests.get_or_create(&RequestLabels { route, method, status: status.as_u16() }).inc();
    span.in_scope(|| {
        let duration_ms = duration.as_secs_f64() * 1000.0;
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), duration_ms, "answered");
        } else {
            tracing::debug!(status = status.as_u16(), duration_ms, "answered");
        }
    });
    response
}
