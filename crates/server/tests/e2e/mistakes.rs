//! The mistakes of the first day, and what the program says to each: what happened, to what, and what to do.

use std::process::Output;

use reqwest::{Method, header};
use serde_json::json;

use crate::server::{Home, Server, certificate, send};

/// The last line on stderr of a command that must fail.
fn refused(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said.lines().last().unwrap_or_default().to_owned()
}

fn holds(sentence: &str, words: &[&str]) {
    for word in words {
        assert!(sentence.contains(word), "{word} in {sentence}");
    }
}

#[test]
fn a_wrong_environment_variable_is_named() {
    let home = Home::new("");
    let with = |name: &str, value: &str| {
        home.command(&["check-config", "config.toml"]).env(name, value).output().expect("the program runs")
    };
    // Of the command line, and of Kubernetes for a service of this name.
    for (name, value) in [
        ("PEGCOUNT_KEY", "key_abc"),
        ("PEGCOUNT_URL", "http://127.0.0.1:1"),
        ("PEGCOUNT_SERVICE_HOST", "10.0.0.1"),
        ("PEGCOUNT_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("PEGCOUNT_PORT", "tcp://10.0.0.1:8080"),
    ] {
        assert!(with(name, value).status.success(), "{name}");
    }
    holds(&refused(&with("PEGCOUNT_LISENT", "x")), &["PEGCOUNT_LISENT", "did you mean \"listen\""]);
    holds(&refused(&with("PEGCOUNT_SIP__LISENT", "x")), &["sip.lisent", "PEGCOUNT_SIP__LISENT"]);
    holds(&refused(&with("PEGCOUNT_LISTEN", "8080")), &["PEGCOUNT_LISTEN", "127.0.0.1:8080"]);
    holds(&refused(&with("PEGCOUNT_LIMITS__BURST", "many")), &["a whole number", "PEGCOUNT_LIMITS__BURST"]);
}

#[test]
fn a_configuration_file_that_is_none_is_named() {
    let home = Home::new("");
    let with = |file: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pegcount"));
        command.args(["keys", "list", "--config", file]).current_dir(home.path("")).env_clear();
        refused(&command.output().expect("the program runs"))
    };
    holds(&with("missing.toml"), &["there is no configuration file missing.toml"]);
    std::fs::create_dir(home.path("folder")).expect("a folder");
    holds(&with("folder"), &["folder is a folder", "folder/pegcount.toml"]);
    std::fs::write(home.path("bytes.toml"), [0xff, 0xfe]).expect("a file");
    holds(&with("bytes.toml"), &["bytes.toml", "UTF-8"]);
    std::fs::write(home.path("urls.toml"), "public_url = \"calls.example.com\"").expect("a file");
    holds(&with("urls.toml"), &["public_url", "https://calls.example.com"]);
}

#[tokio::test]
async fn localhost_may_be_listened_on() {
    let home = Home::new("");
    let server = home
        .start_listening("localhost:0", "localhost:0")
        .unwrap_or_else(|log| panic!("the server does not start: {log}"));
    assert!(server.http.ip().is_loopback() && server.live.ip().is_loopback());
    server.get("/v1/calls").await.expect(200);
}

#[tokio::test]
async fn a_server_on_every_address_is_reached_by_what_it_prints_and_links() {
    let home = Home::new("");
    let folder = home.data().join("recordings");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("1.call_1.mp3"), "abc").expect("a recording");
    let server = home
        .start_listening("0.0.0.0:0", "0.0.0.0:0")
        .unwrap_or_else(|log| panic!("the server does not start: {log}"));
    let port = server.http.port();
    let log = server.log();
    holds(&log, &["public_url is not set", &format!("http://127.0.0.1:{port} "), "every address"]);
    assert!(!log.contains("://0.0.0.0"), "{log}");
    let data = json!({"object": "1.call_1.mp3", "duration_seconds": 1, "format": "mp3", "size_bytes": 3});
    server
        .tell(&json!([
            {"call_id": "call_1", "event_type": "call_initiated", "event_data": {"endpoint_id": "ep_1"}},
            {"call_id": "call_1", "event_type": "call_completed"},
            {"call_id": "call_1", "event_type": "recording_ready", "event_data": data},
        ]))
        .await;
    let (id, secret) = server.key.split_at(20);
    for path in
        ["/v1/calls/call_1", "/v1/calls/call_1/recording", "/api/calls/call_1", "/api/agents/1/call_stats"]
    {
        let asked = |host: &str| {
            let request = server.request(Method::GET, path).header(header::HOST, host);
            // A proxy's word for it is nobody's that could be trusted.
            let request =
                request.header("x-forwarded-host", "evil.example").header("x-forwarded-proto", "https");
            if path.starts_with("/api/calls") {
                request.header("x-api-key", id).header("x-api-secret", &secret[1..])
            } else {
                request.header("x-api-key", &server.key)
            }
        };
        let link = "\"http://calls.example:9090/recordings/1.call_1.mp3?";
        let answer = send(asked("calls.example:9090")).await;
        answer.expect(200);
        assert!(answer.text.contains(link), "{path}: {}", answer.text);
        let answer = send(asked("evil.example%2f..")).await;
        assert!(!answer.text.contains("evil.example"), "{path}: {}", answer.text);
    }
    let link = server.get("/v1/calls/call_1/recording").await.expect(200);
    let link = link["recording_url"].as_str().expect("a link").to_owned();
    let heard = send(server.client().to("GET", link.trim_start_matches(&server.url("")))).await;
    assert_eq!((heard.status.as_u16(), heard.text.as_str()), (200, "abc"), "{link}");
}

#[tokio::test]
async fn a_request_without_a_key_is_told_how_to_send_one() {
    let home = Home::new("");
    let server = home.start();
    for (method, path, setting) in [
        (Method::POST, "/apis/get_cdr_stats.php", "tenant.access = \"open\""),
        (Method::POST, "/apis/get_live_calls.php", "tenant.access = \"open\""),
        (Method::GET, "/ws/live", "tenant.access = \"open\""),
        (Method::GET, "/api/agents/1/call_stats", "agent.access = \"open\""),
    ] {
        let answer = send(server.request(method, path)).await;
        let error = answer.expect(401);
        let sentence = [&error["message"], &error["detail"]].into_iter().find_map(|text| text.as_str());
        holds(sentence.expect("a sentence"), &["x-api-key: KEY", setting]);
    }
    let answer = send(server.request(Method::GET, "/v1/calls")).await;
    holds(answer.expect(401)["error"].as_str().expect("a sentence"), &["x-api-key", "Bearer"]);
}

#[tokio::test]
async fn a_control_url_without_tls_is_told_which_setting_allows_it() {
    let home = Home::new("");
    let server = home.start();
    let put = async |url: &str| {
        let request = server.request(Method::PUT, "/v1/control-url").header("x-api-key", &server.key);
        send(request.json(&json!({ "url": url }))).await.expect(400)["error"]
            .as_str()
            .expect("text")
            .to_owned()
    };
    holds(
        &put("http://calls.example.com/hangup").await,
        &["https://", "native.allow_private_control_urls = true"],
    );
    holds(&put("https://10.0.0.1/hangup").await, &["private", "native.allow_private_control_urls = true"]);
}

#[tokio::test]
async fn curl_gets_a_line_and_a_program_the_documented_body() {
    let home = Home::new("");
    let server = home.start();
    let ask = async |agent: &str| {
        let request = server.request(Method::GET, "/v1/calls").header("x-api-key", &server.key);
        send(request.header(header::USER_AGENT, agent)).await.text
    };
    assert!(ask("curl/8.14.1").await.ends_with("}\n"));
    assert!(ask("python-requests/2.32").await.ends_with('}'));
}

fn demo(home: &Home, arguments: &[&str]) -> Output {
    home.run(&[&["demo", "--limit", "1", "--rate", "1000"], arguments].concat())
}

#[tokio::test]
async fn the_demo_says_what_it_needs() {
    let home = Home::new("");
    let server = home.start();
    let url = server.url("");
    holds(
        &refused(&demo(&home, &["--url", &url, "--organization", "org-9"])),
        &["\"org-9\"", "organizations create --id org-9"],
    );
    holds(&refused(&demo(&home, &["--url", &url, "--key", "wrong"])), &["does not know the key", "--key"]);
    holds(
        &refused(&demo(&home, &["--url", &url.replace("http:", "https:")])),
        &["no HTTPS", "--url http://"],
    );
    let other = Home::new("");
    holds(&refused(&demo(&other, &["--url", &url])), &["--key", "--data"]);
}

async fn total(server: &Server<'_>, organization: &str) -> Option<u64> {
    let request = server.request(Method::GET, "/v1/calls?limit=1").header("x-api-key", &server.key);
    send(request.header("x-organization-id", organization)).await.expect(200)["total"].as_u64()
}

#[tokio::test]
async fn the_demo_fills_another_organization() {
    let home = Home::new("");
    let server = home.start();
    home.run_json(&["organizations", "create", "--id", "org-2"]);
    let mut demo = home.command(&["demo", "--organization", "org-2", "--limit", "1", "--rate", "1000"]);
    let url = server.url("");
    // The key and the server as variables: neither is taken for a setting.
    demo.env("PEGCOUNT_KEY", &server.key).env("PEGCOUNT_URL", &url);
    let mut demo = demo.stdout(std::process::Stdio::null()).spawn().expect("the program starts");
    while total(&server, "org-2").await < Some(300) {
        assert!(demo.try_wait().expect("a state").is_none(), "it ended by itself");
    }
    demo.kill().and_then(|()| demo.wait()).expect("it ends");
    assert_eq!(total(&server, "org_default").await, Some(0));
}

#[tokio::test]
async fn the_demo_works_with_the_certificate_of_the_configuration() {
    let mut home = Home::new("");
    let (certificate, key) = certificate(&home, &["127.0.0.1".to_owned()]);
    home.config = format!("[tls]\ncert = {certificate:?}\nkey = {key:?}\n");
    let server = home.start();
    let plain = refused(&demo(&home, &["--url", &server.url("")]));
    holds(&plain, &["HTTPS", "--url https://"]);
    let url = server.url("").replace("http:", "https:");
    let stranger = Home::new("");
    holds(
        &refused(&demo(&stranger, &["--url", &url, "--key", &server.key])),
        &["certificate", "must trust the certificate"],
    );
    let mut demo = home.command(&["demo", "--url", &url, "--limit", "1", "--rate", "1000"]);
    let mut demo = demo.stderr(std::process::Stdio::piped()).spawn().expect("the program starts");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(demo.stderr.take().expect("stderr")));
    let told = lines.map_while(Result::ok).find(|line| line.contains("told 300 calls"));
    demo.kill().and_then(|()| demo.wait()).expect("it ends");
    assert!(told.is_some());
}
