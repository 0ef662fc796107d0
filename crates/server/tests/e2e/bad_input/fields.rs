//! Every field of `event_data` of every type, with values that it cannot have.

use serde_json::{Value, json};

use super::Target;
use crate::server::Home;

/// What a field takes.
#[derive(Clone, Copy, PartialEq)]
enum Takes {
    Text,
    Word,
    Bool,
    Integer,
    Unsigned,
    /// Milliseconds, seconds, shares: not negative, not beyond ten years.
    Number,
    /// Milliseconds that may lie before the answer.
    Offset,
    Decimal,
    Time,
    Object,
    Array,
    /// Kept as it is, whatever it is.
    Anything,
}

use Takes::{Anything, Array, Bool, Decimal, Integer, Number, Object, Offset, Text, Time, Unsigned, Word};

/// A type, data that makes it sound, and its fields.
type Kind = (&'static str, Value, Vec<(&'static str, Takes)>);
type Fields = &'static [(&'static str, Takes)];

const SETUP: Fields = &[
    ("direction", Word),
    ("from_number", Text),
    ("to_number", Text),
    ("call_type", Word),
    ("endpoint_id", Text),
    ("phone_number_id", Text),
    ("metadata", Object),
    ("context", Object),
    ("task_id", Integer),
    ("telephony", Object),
    ("telephony.call_sid", Text),
    ("telephony.conference_sid", Text),
    ("telephony.sip_call_id", Text),
    ("opt_out_sensitive_data_storage", Bool),
];
const END: Fields = &[
    ("leg_id", Text),
    ("hangup_cause", Word),
    ("hangup_source", Word),
    ("reason", Text),
    ("inferred", Bool),
    ("duration", Number),
    ("recorded", Bool),
    ("sip_status", Integer),
    ("q850_cause", Integer),
    ("started_at", Time),
    ("ringing_at", Time),
    ("answered_at", Time),
];

/// Every documented type, what makes it sound, and its fields.
fn table() -> Vec<Kind> {
    let of =
        |kind: &'static str, sound: Value, fields: &[(&'static str, Takes)]| (kind, sound, fields.to_vec());
    let turn = json!({"role": "agent", "content": "x", "words": [{"word": "x", "start_ms": 1, "end_ms": 2}]});
    vec![
        of("call_queued", json!({}), SETUP),
        of("call_initiated", json!({}), SETUP),
        of("sip_invite_sent", json!({}), &[("sip_uri", Text)]),
        of("call_ringing", json!({}), &[("leg_id", Text)]),
        of("call_answered", json!({}), &[("leg_id", Text)]),
        of("sip_media_established", json!({}), &[("codec", Text), ("latency_ms", Number)]),
        of("call_held", json!({}), &[("leg_id", Text)]),
        of("call_resumed", json!({}), &[("leg_id", Text)]),
        of("call_transferred", json!({}), &[("to", Text)]),
        of("dtmf_received", json!({}), &[("digit", Text)]),
        of("call_seen", json!({}), &[("leg_id", Text)]),
        of("call_completed", json!({}), &[SETUP, END].concat()),
        of("call_failed", json!({}), &[SETUP, END].concat()),
        of(
            "transcript_turn",
            turn,
            &[
                ("role", Word),
                ("content", Text),
                ("start_ms", Offset),
                ("end_ms", Offset),
                ("words", Array),
                ("words.0", Object),
                ("words.0.word", Text),
                ("words.0.start_ms", Offset),
                ("words.0.end_ms", Offset),
                ("language", Text),
            ],
        ),
        of("tool_invoked", json!({}), &[("tool_call_id", Text), ("name", Text), ("arguments", Anything)]),
        of(
            "tool_result",
            json!({}),
            &[("tool_call_id", Text), ("result", Anything), ("is_error", Bool), ("duration_ms", Number)],
        ),
        of(
            "stage_latency",
            json!({"stage": "e2e", "latency_ms": 1}),
            &[
                ("stage", Word),
                ("latency_ms", Number),
                ("provider", Anything),
                ("model", Anything),
                ("input_tokens", Anything),
                ("output_tokens", Anything),
                ("characters", Anything),
                ("audio_ms", Anything),
            ],
        ),
        of(
            "latency_summary",
            json!({"stage": "e2e", "values": [1]}),
            &[
                ("stage", Word),
                ("min", Number),
                ("max", Number),
                ("num", Unsigned),
                ("p50", Number),
                ("p90", Number),
                ("p95", Number),
                ("p99", Number),
                ("values", Array),
                ("values.0", Number),
            ],
        ),
        of(
            "media_quality",
            json!({}),
            &[
                ("leg", Word),
                ("latency_ms", Number),
                ("jitter_ms", Number),
                ("packet_loss", Number),
                ("mos", Number),
                ("audio_codec", Text),
                ("sample_rate_hz", Unsigned),
                ("packets_received", Unsigned),
                ("packets_lost", Unsigned),
            ],
        ),
        of(
            "cost_item",
            json!({"product": "x", "cost": 1}),
            &[
                ("product", Text),
                ("unit", Word),
                ("unit_price", Decimal),
                ("quantity", Decimal),
                ("cost", Decimal),
            ],
        ),
        of(
            "recording_ready",
            json!({"url": "https://example.com/x.mp3"}),
            &[
                ("url", Text),
                ("object", Text),
                ("duration_seconds", Number),
                ("format", Text),
                ("size_bytes", Unsigned),
                ("channels", Anything),
                ("sample_rate_hz", Anything),
            ],
        ),
        of("recording_failed", json!({}), &[("reason", Text), ("empty", Bool)]),
        of("recording_deleted", json!({}), &[("reason", Anything)]),
        of("transcript_deleted", json!({}), &[("reason", Anything)]),
        of("transcript_ready", json!({"text": "x"}), &[("text", Text)]),
        of(
            "analysis_ready",
            json!({}),
            &[
                ("call_successful", Bool),
                ("call_summary", Text),
                ("user_sentiment", Text),
                ("in_voicemail", Bool),
                ("custom", Object),
            ],
        ),
        of("metadata_set", json!({}), &[("metadata", Object)]),
        of("x_anything", json!({}), &[("whatever", Anything)]),
    ]
}

/// Values that a field cannot have, as JSON texts.
fn wrong(takes: Takes) -> &'static [&'static str] {
    match takes {
        Text => &["5", "true", "[]", "{}"],
        Word => &["5", "\"nonsense\"", "\"\"", "[]", "{}"],
        Bool => &["\"true\"", "1", "[]", "{}"],
        Integer => &["\"5\"", "1.5", "true", "[]", "{}", "9223372036854775808"],
        Unsigned => &["\"5\"", "-1", "1.5", "true", "[]", "18446744073709551616"],
        Number => &["\"5\"", "-1", "true", "[]", "{}", "1e300", "18446744073709551615"],
        Offset => &["\"5\"", "true", "[]", "{}", "1e300", "-9223372036854775808"],
        Decimal => &[
            "\"x\"",
            "\"\"",
            "\"NaN\"",
            "\"1e400\"",
            "true",
            "[]",
            "{}",
            "1e30",
            "79228162514264337593543950336",
        ],
        Time => &[
            "\"yesterday\"",
            "\"\"",
            "\"2025-02-30T10:00:00Z\"",
            "\"1989-12-31T23:59:59Z\"",
            "\"9999-12-31T23:59:59Z\"",
            "true",
            "1.5",
            "[]",
            "9223372036854775807",
            "-9223372036854775808",
        ],
        Object => &["5", "\"x\"", "true", "[]"],
        Array => &["5", "\"x\"", "true", "{}"],
        Anything => &[],
    }
}

/// Values that may be odd, but must at least be borne: taken or refused, and what was taken can be read.
const ODD: [&str; 16] = [
    "null",
    "0",
    "-0",
    "-0.0",
    "1",
    "0.1",
    "1e-320",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "1e15",
    "\"\"",
    "\"\\ud83d\\ude00\"",
    "[[],{}]",
    "{\"a\":{\"b\":[null]}}",
];

/// The data with one field replaced by a JSON text.
fn with(sound: &Value, field: &str, value: &str) -> Value {
    let value: Value = serde_json::from_str(value).expect("JSON");
    let mut data = sound.clone();
    let mut place = &mut data;
    for part in field.split('.') {
        place = match part.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[part],
        };
    }
    *place = value;
    data
}

#[tokio::test]
async fn a_wrong_value_of_any_field_is_refused_by_name_and_its_neighbours_are_kept() {
    let home = Home::new("");
    let server = home.start();
    let target = Target::make(&server).await;
    let documented = documented_types();
    let tested: Vec<&str> =
        table().iter().map(|(kind, ..)| *kind).filter(|kind| !kind.starts_with("x_")).collect();
    assert_eq!(tested, documented, "the types of events.md, in its order");
    let mut good = 0;
    for (kind, sound, fields) in table() {
        let mut events =
            vec![json!({"call_id": format!("call_{kind}"), "event_type": kind, "event_data": sound})];
        let mut bad = Vec::new();
        for (field, takes) in fields {
            for value in wrong(takes) {
                let data = with(&sound, field, value);
                bad.push((events.len(), field, *value));
                events.push(json!({"call_id": "call_bad", "event_type": kind, "event_data": data}));
                let neighbour = json!({"of": kind, "n": events.len()});
                events.push(
                    json!({"call_id": "call_neighbours", "event_type": "x_note", "event_data": neighbour}),
                );
                good += 1;
            }
        }
        let receipt = target.events(&json!(events)).await;
        let rejected = receipt["rejected"].as_array().expect("a list");
        for (index, field, value) in &bad {
            let found = rejected.iter().find(|rejected| rejected["index"] == *index);
            let found = found.unwrap_or_else(|| panic!("{kind} {field} = {value} was taken"));
            assert_eq!(found["code"], "INVALID_EVENT", "{kind} {field} = {value}: {found}");
            let name = field.rsplit('.').find(|part| part.parse::<usize>().is_err()).expect("a name");
            let named = found["message"].as_str().is_some_and(|message| message.contains(name));
            assert!(named, "{kind} {field} = {value}: {found}");
        }
        assert_eq!(rejected.len(), bad.len(), "{kind}: {receipt}");
        assert_eq!(receipt["accepted"], events.len() - bad.len(), "{kind}: {receipt}");
        target.assert_readable(&format!("call_{kind}")).await;
    }
    assert_eq!(target.get("/v1/calls/call_bad").await.status.as_u16(), 404);
    let kept = target.get("/v1/calls/call_neighbours/events").await.expect(200);
    assert_eq!(kept["events"].as_array().map(Vec::len), Some(good));
    target.assert_whole().await;
}

#[tokio::test]
async fn an_odd_value_of_any_field_is_borne_and_what_was_taken_can_be_read() {
    let home = Home::new("");
    let server = home.start();
    let target = Target::make(&server).await;
    let mut taken = 0;
    for (kind, sound, fields) in table() {
        let mut events = Vec::new();
        for (field, takes) in fields {
            let values: &[&str] = if takes == Object || takes == Array { &["null"] } else { &ODD };
            for value in values {
                let data = with(&sound, field, value);
                let call = format!("call_{}", events.len());
                events.push(json!({"call_id": call, "event_type": kind, "event_data": data}));
            }
        }
        let receipt = target.events(&json!(events)).await;
        taken += receipt["accepted"].as_u64().expect("a count");
        let nothing =
            receipt["rejected"].as_array().expect("a list").iter().all(|one| one["code"] == "INVALID_EVENT");
        assert!(nothing, "{kind}: {receipt}");
    }
    let calls = target.get("/v1/calls?limit=1").await.expect(200)["total"].as_u64().expect("a total");
    for number in 0..calls {
        let path = format!("/v1/calls/call_{number}");
        if target.get(&path).await.status.as_u16() == 200 {
            target.assert_readable(&format!("call_{number}")).await;
        }
    }
    assert!(taken > 500, "{taken}");
    target.assert_whole().await;
}

fn documented_types() -> Vec<&'static str> {
    vec![
        "call_queued",
        "call_initiated",
        "sip_invite_sent",
        "call_ringing",
        "call_answered",
        "sip_media_established",
        "call_held",
        "call_resumed",
        "call_transferred",
        "dtmf_received",
        "call_seen",
        "call_completed",
        "call_failed",
        "transcript_turn",
        "tool_invoked",
        "tool_result",
        "stage_latency",
        "latency_summary",
        "media_quality",
        "cost_item",
        "recording_ready",
        "recording_failed",
        "recording_deleted",
        "transcript_deleted",
        "transcript_ready",
        "analysis_ready",
        "metadata_set",
    ]
}
