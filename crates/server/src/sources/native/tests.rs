//! Events that say too little of themselves: without an id, without a time.

use pegcount_calls::{CallName, Timestamp};
use serde_json::{Value, json};

use super::{LineReader, NAME, wire};
use crate::{sources::Mapped, vocabulary::source_name};

/// 2026-11-21T00:00:00Z.
const RECEIVED_AT: Timestamp = Timestamp::from_millis(1_795_219_200_000);
/// 2026-01-15T10:00:00Z.
const TEN: i64 = 1_768_471_200_000;

fn posted(event: &Value) -> wire::Read {
    let body = event.to_string();
    let read = wire::read(wire::Form::Json, body.as_bytes(), &source_name(NAME), RECEIVED_AT);
    read.unwrap().pop().unwrap()
}

fn lines(events: &[Value]) -> Vec<Result<Mapped, String>> {
    let mut reader = LineReader::new(RECEIVED_AT);
    events.iter().map(|event| reader.read(&event.to_string())).collect()
}

fn at(line: &Result<Mapped, String>) -> i64 {
    line.as_ref().unwrap().tellings[0].at.millis()
}

#[test]
fn a_placeholder_names_no_call() {
    for name in ["null", "NULL", "none", "undefined", "-", "nil"] {
        let event = json!({"call_id": name, "event_type": "call_answered"});
        let rejection = posted(&event).unwrap_err();
        assert!(rejection.message.contains("stands for no id"), "{}", rejection.message);
    }
    let counted = posted(&json!({"call_id": "0", "event_type": "call_answered"})).unwrap();
    assert_eq!(counted.0, CallName::new("0").unwrap());
}

#[test]
fn a_record_without_a_time_ended_when_its_lengths_say() {
    let end = |data: Value| {
        posted(&json!({"call_id": "c", "event_type": "call_completed", "event_data": data}))
            .unwrap()
            .1
            .event
            .at
    };
    assert_eq!(end(json!({"answered_at": TEN, "duration": 60})).millis(), TEN + 60_000);
    assert_eq!(end(json!({"started_at": TEN, "duration": 60})).millis(), TEN + 60_000);
    // An end that is sent when it happens, and one that would lie in the future.
    assert_eq!(end(json!({"answered_at": TEN})), RECEIVED_AT);
    assert_eq!(end(json!({"answered_at": RECEIVED_AT.millis(), "duration": 60})), RECEIVED_AT);
}

#[test]
fn an_end_that_lies_in_the_future_by_its_length_is_refused() {
    let event = |answered_at: i64, duration: i64| {
        let data = json!({"answered_at": answered_at, "duration": duration});
        json!({"call_id": "c", "event_type": "call_completed", "event_data": data})
    };
    let (now, day) = (RECEIVED_AT.millis(), 24 * 60 * 60);
    assert_eq!(posted(&event(now, day)).unwrap().1.event.at, RECEIVED_AT);
    let said = "the end by event_data.duration lies more than 24 hours in the future";
    assert_eq!(posted(&event(now, day + 1)).unwrap_err().message, said);
    assert_eq!(lines(&[event(now, day + 1)])[0].as_ref().unwrap_err(), said);
    // One that names its own time may state any length.
    let mut told = event(now, day + 1);
    told["created_at"] = json!(now);
    assert_eq!(posted(&told).unwrap().1.event.at, RECEIVED_AT);
}

#[test]
fn a_time_or_data_under_another_name_is_refused() {
    let message = |event: Value| posted(&event).err().map(|rejection| rejection.message);
    for name in ["timestamp", "time", "ts", "createdAt", "occurred_at", "Event-Time", "date"] {
        let mut event = json!({"call_id": "c", "event_type": "call_answered"});
        event[name] = json!("2026-01-15T10:00:00Z");
        assert_eq!(
            message(event.clone()),
            Some(format!("{name} is no field of an event: name it created_at"))
        );
        // Beside the right one it does no harm.
        event["created_at"] = json!(TEN);
        assert_eq!(message(event), None);
    }
    let event = json!({"call_id": "c", "event_type": "call_answered", "created_at": TEN, "data": {}});
    assert_eq!(message(event), Some("data is no field of an event: name it event_data".to_owned()));
    let event = json!({"call_id": "c", "event_type": "x_a", "source": "s", "version": 2, "uptime": 7});
    assert_eq!(message(event), None);
    let event = json!({"specversion": "1.0", "id": "1", "subject": "c", "type": "x_a", "created_at": TEN, "data": {}});
    let read =
        wire::read(wire::Form::CloudEvents, event.to_string().as_bytes(), &source_name(NAME), RECEIVED_AT);
    let said = read.unwrap().pop().unwrap().unwrap_err().message;
    assert_eq!(said, "created_at is no field of an event: name it time");
}

#[test]
fn an_end_in_a_file_is_never_dated_by_its_reading() {
    let event = |call: &str, kind: &str, at: Option<i64>| json!({"call_id": call, "event_type": kind, "created_at": at, "event_data": {}});
    let read = lines(&[
        event("a", "call_initiated", Some(TEN)),
        event("a", "call_answered", Some(TEN + 5_000)),
        event("a", "call_completed", None),
        event("b", "call_completed", None),
        event("c", "call_initiated", None),
        event("c", "call_completed", None),
        event("d", "call_completed", Some(TEN)),
    ]);
    assert_eq!(at(&read[2]), TEN + 5_000);
    assert!(read[2].as_ref().unwrap().tellings[0].data.contains("\"inferred\":true"));
    assert!(read[3].as_ref().unwrap_err().contains("names no time"));
    // A call of which no time is known at all keeps its order.
    assert!(at(&read[4]) < at(&read[5]));
    assert_eq!(at(&read[6]), TEN);
}

#[test]
fn an_opt_out_is_told_by_a_boolean_in_any_event() {
    let told = |kind: &str, data: &str| {
        let body = format!(r#"{{"call_id": "c", "event_type": "{kind}", "event_data": {data}}}"#);
        let read = wire::read(wire::Form::Json, body.as_bytes(), &source_name(NAME), RECEIVED_AT);
        read.unwrap().pop().unwrap().map(|(_, told)| told.event.opts_out)
    };
    for kind in ["call_initiated", "call_ringing", "metadata_set", "call_failed", "x_note"] {
        for (data, opts_out) in [
            (r"{}", false),
            (r#"{"opt_out_sensitive_data_storage": true}"#, true),
            (r#"{"opt_out_sensitive_data_storage": false}"#, false),
            (r#"{"opt_out_sensitive_data_storage": null}"#, false),
            (r#"{"\u006fpt_out_sensitive_data_storage": true}"#, true),
            (r#"{"metadata": {"opt_out_sensitive_data_storage": true}}"#, false),
        ] {
            assert_eq!(told(kind, data), Ok(opts_out), "{kind} {data}");
        }
        for word in [r#""true""#, "1", "{}"] {
            let refused =
                told(kind, &format!(r#"{{"opt_out_sensitive_data_storage": {word}}}"#)).unwrap_err();
            assert!(refused.message.contains("opt_out_sensitive_data_storage must be true or false"));
        }
    }
}
