//! Redaction: what is masked is nowhere on disk, and sending an event again stays harmless whatever the setting.

use serde_json::{Value, json};

use crate::server::{Home, Server, send};

const CARD: &str = "4111111111111111";
const SPOKEN: &str = "four one one one one one one one one one one one one one one one";

/// A call with a card number in every place that holds words.
fn events(call: &str) -> Value {
    let words: Vec<Value> = SPOKEN
        .split(' ')
        .enumerate()
        .map(|(place, word)| json!({"word": word, "start_ms": 1000 + place * 100, "end_ms": 1090 + place * 100}))
        .collect();
    let event = |id: &str, kind: &str, second: u32, data: Value| {
        let at = format!("2026-01-01T10:00:{second:02}Z");
        json!({"call_id": call, "id": id, "event_type": kind, "created_at": at, "event_data": data})
    };
    json!([
        event(
            "e0",
            "call_initiated",
            0,
            json!({"from_number": "+4915123456789", "to_number": "+49301234567"})
        ),
        event("e1", "call_answered", 1, json!({})),
        event(
            "e2",
            "transcript_turn",
            2,
            json!({"role": "caller", "content": SPOKEN, "start_ms": 1000, "words": words})
        ),
        event("e3", "transcript_turn", 3, json!({"role": "agent", "content": format!("So it is {CARD}?")})),
        event(
            "e4",
            "tool_invoked",
            4,
            json!({"tool_call_id": "t", "name": "pay", "arguments": {"card": 4111111111111111_u64, "also": CARD}})
        ),
        event(
            "e5",
            "tool_result",
            5,
            json!({"tool_call_id": "t", "result": {"said": format!("paid with {CARD}")}})
        ),
        event("e6", "dtmf_received", 6, json!({"digits": CARD})),
        event("e7", "transcript_ready", 7, json!({"text": format!("[Caller]: 4111 1111 1111 1111, {CARD}")})),
        event(
            "e8",
            "analysis_ready",
            8,
            json!({"call_summary": format!("Paid with {CARD}"), "custom": {"card": "4111-1111-1111-1111"}})
        ),
        event("e9", "call_completed", 9, json!({"hangup_cause": "user_hangup"})),
    ])
}

/// Whether any file of the data folder holds one of these.
fn on_disk(home: &Home, needles: &[&str]) -> bool {
    let holds = |bytes: &[u8]| {
        needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()))
    };
    let files = std::fs::read_dir(home.data()).expect("the data folder");
    let mut files = files.map(|file| file.expect("a file").path()).filter(|path| path.is_file());
    files.any(|path| holds(&std::fs::read(path).expect("a file")))
}

async fn text_of(server: &Server<'_>, key: &str, path: &str) -> String {
    send(server.request(reqwest::Method::GET, path).header("x-api-key", key)).await.text
}

#[tokio::test]
async fn a_card_is_masked_in_every_place_and_nowhere_on_disk() {
    let home = Home::new("[redaction.default]\ncards = true");
    let server = home.start();
    server.tell(&events("call_1")).await;
    let call = server.get("/v1/calls/call_1").await.expect(200);
    assert_eq!(call["from_number"], "+4915123456789");
    let kept = server.get("/v1/calls/call_1/events").await.expect(200);
    let kept = kept["events"].as_array().or(kept.as_array()).expect("events").clone();
    let marked = kept.iter().filter(|event| event["event_data"]["redacted"] == true).count();
    assert_eq!(marked, 7, "{kept:?}");
    let turn = kept.iter().find(|event| event["id"] == "e2").expect("the turn");
    assert_eq!(turn["event_data"]["content"], "[card]");
    assert_eq!(turn["event_data"]["words"], json!([{"word": "[card]", "start_ms": 1000, "end_ms": 2590}]));
    // Sent again it is known, as it was sent and as it is read back.
    let receipt = server.tell(&events("call_1")).await;
    assert_eq!((&receipt["accepted"], &receipt["duplicates"]), (&json!(0), &json!(10)));
    let read_back: Vec<Value> = kept
        .iter()
        .map(|event| {
            let mut event = event.clone();
            event["call_id"] = json!("call_1");
            event
        })
        .collect();
    let receipt = server.tell(&json!(read_back)).await;
    assert_eq!((&receipt["accepted"], &receipt["duplicates"]), (&json!(0), &json!(10)));
    assert!(server.terminate().success());
    assert!(!on_disk(&home, &[CARD, "4111 1111", "4111-1111", "one one one"]));
}

#[tokio::test]
async fn only_the_organization_that_wants_it_is_masked() {
    let home = Home::with_store("[redaction.org-2]\ncards = true");
    home.run_json(&["organizations", "create", "--id", "org-2"]);
    let other =
        home.run_json(&["keys", "create", "--organization", "org-2", "--scopes", "calls:read,events:write"]);
    let other = other["key"].as_str().expect("a key").to_owned();
    let server = home.start();
    server.tell(&events("call_1")).await;
    let told = server.request(reqwest::Method::POST, "/v1/events").header("x-api-key", &other);
    send(told.json(&events("call_1"))).await.expect(200);
    let ours = text_of(&server, &server.key, "/v1/calls/call_1/events").await;
    assert!(ours.contains(CARD) && !ours.contains("[card]"));
    let theirs = text_of(&server, &other, "/v1/calls/call_1/events").await;
    assert!(!theirs.contains(CARD) && theirs.contains("[card]"));
}

#[tokio::test]
async fn an_event_sent_again_under_another_setting_is_known_and_the_first_stays() {
    let mut home = Home::new("");
    let server = home.start();
    server.tell(&events("call_before")).await;
    assert!(server.terminate().success());
    home.config = "[redaction.default]\ncards = true".into();
    let server = home.start();
    let receipt = server.tell(&events("call_before")).await;
    assert_eq!(receipt["duplicates"], 10, "{receipt}");
    server.tell(&events("call_masked")).await;
    assert!(server.terminate().success());
    home.config = String::new();
    let server = home.start();
    let receipt = server.tell(&events("call_masked")).await;
    assert_eq!(receipt["duplicates"], 10, "{receipt}");
    let kept = text_of(&server, &server.key, "/v1/calls/call_masked/events").await;
    assert!(!kept.contains(CARD) && kept.contains("[card]"));
}

#[test]
fn a_setting_that_makes_no_sense_is_refused_by_its_name() {
    for (config, words) in [
        ("[redaction.default]\ncard = true", "redaction.default.card"),
        ("[redaction.default.patterns]\n\"[x]\" = \"(\"", "redaction.default.patterns.[x]"),
        ("[redaction.\"org 1\"]\ncards = true", "no organization's id"),
    ] {
        let output = Home::new(config).run(&["doctor"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(words), "{config}: {errors}");
    }
}
