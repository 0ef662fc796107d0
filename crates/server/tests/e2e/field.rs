//! Inputs of kinds that users have reported, through the whole program: what each becomes, and that none is ever live.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Home, Server, ago, fixtures, send};

fn file(name: &str) -> String {
    fixtures().join("field").join(name).to_str().expect("a path").to_owned()
}

async fn calls(server: &Server<'_>, organization: &str) -> Vec<Value> {
    let request = server.request(Method::GET, "/v1/calls?limit=100").header("x-api-key", &server.key);
    let list = send(request.header("x-organization-id", organization)).await.expect(200);
    let mut calls = list["calls"].as_array().expect("calls").clone();
    calls.reverse();
    calls
}

/// Status and talk time of each call.
fn outcomes(calls: &[Value]) -> Vec<(&str, u64)> {
    let outcome = |call: &'_ Value| (call["status"].clone(), call["duration"].as_u64().unwrap_or(u64::MAX));
    let status = |text: Value| match text.as_str() {
        Some("completed") => "completed",
        Some("no_answer") => "no_answer",
        Some("busy") => "busy",
        Some("failed") => "failed",
        _ => "not over",
    };
    calls.iter().map(outcome).map(|(text, seconds)| (status(text), seconds)).collect()
}

/// A format, a file, more arguments, and the outcomes of its calls.
type Case = (&'static str, &'static str, &'static [&'static str], &'static [(&'static str, u64)]);

const DONE: &str = "completed";
const NO_ANSWER: (&str, u64) = ("no_answer", 0);

#[tokio::test]
async fn every_reported_file_becomes_its_calls_at_once() {
    let expected: [Case; 19] = [
        ("asterisk-cdr-csv", "asterisk-cdr/a2-dahdi-reuse.csv", &[], &[(DONE, 25), (DONE, 27)]),
        ("asterisk-cdr-csv", "asterisk-cdr/a2b-dahdi-reuse-2s.csv", &[], &[(DONE, 25), (DONE, 27)]),
        ("asterisk-cdr-csv", "asterisk-cdr/a2c-dahdi-out.csv", &[], &[(DONE, 25), (DONE, 34)]),
        ("asterisk-cdr-csv", "asterisk-cdr/a2d-dahdi-chain.csv", &[], &[(DONE, 25); 10]),
        ("asterisk-cdr-csv", "asterisk-cdr/a3-export-null.csv", &[], &EXPORT),
        ("asterisk-cdr-csv", "asterisk-cdr/a3-export-bsn.csv", &[], &EXPORT),
        ("asterisk-cdr-csv", "asterisk-cdr/a4-zerodate.csv", &[], &[NO_ANSWER, (DONE, 25), ("busy", 0)]),
        ("asterisk-cdr-csv", "asterisk-cdr/a5-hrtime.csv", &[], &[(DONE, 29), NO_ANSWER]),
        (
            "asterisk-cdr-csv",
            "asterisk-cdr/a6-dst-back.csv",
            &["--tz", "Europe/Berlin"],
            &[(DONE, 4200), (DONE, 900), (DONE, 600)],
        ),
        ("asterisk-cdr-csv", "asterisk-cdr/a8b-newline.csv", &[], &[(DONE, 30); 2]),
        ("asterisk-cdr-csv", "asterisk-cdr/a9-joined.csv", &[], &[(DONE, 30); 2]),
        ("asterisk-cdr-csv", "asterisk-cdr/a11-userfield-number.csv", &[], &[(DONE, 30); 3]),
        ("asterisk-cel-csv", "asterisk-cel/c10-callee-only.csv", &[], &[(DONE, 60)]),
        ("asterisk-cel-csv", "asterisk-cel/c10b-callee-only-end.csv", &[], &[(DONE, 60)]),
        ("asterisk-cel-csv", "asterisk-cel/c10c-tail.csv", &[], &[(DONE, 0)]),
        ("asterisk-cel-csv", "asterisk-cel/c1f-zonename.csv", &[], &[(DONE, 60)]),
        ("freeswitch-json-cdr", "freeswitch/f1-bonly.1.json", &[], &[(DONE, 60)]),
        ("freeswitch-json-cdr", "freeswitch/f2-neverup.1.json", &[], &[("failed", 0)]),
        (
            "freeswitch-json-cdr",
            "freeswitch",
            &[],
            &[("failed", 0), (DONE, 60), NO_ANSWER, (DONE, 60), (DONE, 60), (DONE, 60)],
        ),
    ];
    let home = Home::new("");
    let server = home.start();
    for (number, (format, path, more, outcome)) in expected.into_iter().enumerate() {
        let organization = format!("org-{number}");
        home.run_json(&["organizations", "create", "--id", &organization]);
        let path = file(path);
        let told =
            home.run_json(&[&["import", format, &path, "--organization", &organization], more].concat());
        assert_eq!(told["bad"], json!([]), "{path}");
        let calls = calls(&server, &organization).await;
        let mut found = outcomes(&calls);
        if path.ends_with("freeswitch") {
            // Some began in the same millisecond.
            found.sort_unstable();
            let mut outcome = outcome.to_vec();
            outcome.sort_unstable();
            assert_eq!(found, outcome, "{path}");
        } else {
            assert_eq!(found, outcome, "{path}: {calls:#?}");
        }
        assert_eq!(server.get("/v1/live").await.expect(200)["live_calls"], 0, "{path}");
    }
}

const EXPORT: [(&str, u64); 5] = [(DONE, 15), NO_ANSWER, (DONE, 30), ("busy", 0), NO_ANSWER];

#[tokio::test]
async fn a_file_in_another_format_is_refused_by_the_name_of_its_own() {
    let home = Home::new("");
    let server = home.start();
    let log = home.path("messages");
    let line = "[2026-01-15 10:00:00] NOTICE[1] chan_sip.c: Registration from '\"x\"' failed\n";
    std::fs::write(&log, line.repeat(500)).expect("a log");
    let log = log.to_str().expect("a path").to_owned();
    let recorded = |path: &str| fixtures().join(path).to_str().expect("a path").to_owned();
    let cel = recorded("asterisk/cel/blind-transfer-refer.csv");
    let record = recorded("freeswitch/json_cdr/answered.1.json");
    for (format, path, likely) in [
        ("asterisk-cdr-csv", &cel, "asterisk-cel-csv"),
        ("asterisk-cel-csv", &file("asterisk-cdr/a2d-dahdi-chain.csv"), "asterisk-cdr-csv"),
        ("events-ndjson", &cel, "asterisk-cel-csv"),
        ("asterisk-cdr-csv", &record, "freeswitch-json-cdr"),
        ("freeswitch-json-cdr", &file("asterisk-cdr/a9-joined.csv"), "asterisk-cdr-csv"),
        ("asterisk-cdr-csv", &log, "Is it another file"),
    ] {
        let output = home.run(&["import", format, path, "--organization", "org_default"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(&format!("is not written as {format}")) && said.contains(likely), "{said}");
        assert!(output.stdout.is_empty());
    }
    let misused = |arguments: &[&str], word: &str| {
        let output = home.run(&[&["import"], arguments, &["--organization", "org_default"]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(word), "{said}");
    };
    misused(&["asterisk-cel-csv", &cel, "--time-format", "%H:%M"], "strftime");
    misused(&["events-ndjson", &cel, "--time-format", "%F %T"], "Asterisk");
    assert_eq!(server.get("/v1/calls").await.expect(200)["total"], 0);
}

#[tokio::test]
async fn times_in_another_format_are_read_as_it_is_named() {
    let home = Home::new("");
    let server = home.start();
    let text = std::fs::read_to_string(file("asterisk-cel/c1f-zonename.csv")).expect("a file");
    let path = home.path("cel.csv");
    std::fs::write(&path, text.replace("2026-01-15 ", "15/01/2026 ").replace(" UTC", "")).expect("a file");
    let path = path.to_str().expect("a path");
    let format = ["--time-format", "%d/%m/%Y %H:%M:%S"];
    let told = home.run_json(
        &[&["import", "asterisk-cel-csv", path, "--organization", "org_default"][..], &format].concat(),
    );
    assert_eq!(told["bad"], json!([]));
    assert_eq!(outcomes(&calls(&server, "org_default").await), [(DONE, 60)]);
}

/// A record of one channel of FreeSWITCH that ended just now, unanswered.
fn record(uuid: &str, cause: &str) -> Value {
    let micros = |seconds: i64| {
        let at: jiff::Timestamp = ago(seconds).parse().expect("a time");
        at.as_microsecond().to_string()
    };
    json!({"core-uuid": "c", "variables": {
        "uuid": uuid, "direction": "outbound", "originator": "a-leg", "hangup_cause": cause,
        "start_uepoch": micros(20), "end_uepoch": micros(1),
    }})
}

async fn post(server: &Server<'_>, record: &Value) {
    let request = server.request(Method::POST, "/sources/freeswitch/cdr").header("x-api-key", &server.key);
    send(request.json(record)).await.expect(200);
}

#[tokio::test]
async fn unanswered_tries_are_concluded_later_even_after_a_restart() {
    let home = Home::new("");
    let server = home.start();
    post(&server, &record("b-leg", "USER_BUSY")).await;
    let status = async |server: &Server<'_>| {
        let call = server.get("/v1/calls/a-leg").await.expect(200);
        (call["status"].clone(), server.get("/v1/live").await.expect(200)["live_calls"].clone())
    };
    assert_eq!(status(&server).await, (json!("initiated"), json!(0)));
    server.kill();

    let server = home.start();
    assert_eq!(status(&server).await, (json!("initiated"), json!(0)));
    let waits = |answer: &Answer| answer.json()["jobs"][0]["id"].as_u64();
    let job = server.until("/v1/jobs?kind=conclusion", waits).await;
    server.post(&format!("/v1/jobs/{job}/retry"), &json!({})).await;
    let busy = |answer: &Answer| (answer.json()["status"] == "busy").then_some(());
    server.until("/v1/calls/a-leg", busy).await;
    let explained = server.get("/v1/calls/a-leg/explain").await.expect(200);
    let end = explained["fields"].as_array().expect("fields").iter().find(|field| field["field"] == "end");
    assert_eq!(end.expect("an end")["value"]["inferred"], true, "{explained}");

    // The caller's own record says more, and makes no second call.
    let mut own = record("a-leg", "ORIGINATOR_CANCEL");
    own["variables"]["originator"] = Value::Null;
    own["variables"]["direction"] = "inbound".into();
    post(&server, &own).await;
    assert_eq!(server.get("/v1/calls").await.expect(200)["total"], 1);
    assert_eq!(server.get("/v1/calls/a-leg").await.expect(200)["hangup_cause"], "user_hangup");
}

#[tokio::test]
async fn a_lost_branch_of_a_call_that_talks_leaves_it_talking() {
    let home = Home::new("");
    let server = home.start();
    post(&server, &record("early", "LOSE_RACE")).await;
    let job = server.get("/v1/jobs?kind=conclusion").await.expect(200);
    let due: jiff::Timestamp = job["jobs"][0]["due_at"].as_str().expect("a time").parse().expect("a time");
    let tomorrow: jiff::Timestamp = ago(-23 * 3600).parse().expect("a time");
    assert!(due > tomorrow, "{job}");
    server
        .tell(&json!([
            {"call_id": "a-leg", "event_type": "call_initiated", "created_at": ago(20)},
            {"call_id": "a-leg", "event_type": "call_answered", "created_at": ago(10)},
        ]))
        .await;
    post(&server, &record("lost", "LOSE_RACE")).await;
    let call = server.get("/v1/calls/a-leg").await.expect(200);
    assert_eq!((&call["status"], &call["completed_at"]), (&json!("in_progress"), &Value::Null));
    assert_eq!(server.get("/v1/live").await.expect(200)["live_calls"], 1);
    assert_eq!(server.get("/v1/calls").await.expect(200)["total"], 1);
}

#[tokio::test]
async fn a_call_of_many_events_is_explained_with_all_of_them() {
    let home = Home::new("");
    let server = home.start();
    let turn = |number: u32| {
        json!({"call_id": "many", "event_type": "transcript_turn", "id": format!("turn_{number}"),
               "created_at": format!("2026-01-15T10:00:{:02}.{:03}Z", number / 100, number % 100),
               "event_data": {"role": "caller", "content": "many words ".repeat(30)}})
    };
    let turns: Vec<Value> = (0..300).map(turn).collect();
    server.tell(&Value::Array(turns)).await;
    let explained = server.get("/v1/calls/many/explain").await.expect(200);
    assert_eq!(explained["events"], 300);
    let events = server.get("/v1/calls/many/events").await.expect(200);
    assert_eq!(events["events"].as_array().map(Vec::len), Some(300));
    assert_eq!(events["events"][299]["id"], "turn_299");
    let call = server.get("/v1/calls/many").await.expect(200);
    assert_eq!(call["status"], explained["status"]);
}

#[tokio::test]
async fn clocks_that_differ_and_lengths_that_contradict_are_explained() {
    let home = Home::new("");
    let server = home.start();
    let at = |second: u32| format!("2026-01-15T10:{:02}:{:02}Z", second / 60, second % 60);
    server
        .tell(&json!([
            {"call_id": "skew", "event_type": "call_initiated", "created_at": at(0)},
            {"call_id": "skew", "event_type": "call_completed", "created_at": at(5)},
            {"call_id": "skew", "event_type": "call_answered", "created_at": at(300), "id": "late"},
            {"call_id": "long", "event_type": "call_answered", "created_at": at(0)},
            {"call_id": "long", "event_type": "call_completed", "created_at": at(120), "id": "end",
             "event_data": {"duration": 60}},
            {"call_id": "talk", "event_type": "call_initiated", "created_at": at(0)},
            {"call_id": "talk", "event_type": "transcript_turn", "created_at": at(4),
             "event_data": {"role": "agent", "content": "Hello"}},
            {"call_id": "talk", "event_type": "transcript_turn", "created_at": at(6),
             "event_data": {"role": "caller", "content": "Hello"}},
            {"call_id": "talk", "event_type": "call_completed", "created_at": at(64)},
        ]))
        .await;
    let noted = async |call: &str| {
        let explained = server.get(&format!("/v1/calls/{call}/explain")).await.expect(200);
        let note = &explained["notes"][0];
        (note["kind"].clone(), note["event_id"].clone())
    };
    let skew = server.get("/v1/calls/skew").await.expect(200);
    assert_eq!((&skew["answered_at"], &skew["completed_at"]), (&json!(at(5)), &json!(at(5))), "{skew}");
    assert_eq!(noted("skew").await, (json!("clock_skew"), json!("late")));
    assert_eq!(server.get("/v1/calls/long").await.expect(200)["duration"], 60);
    assert_eq!(noted("long").await, (json!("lengths_differ"), json!("end")));
    let end =
        |data: Value| json!({"event_type": "call_completed", "created_at": at(300), "event_data": data});
    let says = async |call: &str, mut end: Value| {
        end["call_id"] = json!(call);
        server.tell(&json!([end])).await;
        let explained = server.get(&format!("/v1/calls/{call}/explain")).await.expect(200);
        (explained["notes"][0]["kind"].clone(), explained["notes"][0]["message"].clone())
    };
    let leg = end(json!({"leg_id": "a", "started_at": at(0), "answered_at": at(100), "duration": 20}));
    let differ = "the source states 20 s of talk, its clocks make it 200 s: the clocks count";
    assert_eq!(says("leg", leg).await, (json!("lengths_differ"), json!(differ)));
    let exceeds = "the source states 600 s of talk, but 300 s from the start of the call to its end: it counts as answered at \
                   its start, and the stated talk time counts";
    let record = end(json!({"started_at": at(0), "duration": 600}));
    assert_eq!(says("record", record).await, (json!("talk_exceeds_call"), json!(exceeds)));
    let record = server.get("/v1/calls/record").await.expect(200);
    assert_eq!((&record["answered_at"], &record["duration"]), (&json!(at(0)), &json!(600)));
    let talk = server.get("/v1/calls/talk").await.expect(200);
    assert_eq!((&talk["status"], &talk["duration"]), (&json!(DONE), &json!(60)));
    assert_eq!(noted("talk").await, (Value::Null, Value::Null));

    // The words go, that somebody spoke stays.
    server
        .tell(&json!([{"call_id": "talk", "event_type": "transcript_deleted", "created_at": at(200)}]))
        .await;
    let talk = server.get("/v1/calls/talk").await.expect(200);
    assert_eq!((&talk["status"], &talk["duration"]), (&json!(DONE), &json!(60)));
    server.terminate();
    assert!(home.run(&["refold", "--check"]).status.success());
    assert!(home.run(&["doctor"]).status.success());
}
