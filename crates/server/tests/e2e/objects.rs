//! Recordings in an object store: taken there, heard from there, deleted there.

use std::{path::PathBuf, time::Duration};

use object_store::{aws::AmazonS3Builder, signer::Signer};
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::{
    s3::{KEY, S3, SECRET},
    server::{Answer, Home, PATIENCE, Server, send, wait_for},
    sip::lab::Network,
};

/// Not audio: nobody here listens.
const BYTES: &str = "0123456789abcdef";

/// An object store that does not run yet, at an address that no other test has.
fn s3() -> S3 {
    S3::at(format!("{}:9000", Network::new().ip(9)).parse().expect("an address"))
}

/// An object store that runs, and the home of a server that knows it by this secret.
async fn stored(links: &str, secret: &str) -> (S3, Home) {
    let mut s3 = s3();
    s3.start().await;
    let home = Home::new(&s3.config(links, secret));
    (s3, home)
}

/// Tells of a call that is over and was recorded.
async fn record(home: &Home, server: &Server<'_>, call: &str) -> PathBuf {
    let folder = home.data().join("recordings");
    std::fs::create_dir_all(&folder).expect("a folder");
    let object = format!("1.{call}.mp3");
    std::fs::write(folder.join(&object), BYTES).expect("a recording");
    let data = json!({"object": object, "duration_seconds": 2.5, "format": "mp3", "size_bytes": BYTES.len()});
    server
        .tell(&json!([
            {"call_id": call, "event_type": "call_answered"},
            {"call_id": call, "event_type": "call_completed"},
            {"call_id": call, "event_type": "recording_ready", "event_data": data},
        ]))
        .await;
    folder.join(object)
}

/// The link to a call's recording, the same wherever it is shown.
async fn link(server: &Server<'_>, call: &str) -> String {
    let told = server.get(&format!("/v1/calls/{call}/recording")).await.expect(200);
    assert!(told["expires_at"].is_string(), "{told}");
    told["recording_url"].as_str().expect("a link").to_owned()
}

/// Without a key, with these headers.
async fn fetch(server: &Server<'_>, method: Method, url: &str, headers: &[(&str, &str)]) -> Answer {
    let client = server.client();
    // A client of one server only joins the path to its own address.
    let request = match url.strip_prefix(&server.url("")) {
        Some(path) => client.to(method.as_str(), path),
        None => reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client")
            .request(method, url),
    };
    send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

fn text(answer: &Answer, name: header::HeaderName) -> &str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The call `call_1` as the organization dialect shows it.
async fn organization(server: &Server<'_>) -> Value {
    let (id, secret) = server.key.split_at(20);
    let request = server.request(Method::GET, "/api/calls/call_1").header("x-api-key", id);
    send(request.header("x-api-secret", &secret[1..])).await.expect(200)
}

/// The one job that there is, once it has failed; with what is wrong.
async fn failed(server: &Server<'_>) -> (i64, String) {
    let begun = std::time::Instant::now();
    loop {
        let jobs = server.get("/v1/jobs").await.expect(200);
        if let Some(error) = jobs["jobs"][0]["error"].as_str() {
            return (jobs["jobs"][0]["id"].as_i64().expect("a number"), error.to_owned());
        }
        assert!(begun.elapsed() < PATIENCE, "waited too long for a failure: {jobs}");
        tokio::task::yield_now().await;
    }
}

async fn retry(server: &Server<'_>, job: i64) {
    let answer = server.post(&format!("/v1/jobs/{job}/retry"), &json!({})).await;
    assert!(answer.status.is_success(), "{}", answer.text);
}

/// Waits without keeping the object store, which runs in this process, from answering.
async fn wait<T>(what: &str, answer: impl Fn() -> Option<T>) -> T {
    tokio::task::block_in_place(|| wait_for(what, answer))
}

async fn is_gone(file: &std::path::Path) {
    wait(&format!("the end of {}", file.display()), || (!file.exists()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_goes_to_the_store_and_is_played_from_there_by_a_link_of_the_store() {
    let (s3, home) = stored("presigned", SECRET).await;
    let server = home.start();
    let file = record(&home, &server, "call_1").await;
    is_gone(&file).await;
    let object = s3.object("1.call_1.mp3");
    assert_eq!(std::fs::read_to_string(&object).expect("the object"), BYTES);

    let link = link(&server, "call_1").await;
    assert!(link.starts_with(&s3.url()) && link.contains("X-Amz-Expires=3660"), "{link}");
    assert!(!link.contains(SECRET));
    let whole = fetch(&server, Method::GET, &link, &[]).await;
    assert_eq!((whole.status.as_u16(), whole.text.as_str()), (200, BYTES));
    assert_eq!(text(&whole, header::CONTENT_TYPE), "audio/mpeg");
    assert_eq!(text(&whole, header::CONTENT_DISPOSITION), "inline; filename=\"1.call_1.mp3\"");
    let part = fetch(&server, Method::GET, &link, &[("range", "bytes=10-12")]).await;
    assert_eq!((part.status.as_u16(), part.text.as_str()), (206, "abc"));
    for wrong in [link.replace("call_1", "call_2"), link.replace("3660", "9999"), s3.url() + "1.call_1.mp3"] {
        assert_eq!(fetch(&server, Method::GET, &wrong, &[]).await.status.as_u16(), 403, "{wrong}");
    }

    // The same wherever a link is shown.
    let path = |link: &str| link.split('?').next().map(str::to_owned);
    for (shown, at) in [
        (server.get("/v1/calls/call_1").await.expect(200), "/recording_url"),
        (server.get("/v1/calls").await.expect(200), "/calls/0/recording_url"),
        (organization(&server).await, "/data/recording_url"),
    ] {
        let url = shown.pointer(at).and_then(Value::as_str).expect("a link");
        assert_eq!(path(url), path(&link));
    }
    assert_eq!(server.get("/readyz").await.expect(200)["recordings"], json!({"ok": true}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_the_store_is_refused_there_when_it_has_expired() {
    let (s3, home) = stored("presigned", SECRET).await;
    let server = home.start();
    let file = record(&home, &server, "call_1").await;
    is_gone(&file).await;
    // As the program signs, but for a second.
    let endpoint = s3.url().replace("/calls/", "");
    let client =
        AmazonS3Builder::new().with_bucket_name("calls").with_endpoint(endpoint).with_allow_http(true);
    let client = client.with_region("eu-central-1").with_access_key_id(KEY).with_secret_access_key(SECRET);
    let key = "recordings/here/1.call_1.mp3".into();
    let client = client.build().expect("a client");
    let link = client.signed_url(Method::GET, &key, Duration::from_secs(1)).await.expect("a link");
    let begun = std::time::Instant::now();
    loop {
        let answer = fetch(&server, Method::GET, link.as_str(), &[]).await;
        match answer.status.as_u16() {
            403 => break assert!(answer.text.contains("expired"), "{}", answer.text),
            status => assert_eq!((status, answer.text.as_str()), (200, BYTES)),
        }
        assert!(begun.elapsed() < PATIENCE, "the link is good for ever");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_down_recordings_wait_here_and_are_heard_here_and_go_there_later() {
    let mut s3 = s3();
    let home = Home::new(&s3.config("presigned", SECRET));
    let server = home.start();
    let file = record(&home, &server, "call_1").await;
    let (job, error) = failed(&server).await;
    assert!(error.contains("refused") && !error.contains(SECRET), "{error}");
    let readiness = server.get("/readyz").await.expect(200);
    let message = readiness["recordings"]["message"].as_str().expect("a sentence");
    assert!(message.contains("s3://calls/recordings/here") && message.contains("wait here"), "{message}");
    let here = link(&server, "call_1").await;
    assert!(here.starts_with(&server.url("/recordings/")), "{here}");
    assert_eq!(fetch(&server, Method::GET, &here, &[]).await.text, BYTES);
    assert!(file.exists());

    s3.start().await;
    retry(&server, job).await;
    is_gone(&file).await;
    assert!(link(&server, "call_1").await.starts_with(&s3.url()));
    // Whoever had the link goes on with it.
    let part = fetch(&server, Method::GET, &here, &[("range", "bytes=-2")]).await;
    assert_eq!((part.status.as_u16(), part.text.as_str()), (206, "ef"));
    assert_eq!(server.get("/readyz").await.expect(200)["recordings"]["message"], Value::Null);
    server.until("/v1/jobs", |jobs| (jobs.expect(200)["jobs"] == json!([])).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_lose_nothing_and_say_so_and_the_next_start_with_right_ones_goes_on() {
    let (s3, mut home) = stored("presigned", "not-the-secret").await;
    let server = home.start();
    let file = record(&home, &server, "call_1").await;
    let (_, error) = failed(&server).await;
    assert!(error.contains("credentials") && error.contains("SignatureDoesNotMatch"), "{error}");
    assert!(file.exists() && !s3.object("1.call_1.mp3").exists());
    assert!(link(&server, "call_1").await.starts_with(&server.url("")));
    let readiness = server.get("/readyz").await.expect(200);
    assert!(
        readiness["recordings"]["message"].as_str().is_some_and(|why| why.contains("credentials")),
        "{readiness}"
    );
    let log = server.log();
    assert!(!log.contains("not-the-secret") && !log.contains(KEY), "{log}");
    assert!(server.terminate().success());

    // What is in the environment is as good as an option, and what lies here from before goes too.
    home.config = s3.config("presigned", SECRET);
    for line in ["access_key_id", "secret_access_key"] {
        home.config =
            home.config.lines().filter(|one| !one.starts_with(line)).map(|one| format!("{one}\n")).collect();
    }
    home.environment = vec![("AWS_ACCESS_KEY_ID", KEY.into()), ("AWS_SECRET_ACCESS_KEY", SECRET.into())];
    std::fs::write(home.data().join("recordings/1.call_0.mp3"), BYTES).expect("a recording of nobody");
    let server = home.start();
    is_gone(&file).await;
    assert!(s3.object("1.call_1.mp3").exists());
    assert!(home.data().join("recordings/1.call_0.mp3").exists());
    assert_eq!(fetch(&server, Method::GET, &link(&server, "call_1").await, &[]).await.text, BYTES);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_may_lead_here_and_are_answered_from_the_store_as_from_a_file() {
    let (mut s3, home) = stored("own", SECRET).await;
    let server = home.start();
    let file = record(&home, &server, "call_1").await;
    is_gone(&file).await;
    let link = link(&server, "call_1").await;
    assert!(link.starts_with(&server.url("/recordings/1.call_1.mp3?")), "{link}");
    let whole = fetch(&server, Method::GET, &link, &[]).await;
    assert_eq!((whole.status.as_u16(), whole.text.as_str()), (200, BYTES));
    for (name, value) in [
        (header::CONTENT_TYPE, "audio/mpeg"),
        (header::CONTENT_LENGTH, "16"),
        (header::ACCEPT_RANGES, "bytes"),
        (header::CONTENT_DISPOSITION, "inline; filename=\"1.call_1.mp3\""),
        (header::CACHE_CONTROL, "private, max-age=3600"),
    ] {
        assert_eq!(text(&whole, name), value);
    }
    let head = fetch(&server, Method::HEAD, &link, &[]).await;
    assert_eq!(
        (head.status.as_u16(), text(&head, header::CONTENT_LENGTH), head.text.as_str()),
        (200, "16", "")
    );
    let written = text(&whole, header::LAST_MODIFIED).to_owned();
    for (headers, status, bytes, content) in [
        (vec![("range", "bytes=0-3")], 206, "0123", "bytes 0-3/16"),
        (vec![("range", "bytes=10-")], 206, "abcdef", "bytes 10-15/16"),
        (vec![("range", "bytes=-2")], 206, "ef", "bytes 14-15/16"),
        (vec![("range", "bytes=99-")], 416, "", "bytes */16"),
        (vec![("range", "bytes=0-3"), ("if-range", &written)], 206, "0123", "bytes 0-3/16"),
        (vec![("range", "bytes=0-3"), ("if-range", "Thu, 01 Jan 2026 10:00:30 GMT")], 200, BYTES, ""),
        (vec![("if-modified-since", &written)], 304, "", ""),
    ] {
        let answer = fetch(&server, Method::GET, &link, &headers).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (status, bytes), "{headers:?}");
        assert_eq!(text(&answer, header::CONTENT_RANGE), content, "{headers:?}");
    }
    s3.stop().await;
    let answer = fetch(&server, Method::GET, &link, &[]).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (503, &json!("UNAVAILABLE")));
    // Signed until another minute, perhaps.
    let call = server.get("/v1/calls/call_1").await.expect(200);
    let again = call["recording_url"].as_str().and_then(|again| again.split_once('?'));
    assert_eq!(again.map(|(url, _)| url), link.split_once('?').map(|(url, _)| url), "{link}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_or_opts_out_is_deleted_in_the_store_too_once_it_can_be() {
    let (mut s3, home) = stored("presigned", SECRET).await;
    let server = home.start();
    for call in ["call_1", "call_2", "call_3"] {
        let file = record(&home, &server, call).await;
        is_gone(&file).await;
    }
    let link = link(&server, "call_1").await;
    let erase = |call: &str| {
        let request = server.request(Method::DELETE, &format!("/v1/calls/{call}"));
        send(request.header("x-api-key", &server.key))
    };
    assert_eq!(erase("call_1").await.status.as_u16(), 204);
    is_gone(&s3.object("1.call_1.mp3")).await;
    assert_eq!(fetch(&server, Method::GET, &link, &[]).await.status.as_u16(), 404);

    // Told while the store is down, and carried out when it is there again, also by another run of the program.
    s3.stop().await;
    let opt_out = json!({"opt_out_sensitive_data_storage": true});
    server.tell(&json!([{"call_id": "call_2", "event_type": "call_initiated", "event_data": opt_out}])).await;
    assert_eq!(server.get("/v1/calls/call_2/recording").await.status.as_u16(), 404);
    server.kill();
    assert!(s3.object("1.call_2.mp3").exists());
    s3.start().await;
    let server = home.start();
    is_gone(&s3.object("1.call_2.mp3")).await;
    assert!(s3.object("1.call_3.mp3").exists());
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tries_the_store_and_a_wrong_configuration_is_refused_by_name() {
    let (mut s3, home) = stored("presigned", SECRET).await;
    tokio::task::block_in_place(|| home.run_json(&["organizations", "list", "--init"]));
    let findings = async || {
        let found = tokio::task::block_in_place(|| home.run_json(&["doctor"]));
        let found = found.as_array().expect("findings").clone();
        found.into_iter().find(|finding| finding["subject"] == "recordings").expect("one of recordings")
    };
    let fine = findings().await;
    assert_eq!(fine["severity"], "ok", "{fine}");
    let left = std::fs::read_dir(s3.object("")).map(Iterator::count).unwrap_or_default();
    assert_eq!(left, 0, "the probe is deleted");
    s3.stop().await;
    let down = findings().await;
    assert_eq!(down["severity"], "warning");
    let message = down["message"].as_str().expect("a sentence");
    assert!(message.starts_with("s3://calls/recordings/here cannot be written to: "), "{message}");

    let file = home.path("wrong.toml");
    std::fs::write(&file, s3.config("presigned", SECRET) + "regoin = \"hush\"\n").expect("it is written");
    let output = home.run(&["check-config", file.to_str().expect("a path")]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("recordings.options.regoin"), "{error}");
    assert!(!error.contains("hush"), "{error}");
}
