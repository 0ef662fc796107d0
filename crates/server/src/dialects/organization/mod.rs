//! The organization dialect: `/api/calls`, every answer in one envelope, enums in capitals, times in epoch milliseconds.
//!
//! Source: contract, organization-dialect-list.txt and organization-dialect-get.txt.

mod caller;
mod criteria;
mod failure;
mod handlers;
mod listing;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::Ledger,
    web::document::{self, Family},
};

/// What this dialect says of a path of its own that leads nowhere.
pub fn no_route() -> axum::response::Response {
    axum::response::IntoResponse::into_response(failure::Failure::path())
}

/// A refusal in this dialect's words.
pub fn refused(refusal: crate::access::Refusal) -> axum::response::Response {
    axum::response::IntoResponse::into_response(failure::Failure::from(refusal))
}

/// The routes of this dialect.
pub fn routes() -> OpenApiRouter<Arc<Ledger>> {
    let (list_schemas, list_paths, list) = routes!(handlers::list, handlers::search);
    let (performance_schemas, performance_paths, performance) = routes!(handlers::agent_performance);
    let (get_schemas, get_paths, get) = routes!(handlers::get);
    // A fallback of each route, not of the router: the application merges routers, and each dialect refuses a method
    // in its own words.
    let router = OpenApiRouter::new()
        .routes((list_schemas, list_paths, list.fallback(handlers::wrong_method)))
        .routes((get_schemas, get_paths, get.fallback(handlers::wrong_method)))
        .routes((performance_schemas, performance_paths, performance.fallback(handlers::wrong_method)));
    let mut router = document::complete::<wire::FailureEnvelope, _>(router, &Family::with_key_pair());
    for (operation, golden) in [
        ("organization_list_calls", include_str!("golden/list.json")),
        ("organization_search_calls", include_str!("golden/list.json")),
        ("organization_get_call", include_str!("golden/get.json")),
    ] {
        document::show_example(router.get_openapi_mut(), operation, golden);
    }
    router
}
