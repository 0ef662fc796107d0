//! OUT: the API families that exist in the wild, each to the letter, each in a folder of its own.
//!
//! A dialect reads a request in its words, asks [`crate::access`], and puts the answer in its words. No dialect knows
//! another, the store, or a source.

pub mod agent;
pub mod organization;
pub mod tenant;
pub mod v1;

use axum::{
    http::Uri,
    response::{IntoResponse, Response},
};

use crate::web::failure::Failure;

/// What is said of a path that leads nowhere: in the words of the dialect whose path it would be.
pub async fn no_route(uri: Uri) -> Response {
    match uri.path() {
        path if path.starts_with("/api/agents/") => agent::no_route(),
        path if path.starts_with("/api/") => organization::no_route(),
        path if path.starts_with("/apis/") => tenant::no_route(),
        _ => Failure::no_route().into_response(),
    }
}
