//! The tenant dialect: two counts by form post, and the live count pushed through a WebSocket
//! (contract, tenant-dialect.txt).

mod body;
mod failure;
mod feed;
mod guests;
mod handlers;
mod socket;
#[cfg(test)]
mod tests;
mod trail;
mod wire;

use std::sync::Arc;

use axum::{Extension, Router, routing::get};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::Ledger,
    web::document::{self, Family},
};

pub use feed::Feed;
pub use guests::Door;

/// What the query of the WebSocket may hold.
pub const SOCKET_PARAMETERS: [&str; 1] = ["api_key"];

/// How this dialect is served.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who may ask.
    pub access: AccessMode,
    /// How many WebSocket connections are held at once; one more is told to come back later.
    pub max_connections: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { access: AccessMode::Key, max_connections: 20_000 }
    }
}

/// Who may ask. The document of this dialect shows no key, so its clients may have none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessMode {
    /// Whoever shows a key.
    #[default]
    Key,
    /// Anybody.
    Open,
}

/// What this dialect says of a path of its own that leads nowhere.
pub fn no_route() -> axum::response::Response {
    axum::response::IntoResponse::into_response(failure::Failure::no_page())
}

/// A refusal in this dialect's words.
pub fn refused(refusal: crate::access::Refusal) -> axum::response::Response {
    axum::response::IntoResponse::into_response(failure::Failure::from(refusal))
}

/// The routes of the main port.
pub fn routes(config: Config, feed: Arc<Feed>) -> OpenApiRouter<Arc<Ledger>> {
    let documented = OpenApiRouter::new()
        .routes(routes!(handlers::get_cdr_stats))
        .routes(routes!(handlers::get_live_calls));
    let family = Family::with_key().open_if(config.access == AccessMode::Open);
    let (documented, mut api) =
        document::complete::<wire::ErrorBody, _>(documented, &family).split_for_parts();
    for operation in ["get_cdr_stats", "get_live_calls"] {
        document::make_body_optional(&mut api, operation);
    }
    document::show_example(&mut api, "get_cdr_stats", include_str!("golden/cdr_stats.json"));
    document::show_example(&mut api, "get_live_calls", include_str!("golden/live_calls.json"));
    let router = documented
        .method_not_allowed_fallback(|| async { failure::Failure::only("POST") })
        .layer(Extension(config))
        .merge(socket_at("/ws/live", feed));
    let mut routes = OpenApiRouter::from(router);
    *routes.get_openapi_mut() = api;
    routes
}

/// The routes of the live port: the WebSocket at `/`, as the document has it.
pub fn live_routes<S: Clone + Send + Sync + 'static>(feed: Arc<Feed>) -> Router<S> {
    socket_at("/", feed).fallback(|| async { failure::Failure::no_page() })
}

fn socket_at<S: Clone + Send + Sync + 'static>(path: &str, feed: Arc<Feed>) -> Router<S> {
    Router::new()
        .route(path, get(socket::connect))
        .method_not_allowed_fallback(|| async { failure::Failure::only("GET") })
        .layer(Extension(feed))
}
