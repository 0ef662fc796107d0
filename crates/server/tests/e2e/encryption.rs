//! Encryption at rest: what lies on the disk says nothing without the key, and everything is answered as ever.

use std::os::unix::fs::PermissionsExt;

use pegcount_sealed::{Keys, Source};
use reqwest::header;
use serde_json::{Value, json};

use crate::{
    erasure_of_numbers::found,
    fetching::{elsewhere, recorded},
    s3::{KEY, S3, SECRET},
    server::{Answer, Home, Server, ago},
    sip::{audio::Heard, lab::Network},
};

/// What is said, and stands nowhere else.
const WORDS: [&str; 3] = ["quiche", "rhubarb", "hush-hush"];

fn events(call: &str) -> Value {
    json!([
        {"id": "1", "call_id": call, "event_type": "call_initiated", "created_at": ago(3600),
         "event_data": {"from_number": "+15551234567", "endpoint_id": "ep_1"}},
        {"id": "2", "call_id": call, "event_type": "call_answered", "created_at": ago(3595)},
        {"id": "3", "call_id": call, "event_type": "transcript_turn", "created_at": ago(3594),
         "event_data": {"role": "caller", "content": "a quiche, please"}},
        {"id": "4", "call_id": call, "event_type": "analysis_ready", "created_at": ago(3593),
         "event_data": {"call_summary": "They ordered rhubarb.", "custom": {"note": "hush-hush"}}},
        {"id": "5", "call_id": call, "event_type": "call_completed", "created_at": ago(3535)},
    ])
}

/// A new key, as a line and as it opens.
fn new_key(home: &Home) -> (String, Keys) {
    let made = home.run_json(&["encryption", "new-key"]);
    let line = made["key"].as_str().expect("a key").to_owned();
    let keys = Keys::parse(&line).expect("a key");
    assert_eq!(made["id"], keys.sealing().to_string());
    (line, keys)
}

fn keys_are(home: &Home, lines: &[&str]) {
    std::fs::write(home.path("keys"), lines.join("\n")).expect("it is written");
}

/// A home whose server seals with the keys in its file.
fn sealed(config: &str) -> Home {
    Home::new(&format!("{config}[encryption]\nkey_file = \"keys\"\n"))
}

async fn assert_all_there(server: &Server<'_>, calls: &[&str]) {
    for call in calls {
        let told = server.get(&format!("/v1/calls/{call}")).await.expect(200);
        assert_eq!(told["transcript"], "[Caller]: a quiche, please");
        let events = server.get(&format!("/v1/calls/{call}/events")).await.expect(200);
        assert_eq!(events["events"][3]["event_data"]["custom"]["note"], "hush-hush");
    }
    // Another key has the index of words made anew, which takes a moment.
    let all_found =
        |answer: &Answer| (answer.status == 200 && answer.json()["total"] == calls.len()).then_some(());
    server.until("/v1/calls?q=quiche", all_found).await;
    let phrase = server.get("/v1/calls?q=%22ordered%20rhubarb%22").await;
    assert_eq!(phrase.json()["total"], calls.len(), "{}", phrase.text);
}

#[tokio::test]
async fn what_was_said_is_found_by_who_asks_and_by_nobody_who_reads_the_files() {
    let home = sealed("");
    let (line, key) = new_key(&home);
    keys_are(&home, &[&line]);
    let server = home.start();
    server.tell(&events("one")).await;
    assert_all_there(&server, &["one"]).await;
    let refused = server.get("/v1/calls?q=quich*").await.expect(400);
    assert!(refused["error"].as_str().is_some_and(|error| error.contains("as a whole only")), "{refused}");
    assert!(found(&home.data(), &WORDS).is_empty(), "{:?}", found(&home.data(), &WORDS));
    // Neither after a kill nor after an end.
    server.kill();
    let server = home.start();
    server.tell(&events("two")).await;
    assert_all_there(&server, &["one", "two"]).await;
    home.run_json(&["backup", "copy.db"]);
    assert!(server.terminate().success());
    assert!(found(&home.data(), &WORDS).is_empty(), "{:?}", found(&home.data(), &WORDS));
    let copies = ["copy.db", "copy-words.db"].map(|name| std::fs::read(home.path(name)).expect("a copy"));
    assert!(copies.iter().all(|copy| !copy.windows(6).any(|part| part == b"quiche")));
    // In the clear on purpose: what lists and statistics are made of.
    assert!(!found(&home.data(), &["+15551234567"]).is_empty());

    let findings = home.run_json(&["doctor"]).to_string();
    assert!(findings.contains("can read the keys"), "{findings}");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(home.path("keys"), private).expect("it is the test's");
    let findings = home.run_json(&["doctor"]).to_string();
    assert!(findings.contains(&format!("are sealed with {}", key.sealing())), "{findings}");
    assert!(!findings.contains("\"damage\""), "{findings}");
    let status = home.run_json(&["encryption", "status"]);
    assert_eq!(status["in_the_clear"], json!({"documents": 0, "events": 0, "recordings": 0}));
    assert_eq!(status["keys"][0]["events"], 10, "{status}");
}

#[tokio::test]
async fn a_ledger_in_the_clear_is_sealed_while_it_runs_and_its_key_changed_later() {
    let mut home = Home::new("");
    let server = home.start();
    server.tell(&events("one")).await;
    let refused = home.run(&["encryption", "reseal"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("encryption is off"));
    assert!(server.terminate().success());
    assert!(!found(&home.data(), &WORDS).is_empty());

    let (old_line, old) = new_key(&home);
    let (new_line, new) = new_key(&home);
    home.config = "[encryption]\nkey_file = \"keys\"\n".to_owned();
    keys_are(&home, &[&old_line]);
    let server = home.start();
    server.tell(&events("two")).await;
    let resealed = home.run_json(&["encryption", "reseal"]);
    assert_eq!((&resealed["documents"], &resealed["events"]), (&json!(1), &json!(5)), "{resealed}");
    assert_all_there(&server, &["one", "two"]).await;
    assert!(server.terminate().success());
    assert!(found(&home.data(), &WORDS).is_empty(), "{:?}", found(&home.data(), &WORDS));

    // The old key is needed until nothing is sealed with it.
    keys_are(&home, &[&new_line]);
    let log = home.try_start().map(|_| ()).expect_err("the key is missing");
    assert!(log.contains(&old.sealing().to_string()) && log.contains("encryption"), "{log}");
    assert!(!log.contains(&new_line), "{log}");
    let config = std::mem::take(&mut home.config);
    let doctor = home.run(&["doctor"]);
    assert!(!doctor.status.success());
    let found = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(found.contains("encryption: unknown, since the store could not be opened"), "{found}");
    home.config = config;
    keys_are(&home, &[&old_line]);
    let server = home.start();
    keys_are(&home, &[&new_line, &old_line]);
    let refused = home.run(&["encryption", "reseal"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Restart the server first"));
    assert!(server.terminate().success());
    let server = home.start();
    let resealed = home.run_json(&["encryption", "reseal"]);
    assert_eq!(resealed["unneeded_keys"], json!([old.sealing().to_string()]), "{resealed}");
    assert!(server.terminate().success());
    keys_are(&home, &[&new_line]);
    let server = home.start();
    assert_all_there(&server, &["one", "two"]).await;
    let status = home.run_json(&["encryption", "status"]);
    assert_eq!(status["keys"].as_array().map(Vec::len), Some(1), "{status}");
    assert_eq!(status["keys"][0]["key"], new.sealing().to_string());
    assert!(server.terminate().success());
    // It cannot be left out either.
    home.config = String::new();
    assert!(home.try_start().is_err());
    let data = format!("data = {:?}\n", home.data());
    std::fs::write(home.path("keyless.toml"), data).expect("a configuration");
    let checked = home.run(&["check-config", "keyless.toml"]);
    let message = String::from_utf8_lossy(&checked.stderr);
    assert_eq!(checked.status.code(), Some(1), "{message}");
    assert!(message.contains(&new.sealing().to_string()) && message.contains("encryption"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_recording_goes_to_the_object_store_sealed_and_is_heard_here() {
    let address = format!("{}:9000", Network::new().ip(9)).parse().expect("an address");
    let mut s3 = S3::at(address);
    s3.start().await;
    let mut home = Home::new(&s3.config("presigned", SECRET));
    let (old_line, old) = new_key(&home);
    let (new_line, new) = new_key(&home);
    let config = home.config.clone();
    home.config = format!("{config}[encryption]\nkey_file = \"keys\"\n");
    keys_are(&home, &[&old_line]);
    let folder = home.data().join("recordings");
    let server = home.start();
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("1.one.mp3"), "quiche and rhubarb").expect("a recording");
    server.tell(&events("one")).await;
    let data = json!({"object": "1.one.mp3", "format": "mp3", "size_bytes": 18});
    server.tell(&json!([{"call_id": "one", "event_type": "recording_ready", "event_data": data}])).await;
    let object = s3.object("1.one.mp3");
    crate::server::wait_for("the recording in the store", || {
        (object.exists() && !folder.join("1.one.mp3").exists()).then_some(())
    });
    let opened =
        |keys: &Keys| Source::open(&object, Some(keys)).map(|source| source.piece(0).expect("bytes"));
    assert_eq!(opened(&old).expect("sealed with it"), b"quiche and rhubarb");
    assert!(opened(&new).is_err());
    let hear = async |server: &Server<'_>, range: Option<&str>| {
        let told = server.get("/v1/calls/one/recording").await.expect(200);
        let url = told["recording_url"].as_str().expect("a link").to_owned();
        assert!(!url.contains(KEY), "a link to the store: {url}");
        let path = url.strip_prefix(&server.url("")).expect("a link to this server").to_owned();
        let request = server.client().to("GET", &path);
        let request = range.into_iter().fold(request, |request, range| request.header(header::RANGE, range));
        let answer = request.send().await.expect("an answer");
        let (status, kind) = (answer.status().as_u16(), answer.headers()[header::CONTENT_TYPE].clone());
        assert_eq!(kind, "audio/mpeg");
        (status, answer.bytes().await.expect("bytes"))
    };
    assert_eq!(hear(&server, None).await, (200, "quiche and rhubarb".into()));
    assert_eq!(hear(&server, Some("bytes=-7")).await, (206, "rhubarb".into()));
    assert!(server.terminate().success());

    keys_are(&home, &[&new_line, &old_line]);
    let server = home.start();
    let resealed = home.run_json(&["encryption", "reseal"]);
    assert_eq!(resealed["recordings"], 1, "{resealed}");
    assert_eq!(resealed["unneeded_keys"], json!([old.sealing().to_string()]), "{resealed}");
    assert!(!folder.join("1.one.mp3").exists());
    assert_eq!(opened(&new).expect("sealed with it"), b"quiche and rhubarb");
    assert_eq!(hear(&server, Some("bytes=0-5")).await, (206, "quiche".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_of_somebody_else_is_sealed_from_its_first_byte_on_and_heard() {
    let address = elsewhere().await;
    let home = sealed(
        "[recordings.fetch.default]\nenabled = true\nallow_http = true\nallow_private_addresses = true\n\
         [recordings.fetch.default.headers.\"127.0.0.1\"]\nAuthorization = \"Bearer hush-hush\"\n\
         [transcription.default]\nprovider = \"command\"\nformat = \"openai\"\n\
         command = [\"sh\", \"-c\", \"head -c 4 $0 | grep -q RIFF && echo '{\\\"text\\\": \\\"quiche\\\"}'\", \"{wav}\"]\n",
    );
    let (line, key) = new_key(&home);
    keys_are(&home, &[&line]);
    let server = home.start();
    server.tell(&recorded("one", &format!("http://{address}/sound"))).await;
    let own = server.url("/recordings/1.one.mp3?");
    let link = server
        .until("/v1/calls/one/recording", |told| {
            let told = told.expect(200);
            told["recording_url"].as_str().filter(|url| url.starts_with(&own)).map(str::to_owned)
        })
        .await;
    let audio = reqwest::get(link).await.expect("an answer").bytes().await.expect("bytes").to_vec();
    assert!(Heard::of_mp3(audio.clone()).strength(0, 440.0) > 0.2);
    let file = Source::open(&home.data().join("recordings/1.one.mp3"), Some(&key)).expect("a file");
    assert_eq!((file.key(), file.length()), (Some(key.sealing()), audio.len() as u64));
    // Its sound was kept sealed for the command, which had it in the clear, and its words were sealed.
    server.until("/v1/calls?q=quiche", |calls| (calls.json()["total"] == 1).then_some(())).await;
    server.until("/v1/jobs", |jobs| (jobs.expect(200)["total"] == 0).then_some(())).await;
    assert!(server.terminate().success());
    let leaked = found(&home.data(), &["quiche", "RIFF", "OggS"]);
    assert!(leaked.is_empty(), "{leaked:?}");
}

#[test]
fn what_is_wrong_with_keys_is_said_before_anything_is_opened_and_shows_none_of_them() {
    let home = sealed("");
    for (content, said) in
        [(None, "No such file"), (Some("# none\n"), "there is no key"), (Some("c2VjcmV0"), "line 1")]
    {
        if let Some(content) = content {
            std::fs::write(home.path("keys"), content).expect("it is written");
        }
        let log = home.try_start().map(|_| ()).expect_err("no keys");
        assert!(log.contains("encryption.key_file") && log.contains(said), "{log}");
        assert!(!log.contains("c2VjcmV0"), "{log}");
    }
    assert!(!home.data().join("pegcount.db").exists());
}
