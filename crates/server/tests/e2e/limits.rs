//! Strangers and keys that take all they can: docs/limits.md.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    process::Command,
};

use serde_json::json;

use crate::server::{Home, PATIENCE, Server, send, wait_for};

/// Sends bytes, and gives the connection that nothing more is said by.
fn say(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // A connection may be closed before it has said anything.
    let _ = stream.write_all(bytes);
    stream
}

/// The answer to a request by a connection of its own.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = say(address, request.as_bytes());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn health(server: &Server<'_>) -> String {
    ask(server.http, "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn six_hundred_silent_connections_keep_nobody_out() {
    let mut home = Home::new("");
    home.open_files = Some(512);
    let server = home.start();
    let silent: [&[u8]; 4] =
        [b"", b"P", b"PRI * HTTP/2.0\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"];
    let mut open = Vec::new();
    for number in 0..600 {
        let address = if number % 3 == 0 { server.live } else { server.http };
        open.push(say(address, silent[number % silent.len()]));
    }
    assert!(health(&server).starts_with("HTTP/1.1 200"), "{}", server.log());
    assert_eq!(send(server.client().to("GET", "/readyz")).await.status.as_u16(), 200);
    assert!(!home.run_json(&["keys", "list"]).as_array().expect("a list").is_empty());
    let refused = ask(server.http, "GET /v1/calls HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 5"), "{refused}");
    assert!(refused.contains(r#""code":"UNAVAILABLE""#), "{refused}");
    let lines = server.log().lines().count();
    assert!(lines < 100, "{lines} lines: {}", server.log());
    drop(open);
    let metrics = server.until("/metrics", |answer| {
        answer.text.lines().any(|line| line == "pegcount_connections 1").then(|| answer.text.clone())
    });
    let metrics = metrics.await;
    let refused = "connections_refused_total{reason=\"connections_per_address\"} ";
    let refused = metrics.split(refused).nth(1).and_then(|rest| rest.lines().next());
    assert!(refused.is_some_and(|count| count != "0"), "{metrics}");
}

/// Sets the limit of open files of a running server; the one that it may raise it to stays.
fn limit_open_files(server: &Server<'_>, limit: usize) {
    let arguments = [format!("--pid={}", server.pid()), format!("--nofile={limit}:")];
    let status = Command::new("prlimit").args(arguments).status();
    assert!(status.expect("prlimit runs (util-linux)").success());
}

#[test]
fn a_server_without_descriptors_neither_spins_nor_fills_its_log() {
    let home = Home::new("");
    let server = home.start();
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("its files").count();
    limit_open_files(&server, open);
    // One that has gone away is still in the queue of the system.
    drop(UnixStream::connect(home.data().join("control.sock")).expect("a connection"));
    let waiting = say(server.http, b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    for what in ["an HTTP connection", "a connection of the operator's socket"] {
        wait_for("both listeners fail", || {
            server.log().contains(&format!("{what} could not be taken")).then_some(())
        });
    }
    limit_open_files(&server, open + 64);
    let mut answer = String::new();
    (&waiting).read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let log = server.log();
    assert!(log.lines().count() < 30, "{log}");
    assert!(!home.run_json(&["keys", "list"]).as_array().expect("a list").is_empty());
}

#[tokio::test]
async fn idle_bodies_of_one_key_let_others_write() {
    let home = Home::new("");
    let server = home.start();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n1\r\n[\r\n",
        server.key
    );
    let idle: Vec<TcpStream> = (0..64).map(|_| say(server.http, head.as_bytes())).collect();
    server.tell(&json!({"call_id": "call_1", "event_type": "call_answered"})).await;
    let slow = &mut idle.into_iter().next().expect("a connection");
    let mut answer = [0; 64];
    let count = slow.read(&mut answer).expect("an answer");
    assert!(answer[..count].starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer[..count]));
}

#[tokio::test]
async fn an_event_that_is_too_large_is_rejected_unread() {
    let home = Home::new("");
    let server = home.start();
    let keys: Vec<String> = (0..100_000).map(|number| format!("\"k{number}\":0")).collect();
    let large = format!(r#"{{"call_id":"call_1","event_type":"call_answered",{}}}"#, keys.join(","));
    let small = r#"{"call_id":"call_2","event_type":"call_answered"}"#;
    let request = server.request(reqwest::Method::POST, "/v1/events").header("x-api-key", &server.key);
    let request = request.header("content-type", "application/json").body(format!("[{large},{small}]"));
    let receipt = send(request).await.expect(200);
    assert_eq!(
        (&receipt["accepted"], &receipt["rejected"][0]["code"]),
        (&json!(1), &json!("EVENT_TOO_LARGE"))
    );
    assert_eq!(receipt["rejected"][0]["index"], 0, "{receipt}");
}

#[tokio::test]
async fn data_that_are_too_large_are_rejected_and_their_neighbours_taken() {
    let home = Home::new("");
    let server = home.start();
    let event = |call: &str, bytes: usize| {
        // As it is kept: {"x_a":"..."}
        let text = "x".repeat(bytes - r#"{"x_a":""}"#.len());
        json!({ "call_id": call, "event_type": "x_note", "event_data": { "x_a": text } })
    };
    let events = json!([event("a", 64 * 1024), event("b", 64 * 1024 + 1), event("c", 100)]);
    let receipt = server.post("/v1/events", &events).await.expect(200);
    assert_eq!(receipt["accepted"], 2, "{receipt}");
    assert_eq!(
        (&receipt["rejected"][0]["index"], &receipt["rejected"][0]["code"]),
        (&json!(1), &json!("EVENT_TOO_LARGE"))
    );
    assert_eq!(server.get("/v1/calls/b").await.status, 404);
}

#[tokio::test]
async fn commands_beyond_those_that_are_served_wait_for_a_place() {
    let home = Home::new("");
    let _server = home.start();
    let connect = || UnixStream::connect(home.data().join("control.sock")).expect("a connection");
    let mut silent: Vec<UnixStream> = (0..16).map(|_| connect()).collect();
    let mut waiting = connect();
    waiting.write_all(b"\"ListOrganizations\"\n").expect("an order");
    waiting.set_read_timeout(Some(std::time::Duration::from_millis(300))).expect("a limit");
    let mut answer = [0; 512];
    assert!(waiting.read(&mut answer).is_err(), "it has to wait");
    silent.pop();
    waiting.set_read_timeout(None).expect("no limit");
    let count = waiting.read(&mut answer).expect("an answer");
    let text = String::from_utf8_lossy(&answer[..count]);
    assert!(text.contains("Done"), "{text}");
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let home = Home::new("");
    let server = home.start();
    for (version, hosts, status) in [
        ("1.1", "", "400"),
        ("1.1", "host: a\r\nhost: b\r\n", "400"),
        ("1.1", "host: a\r\nhost: a\r\n", "400"),
        ("1.1", "host: a\r\n", "200"),
        ("1.0", "", "200"),
        ("1.0", "host: a\r\nhost: b\r\n", "400"),
    ] {
        let answer =
            ask(server.http, &format!("GET /healthz HTTP/{version}\r\n{hosts}connection: close\r\n\r\n"));
        assert_eq!(answer.split(' ').nth(1), Some(status), "{version} {hosts}: {answer}");
    }
    let answer = ask(server.http, "GET /api/calls HTTP/1.1\r\nconnection: close\r\n\r\n");
    assert!(answer.contains(r#""status":"error""#), "in the form of the dialect: {answer}");
}
