//! The native source: events in the words of contract/events.md, over HTTP; and its hang-up, a signed order to the
//! control URL that an organization registers.

mod handlers;
pub mod hangup;
mod wire;

use std::{collections::HashMap, sync::Arc};

use pegcount_calls::{CallName, Fact, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Mapped;
use crate::{
    access::Ledger,
    intake::CallReference,
    vocabulary::{Telling, Told, source_name},
    web::{
        document::{self, Family},
        failure::FailureBody,
    },
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

/// Its routes. Control URLs may lead as far as `reach` says.
pub fn routes(reach: hangup::Reach) -> OpenApiRouter<Arc<Ledger>> {
    let router = OpenApiRouter::new()
        .routes(routes!(handlers::post_events))
        .routes(routes!(handlers::get_control_url, handlers::put_control_url, handlers::delete_control_url))
        .layer(axum::Extension(reach));
    document::complete::<FailureBody, _>(router, &Family::native())
}

/// Reads a file of events: each line is of the form of `POST /v1/events`.
pub struct LineReader {
    /// What the next event is dated that names no time: events keep their order.
    next_default: Timestamp,
    /// The last time that the file names of each call that has not ended there; `None` if it names none.
    latest: HashMap<CallName, Option<Timestamp>>,
}

impl LineReader {
    /// A reader of a file that is read at this time.
    pub fn new(received_at: Timestamp) -> Self {
        Self { next_default: received_at, latest: HashMap::new() }
    }

    /// Reads one line. A file is read later than its calls end, so an end that names no time is dated by what the line or
    /// the file says of its call.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn read(&mut self, line: &str) -> Result<Mapped, String> {
        let read = wire::read(wire::Form::Lines, line.as_bytes(), &source_name(NAME), self.next_default);
        let read = read.map_err(|error| match error {
            wire::Unreadable::NotJson(sentence) => sentence,
            wire::Unreadable::TooMany(_) => "there is more than one event in the line".to_owned(),
        });
        let event = read?.pop().ok_or("the line is empty")?;
        let (call, Told { report, event }) = event.map_err(|rejection| rejection.message)?;
        let (mut at, mut data) = (report.at, report.data.as_json_text().to_owned());
        if let Fact::Ended(end) = &event.fact
            && !report.at_given
            && wire::stated_end(end).is_none()
        {
            let latest = self.latest.get(&call).ok_or(
                "the end of the call names no time: give it created_at, or answered_at and duration",
            )?;
            // A call that names no time anywhere is dated by the reading as a whole.
            if let Some(latest) = latest {
                (at, data) = (*latest, concluded(&data));
            }
        }
        if !report.at_given {
            self.next_default = self.next_default.plus_millis(1);
        }
        let is_over = matches!(&event.fact, Fact::Ended(end) if !end.inferred && event.leg.is_none());
        if is_over {
            self.latest.remove(&call);
        } else if event.fact.shows_life() {
            let latest = self.latest.entry(call.clone()).or_default();
            *latest = (*latest).max(report.at_given.then_some(at));
        } else if let Some(latest) = self.latest.get_mut(&call) {
            // What follows an end, such as an analysis, must not keep the call in memory.
            *latest = (*latest).max(report.at_given.then_some(at));
        }
        let telling = Telling {
            id: report.id,
            at,
            at_given: report.at_given,
            received_at: report.received_at,
            source: report.source,
            kind: report.kind,
            data,
        };
        Ok(Mapped { call: CallReference::Named(call), tellings: vec![telling] })
    }
}

/// The data of an end whose time is concluded.
fn concluded(data: &str) -> String {
    match serde_json::from_str::<Map<String, Value>>(data) {
        Ok(mut fields) => {
            fields.insert("inferred".to_owned(), Value::Bool(true));
            Value::Object(fields).to_string()
        }
        Err(_) => data.to_owned(),
    }
}

#[cfg(test)]
mod tests;
