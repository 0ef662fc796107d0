//! A backup made of a running and of a stopped server, and what is restored from it.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Home, Server, send};

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
    give_first_key(from, &home);
    home
}

/// Only for tests, which read the key of a server there.
fn give_first_key(from: &Home, to: &Home) {
    std::fs::copy(from.data().join("first-key"), to.data().join("first-key")).expect("the first key");
}

const SOUND: &str = "a sound";

/// A call that is over, and its recording.
async fn record(home: &Home, server: &Server<'_>, call: &str) -> PathBuf {
    let folder = home.data().join("recordings");
    std::fs::create_dir_all(&folder).expect("a folder");
    let object = format!("1.{call}.mp3");
    std::fs::write(folder.join(&object), SOUND).expect("a recording");
    let data = json!({ "object": object, "duration_seconds": 1, "format": "mp3", "size_bytes": SOUND.len() });
    server
        .tell(&json!([
            { "call_id": call, "event_type": "call_answered" },
            { "call_id": call, "event_type": "call_completed" },
            { "call_id": call, "event_type": "recording_ready", "event_data": data },
        ]))
        .await;
    folder.join(object)
}

/// What is heard of a call behind its link.
async fn heard(server: &Server<'_>, call: &str) -> (u16, String) {
    let recording = server.get(&format!("/v1/calls/{call}/recording")).await.expect(200);
    let link = recording["recording_url"].as_str().expect("a link").to_owned();
    let path = link.strip_prefix(&server.url("")).expect("a link to this server").to_owned();
    let answer = send(server.request(Method::GET, &path)).await;
    (answer.status.as_u16(), answer.text)
}

/// The commands of a section of docs/operations.md, fence by fence.
fn documented(heading: &str) -> Vec<String> {
    let page = include_str!("../../../../docs/operations.md");
    let (_, below) = page.split_once(&format!("\n## {heading}\n")).expect("the section");
    let section = below.split("\n## ").next().expect("a section");
    let fences = section.split("\n```sh\n").skip(1);
    fences.map(|rest| rest.split("\n```").next().expect("an end of the fence").to_owned()).collect()
}

/// Runs documented commands as a shell does, with the folders of a test.
fn follow(commands: &str, folders: &[(&str, &Path)]) {
    let program = Path::new(env!("CARGO_BIN_EXE_pegcount"));
    let mut script = commands.replace("pegcount ", &format!("{} ", program.display()));
    for (word, folder) in folders {
        script = script.replace(word, &folder.display().to_string());
    }
    let output = Command::new("bash").args(["-euc", &script]).stdin(Stdio::null()).output().expect("bash");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}\n{said}\n{errors}");
}

#[tokio::test]
async fn a_restore_by_the_book_plays_its_recordings() {
    let (home, new) = (Home::new(""), Home::new(""));
    let server = home.start();
    record(&home, &server, "call_1").await;
    let blocks = documented("Backup and restore");
    let [backup, _, restore] = &blocks[..] else { panic!("{blocks:?}") };
    let copies = home.path("backup");
    std::fs::create_dir(&copies).expect("a folder");
    follow(backup, &[("/backup", &copies), ("DIR", &home.data())]);
    assert!(server.terminate().success());
    let key = std::fs::read(home.data().join("first-key")).expect("the first key");
    std::fs::remove_dir_all(home.data()).expect("the data folder is lost");

    let (commands, serve) = restore.rsplit_once('\n').expect("commands");
    assert_eq!(serve, "pegcount serve --data NEW");
    follow(commands, &[("/backup", &copies), ("NEW", &new.data())]);
    std::fs::write(new.data().join("first-key"), key).expect("the first key, for the test");
    let server = new.start();
    assert_eq!(heard(&server, "call_1").await, (200, SOUND.to_owned()));
    assert_eq!(server.get("/readyz").await.expect(200)["recordings"], json!({ "ok": true }));
}

#[tokio::test]
async fn a_backup_counts_the_recordings_that_are_lost() {
    let home = Home::new("");
    let server = home.start();
    record(&home, &server, "call_1").await;
    let lost = record(&home, &server, "call_2").await;
    assert_eq!(home.run_json(&["backup", "whole.db"])["recordings"]["lost"], json!(0));
    std::fs::remove_file(lost).expect("a recording");
    let made = home.run_json(&["backup", "copy.db"]);
    assert_eq!((&made["recordings"]["files"], &made["recordings"]["lost"]), (&json!(1), &json!(1)), "{made}");
    let output = home.run(&["backup", "again.db"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("Not in it: lost recordings: 1 ") && said.contains("call_2"), "{said}");
    assert!(!said.contains("call_1"), "{said}");
}

#[tokio::test]
async fn missing_recordings_are_named_after_a_restore() {
    let home = Home::new("");
    let server = home.start();
    record(&home, &server, "call_1").await;
    let made = home.run_json(&["backup", "copy.db", "--without-recordings"]);
    assert_eq!(made["recordings"], Value::Null);
    assert!(made["left_out"].to_string().contains("recordings: those in "), "{made}");
    assert!(!home.path("copy-recordings").exists());

    let new = restored(&home, "copy", true);
    let output = new.run(&["doctor"]);
    let findings = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{findings}");
    let damage = findings.lines().find(|line| line.starts_with("damage")).expect("a finding");
    assert!(damage.contains("lost recordings: 1 ") && damage.contains("call_1"), "{damage}");
    let restored = new.start();
    let said = |answer: &crate::server::Answer| {
        let recordings = answer.expect(200)["recordings"].clone();
        (recordings["ok"] == json!(false)).then(|| recordings["message"].to_string())
    };
    let message = restored.until("/readyz", said).await;
    assert!(message.contains("call_1"), "{message}");
    let metrics = restored.get("/metrics").await.text;
    assert!(metrics.contains("pegcount_recordings_lost 1\n"), "{metrics}");

    // With the files back nothing is lost.
    std::fs::create_dir_all(new.data().join("recordings")).expect("a folder");
    std::fs::copy(home.data().join("recordings/1.call_1.mp3"), new.data().join("recordings/1.call_1.mp3"))
        .expect("the recording");
    assert!(new.run(&["doctor"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_holds_every_recording_that_its_store_names() {
    let home = Home::new("");
    let server = home.start();
    let done = AtomicBool::new(false);
    let traffic = async {
        let mut call = 0;
        while !done.load(Ordering::Relaxed) {
            record(&home, &server, &format!("call_{call}")).await;
            // The one before it is erased, and its recording with it.
            if call > 0 {
                let erased = format!("/v1/calls/call_{}", call - 1);
                let erase = server.request(Method::DELETE, &erased).header("x-api-key", &server.key);
                assert_eq!(send(erase).await.status.as_u16(), 204);
            }
            call += 1;
        }
        call
    };
    let backups = async {
        for number in 0..8 {
            let mut command = home.command(&["backup", &format!("{number}.db")]);
            let mut backup = command.stdin(Stdio::null()).spawn().expect("it runs");
            let status = loop {
                match backup.try_wait().expect("a status") {
                    Some(status) => break status,
                    None => tokio::task::yield_now().await,
                }
            };
            assert!(status.success(), "{status}");
        }
        done.store(true, Ordering::Relaxed);
    };
    let (calls, ()) = tokio::join!(traffic, backups);
    assert!(calls > 8, "{calls}");
    for number in 0..8 {
        let new = restored(&home, &number.to_string(), false);
        let copied = home.path(&format!("{number}-recordings"));
        std::fs::rename(copied, new.data().join("recordings")).expect("the recordings");
        let output = new.run(&["doctor"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let left = std::fs::read_dir(home.data().join("recordings")).expect("the folder");
    let left = left.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_file())).count();
    assert_eq!(left, 1, "what was erased is gone once the backups are made");
    assert!(!home.data().join("recordings/deleted-during-backup").exists());
}

#[tokio::test]
async fn recordings_of_a_backup_are_the_owners_and_linked() {
    use std::os::unix::fs::MetadataExt;
    let home = Home::new("");
    let server = home.start();
    let file = record(&home, &server, "call_1").await;
    let made = home.run_json(&["backup", "copy.db"]);
    let path = home.path("copy-recordings");
    let recordings = &made["recordings"];
    assert_eq!((&recordings["files"], &recordings["linked"]), (&json!(1), &json!(1)), "{made}");
    assert_eq!(recordings["bytes"], SOUND.len());
    assert!(recordings["path"].as_str().is_some_and(|path| path.ends_with("/copy-recordings")), "{made}");
    let inode = |path: &Path| std::fs::metadata(path).expect("a file").ino();
    assert_eq!(inode(&path.join("1.call_1.mp3")), inode(&file));
    assert_eq!(std::fs::metadata(&path).expect("a folder").permissions().mode() & 0o777, 0o700);

    // A folder of recordings in the way is not written into, and no store is made beside it.
    std::fs::create_dir(home.path("other-recordings")).expect("a folder");
    let output = home.run(&["backup", "other.db"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("other-recordings exists already"), "{said}");
    assert!(!home.path("other.db").exists());
    let partial = std::fs::read_dir(home.path("")).expect("the folder");
    assert!(partial.flatten().all(|entry| !entry.file_name().to_string_lossy().contains("partial")));
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
