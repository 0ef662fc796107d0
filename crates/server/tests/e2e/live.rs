//! The live count, pushed and asked for: one number, whoever asks.

use std::process::{Command, Stdio};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderValue, protocol::CloseFrame},
};

use crate::server::{Home, PATIENCE, Server, send, wait_for};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How a client shows its key.
#[derive(Clone, Copy)]
enum By<'a> {
    Header(&'a str),
    Bearer(&'a str),
    Query(&'a str),
    Subprotocol(&'a str),
    Nothing,
}

/// A client of the WebSocket.
struct Watcher(Socket);

impl Watcher {
    async fn try_connect(url: &str, by: By<'_>) -> Result<Self, tungstenite::Error> {
        let url = match by {
            By::Query(key) => format!("{url}?api_key={key}"),
            _ => url.to_owned(),
        };
        let mut request = url.into_client_request()?;
        let mut set = |name: &'static str, value: String| {
            request.headers_mut().insert(name, HeaderValue::from_str(&value).expect("a header"));
        };
        match by {
            By::Header(key) => set("x-api-key", key.to_owned()),
            By::Bearer(key) => set("authorization", format!("Bearer {key}")),
            By::Subprotocol(key) => set("sec-websocket-protocol", format!("chat, api-key.{key}")),
            By::Query(_) | By::Nothing => {}
        }
        let (socket, response) = connect_async(request).await?;
        if let By::Subprotocol(key) = by {
            let chosen = response.headers().get("sec-websocket-protocol").expect("a subprotocol");
            assert_eq!(chosen, &format!("api-key.{key}"));
        }
        Ok(Self(socket))
    }

    /// On the live port.
    async fn connect(server: &Server<'_>, by: By<'_>) -> Self {
        let url = format!("ws://{}/", server.live);
        Self::try_connect(&url, by).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The next messages, which must be these.
    async fn hears(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.next().await, Message::text(*expected));
        }
    }

    async fn next(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await;
            match next.expect("a message in time").expect("an open connection").expect("a message") {
                Message::Ping(_) | Message::Pong(_) => {}
                other => return other,
            }
        }
    }

    async fn closes(&mut self) -> CloseFrame {
        match self.next().await {
            Message::Close(Some(frame)) => frame,
            other => panic!("{other:?}"),
        }
    }
}

/// The count as each resource gives it, which must be the same.
async fn count(server: &Server<'_>, tenant: &str, key: &str) -> u64 {
    let asked = server.request(reqwest::Method::POST, "/apis/get_live_calls.php").header("x-api-key", key);
    let form = asked.header("content-type", "application/x-www-form-urlencoded");
    let answer = send(form.body(format!("tenant_id={tenant}"))).await;
    let body = answer.expect(200);
    let live = body["live_calls"].as_u64().expect("a count");
    assert_eq!(answer.text, format!(r#"{{"tenant_id":"{tenant}","live_calls":{live}}}"#));
    let listed = server.request(reqwest::Method::GET, "/v1/live").header("x-api-key", key);
    let listed = send(listed).await.expect(200);
    let by_status = listed["by_status"].as_object().expect("by status");
    let sum: u64 = by_status.values().filter_map(Value::as_u64).sum();
    let calls = listed["calls"].as_array().expect("calls").len() as u64;
    assert_eq!((listed["live_calls"].as_u64(), sum, calls), (Some(live), live, live), "{listed}");
    live
}

fn event(call: &str, kind: &str, second: u32, data: &Value) -> Value {
    let at = format!("2026-01-01T10:00:{second:02}Z");
    json!({ "call_id": call, "event_type": kind, "created_at": at, "event_data": data })
}

/// Tells one event with a key.
async fn tell(server: &Server<'_>, key: &str, call: &str, kind: &str, second: u32, data: Value) {
    let request = server.request(reqwest::Method::POST, "/v1/events").header("x-api-key", key);
    let receipt = send(request.json(&event(call, kind, second, &data))).await.expect(200);
    assert_eq!(receipt["accepted"], 1, "{receipt}");
}

/// A key of organization 2, which is made.
fn second_tenant(home: &Home) -> (String, String) {
    home.run_json(&["organizations", "create", "--id", "org-2", "--number", "2"]);
    let scopes = "calls:read,events:write";
    let key = home.run_json(&["keys", "create", "--organization", "org-2", "--scopes", scopes]);
    let text = |name: &str| key[name].as_str().expect(name).to_owned();
    (text("key"), text("key_id"))
}

const ZERO: &str = r#"{"event":"call_count","count":0}"#;
const ONE: &str = r#"{"event":"call_count","count":1}"#;
const TWO: &str = r#"{"event":"call_count","count":2}"#;
const ZERO_OF_1: &str = r#"{"event":"call_count","count":0,"tenant_id":"1"}"#;
const ONE_OF_1: &str = r#"{"event":"call_count","count":1,"tenant_id":"1"}"#;
const ZERO_OF_2: &str = r#"{"event":"call_count","count":0,"tenant_id":"2"}"#;
const ONE_OF_2: &str = r#"{"event":"call_count","count":1,"tenant_id":"2"}"#;

#[tokio::test]
async fn each_key_is_told_its_counts_in_order_and_every_resource_agrees() {
    let home = Home::new("");
    let server = home.start();
    let (second, _) = second_tenant(&home);
    let first = server.key.clone();
    let mut all = Watcher::connect(&server, By::Header(&first)).await;
    let mut own = Watcher::connect(&server, By::Query(&second)).await;
    all.hears(&[ZERO]).await;
    own.hears(&[ZERO]).await;
    // Queued is not live.
    tell(&server, &first, "a", "call_queued", 0, json!({})).await;
    assert_eq!(count(&server, "1", &first).await, 0);
    tell(&server, &first, "a", "call_initiated", 1, json!({})).await;
    all.hears(&[ONE_OF_1, ONE]).await;
    assert_eq!(count(&server, "1", &first).await, 1);
    assert_eq!(count(&server, "2", &second).await, 0);
    tell(&server, &second, "a", "call_ringing", 2, json!({})).await;
    all.hears(&[ONE_OF_2, TWO]).await;
    own.hears(&[ONE_OF_2, ONE]).await;
    assert_eq!(count(&server, "2", &second).await, 1);

    // Who comes now is told how things stand: the system-wide count, then each tenant that has calls.
    let mut late = Watcher::connect(&server, By::Bearer(&first)).await;
    late.hears(&[TWO, ONE_OF_1, ONE_OF_2]).await;
    let mut late_own = Watcher::connect(&server, By::Subprotocol(&second)).await;
    late_own.hears(&[ONE, ONE_OF_2]).await;

    // An answer changes no count; the next message is of the end.
    tell(&server, &first, "a", "call_answered", 3, json!({})).await;
    tell(&server, &first, "a", "call_completed", 4, json!({})).await;
    for watcher in [&mut all, &mut late] {
        watcher.hears(&[ZERO_OF_1, ONE]).await;
    }
    assert_eq!(count(&server, "1", &first).await, 0);

    // Given up, and alive after all.
    tell(&server, &second, "a", "call_failed", 5, json!({ "inferred": true })).await;
    all.hears(&[ZERO_OF_2, ZERO]).await;
    assert_eq!(count(&server, "2", &second).await, 0);
    tell(&server, &second, "a", "call_seen", 6, json!({})).await;
    all.hears(&[ONE_OF_2, ONE]).await;
    for watcher in [&mut own, &mut late_own] {
        watcher.hears(&[ZERO_OF_2, ZERO, ONE_OF_2, ONE]).await;
    }
    assert_eq!(count(&server, "2", &second).await, 1);
}

#[tokio::test]
async fn the_socket_of_the_main_port_is_the_same_and_a_restart_counts_the_same() {
    let home = Home::new("");
    let server = home.start();
    let (second, _) = second_tenant(&home);
    let first = server.key.clone();
    let main = format!("ws://{}/ws/live", server.http);
    let mut watcher = Watcher::try_connect(&main, By::Header(&first)).await.expect("a connection");
    watcher.hears(&[ZERO]).await;
    tell(&server, &second, "b", "call_answered", 1, json!({})).await;
    watcher.hears(&[ONE_OF_2, ONE]).await;
    tell(&server, &first, "queued", "call_queued", 1, json!({})).await;
    tell(&server, &first, "given-up", "call_ringing", 1, json!({})).await;
    watcher.hears(&[ONE_OF_1, TWO]).await;
    tell(&server, &first, "given-up", "call_failed", 2, json!({ "inferred": true })).await;
    watcher.hears(&[ZERO_OF_1, ONE]).await;
    server.kill();

    let server = home.start();
    let mut watcher = Watcher::connect(&server, By::Header(&first)).await;
    watcher.hears(&[ONE, ONE_OF_2]).await;
    assert_eq!((count(&server, "1", &first).await, count(&server, "2", &second).await), (0, 1));
    // What was given up before the restart still comes back after it.
    tell(&server, &first, "given-up", "call_answered", 3, json!({})).await;
    watcher.hears(&[ONE_OF_1, TWO]).await;
    let main = format!("ws://{}/ws/live", server.http);
    let mut watcher = Watcher::try_connect(&main, By::Query(&first)).await.expect("a connection");
    watcher.hears(&[TWO, ONE_OF_1, ONE_OF_2]).await;
}

#[tokio::test]
async fn a_key_that_is_revoked_is_cut_and_no_key_or_a_wrong_one_is_not_let_in() {
    let home = Home::new("");
    let server = home.start();
    let (second, id) = second_tenant(&home);
    let mut cut = Watcher::connect(&server, By::Header(&second)).await;
    let mut stays = Watcher::connect(&server, By::Header(&server.key)).await;
    cut.hears(&[ZERO]).await;
    stays.hears(&[ZERO]).await;
    home.run_json(&["keys", "revoke", &id]);
    let frame = cut.closes().await;
    assert_eq!(u16::from(frame.code), 1008);
    let wrong = format!("{}x", server.key);
    for by in
        [By::Header(&second), By::Subprotocol(&second), By::Query(&second), By::Bearer(&wrong), By::Nothing]
    {
        for url in [format!("ws://{}/", server.live), format!("ws://{}/ws/live", server.http)] {
            match Watcher::try_connect(&url, by).await.map(|_| ()) {
                Err(tungstenite::Error::Http(response)) => assert_eq!(response.status().as_u16(), 401),
                other => panic!("{other:?}"),
            }
        }
    }
    let scopes = ["--scopes", "events:write"];
    let writer = home.run_json(&[&["keys", "create", "--organization", "org-2"], &scopes[..]].concat());
    let by = By::Header(writer["key"].as_str().expect("a key"));
    match Watcher::try_connect(&format!("ws://{}/", server.live), by).await.map(|_| ()) {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status().as_u16(), 403),
        other => panic!("{other:?}"),
    }
    tell(&server, &server.key, "a", "call_answered", 1, json!({})).await;
    stays.hears(&[ONE_OF_1, ONE]).await;
}

#[test]
fn the_server_opens_as_many_files_as_it_may_because_each_watcher_is_one() {
    let home = Home::new("");
    let ready = home.path("ready.json");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--live-listen", "127.0.0.1:0", "--sip", "off"];
    let program = home.command(&serve);
    // The usual soft limit is too low; the shell sets one, and becomes the program.
    let mut server = Command::new("sh")
        .args(["-c", r#"ulimit -Sn 512 && exec "$0" "$@""#])
        .arg(program.get_program())
        .args(program.get_args())
        .arg("--ready-file")
        .arg(&ready)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    wait_for("the ready file", || std::fs::read_to_string(&ready).ok());
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).expect("its limits");
    server.kill().expect("the server is killed");
    server.wait().expect("the server is gone");
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a limit");
    let [soft, hard, _] = files.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{files}") };
    assert_eq!(soft, hard);
}
