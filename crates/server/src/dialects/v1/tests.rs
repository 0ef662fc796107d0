//! The document's own answers, to the letter: values, nulls, casing, and the order of the keys.

use axum::response::IntoResponse;
use pegcount_calls::{CallQuery, Direction, Document, EndpointName, Paging, StatCell, Stats, Status};
use pegcount_store::{Endpoint, EndpointNumber, Filed, OrganizationNumber, PhoneNumber};
use serde::Serialize;
use serde_json::{Value, json};

use super::wire::{CallDetail, CallList, CallRow, EventBody, EventList, HangupBody, StatsBody};
use crate::{
    access::{Excess, Refusal},
    samples::{filed, reports},
    web::failure::Failure,
};

/// Compares texts, so that the order of the keys and the digits of the numbers count.
fn assert_same(golden: &str, answer: impl Serialize) {
    let golden: Value = serde_json::from_str(golden).unwrap();
    assert_eq!(serde_json::to_string(&answer).unwrap(), serde_json::to_string(&golden).unwrap());
}

fn url(filed: &Filed) -> Option<String> {
    filed.call.content.recording.as_ref()?.url.clone()
}

/// The events of the document, and around them what its call must have been told besides.
fn document_call(transcript: &str) -> Filed {
    let events = json!([
        {"created_at": "2025-01-10T10:00:00Z", "event_type": "call_initiated", "event_data": {
            "direction": "inbound", "from_number": "+14155551234", "to_number": "+2348012345678",
            "endpoint_id": "ep_xyz789", "phone_number_id": "pn_123"}},
        {"created_at": "2025-01-10T10:00:05Z", "event_type": "call_answered"},
        {"created_at": "2025-01-10T10:00:06Z", "event_type": "sip_media_established", "event_data": {
            "codec": "opus", "latency_ms": 120}},
        {"created_at": "2025-01-10T10:02:00Z", "event_type": "media_quality", "event_data": {
            "leg": "agent", "packet_loss": 0.01}},
        {"created_at": "2025-01-10T10:03:05Z", "event_type": "call_completed", "event_data": {
            "duration": 180, "hangup_cause": "normal_clearing"}},
        {"created_at": "2025-01-10T10:03:09Z", "event_type": "cost_item", "event_data": {
            "product": "inbound_call", "cost": "0.12"}},
        {"created_at": "2025-01-10T10:03:20Z", "event_type": "recording_ready", "event_data": {
            "url": "https://storage.krosai.com/recordings/call_abc123.mp3"}},
        {"created_at": "2025-01-10T10:03:30Z", "event_type": "transcript_ready", "event_data": {"text": transcript}},
    ]);
    let mut filed = filed("call_abc123", &events).0;
    filed.endpoint = Some(Endpoint {
        number: EndpointNumber(1),
        organization: OrganizationNumber(1),
        id: EndpointName::new("ep_xyz789").unwrap(),
        name: Some("Support Agent".into()),
        provider: Some("elevenlabs".into()),
        sip_uri: None,
        metadata: Document::from_json_text("{}"),
    });
    filed.phone_number = Some(PhoneNumber {
        organization: OrganizationNumber(1),
        id: filed.phone_number_id.clone().unwrap(),
        number: Some("+2348012345678".into()),
        endpoint: None,
    });
    filed
}

#[test]
fn the_list_of_the_document_comes_out_to_the_letter() {
    let filed = document_call("Hello, how can I help you today?...");
    let list = CallList {
        calls: vec![CallRow::of(&filed, url(&filed))],
        total: Some(156),
        limit: 10,
        offset: 0,
        next_cursor: None,
    };
    assert_same(include_str!("golden/list.json"), list);
}

#[test]
fn the_call_of_the_document_comes_out_to_the_letter() {
    let filed = document_call("Hello, how can I help you today? I'm looking for information about...");
    assert_same(include_str!("golden/get.json"), CallDetail::of(&filed, url(&filed)));
}

#[test]
fn the_events_of_the_document_come_back_as_they_were_sent() {
    let golden: Value = serde_json::from_str(include_str!("golden/events.json")).unwrap();
    let events = reports(&golden["events"]).iter().map(EventBody::from).collect();
    assert_same(include_str!("golden/events.json"), EventList { events });
}

#[test]
fn the_numbers_of_the_document_follow_from_its_calls() {
    let mut stats = Stats::default();
    let cell = |calls, talk_seconds, cents: i128| StatCell {
        calls,
        answered: 0,
        talk_seconds,
        cost_nanos: cents * 10_000_000,
    };
    stats.add(Status::Completed, Direction::Inbound, &cell(760, 30_000, 2400));
    stats.add(Status::Completed, Direction::Outbound, &cell(420, 15_000, 1200));
    stats.add(Status::NoAnswer, Direction::Inbound, &cell(40, 0, 0));
    stats.add(Status::Busy, Direction::Outbound, &cell(30, 0, 0));
    stats.add(Status::InProgress, Direction::Inbound, &cell(9, 0, 0));
    assert_same(include_str!("golden/stats.json"), StatsBody::from(&stats));
}

#[test]
fn statistics_of_nothing_are_zeros() {
    let answer = serde_json::to_value(StatsBody::from(&Stats::default())).unwrap();
    assert!(answer.as_object().unwrap().values().all(|value| *value == json!(0)), "{answer}");
}

#[test]
fn an_order_that_was_taken_is_told_in_the_words_of_the_document() {
    let answer = HangupBody { success: true, message: "Call hangup initiated" };
    assert_same(r#"{"success": true, "message": "Call hangup initiated"}"#, answer);
}

#[test]
fn a_call_that_rings_has_nulls_for_what_is_not_known_yet() {
    let events = json!([
        {"created_at": "2025-01-10T10:00:00.250Z", "event_type": "call_initiated"},
        {"created_at": "2025-01-10T10:00:01Z", "event_type": "call_ringing"},
    ]);
    let filed = filed("call_1", &events).0;
    let golden = r#"{"id":"call_1","from_number":null,"to_number":null,"direction":"inbound","status":"ringing",
        "duration":null,"cost_cents":null,"endpoint":null,"phone_number":null,"recording_url":null,
        "transcript":null,"quality_metrics":null,"hangup_cause":null,"created_at":"2025-01-10T10:00:00.250Z",
        "answered_at":null,"completed_at":null}"#;
    assert_same(golden, CallDetail::of(&filed, None));
}

#[test]
fn every_end_has_the_status_word_of_the_contract() {
    let ended = |kind: &str, data: Value| {
        let events = json!([{"created_at": "2025-01-10T10:00:00Z", "event_type": kind, "event_data": data}]);
        let answer = serde_json::to_value(CallRow::of(&filed("call_1", &events).0, None)).unwrap();
        answer["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(ended("call_completed", json!({"duration": 5})), "completed");
    assert_eq!(ended("call_completed", json!({"hangup_cause": "user_hangup"})), "no_answer");
    assert_eq!(ended("call_completed", json!({"hangup_cause": "no_answer"})), "no_answer");
    assert_eq!(ended("call_completed", json!({"hangup_cause": "busy"})), "busy");
    assert_eq!(ended("call_failed", json!({})), "failed");
    assert_eq!(ended("call_failed", json!({"duration": 5})), "failed");
}

#[test]
fn turns_become_lines_with_their_speakers() {
    let events = json!([
        {"created_at": "2025-01-10T10:00:00Z", "event_type": "call_answered"},
        {"created_at": "2025-01-10T10:00:09Z", "event_type": "transcript_turn",
         "event_data": {"role": "caller", "content": "Hi, I'm calling about my order status.", "start_ms": 4000}},
        {"created_at": "2025-01-10T10:00:10Z", "event_type": "transcript_turn",
         "event_data": {"role": "agent", "content": "Hello, how can I help you today?", "start_ms": 500}},
    ]);
    let transcript = super::wire::transcript(&filed("call_1", &events).0.call);
    assert_eq!(
        transcript.as_deref(),
        Some("[Agent]: Hello, how can I help you today?\n[Caller]: Hi, I'm calling about my order status.")
    );
}

#[test]
fn talk_time_is_cut_off_to_whole_seconds_as_a_cdr_cuts_it() {
    let events = json!([
        {"created_at": "2025-01-10T10:00:00Z", "event_type": "call_answered"},
        {"created_at": "2025-01-10T10:00:05.560Z", "event_type": "call_completed"},
    ]);
    assert_eq!(CallRow::of(&filed("call_1", &events).0, None).duration, Some(5));
}

#[tokio::test]
async fn a_query_that_was_cut_is_told_what_to_add_and_not_to_come_again() {
    let paging = Paging { offset: 5_000_000, ..Paging::default() };
    let query = CallQuery { paging, ..CallQuery::default() };
    let response = Failure::from(Refusal::TooLong(Excess::of_calls(&query))).into_response();
    assert_eq!(response.status().as_u16(), 400);
    assert!(!response.headers().contains_key("retry-after"));
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let error = "the query took too long and was cut: it passes over very many calls to reach its part of the list; give \
                 from_date and to_date (a shorter time), endpoint_id or phone_number_id, or cursor instead of offset";
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, json!({"error": error, "code": "QUERY_TOO_LONG"}));
}
