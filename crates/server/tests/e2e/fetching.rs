//! Recordings of others: fetched by the real program from a server on this machine, where that is allowed.

use std::net::SocketAddr;

use axum::{Router, http::header, response::IntoResponse, routing::get};
use axum_server::tls_rustls::RustlsConfig;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    s3::{S3, SECRET},
    server::{Home, certificate, send},
    sip::{audio::Heard, lab::Network},
};

/// A tone of 440 Hz on the left and of 1000 Hz on the right.
const SOUND: &[u8] = include_bytes!("../../src/audio/fixtures/stereo.opus.ogg");

/// Gives out a recording, to who shows the token.
fn giving() -> Router {
    let sound = get(|headers: header::HeaderMap| async move {
        match headers.get(header::AUTHORIZATION).is_some_and(|value| value == "Bearer hush-hush") {
            true => SOUND.into_response(),
            false => axum::http::StatusCode::FORBIDDEN.into_response(),
        }
    });
    Router::new().route("/sound", sound)
}

/// The same at an address.
pub async fn elsewhere() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(axum::serve(listener, giving()).into_future());
    address
}

pub fn recorded(call: &str, url: &str) -> Value {
    json!([
        {"call_id": call, "event_type": "call_answered"},
        {"call_id": call, "event_type": "call_completed"},
        {"call_id": call, "event_type": "recording_ready", "event_data": {"url": url}},
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_somebody_else_is_fetched_and_heard_from_here() {
    let address = elsewhere().await;
    let home = Home::new(
        "[recordings.fetch.org_default]\nenabled = true\nallow_http = true\nallow_private_addresses = true\n\
         [recordings.fetch.org_default.headers.\"127.0.0.1\"]\nAuthorization = \"Bearer hush-hush\"\n",
    );
    home.run_json(&["organizations", "create", "--id", "org-2", "--init"]);
    let scopes = "calls:read,events:write,recordings:read";
    let other = home.run_json(&["keys", "create", "--organization", "org-2", "--scopes", scopes]);
    let other = other["key"].as_str().expect("a key");
    let server = home.start();
    let url = format!("http://{address}/sound?token=hidden");
    let events = server.request(Method::POST, "/v1/events").header("x-api-key", other);
    assert!(send(events.json(&recorded("call_2", &url))).await.status.is_success());
    server.tell(&recorded("call_1", &url)).await;
    let told = server.get("/v1/calls/call_1/recording").await.expect(200);
    assert_eq!(told["recording_url"], url.as_str(), "until it is fetched it is where it was");

    let own = server.url("/recordings/1.call_1.mp3?");
    let told = server
        .until("/v1/calls/call_1/recording", |told| {
            let told = told.expect(200);
            told["recording_url"].as_str().is_some_and(|url| url.starts_with(&own)).then(|| told.clone())
        })
        .await;
    assert_eq!((&told["format"], &told["duration_seconds"]), (&json!("mp3"), &json!(1.5)));
    let link = told["recording_url"].as_str().expect("a link");
    let audio = reqwest::get(link).await.expect("an answer");
    assert_eq!(audio.headers()[header::CONTENT_TYPE], "audio/mpeg");
    let audio = audio.bytes().await.expect("bytes").to_vec();
    assert_eq!(told["size_bytes"], audio.len());
    let heard = Heard::of_mp3(audio);
    assert_eq!((heard.rate, heard.channels.len()), (48_000, 1));
    // An encoder begins and ends with some silence of its own.
    assert!((heard.seconds() - 1.5).abs() < 0.15, "{} s", heard.seconds());
    for hertz in [440.0, 1_000.0] {
        assert!(heard.strength(0, hertz) > 0.2, "{hertz} Hz: {}", heard.strength(0, hertz));
    }

    // Who has not asked for it has what was reported.
    let request = server.request(Method::GET, "/v1/calls/call_2/recording").header("x-api-key", other);
    assert_eq!(send(request).await.expect(200)["recording_url"], url.as_str());
    server.until("/v1/jobs", |jobs| (jobs.expect(200)["total"] == 0).then_some(())).await;
    let log = server.log();
    assert!(!log.contains("hidden") && !log.contains("hush"), "{log}");
    assert!(!home.data().join("recordings/2.call_2.mp3").exists());
    assert_eq!(std::fs::read_dir(home.data().join("recordings/fetched")).expect("a folder").count(), 0);
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_somebody_else_goes_on_to_the_object_store_and_is_heard_and_erased_there() {
    let address = elsewhere().await;
    let mut s3 = S3::at(format!("{}:9000", Network::new().ip(9)).parse().expect("an address"));
    s3.start().await;
    let home = Home::new(&format!(
        "{}[recordings.fetch.default]\nenabled = true\nallow_http = true\nallow_private_addresses = true\n\
         [recordings.fetch.default.headers.\"127.0.0.1\"]\nAuthorization = \"Bearer hush-hush\"\n",
        s3.config("presigned", SECRET)
    ));
    let server = home.start();
    server.tell(&recorded("call_1", &format!("http://{address}/sound"))).await;
    let stored = s3.url();
    let link = server
        .until("/v1/calls/call_1/recording", |told| {
            let told = told.expect(200);
            told["recording_url"].as_str().filter(|url| url.starts_with(&stored)).map(str::to_owned)
        })
        .await;
    let audio = reqwest::get(link).await.expect("an answer").bytes().await.expect("bytes").to_vec();
    let heard = Heard::of_mp3(audio);
    assert!((heard.seconds() - 1.5).abs() < 0.15, "{} s", heard.seconds());
    assert!(heard.strength(0, 440.0) > 0.2);
    // Nothing of it stays here.
    server.until("/v1/jobs", |jobs| (jobs.expect(200)["total"] == 0).then_some(())).await;
    assert!(!home.data().join("recordings/1.call_1.mp3").exists());
    assert_eq!(std::fs::read_dir(home.data().join("recordings/fetched")).expect("a folder").count(), 0);

    let erase = server.request(Method::DELETE, "/v1/calls/call_1").header("x-api-key", &server.key);
    assert_eq!(send(erase).await.status.as_u16(), 204);
    let object = s3.object("1.call_1.mp3");
    let is_gone = |_: &crate::server::Answer| (!object.exists()).then_some(());
    server.until("/v1/jobs", is_gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leads_to_this_machine_is_not_fetched_unless_that_is_allowed_and_the_job_says_so() {
    let address = elsewhere().await;
    let home = Home::new("[recordings.fetch.default]\nenabled = true\nallow_http = true\n");
    let server = home.start();
    let url = format!("http://{address}/sound?token=hidden");
    server.tell(&recorded("call_1", &url)).await;
    let job = server
        .until("/v1/jobs", |list| {
            let list = list.expect(200);
            list["jobs"].as_array()?.iter().find(|job| job["state"] == "dead").cloned()
        })
        .await;
    assert_eq!((&job["kind"], &job["subject"]), (&json!("recording_fetch"), &json!("call_1")));
    assert_eq!(job["data"], json!({}));
    let words =
        "127.0.0.1 leads to a private address; `allow_private_addresses` in recordings.fetch allows that";
    assert_eq!(job["error"], words);
    let told = server.get("/v1/calls/call_1/recording").await.expect(200);
    assert_eq!(told["recording_url"], url.as_str());
    // What is wrong with the settings is said before anything is started.
    let wrong = Home::new("[recordings.fetch.default]\nmax_bytes = 0\n");
    let file = wrong.path("config.toml");
    let said = wrong.run(&["check-config", file.to_str().expect("a path")]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("recordings.fetch.default.max_bytes: must be 1 to"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_a_recording_of_somebody_else_are_heard_by_who_makes_transcripts() {
    let address = elsewhere().await;
    let mut home = Home::new("");
    let script = home.path("hear.sh");
    // It tells the sides apart by their order.
    let line = r#"{"b":0.2,"d":0.4,"t":"side $side","w":[{"b":0.2,"d":0.4,"t":"side$side"}]}"#;
    let text = format!(
        "n='{}'\necho x >> \"$n\"\nside=$(wc -l < \"$n\")\necho \"{}\"\n",
        home.path("notes").display(),
        line.replace('"', "\\\"")
    );
    std::fs::write(&script, text).expect("it is written");
    let config = format!(
        "[recordings.fetch.default]\nenabled = true\nallow_http = true\nallow_private_addresses = true\n\
         [recordings.fetch.default.headers.\"127.0.0.1\"]\nAuthorization = \"Bearer hush-hush\"\n\
         [transcription.default]\nprovider = \"command\"\nformat = \"pocketsphinx\"\n\
         command = [\"sh\", \"{}\", \"{{wav}}\"]\n",
        script.display()
    );
    home.config = config;
    let server = home.start();
    server.tell(&recorded("call_1", &format!("http://{address}/sound"))).await;
    let turns = server
        .until("/v1/calls/call_1/events?types=transcript_turn", |told| {
            let told = told.expect(200);
            let turns: Vec<_> =
                told["events"].as_array()?.iter().map(|turn| turn["event_data"].clone()).collect();
            (!turns.is_empty()).then_some(turns)
        })
        .await;
    let said: Vec<_> = turns.iter().map(|turn| (turn["role"].as_str(), turn["content"].as_str())).collect();
    assert_eq!(said, [(Some("caller"), Some("side1")), (Some("agent"), Some("side2"))], "{turns:?}");
    assert_eq!(std::fs::read_dir(home.data().join("recordings/fetched")).expect("a folder").count(), 0);
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_fetched_over_https_from_who_proves_its_address_and_from_nobody_else() {
    let mut home = Home::new(
        "[recordings.fetch.default]\nenabled = true\nallow_private_addresses = true\n\
         [recordings.fetch.default.headers.\"127.0.0.1\"]\nAuthorization = \"Bearer hush-hush\"\n",
    );
    let (cert, key) = certificate(&home, &["127.0.0.1".to_owned()]);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = RustlsConfig::from_pem_file(&cert, &key).await.expect("a certificate");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("a socket");
    let server = axum_server::from_tcp_rustls(listener, tls).expect("a server");
    tokio::spawn(server.serve(giving().into_make_service()));
    let url = format!("https://{address}/sound");

    // Nobody on this machine has signed its certificate.
    let ledger = home.start();
    ledger.tell(&recorded("call_1", &url)).await;
    let told = ledger
        .until("/v1/jobs", |jobs| {
            let jobs = jobs.expect(200);
            jobs["jobs"][0]["error"].as_str().map(str::to_owned)
        })
        .await;
    assert!(told.contains("127.0.0.1 cannot be reached"), "{told}");
    assert!(ledger.terminate().success());

    home.environment.push(("SSL_CERT_FILE", cert));
    let ledger = home.start();
    ledger.tell(&recorded("call_2", &url)).await;
    let own = ledger.url("/recordings/1.call_2.mp3?");
    ledger
        .until("/v1/calls/call_2/recording", |told| {
            let told = told.expect(200);
            told["recording_url"].as_str().is_some_and(|url| url.starts_with(&own)).then_some(())
        })
        .await;
}
