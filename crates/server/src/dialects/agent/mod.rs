//! The agent dialect: every call of one agent as one array, refusals as FastAPI words them.
//!
//! Source: contract, agent-dialect.txt.

mod failure;
mod handlers;
mod query;
mod stream;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Extension;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::Ledger,
    web::document::{self, Family},
};

/// How this dialect is set up.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who may read.
    pub access: AccessMode,
}

/// Who may read: the document of this dialect shows no key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessMode {
    /// Who shows a key.
    #[default]
    Key,
    /// Anybody.
    Open,
}

/// What this dialect says of a path of its own that leads nowhere.
pub fn no_route() -> axum::response::Response {
    axum::response::IntoResponse::into_response(failure::Failure::path())
}

/// A refusal in this dialect's words.
pub fn refused(refusal: crate::access::Refusal) -> axum::response::Response {
    axum::response::IntoResponse::into_response(failure::Failure::from(refusal))
}

/// The routes of this dialect.
pub fn routes(config: Config) -> OpenApiRouter<Arc<Ledger>> {
    let (schemas, paths, methods) = routes!(handlers::call_stats);
    // A fallback of the route, not of the router: the application merges routers, and each dialect refuses a method in
    // its own words.
    let family = Family::with_key().open_if(config.access == AccessMode::Open);
    let methods = methods.fallback(handlers::wrong_method).layer(Extension(config));
    let router = OpenApiRouter::new().routes((schemas, paths, methods));
    let mut router = document::complete::<wire::Detail, _>(router, &family);
    document::show_example(
        router.get_openapi_mut(),
        "agent_call_stats",
        include_str!("golden/call_stats.json"),
    );
    router
}
