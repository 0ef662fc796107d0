//! Events as a whole: their frames, the forms they come in, what is said twice.

use std::fmt::Write;

use serde_json::{Value, json};

use super::Target;
use crate::{
    forms::assert_refused,
    server::{Home, Server},
};

const EVENTS: &str = "/v1/events";

/// The place and the code of everything that was turned away.
fn rejected(receipt: &Value) -> Vec<(u64, &str)> {
    let all = receipt["rejected"].as_array().expect("a list");
    all.iter()
        .map(|one| (one["index"].as_u64().expect("a place"), one["code"].as_str().expect("a code")))
        .collect()
}

fn note(call: &str) -> Value {
    json!({"call_id": call, "event_type": "x_note", "created_at": "2025-01-10T10:00:00Z"})
}

/// The note with another value of one field.
fn noted(field: &str, value: Value) -> Value {
    let mut event = note("call_frame");
    event[field] = value;
    event
}

#[tokio::test]
async fn a_bad_frame_is_refused_at_its_place_and_its_neighbours_are_kept() {
    let home = Home::new("");
    let server = home.start();
    let target = Target::make(&server).await;
    let mut bad =
        vec![json!(null), json!(5), json!("x"), json!([]), json!({}), json!({"call_id": "call_frame"})];
    bad.push(json!(["call_frame", null, "x_note", null, null]));
    for id in [
        json!(""),
        json!("a b"),
        json!("a/b"),
        json!("é"),
        json!("x".repeat(129)),
        json!(5),
        json!(null),
        json!({}),
        json!("."),
        json!(".."),
        json!("a%2Fb"),
        json!("a\u{7}"),
        json!("stats"),
        json!("trends"),
        json!("agent-performance"),
        json!("events"),
    ] {
        bad.push(noted("call_id", id));
    }
    for id in [json!(""), json!("a b"), json!("x".repeat(129)), json!(5), json!([])] {
        bad.push(noted("id", id));
    }
    for kind in
        [json!(""), json!("call_done"), json!("X_NOTE"), json!(5), json!(null), json!("x".repeat(70_000))]
    {
        bad.push(noted("event_type", kind));
    }
    for at in [
        json!("yesterday"),
        json!(""),
        json!("2025-02-30T10:00:00Z"),
        json!("2025-01-10"),
        json!("1989-12-31T23:59:59Z"),
        json!("9999-01-01T00:00:00Z"),
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1.5),
        json!(1e300),
        json!(true),
        json!([]),
        json!("2025-01-10T10:00:00"),
        json!("2025-01-10T10:00:00+99:00"),
    ] {
        bad.push(noted("created_at", at));
    }
    for data in [json!(5), json!("x"), json!([]), json!(true), json!({"k": "x".repeat(65_536)})] {
        bad.push(noted("event_data", data));
    }
    let mut events = Vec::new();
    for (place, event) in bad.iter().enumerate() {
        events.push(event.clone());
        events.push(note(&format!("call_neighbour_{place}")));
    }
    let receipt = target.events(&json!(events)).await;
    let places: Vec<u64> = rejected(&receipt).iter().map(|(place, _)| *place).collect();
    let even: Vec<u64> = (0..bad.len() as u64).map(|place| place * 2).collect();
    assert_eq!(places, even, "{receipt}");
    assert_eq!(receipt["accepted"], bad.len());
    for place in 0..bad.len() {
        target.get(&format!("/v1/calls/call_neighbour_{place}")).await.expect(200);
    }
    assert_eq!(target.get("/v1/calls/call_frame").await.status.as_u16(), 404);

    let all_bad = target.post(EVENTS, "application/json", json!(bad).to_string()).await;
    assert_eq!(all_bad.expect(422)["accepted"], 0);
    let longest = format!("{}:.@+~=-_", "x".repeat(119));
    let receipt =
        target.events(&json!([note(&longest), noted("event_data", json!({"k": "x".repeat(65_000)}))])).await;
    assert_eq!(receipt["accepted"], 2, "{receipt}");
    target.get(&format!("/v1/calls/{}", longest.replace('+', "%2B").replace(':', "%3A"))).await.expect(200);
    target.assert_whole().await;
}

#[tokio::test]
async fn text_that_readers_would_understand_differently_is_refused_and_only_it() {
    let home = Home::new("");
    let server = home.start();
    let target = Target::make(&server).await;
    let odd = |data: &str| format!(r#"{{"call_id":"call_odd","event_type":"x_note","event_data":{data}}}"#);
    let deep = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let bad = [
        odd(r#"{"a":1,"a":2}"#),
        odd(r#"{"a":"\u0000"}"#),
        odd(r#"{"\u0000":1}"#),
        odd(r#"{"a":"\ud800"}"#),
        odd(r#"{"a":"\ude00\ud83d"}"#),
        odd(r#"{"a":1e999}"#),
        odd(&deep(40)),
        odd(&deep(127)),
        r#"{"call_id":"call_odd","call_id":"call_two","event_type":"x_note"}"#.to_owned(),
    ];
    let sound = note("call_sound").to_string();
    let array = bad.iter().fold(format!("[{sound}"), |mut text, event| {
        let _ = write!(text, ",{event}");
        text
    });
    let receipt = target.post(EVENTS, "application/json", format!("{array}]")).await.expect(200);
    let expected: Vec<(u64, &str)> = (1..=bad.len() as u64).map(|place| (place, "INVALID_JSON")).collect();
    assert_eq!(rejected(&receipt), expected, "{receipt}");
    assert_eq!(receipt["accepted"], 1);
    let too_deep = target.post(EVENTS, "application/json", odd(&deep(100_000))).await;
    assert!([400, 422].contains(&too_deep.status.as_u16()), "{}", too_deep.text);
    let broken = target.post(EVENTS, "application/json", b"[{\"call_id\":\"\xff\"}]".to_vec()).await;
    assert_refused("invalid UTF-8", EVENTS, &broken, 400);
    for empty in ["", "   ", "nothing", "[", "[{}", "5", "\"x\"", "[1] [2]"] {
        assert_refused(empty, EVENTS, &target.post(EVENTS, "application/json", empty).await, 400);
    }
    let none = target.post(EVENTS, "application/json", "[]").await.expect(200);
    assert_eq!(none, json!({"accepted": 0, "duplicates": 0, "rejected": []}));
    assert_eq!(target.get("/v1/calls/call_odd").await.status.as_u16(), 404);
    target.assert_whole().await;
}

#[tokio::test]
async fn lines_and_cloud_events_are_taken_one_by_one() {
    let home = Home::new("");
    let server = home.start();
    let target = Target::make(&server).await;
    let lines =
        format!("\u{feff}{}\r\n\nnot json\n{{\"call_id\":1}}\n{}\n[]\n", note("call_l1"), note("call_l2"));
    for media_type in ["application/x-ndjson", "application/x-ndjson; charset=utf-8"] {
        let receipt = target.post(EVENTS, media_type, lines.clone()).await.expect(200);
        let codes = [(1, "INVALID_JSON"), (2, "INVALID_EVENT"), (4, "INVALID_EVENT")];
        assert_eq!(rejected(&receipt), codes, "{receipt}");
        assert_eq!(
            receipt["accepted"].as_u64().unwrap_or(0) + receipt["duplicates"].as_u64().unwrap_or(0),
            2
        );
    }
    let cloud = |id: &str, subject: &str| {
        json!({
            "specversion": "1.0", "id": id, "source": "/test", "type": "call_ringing", "subject": subject,
            "time": "2025-01-10T10:00:00Z", "data": {"from_number": "+1"},
        })
    };
    let one = target.post(EVENTS, "application/cloudevents+json", cloud("1", "call_c1").to_string()).await;
    assert_eq!(one.expect(200)["accepted"], 1);
    let mut old = cloud("3", "call_c1");
    old["specversion"] = json!("0.3");
    let mut nobody = cloud("4", "call_c1");
    nobody.as_object_mut().expect("an object").remove("subject");
    let batch = json!([cloud("1", "call_c1"), cloud("an id of its own kind / 2", "call_c1"), old, nobody, 5]);
    let batch =
        target.post(EVENTS, "application/cloudevents-batch+json", batch.to_string()).await.expect(200);
    assert_eq!((&batch["accepted"], &batch["duplicates"]), (&json!(1), &json!(1)), "{batch}");
    assert_eq!(rejected(&batch).iter().map(|(place, _)| *place).collect::<Vec<_>>(), [2, 3, 4]);
    let foreign = json!(cloud("1", "a call / of another alphabet"));
    let foreign = target.post(EVENTS, "application/cloudevents+json", foreign.to_string()).await;
    assert_eq!(foreign.expect(200)["accepted"], 1);
    let ringing = target.get("/v1/calls?status=ringing").await.expect(200);
    assert_eq!(ringing["total"], 2, "{ringing}");
    target.assert_whole().await;
}

#[tokio::test]
async fn what_is_said_twice_is_known_and_an_id_is_never_used_for_something_else() {
    let home = Home::new("");
    let server = home.start();
    let target = Target::make(&server).await;
    let event = json!({"call_id": "call_1", "id": "evt_1", "event_type": "call_answered", "created_at": "2025-01-10T10:00:05Z"});
    let mut other = event.clone();
    other["created_at"] = json!("2025-01-10T10:00:06Z");
    let receipt = target.events(&json!([event, event, other])).await;
    assert_eq!((&receipt["accepted"], &receipt["duplicates"]), (&json!(1), &json!(1)));
    assert_eq!(rejected(&receipt), [(2, "EVENT_ID_REUSED")]);
    let again = target
        .events(&json!([other, event, {"call_id": "call_2", "id": "evt_1", "event_type": "x_note"}]))
        .await;
    assert_eq!(rejected(&again), [(0, "EVENT_ID_REUSED")]);
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(1), &json!(1)));
    assert_eq!(target.get("/v1/calls/call_1").await.json()["answered_at"], "2025-01-10T10:00:05Z");

    let without_time =
        json!([{"call_id": "call_3", "event_type": "x_a"}, {"call_id": "call_3", "event_type": "x_b"}]);
    assert_eq!(target.events(&without_time).await["accepted"], 2);
    assert_eq!(target.events(&without_time).await["duplicates"], 2, "an exact re-send is still one event");
    let told = target.get("/v1/calls/call_3/events").await.json();
    let at = |place: usize| {
        told["events"][place]["created_at"].as_str().expect("a time").parse::<jiff::Timestamp>()
    };
    let (first, second) = (at(0).expect("a time"), at(1).expect("a time"));
    assert_eq!(second.as_millisecond() - first.as_millisecond(), 1);

    let backwards = json!([
        {"call_id": "call_4", "event_type": "call_initiated", "created_at": "2025-01-10T10:00:10Z"},
        {"call_id": "call_4", "event_type": "call_answered", "created_at": "2025-01-10T10:00:20Z"},
        {"call_id": "call_4", "event_type": "call_completed", "created_at": "2025-01-10T10:00:15Z"},
    ]);
    assert_eq!(target.events(&backwards).await["accepted"], 3);
    assert_eq!(target.get("/v1/calls/call_4").await.json()["duration"], 0, "never negative");
    target.assert_readable("call_4").await;
    target.assert_whole().await;
}

#[tokio::test]
async fn too_much_is_refused_whole_and_as_much_as_there_may_be_is_taken() {
    let home = Home::new("");
    let server = home.start();
    let target = Target::make(&server).await;
    let many = |count: usize| {
        let events: Vec<Value> =
            (0..count).map(|number| json!({"call_id": "call_many", "event_type": "cost_item", "event_data": {"product": "x", "cost": 1_000_000, "n": number}})).collect();
        json!(events).to_string()
    };
    let one_more = target.post(EVENTS, "application/json", many(10_001)).await;
    assert_refused("10,001 events", EVENTS, &one_more, 413);
    let lines = "{}\n".repeat(10_001);
    assert_refused("10,001 lines", EVENTS, &target.post(EVENTS, "application/x-ndjson", lines).await, 413);
    assert_eq!(target.get("/v1/calls/call_many").await.status.as_u16(), 404);
    let all = target.post(EVENTS, "application/json", many(10_000)).await.expect(200);
    assert_eq!(all["accepted"], 10_000);
    // 10,000 x 1,000,000.00: beyond 64 bits in units of 10^-9.
    let call = target.get("/v1/calls/call_many").await.expect(200);
    assert!(call["cost_cents"].as_i64().is_some_and(|cents| cents > 0), "{}", call["cost_cents"]);
    target.assert_readable("call_many").await;
    bodies_at_the_limit(&target).await;
    calls_at_the_limit(&target, &server).await;
    target.assert_whole().await;
}

async fn bodies_at_the_limit(target: &Target<'_>) {
    let event = note("call_padded").to_string();
    let largest = 16 * 1024 * 1024;
    for (size, status) in [(largest, 200), (largest + 1, 413)] {
        let padded = format!("{event}{}", " ".repeat(size - event.len()));
        let answer = target.post(EVENTS, "application/json", padded).await;
        assert_eq!(answer.status.as_u16(), status, "{size}: {}", answer.text);
    }
}

/// Sums over calls of the largest cost and the longest talk.
async fn calls_at_the_limit(target: &Target<'_>, server: &Server<'_>) {
    let end = json!({"duration": 315_360_000});
    let cost = json!({"product": "x", "cost": "1000000"});
    let mut events = Vec::new();
    for number in 0..50 {
        let call = format!("call_long_{number}");
        let at = "2025-01-10T10:00:00Z";
        events.push(
            json!({"call_id": call, "event_type": "call_completed", "created_at": at, "event_data": end}),
        );
        events
            .push(json!({"call_id": call, "event_type": "cost_item", "created_at": at, "event_data": cost}));
    }
    server.tell(&json!(events)).await;
    let stats = target.get("/v1/calls/stats").await.expect(200);
    assert_eq!(stats["total_duration_seconds"], 50 * 315_360_000_u64 + 180, "{stats}");
    assert_eq!(stats["total_cost_cents"], 50 * 100_000_000_u64, "{stats}");
}
