//! The calls of a person are erased: nothing of them is left in any file.

use std::{fs, path::Path};

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Home, Server, send};

/// What must not be found, in any case.
const GONE: [&str; 12] = [
    "15557654321",
    "Wilhelmina",
    "Quackenbush",
    "zugzwang",
    "sesquipedalian",
    "borborygmus",
    "callipygian",
    "defenestrate",
    "floccinauci",
    "kakorrhaphio",
    "xylophagous",
    "tergiversate",
];

/// What stays, of others.
const STAYS: [&str; 2] = ["15550000001", "ordinary"];

fn at(second: u32) -> String {
    format!("2025-01-10T10:{:02}:{:02}Z", second / 60, second % 60)
}

fn of_person(call: &str, number: &str, is_caller: bool) -> Vec<Value> {
    let [from, to] = if is_caller { [number, "+15550000001"] } else { ["+15550000001", number] };
    let opening = json!({
        "from_number": from, "to_number": to, "direction": "inbound", "endpoint_id": "ep_1",
        "metadata": {"customer": "Wilhelmina Quackenbush", "sesquipedalian": 1},
        "context": {"note": "zugzwang"}, "telephony": {"sip_call_id": "callipygian@15557654321"},
    });
    let facts = [
        ("call_initiated", opening),
        ("call_answered", json!({})),
        (
            "transcript_turn",
            json!({"role": "caller", "content": "My name is Wilhelmina, call +15557654321, borborygmus"}),
        ),
        (
            "tool_invoked",
            json!({"tool_call_id": "t", "name": "find", "arguments": {"who": "Quackenbush", "what": "defenestrate"}}),
        ),
        ("tool_result", json!({"tool_call_id": "t", "result": {"said": "floccinauci"}})),
        ("x_note", json!({"note": "kakorrhaphio"})),
        (
            "analysis_ready",
            json!({"call_successful": true, "call_summary": "Wilhelmina is xylophagous", "custom": {"mood": "tergiversate"}}),
        ),
        ("call_completed", json!({})),
    ];
    let numbered = facts.into_iter().zip(0..);
    numbered
        .map(|((kind, data), place)| json!({"id": format!("{place}"), "call_id": call, "event_type": kind, "created_at": at(place), "event_data": data}))
        .collect()
}

fn of_other(call: &str) -> Vec<Value> {
    vec![
        json!({"call_id": call, "event_type": "call_initiated", "created_at": at(0),
            "event_data": {"from_number": "+15550000001", "to_number": "+15550000002", "metadata": {"customer": "ordinary"}}}),
        json!({"call_id": call, "event_type": "call_answered", "created_at": at(1)}),
        json!({"call_id": call, "event_type": "transcript_turn", "created_at": at(2),
            "event_data": {"role": "caller", "content": "Nothing but ordinary words"}}),
        json!({"call_id": call, "event_type": "call_completed", "created_at": at(3)}),
    ]
}

/// Which of these words the files of a folder hold, in upper or lower case.
pub fn found(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(found(&path, words));
            continue;
        }
        let name = path.display().to_string();
        let Ok(bytes) = fs::read(&path) else { continue };
        let text = [name.as_bytes(), &bytes].concat().to_ascii_lowercase();
        for word in words {
            let word = word.to_ascii_lowercase();
            if text.windows(word.len()).any(|window| window == word.as_bytes()) {
                all.push(format!("{word} in {name}"));
            }
        }
    }
    all
}

async fn erase(server: &Server<'_>, number: &str) -> Value {
    server.post("/v1/erasures", &json!({"phone_number": number})).await.expect(202)
}

async fn done(server: &Server<'_>, erasure: &Value) -> Value {
    let path = format!("/v1/erasures/{}", erasure["id"].as_str().expect("an id"));
    loop {
        let now = server.get(&path).await.expect(200);
        if now["state"] == "done" {
            return now;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn of_a_person_whose_calls_are_erased_no_byte_is_left_in_the_data_folder() {
    let home = Home::new("");
    let server = home.start();
    for round in 0..40 {
        let mut events = Vec::new();
        for call in 0..10 {
            events.extend(of_other(&format!("other_{round}_{call}")));
        }
        let writing =
            ["+15557654321", "15557654321", "0015557654321", "sip:+15557654321@pbx.example"][round % 4];
        events.extend(of_person(&format!("15557654321-{round}"), writing, round % 3 > 0));
        server.tell(&json!(events)).await;
    }
    let out = json!([{"call_id": "15557654321-1", "event_type": "call_initiated", "event_data": {"opt_out_sensitive_data_storage": true}}]);
    server.tell(&out).await;
    server.terminate();
    assert!(!found(&home.data(), &GONE).is_empty());

    let server = home.start();
    for call in 0..10 {
        server.tell(&json!(of_person(&format!("again-15557654321-{call}"), "+15557654321", true))).await;
    }
    let stats = server.get("/v1/calls/stats").await.expect(200);
    let recordings = home.data().join("recordings");
    fs::create_dir_all(&recordings).expect("a folder");
    fs::write(recordings.join("1.15557654321-0.mp3"), "Wilhelmina").expect("a recording");

    let finished = done(&server, &erase(&server, "+15557654321").await).await;
    assert_eq!(
        [&finished["erased"], &finished["held"], &finished["live"]],
        [&json!(50), &json!(0), &json!(0)]
    );
    assert_eq!(found(&home.data(), &GONE), Vec::<String>::new(), "while it runs");
    assert_eq!(server.get("/v1/calls?limit=1").await.expect(200)["total"], 400);
    assert_eq!(server.get("/v1/calls?q=ordinary&limit=1").await.expect(200)["total"], 400);
    assert_eq!(server.get("/v1/calls/stats").await.expect(200), stats);
    let log = server.log();
    assert!(GONE.iter().all(|word| !log.contains(word)), "{log}");
    server.terminate();
    assert_eq!(found(&home.data(), &GONE), Vec::<String>::new(), "after its end");
    for word in STAYS {
        assert!(!found(&home.data(), &[word]).is_empty(), "{word}");
    }
    let doctor = home.run(&["doctor"]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
}

#[tokio::test]
async fn a_call_on_hold_stays_until_the_hold_is_ended_and_one_in_progress_until_it_is_over() {
    let home = Home::new("");
    let server = home.start();
    let mut events = of_person("held", "+15557654321", true);
    events.extend(of_person("over", "+15557654321", true));
    let mut lives = of_person("lives", "+15557654321", false);
    let end = lives.pop();
    events.extend(lives);
    server.tell(&json!(events)).await;
    let to = |method, path: &str| server.request(method, path).header("x-api-key", &server.key);
    let hold =
        send(to(Method::PUT, "/v1/calls/held/hold").json(&json!({"reason": "Case 17"}))).await.expect(200);
    assert_eq!(hold["reason"], "Case 17");
    assert_eq!(server.get("/v1/calls/held/hold").await.expect(200), hold);
    let refused = send(to(Method::DELETE, "/v1/calls/held")).await.expect(409);
    assert_eq!(refused["code"], "LEGAL_HOLD");

    let erasure = erase(&server, "+15557654321").await;
    let path = format!("/v1/erasures/{}", erasure["id"].as_str().expect("an id"));
    let now = loop {
        let now = server.get(&path).await.expect(200);
        if now["live"] == 1 {
            break now;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!([&now["state"], &now["erased"], &now["held"]], [&json!("running"), &json!(1), &json!(1)]);
    assert_eq!(server.get("/v1/calls/over").await.status.as_u16(), 404);

    server.tell(&json!([end])).await;
    let job = server.get("/v1/jobs?kind=erasure").await.expect(200)["jobs"][0]["id"].clone();
    // It waits for a minute; whoever cannot has it run now.
    let retried = wait_for_retry(&server, &job).await;
    assert_eq!(retried, 204);
    let finished = done(&server, &erasure).await;
    assert_eq!(
        [&finished["erased"], &finished["held"], &finished["live"]],
        [&json!(2), &json!(1), &json!(0)]
    );

    assert_eq!(send(to(Method::DELETE, "/v1/calls/held/hold")).await.status.as_u16(), 204);
    assert_eq!(send(to(Method::DELETE, "/v1/calls/held/hold")).await.expect(404)["code"], "HOLD_NOT_FOUND");
    assert_eq!(send(to(Method::DELETE, "/v1/calls/held")).await.status.as_u16(), 204);
    server.terminate();
}

async fn wait_for_retry(server: &Server<'_>, job: &Value) -> u16 {
    loop {
        let answer = server.post(&format!("/v1/jobs/{job}/retry"), &json!({})).await.status.as_u16();
        if answer != 409 {
            return answer;
        }
    }
}

#[tokio::test]
async fn a_call_that_opts_out_is_not_found_by_its_summary_any_more() {
    let home = Home::new("");
    let server = home.start();
    server.tell(&json!(of_person("c", "+15557654321", true))).await;
    for word in ["borborygmus", "xylophagous"] {
        assert_eq!(server.get(&format!("/v1/calls?q={word}")).await.expect(200)["total"], 1, "{word}");
    }
    let out = json!([{"call_id": "c", "event_type": "call_initiated", "event_data": {"opt_out_sensitive_data_storage": true}}]);
    server.tell(&out).await;
    for word in ["borborygmus", "xylophagous"] {
        assert_eq!(server.get(&format!("/v1/calls?q={word}")).await.expect(200)["total"], 0, "{word}");
    }
    server.terminate();
}

#[tokio::test]
async fn the_calls_of_an_own_number_are_erased_only_when_that_is_meant() {
    let home = Home::new("");
    let server = home.start();
    server.tell(&json!(of_person("c", "+15557654321", true))).await;
    for number in [json!({"id": "pn_other"}), json!({"id": "pn_1", "number": "+1 555 000-0001"})] {
        server.post("/v1/phone-numbers", &number).await.expect(201);
    }
    for writing in ["+15550000001", "15550000001"] {
        let refused = server.post("/v1/erasures", &json!({"phone_number": writing})).await.expect(409);
        assert_eq!(refused["code"], "OWN_NUMBER");
        let message = refused["error"].as_str().expect("a message");
        assert!(message.contains("\"own_number\": true"), "{message}");
    }
    assert_eq!(server.get("/v1/calls").await.expect(200)["total"], 1);
    let meant = json!({"phone_number": "+15550000001", "own_number": true});
    let order = server.post("/v1/erasures", &meant).await.expect(202);
    assert_eq!(done(&server, &order).await["erased"], 1);
    assert_eq!(server.get("/v1/calls").await.expect(200)["total"], 0);
    server.terminate();
}
