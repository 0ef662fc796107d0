//! The command line, on a stopped and on a running server.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Home, Server, send, signal, wait_for};

/// The program in the folder of a home, without its configuration and data folder.
fn bare(home: &Home, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pegcount"));
    command.args(arguments).current_dir(home.path("")).env_clear().stdin(Stdio::null());
    command
}

fn exit(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A command that must fail, with nothing on stdout and one sentence on stderr that holds these words.
fn fails(output: &Output, words: &[&str]) {
    let said = said(output);
    assert_eq!((exit(output), output.stdout.len()), (1, 0), "{said}");
    assert!(said.starts_with("pegcount: ") && said.lines().count() == 1, "{said}");
    for word in words {
        assert!(said.contains(word), "{word} in {said}");
    }
}

fn misused(output: &Output, words: &[&str]) {
    let said = said(output);
    assert_eq!((exit(output), output.stdout.len()), (2, 0), "{said}");
    for word in words {
        assert!(said.contains(word), "{word} in {said}");
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode()
        & 0o777
}

/// A process that is killed when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const FREE_PORTS: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--live-listen", "127.0.0.1:0"];

#[tokio::test]
async fn organizations_and_keys_are_made_and_listed_whether_the_server_runs_or_not() {
    let home = Home::with_store("");
    for number in 0..2 {
        let server = (number == 1).then(|| home.start());
        let id = format!("org-{number}");
        let at = 70 + 10 * number;
        let made = home.run_json(&["organizations", "create", "--id", &id, "--number", &at.to_string()]);
        assert_eq!(made, json!({ "number": at, "id": id, "name": null }));
        let next =
            home.run_json(&["organizations", "create", "--id", &format!("{id}-b"), "--name", "Example Ltd"]);
        assert_eq!(next, json!({ "number": at + 1, "id": format!("{id}-b"), "name": "Example Ltd" }));
        fails(&home.run(&["organizations", "create", "--id", &id]), &["with this id exists"]);
        fails(
            &home.run(&["organizations", "create", "--id", "new", "--number", "70"]),
            &["with this number exists"],
        );
        fails(&home.run(&["organizations", "create", "--id", "a b"]), &["a b"]);
        fails(&home.run(&["organizations", "create", "--id", "new", "--number", "0"]), &["positive"]);
        misused(&home.run(&["organizations", "create"]), &["--id"]);
        misused(&home.run(&["organizations", "create", "--id", "new", "--number", "x"]), &["--number"]);

        let scopes = "calls:read,events:write";
        let key =
            home.run_json(&["keys", "create", "--organization", &id, "--scopes", scopes, "--name", "n"]);
        let names: Vec<&String> = key.as_object().expect("an object").keys().collect();
        assert_eq!(names, ["key_id", "secret", "key", "organization", "scopes"]);
        assert_eq!(key["scopes"], json!(["calls:read", "events:write"]));
        assert_eq!(key["organization"], id.as_str());
        let text = |name: &str| key[name].as_str().expect(name);
        assert_eq!(text("key"), format!("{}_{}", text("key_id"), text("secret")));
        fails(
            &home.run(&["keys", "create", "--organization", "nobody"]),
            &["nobody", "organizations create"],
        );
        let bad = ["keys", "create", "--organization", &id, "--scopes", "calls:write"];
        fails(&home.run(&bad), &["calls:write", "events:write"]);
        fails(&home.run(&["keys", "revoke", "key_none"]), &["key_none"]);
        misused(&home.run(&["keys", "revoke"]), &["KEY_ID"]);

        let listed = home.run_json(&["keys", "list"]);
        let listed = listed.as_array().expect("a list");
        let known = listed.iter().find(|one| one["key_id"] == key["key_id"]).expect("the key");
        assert_eq!((&known["organization"], &known["name"]), (&json!(id), &json!("n")));
        assert!(listed.iter().all(|one| one.get("secret").is_none()), "{listed:?}");
        // For people: the same, in lines.
        let lines = String::from_utf8(home.run(&["keys", "list"]).stdout).expect("text");
        assert_eq!(lines.lines().count(), listed.len());
        let lines = String::from_utf8(home.run(&["organizations", "list"]).stdout).expect("text");
        assert!(lines.contains(&format!("{at}\t{id}\t-\n")), "{lines}");
        assert!(lines.contains("Example Ltd"), "{lines}");
        if let Some(server) = server {
            assert!(server.terminate().success());
        }
    }
}

async fn status_with(server: &Server<'_>, key: &str) -> u16 {
    send(server.request(Method::GET, "/v1/calls").header("x-api-key", key)).await.status.as_u16()
}

#[tokio::test]
async fn a_running_server_honours_a_new_key_at_once_and_a_revoked_one_no_more() {
    let home = Home::new("");
    let server = home.start();
    home.run_json(&["organizations", "create", "--id", "org-2"]);
    let key = home.run_json(&["keys", "create", "--organization", "org-2"]);
    let (whole, id) = (key["key"].as_str().expect("a key"), key["key_id"].as_str().expect("an id"));
    assert_eq!(key["scopes"], json!(["calls:read"]));
    assert_eq!(status_with(&server, whole).await, 200);
    assert_eq!(home.run_json(&["keys", "revoke", id]), json!({ "revoked": id }));
    assert_eq!(status_with(&server, whole).await, 401);
    fails(&home.run(&["keys", "revoke", id]), &[id]);
    assert!(server.terminate().success());
    // And it stays so.
    assert_eq!(status_with(&home.start(), whole).await, 401);
}

async fn rotate(server: &Server<'_>, key: &str, id: &str, grace_seconds: u64) -> Answer {
    let body = json!({ "grace_seconds": grace_seconds });
    send(rotation(server, key, id).json(&body)).await
}

fn rotation(server: &Server<'_>, key: &str, id: &str) -> reqwest::RequestBuilder {
    server.request(Method::POST, &format!("/v1/keys/{id}/rotate")).header("x-api-key", key)
}

#[tokio::test]
async fn a_rotated_key_works_until_its_grace_is_over() {
    let home = Home::new("");
    let server = home.start();
    let text = |value: &Value, name: &str| value[name].as_str().expect(name).to_owned();
    let old = home.run_json(&["keys", "create", "--organization", "org_default", "--name", "ci"]);
    let (old_id, old_key) = (text(&old, "key_id"), text(&old, "key"));
    assert_eq!(status_with(&server, &old_key).await, 200);

    let second = rotate(&server, &server.key, &old_id, 3600).await.expect(201);
    assert_eq!((&second["scopes"], &second["old_key_id"]), (&json!(["calls:read"]), &json!(old_id)));
    for key in [&old_key, &text(&second, "key")] {
        assert_eq!(status_with(&server, key).await, 200, "both work meanwhile");
    }
    let listed = server.get("/v1/keys").await.expect(200);
    let shown = |id: &str| {
        listed["keys"].as_array().expect("keys").iter().find(|key| key["id"] == id).expect("the key").clone()
    };
    assert_eq!(shown(&old_id)["expires_at"], second["old_key_expires_at"]);
    let new = shown(&text(&second, "key_id"));
    assert_eq!((&new["name"], &new["expires_at"]), (&json!("ci"), &Value::Null));
    assert!(!new["last_used_at"].is_null(), "{new}");

    let third = home.run_json(&["keys", "rotate", &text(&second, "key_id"), "--grace", "0s"]);
    assert_eq!(status_with(&server, &text(&second, "key")).await, 401, "without grace it ends at once");
    let fourth = home.run_json(&["keys", "rotate", &text(&third, "key_id"), "--grace", "1s"]);
    let begun = Instant::now();
    while status_with(&server, &text(&third, "key")).await == 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not expire");
    }
    let ids: Vec<Value> = server.get("/v1/audit?action=key_rotated").await.expect(200)["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| entry["details"]["new_key"].clone())
        .collect();
    assert_eq!(ids, [&fourth, &third, &second].map(|key| key["key_id"].clone()), "newest first");

    // Without a body the usual grace period counts.
    let fifth = send(rotation(&server, &server.key, &text(&fourth, "key_id"))).await.expect(201);
    assert_eq!(status_with(&server, &text(&fourth, "key")).await, 200);
    assert_eq!(status_with(&server, &text(&fifth, "key")).await, 200);

    // A key that reaches one organization changes none that reaches all.
    let admin = home.run_json(&["keys", "create", "--organization", "org_default", "--scopes", "admin"]);
    let first_id = &server.key[..20];
    rotate(&server, &text(&admin, "key"), first_id, 0).await.expect(403);
    let revoke = server.request(Method::DELETE, &format!("/v1/keys/{first_id}"));
    send(revoke.header("x-api-key", text(&admin, "key"))).await.expect(403);
    fails(&home.run(&["keys", "rotate", "key_none"]), &["key_none"]);
    let whole = home.run(&["keys", "revoke", &text(&fourth, "key")]);
    fails(&whole, &["whole key", &text(&fourth, "key_id")]);
    assert!(!String::from_utf8_lossy(&whole.stderr).contains(&text(&fourth, "secret")));
    misused(&home.run(&["keys", "rotate", &old_id, "--grace", "soon"]), &["--grace", "24h"]);
    fails(&home.run(&["keys", "rotate", &old_id, "--grace", "9999d"]), &["366 days"]);

    assert!(server.terminate().success());
    let kept = home.run_json(&["keys", "list"]);
    let kept = kept.as_array().expect("a list");
    let known = |id: &str| kept.iter().find(|key| key["key_id"] == id);
    assert!(!known(&old_id).expect("it has not expired")["last_used_at"].is_null(), "{kept:?}");
    assert!(known(&text(&third, "key_id")).is_none(), "an expired key is gone");
}

#[tokio::test]
async fn a_server_whose_keys_were_all_revoked_makes_no_new_one_by_itself() {
    let home = Home::with_store("");
    let keys = home.run_json(&["keys", "list"]);
    assert_eq!((keys.as_array().map(Vec::len), &keys[0]["name"]), (Some(1), &json!("first key")));
    home.run_json(&["keys", "revoke", keys[0]["key_id"].as_str().expect("an id")]);
    let server = home.start();
    assert_eq!(home.run_json(&["keys", "list"]), json!([]));
    assert_eq!(status_with(&server, &server.key).await, 401);
    let key = home.run_json(&["keys", "create", "--organization", "org_default"]);
    assert_eq!(status_with(&server, key["key"].as_str().expect("a key")).await, 200);
}

/// Every command that works on a store.
const STORE_COMMANDS: [&[&str]; 15] = [
    &["organizations", "list"],
    &["organizations", "create", "--id", "org-2"],
    &["keys", "list"],
    &["keys", "create", "--organization", "org_default"],
    &["keys", "revoke", "key_none"],
    &["import", "events-ndjson", "events.ndjson", "--organization", "org_default"],
    &["refold", "--check"],
    &["refold", "--counts"],
    &["doctor"],
    &["backup", "copy.db"],
    &["jobs", "list"],
    &["jobs", "retry", "--dead"],
    &["audit", "verify"],
    &["encryption", "status"],
    &["encryption", "reseal"],
];

#[test]
fn a_command_without_a_store_names_the_path() {
    let home = Home::new("");
    std::fs::write(home.path("events.ndjson"), "").expect("a file");
    std::fs::create_dir(home.path("empty")).expect("a folder");
    for command in STORE_COMMANDS {
        for folder in ["typo", "empty"] {
            let output = bare(&home, &[command, &["--data", folder]].concat()).output().expect("it runs");
            let path = home.path(folder);
            fails(&output, &[path.to_str().expect("a path"), "--data", "pegcount serve", "--init"]);
        }
    }
    assert!(!home.path("typo").exists() && !home.path("copy.db").exists());
    assert_eq!(std::fs::read_dir(home.path("empty")).expect("the folder").count(), 0);
    fails(
        &bare(&home, &["demo", "--data", "typo"]).output().expect("it runs"),
        &["typo/first-key", "--data"],
    );
}

#[test]
fn init_makes_a_store_before_the_first_start() {
    let home = Home::new("");
    let made = home.run(&["keys", "create", "--organization", "org_default", "--init", "--json"]);
    assert_eq!(exit(&made), 0, "{}", said(&made));
    assert!(said(&made).contains("first-key"), "{}", said(&made));
    let again = home.run(&["keys", "list", "--init"]);
    assert_eq!((exit(&again), said(&again).as_str()), (0, ""));
    let server = home.start();
    assert_eq!(home.run_json(&["keys", "list"]).as_array().map(Vec::len), Some(2));
    assert!(server.terminate().success());
}

#[tokio::test]
async fn a_store_of_another_user_is_left_alone() {
    let home = Home::with_store("");
    let store = home.data().join("pegcount.db");
    // Only root can give a file away.
    if std::os::unix::fs::chown(&store, Some(4321), None).is_err() {
        return;
    }
    fails(&home.run(&["keys", "list"]), &["pegcount.db", "belongs to user 4321", "sudo -u '#4321'"]);
    let findings = String::from_utf8(home.run(&["doctor"]).stdout).expect("text");
    assert!(findings.contains("belongs to user 4321"), "{findings}");
    let server = home.start();
    home.run_json(&["keys", "list"]);
    assert!(server.terminate().success());
}

#[tokio::test]
async fn commands_that_meet_wait_for_each_other() {
    let home = Home::with_store("");
    let create = |number: usize| {
        let id = format!("org-{number}");
        let mut command = home.command(&["organizations", "create", "--id", &id]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
    };
    let running: Vec<Child> = (0..4).map(create).collect();
    for child in running {
        let output = child.wait_with_output().expect("an end");
        assert!(output.status.success(), "{}", said(&output));
    }
    assert_eq!(home.run_json(&["organizations", "list"]).as_array().map(Vec::len), Some(5));

    // One that meets a server which has just begun to start.
    let home = Home::new("");
    std::thread::scope(|threads| {
        let early = threads.spawn(|| {
            wait_for("the lock", || home.data().join("lock").exists().then_some(()));
            home.run_json(&["organizations", "create", "--id", "early"])
        });
        let server = home.start();
        assert_eq!(early.join().expect("no panic")["id"], "early");
        assert!(server.terminate().success());
    });
}

const TEN_CENTS: &str = "[{per_minute = \"0.10\"}]";

#[tokio::test]
async fn calls_are_priced_by_other_rates_when_told_so() {
    let home = Home::new("");
    let server = home.start();
    let minute = |call: &str| {
        json!([
            { "call_id": call, "event_type": "call_answered", "created_at": "2026-01-01T10:00:00Z" },
            { "call_id": call, "event_type": "call_completed", "created_at": "2026-01-01T10:01:00Z" },
        ])
    };
    for call in ["a", "b"] {
        server.tell(&minute(call)).await;
    }
    let same = json!({ "examined": 2, "differing": [], "repaired": 0, "unreadable": [] });
    assert_eq!(home.run_json(&["refold", "--check"]), same);
    assert!(server.terminate().success());

    // The same data under other prices: no call is changed by them, unless somebody says so.
    let run = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        let output = command.env("PEGCOUNT_RATES__DEFAULT__CALLS", TEN_CENTS).output().expect("it runs");
        let value: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
        (exit(&output), value)
    };
    let differs = |call: &str| json!({ "call": call, "fields": ["bill"], "because": ["other rates"] });
    let differing = json!([differs("a"), differs("b")]);
    assert_eq!(run(&["refold", "--check", "--json"]), (0, same.clone()));
    assert_eq!(run(&["doctor", "--json"]).0, 0);
    let (code, told) = run(&["refold", "--rates", "--check", "--json"]);
    assert_eq!((code, &told["differing"], &told["repaired"]), (1, &differing, &json!(0)));
    let (code, told) = run(&["refold", "--rates", "--check", "--json", "--call", "b"]);
    assert_eq!((code, &told["examined"], &told["differing"]), (1, &json!(1), &json!([differing[1]])));
    let (code, told) = run(&["refold", "--rates", "--json", "--call", "a"]);
    assert_eq!((code, &told["repaired"]), (0, &json!(1)));
    let (code, told) = run(&["refold", "--rates", "--json", "--organization", "org_default"]);
    assert_eq!((code, &told["examined"], &told["differing"]), (0, &json!(2), &json!([differing[1]])));
    let (code, told) = run(&["refold", "--rates", "--check", "--json", "--organization", "1"]);
    assert_eq!((code, &told["differing"]), (0, &json!([])));
    fails(&home.run(&["refold", "--call", "nothing"]), &["nothing"]);
    fails(&home.run(&["refold", "--organization", "org-x"]), &["org-x"]);

    // And back, through the running server.
    let server = home.start();
    assert_eq!(server.get("/v1/calls/a").await.expect(200)["cost_cents"], 10);
    assert_eq!(home.run_json(&["refold", "--check"]), same);
    let output = home.run(&["refold", "--rates", "--check"]);
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((exit(&output), lines.as_str()), (1, "a\tbill\tother rates\nb\tbill\tother rates\n"));
    assert!(said(&output).contains("2 calls folded, 2 would change"), "{}", said(&output));
    assert_eq!(home.run_json(&["refold", "--rates"])["repaired"], 2);
    assert_eq!(server.get("/v1/calls/a").await.expect(200)["cost_cents"], Value::Null);
    assert_eq!(home.run_json(&["refold", "--rates", "--check"]), same);

    // The counts are made anew through the server and without it, and come out as they were.
    let stats = server.get("/v1/calls/stats").await.expect(200);
    assert_eq!(home.run_json(&["refold", "--counts"]), json!({ "recounted": true }));
    assert_eq!(server.get("/v1/calls/stats").await.expect(200), stats);
    assert!(server.terminate().success());
    assert_eq!(home.run_json(&["refold", "--counts"]), json!({ "recounted": true }));
    assert_eq!(exit(&home.run(&["refold", "--counts", "--check"])), 2);
    let server = home.start();
    assert_eq!(server.get("/v1/calls/stats").await.expect(200), stats);
}

#[tokio::test]
async fn a_directory_that_changes_is_no_damage() {
    let home = Home::new("listen = \"127.0.0.1:0\"\nlive_listen = \"127.0.0.1:0\"\n");
    let server = home.start();
    let call = |call: &str, to: &str| {
        json!([
            { "call_id": call, "event_type": "call_initiated", "event_data": { "to_number": to } },
            { "call_id": call, "event_type": "call_completed" },
        ])
    };
    let register = async |id: &str, number: &str| {
        server.post("/v1/phone-numbers", &json!({ "id": id, "number": number })).await.expect(201);
    };
    register("pn_1", "+15550001").await;
    server.tell(&call("known", "+15550001")).await;
    server.tell(&call("early", "+15550002")).await;
    register("pn_2", "+15550002").await;
    let delete = server.request(Method::DELETE, "/v1/phone-numbers/pn_1").header("x-api-key", &server.key);
    assert_eq!(send(delete).await.status.as_u16(), 204);

    assert_eq!(exit(&home.run(&["doctor"])), 0);
    assert_eq!(home.run_json(&["refold"])["differing"], json!([]));
    let number = async |call: &str| {
        server.get(&format!("/v1/calls/{call}")).await.expect(200)["phone_number"]["id"].clone()
    };
    assert_eq!((number("known").await, number("early").await), (json!("pn_1"), Value::Null));
    let told = home.run_json(&["refold", "--numbers", "--call", "early"]);
    assert_eq!(told["differing"][0]["because"], json!(["other phone numbers"]));
    assert_eq!(number("early").await, "pn_2");
    assert!(server.terminate().success());
}

#[tokio::test]
async fn the_doctor_finds_nothing_wrong_and_says_what_it_looked_at() {
    let home = Home::with_store(
        "listen = \"127.0.0.1:0\"\nlive_listen = \"127.0.0.1:0\"\n[sip]\nlisten = \"127.0.0.1:0\"\n",
    );
    let look = || {
        let findings = home.run_json(&["doctor"]);
        let findings = findings.as_array().expect("a list").clone();
        for finding in &findings {
            let names: Vec<&String> = finding.as_object().expect("an object").keys().collect();
            assert_eq!(names, ["severity", "subject", "message"]);
            assert_eq!(finding["severity"], "ok", "{finding}");
        }
        let subjects: Vec<String> =
            findings.iter().map(|one| one["subject"].as_str().expect("a text").to_owned()).collect();
        for subject in ["file", "events", "calls", "store", "disk", "clock"] {
            assert!(subjects.iter().any(|one| one == subject), "{subject} in {subjects:?}");
        }
        let output = home.run(&["doctor"]);
        assert_eq!(exit(&output), 0);
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), findings.len());
        subjects
    };
    assert!(look().contains(&"port 0".to_owned()));
    let server = home.start();
    // Those of the server, whatever the configuration says.
    for address in [server.http, server.live] {
        assert!(look().contains(&format!("port {}", address.port())));
    }
    server.tell(&json!({ "call_id": "a", "event_type": "call_answered" })).await;
    look();
    assert!(server.terminate().success());
    let store = home.data().join("pegcount.db");
    let mut bytes = std::fs::read(&store).expect("the store");
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x55);
    std::fs::write(&store, bytes).expect("the store is damaged");
    let output = home.run(&["doctor"]);
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(exit(&output), 1, "{found}");
    let file = found.lines().find(|line| line.starts_with("damage  file: ")).expect("a finding");
    assert!(file.contains("restore a backup"), "{found}");
}

#[tokio::test]
async fn a_taken_port_is_told_before_anything_is_made() {
    let home = Home::new("");
    let server = home.start();
    let other = Home::new("");
    for flags in [
        ["--listen", &server.http.to_string(), "--live-listen", "127.0.0.1:0", "--sip", "off"],
        ["--listen", "127.0.0.1:0", "--live-listen", "127.0.0.1:0", "--sip", &server.http.to_string()],
    ] {
        fails(&other.run(&[&["serve"][..], &flags].concat()), &["another program", "choose another with --"]);
        assert!(!other.data().exists());
    }
}

#[tokio::test]
async fn the_ready_file_goes_when_the_server_stops() {
    let home = Home::new("");
    let server = home.start();
    let ready = home.path("ready.json");
    assert!(ready.exists());
    assert!(server.terminate().success());
    assert!(!ready.exists());
}

#[tokio::test]
async fn the_file_of_a_first_key_that_works_no_longer_is_removed() {
    let home = Home::new("");
    let server = home.start();
    let file = home.data().join("first-key");
    let rotated = home.run(&["keys", "rotate", &server.key[..20], "--grace", "1h"]);
    assert!(said(&rotated).contains("first-key holds the old key"), "{}", said(&rotated));
    let revoked = home.run(&["keys", "revoke", &server.key[..20]]);
    assert!(said(&revoked).contains("Removed ") && !file.exists(), "{}", said(&revoked));
    assert!(server.terminate().success());
    // Over HTTP a key is revoked without the command.
    std::fs::write(&file, format!("key_aaaaaaaaaaaaaaaa_{}", "b".repeat(43))).expect("a file");
    home.run_json(&["keys", "list"]);
    assert!(!file.exists());
}

#[tokio::test]
async fn a_link_key_that_was_lost_is_told() {
    let home = Home::new("");
    let server = home.start();
    assert!(!server.log().contains("link-key"), "{}", server.log());
    assert!(server.terminate().success());
    std::fs::remove_file(home.data().join("link-key")).expect("the key");
    let server = home.start();
    assert!(server.log().contains("link-key was missing"), "{}", server.log());
}

#[test]
fn a_configuration_is_checked_by_name() {
    let home = Home::new("");
    let file = home.path("checked.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).expect("the file is written");
        bare(&home, &["check-config", "checked.toml"]).output().expect("it runs")
    };
    let fine =
        check("listen = \"127.0.0.1:1\"\n[limits]\nburst = 3\n[[rates.org-1.calls]]\nper_minute = \"0.1\"\n");
    assert_eq!((exit(&fine), String::from_utf8_lossy(&fine.stdout).as_ref()), (0, "checked.toml is fine\n"));
    let json = bare(&home, &["check-config", "checked.toml", "--json"]).output().expect("it runs");
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).expect("one JSON value"), json!({ "ok": true }));

    fails(&check("lisen = \"127.0.0.1:1\""), &["lisen"]);
    fails(&check("[limits]\nburts = 3"), &["burts"]);
    fails(&check("[limits]\nburst = \"many\""), &["limits.burst"]);
    fails(&check("listen = \"here\""), &["listen"]);
    fails(&check("sip = \"on\""), &["sip", "off"]);
    fails(&check("[tls]\ncert = \"a.pem\""), &["tls", "key"]);
    fails(&check("[tenant]\naccess = \"closed\""), &["tenant.access", "closed"]);
    fails(&check("listen = \"0.0.0.0:1\"\n[agent]\naccess = \"open\""), &["agent.access", "0.0.0.0:1"]);
    fails(&check("[[rates.default.calls]]\nper_minute = \"cheap\""), &["rates.default.calls[0].per_minute"]);
    fails(&check("[[rates.default.calls]]\nprefix = \"+1\""), &["per_minute"]);
    fails(&check("[rates.default.products]\nsms = \"x\""), &["rates.default.products.sms"]);
    fails(&check("listen ="), &["checked.toml"]);
    fails(&bare(&home, &["check-config", "missing.toml"]).output().expect("it runs"), &["missing.toml"]);
    let usual = |arguments: &[&str]| bare(&home, arguments).output().expect("it runs");
    let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said(&usual(&["check-config"])).contains("there is no pegcount.toml"));
    std::fs::write(home.path("pegcount.toml"), "limits = 1").expect("the file is written");
    fails(&usual(&["check-config"]), &["pegcount.toml", "limits"]);
    check("");
    assert_eq!(said(&usual(&["check-config", "--config", "checked.toml"])), "checked.toml is fine\n");

    let overlapping = "[[sip.trunks]]\nname = \"pbx\"\norganization = \"org_default\"\nnetworks = [\"10.0.0.0/8\"]\n\
                       [[sip.users]]\nname = \"alice\"\norganization = \"org_default\"\npassword = \"secret\"\n";
    let warned = String::from_utf8(check(overlapping).stdout).expect("a text");
    assert!(warned.contains("warning: sip.trunks[0].networks: 10.0.0.0/8 may hold phones"), "{warned}");

    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config.example.toml");
    assert_eq!(exit(&bare(&home, &["check-config", example]).output().expect("it runs")), 0);
}

#[test]
fn flags_go_before_the_environment_and_the_environment_before_the_file() {
    let home = Home::new("");
    std::fs::write(home.path("pegcount.toml"), "data = \"of-usual-file\"").expect("a file");
    std::fs::write(home.path("named.toml"), "data = \"of-named-file\"").expect("a file");
    let used = |arguments: &[&str], environment: &[(&str, &str)], folder: &str| {
        let output = bare(&home, &[&["organizations", "list", "--init"], arguments].concat())
            .envs(environment.iter().copied())
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{}", said(&output));
        assert!(home.path(folder).join("pegcount.db").exists(), "{folder}");
        std::fs::remove_dir_all(home.path(folder)).expect("only this folder was used");
    };
    used(&[], &[], "of-usual-file");
    used(&["--config", "named.toml"], &[], "of-named-file");
    used(&["--config", "named.toml"], &[("PEGCOUNT_DATA", "of-environment")], "of-environment");
    used(&["--data", "of-flag"], &[("PEGCOUNT_DATA", "of-environment")], "of-flag");
    std::fs::remove_file(home.path("pegcount.toml")).expect("the file is gone");
    used(&[], &[], "pegcount-data");
    let folders: Vec<_> = std::fs::read_dir(home.path("")).expect("the folder").collect();
    assert_eq!(folders.len(), 1, "{folders:?}");

    let check = |name: &str, value: &str| {
        bare(&home, &["check-config", "named.toml"]).env(name, value).output().expect("it runs")
    };
    assert_eq!(exit(&check("PEGCOUNT_LIMITS__BURST", "7")), 0);
    fails(&check("PEGCOUNT_LIMITS__BURST", "many"), &["limits.burst"]);
    fails(&check("PEGCOUNT_LIMITS__BURTS", "7"), &["burts"]);
    fails(&check("PEGCOUNT_RATES__DEFAULT__CALLS", "[{per_minute=\"x\"}]"), &["rates.default.calls[0]"]);
}

#[tokio::test]
async fn what_is_kept_is_the_owners_alone_and_has_one_server() {
    let home = Home::new("");
    let server = home.start();
    let data = home.data();
    assert_eq!(mode(&data), 0o700);
    let files = [
        "control.sock",
        "first-key",
        "link-key",
        "lock",
        "pegcount.db",
        "pegcount.db-wal",
        "pegcount-words.db",
    ];
    for file in files {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    let ready: Value =
        serde_json::from_str(&std::fs::read_to_string(home.path("ready.json")).expect("a file"))
            .expect("JSON");
    let expected = json!({ "http": server.http.to_string(), "live": server.live.to_string(), "sip": null,
        "pid": server.pid() });
    assert_eq!(ready, expected);
    assert!(server.log().contains(&server.key), "the first key is printed once");

    let second = home.run(&FREE_PORTS);
    assert_eq!(exit(&second), 1);
    let last = said(&second);
    let last = last.lines().last().expect("a sentence");
    assert!(last.contains(&data.display().to_string()) && last.contains("--data"), "{last}");
    // The first one did not notice.
    server.get("/v1/calls").await.expect(200);
    home.run_json(&["organizations", "list"]);
    // A port that is taken is named, and the flag that chooses another.
    let other = Home::new("");
    let taken = server.http.to_string();
    let refused = other.run(&["serve", "--listen", &taken, "--live-listen", "127.0.0.1:0"]);
    assert_eq!(exit(&refused), 1);
    assert!(said(&refused).contains(&taken) && said(&refused).contains("--listen"), "{}", said(&refused));
    let key = server.key.clone();
    assert!(server.terminate().success());
    let server = home.start();
    assert!(!server.log().contains(&key), "the first key is printed once");
}

#[test]
fn a_store_outside_the_data_folder_has_one_server_too() {
    let (home, other) = (Home::new(""), Home::new(""));
    let store = format!("sqlite:{}", home.path("shared.db").display());
    let mut serve = home.command(&FREE_PORTS);
    let serve = serve.args(["--store", &store, "--sip", "off"]).stdout(Stdio::null()).stderr(Stdio::null());
    let _running = Running(serve.spawn().expect("the program starts"));
    wait_for("the socket", || home.data().join("control.sock").exists().then_some(()));
    fails(&other.run(&["keys", "list", "--store", &store]), &["shared.db", "--store"]);
    home.run_json(&["keys", "list", "--store", &store]);
}

#[tokio::test]
async fn a_data_folder_may_lie_deep() {
    let home = Home::new("");
    let deep = home.path(&"a-long-name-of-a-folder/".repeat(8));
    let deep = deep.to_str().expect("a path");
    let run =
        |arguments: &[&str]| bare(&home, &[arguments, &["--data", deep]].concat()).output().expect("it runs");
    let listed = run(&["organizations", "list", "--init"]);
    assert_eq!(exit(&listed), 0, "{}", said(&listed));
    let mut serve = bare(&home, &[&FREE_PORTS[..], &["--data", deep, "--sip", "off"]].concat());
    let serve = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    let _running = Running(serve);
    let socket = Path::new(deep).join("control.sock");
    wait_for("the socket", || socket.exists().then_some(()));
    assert_eq!(mode(&socket), 0o600);
    let made = run(&["organizations", "create", "--id", "org-2"]);
    assert_eq!(exit(&made), 0, "{}", said(&made));
}

#[test]
fn what_serve_prints_is_one_json_value_and_a_bad_sip_address_is_told() {
    let home = Home::new("");
    let mut command = home.command(&FREE_PORTS);
    command.args(["--sip", "127.0.0.1:0", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running(command.spawn().expect("the program starts"));
    let mut first = String::new();
    BufReader::new(running.0.stdout.take().expect("stdout")).read_line(&mut first).expect("a line");
    let served: Value = serde_json::from_str(&first).expect("one JSON value");
    assert!(served["url"].as_str().is_some_and(|url| url.starts_with("http://127.0.0.1:")), "{served}");
    assert!(served["first_key"].as_str().is_some_and(|key| key.starts_with("key_")), "{served}");
    assert!(served["sip"].as_str().is_some_and(|sip| sip.starts_with("127.0.0.1:")), "{served}");
    fails_with_log(&home.run(&["serve", "--sip", "on"]), "off");
}

#[test]
fn a_busy_sip_port_names_the_flag() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = taken.local_addr().expect("an address").to_string();
    let home = Home::new("");
    let output = home.command(&FREE_PORTS).args(["--sip", &address]).output().expect("it runs");
    // By chance somebody else has the same port of TCP: that is told after it.
    assert!(said(&output).contains(&format!("sip.listen: {address} cannot be listened on for UDP")));
    for word in ["--sip, or", "--sip off"] {
        fails_with_log(&output, word);
    }
    assert!(!home.data().exists());
}

fn fails_with_log(output: &Output, word: &str) {
    assert_eq!(exit(output), 1);
    assert!(said(output).lines().last().is_some_and(|line| line.contains(word)), "{}", said(output));
}

#[test]
fn every_command_has_help_with_an_example() {
    let home = Home::new("");
    for command in [
        "",
        "serve",
        "organizations",
        "organizations create",
        "organizations list",
        "keys",
        "keys create",
        "keys list",
        "keys rotate",
        "keys revoke",
        "import",
        "refold",
        "doctor",
        "backup",
        "demo",
        "check-config",
    ] {
        let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let output = bare(&home, &words).output().expect("it runs");
        let text = String::from_utf8(output.stdout).expect("text");
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(text.contains("Example: pegcount ") && text.contains("--json"), "{command}: {text}");
        assert!(
            text.contains("--config") && text.contains("--data") && text.contains("--store"),
            "{command}"
        );
    }
    misused(&bare(&home, &["eat"]).output().expect("it runs"), &["eat"]);
    misused(&bare(&home, &["serve", "--listen", "here"]).output().expect("it runs"), &["--listen"]);
    misused(&bare(&home, &["demo", "--rate", "0"]).output().expect("it runs"), &["--rate"]);
    assert_eq!(exit(&bare(&home, &[]).output().expect("it runs")), 2);
    let version = bare(&home, &["--version"]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("pegcount "));
}

#[tokio::test]
async fn the_demo_fills_a_server_with_calls_that_say_cost_and_take_something() {
    let home = Home::new("");
    let server = home.start();
    let url = server.url("");
    let mut demo = home.command(&["demo", "--url", &url, "--seed", "7", "--limit", "40", "--rate", "1000"]);
    let mut demo =
        Running(demo.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts"));
    let live = async || server.get("/v1/live").await.expect(200)["live_calls"].as_u64();
    while live().await < Some(10) {
        assert!(demo.0.try_wait().expect("a state").is_none(), "it ended by itself");
    }
    // Told to stop, it ends the calls that live.
    signal(demo.0.id(), "TERM");
    let ended = wait_for("the end of the demo", || demo.0.try_wait().expect("a state"));
    let mut told = String::new();
    demo.0.stderr.take().expect("stderr").read_to_string(&mut told).expect("text");
    assert!(ended.success() && told.contains("seed 7") && !told.contains("turned away"), "{told}");
    let list = server.get("/v1/calls?limit=100").await.expect(200);
    let calls = list["calls"].as_array().expect("calls");
    assert!(calls.len() > 20, "{}", list["total"]);
    assert_eq!(live().await, Some(0));
    let with = |key: &str| calls.iter().filter(|call| !call[key].is_null()).count();
    assert!(with("transcript") > 5 && with("cost_cents") > 5 && with("endpoint_id") > 5);
    let talked = calls.iter().find(|call| !call["transcript"].is_null()).expect("a call");
    let (id, secret) = server.key.split_at(20);
    let path = format!("/api/calls/{}", talked["id"].as_str().expect("an id"));
    let request = server.request(Method::GET, &path).header("x-api-key", id);
    let call = send(request.header("x-api-secret", &secret[1..])).await.expect(200);
    let data = &call["data"];
    assert!(data.to_string().contains("\"latency\":{\"e2e\""), "{data}");
    assert!(home.run(&["doctor"]).status.success());

    fails_with_log(&home.run(&["demo", "--url", &url, "--key", "key_wrong", "--limit", "1"]), "key");
    fails_with_log(&home.run(&["demo", "--url", "http://127.0.0.1:9", "--limit", "1"]), "127.0.0.1:9");
    assert!(server.terminate().success());
}
