//! SIGTERM and SIGHUP: requests finish, connections are told, nothing that was acknowledged is lost.

use std::{
    net::{SocketAddr, TcpStream as StdStream},
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::server::{Home, PATIENCE, Server, signal, wait_for};

/// A request whose head was sent and whose body the server has begun to read.
struct Begun {
    stream: TcpStream,
    body: String,
}

impl Begun {
    async fn post(server: &Server<'_>, event: &Value) -> Self {
        let body = event.to_string();
        let mut stream = TcpStream::connect(server.http).await.expect("a connection");
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nexpect: 100-continue\r\n\r\n",
            server.key,
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("the head is sent");
        // Said when somebody waits for the body.
        let told = read_until(&mut stream, "\r\n\r\n").await;
        assert!(told.starts_with("HTTP/1.1 100"), "{told}");
        Self { stream, body }
    }

    /// Sends the body, and reads all that the server says until it closes.
    async fn finish(mut self) -> String {
        self.stream.write_all(self.body.as_bytes()).await.expect("the body is sent");
        self.rest().await
    }

    async fn rest(&mut self) -> String {
        let mut text = String::new();
        tokio::time::timeout(PATIENCE, self.stream.read_to_string(&mut text))
            .await
            .expect("an end in time")
            .expect("text");
        text
    }
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let byte = tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("an answer in time");
        text.push(byte.expect("an open connection"));
    }
    String::from_utf8(text).expect("text")
}

fn answered(call: &str) -> Value {
    json!({ "call_id": call, "event_type": "call_answered", "created_at": "2026-01-01T10:00:00Z" })
}

fn refuses(address: SocketAddr) -> Option<()> {
    StdStream::connect_timeout(&address, Duration::from_secs(1)).is_err().then_some(())
}

#[tokio::test]
async fn requests_under_way_are_finished_and_no_new_ones_are_taken() {
    let home = Home::new("");
    let server = home.start();
    let (http, live) = (server.http, server.live);
    server.tell(&answered("before")).await;
    let begun = [Begun::post(&server, &answered("one")).await, Begun::post(&server, &answered("two")).await];
    signal(server.pid(), "TERM");
    wait_for("no new connections", || refuses(http).and(refuses(live)));
    for request in begun {
        let answer = request.finish().await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""accepted":1"#), "{answer}");
    }
    assert!(server.terminate().success());
    assert!(!home.data().join("control.sock").exists());
    let left = std::fs::metadata(home.data().join("pegcount.db-wal")).map_or(0, |file| file.len());
    assert_eq!(left, 0, "the store was not brought to its resting place");

    let server = home.start();
    for call in ["before", "one", "two"] {
        assert_eq!(server.get(&format!("/v1/calls/{call}")).await.expect(200)["status"], "in_progress");
    }
    assert_eq!(server.get("/v1/live").await.expect(200)["live_calls"], 3);
}

#[tokio::test]
async fn idle_connections_and_sockets_are_closed_at_once_and_told_why() {
    let home = Home::new("");
    let server = home.start();
    let mut idle = TcpStream::connect(server.http).await.expect("a connection");
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("a request");
    assert!(read_until(&mut idle, "\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    let mut silent = TcpStream::connect(server.live).await.expect("a connection");
    let mut sockets = Vec::new();
    for url in [format!("ws://{}/", server.live), format!("ws://{}/ws/live", server.http)] {
        let (mut socket, _) = connect_async(format!("{url}?api_key={}", server.key)).await.expect("a socket");
        let first = socket.next().await.expect("a message").expect("a message");
        assert_eq!(first, Message::text(r#"{"event":"call_count","count":0}"#));
        sockets.push(socket);
    }
    // One that never answers the goodbye must hold nobody up.
    let (_mute, _) =
        connect_async(format!("ws://{}/?api_key={}", server.live, server.key)).await.expect("a socket");

    let begun = Instant::now();
    signal(server.pid(), "TERM");
    for socket in &mut sockets {
        let last = tokio::time::timeout(PATIENCE, socket.next()).await.expect("a goodbye in time");
        match last.expect("a message").expect("a message") {
            Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 1001),
            other => panic!("{other:?}"),
        }
    }
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.expect("an end");
    silent.read_to_end(&mut rest).await.expect("an end");
    assert!(server.terminate().success());
    assert!(begun.elapsed() < Duration::from_secs(8), "it waited for idle connections");
    assert!(!home.data().join("control.sock").exists());
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_after_the_grace_and_the_end_is_still_a_good_one() {
    let home = Home::new("");
    let server = home.start();
    let mut never = Begun::post(&server, &answered("never")).await;
    server.tell(&answered("before")).await;
    let begun = Instant::now();
    signal(server.pid(), "TERM");
    let said = never.rest().await;
    assert!(!said.contains("200"), "{said}");
    assert!(server.terminate().success());
    assert!(begun.elapsed() < Duration::from_secs(13), "{:?}", begun.elapsed());
    let server = home.start();
    server.get("/v1/calls/before").await.expect(200);
    server.get("/v1/calls/never").await.expect(404);
}

#[tokio::test]
async fn interrupting_is_the_same_as_terminating() {
    let home = Home::new("");
    let server = home.start();
    server.tell(&answered("before")).await;
    signal(server.pid(), "INT");
    assert!(server.terminate().success());
    // From the moment on that it is ready it hears signals.
    let server = home.start();
    signal(server.pid(), "HUP");
    assert!(server.terminate().success());
    assert!(home.start().get("/v1/calls/before").await.expect(200)["answered_at"].is_string());
}

#[tokio::test]
async fn a_hangup_signal_takes_new_rates_over_and_bad_ones_change_nothing() {
    let home = Home::new("[[rates.default.calls]]\nper_minute = \"0.10\"\n");
    let server = home.start();
    let costs = async |call: &str, expected: &str| {
        server.tell(&minute(call)).await;
        let call = server.get(&format!("/v1/calls/{call}")).await.expect(200);
        assert_eq!(call["cost_cents"].to_string(), expected);
    };
    costs("before", "10").await;
    let config = home.path("config.toml");
    let take_over = |text: &str, said: &str| {
        std::fs::write(&config, text).expect("the configuration is written");
        let times = || server.log().matches(said).count();
        let before = times();
        signal(server.pid(), "HUP");
        wait_for(said, || (times() > before).then_some(()));
    };
    take_over("[[rates.default.calls]]\nper_minute = \"0.25\"\n", "was read again");
    costs("after", "25").await;
    take_over("[[rates.default.calls]]\nper_minute = \"a lot\"\n", "was not taken over");
    take_over("nonsense = 1\n", "was not taken over");
    costs("later", "25").await;
    assert_eq!(server.get("/v1/calls/before").await.expect(200)["cost_cents"], 10);
    take_over("", "was read again");
    costs("free", "null").await;
    assert!(server.terminate().success());
}

/// A call of one minute.
fn minute(call: &str) -> Value {
    json!([
        { "call_id": call, "event_type": "call_answered", "created_at": "2026-01-01T10:00:00Z" },
        { "call_id": call, "event_type": "call_completed", "created_at": "2026-01-01T10:01:00Z" },
    ])
}
