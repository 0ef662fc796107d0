//! The document's keys, every status, every parameter.

use pegcount_calls::Range;
use pegcount_store::EndpointNumber;
use serde_json::{Value, json};

use super::{
    failure::Failure,
    query::{Asked, Part},
    wire::CallStats,
};
use crate::samples::filed;

/// 2023-12-20T18:40:00Z
const BEGIN: i64 = 1_703_097_600_000;

fn at(millis: i64, kind: &str, data: Value) -> Value {
    let mut event = json!({"created_at": BEGIN + millis, "event_type": kind});
    event["event_data"] = data;
    event
}

fn shown(events: &Value) -> Value {
    let (filed, reports) = filed("c1", events);
    let url = filed.call.content.recording.as_ref().and_then(|recording| recording.url.clone());
    let stats = CallStats::of(&filed, &reports, EndpointNumber(123), url);
    serde_json::from_str(&serde_json::to_string(&stats).unwrap()).unwrap()
}

#[test]
fn a_call_has_every_key_of_the_document_in_its_order() {
    let document = include_str!("golden/document.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let keys = |call: &Value| call.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let call = shown(&json!([at(0, "call_queued", json!({}))]));
    assert_eq!(keys(&call), keys(&document[0]));
}

#[test]
fn a_whole_call_shows_all_that_was_reported() {
    let events = json!([
        at(
            0,
            "call_initiated",
            json!({
                "direction": "inbound", "from_number": "+1", "to_number": "+2", "context": {"order": 7}, "task_id": 9,
            })
        ),
        at(2_000, "call_ringing", json!({})),
        at(5_000, "call_answered", json!({})),
        at(5_100, "sip_media_established", json!({"codec": "PCMU"})),
        at(6_000, "stage_latency", json!({"stage": "stt", "latency_ms": 90, "provider": "deepgram"})),
        at(6_100, "stage_latency", json!({"stage": "llm", "latency_ms": 210.5, "input_tokens": 40})),
        at(
            6_500,
            "transcript_turn",
            json!({
                "role": "agent", "content": "Hello", "start_ms": 1_500,
                "words": [{"word": "Hello", "start_ms": 1_500, "end_ms": 1_900}],
            })
        ),
        at(7_000, "tool_invoked", json!({"tool_call_id": "t1", "name": "track", "arguments": {"id": 7}})),
        at(8_000, "tool_result", json!({"tool_call_id": "t1", "result": "road"})),
        at(
            9_000,
            "media_quality",
            json!({
                "leg": "agent", "latency_ms": 20, "jitter_ms": 1.5, "packet_loss": 0.01, "mos": 4.2,
                "audio_codec": "PCMU", "sample_rate_hz": 8000,
            })
        ),
        at(10_560, "call_completed", json!({"hangup_cause": "normal_clearing", "hangup_source": "caller"})),
        at(11_000, "recording_ready", json!({"url": "https://x.example/rec.mp3"})),
        at(12_000, "analysis_ready", json!({"call_successful": true, "call_summary": "ok"})),
    ]);
    let mut call = shown(&events);
    let mut golden: Value = serde_json::from_str(include_str!("golden/call_stats.json")).unwrap();
    let timeline = call["call_timeline"].as_array().unwrap().clone();
    assert_eq!(timeline.len(), 13);
    assert_eq!(
        timeline[1].to_string(),
        r#"{"event":"call_ringing","timestamp":"2023-12-20T18:40:02Z","data":{}}"#
    );
    assert_eq!(timeline[4]["data"], events[4]["event_data"]);
    call["call_timeline"] = golden[0]["call_timeline"].take();
    golden[0]["call_timeline"] = call["call_timeline"].clone();
    assert_eq!(
        serde_json::to_string_pretty(&json!([call])).unwrap(),
        serde_json::to_string_pretty(&golden).unwrap()
    );
}

#[test]
fn a_call_of_which_nothing_is_known_has_empty_lists_and_objects_and_nulls() {
    let call = shown(&json!([at(0, "call_queued", json!({}))]));
    assert_eq!(call["call_status"], "QUEUED");
    assert_eq!(call["call_triggered"], false);
    for list in ["stt_data", "llm_data", "tts_data", "call_transcription", "tool_data"] {
        assert_eq!(call[list], json!([]), "{list}");
    }
    for object in ["call_context", "call_quality", "call_insights", "audio_config"] {
        assert_eq!(call[object], json!({}), "{object}");
    }
    for scalar in [
        "call_recording_url",
        "from_number",
        "to_number",
        "recording_id",
        "call_duration",
        "billed_duration",
        "answer_time",
        "end_time",
        "hangup_cause_name",
        "hangup_source",
        "task_id",
    ] {
        assert_eq!(call[scalar], Value::Null, "{scalar}");
    }
    let changes = json!([{"state": "QUEUED", "timestamp": "2023-12-20T18:40:00Z"}]);
    assert_eq!(call["call_state_changes"], changes);
}

#[test]
fn the_timeline_alone_is_null_once_the_events_are_gone() {
    let (filed, _) = filed("c1", &json!([at(0, "call_completed", json!({"duration": 2}))]));
    let stats = serde_json::to_value(CallStats::of(&filed, &[], EndpointNumber(1), None)).unwrap();
    assert_eq!(stats["call_timeline"], Value::Null);
    assert_eq!(stats["stt_data"], json!([]));
}

#[test]
fn every_status_has_its_words() {
    let opening = || at(0, "call_initiated", json!({}));
    let answered = || at(5_000, "call_answered", json!({}));
    let completed = |data: Value| at(9_000, "call_completed", data);
    let failed = |data: Value| at(9_000, "call_failed", data);
    for (events, status, cause, source) in [
        (json!([at(0, "call_queued", json!({}))]), "QUEUED", None, None),
        (json!([opening()]), "INITIATED", None, None),
        (json!([opening(), at(1, "call_ringing", json!({}))]), "INITIATED", None, None),
        (json!([opening(), answered()]), "ANSWERED", None, None),
        (json!([opening(), answered(), completed(json!({}))]), "ANSWERED", Some("Normal Hangup"), None),
        (
            json!([
                opening(),
                answered(),
                completed(json!({"hangup_cause": "user_hangup", "hangup_source": "caller"}))
            ]),
            "ANSWERED",
            Some("Normal Hangup"),
            Some("Caller"),
        ),
        (
            json!([opening(), completed(json!({"hangup_cause": "no_answer", "hangup_source": "system"}))]),
            "FAILED",
            Some("No Answer"),
            Some("System"),
        ),
        (
            json!([opening(), completed(json!({"hangup_source": "api"}))]),
            "FAILED",
            Some("Cancelled"),
            Some("API Request"),
        ),
        (
            json!([opening(), failed(json!({"hangup_cause": "busy", "hangup_source": "callee"}))]),
            "FAILED",
            Some("Busy Line"),
            Some("Callee"),
        ),
        (json!([opening(), failed(json!({"hangup_cause": "rejected"}))]), "FAILED", Some("Rejected"), None),
        (json!([opening(), failed(json!({}))]), "FAILED", Some("Network Error"), None),
        (json!([opening(), answered(), failed(json!({}))]), "ANSWERED", Some("Network Error"), None),
        (
            json!([opening(), completed(json!({"hangup_cause": "timeout"}))]),
            "FAILED",
            Some("Ring Timeout Reached"),
            None,
        ),
    ] {
        let call = shown(&events);
        assert_eq!(call["call_status"], status, "{events}");
        assert_eq!(call["hangup_cause_name"].as_str(), cause, "{events}");
        assert_eq!(call["hangup_source"].as_str(), source, "{events}");
    }
}

#[test]
fn durations_count_from_the_answer_and_are_zero_without_one() {
    let unanswered = shown(&json!([at(0, "call_initiated", json!({})), at(9, "call_completed", json!({}))]));
    assert_eq!((&unanswered["call_duration"], &unanswered["billed_duration"]), (&json!(0), &json!(0)));
    let live = shown(&json!([at(0, "call_answered", json!({}))]));
    assert_eq!((&live["call_duration"], &live["billed_duration"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_call_that_opted_out_shows_nothing_that_was_said() {
    let call = shown(&json!([
        at(0, "call_initiated", json!({"opt_out_sensitive_data_storage": true})),
        at(1, "transcript_turn", json!({"role": "caller", "content": "hush"})),
        at(2, "tool_invoked", json!({"name": "hush"})),
        at(3, "recording_ready", json!({"url": "https://x.example/rec.mp3"})),
    ]));
    for list in ["call_transcription", "tool_data"] {
        assert_eq!(call[list], json!([]), "{list}");
    }
    assert_eq!((&call["call_recording_url"], &call["recording_id"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_record_made_afterwards_still_shows_the_states_it_tells_of() {
    let call = shown(&json!([at(9_000, "call_completed", json!({"started_at": BEGIN, "duration": 4}))]));
    let states: Vec<_> =
        call["call_state_changes"].as_array().unwrap().iter().map(|change| &change["state"]).collect();
    assert_eq!(states, ["INITIATED", "ANSWERED", "COMPLETED"]);
}

#[test]
fn results_find_their_invocation_and_stand_alone_without_one() {
    let call = shown(&json!([
        at(1, "tool_invoked", json!({"tool_call_id": "t1", "name": "one"})),
        at(2, "tool_result", json!({"tool_call_id": "t9", "result": 9, "is_error": true})),
        at(3, "tool_result", json!({"tool_call_id": "t1", "result": [1]})),
        at(4, "tool_result", json!({"result": "whose?"})),
    ]));
    let tools = &call["tool_data"];
    assert_eq!((&tools[0]["name"], &tools[0]["result"]), (&json!("one"), &json!([1])));
    assert_eq!(
        (&tools[1]["name"], &tools[1]["result"], &tools[1]["is_error"]),
        (&Value::Null, &json!(9), &json!(true))
    );
    assert_eq!((&tools[2]["tool_call_id"], &tools[2]["result"]), (&Value::Null, &json!("whose?")));
}

fn asked(agent: &str, query: &str) -> Result<Asked, Value> {
    Asked::read(agent, query).map_err(|mistakes| serde_json::to_value(mistakes).unwrap())
}

#[test]
fn the_whole_array_is_asked_for_unless_a_part_is() {
    assert_eq!(asked("123", "other=1"), Ok(Asked { agent: EndpointNumber(123), part: Part::default() }));
    let part = asked("123", "limit=10000&offset=+5&from_date=2025-01-10&to_date=2025-01-10").unwrap().part;
    assert_eq!((part.limit, part.offset), (Some(10_000), 5));
    assert_eq!(part.created, Range { from: Some(1_736_467_200_000), to: Some(1_736_553_599_999) });
    let huge = asked("99999999999999999999999", "").unwrap();
    assert_eq!(huge.agent, EndpointNumber(i64::MAX));
}

#[test]
fn an_agent_that_is_no_integer_is_told_as_fastapi_tells_it() {
    for agent in ["x", "", "1.5", "1x", "+", "٣"] {
        let mistakes = asked(agent, "").unwrap_err();
        assert_eq!(
            mistakes.to_string(),
            json!([{
                "type": "int_parsing",
                "loc": ["path", "agent_id"],
                "msg": "Input should be a valid integer, unable to parse string as an integer",
                "input": agent,
            }])
            .to_string()
        );
    }
}

#[test]
fn every_mistake_is_told_by_its_place() {
    let mistakes = asked("x", "limit=0&offset=-1&from_date=soon").unwrap_err();
    let places: Vec<_> =
        mistakes.as_array().unwrap().iter().map(|mistake| mistake["loc"].to_string()).collect();
    let expected = [
        r#"["path","agent_id"]"#,
        r#"["query","limit"]"#,
        r#"["query","offset"]"#,
        r#"["query","from_date"]"#,
    ];
    assert_eq!(places, expected);
    assert_eq!(mistakes[1]["ctx"], json!({"ge": 1}));
    let above = asked("1", "limit=10001").unwrap_err();
    assert_eq!(above[0]["msg"], "Input should be less than or equal to 10000");
    let beyond = asked("1", "offset=9223372036854775808").unwrap_err();
    assert_eq!(beyond[0]["loc"], json!(["query", "offset"]));
    assert_eq!(asked("1", "limit=ten").unwrap_err()[0]["type"], "int_parsing");
    let order = asked("1", "from_date=2025-01-11&to_date=2025-01-10").unwrap_err();
    assert_eq!(order[0]["loc"], json!(["query", "from_date"]));
}

#[tokio::test]
async fn refusals_are_worded_as_fastapi_words_them() {
    use crate::access::{Excess, Refusal, Thing};
    use axum::response::IntoResponse;
    use pegcount_calls::CallQuery;
    use std::time::Duration;

    let told = async |failure: Failure| {
        let response = failure.into_response();
        let status = response.status().as_u16();
        let wait = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, wait, String::from_utf8(body.to_vec()).unwrap())
    };
    let unknown = told(Refusal::NotFound(Thing::Endpoint).into()).await;
    assert_eq!(unknown, (404, None, r#"{"detail":"Agent not found"}"#.to_owned()));
    let early = Refusal::TooManyRequests { retry_after: Duration::from_millis(1_200) };
    let (status, wait, _) = told(early.into()).await;
    assert_eq!((status, wait.as_deref()), (429, Some("2")));
    let cut = told(Refusal::TooLong(Excess::of_calls(&CallQuery::default())).into()).await;
    let sentence = "the query took too long and was cut: it reads very many calls to find those that pass all filters; \
                    give from_date and to_date (a shorter time)";
    assert_eq!(cut, (400, None, format!(r#"{{"detail":"{sentence}"}}"#)));
    let (status, _, body) = told(Asked::read("x", "").unwrap_err().into()).await;
    assert_eq!(status, 422);
    assert!(body.starts_with(r#"{"detail":[{"type":"int_parsing","loc":["path","agent_id"],"#), "{body}");
}
