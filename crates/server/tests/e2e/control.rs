//! Hang-up orders to a control URL: signed, sent once, believed only as far as the source's own word goes.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    forms::assert_refused,
    server::{Answer, Home, Server},
};

const CONTROL: &str = "[native]\nallow_private_control_urls = true\n";

/// How the one who takes orders answers.
#[derive(Clone)]
enum Manner {
    Status(u16),
    Redirect(String),
    /// Not before the manner changes.
    Wait,
}

/// Somebody who takes orders, and notes them.
#[derive(Clone)]
struct Switch {
    orders: Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>,
    manner: Arc<watch::Sender<Manner>>,
    address: SocketAddr,
}

impl Switch {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let manner = Arc::new(watch::Sender::new(Manner::Status(200)));
        let switch = Self { orders: Arc::default(), manner, address };
        let router = Router::new().fallback(take).with_state(switch.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        switch
    }

    fn url(&self) -> String {
        format!("http://{}/hang-up?token=7", self.address)
    }

    fn answer(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    fn orders(&self) -> Vec<(String, HeaderMap, Bytes)> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn take(State(switch): State<Switch>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    switch.orders.lock().unwrap_or_else(PoisonError::into_inner).push((uri.to_string(), headers, body));
    let mut manner = switch.manner.subscribe();
    let manner = manner.wait_for(|manner| !matches!(manner, Manner::Wait)).await.expect("a manner").clone();
    match manner {
        Manner::Status(status) => StatusCode::from_u16(status).expect("a status").into_response(),
        Manner::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response(),
        Manner::Wait => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn hang_up(server: &Server<'_>, call: &str) -> Answer {
    server.post(&format!("/v1/calls/{call}/hangup"), &json!({})).await
}

fn assert_code(answer: &Answer, status: u16, code: &str) {
    assert_refused(code, "/v1/calls", answer, status);
    assert_eq!(answer.json()["code"], code, "{}", answer.text);
}

async fn begin(server: &Server<'_>, call: &str) {
    server
        .tell(&json!([
            {"call_id": call, "event_type": "call_initiated"},
            {"call_id": call, "event_type": "call_answered"},
        ]))
        .await;
}

async fn put_url(server: &Server<'_>, body: &Value) -> Answer {
    let put = server.request(reqwest::Method::PUT, "/v1/control-url");
    crate::server::send(put.header("x-api-key", &server.key).json(body)).await
}

#[tokio::test]
async fn a_hang_up_is_one_signed_order_however_often_it_is_asked_for() {
    let home = Home::new(CONTROL);
    let server = home.start();
    let switch = Switch::start().await;
    begin(&server, "call_1").await;
    assert_code(&hang_up(&server, "call_1").await, 409, "NOT_CONTROLLABLE");
    assert_code(&server.get("/v1/control-url").await, 404, "CONTROL_URL_NOT_FOUND");
    let set = put_url(&server, &json!({"url": switch.url()})).await.expect(200);
    let secret = set["secret"].as_str().expect("a secret").to_owned();
    let shown = server.get("/v1/control-url").await.expect(200);
    assert_eq!(shown, json!({"url": switch.url()}), "the secret is shown once");

    switch.answer(Manner::Wait);
    let (first, second, ()) = tokio::join!(hang_up(&server, "call_1"), hang_up(&server, "call_1"), async {
        while switch.orders().is_empty() {
            tokio::task::yield_now().await;
        }
        switch.answer(Manner::Status(204));
    });
    for answer in [first, second, hang_up(&server, "call_1").await] {
        answer.expect(200);
        assert_eq!(answer.text, r#"{"success":true,"message":"Call hangup initiated"}"#);
    }
    let orders = switch.orders();
    let [(path, headers, body)] = orders.as_slice() else { panic!("{orders:?}") };
    assert_eq!(path, "/hang-up?token=7");
    assert_eq!(headers["content-type"], "application/json");
    let webhook = standardwebhooks::Webhook::new(&secret).expect("a secret");
    webhook.verify(body, headers).expect("a signature");
    let order: Value = serde_json::from_slice(body).expect("JSON");
    assert_eq!(order["type"], "call.hangup");
    assert_eq!(order["data"], json!({"call_id": "call_1"}));
    let live = server.get("/v1/calls/call_1").await.expect(200);
    assert_eq!(live["status"], "in_progress", "an order changes no call");

    let end =
        json!({"call_id": "call_1", "event_type": "call_completed", "event_data": {"hangup_source": "api"}});
    server.tell(&end).await;
    assert_eq!(server.get("/v1/calls/call_1").await.json()["status"], "completed");
    assert_code(&hang_up(&server, "call_1").await, 409, "CALL_NOT_ACTIVE");
    assert_code(&hang_up(&server, "call_unknown").await, 404, "CALL_NOT_FOUND");
    assert_eq!(switch.orders().len(), 1);

    let own = format!("whsec_{}", data_encoding::BASE64.encode(&[7; 32]));
    let set = put_url(&server, &json!({"url": switch.url(), "secret": own})).await.expect(200);
    assert_eq!(set["secret"], json!(own));
    begin(&server, "call_2").await;
    hang_up(&server, "call_2").await.expect(200);
    let orders = switch.orders();
    let (_, headers, body) = orders.last().expect("an order");
    standardwebhooks::Webhook::new(&own).expect("a secret").verify(body, headers).expect("a signature");
}

#[tokio::test]
async fn a_call_that_its_source_calls_gone_is_ended_by_reconciliation() {
    let home = Home::new(CONTROL);
    let server = home.start();
    let switch = Switch::start().await;
    put_url(&server, &json!({"url": switch.url()})).await.expect(200);
    switch.answer(Manner::Status(410));
    begin(&server, "call_1").await;
    assert_eq!(server.get("/v1/live").await.expect(200)["live_calls"], 1);
    assert_code(&hang_up(&server, "call_1").await, 409, "CALL_NOT_ACTIVE");
    let call = server.get("/v1/calls/call_1").await.expect(200);
    assert_eq!((&call["status"], &call["hangup_cause"]), (&json!("completed"), &json!("normal_clearing")));
    assert_eq!(server.get("/v1/live").await.expect(200)["live_calls"], 0);
    let events = server.get("/v1/calls/call_1/events?types=call_completed").await.expect(200);
    assert_eq!(events["events"][0]["event_data"]["inferred"], true);
    assert_code(&hang_up(&server, "call_1").await, 409, "CALL_NOT_ACTIVE");
    assert_eq!(switch.orders().len(), 1, "who is over is asked no more");

    let alive = json!({"call_id": "call_1", "event_type": "call_held"});
    server.tell(&alive).await;
    assert_eq!(server.get("/v1/calls/call_1").await.json()["status"], "in_progress", "it proves alive");

    // A source whose clock runs ahead of this one.
    let ahead =
        jiff::Timestamp::from_millisecond(millis_of(&call["created_at"]) + 3_600_000).expect("a time");
    let ahead = json!({"call_id": "call_2", "event_type": "call_answered", "created_at": ahead.to_string()});
    server.tell(&ahead).await;
    assert_code(&hang_up(&server, "call_2").await, 409, "CALL_NOT_ACTIVE");
    assert_eq!(server.get("/v1/calls/call_2").await.json()["status"], "completed");
}

fn millis_of(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().expect("a time").parse().expect("a time");
    time.as_millisecond()
}

#[tokio::test]
async fn an_order_that_does_not_get_through_is_said_to_and_the_next_one_is_sent_anew() {
    let home = Home::new(CONTROL);
    let server = home.start();
    let switch = Switch::start().await;
    put_url(&server, &json!({"url": switch.url()})).await.expect(200);
    begin(&server, "call_1").await;
    let unreachable = |answer: &Answer, repeating_helps: bool| {
        assert_code(answer, 503, "SOURCE_UNREACHABLE");
        let wait = answer.headers.get("retry-after").map(|wait| wait.to_str().expect("text"));
        assert_eq!(wait, repeating_helps.then_some("1"), "{}", answer.text);
        assert!(!answer.text.contains("token"), "the URL may hold a secret: {}", answer.text);
    };
    let elsewhere = format!("http://{}/elsewhere", switch.address);
    let refusals = [500, 503, 400, 401, 404, 302].map(Manner::Status);
    for (sent, manner) in refusals.into_iter().chain([Manner::Redirect(elsewhere)]).enumerate() {
        let repeating_helps = matches!(manner, Manner::Status(500 | 503));
        switch.answer(manner);
        unreachable(&hang_up(&server, "call_1").await, repeating_helps);
        assert_eq!(switch.orders().len(), sent + 1);
    }
    assert!(switch.orders().iter().all(|(path, ..)| path.starts_with("/hang-up")), "no redirect is followed");

    switch.answer(Manner::Wait);
    unreachable(&hang_up(&server, "call_1").await, true);
    assert_eq!(server.get("/v1/calls/call_1").await.json()["status"], "in_progress");
    let before = switch.orders().len();
    switch.answer(Manner::Status(200));
    hang_up(&server, "call_1").await.expect(200);
    hang_up(&server, "call_1").await.expect(200);
    assert_eq!(switch.orders().len(), before + 1);

    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let closed = format!("http://{}/?token=7", closed.expect("a port"));
    put_url(&server, &json!({"url": closed})).await.expect(200);
    begin(&server, "call_2").await;
    unreachable(&hang_up(&server, "call_2").await, true);
    put_url(&server, &json!({"url": switch.url()})).await.expect(200);
    hang_up(&server, "call_2").await.expect(200);
}

#[tokio::test]
async fn an_order_whose_asker_went_away_is_carried_out_all_the_same() {
    let home = Home::new(CONTROL);
    let server = home.start();
    let switch = Switch::start().await;
    put_url(&server, &json!({"url": switch.url()})).await.expect(200);
    begin(&server, "call_1").await;
    switch.answer(Manner::Wait);
    tokio::select! {
        _ = hang_up(&server, "call_1") => panic!("it waits"),
        () = async { while switch.orders().is_empty() { tokio::task::yield_now().await } } => {}
    }
    switch.answer(Manner::Status(200));
    hang_up(&server, "call_1").await.expect(200);
    assert_eq!(switch.orders().len(), 1);
}

#[tokio::test]
async fn no_order_goes_to_an_address_that_only_the_server_can_reach() {
    let home = Home::new("");
    let server = home.start();
    let switch = Switch::start().await;
    let port = switch.address.port();
    let admin = home.run_json(&["keys", "create", "--organization", "org_default", "--scopes", "admin"]);
    for url in [
        switch.url(),
        format!("https://127.0.0.1:{port}/"),
        format!("https://0x7f.1:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("https://[::1]:{port}/"),
    ] {
        let put = server.request(reqwest::Method::PUT, "/v1/control-url").json(&json!({"url": url}));
        let answer =
            crate::server::send(put.header("x-api-key", admin["key"].as_str().expect("a key"))).await;
        assert_code(&answer, 400, "INVALID_PARAMETER");
        assert!(answer.text.contains("scope server"), "{}", answer.text);
    }
    for url in [
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://10.0.0.1/".to_owned(),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://192.168.1.1/".to_owned(),
        "https://0.0.0.0/".to_owned(),
        "http://example.com/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "https:///".to_owned(),
        "hang up".to_owned(),
    ] {
        let answer = put_url(&server, &json!({"url": url})).await;
        assert_code(&answer, 400, "INVALID_PARAMETER");
    }
    assert_code(&server.get("/v1/control-url").await, 404, "CONTROL_URL_NOT_FOUND");
    // The same when it is set and when it is used: one of an earlier version may be kept.
    for host in ["localhost", "localhost.", "pbx.localhost"] {
        let url = format!("https://{host}:{port}/");
        assert_code(&put_url(&server, &json!({ "url": url })).await, 400, "INVALID_PARAMETER");
        put_url(&server, &json!({ "url": "https://example.com/" })).await.expect(200);
        let store = rusqlite::Connection::open(home.data().join("pegcount.db")).expect("the store");
        store.execute("UPDATE control_urls SET url = ?1", [url]).expect("it is changed");
        begin(&server, host).await;
        assert_code(&hang_up(&server, host).await, 503, "SOURCE_UNREACHABLE");
    }
    assert!(switch.orders().is_empty());
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(log.contains("a call could not be hung up") && log.contains("private address"), "{log}");
}
