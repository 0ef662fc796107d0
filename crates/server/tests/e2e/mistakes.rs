//! The mistakes of the first day, and what the program says to each: what happened, to what, and what to do.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use reqwest::{Method, header};
use serde_json::json;

use crate::server::{Home, Server, certificate, send, signal, wait_for};

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
    let secret = refused(&with("PEGCOUNT_ENCRYPTION", "c2VjcmV0"));
    holds(&secret, &["PEGCOUNT_ENCRYPTION", "a table of settings, not a text"]);
    assert!(!secret.contains("c2VjcmV0"), "{secret}");
    holds(&refused(&with("PEGCOUNT_LIMITS__BURST", "many")), &["a whole number", "PEGCOUNT_LIMITS__BURST"]);
}

#[test]
fn a_configuration_file_that_is_none_is_named() {
    let home = Home::new("");
    let with = |file: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pegcount"));
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
    let server = home
        .start_listening("0.0.0.0:0", "0.0.0.0:0")
        .unwrap_or_else(|log| panic!("the server does not start: {log}"));
    let folder = home.data().join("recordings");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("1.call_1.mp3"), "abc").expect("a recording");
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
    holds(&put("https://localhost/hangup").await, &["private", "write 127.0.0.1"]);
    holds(&put("https://pbx.localhost./hangup").await, &["private"]);
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
    let mut demo = demo.stdout(Stdio::null()).spawn().expect("the program starts");
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
    let mut demo = demo.stderr(Stdio::piped()).spawn().expect("the program starts");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(demo.stderr.take().expect("stderr")));
    let told = lines.map_while(Result::ok).find(|line| line.contains("created 300 calls"));
    demo.kill().and_then(|()| demo.wait()).expect("it ends");
    assert!(told.is_some());
}

/// What `check-config` says of a configuration, and that `serve` refuses it by the same words.
fn both_refuse(config: &str) -> String {
    let home = Home::new(config);
    let serve = home.run(&["serve", "--listen", "127.0.0.1:0", "--live-listen", "127.0.0.1:0"]);
    let made = home.data().exists();
    assert!(!made, "a server that does not start makes nothing");
    let checked = home.run(&["check-config", home.path("config.toml").to_str().expect("a path")]);
    let (checked, serve) = (refused(&checked), refused(&serve));
    assert_eq!(checked, serve);
    checked
}

#[test]
fn check_config_refuses_what_serve_refuses() {
    let files = Home::new("");
    let (cert, key) = certificate(&files, &["127.0.0.1".to_owned()]);
    let write = |name: &str, text: &str| {
        let path = files.path(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let other = Home::new("");
    let (_, other_key) = certificate(&other, &["127.0.0.1".to_owned()]);
    let words = write("words.txt", "no key at all");
    let tls = |cert: &Path, key: &Path| both_refuse(&format!("[tls]\ncert = {cert:?}\nkey = {key:?}\n"));
    let missing = files.path("missing.pem");
    holds(&tls(&missing, &key), &["tls.cert", "missing.pem", "cannot be read"]);
    holds(&tls(&words, &key), &["tls.cert", "words.txt", "no certificate"]);
    holds(&tls(&cert, &words), &["tls.key", "words.txt", "no private key"]);
    holds(&tls(&cert, &other_key), &["tls", "do not belong together"]);
    let sip_tls = format!("[sip.tls]\nlisten = [\"127.0.0.1:0\"]\ncert = {missing:?}\nkey = {key:?}\n");
    holds(&both_refuse(&sip_tls), &["sip", "missing.pem"]);
    holds(&both_refuse(&format!("[sip.recording]\nlame = {words:?}\n")), &["LAME", "words.txt"]);
    holds(
        &both_refuse(&format!("[encryption]\nkey_file = {missing:?}\n")),
        &["encryption.key_file", "missing.pem"],
    );
    holds(&both_refuse(&format!("[encryption]\nkey_file = {words:?}\n")), &["encryption.key_file", "line 1"]);
    holds(&both_refuse("store = \"sqlite:nowhere/calls.db\"\n"), &["store", "nowhere", "make it"]);
    holds(&both_refuse("store = \"sqlite:/proc/calls.db\"\n"), &["store", "/proc cannot be written"]);
    holds(&both_refuse("[sip]\nlisten = \"192.0.2.1:5060\"\n"), &["sip.listen", "no such address"]);
    holds(
        &both_refuse("[sip]\nalso_listen = [\"127.0.0.1:5060\"]\n"),
        &["sip.also_listen[0]: 127.0.0.1:5060 overlaps sip.listen"],
    );
    holds(
        &both_refuse("[rates.default.products]\nsms = \"-0.1\"\n"),
        &["rates.default.products.sms", "must not be negative"],
    );
    holds(&both_refuse("[log]\nlevel = \"verbose\"\n"), &["log.level", "verbose", "debug"]);
    let user = |name: &str| {
        format!("[[sip.users]]\nname = {name:?}\norganization = \"org_default\"\npassword = \"a\"\n")
    };
    holds(&both_refuse(&[user("alice"), user("alice")].concat()), &["sip.users[1]", "alice", "taken"]);
}

#[test]
fn a_data_folder_that_cannot_be_made_is_refused() {
    let home = Home::new("");
    let mut check = Command::new(env!("CARGO_BIN_EXE_pegcount"));
    check.args(["check-config", "--data", "/proc/pegcount"]).current_dir(home.path("")).env_clear();
    let checked = check.output().expect("the program runs");
    holds(&refused(&checked), &["data: /proc cannot be written", "--data"]);
}

#[test]
fn every_problem_of_a_configuration_is_named_at_once() {
    let home = Home::new(
        "public_url = \"x\"\n[tls]\ncert = \"a\"\n[rates.default.products]\nsms = \"cheap\"\nfax = \"-1\"\n",
    );
    let output = home.run(&["check-config", "config.toml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.lines().count(), 4, "{said}");
    assert!(said.lines().all(|line| line.starts_with("pegcount: ")), "{said}");
    holds(&said, &["public_url", "tls:", "rates.default.products.sms", "rates.default.products.fax"]);
    std::fs::write(home.path("keys.toml"), "lisen = 1\n[limits]\nburst = \"a\"\n").expect("a file");
    let output = home.run(&["check-config", "keys.toml"]);
    holds(&String::from_utf8_lossy(&output.stderr), &["lisen: there is no", "limits.burst: must be"]);
}

#[tokio::test]
async fn check_config_names_organizations_that_the_store_lacks() {
    let config = "[retention.org-7]\ncall_days = 30\n[[sip.users]]\nname = \"alice\"\norganization = \"org-8\"\n\
                  password = \"a\"\n[sip]\nlisten = \"127.0.0.1:0\"\n";
    let home = Home::new(config);
    let check = || {
        let checked = home.run_json(&["check-config", "config.toml"]);
        assert_eq!(checked["ok"], true);
        checked["warnings"].to_string()
    };
    assert_eq!(check(), "null", "without a store nothing is known");
    home.run_json(&["organizations", "list", "--init"]);
    holds(&check(), &["retention.org-7", "sip.users[0].organization", "organizations create --id org-8"]);
    let server = home.start();
    holds(&server.log(), &["retention.org-7", "org-8"]);
    home.run_json(&["organizations", "create", "--id", "org-7"]);
    assert!(!check().contains("org-7"), "{}", check());
}

#[tokio::test]
async fn check_config_looks_at_ports_when_asked_to() {
    let home = Home::new("");
    let server = home.start();
    let taken =
        format!("listen = \"{}\"\nlive_listen = \"127.0.0.1:0\"\n[sip]\nlisten = \"off\"\n", server.http);
    std::fs::write(home.path("taken.toml"), taken).expect("a file");
    let check = |arguments: &[&str]| home.run(&[&["check-config", "taken.toml"], arguments].concat());
    assert!(check(&[]).status.success());
    holds(&refused(&check(&["--ports"])), &["listen", &server.http.to_string(), "another program"]);
    std::fs::write(home.path("taken.toml"), "listen = \"192.0.2.1:1\"\n[sip]\nlisten = \"off\"\n")
        .expect("a file");
    let both = String::from_utf8_lossy(&check(&["--ports"]).stderr).into_owned();
    holds(&both, &["192.0.2.1:1", "no such address"]);
}

/// Every file and folder in a folder, with its mode.
fn modes(folder: &Path, found: &mut Vec<(PathBuf, u32)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let mode = std::fs::symlink_metadata(&entry).expect("a file").permissions().mode() & 0o777;
        if entry.is_dir() {
            modes(&entry, found);
        }
        found.push((entry, mode));
    }
}

#[tokio::test]
async fn what_is_made_is_the_owners_alone_whatever_the_umask() {
    let home = Home::new(
        "listen = \"127.0.0.1:0\"\nlive_listen = \"127.0.0.1:0\"\n[sip]\nlisten = \"127.0.0.1:0\"\n",
    );
    let loosely = |arguments: &[&str]| {
        let program = home.command(arguments);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "umask 000; exec \"$0\" \"$@\""])
            .arg(program.get_program())
            .args(program.get_args());
        shell
    };
    let ready = home.path("ready.json");
    let mut serve = loosely(&["serve", "--ready-file", "ready.json"]);
    let serve = serve.current_dir(home.path("")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut serve = serve.spawn().expect("the program starts");
    wait_for("the ready file", || ready.exists().then_some(()));
    let backup = home.path("backup.db");
    let made = loosely(&["backup", backup.to_str().expect("a path")]).output().expect("the program runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    signal(serve.id(), "KILL");
    serve.wait().expect("it ends");
    let mut found = Vec::new();
    modes(&home.data(), &mut found);
    assert!(found.iter().any(|(path, _)| path.ends_with("recordings")), "{found:?}");
    for (path, mode) in found {
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
    let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&backup), 0o600);
    assert_eq!(mode(&ready), 0o644, "a service manager may be another user");
}

#[test]
fn a_wrong_value_of_a_configuration_is_told_in_its_own_words() {
    for (text, words) in [
        ("listen = 127.0.0.1:8080", &["line 1", "in quotes"][..]),
        ("log = \"debug\"", &["log:", "a table of settings"]),
        ("[sip]\nusers = \"alice\"", &["sip.users:", "a list"]),
        ("[limits]\nburst = \"10\"", &["limits.burst:", "a whole number"]),
        ("[limits]\nburst = -1", &["limits.burst:", "a whole number", ", not -1"]),
        ("[log]\njson = 1", &["log.json:", "true or false"]),
        ("[tenant]\naccess = \"none\"", &["tenant.access:", "\"key\" or \"open\""]),
        ("[retention]\nrecording_days = 30", &["retention.recording_days:", "below `default`"]),
        (
            "[[rates.default.calls]]\nper_minute = 0.02",
            &["rates.default.calls[0].per_minute", "a text in quotes"],
        ),
        ("[[sip.user]]\nname = \"a\"", &["sip.user:", "did you mean \"users\""]),
        ("listen = \"127.0.0.1:1\"\nlive_listen = \"127.0.0.1:1\"", &["live_listen:", "/ws/live"]),
        ("listen = \"example.com:80\"", &["listen:", "example.com:80", "0.0.0.0:8080"]),
    ] {
        let home = Home::new(text);
        let said = refused(&home.run(&["check-config", "config.toml"]));
        holds(&said, words);
    }
}

#[tokio::test]
async fn a_key_that_is_wrong_is_told_from_one_that_is_missing() {
    let home = Home::new("");
    let server = home.start();
    let told = async |path: &str, method: Method, key: &str| {
        let answer = send(server.request(method, path).header("x-api-key", key)).await;
        answer.expect(401);
        answer.text
    };
    let quoted = format!("'{}'", server.key);
    for key in [&server.key[..20], &server.key[..40], &quoted, "key"] {
        holds(&told("/v1/calls", Method::GET, key).await, &["not known here", "KEY_ID_SECRET"]);
        holds(&told("/api/agents/1/call_stats", Method::GET, key).await, &["not known here"]);
        holds(&told("/apis/get_live_calls.php", Method::POST, key).await, &["not known here"]);
    }
}

#[tokio::test]
async fn a_wrong_body_is_told_by_its_field() {
    let home = Home::new("");
    let server = home.start();
    let told = async |body: &str| {
        let request = server.request(Method::POST, "/v1/endpoints").header("x-api-key", &server.key);
        let answer = send(request.header("content-type", "application/json").body(body.to_owned())).await;
        let error = answer.expect(400);
        (error["error"].as_str().expect("a sentence").to_owned(), error["details"]["parameter"].clone())
    };
    let (sentence, parameter) = told(r#"{"id":"ep_1","nam":"x"}"#).await;
    assert_eq!(parameter, "nam");
    assert!(sentence.starts_with("nam cannot be taken: unknown field `nam`, expected one of"), "{sentence}");
    let (sentence, _) = told(r#"{"id":"ep_1",}"#).await;
    assert!(!sentence.contains("nam"), "{sentence}");
    let (sentence, parameter) = told(r#"{"id":7}"#).await;
    assert_eq!(parameter, "id");
    assert!(sentence.starts_with("id must be a text, not 7"), "{sentence}");
}

#[test]
fn the_doctor_warns_of_a_data_folder_that_others_may_enter() {
    let home = Home::new(
        "listen = \"localhost:0\"\nlive_listen = \"localhost:0\"\n[sip]\nlisten = \"localhost:0\"\n",
    );
    home.run_json(&["organizations", "list", "--init"]);
    let found = || {
        let findings = home.run_json(&["doctor"]);
        let findings = findings.as_array().expect("a list").clone();
        findings.into_iter().find(|one| one["subject"] == "data folder").expect("a finding")
    };
    assert_eq!(found()["severity"], "ok");
    std::fs::set_permissions(home.data(), std::fs::Permissions::from_mode(0o755)).expect("it is the owner's");
    assert_eq!(found()["severity"], "warning");
    holds(found()["message"].as_str().expect("a sentence"), &["chmod -R go="]);
}

#[tokio::test]
async fn events_in_another_form_than_said_are_told_which_to_say() {
    let home = Home::new("");
    let server = home.start();
    let post = async |media_type: &str, body: &str| {
        let request = server.request(Method::POST, "/v1/events").header("x-api-key", &server.key);
        send(request.header(header::CONTENT_TYPE, media_type).body(body.to_owned())).await
    };
    let event = r#"{"call_id": "a", "event_type": "call_answered"}"#;
    for body in [format!("[{event}]"), format!("\n[\n{event}\n]"), event.replace('{', "{\n")] {
        let answer = post("application/x-ndjson", &body).await;
        assert_eq!(answer.status.as_u16(), 400, "{}", answer.text);
        holds(&answer.text, &["INVALID_JSON", "with the Content-Type application/json"]);
    }
    let answer = post("application/json", &format!("{event}\n{event}\n")).await;
    assert_eq!(answer.status.as_u16(), 400, "{}", answer.text);
    holds(&answer.text, &["goes on after its end", "with the Content-Type application/x-ndjson"]);
}
