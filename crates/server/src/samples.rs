//! Calls for tests: told in native events, as a source would, and folded without a store.

use pegcount_calls::{CallName, EventId, History, SourceName, Tariff, Timestamp, fold};
use pegcount_store::{CallHead, CallKey, Filed, OrganizationNumber, Report};
use serde_json::Value;
use uuid::Uuid;

use crate::vocabulary::{self, Telling};

/// The reports of events given as a JSON array in the form of `POST /v1/events`; an event without an id is `evt_` and
/// its place.
pub(crate) fn reports(events: &Value) -> Vec<Report> {
    let events = events.as_array().expect("an array of events");
    let told = events.iter().enumerate().map(|(place, event)| {
        let at = &event["created_at"];
        let at = at.as_i64().map(Timestamp::from_millis);
        let at =
            at.or_else(|| vocabulary::time::parse_rfc3339(event["created_at"].as_str()?)).expect("a time");
        let id = event["id"].as_str().map_or_else(|| format!("evt_{:03}", place + 1), str::to_owned);
        let data = event.get("event_data").map_or_else(|| "{}".to_owned(), Value::to_string);
        vocabulary::tell(Telling {
            id: EventId::new(id).unwrap(),
            at,
            at_given: true,
            received_at: at,
            source: SourceName::new("native").unwrap(),
            kind: event["event_type"].as_str().expect("a type").to_owned(),
            data,
        })
        .expect("a valid event")
    });
    let mut reports: Vec<Report> = told.map(|told| told.report).collect();
    reports.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
    reports
}

/// The call that these events make, under this tariff, as if it were on file; endpoint and phone number are not.
pub(crate) fn filed_under(name: &str, events: &Value, tariff: &Tariff) -> (Filed, Vec<Report>) {
    let reports = reports(events);
    let history = History::of(reports.iter().map(|report| vocabulary::read_report(report).unwrap())).unwrap();
    let call = fold(&history);
    let bill = tariff.bill(&call);
    let head = CallHead {
        key: CallKey(1),
        uuid: Uuid::parse_str("550e8400-e29b-41d4-a716-446655440000").unwrap(),
        name: CallName::new(name).unwrap(),
        organization: OrganizationNumber(1),
    };
    let phone_number_id = call.phone_number.clone();
    (
        Filed {
            head,
            former_names: Vec::new(),
            call,
            bill,
            endpoint: None,
            phone_number_id,
            phone_number: None,
            tariff: None,
            folded_by: None,
        },
        reports,
    )
}

/// The call that these events make, as if it were on file, where nothing has a price.
pub(crate) fn filed(name: &str, events: &Value) -> (Filed, Vec<Report>) {
    filed_under(name, events, &Tariff::default())
}
