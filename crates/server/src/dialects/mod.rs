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

use crate::{access::Refusal, web::failure::Failure};

/// The dialect that answers for a path.
enum Family {
    Agent,
    Organization,
    Tenant,
    Native,
}

impl Family {
    fn of(path: &str) -> Self {
        match path {
            path if path.starts_with("/api/agents/") => Self::Agent,
            path if path.starts_with("/api/") => Self::Organization,
            path if path.starts_with("/apis/") || path.starts_with("/ws/") => Self::Tenant,
            _ => Self::Native,
        }
    }
}

/// What is said of a path that leads nowhere: in the words of the dialect whose path it would be.
pub async fn no_route(uri: Uri) -> Response {
    match Family::of(uri.path()) {
        Family::Agent => agent::no_route(),
        Family::Organization => organization::no_route(),
        Family::Tenant => tenant::no_route(),
        Family::Native => Failure::no_route().into_response(),
    }
}

/// A refusal that does not depend on a handler, in the words of the dialect whose path it is.
pub fn refused(path: &str, refusal: Refusal) -> Response {
    match Family::of(path) {
        Family::Agent => agent::refused(refusal),
        Family::Organization => organization::refused(refusal),
        Family::Tenant => tenant::refused(refusal),
        Family::Native => Failure::from(refusal).into_response(),
    }
}
