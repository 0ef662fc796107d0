//! The demonstration as somebody tries it: a recording plays, a hang-up ends a call, nothing is left behind.

use std::{
    io::Read,
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use crate::{
    forms::halves,
    server::{Home, Server, send, signal, wait_for},
};

struct Demo(Child);

impl Demo {
    fn start(home: &Home, server: &Server<'_>) -> Self {
        let mut demo = home.command(&["demo", "--url", &server.url(""), "--seed", "7", "--rate", "20"]);
        Self(demo.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts"))
    }

    /// Stops it as Ctrl-C does; gives what it said.
    fn stop(mut self) -> String {
        signal(self.0.id(), "INT");
        let ended = wait_for("the end of the demo", || self.0.try_wait().expect("a state"));
        let mut said = String::new();
        self.0.stderr.take().expect("stderr").read_to_string(&mut said).expect("text");
        assert!(ended.success(), "{said}");
        said
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A call of this status, once there is one.
async fn call(server: &Server<'_>, query: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let found = |answer: &crate::server::Answer| {
        let list = answer.json();
        list["calls"].as_array().and_then(|calls| calls.iter().find(|call| is_wanted(call)).cloned())
    };
    server.until(&format!("/v1/calls?limit=100&{query}"), found).await
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

#[tokio::test]
async fn a_demo_call_plays_and_hangs_up() {
    let home = Home::new("");
    let server = home.start();
    let demo = Demo::start(&home, &server);
    let recorded = call(&server, "status=completed", |call| !call["recording_url"].is_null()).await;
    let id = text(&recorded, "id");

    let recording = server.get(&format!("/v1/calls/{id}/recording")).await.expect(200);
    let url = text(&recording, "recording_url").to_owned();
    let client = reqwest::Client::new();
    let whole = client.get(&url).send().await.expect("an answer");
    assert_eq!(
        (whole.status().as_u16(), &whole.headers()["content-type"]),
        (200, &"audio/wav".parse().unwrap())
    );
    let whole = whole.bytes().await.expect("a file");
    assert_eq!(recording["size_bytes"], json!(whole.len()));
    assert_eq!((&whole[..4], &whole[8..12]), (&b"RIFF"[..], &b"WAVE"[..]));
    let seconds = (whole.len() - 44) as f64 / 32_000.0;
    assert!((recording["duration_seconds"].as_f64().expect("a length") - seconds).abs() < 0.01);
    let part = client.get(&url).header("range", "bytes=8-11").send().await.expect("an answer");
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], format!("bytes 8-11/{}", whole.len()).as_str());
    assert_eq!(&part.bytes().await.expect("a part")[..], b"WAVE");
    let beyond = client.get(&url).header("range", "bytes=99999999-").send().await.expect("an answer");
    assert_eq!(beyond.status(), 416);
    let (key_id, secret) = halves(&server.key);
    let request =
        server.request(reqwest::Method::GET, &format!("/api/calls/{id}")).header("x-api-key", key_id);
    let shown = send(request.header("x-api-secret", secret)).await.expect(200);
    assert_eq!(shown["data"]["recording_url"], json!(url));

    for status in ["in_progress", "ringing"] {
        let live = call(&server, &format!("status={status}"), |_| true).await;
        let id = text(&live, "id");
        // A call may end by itself between the two requests.
        let answer = server.post(&format!("/v1/calls/{id}/hangup"), &json!({})).await;
        if answer.status == 200 {
            let ended = |answer: &crate::server::Answer| {
                let call = answer.json();
                (!call["completed_at"].is_null()).then_some(call)
            };
            let call = server.until(&format!("/v1/calls/{id}"), ended).await;
            let expected = if call["answered_at"].is_null() { "no_answer" } else { "completed" };
            assert_eq!(text(&call, "status"), expected, "{call}");
        }
    }
    let control = server.get("/v1/control-url").await.expect(200);
    let unsigned =
        client.post(text(&control, "url")).json(&json!({"type": "call.hangup", "data": {"call_id": id}}));
    assert_eq!(unsigned.send().await.expect("an answer").status(), 401);

    let said = demo.stop();
    assert!(said.contains("hung up call_"), "{said}");
    server.get("/v1/control-url").await.expect(404);
    assert!(server.terminate().success());
}

#[tokio::test]
async fn a_demo_ends_the_calls_of_one_that_was_killed() {
    let home = Home::new("");
    let server = home.start();
    let told = |call: &str, endpoint: &str, at: &str| {
        let data = json!({ "endpoint_id": endpoint });
        json!({ "call_id": call, "event_type": "call_initiated", "created_at": at, "event_data": data })
    };
    let now = pegcount::clock::Clock::system().now();
    let now = pegcount::vocabulary::time::format_rfc3339(now);
    let silent_since = "2026-01-01T10:00:00Z";
    server
        .tell(&json!([
            told("killed", "ep_demo_scheduler", silent_since),
            told("of_others", "ep_1", silent_since),
            told("of_another_demo", "ep_demo_scheduler", silent_since),
            { "call_id": "of_another_demo", "event_type": "media_quality", "created_at": now,
              "event_data": { "leg": "agent", "mos": 4.4 } },
        ]))
        .await;
    let demo = Demo::start(&home, &server);
    let ended = |answer: &crate::server::Answer| {
        let call = answer.json();
        (!call["completed_at"].is_null()).then_some(call)
    };
    let killed = server.until("/v1/calls/killed", ended).await;
    assert_eq!((text(&killed, "status"), text(&killed, "completed_at")), ("no_answer", silent_since));
    assert!(demo.stop().contains("live calls of a killed demo that were ended: 1"));
    let events = server.get("/v1/calls/killed/events?types=call_completed").await.expect(200);
    assert_eq!(events["events"][0]["event_data"]["inferred"], json!(true), "{events}");
    for call in ["of_others", "of_another_demo"] {
        let call = server.get(&format!("/v1/calls/{call}")).await.expect(200);
        assert!(call["completed_at"].is_null(), "{call}");
    }
}

#[tokio::test]
async fn a_demo_leaves_a_control_url_of_others_alone() {
    let home = Home::new("");
    let server = home.start();
    let control = json!({"url": "https://calls.example.com/hangup"});
    let put = server.request(reqwest::Method::PUT, "/v1/control-url").header("x-api-key", &server.key);
    send(put.json(&control)).await.expect(200);
    let demo = Demo::start(&home, &server);
    call(&server, "status=in_progress", |_| true).await;
    let said = demo.stop();
    assert!(said.contains("a control URL of its own"), "{said}");
    assert_eq!(server.get("/v1/control-url").await.expect(200), control);
}
