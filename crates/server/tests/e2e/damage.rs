//! A store that is damaged or cannot be written: it says so, and never answers as if nothing were there.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use crate::{
    full_disk::Mounted,
    server::{Home, send},
};

const PAGE: usize = 4096;
const CALLS: i64 = 20;
/// Every page takes minutes on two cores: one of so many does.
const STEP: usize = 3;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What the doctor finds damaged; it exits 1 if that is anything, and prints one JSON value either way.
fn damage(home: &Home) -> Vec<String> {
    let output = home.run(&["doctor", "--json"]);
    let findings: Vec<Value> =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    let damage: Vec<String> =
        findings.iter().filter(|one| one["severity"] == "damage").map(ToString::to_string).collect();
    assert_eq!(output.status.code(), Some(i32::from(!damage.is_empty())), "{damage:?} {}", said(&output));
    assert!(!said(&output).contains("panicked"), "{}", said(&output));
    damage
}

/// Calls that fill pages of every table: with words, metadata, endpoints, long events, and some that are live.
fn events() -> Vec<Value> {
    let mut events = Vec::new();
    for call in 0..CALLS {
        let mut tell = |kind: &str, second: i64, data: Value| {
            let at = 1_767_261_600_000 + call * 60_000 + second * 1_000;
            events.push(json!({ "call_id": format!("call_{call}"), "id": format!("e{second}"),
                "event_type": kind, "created_at": at, "event_data": data }));
        };
        tell(
            "call_initiated",
            0,
            json!({ "from_number": format!("+1555{call:04}"), "to_number": "+15550000",
            "direction": "inbound", "endpoint_id": format!("ep_{}", call % 3), "metadata": { "order": call } }),
        );
        tell("call_answered", 2, json!({}));
        for turn in 0..4 {
            let words: String =
                (0..200).map(|word| format!("w{} ", (call * 7919 + turn * 104_729 + word) % 9973)).collect();
            tell("transcript_turn", 3 + turn, json!({ "role": "caller", "content": words }));
        }
        if call % 5 != 0 {
            tell("call_completed", 20, json!({ "hangup_cause": "user_hangup" }));
        }
    }
    events
}

/// Every question whose answer is compared.
fn questions() -> Vec<String> {
    let mut questions: Vec<String> = [
        "/v1/calls?limit=100",
        "/v1/calls?limit=100&status=completed",
        "/v1/calls?limit=100&endpoint_id=ep_1",
        "/v1/calls?limit=100&metadata.order=7",
        "/v1/calls?limit=100&q=w7919",
        "/v1/calls/stats",
        "/v1/endpoints",
        "/v1/live",
    ]
    .map(str::to_owned)
    .to_vec();
    for call in 0..CALLS {
        questions.push(format!("/v1/calls/call_{call}"));
        questions.push(format!("/v1/calls/call_{call}/events"));
    }
    questions
}

type Answers = BTreeMap<String, (u16, String)>;

/// What the server answers, by question; none when it says that it cannot start.
async fn answers(home: &Home) -> Option<Answers> {
    let server = match home.try_start() {
        Ok(server) => server,
        Err(log) => {
            assert!(log.contains("cannot be read") && !log.contains("panicked"), "{log}");
            return None;
        }
    };
    let client = server.client();
    let mut answers = Answers::new();
    for question in questions() {
        let answer = send(client.to("GET", &question).header("x-api-key", &server.key)).await;
        answers.insert(question, (answer.status.as_u16(), answer.text));
    }
    assert!(!server.log().contains("panicked"), "{}", server.log());
    server.terminate();
    Some(answers)
}

#[tokio::test]
async fn a_page_overwritten_anywhere_is_found_and_makes_no_answer_wrong() {
    let home = Home::new("listen = \"127.0.0.1:0\"\nlive_listen = \"127.0.0.1:0\"\n");
    let server = home.start();
    server.tell(&json!(events())).await;
    assert!(server.terminate().success());
    let whole = answers(&home).await.expect("it starts");
    assert!(whole.values().all(|(status, _)| *status == 200), "{whole:?}");
    assert_eq!(damage(&home), Vec::<String>::new());
    let store = home.data().join("pegcount.db");
    let sound = std::fs::read(&store).expect("the store");
    let pages = sound.len() / PAGE;
    assert!(pages > 40, "{pages}");
    let mut found = 0;
    let tried: Vec<usize> = (0..pages).step_by(STEP).collect();
    for page in &tried {
        let page = *page;
        let mut bytes = sound.clone();
        let place = &mut bytes[page * PAGE..(page + 1) * PAGE];
        match page / STEP % 4 {
            0 => place.fill(0),
            1 => place.fill(0x55),
            2 => place[page * 1_237 % PAGE] ^= 1 << (page % 8),
            _ => {
                for (at, byte) in place.iter_mut().enumerate() {
                    *byte = (at * 167 + page * 31 + 13) as u8;
                }
            }
        }
        remove_log(&store);
        std::fs::write(&store, &bytes).expect("the store is damaged");
        let damage = damage(&home);
        remove_log(&store);
        std::fs::write(&store, &bytes).expect("the store is damaged");
        let Some(answers) = answers(&home).await else {
            assert!(
                !damage.is_empty(),
                "page {page} keeps the server from starting and the doctor finds nothing"
            );
            found += 1;
            continue;
        };
        for (question, (status, text)) in &answers {
            let same = (*status, text) == (200, &whole[question].1);
            assert!(
                same || (*status == 503 && !damage.is_empty()),
                "page {page}: {question}: {status} {text}\n{damage:?}"
            );
        }
        found += usize::from(!damage.is_empty());
    }
    // What is left over are pages that hold nothing.
    assert!(found + 3 > tried.len(), "{found} of {} are found", tried.len());
}

fn remove_log(store: &Path) {
    for end in ["db-wal", "db-shm", "db-commits"] {
        let _ = std::fs::remove_file(store.with_extension(end));
    }
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_written_is_told_at_the_start_and_by_the_doctor() {
    let home = Home::new("listen = \"127.0.0.1:0\"\nlive_listen = \"127.0.0.1:0\"\n");
    let Some(disk) = Mounted::at(&home.data(), 24) else { return };
    let server = home.start();
    server.tell(&json!({ "call_id": "a", "event_type": "call_answered" })).await;
    assert!(server.terminate().success());
    disk.remount("ro");
    let output = home
        .command(&["serve", "--listen", "127.0.0.1:0", "--live-listen", "127.0.0.1:0", "--sip", "off"])
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let folder: PathBuf = home.data();
    let last = said(&output).lines().last().expect("a sentence").to_owned();
    assert!(last.contains(&folder.display().to_string()) && last.contains("Read-only"), "{last}");
    let damage = damage(&home);
    assert!(damage.iter().any(|one| one.contains("Read-only")), "{damage:?}");
    disk.remount("rw");
    let server = home.start();
    assert_eq!(server.get("/v1/calls/a").await.expect(200)["status"], "in_progress");
}

#[tokio::test]
async fn a_store_that_may_only_be_read_is_not_served_as_if_it_took_writes() {
    let home = Home::new("listen = \"127.0.0.1:0\"\nlive_listen = \"127.0.0.1:0\"\n");
    let path = home.path("calls.db");
    let store = ["--store", path.to_str().expect("a path")];
    let run = |command: &[&str]| home.run(&[command, &store].concat());
    assert!(run(&["organizations", "list", "--init"]).status.success());
    let Some(file) = Mounted::over(&path) else { return };
    file.remount("ro,bind");
    let output = run(&["organizations", "list"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(said(&output).contains("calls.db may only be read"), "{}", said(&output));
    let output = run(&["doctor"]);
    let findings = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{findings}");
    let damage = findings.lines().find(|line| line.starts_with("damage  store: ")).expect("a finding");
    assert!(damage.contains("may only be read"), "{findings}");
    drop(file);
    assert!(run(&["doctor"]).status.success());
}

#[tokio::test]
async fn a_start_changes_nothing_where_only_files_beside_the_store_are_left() {
    let home = Home::new("");
    assert!(home.start().terminate().success());
    for left in ["pegcount.db-commits", "pegcount-words.db"] {
        let kept = std::fs::read(home.data().join(left)).expect("a file");
        std::fs::remove_dir_all(home.data()).expect("the data folder is lost");
        std::fs::create_dir(home.data()).expect("a folder");
        std::fs::write(home.data().join(left), kept).expect("what is left");
        std::fs::write(home.data().join("lock"), "").expect("the lock");
        let before = std::fs::read_dir(home.data()).expect("the folder").count();
        let output =
            home.run(&["serve", "--listen", "127.0.0.1:0", "--live-listen", "127.0.0.1:0", "--sip", "off"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(&format!("{left} is left of it")), "{}", said(&output));
        assert_eq!(std::fs::read_dir(home.data()).expect("the folder").count(), before, "{left}");
        let server = home.start_by(&["serve", "--accept-loss"]).expect("it goes on");
        assert!(server.terminate().success());
    }
}

#[tokio::test]
async fn a_store_elsewhere_that_is_gone_is_missed() {
    let disk = tempfile::tempdir().expect("a disk");
    let store = disk.path().join("calls.db");
    let home = Home::new(&format!("store = \"sqlite:{}\"\n", store.display()));
    assert!(home.start().terminate().success());
    let mode = std::fs::metadata(&store).expect("the store").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "others may not read it");
    for entry in std::fs::read_dir(disk.path()).expect("the disk") {
        std::fs::remove_file(entry.expect("an entry").path()).expect("it is not mounted");
    }
    let output =
        home.run(&["serve", "--listen", "127.0.0.1:0", "--live-listen", "127.0.0.1:0", "--sip", "off"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for words in ["calls.db is missing", "/first-key is left of it", "--accept-loss"] {
        assert!(said(&output).contains(words), "{}", said(&output));
    }
    assert_eq!(std::fs::read_dir(disk.path()).expect("the disk").count(), 0);
}

#[tokio::test]
async fn a_store_that_is_gone_is_missed_until_its_loss_is_accepted() {
    let home = Home::new("");
    let server = home.start();
    server.tell(&json!({ "call_id": "a", "event_type": "call_answered" })).await;
    assert!(server.terminate().success());
    let serve = ["serve", "--listen", "127.0.0.1:0", "--live-listen", "127.0.0.1:0"];
    let files = || {
        let entries = std::fs::read_dir(home.data()).expect("the folder");
        entries.map(|entry| entry.expect("an entry").file_name()).collect::<BTreeSet<_>>()
    };
    // What is beside the store says it as well as the first key, which is all that the second round leaves.
    for round in 0..2 {
        remove_log(&home.data().join("pegcount.db"));
        std::fs::remove_file(home.data().join("pegcount.db")).expect("the store is lost");
        if round == 1 {
            std::fs::remove_file(home.data().join("pegcount-words.db")).expect("the index is lost");
        }
        let left = files();
        for command in [&[&serve[..], &["--sip", "off"]].concat()[..], &["organizations", "list", "--init"]] {
            let output = home.run(command);
            assert_eq!(output.status.code(), Some(1), "{}", said(&output));
            let last = said(&output).lines().last().expect("a sentence").to_owned();
            for words in ["pegcount.db is missing", "/first-key is left of it", "--accept-loss"] {
                assert!(last.contains(words), "{last}");
            }
        }
        assert_eq!(files(), left, "a refusal makes nothing");

        let server = home.start_by(&[&serve[..], &["--accept-loss"]].concat()).expect("it goes on");
        assert!(server.log().contains("going on without what was lost"), "{}", server.log());
        server.get("/readyz").await.expect(200);
        assert!(server.terminate().success());
    }
    let server = home.start();
    assert!(!server.log().contains("going on without"), "{}", server.log());
    assert_eq!(server.get("/v1/calls").await.expect(200)["total"], 0);
}

/// Stops a server in the midst of its work: its last commits are in the log alone.
async fn killed(calls: &[&str]) -> Home {
    let home = Home::new("listen = \"127.0.0.1:0\"\nlive_listen = \"127.0.0.1:0\"\n");
    let server = home.start();
    for call in calls {
        server.tell(&json!({ "call_id": call, "event_type": "call_answered" })).await;
    }
    server.kill();
    home
}

#[tokio::test]
async fn the_log_of_another_store_is_refused_and_its_own_one_is_taken() {
    let (home, other) = (killed(&["a", "b"]).await, killed(&["x"]).await);
    let log = home.data().join("pegcount.db-wal");
    let own = std::fs::read(&log).expect("the log");
    std::fs::copy(other.data().join("pegcount.db-wal"), &log).expect("copied");
    let strange = std::fs::read(&log).expect("the log");
    assert_ne!(own.len(), 0);
    let Err(said) = home.try_start() else { panic!("it starts") };
    assert!(
        said.contains("pegcount.db-wal is that of another store") && !said.contains("--accept-loss"),
        "{said}"
    );
    let findings = damage(&home);
    assert!(findings.iter().any(|finding| finding.contains("is that of another store")), "{findings:?}");
    assert!(std::fs::read(&log).expect("the log") == strange, "a refusal changes nothing");

    std::fs::write(&log, own).expect("put back");
    let server = home.start();
    let calls = server.get("/v1/calls").await;
    assert_eq!(calls.json()["total"], 2, "{} {}", calls.text, server.log());
    assert!(server.terminate().success());
    assert_eq!(damage(&home), Vec::<String>::new());
}
