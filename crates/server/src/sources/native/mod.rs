//! The native source: events in the words of contract/events.md, over HTTP; and its hang-up, a signed order to the
//! control URL that an organization registers.

mod handlers;
pub mod hangup;
mod wire;

use std::sync::Arc;

use pegcount_calls::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Mapped;
use crate::{
    access::Ledger,
    intake::CallReference,
    vocabulary::{Telling, Told, source_name},
};

/// What can be set.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Control URLs may lead to private and loopback addresses, and may be plain `http`.
    pub allow_private_control_urls: bool,
}

/// The name of this source.
pub const NAME: &str = "native";

/// Its routes.
pub fn routes(config: &Config) -> OpenApiRouter<Arc<Ledger>> {
    OpenApiRouter::new()
        .routes(routes!(handlers::post_events))
        .routes(routes!(handlers::get_control_url, handlers::put_control_url, handlers::delete_control_url))
        .layer(axum::Extension(config.clone()))
}

/// Reads one line of a file of events: the form of `POST /v1/events`.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn read_line(line: &str, received_at: Timestamp) -> Result<Mapped, String> {
    let read = wire::read(wire::Form::Lines, line.as_bytes(), &source_name(NAME), received_at);
    let read = read.map_err(|error| match error {
        wire::Unreadable::NotJson(sentence) => sentence,
        wire::Unreadable::TooMany(_) => "there is more than one event in the line".to_owned(),
    });
    let event = read?.pop().ok_or("the line is empty")?;
    let (call, Told { report, .. }) = event.map_err(|rejection| rejection.message)?;
    let telling = Telling {
        id: report.id,
        at: report.at,
        at_given: report.at_given,
        received_at: report.received_at,
        source: report.source,
        kind: report.kind,
        data: report.data.as_json_text().to_owned(),
    };
    Ok(Mapped { call: CallReference::Named(call), tellings: vec![telling] })
}

#[cfg(test)]
mod tests;
