//! The documents' own examples, every status, every filter.

use axum::response::IntoResponse;
use pegcount_calls::{CallQuery, Range, SortKey, Status};
use pegcount_store::{Filed, Report};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    criteria::Criteria,
    failure::Failure,
    listing::Listing,
    wire::{AgentPerformance, CallList, Envelope, FoundCall, ListedCall, Urls},
};
use crate::{
    access::{Excess, Refusal},
    samples::{filed, filed_under},
};

const BEGIN: i64 = 1_703_097_600_000;

fn text(value: impl Serialize) -> String {
    serde_json::to_string(&value).unwrap()
}

/// Compares texts, so that the order of the keys and the digits of the numbers count; shows them with line breaks.
fn assert_same(golden: &str, answer: impl Serialize) {
    let golden: Value = serde_json::from_str(golden).unwrap();
    let answer = text(answer);
    if answer != text(&golden) {
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(
            serde_json::to_string_pretty(&answer).unwrap(),
            serde_json::to_string_pretty(&golden).unwrap()
        );
        panic!("the same values with other digits: {answer}");
    }
}

fn urls() -> Urls {
    Urls {
        recording: Some("https://storage.azure.com/recordings/call-456.mp4".to_owned()),
        log: Some("https://api.example.com/logs/call-456".to_owned()),
    }
}

fn found(name: &str, events: &Value) -> Value {
    let (filed, reports) = filed(name, events);
    shown(&filed, &reports)
}

fn shown(filed: &Filed, reports: &[Report]) -> Value {
    serde_json::from_str(&text(FoundCall::with(filed, "org-789", Urls::default(), reports))).unwrap()
}

fn listed(name: &str, events: &Value) -> Value {
    let (filed, _) = filed(name, events);
    serde_json::from_str(&text(ListedCall::of(&filed, "org-789", Urls::default()))).unwrap()
}

fn at(millis: i64, kind: &str, data: Value) -> Value {
    let mut event = json!({"created_at": BEGIN + millis, "event_type": kind});
    event["event_data"] = data;
    event
}

#[test]
fn the_call_of_the_get_document_comes_out_to_the_letter() {
    let (filed, reports) = filed(
        "call-456",
        &json!([
            at(
                0,
                "call_initiated",
                json!({
                    "direction": "inbound",
                    "from_number": "+1234567890",
                    "to_number": "+0987654321",
                    "call_type": "phone_call",
                    "endpoint_id": "agent-123",
                    "metadata": {"customer_id": "cust-001", "priority": "high", "campaign": "summer-2024"},
                    "telephony": {
                        "call_sid": "CA1234567890abcdef1234567890abcdef",
                        "conference_sid": "CF1234567890abcdef1234567890abcdef",
                    },
                })
            ),
            at(30_000, "call_answered", json!({})),
            at(
                35_000,
                "transcript_turn",
                json!({
                    "role": "agent",
                    "content": "Hello, thank you for calling. How can I help you today?",
                    "start_ms": 5000,
                    "words": [{"word": "Hello", "start_ms": 5000, "end_ms": 5500}],
                })
            ),
            at(
                40_000,
                "latency_summary",
                json!({
                    "stage": "e2e", "min": 120.1, "max": 450.2, "num": 15, "p50": 250.5, "p90": 380.8, "p95": 420.3,
                    "p99": 445.1, "values": [120.1, 180.3, 250.5, 380.8, 450.2],
                })
            ),
            at(
                40_000,
                "latency_summary",
                json!({
                    "stage": "llm", "min": 80.2, "max": 180.5, "num": 8, "p50": 125.3, "p90": 160.1, "p95": 170.8,
                    "p99": 178.2, "values": [80.2, 90.1, 125.3, 160.1, 180.5],
                })
            ),
            at(
                41_000,
                "cost_item",
                json!({
                    "product": "inbound_call", "unit": "minute", "unit_price": "0.020", "quantity": 5,
                })
            ),
            at(42_000, "cost_item", json!({"product": "llm_usage", "unit_price": 0.001, "quantity": 50})),
        ]),
    );
    let found = FoundCall::with(&filed, "org-789", urls(), &reports);
    assert_same(include_str!("golden/get.json"), Envelope::success("Call retrieved successfully", found));
}

#[test]
fn the_list_of_the_list_document_comes_out_to_the_letter() {
    let (filed, _) = filed(
        "call-456",
        &json!([
            at(
                0,
                "call_initiated",
                json!({
                    "direction": "outbound",
                    "from_number": "+0987654321",
                    "to_number": "+1234567890",
                    "endpoint_id": "agent-123",
                    "metadata": {
                        "customer_id": "cust-001",
                        "priority": "high",
                        "campaign": "summer-2024",
                        "batch_call_id": "batch-001",
                    },
                    "telephony": {
                        "call_sid": "CA1234567890abcdef1234567890abcdef",
                        "conference_sid": "CF1234567890abcdef1234567890abcdef",
                    },
                })
            ),
            at(5_000, "call_answered", json!({})),
            at(600_000, "call_completed", json!({"hangup_cause": "user_hangup"})),
            at(
                601_000,
                "transcript_ready",
                json!({
                    "text": "[Agent]: Hello, I'm calling about my recent order.\n[Caller]: Thank you for your help!",
                })
            ),
            at(
                601_000,
                "latency_summary",
                json!({
                    "stage": "e2e", "min": 120.5, "max": 350.1, "num": 12, "p50": 150.5, "p90": 280.2, "p95": 320.8,
                    "p99": 345.3, "values": [120.5, 135.2, 150.5, 280.2, 350.1],
                })
            ),
            at(
                602_000,
                "analysis_ready",
                json!({
                    "call_successful": true,
                    "call_summary": "Customer inquiry about order status - resolved successfully",
                    "user_sentiment": "POSITIVE",
                    "in_voicemail": false,
                })
            ),
            at(602_000, "cost_item", json!({"product": "outbound_call", "cost": "0.250"})),
        ]),
    );
    let listing = asked("").unwrap();
    let list = CallList::with("org-789", &listing, vec![ListedCall::of(&filed, "org-789", urls())], 25);
    assert_same(include_str!("golden/list.json"), Envelope::success("Calls retrieved successfully", list));
}

#[test]
fn every_status_has_its_words() {
    let opening = |direction: &str| at(0, "call_initiated", json!({"direction": direction}));
    let end = |kind: &str, data: Value| at(9_000, kind, data);
    let answered = || at(5_000, "call_answered", json!({}));
    for (events, status, reason) in [
        (json!([at(0, "call_queued", json!({}))]), "REGISTERED", Value::Null),
        (json!([opening("inbound")]), "REGISTERED", Value::Null),
        (json!([opening("inbound"), at(1_000, "call_ringing", json!({}))]), "REGISTERED", Value::Null),
        (json!([opening("inbound"), answered()]), "ONGOING", Value::Null),
        (
            json!([opening("inbound"), answered(), end("call_completed", json!({}))]),
            "ENDED",
            json!("USER_HANGUP"),
        ),
        (
            json!([
                opening("inbound"),
                answered(),
                end("call_completed", json!({"hangup_source": "callee"}))
            ]),
            "ENDED",
            json!("AGENT_HANGUP"),
        ),
        (
            json!([opening("inbound"), answered(), end("call_completed", json!({"reason": "transfer"}))]),
            "ENDED",
            json!("CALL_TRANSFER"),
        ),
        (
            json!([opening("inbound"), answered(), end("call_completed", json!({"hangup_source": "api"}))]),
            "ENDED",
            json!("MANUAL_STOPPED"),
        ),
        (
            json!([
                opening("inbound"),
                answered(),
                end("call_completed", json!({"hangup_cause": "timeout"}))
            ]),
            "ENDED",
            json!("MAX_DURATION_REACHED"),
        ),
        (
            json!([opening("inbound"), end("call_completed", json!({"hangup_cause": "no_answer"}))]),
            "ENDED",
            json!("DIAL_NO_ANSWER"),
        ),
        (
            json!([opening("inbound"), end("call_completed", json!({"hangup_cause": "user_hangup"}))]),
            "ENDED",
            json!("USER_HANGUP"),
        ),
        (
            json!([opening("outbound"), end("call_completed", json!({"hangup_source": "caller"}))]),
            "ENDED",
            json!("AGENT_HANGUP"),
        ),
        (
            json!([opening("inbound"), end("call_completed", json!({"hangup_source": "api"}))]),
            "ENDED",
            json!("MANUAL_STOPPED"),
        ),
        (
            json!([opening("inbound"), end("call_failed", json!({"hangup_cause": "busy"}))]),
            "ENDED",
            json!("DIAL_BUSY"),
        ),
        (
            json!([opening("inbound"), end("call_failed", json!({"hangup_cause": "rejected"}))]),
            "ERROR",
            json!("DIAL_FAILED"),
        ),
        (
            json!([opening("inbound"), answered(), end("call_failed", json!({}))]),
            "ERROR",
            json!("ERROR_NETWORK"),
        ),
        (
            json!([opening("inbound"), end("call_failed", json!({"hangup_cause": "timeout"}))]),
            "ERROR",
            json!("ERROR_TIMEOUT"),
        ),
    ] {
        for call in [found("c1", &events), listed("c1", &events)] {
            assert_eq!(call["call_status"], status, "{events}");
            assert_eq!(call["disconnection_reason"], reason, "{events}");
        }
    }
}

#[test]
fn a_live_call_of_which_nothing_is_known_has_every_key_and_nulls() {
    let call = found("c1", &at_once("call_initiated", json!({"call_type": "web_call"})));
    assert_eq!(
        text(&call),
        text(json!({
            "id": "550e8400-e29b-41d4-a716-446655440000", "agent_id": null, "call_id": "c1",
            "organization_id": "org-789", "call_status": "REGISTERED", "call_type": "WEB_CALL",
            "direction": "INBOUND", "from_number": null, "to_number": null, "start_timestamp": BEGIN,
            "end_timestamp": null, "call_duration": null, "disconnection_reason": null, "recording_url": null,
            "public_log_url": null, "opt_out_sensitive_data_storage": false, "metadata": {},
            "events": [{"timestamp": BEGIN, "event": "Call created", "session_time": 0, "data": {}}],
            "transcript": "", "transcript_object": [], "transcript_with_tool_calls": [], "latency": {},
            "call_analysis": null,
            "call_cost": {
                "combined_cost": null, "product_costs": [], "total_duration_seconds": null,
                "total_duration_unit_price": null, "total_one_time_price": null,
            },
            "telephony_identifier": {"call_sid": null, "conference_sid": null},
        }))
    );
}

fn at_once(kind: &str, data: Value) -> Value {
    json!([at(0, kind, data)])
}

#[test]
fn list_and_get_have_the_same_keys_but_for_the_details_of_the_cost() {
    let events = at_once("call_completed", json!({"duration": 3}));
    let (found, listed) = (found("c1", &events), listed("c1", &events));
    let keys = |call: &Value| call.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&found)[..3], ["id", "agent_id", "call_id"]);
    assert_eq!(keys(&listed)[..3], ["id", "call_id", "agent_id"]);
    assert_eq!(keys(&found)[3..], keys(&listed)[3..]);
    assert_eq!(listed["call_cost"], json!({"combined_cost": null}));
    assert_eq!(listed["events"], json!([]));
}

#[test]
fn the_log_tells_each_step_once_however_many_legs_reported_it() {
    let leg = |id: &str| json!({"leg_id": id});
    let call = found(
        "c1",
        &json!([
            at(0, "call_queued", json!({"direction": "outbound", "from_number": "+1", "to_number": "+2"})),
            at(1_000, "call_initiated", leg("a")),
            at(2_000, "call_ringing", leg("b")),
            at(5_000, "call_answered", leg("b")),
            at(6_000, "call_held", json!({})),
            at(7_500, "call_resumed", json!({})),
            at(8_000, "call_transferred", json!({"to": "+3"})),
            at(8_000, "dtmf_received", json!({"digit": "1"})),
            at(8_000, "x_mine", json!({})),
            at(9_000, "call_completed", leg("b")),
            at(9_001, "call_completed", leg("a")),
        ]),
    );
    let told: Vec<_> = call["events"].as_array().unwrap().iter().collect();
    let names: Vec<_> = told.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let expected = [
        "Call created",
        "Call ringing",
        "Call started - OUTBOUND",
        "Call held",
        "Call resumed",
        "Call transferred",
        "Call ended",
    ];
    assert_eq!(names, expected);
    assert_eq!(told[2]["data"], json!({"direction": "OUTBOUND", "from": "+1", "to": "+2"}));
    let session: Vec<_> = told.iter().map(|event| event["session_time"].as_i64().unwrap()).collect();
    assert_eq!(session, [0, 0, 0, 1_000, 2_500, 3_000, 4_001]);
    assert_eq!(told[6]["data"], json!({"disconnection_reason": "USER_HANGUP"}));
    assert_eq!(told[3]["data"], json!({}));
}

#[test]
fn tools_are_woven_between_the_turns() {
    let call = found(
        "c1",
        &json!([
            at(0, "call_initiated", json!({})),
            at(1_000, "call_answered", json!({})),
            at(
                9_000,
                "transcript_turn",
                json!({"role": "caller", "content": "Where is it?", "start_ms": 500})
            ),
            at(
                9_001,
                "transcript_turn",
                json!({"role": "agent", "content": "On its way.", "start_ms": 4_000})
            ),
            at(2_000, "tool_invoked", json!({"tool_call_id": "t1", "name": "track", "arguments": {"id": 7}})),
            at(3_000, "tool_result", json!({"tool_call_id": "t1", "result": {"where": "road"}})),
            at(3_500, "tool_result", json!({"tool_call_id": "t2", "result": "plain"})),
        ]),
    );
    assert_eq!(call["transcript"], "Where is it? On its way.");
    assert_eq!(
        text(&call["transcript_with_tool_calls"]),
        text(json!([
            {"role": "user", "content": "Where is it?", "timestamp": BEGIN + 1_500, "words": []},
            {"role": "tool_call_invocation", "tool_call_id": "t1", "name": "track", "arguments": "{\"id\":7}"},
            {"role": "tool_call_result", "tool_call_id": "t1", "content": "{\"where\":\"road\"}"},
            {"role": "tool_call_result", "tool_call_id": "t2", "content": "plain"},
            {"role": "assistant", "content": "On its way.", "timestamp": BEGIN + 5_000, "words": []},
        ]))
    );
}

#[test]
fn a_call_that_opted_out_shows_that_it_was_and_nothing_that_was_said() {
    let call = found(
        "c1",
        &json!([
            at(0, "call_initiated", json!({"opt_out_sensitive_data_storage": true})),
            at(1_000, "call_answered", json!({})),
            at(2_000, "transcript_turn", json!({"role": "caller", "content": "secret"})),
            at(2_000, "tool_invoked", json!({"name": "secret"})),
            at(3_000, "recording_ready", json!({"url": "https://x.example/secret.mp3"})),
        ]),
    );
    assert_eq!(call["opt_out_sensitive_data_storage"], true);
    assert_eq!(call["transcript"], "");
    assert_eq!(call["transcript_object"], json!([]));
    assert_eq!(call["transcript_with_tool_calls"], json!([]));
    assert!(!call.to_string().contains("secret"));
}

#[test]
fn samples_give_exact_percentiles_and_whole_numbers_show_no_fraction() {
    let sample = |millis: i64| at(millis, "stage_latency", json!({"stage": "tts", "latency_ms": millis}));
    let call = found("c1", &json!([sample(100), sample(300), sample(200)]));
    assert_eq!(
        text(&call["latency"]),
        r#"{"tts":{"max":300,"min":100,"num":3,"p50":200,"p90":280,"p95":290,"p99":298,"values":[100,200,300]}}"#
    );
}

#[test]
fn amounts_are_exact_and_what_is_no_minute_item_is_a_one_time_price() {
    let cost = |data: Value| at(1, "cost_item", data);
    let (filed, reports) = filed(
        "c1",
        &json!([
            cost(json!({"product": "a", "unit": "minute", "unit_price": "0.10", "quantity": "3"})),
            cost(json!({"product": "b", "cost": "0.000000001"})),
            cost(json!({"product": "c", "cost": "-0.2"})),
            cost(json!({"product": "d", "cost": "123456.000000000"})),
        ]),
    );
    let call = text(FoundCall::with(&filed, "org-789", Urls::default(), &reports));
    // The text itself: a reader of JSON would make binary fractions of the digits.
    let expected = concat!(
        r#""call_cost":{"combined_cost":123456.100000001,"product_costs":["#,
        r#"{"product":"a","cost":0.3,"unit_price":0.1},{"product":"b","cost":0.000000001,"unit_price":null},"#,
        r#"{"product":"c","cost":-0.2,"unit_price":null},{"product":"d","cost":123456,"unit_price":null}],"#,
        r#""total_duration_seconds":180,"total_duration_unit_price":0.1,"total_one_time_price":123455.800000001}"#
    );
    assert!(call.contains(expected), "{call}");
}

#[test]
fn the_tariffs_items_have_names_and_a_price_a_minute() {
    let rate = pegcount_calls::Rate {
        prefix: String::new(),
        direction: None,
        per_minute: pegcount_calls::parse_decimal("0.02").unwrap(),
        connection_fee: pegcount_calls::parse_decimal("0.05").unwrap(),
        increments: pegcount_calls::Increments::default(),
    };
    let tariff = pegcount_calls::Tariff { rates: vec![rate], ..pegcount_calls::Tariff::default() };
    let events = json!([
        at(0, "call_initiated", json!({"direction": "outbound"})),
        at(0, "call_answered", json!({})),
        at(300_000, "call_completed", json!({})),
    ]);
    let (filed, reports) = filed_under("c1", &events, &tariff);
    assert_eq!(
        text(&shown(&filed, &reports)["call_cost"]),
        concat!(
            r#"{"combined_cost":0.15,"product_costs":[{"product":"outbound_call","cost":0.1,"unit_price":0.02},"#,
            r#"{"product":"connection_fee","cost":0.05,"unit_price":0.05}],"total_duration_seconds":300,"#,
            r#""total_duration_unit_price":0.02,"total_one_time_price":0.05}"#
        )
    );
}

#[test]
fn custom_fields_of_an_analysis_show_only_where_there_are_some() {
    let call =
        found("c1", &at_once("analysis_ready", json!({"call_successful": false, "custom": {"score": 7}})));
    assert_eq!(
        text(&call["call_analysis"]),
        concat!(
            r#"{"call_successful":false,"call_summary":null,"user_sentiment":null,"in_voicemail":null,"#,
            r#""custom_analysis_data":{"score":7}}"#
        )
    );
}

#[test]
fn an_agent_without_calls_performs_with_zeros() {
    let agent = pegcount_calls::EndpointName::new("agent-123").unwrap();
    let performance = AgentPerformance::of(&agent, &pegcount_calls::Stats::default(), &[]);
    assert_eq!(
        text(performance),
        concat!(
            r#"{"agent_id":"agent-123","total_calls":0,"completed_calls":0,"active_calls":0,"#,
            r#""status_distribution":{"REGISTERED":0,"ONGOING":0,"ENDED":0,"ERROR":0},"#,
            r#""direction_distribution":{"INBOUND":0,"OUTBOUND":0},"disconnection_reasons":{}}"#
        )
    );
}

fn asked(query: &str) -> Result<Listing, Refusal> {
    Listing::of(&Criteria::of_query(query))
}

fn posted(body: &Value) -> Result<Listing, Refusal> {
    Listing::of(&Criteria::of_json(body.to_string().as_bytes())?)
}

#[test]
fn every_filter_of_the_query_is_applied_and_told_back() {
    let listing = asked(concat!(
        "call_status=ended,Ongoing&call_status=ENDED&call_type=web_call&direction=inbound&agent_id=agent-1,agent-2",
        "&from_number=+1,%2B2&to_number=%2B3&disconnection_reason=dial_busy&batch_call_id=b1&call_successful=TRUE",
        "&user_sentiment=Positive,POSITIVE,positive&in_voicemail=false&metadata.priority=high&metadata.priority=low",
        "&start_timestamp_from=1&start_timestamp_to=2&end_timestamp_from=3&duration_ms_to=+9&transcript_search=a%2Cb",
        "&unknown=1&agent_id="
    ))
    .unwrap();
    assert_eq!(
        text(&listing.applied),
        text(json!({
            "call_status": ["ENDED", "ONGOING"],
            "call_type": ["WEB_CALL"],
            "direction": ["INBOUND"],
            "agent_id": ["agent-1", "agent-2"],
            "from_number": ["+1", "+2"],
            "to_number": ["+3"],
            "disconnection_reason": ["DIAL_BUSY"],
            "batch_call_id": ["b1"],
            "call_successful": [true],
            "user_sentiment": ["Positive"],
            "in_voicemail": [false],
            "metadata.priority": ["high", "low"],
            "start_timestamp": {"lower_threshold": 1, "upper_threshold": 2},
            "end_timestamp": {"lower_threshold": 3, "upper_threshold": null},
            "duration_ms": {"lower_threshold": null, "upper_threshold": 9},
            "transcript_search": "a,b",
        }))
    );
    let query = listing.query;
    use Status::{Busy, Canceled, Completed, InProgress, NoAnswer};
    assert_eq!(query.statuses, [InProgress, Completed, NoAnswer, Canceled, Busy]);
    assert_eq!(query.from_numbers, ["+1", "+2"]);
    assert_eq!(query.metadata.len(), 2);
    assert_eq!(query.created, Range { from: Some(1), to: Some(2) });
    assert_eq!(query.ended, Range { from: Some(3), to: None });
    assert_eq!(query.total_millis, Range { from: None, to: Some(9) });
    assert_eq!(query.transcript.as_deref(), Some("a,b"));
}

#[test]
fn a_list_is_newest_first_by_twenty_unless_asked_otherwise() {
    let plain = asked("").unwrap();
    assert_eq!((plain.page, plain.limit, plain.query.paging.offset), (0, 20, 0));
    assert_eq!((plain.query.sort.key, plain.query.sort.ascending), (SortKey::CreatedAt, false));
    assert!(plain.applied.is_empty());
    let other = asked("page=3&limit=100&sort_by=call_duration&sort_order=Ascending").unwrap();
    assert_eq!((other.query.paging.limit, other.query.paging.offset), (100, 300));
    assert_eq!((other.query.sort.key, other.query.sort.ascending), (SortKey::TotalTime, true));
    let far = asked("page=9223372036854775807&limit=100").unwrap();
    assert_eq!(far.query.paging.offset, u64::MAX);
    let pages = text(CallList::with("o", &far, Vec::new(), 0));
    assert!(pages.contains(r#""total_pages":0,"has_next_page":false,"has_previous_page":true"#), "{pages}");
}

#[test]
fn bad_values_are_refused_by_name_with_what_would_be_right() {
    for (query, name, word) in [
        ("page=-1", "page", "from 0"),
        ("page=x", "page", "integer"),
        ("limit=0", "limit", "from 1 to 100"),
        ("limit=101", "limit", "from 1 to 100"),
        ("sort_by=name", "sort_by", "start_timestamp, end_timestamp"),
        ("sort_order=up", "sort_order", "ascending"),
        ("call_status=ended,over", "call_status", "REGISTERED, SCHEDULED, ONGOING, ENDED, ERROR"),
        ("call_type=fax", "call_type", "PHONE_CALL, WEB_CALL"),
        ("direction=up", "direction", "INBOUND, OUTBOUND"),
        ("agent_id=a%20b", "agent_id", "may only contain"),
        ("disconnection_reason=bored", "disconnection_reason", "USER_HANGUP"),
        ("call_successful=yes", "call_successful", "true or false"),
        ("in_voicemail=1", "in_voicemail", "true or false"),
        ("start_timestamp_from=yesterday", "start_timestamp_from", "integer"),
        ("end_timestamp_to=1.5", "end_timestamp_to", "integer"),
        ("duration_ms_from=-1", "duration_ms_from", "from 0"),
        ("duration_ms_from=2&duration_ms_to=1", "duration_ms", "above"),
    ] {
        let Err(Refusal::Invalid { parameter, message }) = asked(query) else { panic!("{query}") };
        assert_eq!(parameter, name, "{query}");
        assert!(message.contains(word), "{query}: {message}");
    }
    let long = format!("transcript_search={}", "a".repeat(513));
    assert!(asked(&long).is_err());
    let many: Vec<String> = (0..201).map(|number| number.to_string()).collect();
    assert!(asked(&format!("to_number={}", many.join(","))).is_err());
}

#[test]
fn a_status_that_no_call_has_matches_nothing_but_not_besides_another() {
    let none = asked("call_status=scheduled&start_timestamp_from=5").unwrap();
    assert!(none.query.created.from > none.query.created.to);
    assert_eq!(text(&none.applied["start_timestamp"]), r#"{"lower_threshold":5,"upper_threshold":null}"#);
    let some = asked("call_status=scheduled,error").unwrap();
    assert_eq!(some.query.statuses, [Status::Failed]);
    assert!(some.query.created.is_open());
}

#[test]
fn a_body_asks_for_the_same_as_a_query() {
    let listing = posted(&json!({
        "page": 2, "limit": 50, "sort_by": "end_timestamp", "sort_order": "ascending", "other": {},
        "filter_criteria": {
            "call_status": ["ended"], "agent_id": ["agent-123"], "direction": "OUTBOUND", "call_type": null,
            "duration_ms": {"lower_threshold": 30000, "upper_threshold": 300000.0},
            "start_timestamp_from": 7, "call_successful": [true], "user_sentiment": ["very GOOD, really"],
            "metadata": {"tier": ["gold", 3]}, "metadata.vip": true, "transcript_search": "help", "other": [{}],
        },
    }))
    .unwrap();
    assert_eq!(
        text(&listing.applied),
        text(json!({
            "call_status": ["ENDED"],
            "direction": ["OUTBOUND"],
            "agent_id": ["agent-123"],
            "call_successful": [true],
            "user_sentiment": ["Very Good, Really"],
            "metadata.tier": ["gold", "3"],
            "metadata.vip": ["true"],
            "start_timestamp": {"lower_threshold": 7, "upper_threshold": null},
            "duration_ms": {"lower_threshold": 30000, "upper_threshold": 300_000},
            "transcript_search": "help",
        }))
    );
    assert_eq!((listing.page, listing.limit, listing.query.paging.offset), (2, 50, 100));
    assert!(posted(&json!({})).unwrap().applied.is_empty());
    assert!(posted(&json!({"filter_criteria": null, "page": null})).is_ok());
}

#[test]
fn a_bad_body_is_refused_by_the_place_of_the_mistake() {
    for (body, name) in [
        (json!([]), "body"),
        (json!({"page": 1.5}), "page"),
        (json!({"limit": {}}), "limit"),
        (json!({"filter_criteria": []}), "filter_criteria"),
        (json!({"filter_criteria": {"call_status": ["x"]}}), "filter_criteria.call_status"),
        (json!({"filter_criteria": {"call_status": [["ended"]]}}), "filter_criteria.call_status"),
        (json!({"filter_criteria": {"agent_id": [""]}}), "filter_criteria.agent_id"),
        (json!({"filter_criteria": {"agent_id": [7]}}), "filter_criteria.agent_id"),
        (json!({"filter_criteria": {"call_successful": [null]}}), "filter_criteria.call_successful"),
        (json!({"filter_criteria": {"transcript_search": false}}), "filter_criteria.transcript_search"),
        (json!({"filter_criteria": {"duration_ms": 5}}), "filter_criteria.duration_ms"),
        (
            json!({"filter_criteria": {"duration_ms": {"lower_threshold": "x"}}}),
            "filter_criteria.duration_ms.lower_threshold",
        ),
        (json!({"filter_criteria": {"metadata": "x"}}), "filter_criteria.metadata"),
    ] {
        let Err(Refusal::Invalid { parameter, .. }) = posted(&body) else { panic!("{body}") };
        assert_eq!(parameter, name);
    }
    assert!(
        matches!(Criteria::of_json(b"{\"page\":"), Err(Refusal::Invalid { parameter, .. }) if parameter == "body")
    );
}

#[tokio::test]
async fn a_query_that_was_cut_is_told_what_to_add_and_not_to_come_again() {
    let query = CallQuery { transcript: Some("hello".to_owned()), ..CallQuery::default() };
    let response = Failure::from(Refusal::TooLong(Excess::of_calls(&query))).into_response();
    assert_eq!(response.status().as_u16(), 400);
    assert!(!response.headers().contains_key("retry-after"));
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let error = "the query took too long and was cut: it searches words that very many calls have; give one more word in \
                 transcript_search, start_timestamp (a shorter time), or agent_id, from_number or to_number";
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, json!({"message": "Query too long", "status": "error", "error": error, "data": null}));
}
