//! The audit log through the program: who did what is noted, is seen by the own organization alone, and cannot be changed
//! unnoticed.

use reqwest::Method;
use rusqlite::OpenFlags;
use serde_json::{Value, json};

use crate::{
    forms::halves,
    server::{Home, PATIENCE, Server, send},
};

async fn with_key(server: &Server<'_>, method: Method, path: &str, key: &str) -> Value {
    let answer = send(server.request(method, path).header("x-api-key", key)).await;
    assert!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.text);
    if answer.text.is_empty() { Value::Null } else { answer.json() }
}

async fn get(server: &Server<'_>, path: &str, key: &str) -> Value {
    with_key(server, Method::GET, path, key).await
}

/// The entries that there are once this one is, newest first.
async fn entries_with(server: &Server<'_>, key: &str, query: &str, action: &str) -> Vec<Value> {
    let begun = std::time::Instant::now();
    loop {
        let list = get(server, &format!("/v1/audit?limit=100{query}"), key).await;
        let entries = list["entries"].as_array().expect("entries").clone();
        if entries.iter().any(|entry| entry["action"] == action) {
            return entries;
        }
        assert!(begun.elapsed() < PATIENCE, "no {action} in {list}");
    }
}

fn told(entries: &[Value]) -> Vec<String> {
    let word = |entry: &Value, name: &str| entry[name].as_str().unwrap_or("-").to_owned();
    let all = entries.iter().rev();
    all.map(|entry| [word(entry, "action"), word(entry, "actor"), word(entry, "subject")].join(" ")).collect()
}

fn story(call: &str) -> Value {
    json!([
        {"call_id": call, "id": "1", "event_type": "call_initiated", "created_at": "2026-01-01T10:00:00Z",
         "event_data": {"endpoint_id": "ep_1"}},
        {"call_id": call, "id": "2", "event_type": "transcript_turn", "created_at": "2026-01-01T10:00:01Z",
         "event_data": {"role": "caller", "content": "quiche"}},
        {"call_id": call, "id": "3", "event_type": "call_completed", "created_at": "2026-01-01T10:00:05Z"},
        {"call_id": call, "id": "4", "event_type": "recording_ready", "created_at": "2026-01-01T10:00:06Z",
         "event_data": {"object": format!("1.{call}.mp3"), "format": "mp3"}},
    ])
}

fn make_key(home: &Home, organization: &str, scopes: &str) -> (String, String) {
    let made = home.run_json(&["keys", "create", "--organization", organization, "--scopes", scopes]);
    let text = |name: &str| made[name].as_str().expect(name).to_owned();
    (text("key_id"), text("key"))
}

#[tokio::test]
async fn who_read_listed_searched_heard_and_erased_is_told_to_the_own_organization_alone() {
    let home = Home::new("[agent]\naccess = \"open\"\n");
    let server = home.start();
    std::fs::create_dir_all(home.data().join("recordings")).expect("a folder");
    std::fs::write(home.data().join("recordings/1.call_1.mp3"), "0123456789").expect("a recording");
    home.run_json(&["organizations", "create", "--id", "org-2"]);
    let (other_id, other) = make_key(&home, "org-2", "calls:read,admin,events:write");
    let (reader_id, reader) = make_key(&home, "org_default", "calls:read,recordings:read");
    let first = server.key.clone();
    let first_id = &first[..20];
    server.tell(&story("call_1")).await;
    server.tell(&story("call_2")).await;

    let (id, secret) = halves(&reader);
    let asked = server.request(Method::GET, "/api/calls/call_1");
    send(asked.header("x-api-key", id).header("x-api-secret", secret)).await.expect(200);
    get(&server, "/v1/calls/call_1", &first).await;
    get(&server, "/v1/calls?limit=10", &reader).await;
    get(&server, "/v1/calls?q=quiche", &reader).await;
    get(&server, "/v1/calls/call_1/events", &reader).await;
    let link = get(&server, "/v1/calls/call_1/recording", &reader).await;
    let link = link["recording_url"].as_str().expect("a link").replace(&server.url(""), "");
    assert_eq!(send(server.request(Method::GET, &link)).await.status.as_u16(), 200);
    let agent = get(&server, "/v1/endpoints/ep_1", &reader).await["number"].clone();
    let open = format!("/api/agents/{agent}/call_stats");
    assert_eq!(send(server.request(Method::GET, &open)).await.status.as_u16(), 200);
    // What is refused or reads nothing that was said is not noted.
    assert_eq!(server.get("/v1/calls/missing").await.status.as_u16(), 404);
    get(&server, "/v1/calls/stats", &reader).await;
    with_key(&server, Method::DELETE, "/v1/calls/call_1", &first).await;

    let entries = entries_with(&server, &first, "", "call_erased").await;
    let erased = entries.iter().find(|entry| entry["action"] == "call_erased").expect("an entry");
    let uuid = erased["subject"].as_str().expect("a UUID").to_owned();
    let expected = [
        format!("key_created operator {reader_id}"),
        format!("call_read {reader_id} {uuid}"),
        format!("call_read {first_id} {uuid}"),
        format!("calls_listed {reader_id} -"),
        format!("calls_searched {reader_id} -"),
        format!("events_read {reader_id} {uuid}"),
        format!("recording_linked {reader_id} {uuid}"),
        format!("recording_heard link {uuid}"),
        "calls_listed open -".to_owned(),
        format!("call_erased {first_id} {uuid}"),
    ];
    assert_eq!(told(&entries), expected);
    assert_eq!(entries[6]["details"], json!({ "calls": 2 }));
    assert_eq!(entries[3]["details"], json!({ "recording": "here" }));
    assert_eq!(entries[9]["details"], json!({ "scopes": ["calls:read", "recordings:read"] }));
    let text = Value::Array(entries.clone()).to_string();
    assert!(!text.contains("quiche") && !text.contains("call_1"), "{text}");

    // The call is gone, what was done with it is not.
    let of_call = get(&server, &format!("/v1/audit?call={uuid}"), &first).await;
    assert_eq!(of_call["entries"].as_array().map(Vec::len), Some(6), "{of_call}");
    let by = get(&server, &format!("/v1/audit?actor={reader_id}&action=call_read"), &first).await;
    assert_eq!(told(by["entries"].as_array().expect("entries")), [expected[1].clone()]);
    let part = get(&server, "/v1/audit?limit=1", &first).await;
    let cursor = part["next_cursor"].as_str().expect("a cursor");
    let part = get(&server, &format!("/v1/audit?limit=1&cursor={cursor}"), &first).await;
    assert_eq!(part["entries"][0], entries[1]);

    let theirs = get(&server, "/v1/audit", &other).await;
    assert_eq!(
        told(theirs["entries"].as_array().expect("entries")),
        [format!("key_created operator {other_id}")]
    );
    let theirs = get(&server, &format!("/v1/audit?call={uuid}"), &other).await;
    assert_eq!(theirs["entries"], json!([]));
    let refused = send(server.request(Method::GET, "/v1/audit").header("x-api-key", &reader)).await;
    assert_eq!(refused.expect(403)["code"], "FORBIDDEN");
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_written_and_the_chain_is_whole() {
    let home = Home::new("");
    let server = home.start();
    server.tell(&story("call_1")).await;
    let client = server.client();
    let mut read = 0;
    // Until some are written and others wait.
    let seen = loop {
        let answer = send(client.to("GET", "/v1/calls/call_1").header("x-api-key", &server.key)).await;
        assert_eq!(answer.status.as_u16(), 200);
        read += 1;
        let list = send(client.to("GET", "/v1/audit?limit=100").header("x-api-key", &server.key)).await;
        let entries = list.expect(200)["entries"].as_array().expect("entries").len();
        if entries > 0 {
            break entries;
        }
    };
    server.kill();
    let verdict = home.run_json(&["audit", "verify"]);
    let kept = usize::try_from(verdict["entries"].as_u64().expect("a count")).expect("few");
    assert!((seen..=read).contains(&kept), "{seen} were seen of {read}: {verdict}");
    assert_eq!((&verdict["whole"], &verdict["fault"]), (&json!(true), &Value::Null));

    // A stop loses none.
    let server = home.start();
    for _ in 0..5 {
        server.get("/v1/calls/call_1").await.expect(200);
    }
    let running = home.run_json(&["audit", "verify"]);
    assert_eq!(running["whole"], json!(true));
    assert!(server.terminate().success());
    assert_eq!(home.run_json(&["audit", "verify"])["entries"], kept + 5);
}

#[tokio::test]
async fn an_entry_that_was_changed_is_named_by_the_doctor_and_by_verify() {
    let home = Home::new("[audit]\nreads = false\n");
    for name in ["one", "two", "three"] {
        home.run_json(&["keys", "create", "--organization", "org_default", "--name", name, "--init"]);
    }
    let keys = home.run_json(&["keys", "list"]);
    let key = keys.as_array().and_then(|keys| keys.last()).expect("a key")["key_id"].as_str().expect("an id");
    assert_eq!(home.run_json(&["keys", "revoke", key]), json!({ "revoked": key }));
    let said = String::from_utf8(home.run(&["audit", "verify"]).stdout).expect("text");
    assert!(said.starts_with("4 entries fit, the last of them is 4 with the hash "), "{said}");
    let store = home.data().join("pegcount.db");
    // With the checksums of pages: those find what was changed without them.
    let open = || pegcount_pages::open(&store, OpenFlags::default());
    let change = |sql: &str| open().and_then(|store| store.execute_batch(sql)).expect("a change");
    for (damage, fault) in [
        ("UPDATE audit SET actor = 'somebody' WHERE number = 2", "entry 2 is not as it was written"),
        ("DELETE FROM audit WHERE number = 2", "entry 2 is missing"),
    ] {
        change(damage);
        let output = home.run(&["audit", "verify"]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("The audit log was changed: {fault}.\n"));
        let before = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(before.contains("entries before that fit, the last of them is 1 "), "{before}");
        let output = home.run(&["doctor"]);
        assert_eq!(output.status.code(), Some(1));
        let findings = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(findings.contains(&format!("damage  audit: {fault}\n")), "{findings}");
    }
}
