//! A backup made of a running and of a stopped server, and what is restored from it.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::server::{Home, Server};

fn events(call: &str) -> Value {
    json!([
        { "call_id": call, "id": "1", "event_type": "call_answered", "created_at": "2026-01-01T10:00:00Z",
          "event_data": { "endpoint_id": "ep_1", "from_number": "+15550001", "metadata": { "order": 7 } } },
        { "call_id": call, "id": "2", "event_type": "transcript_turn", "created_at": "2026-01-01T10:00:01Z",
          "event_data": { "role": "caller", "content": "an egg, please" } },
    ])
}

/// What the server says of everything that there is, but for what tells one run from another.
async fn everything(server: &Server<'_>, calls: usize) -> Vec<Value> {
    let mut all = Vec::new();
    for path in
        ["/v1/calls?limit=100&sort=created_at", "/v1/endpoints", "/v1/calls?q=egg&limit=100", "/v1/live"]
    {
        all.push(server.get(path).await.expect(200));
    }
    for call in 0..calls {
        all.push(server.get(&format!("/v1/calls/call_{call}")).await.expect(200));
        all.push(server.get(&format!("/v1/calls/call_{call}/events")).await.expect(200));
    }
    all
}

/// A new data folder made of a backup, the way that docs/operations.md tells.
fn restored(from: &Home, backup: &str, with_words: bool) -> Home {
    let home = Home::new("");
    std::fs::create_dir(home.data()).expect("a data folder");
    std::fs::copy(from.path(&format!("{backup}.db")), home.data().join("pegcount.db")).expect("the backup");
    let words = (from.path(&format!("{backup}-words.db")), home.data().join("pegcount-words.db"));
    if with_words {
        std::fs::copy(words.0, words.1).expect("the index of words");
    }
    std::fs::copy(from.data().join("link-key"), home.data().join("link-key")).expect("the link key");
    // Only for the test, which reads the key there.
    std::fs::copy(from.data().join("first-key"), home.data().join("first-key")).expect("the first key");
    home
}

#[tokio::test]
async fn a_backup_of_a_running_or_stopped_server_restores_everything_into_a_new_folder() {
    let home = Home::new("");
    let server = home.start();
    home.run_json(&["organizations", "create", "--id", "org-2", "--number", "12"]);
    for call in 0..10 {
        server.tell(&events(&format!("call_{call}"))).await;
    }
    let told = everything(&server, 10).await;
    // The path is meant from where the command runs, not from where the server does.
    let made = home.run_json(&["backup", "running.db"]);
    let file = home.path("running.db");
    let metadata = std::fs::metadata(&file).expect("the backup");
    assert_eq!(made["bytes"], json!(metadata.len()));
    assert!(made["backup"].as_str().is_some_and(|path| path.ends_with("/running.db")), "{made}");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let words = std::fs::metadata(home.path("running-words.db")).expect("the index of words");
    assert_eq!(words.permissions().mode() & 0o777, 0o600);
    assert_eq!(made["words"]["bytes"], json!(words.len()));
    server.tell(&events("later")).await;
    assert!(server.terminate().success());
    home.run_json(&["backup", "stopped.db"]);

    let all = [("running", 404, true), ("running", 404, false), ("stopped", 200, true)];
    for (backup, later, with_words) in all {
        let home = restored(&home, backup, with_words);
        let server = home.start();
        assert!(home.run(&["doctor"]).status.success(), "{backup}");
        assert!(!server.log().contains("is made anew"), "{backup}: {}", server.log());
        assert!(!server.log().contains("first key"), "{backup}: {}", server.log());
        server.get("/v1/calls/later").await.expect(later);
        if later == 404 {
            assert_eq!(everything(&server, 10).await, told);
        }
        let organizations = home.run_json(&["organizations", "list"]);
        assert_eq!(organizations[1], json!({ "number": 12, "id": "org-2", "name": null }), "{backup}");
        server.tell(&events("new")).await;
        assert!(server.terminate().success());
    }
}

#[tokio::test]
async fn a_backup_replaces_nothing_and_leaves_nothing_when_it_fails() {
    let home = Home::new("");
    let server = home.start();
    std::fs::write(home.path("taken"), "theirs").expect("a file");
    for (path, word) in [("taken", "exists already"), ("missing/backup.db", "cannot be written")] {
        let output = home.run(&["backup", path]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
        assert!(said.starts_with("pegcount: ") && said.contains(word) && said.contains(path), "{said}");
    }
    assert_eq!(std::fs::read_to_string(home.path("taken")).expect("the file"), "theirs");
    assert!(!home.path("missing").exists());
    assert_eq!(home.run(&["backup"]).status.code(), Some(2));
    server.get("/v1/calls").await.expect(200);
}
