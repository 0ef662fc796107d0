//! What the main port offers besides calls: health, metrics, the reference; limits, open doors, TLS.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    forms::{Dialect, assert_form, halves, operations},
    server::{Answer, Client, Home, Server, certificate, send},
};

#[tokio::test]
async fn health_readiness_and_metrics_tell_without_a_key_how_the_program_is() {
    let home = Home::new("");
    let server = home.start();
    let client = server.client();
    let open = async |path: &str| send(client.to("GET", path)).await;
    assert_eq!(open("/healthz").await.status.as_u16(), 200);
    let ready = open("/readyz").await.expect(200);
    assert_eq!((&ready["ready"], &ready["store"]["ok"]), (&json!(true), &json!(true)), "{ready}");
    server.tell(&json!({"call_id": "call_secret_id", "event_type": "call_answered"})).await;
    for path in ["/v1/calls/call_secret_id", "/v1/calls/call_unknown", "/nowhere/call_secret_id"] {
        server.get(path).await;
    }
    let metrics = open("/metrics").await;
    assert!(metrics.text.contains("live_calls 1"), "{}", metrics.text);
    assert!(metrics.text.contains(r#"route="/v1/calls/{id}""#), "{}", metrics.text);
    assert!(!metrics.text.contains("call_secret_id"), "metrics hold no ids: {}", metrics.text);
    for line in metrics.text.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

/// Every `$ref` of a document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str() {
                    Some(target) if key == "$ref" => drop(found.insert(target.to_owned())),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_openapi_document_is_whole_and_everything_in_it_is_there() {
    let home = Home::new("");
    let server = home.start();
    let client = server.client();
    let document = send(client.to("GET", "/openapi.json")).await.expect(200);
    assert!(
        document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")),
        "{}",
        document["openapi"]
    );
    let mut targets = BTreeSet::new();
    references(&document, &mut targets);
    assert!(!targets.is_empty());
    for target in &targets {
        let pointer = target.strip_prefix('#').unwrap_or_else(|| panic!("{target} leads elsewhere"));
        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
    }
    let mut ids = BTreeSet::new();
    for (route, operation) in operations(&client).await {
        let id = operation["operationId"].as_str().expect("an operationId").to_owned();
        assert!(ids.insert(id), "{route}: its operationId is another's too");
        let (method, path) = route.split_once(' ').expect("a route");
        let placeholders: BTreeSet<&str> =
            path.split('{').skip(1).map(|part| part.split('}').next().unwrap_or_default()).collect();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let named: BTreeSet<&str> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        assert_eq!(placeholders, named, "{route}");
        // Without a key: what is there says 401, what needs none answers; nobody says 405 or that there is no route.
        let answer = send(client.to(method, &path.replace(['{', '}'], ""))).await;
        let nowhere = answer.status.as_u16() == 405 || answer.text.contains(r#""code":"NOT_FOUND""#);
        assert!(!nowhere, "{route}: {} {}", answer.status, answer.text);
        let responses = operation["responses"].as_object().expect("responses");
        assert!(
            responses.keys().any(|status| status.starts_with('2')) || path == "/v1/outbound-calls",
            "{route}"
        );
    }
}

/// The addresses that a page or a style sheet loads something from.
fn loaded(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for opening in [
        "src=\"",
        "href=\"",
        "url(",
        "@import \"",
        "fetch(\"",
        "import(\"",
        "validatorUrl\":\"",
        "\"url\":\"",
        "url: \"",
    ] {
        for part in text.split(opening).skip(1) {
            let end = part.find(['"', ')', '\'']).unwrap_or(part.len());
            found.push(part[..end].trim_matches(['"', '\'']).to_owned());
        }
    }
    found
}

#[tokio::test]
async fn the_reference_loads_nothing_from_elsewhere() {
    let home = Home::new("");
    let server = home.start();
    let client = server.client();
    let moved = send(client.to("GET", "/docs")).await;
    assert_eq!((moved.status.as_u16(), moved.headers["location"].as_bytes()), (303, b"/docs/".as_slice()));
    let page = send(client.to("GET", "/docs/")).await;
    assert_eq!(page.status.as_u16(), 200);
    let mut scripts = 0;
    let mut initializer = String::new();
    for file in loaded(&page.text) {
        assert!(!file.contains("//"), "the page loads {file}");
        let path = format!("/docs/{}", file.trim_start_matches("./"));
        let part = send(client.to("GET", &path)).await;
        assert_eq!(part.status.as_u16(), 200, "{path}");
        scripts += usize::from(file.ends_with(".js"));
        if file.ends_with("initializer.js") {
            initializer = part.text;
        } else if file.ends_with(".css") {
            let elsewhere: Vec<_> =
                loaded(&part.text).into_iter().filter(|url| url.starts_with("http")).collect();
            assert_eq!(elsewhere, Vec::<String>::new(), "{path}");
        }
    }
    assert!(scripts >= 3, "{}", page.text);
    let without_space: String = initializer.split_whitespace().collect();
    assert!(without_space.contains("/openapi.json"), "{initializer}");
    assert!(!initializer.contains("http"), "{initializer}");
    // Its default sends the document's URL to a validator on the internet.
    assert!(without_space.contains(r#""validatorUrl":"none""#), "{initializer}");
    let front = send(client.to("GET", "/")).await;
    assert!(loaded(&front.text).iter().all(|url| url.starts_with('/')), "{}", front.text);
}

/// Asks until it is refused, which must happen soon.
async fn ask_until_refused(client: &Client, method: &str, path: &str, key: &str) -> Answer {
    for _ in 0..1000 {
        let request = Dialect::of(path).with_key(client.to(method, path), key);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = if method == "POST" { request.body("tenant_id=1") } else { request };
        let answer = send(request).await;
        if answer.status.as_u16() == 429 {
            return answer;
        }
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    }
    panic!("{path} is never refused");
}

#[tokio::test]
async fn a_key_that_asks_too_often_is_told_when_to_come_back_in_the_form_of_each_dialect() {
    let home = Home::new("[limits]\nrequests_per_second = 1\nburst = 4\n");
    let server = home.start();
    let client = server.client();
    let make = || {
        home.run_json(&[
            "keys",
            "create",
            "--organization",
            "org_default",
            "--scopes",
            "calls:read,events:write",
        ])
    };
    let first = make()["key"].as_str().expect("a key").to_owned();
    let event =
        json!({"call_id": "call_1", "event_type": "call_completed", "event_data": {"endpoint_id": "ep_1"}});
    send(client.to("POST", "/v1/events").header("x-api-key", &first).json(&event)).await.expect(200);
    for (method, path) in [
        ("GET", "/v1/calls"),
        ("GET", "/api/calls"),
        ("GET", "/api/agents/1/call_stats"),
        ("POST", "/apis/get_cdr_stats.php"),
    ] {
        let key = make()["key"].as_str().expect("a key").to_owned();
        let refused = ask_until_refused(&client, method, path, &key).await;
        assert_form(path, path, &refused);
        assert_eq!(refused.headers["retry-after"], "1", "{path}");
        if path == "/v1/calls" {
            let body = refused.json();
            assert_eq!(body["code"], "RATE_LIMIT_EXCEEDED");
            let after = body["retry_after"].as_f64().expect("seconds");
            assert!(after > 0.0 && after <= 1.0, "{body}");
        }
    }
    let other = make()["key"].as_str().expect("a key").to_owned();
    send(client.to("GET", "/v1/calls").header("x-api-key", &other)).await.expect(200);
    for _ in 0..20 {
        assert_eq!(send(client.to("GET", "/healthz")).await.status.as_u16(), 200, "no key, no limit");
    }
}

async fn post(server: &Server<'_>, path: &str, key: Option<&str>) -> Answer {
    let request = server.request(reqwest::Method::POST, path).body("tenant_id=1");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    send(match key {
        Some(key) => request.header("x-api-key", key),
        None => request,
    })
    .await
}

#[tokio::test]
async fn an_opened_dialect_answers_everybody_and_nothing_else_does() {
    let home = Home::new("[tenant]\naccess = \"open\"\n[agent]\naccess = \"open\"\n");
    let server = home.start();
    server.tell(&json!({"call_id": "call_1", "event_type": "call_completed", "event_data": {"endpoint_id": "ep_1"}})).await;
    let agent = "/api/agents/1/call_stats";
    let client = server.client();
    for page in ["/apis/get_cdr_stats.php", "/apis/get_live_calls.php"] {
        assert_eq!(post(&server, page, None).await.expect(200)["tenant_id"], "1");
        assert_eq!(
            post(&server, page, Some("key_wrong")).await.status.as_u16(),
            401,
            "a key that is shown is checked"
        );
    }
    assert_eq!(send(client.to("GET", agent)).await.expect(200)[0]["call_agent_id"], 1);
    let wrong = send(client.to("GET", agent).header("x-api-key", "key_wrong")).await;
    assert_eq!(wrong.status.as_u16(), 401);
    for path in ["/v1/calls", "/api/calls", "/v1/live", "/v1/keys"] {
        assert_eq!(send(client.to("GET", path)).await.status.as_u16(), 401, "{path}");
    }
    let unknown = send(client.to("GET", "/api/agents/7/call_stats")).await;
    assert_eq!(unknown.expect(404), json!({"detail": "Agent not found"}));
    let (mut socket, _) =
        tokio_tungstenite::connect_async(format!("ws://{}/", server.live)).await.expect("let in");
    let first = futures_util::StreamExt::next(&mut socket).await.expect("a message").expect("a message");
    assert_eq!(first.into_text().expect("text"), r#"{"event":"call_count","count":0}"#);
}

#[test]
fn an_opened_dialect_is_not_served_to_the_world_unless_told_so_in_as_many_words() {
    for (dialect, key) in [("tenant", "listen"), ("tenant", "live_listen"), ("agent", "listen")] {
        let config = format!("{key} = \"0.0.0.0:0\"\nsip = \"off\"\n[{dialect}]\naccess = \"open\"\n");
        let home = Home::new(&config);
        let file = home.path("check.toml");
        std::fs::write(&file, &config).expect("a file");
        let check = home.run(&["check-config", file.to_str().expect("a path")]);
        let errors = String::from_utf8_lossy(&check.stderr).into_owned();
        assert_eq!(check.status.code(), Some(1), "{errors}");
        assert!(errors.contains(&format!("{dialect}.access")), "{errors}");
        assert!(errors.contains("allow_open_access_on_public_address"), "{errors}");
        let other = if key == "listen" { "--live-listen" } else { "--listen" };
        let served = home.run(&["serve", other, "127.0.0.1:0"]);
        assert_eq!(served.status.code(), Some(1), "{}", String::from_utf8_lossy(&served.stderr));
        assert!(!home.data().join("first-key").exists(), "nothing was made");

        std::fs::write(&file, format!("allow_open_access_on_public_address = true\n{config}"))
            .expect("a file");
        let allowed = home.run(&["check-config", file.to_str().expect("a path")]);
        assert!(allowed.status.success(), "{}", String::from_utf8_lossy(&allowed.stderr));
        let loopback = config.replace("0.0.0.0", "127.0.0.1");
        std::fs::write(&file, loopback).expect("a file");
        assert!(home.run(&["check-config", file.to_str().expect("a path")]).status.success());
    }
}

#[tokio::test]
async fn tls_is_served_with_a_certificate_of_ones_own() {
    let mut home = Home::new("");
    let (cert, key) = certificate(&home, &["127.0.0.1".to_owned()]);
    home.config = format!("[tls]\ncert = {cert:?}\nkey = {key:?}\n");
    let server = home.start();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .expect("a client");
    let url = |path: &str| format!("https://{}{path}", server.http);
    let call = json!({"call_id": "call_1", "event_type": "call_answered"});
    let told = client.post(url("/v1/events")).header("x-api-key", &server.key).json(&call);
    send(told).await.expect(200);
    let (id, secret) = halves(&server.key);
    let found = client.get(url("/api/calls/call_1")).header("x-api-key", id).header("x-api-secret", secret);
    let found = send(found).await.expect(200);
    let log = found["data"]["public_log_url"].as_str().expect("a link").to_owned();
    assert!(log.starts_with(&url("/logs/")), "{log}");
    send(client.get(log)).await.expect(200);
    let plain = client.get(url("/healthz").replace("https", "http")).send().await;
    assert!(plain.is_err() || plain.is_ok_and(|answer| !answer.status().is_success()), "no plain text");

    let broken = Home::new("[tls]\ncert = \"/nowhere.pem\"\nkey = \"/nowhere.pem\"\n");
    let refused =
        broken.run(&["serve", "--listen", "127.0.0.1:0", "--live-listen", "127.0.0.1:0", "--sip", "off"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("tls"), "{refused:?}");
}

#[tokio::test]
async fn every_address_of_ipv6_is_every_address_of_ipv4_too() {
    let home = Home::new("");
    let server = home.start_listening("[::]:0", "[::]:0").expect("a server");
    for host in ["127.0.0.1", "[::1]"] {
        let http = reqwest::Client::new().get(format!("http://{host}:{}/healthz", server.http.port()));
        assert_eq!(send(http).await.status.as_u16(), 200, "{host}");
        let live = reqwest::Client::new().get(format!("http://{host}:{}/nowhere", server.live.port()));
        assert_eq!(send(live).await.status.as_u16(), 404, "{host}");
    }
}
