//! Our own recordings: signed links to them, and their bytes.

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::server::{Answer, Home, Server, ago, send, wait_for};

/// Not audio: nobody here listens.
const BYTES: &str = "0123456789abcdef";

/// A server with the call `call_1`, which is over, and the file of its recording.
async fn recorded<'a>(home: &'a Home, object: &str) -> Server<'a> {
    let server = home.start();
    let folder = home.data().join("recordings");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(object), BYTES).expect("a recording");
    let data = json!({"object": object, "duration_seconds": 2.5, "format": "mp3", "size_bytes": BYTES.len()});
    server
        .tell(&json!([
            {"call_id": "call_1", "event_type": "call_answered"},
            {"call_id": "call_1", "event_type": "call_completed"},
            {"call_id": "call_1", "event_type": "recording_ready", "event_data": data},
        ]))
        .await;
    server
}

async fn link(server: &Server<'_>) -> String {
    let recording = server.get("/v1/calls/call_1/recording").await.expect(200);
    let url = recording["recording_url"].as_str().expect("a link");
    url.strip_prefix(&server.url("")).expect("a link to this server").to_owned()
}

/// Without a key.
async fn fetch(server: &Server<'_>, method: Method, path: &str, range: Option<&str>) -> Answer {
    let request = server.client().to(method.as_str(), path);
    send(match range {
        Some(range) => request.header(header::RANGE, range),
        None => request,
    })
    .await
}

fn text(answer: &Answer, name: header::HeaderName) -> &str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn a_recording_is_heard_whole_or_in_ranges_behind_a_link_that_needs_no_key() {
    let home = Home::new("");
    let server = recorded(&home, "1.call_1.mp3").await;
    let told = server.get("/v1/calls/call_1/recording").await.expect(200);
    assert_eq!((&told["duration_seconds"], &told["format"]), (&json!(2.5), &json!("mp3")));
    assert_eq!(told["size_bytes"], BYTES.len());
    assert!(told["expires_at"].is_string(), "{told}");
    let detail = server.get("/v1/calls/call_1").await.expect(200);
    assert_eq!(detail["recording_url"], told["recording_url"]);

    let link = link(&server).await;
    let whole = fetch(&server, Method::GET, &link, None).await;
    assert_eq!((whole.status.as_u16(), whole.text.as_str()), (200, BYTES));
    assert_eq!(text(&whole, header::CONTENT_TYPE), "audio/mpeg");
    assert_eq!(text(&whole, header::CONTENT_LENGTH), "16");
    assert_eq!(text(&whole, header::ACCEPT_RANGES), "bytes");
    assert_eq!(text(&whole, header::CONTENT_DISPOSITION), "inline; filename=\"1.call_1.mp3\"");
    assert!(text(&whole, header::CACHE_CONTROL).starts_with("private"));

    let head = fetch(&server, Method::HEAD, &link, None).await;
    assert_eq!((head.status.as_u16(), text(&head, header::CONTENT_LENGTH)), (200, "16"));
    for (range, bytes, content) in [
        ("bytes=0-3", "0123", "bytes 0-3/16"),
        ("bytes=10-", "abcdef", "bytes 10-15/16"),
        ("bytes=-2", "ef", "bytes 14-15/16"),
    ] {
        let part = fetch(&server, Method::GET, &link, Some(range)).await;
        assert_eq!((part.status.as_u16(), part.text.as_str()), (206, bytes), "{range}");
        assert_eq!(text(&part, header::CONTENT_RANGE), content);
    }
    let beyond = fetch(&server, Method::GET, &link, Some("bytes=99-")).await;
    assert_eq!(beyond.status.as_u16(), 416);
    assert!(!beyond.headers.contains_key(header::CACHE_CONTROL));
}

/// What an answer holds under this name, at whatever depth.
fn named<'a>(answer: &'a Value, name: &str) -> Vec<&'a Value> {
    match answer {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| if key == name { vec![value] } else { named(value, name) })
            .collect(),
        Value::Array(values) => values.iter().flat_map(|value| named(value, name)).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn a_key_that_may_not_hear_recordings_is_shown_no_link_in_any_dialect() {
    let home = Home::new("");
    let server = recorded(&home, "1.call_1.mp3").await;
    let begin =
        json!([{"call_id": "call_1", "event_type": "call_initiated", "event_data": {"endpoint_id": "ep_1"}}]);
    server.tell(&begin).await;
    for (scopes, hears) in [("calls:read", false), ("calls:read,recordings:read", true)] {
        let key = home.run_json(&["keys", "create", "--organization", "org_default", "--scopes", scopes]);
        let text = |name: &str| key[name].as_str().expect(name);
        for (path, link) in [
            ("/v1/calls/call_1", "recording_url"),
            ("/v1/calls", "recording_url"),
            ("/api/calls", "recording_url"),
            ("/api/calls/call_1", "recording_url"),
            ("/api/agents/1/call_stats", "call_recording_url"),
        ] {
            let request = server.client().to("GET", path);
            let request = if path.starts_with("/api/calls") {
                request.header("x-api-key", text("key_id")).header("x-api-secret", text("secret"))
            } else {
                request.header("x-api-key", text("key"))
            };
            let answer = send(request).await.expect(200);
            let links = named(&answer, link);
            assert_eq!(links.len(), 1, "{path}: {answer}");
            assert_eq!(links[0].is_string(), hears, "{scopes} {path}: {answer}");
        }
    }
}

#[tokio::test]
async fn events_do_not_tell_a_key_that_may_not_hear_recordings_where_others_keep_them() {
    let home = Home::new("");
    let server = home.start();
    let url = "https://recordings.example.com/1.mp3";
    let events = json!([
        {"call_id": "call_1", "event_type": "call_initiated", "event_data": {"endpoint_id": "ep_1"}},
        {"call_id": "call_1", "event_type": "recording_ready", "event_data": {"url": url, "format": "mp3"}},
    ]);
    server.tell(&events).await;
    for (scopes, hears) in [("calls:read", false), ("calls:read,recordings:read", true)] {
        let key = home.run_json(&["keys", "create", "--organization", "org_default", "--scopes", scopes]);
        for path in ["/v1/calls/call_1/events", "/v1/calls/call_1/explain", "/api/agents/1/call_stats"] {
            let request =
                server.client().to("GET", path).header("x-api-key", key["key"].as_str().expect("a key"));
            let answer = send(request).await;
            assert_eq!(answer.status.as_u16(), 200, "{path}");
            assert_eq!(answer.text.contains(url), hears, "{scopes} {path}: {}", answer.text);
        }
    }
    let (id, secret) = server.key.split_at(20);
    let request = server.client().to("GET", "/api/calls/call_1").header("x-api-key", id);
    let detail = send(request.header("x-api-secret", &secret[1..])).await;
    let logs =
        named(&detail.expect(200), "public_log_url").first().and_then(|url| url.as_str()).map(str::to_owned);
    let log = logs.expect("a link to the log");
    let path = log.strip_prefix(&server.url("")).expect("a link to this server");
    let log = fetch(&server, Method::GET, path, None).await;
    assert_eq!(log.status.as_u16(), 200);
    assert!(log.text.contains("recording_ready") && !log.text.contains(url), "{}", log.text);
}

#[tokio::test]
async fn a_link_that_was_changed_leads_nowhere() {
    let home = Home::new("");
    let server = recorded(&home, "1.call_1.mp3").await;
    let link = link(&server).await;
    let (path, query) = link.split_once('?').expect("a query");
    for wrong in [
        path.to_owned(),
        format!("{link}x"),
        link.replace("expires=", "expires=9"),
        format!("/recordings/1.call_2.mp3?{query}"),
        format!("/recordings/..%2Ffirst-key?{query}"),
        format!("/recordings/1.call_1.wav?{query}"),
    ] {
        let answer = fetch(&server, Method::GET, &wrong, None).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["code"]),
            (404, &json!("LINK_NOT_FOUND")),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_file_that_is_not_the_calls_own_is_not_given_out() {
    let home = Home::new("");
    let server = recorded(&home, "1.call_of_somebody.mp3").await;
    let answer = server.get("/v1/calls/call_1/recording").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (404, &json!("RECORDING_NOT_FOUND")));
    assert_eq!(server.get("/v1/calls/call_1").await.expect(200)["recording_url"], Value::Null);
}

/// The record of a leg that FreeSWITCH posts.
async fn post_leg(server: &Server<'_>, uuid: &str, variables: Value) {
    let mut record = json!({"variables": {
        "uuid": uuid, "direction": "inbound", "start_epoch": "1768471200", "answer_epoch": "1768471205",
        "end_epoch": "1768471265", "duration": "65", "billsec": "60", "hangup_cause": "NORMAL_CLEARING",
    }});
    let named = variables.as_object().expect("variables").clone();
    record["variables"].as_object_mut().expect("variables").extend(named);
    server.post("/sources/freeswitch/cdr", &record).await.expect(200);
}

#[tokio::test]
async fn both_recordings_of_merged_calls_are_heard_until_the_call_is_erased() {
    let home = Home::new("");
    let server = home.start();
    let folder = home.data().join("recordings");
    std::fs::create_dir_all(&folder).expect("a folder");
    let legs = ["11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"];
    let mut links = Vec::new();
    for (second, call) in legs.into_iter().enumerate() {
        post_leg(&server, call, json!({})).await;
        let object = format!("1.{call}.mp3");
        std::fs::write(folder.join(&object), call).expect("a recording");
        let at = format!("2026-01-15T10:02:0{second}Z");
        let ready = json!({"call_id": call, "id": "ready", "event_type": "recording_ready", "created_at": at,
            "event_data": {"object": object}});
        server.tell(&ready).await;
        let told = server.get(&format!("/v1/calls/{call}/recording")).await.expect(200);
        let url = told["recording_url"].as_str().expect("a link");
        links.push(url.strip_prefix(&server.url("")).expect("a link to this server").to_owned());
    }
    let joined = json!({"originator": legs[0], "originated_legs": format!("ARRAY::{};x;y", legs[1])});
    post_leg(&server, "33333333-0000-4000-8000-000000000003", joined).await;

    let call = server.get(&format!("/v1/calls/{}", legs[1])).await.expect(200);
    assert_eq!(call["id"], legs[0], "{call}");
    // The recording that was told last is the call's, though it has the name of the younger.
    for listed in [&call, &server.get("/v1/calls").await.expect(200)["calls"][0]] {
        let url = listed["recording_url"].as_str().expect("a link");
        let heard = fetch(&server, Method::GET, url.strip_prefix(&server.url("")).expect("ours"), None).await;
        assert_eq!((heard.status.as_u16(), heard.text.as_str()), (200, legs[1]));
    }
    for (link, call) in links.iter().zip(legs) {
        let heard = fetch(&server, Method::GET, link, None).await;
        assert_eq!((heard.status.as_u16(), heard.text.as_str()), (200, call), "{link}");
    }
    let erase = server.request(Method::DELETE, &format!("/v1/calls/{}", legs[0]));
    assert_eq!(send(erase.header("x-api-key", &server.key)).await.status.as_u16(), 204);
    for (link, call) in links.iter().zip(legs) {
        assert_eq!(fetch(&server, Method::GET, link, None).await.status.as_u16(), 404, "{link}");
        assert!(!folder.join(format!("1.{call}.mp3")).exists(), "{call}");
    }
}

#[tokio::test]
async fn an_erased_calls_recording_is_deleted_and_its_link_leads_nowhere() {
    let home = Home::new("");
    let server = recorded(&home, "1.call_1.mp3").await;
    let link = link(&server).await;
    let erase = server.request(Method::DELETE, "/v1/calls/call_1").header("x-api-key", &server.key);
    assert_eq!(send(erase).await.status.as_u16(), 204);
    assert_eq!(fetch(&server, Method::GET, &link, None).await.status.as_u16(), 404);
    assert!(!home.data().join("recordings/1.call_1.mp3").exists());
}

#[tokio::test]
async fn a_recording_whose_file_is_gone_is_not_found() {
    let home = Home::new("");
    let server = recorded(&home, "1.call_1.mp3").await;
    let link = link(&server).await;
    std::fs::remove_file(home.data().join("recordings/1.call_1.mp3")).expect("the file");
    let gone = fetch(&server, Method::GET, &link, None).await;
    assert_eq!((gone.status.as_u16(), &gone.json()["code"]), (404, &json!("RECORDING_NOT_FOUND")));
}

#[tokio::test]
async fn the_recording_of_a_call_that_opts_out_later_is_deleted_before_that_is_acknowledged() {
    let home = Home::new("");
    let server = recorded(&home, "1.call_1.mp3").await;
    let link = link(&server).await;
    let file = home.data().join("recordings/1.call_1.mp3");
    assert!(file.exists());
    let opt_out = json!({"opt_out_sensitive_data_storage": true});
    server.tell(&json!([{"call_id": "call_1", "event_type": "call_initiated", "event_data": opt_out}])).await;
    assert!(!file.exists());
    assert_eq!(fetch(&server, Method::GET, &link, None).await.status.as_u16(), 404);
    assert_eq!(server.get("/v1/calls/call_1/recording").await.status.as_u16(), 404);
}

/// Waits until the log of a server says so.
fn says(server: &Server<'_>, words: &str) {
    wait_for(words, || server.log().contains(words).then_some(()));
}

#[tokio::test]
async fn recordings_that_a_kill_kept_from_the_ledger_are_told_at_the_next_start_or_deleted() {
    let home = Home::new("[sip]\nlisten = \"127.0.0.1:0\"\n");
    let server = home.start();
    let over = |call: &str| json!([{"call_id": call, "event_type": "call_answered"}, {"call_id": call, "event_type": "call_completed"}]);
    for call in ["call_lost", "call_out", "call_gone", "call_known"] {
        server.tell(&over(call)).await;
    }
    let opt_out = json!({"opt_out_sensitive_data_storage": true});
    server
        .tell(&json!([{"call_id": "call_out", "event_type": "call_initiated", "event_data": opt_out}]))
        .await;
    let known = json!({"object": "1.call_known.mp3", "duration_seconds": 2, "format": "mp3"});
    let event = json!([{"call_id": "call_known", "event_type": "recording_ready", "event_data": known}]);
    server.tell(&event).await;
    let erase = server.request(Method::DELETE, "/v1/calls/call_gone").header("x-api-key", &server.key);
    assert_eq!(send(erase).await.status.as_u16(), 204);
    server.kill();

    // A second of MP3: frames of 24 ms at 64 kbit/s, and nothing in them.
    let frame = [&[0xff, 0xfb, 0x54, 0xc4][..], &[0; 188]].concat();
    let audio = frame.repeat(42);
    let folder = home.data().join("recordings");
    let file = |call: &str| folder.join(format!("1.{call}.mp3"));
    for call in ["call_lost", "call_out", "call_gone", "call_known", "call_of_nobody"] {
        std::fs::write(file(call), &audio).expect("it is written");
    }
    std::fs::write(folder.join("notes.txt"), "of the operator").expect("it is written");
    let server = home.start();
    says(&server, "of no call in the ledger");
    says(&server, "were told of only now");
    let told = server.get("/v1/calls/call_lost/recording").await.expect(200);
    assert_eq!((&told["duration_seconds"], &told["format"]), (&json!(1.008), &json!("mp3")));
    assert_eq!(told["size_bytes"], audio.len());
    assert!(!file("call_out").exists() && !file("call_gone").exists());
    assert!(file("call_of_nobody").exists() && folder.join("notes.txt").exists());
    let known = server.get("/v1/calls/call_known/recording").await.expect(200);
    assert_eq!(known["duration_seconds"], 2);
    assert_eq!(server.get("/v1/calls/call_of_nobody").await.status.as_u16(), 404);
    assert_eq!(server.get("/v1/live").await.expect(200)["live_calls"], 0);
    let before = server.get("/v1/calls/call_lost/events").await.expect(200);
    assert!(server.terminate().success());

    // Once is enough.
    let server = home.start();
    says(&server, "of no call in the ledger");
    assert!(!server.log().contains("were told of only now"), "{}", server.log());
    assert_eq!(server.get("/v1/calls/call_lost/events").await.expect(200), before);
}

#[tokio::test]
async fn a_recording_that_should_have_come_is_missed_by_explain_metrics_and_doctor_until_it_comes() {
    let home = Home::new("[recordings]\nmissing_after_minutes = 10");
    let server = home.start();
    let at = |minutes_ago: i64| ago(minutes_ago * 60);
    let ended = |call: &str, minutes_ago: i64, recorded: bool| {
        json!({"id": "1", "call_id": call, "event_type": "call_completed", "created_at": at(minutes_ago),
            "event_data": {"duration": 60, "recorded": recorded}})
    };
    let events = json!([
        ended("missing", 11, true), ended("too-new", 9, true), ended("unrecorded", 11, false),
        ended("long-ago", 25 * 60, true), ended("silent", 11, true), ended("there", 11, true), ended("failed", 11, false),
        {"id": "2", "call_id": "silent", "event_type": "recording_failed", "event_data": {"empty": true}},
        {"id": "2", "call_id": "there", "event_type": "recording_ready", "event_data": {"url": "https://a.example/1"}},
        {"id": "2", "call_id": "failed", "event_type": "recording_failed", "event_data": {"reason": "the disk is full"}},
    ]);
    server.tell(&events).await;
    let missing = async |server: &Server<'_>, call: &str| {
        let explained = server.get(&format!("/v1/calls/{call}/explain")).await.expect(200);
        explained["recording_missing"] == true
    };
    let calls = ["missing", "too-new", "unrecorded", "long-ago", "silent", "there", "failed"];
    let mut found = Vec::new();
    for call in calls {
        found.push(missing(&server, call).await);
    }
    assert_eq!(found, [true, false, false, true, false, false, true], "{calls:?}");
    let doctor = || {
        let findings = home.run_json(&["doctor"]);
        let findings = findings.as_array().expect("a list").iter();
        let mut of_recordings = findings.filter(|finding| finding["subject"] == "missing recordings");
        of_recordings.next_back().expect("a finding")["message"].as_str().expect("a text").to_owned()
    };
    let message = doctor();
    assert!(
        message.starts_with("2 of the last 24 hours are missing") && message.contains("missing"),
        "{message}"
    );
    server.terminate();

    // Counted anew at the start, and once a minute.
    let server = home.start();
    server
        .until("/metrics", |metrics| metrics.text.contains("pegcount_recordings_missing 2").then_some(()))
        .await;
    let ready = |call: &str| json!({"id": "9", "call_id": call, "event_type": "recording_ready", "event_data": {"url": "https://a.example/1"}});
    server.tell(&json!([ready("missing"), ready("failed")])).await;
    assert!(!missing(&server, "missing").await);
    assert_eq!(doctor(), "none of the last 24 hours is missing");
}
