//! The v1 dialect: `/v1/calls` to the letter of its document, and in its style the native resources of cli.md.

mod audit;
mod caller;
mod directory;
mod explain;
mod handlers;
mod intervals;
mod jobs;
mod keys;
mod live;
mod log;
mod matches;
mod outbound;
mod privacy;
mod query;
mod recording;
mod registrations;
mod sip_trace;
mod statistics;
mod stored;
mod trends;
mod wire;

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::Ledger,
    web::{
        document::{self, Family},
        failure::FailureBody,
    },
};

/// Its routes.
pub fn routes() -> OpenApiRouter<Arc<Ledger>> {
    let router = OpenApiRouter::new()
        .routes(routes!(handlers::list_calls))
        .routes(routes!(handlers::get_call, handlers::erase_call))
        .routes(routes!(handlers::call_events))
        .routes(routes!(handlers::hang_up))
        .routes(routes!(handlers::call_stats))
        .routes(routes!(live::live_calls))
        .routes(routes!(recording::recording))
        .routes(routes!(explain::explain_call))
        .routes(routes!(trends::trends))
        .routes(routes!(statistics::statistics))
        .routes(routes!(directory::list_endpoints, directory::create_endpoint))
        .routes(routes!(directory::get_endpoint, directory::change_endpoint, directory::delete_endpoint))
        .routes(routes!(directory::list_phone_numbers, directory::create_phone_number))
        .routes(routes!(
            directory::get_phone_number,
            directory::change_phone_number,
            directory::delete_phone_number
        ))
        .routes(routes!(keys::list_keys, keys::create_key))
        .routes(routes!(keys::revoke_key))
        .routes(routes!(keys::rotate_key))
        .routes(routes!(audit::list_audit))
        .routes(routes!(jobs::list_jobs))
        .routes(routes!(jobs::get_job, jobs::forget_job))
        .routes(routes!(jobs::retry_job))
        .routes(routes!(privacy::get_hold, privacy::set_hold, privacy::release_hold))
        .routes(routes!(privacy::create_erasure))
        .routes(routes!(privacy::get_erasure))
        .routes(routes!(outbound::place_call))
        .routes(routes!(sip_trace::sip_trace))
        .routes(routes!(registrations::list_registrations))
        .routes(routes!(recording::audio))
        .routes(routes!(log::call_log));
    let mut router = document::complete::<FailureBody, _>(router, &Family::native());
    document::make_body_optional(router.get_openapi_mut(), "rotate_key");
    for (operation, golden) in [
        ("list_calls", include_str!("golden/list.json")),
        ("get_call", include_str!("golden/get.json")),
        ("call_stats", include_str!("golden/stats.json")),
        ("call_events", include_str!("golden/events.json")),
    ] {
        document::show_example(router.get_openapi_mut(), operation, golden);
    }
    router
}

#[cfg(test)]
mod tests;
