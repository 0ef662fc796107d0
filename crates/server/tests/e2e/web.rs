//! What every route does alike: pages of other origins, compression, HEAD and OPTIONS, parameters that it does not take.

use std::process::Command;

use serde_json::{Value, json};

use crate::{
    forms::{Dialect, assert_refused, operations},
    server::{Answer, Client, Home, Server, send},
};

const APP: &str = "https://app.example.com";

fn text<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().expect("text"))
}

/// The names in a list of a header, in lower case.
fn names(answer: &Answer, name: &str) -> Vec<String> {
    let list = text(answer, name).unwrap_or_default();
    list.split(',').map(|one| one.trim().to_ascii_lowercase()).filter(|one| !one.is_empty()).collect()
}

/// A path of a documented route with something in its placeholders.
fn filled(path: &str) -> String {
    path.replace(['{', '}'], "")
}

async fn preflight(client: &Client, origin: &str, path: &str) -> Answer {
    let request = client.to("OPTIONS", path).header("origin", origin);
    let request = request.header("access-control-request-method", "DELETE");
    send(request.header("access-control-request-headers", "prefer,x-api-key,x-api-secret")).await
}

#[tokio::test]
async fn pages_of_allowed_origins_read_answers() {
    let home = Home::new("[cors]\norigins = [\"https://app.example.com\", \"http://localhost:3000\"]\n");
    let server = home.start();
    let client = server.client();
    for path in ["/v1/calls/call_1", "/api/calls", "/api/agents/1/call_stats", "/apis/get_live_calls.php"] {
        let allowed = preflight(&client, APP, path).await;
        assert_eq!((allowed.status.as_u16(), allowed.text.as_str()), (204, ""), "{path}");
        assert!(names(&allowed, "allow").contains(&"options".to_owned()), "{path}: {:?}", allowed.headers);
        assert_eq!(text(&allowed, "access-control-allow-origin"), Some(APP), "{path}");
        assert!(names(&allowed, "access-control-allow-methods").contains(&"delete".to_owned()), "{path}");
        let headers = names(&allowed, "access-control-allow-headers");
        for name in
            ["authorization", "content-type", "prefer", "x-api-key", "x-api-secret", "x-organization-id"]
        {
            assert!(headers.iter().any(|one| one == name), "{path}: {headers:?}");
        }
        assert_eq!(text(&allowed, "access-control-max-age"), Some("7200"), "{path}");
        assert!(allowed.headers.contains_key("x-request-id"), "{path}");

        // What is refused can be read too.
        let refused = send(client.to("GET", path).header("origin", "http://localhost:3000")).await;
        assert!(refused.status.is_client_error(), "{path}");
        assert_eq!(text(&refused, "access-control-allow-origin"), Some("http://localhost:3000"), "{path}");
        assert!(names(&refused, "vary").contains(&"origin".to_owned()), "{path}");
        let exposed = names(&refused, "access-control-expose-headers");
        for name in ["x-request-id", "x-ignored-parameters", "retry-after", "preference-applied"] {
            assert!(exposed.iter().any(|one| one == name), "{path}: {exposed:?}");
        }
        assert!(!refused.headers.contains_key("access-control-allow-credentials"), "{path}");

        for stranger in ["https://evil.example", "https://app.example.com.evil.example", "null"] {
            for answer in [
                preflight(&client, stranger, path).await,
                send(client.to("GET", path).header("origin", stranger)).await,
            ] {
                assert_eq!(text(&answer, "access-control-allow-origin"), None, "{stranger} {path}");
            }
        }
    }
    let nowhere = send(client.to("GET", "/nowhere").header("origin", APP)).await;
    assert_eq!((nowhere.status.as_u16(), text(&nowhere, "access-control-allow-origin")), (404, Some(APP)));
}

#[tokio::test]
async fn other_origins_read_nothing_unless_they_are_configured() {
    let home = Home::new("");
    let server = home.start();
    let client = server.client();
    let answered = preflight(&client, APP, "/v1/calls").await;
    assert_eq!((answered.status.as_u16(), text(&answered, "allow")), (204, Some("GET, HEAD, OPTIONS")));
    for answer in [answered, send(client.to("GET", "/v1/calls").header("origin", APP)).await] {
        assert!(
            answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")),
            "{:?}",
            answer.headers
        );
    }
    let every = Home::new("[cors]\norigins = [\"*\"]\n");
    let server = every.start();
    let client = server.client();
    for answer in [
        preflight(&client, APP, "/v1/calls").await,
        send(client.to("GET", "/v1/calls").header("origin", APP)).await,
        send(client.to("GET", "/v1/calls")).await,
    ] {
        assert_eq!(text(&answer, "access-control-allow-origin"), Some("*"));
    }
    let broken = Home::new("[cors]\norigins = [\"https://app.example.com/\"]\n");
    let refused = broken.try_start().err().expect("a configuration that is refused");
    assert!(
        refused.contains("cors.origins") && refused.contains(r#""https://app.example.com""#),
        "{refused}"
    );
}

async fn with_calls(home: &Home) -> Server<'_> {
    let server = home.start();
    let told: Vec<Value> = (0..120)
        .map(|number| {
            let data = json!({"duration": 5, "endpoint_id": "ep_1"});
            json!({"call_id": format!("call_{number}"), "event_type": "call_completed", "event_data": data})
        })
        .collect();
    server.tell(&json!(told)).await;
    server
}

/// A GET as curl does it, which undoes the coding: the headers and the body.
fn curl(server: &Server<'_>, path: &str, coding: &str) -> (String, Vec<u8>) {
    let (id, secret) = crate::forms::halves(&server.key);
    let key = if Dialect::of(path) == Dialect::Organization { id } else { &server.key };
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "--max-time",
            "30",
            "--compressed",
            "--dump-header",
            "-",
        ])
        .args(["--header", &format!("accept-encoding: {coding}"), "--header", &format!("x-api-key: {key}")])
        .args(["--header", &format!("x-api-secret: {secret}"), &server.url(path)])
        .output()
        .expect("curl runs");
    assert!(output.status.success(), "{path} {coding}: {}", String::from_utf8_lossy(&output.stderr));
    let end = output.stdout.windows(4).position(|window| window == b"\r\n\r\n").expect("the end of the head");
    let head = String::from_utf8_lossy(&output.stdout[..end]).to_ascii_lowercase();
    (head, output.stdout[end + 4..].to_vec())
}

#[tokio::test]
async fn long_answers_are_compressed_for_clients_that_ask() {
    let home = Home::new("");
    let server = with_calls(&home).await;
    for path in [
        "/v1/calls?limit=100&metadata.x=",
        "/v1/calls?limit=100",
        "/api/calls?limit=100",
        "/api/agents/1/call_stats",
        "/v1/calls/call_7/explain",
        "/openapi.json",
        "/docs/swagger-ui-bundle.js",
    ] {
        let (head, plain) = curl(&server, path, "identity");
        if plain.len() < 1024 {
            assert!(!head.contains("content-encoding"), "{path}: {head}");
            continue;
        }
        assert!(
            head.contains("vary: accept-encoding") && !head.contains("content-encoding"),
            "{path}: {head}"
        );
        for coding in ["br", "gzip"] {
            let (head, body) = curl(&server, path, coding);
            assert!(head.contains(&format!("content-encoding: {coding}")), "{path}: {head}");
            assert!(
                head.contains("vary: accept-encoding") && !head.contains("content-length"),
                "{path}: {head}"
            );
            assert!(body == plain, "{path} differs when it comes by {coding}");
        }
    }
    for path in ["/healthz", "/v1/calls/stats", "/favicon.ico"] {
        let (head, _) = curl(&server, path, "br, gzip");
        assert!(!head.contains("content-encoding"), "{path}: {head}");
    }
    let made = server.request(reqwest::Method::POST, "/v1/keys").header("x-api-key", &server.key);
    let made = send(made.header("accept-encoding", "br, gzip").json(&json!({}))).await;
    made.expect(201);
    assert_eq!((text(&made, "cache-control"), text(&made, "content-encoding")), (Some("no-store"), None));
}

/// Answers that name the present: the next one may be longer or shorter.
const MOVING: [&str; 6] = ["/metrics", "/readyz", "/v1/audit", "/v1/calls/trends", "/v1/keys", "/v1/stats"];

#[tokio::test]
async fn a_head_has_the_headers_of_a_get() {
    let home = Home::new("");
    let server = with_calls(&home).await;
    let client = server.client();
    let documented = operations(&client).await;
    let mut paths: Vec<String> =
        documented.iter().filter_map(|(route, _)| route.strip_prefix("GET ")).map(filled).collect();
    let found = ["/v1/calls/call_7", "/v1/calls/call_7/events", "/v1/endpoints/ep_1", "/api/calls/call_7"];
    let pages = [
        "/",
        "/docs",
        "/docs/",
        "/openapi.json",
        "/favicon.ico",
        "/ws/live",
        "/nowhere",
        "/api/agents/1/call_stats",
    ];
    paths.extend(found.into_iter().chain(pages).map(str::to_owned));
    for path in &paths {
        for coding in ["identity", "gzip"] {
            let request = |method| {
                let request = Dialect::of(path).with_key(client.to(method, path), &server.key);
                request.header("accept-encoding", coding)
            };
            let shown = |answer: &Answer| {
                let own = ["date", "x-request-id"];
                let mut headers: Vec<(String, String)> = answer
                    .headers
                    .iter()
                    .filter(|(name, _)| !own.contains(&name.as_str()))
                    .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
                    .map(|(name, value)| match name.as_str() {
                        "content-length" if MOVING.contains(&path.as_str()) => (name, String::new()),
                        _ => (name, value),
                    })
                    // A body without a length is sent in chunks; one that is not sent is not.
                    .filter(|(name, _)| name != "transfer-encoding")
                    .collect();
                headers.sort();
                headers
            };
            let head = send(request("HEAD")).await;
            let got = request("GET").send().await.expect("an answer");
            let (status, headers) = (got.status(), got.headers().clone());
            let got = Answer { status, headers, text: String::new() };
            assert_eq!((head.status, shown(&head)), (got.status, shown(&got)), "{path} {coding}");
            assert_eq!(head.text, "", "{path}");
        }
    }
}

#[tokio::test]
async fn options_names_the_methods_of_every_route() {
    let home = Home::new("");
    let server = home.start();
    let client = server.client();
    let documented = operations(&client).await;
    for path in documented.iter().map(|(route, _)| route.split_once(' ').expect("a route").1) {
        let known = documented.iter().filter_map(|(route, _)| route.strip_suffix(path)?.strip_suffix(' '));
        let mut known: Vec<String> = known.map(str::to_ascii_lowercase).collect();
        if known.contains(&"get".to_owned()) {
            known.push("head".to_owned());
        }
        known.push("options".to_owned());
        let answer = send(client.to("OPTIONS", &filled(path))).await;
        let mut said = names(&answer, "allow");
        said.sort();
        known.sort();
        assert_eq!((answer.status.as_u16(), answer.text.as_str(), said), (204, "", known), "{path}");
    }
    for page in ["/", "/docs/", "/openapi.json", "/favicon.ico", "/ws/live"] {
        let answer = send(client.to("OPTIONS", page)).await;
        assert_eq!(
            (answer.status.as_u16(), text(&answer, "allow")),
            (204, Some("GET, HEAD, OPTIONS")),
            "{page}"
        );
    }
    let nowhere = send(client.to("OPTIONS", "/api/nowhere")).await;
    assert_refused("nowhere", "/api/nowhere", &nowhere, 404);
}

#[tokio::test]
async fn parameters_that_a_route_does_not_take_are_named() {
    let home = Home::new("");
    let server = home.start();
    let client = server.client();
    for (route, operation) in operations(&client).await {
        let (method, path) = route.split_once(' ').expect("a route");
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let queried = parameters.iter().filter(|parameter| parameter["in"] == "query");
        let known: String =
            queried.filter_map(|one| one["name"].as_str()).map(|name| format!("&{name}=1")).collect();
        let path = format!("{}?un%20known=1&bogus{known}&bogus=2", filled(path));
        let request = || Dialect::of(&path).with_key(client.to(method, &path), &server.key);
        for answer in [send(request()).await, send(client.to(method, &path)).await] {
            assert_eq!(
                text(&answer, "x-ignored-parameters"),
                Some("un+known, bogus"),
                "{route}: {}",
                answer.text
            );
            assert!(!answer.headers.contains_key("preference-applied"), "{route}");
        }
        let strict = send(request().header("prefer", "return=minimal, handling=strict")).await;
        assert_refused(&route, &path, &strict, 400);
        assert!(
            strict.text.contains("un known is not a parameter of this route"),
            "{route}: {}",
            strict.text
        );
        assert_eq!(text(&strict, "preference-applied"), Some("handling=strict"), "{route}");
        // Nothing was ignored.
        assert_eq!(text(&strict, "x-ignored-parameters"), None, "{route}");
    }
    let fine = server.request(reqwest::Method::GET, "/v1/calls?limit=5&metadata.campaign=x");
    let fine = send(fine.header("x-api-key", &server.key).header("prefer", "handling=strict")).await;
    fine.expect(200);
    assert_eq!(text(&fine, "preference-applied"), Some("handling=strict"));
    assert_eq!(text(&fine, "x-ignored-parameters"), None);
    for page in ["/openapi.json", "/docs", "/docs/", "/docs/index.css", "/favicon.ico"] {
        let strict = |query: &str| {
            send(client.to("GET", &format!("{page}{query}")).header("prefer", "handling=strict"))
        };
        let refused = strict("?x=1").await;
        assert_refused(page, page, &refused, 400);
        assert!(refused.text.contains("which takes no parameters"), "{page}: {}", refused.text);
        let fine = strict("").await;
        assert!(fine.status.as_u16() < 400, "{page}: {}", fine.status);
        assert_eq!(text(&fine, "preference-applied"), Some("handling=strict"), "{page}");
        let lenient = send(client.to("GET", &format!("{page}?x=1"))).await;
        assert_eq!(text(&lenient, "x-ignored-parameters"), Some("x"), "{page}");
    }
    for path in ["/nowhere?x=1", "/?x=1", "/api/nowhere?x=1", "/ws/live?x=1"] {
        assert_eq!(text(&server.get(path).await, "x-ignored-parameters"), Some("x"), "{path}");
    }
    let live = format!("http://{}/?api_key=none&x=1", server.live);
    let live = send(reqwest::Client::new().get(live)).await;
    assert_eq!((live.status.as_u16(), text(&live, "x-ignored-parameters")), (401, Some("x")));
}

#[tokio::test]
async fn browsers_find_an_icon() {
    let home = Home::new("");
    let server = home.start();
    let icon = server.client().to("GET", "/favicon.ico").send().await.expect("an answer");
    assert_eq!(
        (icon.status().as_u16(), icon.headers()["content-type"].as_bytes()),
        (200, b"image/x-icon".as_slice())
    );
    assert!(icon.bytes().await.expect("a body").starts_with(&[0, 0, 1, 0]));
}
